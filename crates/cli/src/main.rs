//! The `krt` command: runs KRT v1 packages.
//!
//! - [`args`]: what can be typed.
//! - [`build`]: builds nodes in Go and Rust; `run`, `check`, `test` and `pack` share it.
//! - [`cache`]: the folder for what is kept between runs.
//! - [`client`]: calls servers, this one and others.
//! - [`commands`]: one file a command.
//! - [`service`]: from a package to a running server; `run` and `call --package` share it.
//! - [`team`]: a client of a server's API; `login`, `runtime`, `version`, `user` and `token` share it.
//! - [`log`], [`moment`]: log records and times, as people read and type them.
//! - [`output`]: results, on standard output.
//! - [`terminal`]: what is shown to the person at the terminal.
//! - [`tls`]: of clients; certificates and keys.
//! - [`values`]: how the values of flags are written.

mod args;
mod build;
mod cache;
mod client;
mod commands;
mod exit;
mod log;
mod moment;
mod output;
mod service;
mod team;
mod terminal;
mod tls;
mod values;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::parse();
    match commands::execute(args) {
        Ok(code) => code,
        Err(error) if error.is::<output::NobodyReads>() => exit::SUCCESS,
        Err(error) => {
            terminal::print_error(&error);
            exit::FAILURE
        }
    }
}
