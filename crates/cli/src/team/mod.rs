//! A client of the API of `krt serve`.
//!
//! - [`server`]: the server's URL.
//! - [`login`]: stored logins and tokens.
//! - [`api`]: requests and responses.
//! - [`connector`]: connections and their errors.
//! - [`api_error`]: errors from the server.
//! - [`show`]: output of the server's data.
//! - [`prompt`]: input from the user, such as passwords.

pub(crate) mod api;
mod api_error;
mod auth;
mod connector;
pub(crate) mod login;
pub(crate) mod prompt;
mod server;
pub(crate) mod show;

pub(crate) use api::Api;
pub(crate) use api_error::{ApiError, Problem};
pub(crate) use auth::AuthSource;
pub(crate) use server::{Server, query, segment};

use crate::{error::Result, exit, service::block_on, values::hinted};
use clap::Args;
use krt_api::version::Comment;
use login::Login;
use std::{path::PathBuf, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};

/// The common arguments of commands for a server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct TeamArgs {
    /// The server.
    #[arg(
        long,
        value_name = "URL",
        env = "KRT_SERVER",
        value_parser = hinted::<Server>,
        global = true,
        help = "The server, such as https://krt.example:9001 [default: that of the last `krt login`]"
    )]
    pub(crate) server: Option<Server>,

    /// Trust only the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE", env = "KRT_CACERT", global = true)]
    cacert: Option<PathBuf>,

    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The reason for a change.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CommentArgs {
    /// Reason, for the audit log
    #[arg(short = 'm', long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) comment: String,
}

impl CommentArgs {
    /// The body of a request that only needs the reason.
    pub(crate) fn body(&self) -> Comment {
        Comment { comment: self.comment.clone() }
    }
}

impl TeamArgs {
    /// Opens the selected server with its token.
    pub(crate) fn open(&self) -> Result<Api> {
        let login = Login::find(self.server.as_ref())?;
        Api::open(login.server, login.by, self.cacert.as_deref().or(login.cacert.as_deref()))
    }
}

/// Runs `work` until it ends, or until Ctrl-C.
pub(crate) fn run(work: impl Future<Output = Result<()>>) -> Result<ExitCode> {
    block_on(async {
        // Register first: Ctrl-C must restore a terminal whose echo is off.
        let mut interrupts = signal(SignalKind::interrupt())?;
        tokio::select! {
            done = work => done.map(|()| exit::SUCCESS),
            _ = interrupts.recv() => Ok(exit::INTERRUPTED.into()),
        }
    })
}
