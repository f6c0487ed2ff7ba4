//! The `krt` command: runs KRT v1 packages.
//!
//! - [`about`]: describes this binary.
//! - [`args`]: the command line.
//! - [`build`]: builds Go and Rust nodes; shared by `run`, `check`, `test` and `pack`.
//! - [`cache`]: the cache folder.
//! - [`client`]: calls gRPC servers.
//! - [`commands`]: one file per command.
//! - [`error`]: the error of all commands, with its hints.
//! - [`service`]: runs a package as a server; shared by `run` and `call --package`.
//! - [`team`]: a client of a server's API; shared by `login`, `runtime`, `version`, `user` and `token`.
//! - [`init`]: the duties of process 1 in a container.
//! - [`log`], [`time_spec`]: format log records and times for people, and parse times.
//! - [`output`]: results on standard output.
//! - [`terminal`]: messages on standard error.
//! - [`tls`]: TLS of clients; certificates and keys.
//! - [`values`]: parsers for the values of flags.

mod about;
mod args;
mod build;
mod cache;
mod client;
mod commands;
mod error;
mod exit;
mod init;
mod log;
mod output;
mod pythons;
mod service;
mod team;
mod terminal;
mod text;
mod time_spec;
mod tls;
mod values;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    krt_allocator::give_large_blocks_back();
    unblock_signals();
    // A worker's guard runs as process 1 of its own namespaces, and reaps the processes in them itself.
    let is_guard = std::env::args_os().nth(1).is_some_and(|word| word == "worker");
    if let Some(code) = (!is_guard).then(init::run).flatten() {
        return code;
    }
    terminal::escape_panics();
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(ended) => return about::print(&ended).unwrap_or_else(|| terminal::end_by(&ended)),
    };
    match commands::execute(args) {
        Ok(code) => code,
        Err(error) if error.is::<output::ClosedPipe>() => exit::SUCCESS,
        Err(error) => {
            terminal::print_error(&error);
            exit::FAILURE
        }
    }
}

/// Unblocks all signals, including those that the parent process had blocked.
///
/// Children inherit the mask: otherwise SIGTERM could not end a worker, or a program started by a handler.
fn unblock_signals() {
    // Fails for an invalid set only.
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
}
