//! `krt proto`: types of the package's messages, for editors and for nodes in Go.

mod comments;
mod go;
mod stub;

use crate::{exit, output, service::launch, terminal};
use anyhow::Context as _;
use clap::Args;
use krt_package::Package;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What `krt proto` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
For Python, `public_input_pb2.pyi` and the like are written beside the sources of each Python
node. krt makes the modules themselves when they are imported; editors and type checkers read
the stubs.

With --go, code is made by the `protoc-gen-go` of the version of protobuf that the node's go.mod
requires, in `pb` beside that go.mod.")]
pub(crate) struct ProtoArgs {
    /// The package's folder
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Write Go code, instead of stubs for Python
    #[arg(long)]
    go: bool,

    /// Write to this folder only
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Write nothing; the exit code is 1 if a file is missing or differs
    #[arg(long)]
    check: bool,
}

/// Files to be, by their paths.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Writes what is missing or differs, and says what that is.
pub(crate) fn execute(args: &ProtoArgs) -> anyhow::Result<ExitCode> {
    let package =
        krt_package::load(&args.path).map_err(|error| terminal::package_error(error, &args.path))?;
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

/// The stubs for each folder with sources of a Python node.
fn stubs(package: &Package, args: &ProtoArgs) -> anyhow::Result<Files> {
    let nodes = package.version.nodes.iter().filter(|node| launch::is_python(node));
    let of_nodes = nodes.filter_map(|node| Some(package.root.join(&node.src).parent()?.to_owned()));
    let folders: BTreeSet<PathBuf> = match &args.out {
        Some(out) => BTreeSet::from([out.clone()]),
        None => of_nodes.collect(),
    };
    anyhow::ensure!(
        !folders.is_empty(),
        "the package has no node in Python\nhint: --out names a folder for the stubs, --go makes code for Go"
    );
    let stubs: Vec<_> = own(package).map(|file| (stub::path(file.name()), stub::text(&file))).collect();
    let placed = folders
        .iter()
        .flat_map(|folder| stubs.iter().map(|(path, text)| (folder.join(path), text.clone().into_bytes())));
    Ok(placed.collect())
}

/// The package's own files: all but those that protobuf brings.
fn own(package: &Package) -> impl Iterator<Item = prost_reflect::FileDescriptor> {
    package.schema.pool.files().filter(|file| !file.name().starts_with("google/protobuf/"))
}

/// Writes a file at once, with the folders above it.
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
