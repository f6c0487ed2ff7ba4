//! `krt restore`: creates a data folder from a backup.

use super::backup::{
    self,
    manifest::{Kind, Manifest},
};
use crate::{
    error::{Context as _, Result},
    exit, output,
    terminal::Spinner,
};
use clap::Args;
use krt_package::archive::{self, Limits};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The arguments of `krt restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
Verifies the checksum of every file; the data folder appears only when it is complete. `krt serve`
then starts the versions that ran when the backup was made. Users, passwords and tokens are those
of that moment: a token that was deleted later is valid again. Users have to sign in again.

Examples:
  krt restore /backups/krt-2026-01-31 --data /var/lib/krt
  krt serve --data /var/lib/krt")]
pub(crate) struct RestoreArgs {
    /// Backup: a folder that `krt backup` created
    backup: PathBuf,

    /// Data folder to create; it must not exist, or must be empty
    #[arg(long, value_name = "DIR", default_value = ".krt-server", env = "KRT_DATA")]
    data: PathBuf,
}

/// Creates the data folder.
pub(crate) fn execute(args: &RestoreArgs) -> Result<ExitCode> {
    let manifest = Manifest::load(&args.backup)?;
    backup::refuse_occupied(&args.data)?;
    let staging = backup::staging(&args.data)?;
    let progress = Spinner::start("copying files");
    manifest.copy(&args.backup, staging.path())?;
    if manifest.kind == Kind::Server {
        progress.show("unpacking packages");
        manifest.packages().try_for_each(|package| unpack(&staging.path().join(package)))?;
    }
    backup::publish(staging, &args.data)?;
    drop(progress);
    let (data, command) = (args.data.display(), if manifest.kind == Kind::Server { "serve" } else { "run" });
    output::print(&format!("{data} is restored; start it with `krt {command} --data {data}`"))?;
    Ok(exit::SUCCESS)
}

/// Unpacks a version's package next to the archive.
fn unpack(archive: &Path) -> Result<()> {
    archive::unpack_file(archive, &archive.with_file_name("package"), &Limits::default())
        .with_context(|| format!("cannot unpack `{}`", archive.display()))
}
