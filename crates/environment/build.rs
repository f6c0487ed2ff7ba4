//! Writes the SDKs' files, compressed, and their common hash, for `src/sdk.rs` to embed.

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// The name of each SDK that is embedded, and its folder.
const SDKS: [(&str, &str); 3] = [("python", "sdk/python/src"), ("go", "sdk/go"), ("rust", "sdk/rust")];

fn main() -> io::Result<()> {
    let crate_folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for (name, folder) in SDKS {
        let sdk = crate_folder.join("../..").join(folder);
        let mut files = Vec::new();
        list(&sdk, &mut files)
            .map_err(|error| io::Error::other(format!("cannot read `{}`: {error}", sdk.display())))?;
        files.sort();
        fs::write(out.join(format!("{name}_sdk.rs")), source(name, &sdk, &files, &out)?)?;
    }
    Ok(())
}

/// Every file below a folder, less what is hidden, tests of Go and Rust, and what Python leaves behind.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::Error::other("a name is not UTF-8"))?;
        if name.starts_with('.')
            || name == "__pycache__"
            || name.ends_with(".egg-info")
            || name.ends_with("_test.go")
            || matches!(&*name, "tests" | "tests.rs" | "target")
        {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => list(&entry.path(), files)?,
            false => files.push(entry.path()),
        }
    }
    Ok(())
}

/// The Rust source of one SDK, whose compressed files it writes to a folder.
fn source(sdk: &str, folder: &Path, files: &[PathBuf], out: &Path) -> io::Result<String> {
    let mut entries = String::new();
    let mut hash = Sha256::new();
    for (number, file) in files.iter().enumerate() {
        // Not the folder, where Python writes compiled files. A new file is of use only once another one names it.
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.strip_prefix(folder).expect("it was found below").to_str().expect("checked above");
        let content = fs::read(file)?;
        hash.update(name.len().to_le_bytes());
        hash.update(name);
        hash.update(content.len().to_le_bytes());
        hash.update(&content);
        let packed = out.join(format!("{sdk}-{number}.gz"));
        fs::write(&packed, compress(&content)?)?;
        writeln!(entries, "    ({name:?}, include_bytes!({packed:?})),").expect("writing to a text");
    }
    let hash = hash.finalize().iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    Ok(format!("Embedded {{\n    name: {sdk:?},\n    hash: {hash:?},\n    files: &[\n{entries}    ],\n}}\n"))
}

/// The same bytes for the same content: the header has neither a name nor a time.
fn compress(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(content)?;
    gzip.finish()
}
