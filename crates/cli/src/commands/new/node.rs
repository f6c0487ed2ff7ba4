//! One more node of a package.

use super::{
    NodeArgs,
    template::{self, Language},
};
use crate::{commands::check, exit, output, terminal};
use anyhow::Context as _;
use krt_model::{
    name::Name,
    version::{PayloadForm, Version},
};
use krt_package::{
    edit::{self, NewNode},
    manifest::FILE_NAMES,
    problem::Source,
};
use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Adds a node: its sources, and its lines of `krt.yml`. All of it, or nothing.
pub(super) fn add(args: &NodeArgs) -> anyhow::Result<ExitCode> {
    let name = Name::parse(&args.name)?;
    let name = name.as_str();
    let checked = check::loader(false).check(&args.package)?;
    let Some(version) = checked.version else {
        let error = krt_package::Error::Invalid { report: Box::new(checked.report), root: checked.root };
        return Err(terminal::package_error(error, &args.package));
    };
    let manifest = manifest(&checked.root)?;
    let text = fs::read_to_string(&manifest).with_context(|| unread(&manifest))?;
    let plain = is_plain(&version, args.workflow.as_deref());
    let keys = args.language.keys(name, plain);
    let keys: Vec<(&str, &str)> = keys.iter().map(|(key, value)| (*key, &**value)).collect();
    let source = Source::new(FILE_NAMES[0], text.as_str());
    let edited = edit::add_node(&source, &NewNode { name, keys: &keys }, args.workflow.as_deref())?;

    let folder = checked.root.join("src").join(name);
    anyhow::ensure!(!folder.exists(), "`src/{name}` exists already; hint: choose another name");
    write(&folder, name, args.language, plain)
        .with_context(|| format!("cannot make `{}`", folder.display()))?;
    if let Err(error) = replace(&manifest, &edited).with_context(|| unread(&manifest)) {
        fs::remove_dir_all(&folder)?;
        return Err(error);
    }
    output::print(&format!("made `src/{name}`, a node in {}: edit it there", args.language.name()))?;
    Ok(exit::SUCCESS)
}

fn manifest(root: &Path) -> anyhow::Result<PathBuf> {
    let mut paths = FILE_NAMES.iter().map(|name| root.join(name));
    paths.find(|path| path.is_file()).context("the package has no krt.yml")
}

fn unread(manifest: &Path) -> String {
    format!("cannot change `{}`", manifest.display())
}

/// Whether the node before works with plain data: the new one gets what that one returns.
fn is_plain(version: &Version, workflow: Option<&str>) -> bool {
    let mut workflows = version.workflows.iter();
    let workflow = match workflow {
        Some(name) => workflows.find(|workflow| workflow.name.as_str() == name),
        None => workflows.next(),
    };
    let last = workflow.and_then(|workflow| workflow.sequence.last());
    last.is_some_and(|&node| version.nodes[node].run.payload == PayloadForm::Json)
}

/// Writes a node's sources to a folder that is there as a whole or not at all.
fn write(folder: &Path, name: &str, language: Language, plain: bool) -> io::Result<()> {
    let parent = folder.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent)?;
    let workshop = tempfile::Builder::new()
        .prefix(".krt-new-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)?;
    let (data, import) = match plain {
        true => ("Value", "Context, Result, serde_json::Value"),
        false => ("Any", "Any, Context, Result"),
    };
    let values = [("node", name), ("data", data), ("import", import)];
    template::write(workshop.path(), language.next(plain), &values)?;
    fs::rename(workshop.path(), folder)
}

/// Replaces a file's text at once, and keeps its permissions.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let permissions = fs::metadata(path)?.permissions();
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("/")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(permissions)?;
    file.persist(path)?;
    Ok(())
}
