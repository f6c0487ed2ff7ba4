//! Adds a node to a package.

use super::{
    NodeArgs,
    template::{self, Templates},
};
use crate::{
    commands::check,
    error::{Context as _, Result, ensure},
    exit, output, terminal,
};
use krt_model::{
    name::Name,
    version::{PayloadForm, Version},
};
use krt_package::{
    Checked,
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

/// Adds a node: its sources, and its lines in `krt.yml`. Changes nothing if it fails.
pub(super) fn add(args: &NodeArgs) -> Result<ExitCode> {
    let name = Name::parse(&args.name)?;
    let name = name.as_str();
    ensure!(
        !args.package.is_file(),
        "`{}` is an archive, whose files are not changed", args.package.display();
        hint: "`krt unpack` it"
    );
    let (root, version) = checked(&args.package)?;
    let manifest = manifest(&root)?;
    let text = fs::read_to_string(&manifest).with_context(|| unread(&manifest))?;
    let plain = is_plain(&version, args.workflow.as_deref());
    let keys = args.templates.keys(name, plain);
    let keys: Vec<(&str, &str)> = keys.iter().map(|(key, value)| (*key, &**value)).collect();
    let source = Source::new(FILE_NAMES[0], text.as_str());
    let edited = edit::add_node(&source, &NewNode { name, keys: &keys }, args.workflow.as_deref())?;

    let folder = root.join("src").join(name);
    ensure!(!folder.exists(), "`src/{name}` exists already"; hint: "choose another name");
    write(&folder, name, args.templates, plain)
        .with_context(|| format!("cannot make `{}`", folder.display()))?;
    if let Err(error) = change(&manifest, &text, &edited, &args.package) {
        fs::remove_dir_all(&folder)?;
        return Err(error);
    }
    output::print(&format!(
        "made `src/{name}`, a node in {}: edit it there",
        args.templates.language.name()
    ))?;
    Ok(exit::SUCCESS)
}

/// Checks the package; returns its root and its manifest.
fn checked(package: &Path) -> Result<(PathBuf, Version)> {
    let Checked { version, report, root, .. } = krt_reader::check(&check::loader(false), package)?;
    match version {
        Some(version) => Ok((root, version)),
        None => {
            let error = krt_package::Error::Invalid { report: Box::new(report), root };
            Err(terminal::package_error(error, package))
        }
    }
}

/// Changes the manifest, and reverts the change if the package then has errors.
fn change(manifest: &Path, before: &str, after: &str, package: &Path) -> Result<()> {
    replace(manifest, after).with_context(|| unread(manifest))?;
    let changed = checked(package);
    if changed.is_err() {
        replace(manifest, before).with_context(|| unread(manifest))?;
    }
    changed.map(|_| ()).context("the node is not added: the package would not check with it")
}

fn manifest(root: &Path) -> Result<PathBuf> {
    let mut paths = FILE_NAMES.iter().map(|name| root.join(name));
    let path = paths.find(|path| path.is_file()).context("the package has no krt.yml")?;
    path.canonicalize().with_context(|| unread(&path))
}

fn unread(manifest: &Path) -> String {
    format!("cannot change `{}`", manifest.display())
}

/// Whether the preceding node uses plain data: the new node receives its output.
fn is_plain(version: &Version, workflow: Option<&str>) -> bool {
    let mut workflows = version.workflows.iter();
    let workflow = match workflow {
        Some(name) => workflows.find(|workflow| workflow.name.as_str() == name),
        None => workflows.next(),
    };
    let last = workflow.and_then(|workflow| workflow.sequence.last());
    last.is_some_and(|&node| version.nodes[node].run.payload == PayloadForm::Json)
}

/// Writes a node's sources to a folder that appears only when complete.
fn write(folder: &Path, name: &str, templates: Templates, plain: bool) -> io::Result<()> {
    let parent = folder.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent)?;
    let staging = tempfile::Builder::new()
        .prefix(".krt-new-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)?;
    let (data, import) = match plain {
        true => ("Value", "Context, Result, serde_json::Value"),
        false => ("Any", "Any, Context, Result"),
    };
    let values =
        [("node", name), ("crate", &*template::crate_name(name)), ("data", data), ("import", import)];
    template::write(staging.path(), templates.next(plain), &values)?;
    fs::rename(staging.path(), folder)
}

/// Replaces a file's text atomically, and keeps its permissions.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let permissions = fs::metadata(path)?.permissions();
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("/")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(permissions)?;
    file.persist(path)?;
    Ok(())
}
