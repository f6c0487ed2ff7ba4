//! Exit codes. Clap itself exits with 2 for usage errors.

use std::process::ExitCode;

/// Success.
pub(crate) const SUCCESS: ExitCode = ExitCode::SUCCESS;
/// The command failed; standard error has the reason.
pub(crate) const FAILURE: ExitCode = ExitCode::FAILURE;
/// Interrupted: 128 plus the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;
