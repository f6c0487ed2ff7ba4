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

/// Creates a package in a folder that appears only when complete.
pub(super) fn make(folder: &Path, templates: Templates) -> Result<ExitCode> {
    let folder = &path::absolute(folder)?;
    let name = folder.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let name = Name::parse(&name).context("a package's folder has the package's name")?;
    let failed = || format!("cannot make `{}`", folder.display());
    ensure!(!is_taken(folder)?, "`{}` exists already", folder.display(); hint: "choose another name");
    let parent = folder.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).with_context(failed)?;
    let staging = tempfile::Builder::new()
        .prefix(".krt-new-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .with_context(failed)?;
    write(staging.path(), name.as_str(), templates).with_context(failed)?;
    move_into_place(staging.path(), folder).with_context(failed)?;
    output::print(&next_steps(folder, &name, templates))?;
    Ok(exit::SUCCESS)
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
    let keys = templates.keys(name, templates.first_is_plain);
    let keys = keys.iter().map(|(key, value)| format!("    {key}: {value}\n"));
    let entry = format!("  - name: {name}\n{}", keys.collect::<String>());
    let version = Name::parse(&format!("{name}-v1")).map_or(name.to_owned(), |name| name.to_string());
    let proto = proto_package(name);
    let values = [
        ("name", name),
        ("node", name),
        ("crate", &*template::crate_name(name)),
        ("version", &*version),
        ("proto", &*proto),
        ("entry", &*entry),
    ];
    template::write(folder, &template::PACKAGE, &values)?;
    template::write(&folder.join("src").join(name), templates.first, &values)
}

/// Turns a name into a protobuf package name, which is an identifier.
fn proto_package(name: &str) -> String {
    let name = name.replace('-', "_");
    match name.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("krt_{name}"),
        false => name,
    }
}

fn next_steps(folder: &Path, name: &Name, templates: Templates) -> String {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| folder.strip_prefix(here).map(Path::to_owned).ok());
    let shown: PathBuf = below.unwrap_or_else(|| folder.to_owned());
    let (made, enter) = match shown.as_os_str().is_empty() {
        true => (".".to_owned(), String::new()),
        false => (shown.display().to_string(), format!("  cd {}\n", shown.display())),
    };
    format!(
        "made `{made}`, with the node `{name}` in {}\n\n{enter}  krt run .                            serve it\n  krt call Greet '{{\"name\": \"Ada\"}}'     ask it, from another terminal\n  krt test                             run its tests",
        templates.language.name(),
    )
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
