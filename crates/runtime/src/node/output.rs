//! Turns the lines that user code prints into log records of its node.

use super::{Node, window::Subject};
use crate::{
    flow::now,
    logs::{Record, text},
};
use krt_model::{log::Level, message::Timestamp, name::Name};
use std::{sync::Arc, time::Duration};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Longer lines are cut, in bytes.
const MAX_LINE: u64 = 64 << 10;
/// Longer records are cut, in bytes.
const MAX_RECORD: usize = 256 << 10;
/// Lines within this time of each other form one record.
const RECORD_GAP: Duration = Duration::from_millis(20);

/// The context of a line of output, if known.
#[derive(Debug, Default)]
pub(super) struct LineContext {
    /// The request.
    pub(super) subject: Option<Subject>,
    /// The workflow of the whole process.
    pub(super) workflow: Option<Name>,
}

/// The format of a process's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// Plain text, as the process logs by other means. A line gets the time of its arrival and the level
    /// INFO.
    Plain,
    /// Its time and level (docs/reference/krt-v1.md#logs): an older runner has no other way to log.
    Records,
}

/// Gathers the lines of one record.
#[derive(Debug)]
pub(super) struct RecordBuilder {
    lines: Lines,
    open: Option<Record>,
}

impl RecordBuilder {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines, open: None }
    }

    /// Adds a line. Returns the previous record if the line does not belong to it.
    pub(super) fn line(
        &mut self,
        node: &Node,
        subject: Option<Subject>,
        time: Timestamp,
        line: &str,
    ) -> Option<Record> {
        let line = line.trim_end_matches(['\r', '\n']);
        let start = text::parse(line).filter(|_| self.lines == Lines::Records);
        if let (None, Some(record)) = (&start, &mut self.open)
            && record.request.as_ref() == subject.as_ref().map(Subject::request)
            && record.message.len() + line.len() < MAX_RECORD
        {
            record.message.push('\n');
            record.message.push_str(line);
            return None;
        }
        let start = start.unwrap_or(text::Start { time, level: Level::Info, message: line });
        self.open.replace(Record {
            time: start.time,
            level: start.level,
            workflow: subject.as_ref().map(|subject| subject.workflow().clone()),
            node: Some(node.name.clone()),
            request: subject.map(|subject| Arc::clone(subject.request())),
            message: start.message.to_owned(),
        })
    }

    /// Takes the record gathered so far.
    pub(super) fn take(&mut self) -> Option<Record> {
        self.open.take()
    }
}

/// Reads a worker's standard output or error to its end. `say` is the format of its lines; `of` returns the
/// context of the current line, which `seen` gets, too.
pub(super) async fn read(
    node: Arc<Node>,
    output: impl AsyncRead + Unpin,
    say: Lines,
    of: impl Fn() -> LineContext,
    seen: impl Fn(&str),
) {
    let mut lines = BufReader::new(output);
    let mut gather = RecordBuilder::new(say);
    let mut line = Vec::new();
    let write = |record: Option<Record>| {
        let Some(mut record) = record else { return };
        record.workflow = record.workflow.or_else(|| of().workflow);
        node.logs.write(record);
    };
    loop {
        let mut bounded = (&mut lines).take(MAX_LINE);
        let read = bounded.read_until(b'\n', &mut line);
        tokio::select! {
            read = read => match read {
                Ok(0) | Err(_) => break,
                Ok(_) => {
                    let text = String::from_utf8_lossy(&line);
                    seen(&text);
                    write(gather.line(&node, of().subject, now(), &text));
                    line.clear();
                }
            },
            () = tokio::time::sleep(RECORD_GAP), if gather.open.is_some() => write(gather.take()),
        }
    }
    write(gather.take());
}
