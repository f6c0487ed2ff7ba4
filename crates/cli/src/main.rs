//! The `krt` command: runs KRT v1 packages.
//!
//! - [`args`]: what can be typed.
//! - [`commands`]: one file a command.
//! - [`service`]: from a package to a running server; `run` and `call --package` share it.
//! - [`terminal`]: what is shown to the person at the terminal.

mod args;
mod commands;
mod exit;
mod service;
mod terminal;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::parse();
    match commands::execute(args) {
        Ok(code) => code,
        Err(error) => {
            terminal::print_error(&error);
            exit::FAILURE
        }
    }
}
