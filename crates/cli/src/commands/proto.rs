//! `krt proto`: generates types of the package's messages, for editors and for Go nodes.

mod go;
mod stub;

use crate::{
    error::{Context as _, Result, ensure},
    exit, output,
    service::launch,
    terminal,
};
use clap::Args;
use krt_model::version::{Node, PayloadForm};
use krt_package::Package;
use krt_reader::CancelHandle;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The arguments of `krt proto`.
#[derive(Debug, Args)]
#[command(after_help = "\
For Python, writes stubs such as `public_input_pb2.pyi` beside the sources of each Python node,
for editors and type checkers. krt creates the modules themselves on import.

With --go, generates code in `pb` beside the node's go.mod, with the `protoc-gen-go` of the
protobuf version that the go.mod requires.")]
pub(crate) struct ProtoArgs {
    /// The package's folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Generate Go code instead of stubs for Python
    #[arg(long)]
    go: bool,

    /// Write only to this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Write nothing; the exit code is 1 if a file is missing or differs
    #[arg(long)]
    check: bool,
}

/// Files to write, by path.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Writes files that are missing or differ, and prints their names.
pub(crate) fn execute(args: &ProtoArgs) -> Result<ExitCode> {
    let package = krt_reader::load(&args.path, &CancelHandle::default())
        .map_err(|error| terminal::package_error(error, &args.path))?;
    ensure!(
        args.out.is_some() || args.path.extension().is_none_or(|ending| ending != "krt"),
        "`{}` is an archive, whose files are not changed", args.path.display();
        hint: "`krt unpack` it, or name a folder with --out"
    );
    let files = if args.go { go::files(&package, args.out.as_deref())? } else { stubs(&package, args)? };
    let stale = files.iter().filter(|(path, content)| fs::read(path).ok().as_ref() != Some(content));
    let stale: Vec<_> = stale.collect();
    for (path, content) in &stale {
        if !args.check {
            write(path, content).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
    }
    let word = if args.check { "out of date" } else { "wrote" };
    let mut lines: Vec<_> =
        stale.iter().map(|(path, _)| format!("{word}: {}", shown(path, &package.root))).collect();
    if lines.is_empty() {
        lines.push(format!(
            "up to date: {} {}",
            files.len(),
            if files.len() == 1 { "file" } else { "files" }
        ));
    }
    output::print(&lines.join("\n"))?;
    Ok(if args.check && !stale.is_empty() { exit::FAILURE } else { exit::SUCCESS })
}

/// Generates stubs for each folder with sources of a Python node.
fn stubs(package: &Package, args: &ProtoArgs) -> Result<Files> {
    let with_messages = |node: &&Node| launch::is_python(node) && node.run.payload == PayloadForm::Protobuf;
    let nodes = package.version.nodes.iter().filter(with_messages);
    let of_nodes = nodes.filter_map(|node| Some(package.root.join(&node.src).parent()?.to_owned()));
    let folders: BTreeSet<PathBuf> = match &args.out {
        Some(out) => BTreeSet::from([out.clone()]),
        None => of_nodes.collect(),
    };
    ensure!(
        !folders.is_empty(),
        "the package has no node in Python that works with messages";
        hint: "--out names a folder for the stubs, --go makes code for Go"
    );
    let stubs: Vec<_> = own(package).map(|file| (file.name().to_owned(), stub::text(&file))).collect();
    let homes: Vec<_> = folders.iter().filter_map(|folder| folder.strip_prefix(&package.root).ok()).collect();
    let mut files = Files::new();
    for folder in &folders {
        let home = folder.strip_prefix(&package.root).ok();
        for (proto, text) in &stubs {
            if let Some(proto) = seen_from(home, &homes, proto) {
                files.insert(folder.join(stub::path(proto)), text.clone().into_bytes());
            }
        }
    }
    Ok(files)
}

/// The path under which a node imports a `.proto`: relative to the node's folder if the file is inside.
/// Returns `None` for files in another node's folder.
fn seen_from<'a>(home: Option<&Path>, homes: &[&Path], proto: &'a str) -> Option<&'a str> {
    let below = |folder: &&Path| !folder.as_os_str().is_empty() && Path::new(proto).starts_with(folder);
    match home.filter(below) {
        Some(home) => Path::new(proto).strip_prefix(home).ok()?.to_str(),
        None => (!homes.iter().any(below)).then_some(proto),
    }
}

/// The package's own files, without those of protobuf itself.
fn own(package: &Package) -> impl Iterator<Item = prost_reflect::FileDescriptor> {
    package.schema.pool.files().filter(|file| !file.name().starts_with("google/protobuf/"))
}

/// Writes a file atomically; creates the folders above it.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().permissions(permissions()).tempfile_in(folder)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}

fn permissions() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

fn shown(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_sees_its_own_files_and_those_of_the_package() {
        let homes = [Path::new("src/etl"), Path::new("src/model")];
        let seen = |home: &'static str, proto| seen_from(Some(Path::new(home)), &homes, proto);
        assert_eq!(seen("src/etl", "public_input.proto"), Some("public_input.proto"));
        assert_eq!(seen("src/etl", "src/etl/deep/inner.proto"), Some("deep/inner.proto"));
        assert_eq!(seen("src/model", "src/etl/inner.proto"), None);
        assert_eq!(seen("src/model", "src/shared.proto"), Some("src/shared.proto"));
        assert_eq!(seen_from(None, &[], "src/etl/inner.proto"), Some("src/etl/inner.proto"));
    }
}
