//! `krt man`: writes manual pages.

use crate::{
    args,
    error::{Context as _, Result},
    exit,
};
use clap::{Args, CommandFactory as _};
use std::{fs, path::PathBuf, process::ExitCode};

/// The arguments of `krt man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes one page for each command: krt.1, krt-run.1, krt-version-start.1, ...

To read them with `man krt`, without root:
  krt man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Folder for the pages; created if it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the pages.
pub(crate) fn execute(args: &ManArgs) -> Result<ExitCode> {
    let folder = &args.folder;
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(args::Args::command(), folder))
        .with_context(|| format!("cannot write manual pages to `{}`", folder.display()))?;
    Ok(exit::SUCCESS)
}
