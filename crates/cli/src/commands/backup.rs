//! `krt backup`: copies a data folder in a consistent state while a server uses it.
//!
//! - [`manifest`]: the files of a backup, with their checksums.

pub(super) mod manifest;

use crate::{
    error::{Context as _, Error, Result, ensure},
    exit, output,
    terminal::Spinner,
};
use clap::Args;
use indicatif::HumanBytes;
use krt_registry::Layout;
use krt_store::Snapshot as StoreSnapshot;
use manifest::{Kind, Manifest};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tempfile::TempDir;

/// The arguments of `krt backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
The backup is consistent: users, tokens, versions, configuration, documents, measurements, logs
and request records are from the same moment. The server, or `krt run`, keeps serving meanwhile.
The folder appears only when the backup is complete.

A backup contains password hashes, and configuration and documents in plain text: keep it where
only you can read it. It does not contain sessions, node environments, or data in MongoDB and
InfluxDB.

Examples:
  krt backup --data /var/lib/krt /backups/krt-2026-01-31
  krt restore /backups/krt-2026-01-31 --data /var/lib/krt")]
pub(crate) struct BackupArgs {
    /// Folder to create; it must not exist, or must be empty
    target: PathBuf,

    /// Data folder of `krt serve` or `krt run`
    #[arg(long, value_name = "DIR", default_value = ".krt-server", env = "KRT_DATA")]
    data: PathBuf,
}

/// Creates the backup, and prints a summary.
pub(crate) fn execute(args: &BackupArgs) -> Result<ExitCode> {
    let target = &args.target;
    refuse_occupied(target)?;
    let staging = staging(target)?;
    let progress = Spinner::start("");
    let kind = copy(&args.data, staging.path(), &progress)?;
    progress.show("computing checksums");
    let manifest = Manifest::of(staging.path(), kind)?;
    manifest.write(staging.path())?;
    publish(staging, target)?;
    drop(progress);
    output::print(&format!("{}: {}", target.display(), summary(&manifest)))?;
    Ok(exit::SUCCESS)
}

/// Copies a data folder of either kind.
fn copy(data: &Path, into: &Path, progress: &Spinner) -> Result<Kind> {
    let layout = Layout::new(data);
    if layout.database().exists() {
        copy_server(&layout, into, progress)?;
        return Ok(Kind::Server);
    }
    let store = StoreSnapshot::take(data)?;
    ensure!(
        !store.is_empty(),
        "`{}` has no data of `krt serve` or `krt run`", data.display();
        hint: "name its data folder with --data"
    );
    write_store(&store, into, "documents and measurements", progress)?;
    Ok(Kind::Package)
}

fn copy_server(layout: &Layout, into: &Path, progress: &Spinner) -> Result<()> {
    let (snapshot, stores) = krt_registry::Snapshot::take(layout, |runtimes| {
        let store = |runtime: &_| {
            Ok::<_, Error>((StoreSnapshot::take(&layout.store(runtime))?, Clone::clone(runtime)))
        };
        runtimes.iter().map(store).collect::<Result<Vec<_>>>()
    })?;
    let into = Layout::new(into);
    progress.show("copying the registry and packages");
    snapshot.write(&into)?;
    for (store, runtime) in stores {
        write_store(&store, &into.store(&runtime), runtime.as_str(), progress)?;
    }
    Ok(())
}

fn write_store(store: &StoreSnapshot, into: &Path, what: &str, progress: &Spinner) -> Result<()> {
    let mut total = 0;
    store.write(into, |bytes| {
        total += bytes;
        progress.show(&format!("copying {what}: {}", HumanBytes(total)));
    })?;
    Ok(())
}

/// Refuses a folder that is not empty.
pub(super) fn refuse_occupied(path: &Path) -> Result<()> {
    match fs::read_dir(path) {
        Ok(mut entries) => {
            ensure!(
                entries.next().is_none(),
                "`{}` is not empty", path.display();
                hint: "name a folder that is not there"
            );
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot use `{}`", path.display())),
    }
}

/// Creates a staging folder, readable by this user only: beside the target, or inside it if it exists and is
/// empty, since it may be the root of a volume.
pub(super) fn staging(target: &Path) -> Result<TempDir> {
    let place = match target.parent() {
        _ if target.is_dir() => target,
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let own = fs::Permissions::from_mode(0o700);
    fs::create_dir_all(place)
        .and_then(|()| tempfile::Builder::new().prefix(".krt-").permissions(own).tempdir_in(place))
        .with_context(|| format!("cannot make a folder in `{}`", place.display()))
}

/// Moves the files of a staging folder to the target.
pub(super) fn publish(staging: TempDir, target: &Path) -> Result<()> {
    let failed = || format!("cannot make `{}`", target.display());
    if staging.path().parent() != Some(target) {
        fs::rename(staging.path(), target).with_context(failed)?;
        // The temporary name is gone, so there is nothing left to remove.
        let _ = staging.keep();
        return Ok(());
    }
    let entries = fs::read_dir(staging.path()).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut names: Vec<_> =
        entries.with_context(failed)?.into_iter().map(|entry| entry.file_name()).collect();
    // Move the file that identifies a data folder or a backup last, so that an incomplete one is not taken
    // for either.
    names.sort_by_key(|name| name == "registry.db" || name == manifest::FILE);
    names
        .iter()
        .try_for_each(|name| fs::rename(staging.path().join(name), target.join(name)))
        .with_context(failed)
}

fn summary(manifest: &Manifest) -> String {
    let bytes = HumanBytes(manifest.bytes());
    match manifest.kind {
        Kind::Server => {
            let versions = manifest.packages().count();
            let plural = if versions == 1 { "" } else { "s" };
            format!("a server with {versions} version{plural}, {bytes}")
        }
        Kind::Package => format!("the data of a service, {bytes}"),
    }
}
