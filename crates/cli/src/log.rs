//! Filters log records, and formats them for people.

use crate::time_spec;
use clap::Args;
use krt_model::{escape, log::Level};
use krt_store::StoredLog;
use std::fmt::Write as _;

/// The filters for log records.
#[derive(Debug, Args)]
pub(crate) struct LogFilterArgs {
    /// Only records whose message contains this text, ignoring case
    pub(crate) text: Option<String>,

    /// Only records of at least this level: debug, info, warn or error
    #[arg(long, value_name = "LEVEL")]
    pub(crate) level: Option<Level>,

    /// Only records of this node
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,

    /// Only records of this workflow
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
}

/// Formats a record as `krt run` does, with its date; further lines are indented.
pub(crate) fn lines(log: &StoredLog) -> String {
    let node = escape::Line(log.node.as_deref().unwrap_or("krt"));
    let time = time_spec::show(log.time - log.time.rem_euclid(1_000_000));
    let mut message = log.message.lines();
    let mut text =
        format!("{time} {:5} {node:<10} {}", log.level, escape::line(message.next().unwrap_or_default()));
    if let Some(request) = &log.request {
        let _ = write!(text, "  request={}", escape::Line(request));
    }
    text.push('\n');
    for line in message {
        let _ = writeln!(text, "{:42}{}", "", escape::line(line));
    }
    text
}
