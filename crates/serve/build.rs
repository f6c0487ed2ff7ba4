//! Writes the API's document, for `src/openapi.rs` to embed, and the dashboard's built files, for `src/dashboard.rs`; none, where it
//! is not built.
//!
//! They are copied first: a concurrent build of the dashboard does not disturb the compiler. The copies are compressed, for
//! browsers that read gzip, as all do; what is no smaller stays as it is.

use flate2::{Compression, write::GzEncoder};
use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let crate_folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let document = crate_folder.join("openapi.json");
    println!("cargo::rerun-if-changed={}", document.display());
    fs::write(out.join("openapi.json.gz"), compress(&fs::read(document)?)?)?;
    let sources = crate_folder.join("../../dashboard");
    let built = sources.join("dist");
    // A missing path would rebuild everything each time.
    let (watched, files) = match copy(&built, &out.join("dashboard")) {
        Ok(files) => (built.as_path(), files),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (sources.as_path(), Vec::new()),
        Err(error) => return Err(error),
    };
    println!("cargo::rerun-if-changed={}", watched.display());
    fs::write(out.join("dashboard.rs"), source(&files))
}

/// A file's name, and whether its copy is compressed.
type Copied = (String, bool);

/// Copies every file to one that is named by its number.
fn copy(from: &Path, to: &Path) -> io::Result<Vec<Copied>> {
    fs::metadata(from.join("index.html"))?;
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    let mut files = Vec::new();
    list(from, &mut files)?;
    files.sort();
    let mut copied = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let name = file.strip_prefix(from).expect("it was found below").to_str();
        let name = name.ok_or_else(|| io::Error::other("a name is not UTF-8"))?.to_owned();
        let content = fs::read(file)?;
        let compressed = compress(&content)?;
        let smaller = compressed.len() < content.len();
        fs::write(to.join(number.to_string()), if smaller { compressed } else { content })?;
        copied.push((name, smaller));
    }
    Ok(copied)
}

/// The same bytes for the same content: the header has neither a name nor a time.
fn compress(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(content)?;
    gzip.finish()
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

fn source(files: &[Copied]) -> String {
    let mut source = String::from("&[\n");
    for (number, (name, compressed)) in files.iter().enumerate() {
        let file = format!("/dashboard/{number}");
        writeln!(
            source,
            "    ({name:?}, {compressed}, include_bytes!(concat!(env!(\"OUT_DIR\"), {file:?}))),"
        )
        .expect("writing to a text");
    }
    source.push_str("]\n");
    source
}
