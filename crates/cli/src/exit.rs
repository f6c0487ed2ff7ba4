//! Exit codes. Clap itself exits with 2 for what was typed wrongly.

use std::process::ExitCode;

/// All went well.
pub(crate) const SUCCESS: ExitCode = ExitCode::SUCCESS;
/// What was asked for did not succeed; standard error says why.
pub(crate) const FAILURE: ExitCode = ExitCode::FAILURE;
/// The program was interrupted: 128 and the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;
