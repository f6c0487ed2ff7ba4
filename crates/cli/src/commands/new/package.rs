//! Creates a package.

use super::template::{self, Templates};
use crate::{
    error::{Context as _, Result, ensure},
    exit, output,
};
use krt_model::name::Name;
use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{self, Path, PathBuf},
    process::ExitCode,
};

/// A package that was created.
pub(super) struct NewPackage {
    folder: PathBuf,
    name: Name,
}

/// Creates a package with a node of a template.
pub(super) fn make(folder: &Path, templates: Templates) -> Result<ExitCode> {
    let new = create(folder, |staging, name| write(staging, name, templates))?;
    let steps = [
        ("krt run .", "serve it"),
        ("krt call Greet '{\"name\": \"Ada\"}'", "ask it, from another terminal"),
        ("krt test", "run its tests"),
    ];
    output::print(&new.next_steps(&new.own_node(templates.language.name()), &steps))?;
    Ok(exit::SUCCESS)
}

/// Creates a package in a folder that appears only when complete. `write` fills it in; it gets the folder and the
/// package's name.
pub(super) fn create(folder: &Path, write: impl FnOnce(&Path, &str) -> io::Result<()>) -> Result<NewPackage> {
    let folder = path::absolute(folder)?;
    let name = folder.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let name = Name::parse(&name).context("a package's folder has the package's name")?;
    let failed = || format!("cannot make `{}`", folder.display());
    ensure!(!is_taken(&folder)?, "`{}` exists already", folder.display(); hint: "choose another name");
    let parent = folder.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).with_context(failed)?;
    let staging = tempfile::Builder::new()
        .prefix(".krt-new-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .with_context(failed)?;
    write(staging.path(), name.as_str()).with_context(failed)?;
    move_into_place(staging.path(), &folder).with_context(failed)?;
    Ok(NewPackage { folder, name })
}

/// Whether the path exists; an empty folder does not count.
fn is_taken(folder: &Path) -> Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", folder.display())),
    }
}

/// Moves the files into place. Keeps an existing empty folder, which may be a process's working directory.
fn move_into_place(staging: &Path, folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        return fs::rename(staging, folder);
    }
    let names: Vec<_> =
        fs::read_dir(staging)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    let mut moved = Vec::new();
    let settled = names.iter().try_for_each(|name| {
        fs::rename(staging.join(name), folder.join(name))?;
        moved.push(name);
        Ok(())
    });
    if settled.is_err() {
        moved.iter().try_for_each(|name| fs::rename(folder.join(name), staging.join(name)))?;
    }
    settled
}

fn write(folder: &Path, name: &str, templates: Templates) -> io::Result<()> {
    let values = values(name, templates, templates.first_is_plain);
    template::write(folder, &template::PACKAGE, &values)?;
    template::write(&folder.join("src").join(name), templates.first, &values)
}

/// The values of the templates' placeholders, for a package whose node has its name.
pub(super) fn values(name: &str, templates: Templates, is_plain: bool) -> Vec<(&'static str, String)> {
    let keys = templates.keys(name, is_plain);
    let keys = keys.iter().map(|(key, value)| format!("    {key}: {value}\n"));
    let entry = format!("  - name: {name}\n{}", keys.collect::<String>());
    let version = Name::parse(&format!("{name}-v1")).map_or(name.to_owned(), |name| name.to_string());
    vec![
        ("name", name.to_owned()),
        ("node", name.to_owned()),
        ("crate", template::crate_name(name)),
        ("version", version),
        ("proto", proto_package(name)),
        ("entry", entry),
    ]
}

/// Turns a name into a protobuf package name, which is an identifier.
fn proto_package(name: &str) -> String {
    let name = name.replace('-', "_");
    match name.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("krt_{name}"),
        false => name,
    }
}

impl NewPackage {
    /// Describes the node with the package's name.
    pub(super) fn own_node(&self, language: &str) -> String {
        format!("the node `{}` in {language}", self.name)
    }

    /// Describes the package, with its nodes in words, and what to type next: commands with their uses.
    pub(super) fn next_steps(&self, nodes: &str, steps: &[(&str, &str)]) -> String {
        let here = std::env::current_dir().ok();
        let below = here.and_then(|here| self.folder.strip_prefix(here).map(Path::to_owned).ok());
        let shown: PathBuf = below.unwrap_or_else(|| self.folder.clone());
        let (made, enter) = match shown.as_os_str().is_empty() {
            true => (".".to_owned(), String::new()),
            false => (shown.display().to_string(), format!("  cd {}\n", shown.display())),
        };
        let steps: Vec<String> =
            steps.iter().map(|(command, use_)| format!("  {command:<36} {use_}")).collect();
        format!("made `{made}`, with {nodes}\n\n{enter}{}", steps.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protobuf_names() {
        for (name, expected) in [("shop", "shop"), ("my-shop", "my_shop"), ("3d", "krt_3d")] {
            assert_eq!(proto_package(name), expected);
        }
    }
}
