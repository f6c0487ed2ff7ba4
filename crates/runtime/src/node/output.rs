//! What user code prints: lines of text that become records of its node.

use super::{Node, window::Subject};
use crate::{
    flow::now,
    logs::{Level, Record, text},
};
use krt_model::message::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// A longer line is cut into several, bytes.
const LINE: u64 = 64 << 10;
/// A record of more bytes is cut into several.
const RECORD: usize = 256 << 10;
/// Lines that come within this time of one another are one record.
const TOGETHER: Duration = Duration::from_millis(20);

/// Gathers lines of text that belong to one record.
#[derive(Debug, Default)]
pub(super) struct Gather(Option<Record>);

impl Gather {
    /// Adds a line; returns the record before, when the line does not belong to it.
    pub(super) fn line(
        &mut self,
        node: &Node,
        subject: Option<Subject>,
        time: Timestamp,
        line: &str,
    ) -> Option<Record> {
        let line = line.trim_end_matches(['\r', '\n']);
        let start = text::parse(line);
        if let (None, Some(record)) = (&start, &mut self.0)
            && record.request.as_ref() == subject.as_ref().map(Subject::request)
            && record.message.len() + line.len() < RECORD
        {
            record.message.push('\n');
            record.message.push_str(line);
            return None;
        }
        let start = start.unwrap_or(text::Start { time, level: Level::Info, message: line });
        self.0.replace(Record {
            time: start.time,
            level: start.level,
            workflow: subject.as_ref().map(|subject| subject.workflow().clone()),
            node: Some(node.name.clone()),
            request: subject.map(|subject| Arc::clone(subject.request())),
            message: start.message.to_owned(),
        })
    }

    /// The record gathered so far.
    pub(super) fn take(&mut self) -> Option<Record> {
        self.0.take()
    }
}

/// Reads a host's standard output or error until its end.
pub(super) async fn read(node: Arc<Node>, output: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(output);
    let mut gather = Gather::default();
    let mut line = Vec::new();
    loop {
        let mut bounded = (&mut lines).take(LINE);
        let read = bounded.read_until(b'\n', &mut line);
        tokio::select! {
            read = read => match read {
                Ok(0) | Err(_) => break,
                Ok(_) => {
                    let text = String::from_utf8_lossy(&line);
                    gather.line(&node, None, now(), &text).into_iter().for_each(|record| node.logs.write(record));
                    line.clear();
                }
            },
            () = tokio::time::sleep(TOGETHER), if gather.0.is_some() => {
                gather.take().into_iter().for_each(|record| node.logs.write(record));
            }
        }
    }
    gather.take().into_iter().for_each(|record| node.logs.write(record));
}
