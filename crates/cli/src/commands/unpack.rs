//! `krt unpack`: unpacks a `.krt` file into a folder.

use crate::{
    error::{Context as _, Hint as _, Result},
    exit, output,
};
use clap::Args;
use krt_package::archive::{self, Limits};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The arguments of `krt unpack`.
#[derive(Debug, Args)]
#[command(after_help = "\
The folder appears only when it is complete. Archives that would write outside of it are refused.")]
pub(crate) struct UnpackArgs {
    /// The .krt file
    file: PathBuf,

    /// Folder to create [default: the file's name without .krt, in the current folder]
    dir: Option<PathBuf>,
}

/// Unpacks, and prints the folder.
pub(crate) fn execute(args: UnpackArgs) -> Result<ExitCode> {
    let dir = match args.dir {
        Some(dir) => dir,
        None => named_like(&args.file)?,
    };
    archive::unpack_file(&args.file, &dir, &Limits::default())
        .with_context(|| format!("cannot unpack `{}`", args.file.display()))?;
    output::print_data(&dir.display().to_string())?;
    Ok(exit::SUCCESS)
}

fn named_like(file: &Path) -> Result<PathBuf> {
    let is_archive = file.extension().is_some_and(|ending| ending == "krt");
    let name = file.file_stem().filter(|_| is_archive).map(PathBuf::from);
    name.with_context(|| format!("`{}` does not end in .krt", file.display())).hint("name the folder, too")
}
