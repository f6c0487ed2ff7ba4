//! A client of `krt serve`: its API, as somebody who has signed in.
//!
//! - [`server`]: where it is.
//! - [`login`]: who signed in where, and the tokens.
//! - [`api`]: requests and answers.
//! - [`connector`]: connections, and what to say where there is none.
//! - [`refused`]: what the server says against something.
//! - [`show`]: how what it tells is shown.
//! - [`typed`]: what somebody types, such as passwords.

pub(crate) mod api;
mod connector;
pub(crate) mod login;
mod refused;
mod server;
pub(crate) mod show;
pub(crate) mod typed;

pub(crate) use api::Api;
pub(crate) use refused::{No, Problem};
pub(crate) use server::{Server, query, segment};

use crate::{exit, service::block_on};
use clap::Args;
use login::Login;
use std::{path::PathBuf, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};

/// What a command of a server's takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct TeamArgs {
    /// The server.
    #[arg(
        long,
        value_name = "URL",
        env = "KRT_SERVER",
        global = true,
        help = "The server, such as https://krt.example:9001 [default: that of the last `krt login`]"
    )]
    pub(crate) server: Option<Server>,

    /// Trust the authorities in this PEM file, and not the system's, for https://
    #[arg(long, value_name = "FILE", env = "KRT_CACERT", global = true)]
    cacert: Option<PathBuf>,

    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Why something is done.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CommentArgs {
    /// Why it is done, for the audit log
    #[arg(short = 'm', long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) comment: String,
}

impl TeamArgs {
    /// The server that is meant, with the token for it.
    pub(crate) fn open(&self) -> anyhow::Result<Api> {
        let login = Login::find(self.server.as_ref())?;
        Api::open(login.server, login.by, self.cacert.as_deref().or(login.cacert.as_deref()))
    }
}

/// Works with a server until it is done, or until Ctrl-C.
pub(crate) fn run(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    block_on(async {
        // Listened to before anything is done: a terminal that was made silent must not stay so.
        let mut interrupts = signal(SignalKind::interrupt())?;
        tokio::select! {
            done = work => done.map(|()| exit::SUCCESS),
            _ = interrupts.recv() => Ok(exit::INTERRUPTED.into()),
        }
    })
}
