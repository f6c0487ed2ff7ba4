//! Writes the dashboard's built files, for `src/dashboard.rs` to embed; none, where it is not built.
//!
//! They are copied first: a concurrent build of the dashboard does not disturb the compiler.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let crate_folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let sources = crate_folder.join("../../dashboard");
    let built = sources.join("dist");
    // A missing path would rebuild everything each time.
    let (watched, names) = match copy(&built, &out.join("dashboard")) {
        Ok(names) => (built.as_path(), names),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (sources.as_path(), Vec::new()),
        Err(error) => return Err(error),
    };
    println!("cargo::rerun-if-changed={}", watched.display());
    fs::write(out.join("dashboard.rs"), source(&names))
}

/// Copies every file to one that is named by its number, and returns their names.
fn copy(from: &Path, to: &Path) -> io::Result<Vec<String>> {
    fs::metadata(from.join("index.html"))?;
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    let mut files = Vec::new();
    list(from, &mut files)?;
    files.sort();
    let mut names = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let name = file.strip_prefix(from).expect("it was found below").to_str();
        names.push(name.ok_or_else(|| io::Error::other("a name is not UTF-8"))?.to_owned());
        fs::copy(file, to.join(number.to_string()))?;
    }
    Ok(names)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => list(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

fn source(names: &[String]) -> String {
    let mut source = String::from("&[\n");
    for (number, name) in names.iter().enumerate() {
        let file = format!("/dashboard/{number}");
        writeln!(source, "    ({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), {file:?}))),")
            .expect("writing to a text");
    }
    source.push_str("]\n");
    source
}
