//! Writes the list of the Python SDK's files, for `src/sdk.rs` to embed, and their common hash.

use sha2::{Digest, Sha256};
use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let crate_folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let sdk = crate_folder.join("../../sdk/python/src");
    println!("cargo::rerun-if-changed={}", sdk.display());
    let mut files = Vec::new();
    list(&sdk, &mut files)
        .map_err(|error| io::Error::other(format!("cannot read `{}`: {error}", sdk.display())))?;
    files.sort();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("python_sdk.rs"), source(&sdk, &files)?)
}

/// Every file below a folder, less what is hidden and what Python leaves behind.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::Error::other("a name is not UTF-8"))?;
        if name.starts_with('.') || name == "__pycache__" || name.ends_with(".egg-info") {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => list(&entry.path(), files)?,
            false => files.push(entry.path()),
        }
    }
    Ok(())
}

/// The Rust source of the list.
fn source(sdk: &Path, files: &[PathBuf]) -> io::Result<String> {
    let mut entries = String::new();
    let mut hash = Sha256::new();
    for file in files {
        let name = file.strip_prefix(sdk).expect("it was found below").to_str().expect("checked above");
        let content = fs::read(file)?;
        hash.update(name.len().to_le_bytes());
        hash.update(name);
        hash.update(content.len().to_le_bytes());
        hash.update(&content);
        writeln!(entries, "    ({name:?}, include_bytes!({file:?})),").expect("writing to a text");
    }
    let hash = hash.finalize().iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    Ok(format!("const HASH: &str = {hash:?};\n\nconst FILES: &[(&str, &[u8])] = &[\n{entries}];\n"))
}
