//! `krt prepare`: makes what the nodes of an isolated version run in, started by `krt serve --isolate`.

use crate::{
    error::Result,
    exit,
    service::{block_on, isolated},
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// The arguments of `krt prepare`.
#[derive(Debug, Args)]
pub(crate) struct PrepareArgs {
    /// File with the order
    order: PathBuf,

    /// Folder for the result
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Makes it, and prints the result as JSON.
pub(crate) fn execute(args: &PrepareArgs) -> Result<ExitCode> {
    block_on(isolated::prepare(&args.order, &args.folder))?;
    Ok(exit::SUCCESS)
}
