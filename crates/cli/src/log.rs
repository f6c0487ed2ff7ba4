//! A log record, as people read it.

use crate::{moment, output::visible};
use krt_store::StoredLog;
use std::fmt::Write as _;

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
