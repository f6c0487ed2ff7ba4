//! Log records: which are wanted, and how people read them.

use crate::{moment, output::visible};
use clap::Args;
use krt_store::{Level, StoredLog};
use std::fmt::Write as _;

/// Which records are wanted.
#[derive(Debug, Args)]
pub(crate) struct WantedArgs {
    /// Only records with this text in their message, in whatever case
    pub(crate) text: Option<String>,

    /// Only records at least as grave: debug, info, warn or error
    #[arg(long, value_name = "LEVEL")]
    pub(crate) level: Option<Level>,

    /// Only records of this node
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,

    /// Only records of this workflow
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
}

/// A record as `krt run` shows it, with its date; what has several lines is indented.
pub(crate) fn lines(log: &StoredLog) -> String {
    let node = log.node.as_deref().unwrap_or("krt");
    let time = moment::show(log.time - log.time.rem_euclid(1_000_000));
    let mut message = log.message.lines();
    let mut text =
        format!("{time} {:5} {node:<10} {}", log.level, visible(message.next().unwrap_or_default()));
    if let Some(request) = &log.request {
        let _ = write!(text, "  request={request}");
    }
    text.push('\n');
    for line in message {
        let _ = writeln!(text, "{:42}{}", "", visible(line));
    }
    text
}
