//! Writes the dashboard's built files, for `src/dashboard.rs` to embed; none, where it is not built.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let crate_folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let built = crate_folder.join("../../dashboard/dist");
    println!("cargo::rerun-if-changed={}", built.display());
    let mut files = Vec::new();
    if built.join("index.html").is_file() {
        list(&built, &mut files)?;
    }
    files.sort();
    let mut source = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&built).expect("it was found below").to_str().expect("checked below");
        writeln!(source, "    ({name:?}, include_bytes!({file:?})),").expect("writing to a text");
    }
    source.push_str("]\n");
    fs::write(out.join("dashboard.rs"), source)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_str().is_none() {
            return Err(io::Error::other("a name is not UTF-8"));
        }
        match path.is_dir() {
            true => list(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}
