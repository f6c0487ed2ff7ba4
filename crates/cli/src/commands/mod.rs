//! One file a command.

pub(crate) mod run;

use crate::args::{Args, Command};
use std::process::ExitCode;

/// Executes what was typed.
pub(crate) fn execute(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Run(args) => run::execute(args),
    }
}
