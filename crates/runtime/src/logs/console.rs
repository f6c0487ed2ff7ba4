//! The form of records on standard error: for people on a terminal, JSON lines otherwise.

use super::Record;
use krt_model::{escape, log::Level, name::Name};
use serde::Serialize;
use std::{
    fmt::Write as _,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// The form of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people, with or without colours.
    Pretty {
        /// Whether to use colours.
        colour: bool,
    },
    /// One JSON object per line.
    Json,
}

/// Writes records on its own thread, so that a slow terminal blocks no other work.
#[derive(Debug, Clone)]
pub struct Console {
    pub(super) format: Format,
    lines: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Line {
    /// Boxed, since the channel allocates room for all waiting entries.
    Record(Option<Arc<str>>, Box<Record>),
    Flush(SyncSender<()>),
}

/// Records that may wait for a slow reader.
const CAPACITY: usize = 16 * 1024;

impl Console {
    /// Starts the thread that writes to `out`. It ends when the last clone is dropped.
    pub fn start(format: Format, out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, waiting) = mpsc::sync_channel(CAPACITY);
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer { format, out, dropped: Arc::clone(&dropped) };
        thread::Builder::new().name("krt-console".to_owned()).spawn(move || writer.run(&waiting))?;
        Ok(Self { format, lines, dropped })
    }

    pub(super) fn write(&self, version: Option<&Arc<str>>, record: Record) {
        if let Err(TrySendError::Full(_)) =
            self.lines.try_send(Line::Record(version.cloned(), Box::new(record)))
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn flush(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.lines.try_send(Line::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(Duration::from_secs(1));
        }
    }
}

struct Writer<W> {
    format: Format,
    out: W,
    dropped: Arc<AtomicU64>,
}

impl<W: Write> Writer<W> {
    fn run(mut self, waiting: &Receiver<Line>) {
        let mut buffer = String::new();
        while let Ok(first) = waiting.recv() {
            buffer.clear();
            let mut flushed = Vec::new();
            for line in std::iter::once(first).chain(waiting.try_iter().take(256)) {
                match line {
                    Line::Record(version, record) => {
                        self.format.put(&mut buffer, version.as_deref(), &record);
                    }
                    Line::Flush(done) => flushed.push(done),
                }
            }
            self.report_dropped(&mut buffer);
            // The reader is gone, and there is no better place to report it.
            let _ = self.out.write_all(buffer.as_bytes()).and_then(|()| self.out.flush());
            for done in flushed {
                let _ = done.send(());
            }
        }
    }

    fn report_dropped(&self, buffer: &mut String) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let record = Record {
                time: crate::flow::now(),
                level: Level::Warn,
                workflow: None,
                node: None,
                request: None,
                message: format!("{dropped} log records are not shown here: the console is too slow"),
            };
            self.format.put(buffer, None, &record);
        }
    }
}

const TIME_FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[hour]:[minute]:[second].[subsecond digits:3]");
const DATE_TIME_FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

impl Format {
    fn put(self, buffer: &mut String, version: Option<&str>, record: &Record) {
        match self {
            Self::Pretty { colour } => put_pretty(buffer, record, colour),
            Self::Json => put_json(buffer, version, record),
        }
    }
}

fn format_time(record: &Record, format: &[BorrowedFormatItem<'_>]) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(record.time.0))
        .ok()
        .and_then(|format_time| format_time.format(format).ok())
        .unwrap_or_else(|| record.time.0.to_string())
}

fn put_pretty(buffer: &mut String, record: &Record, colour: bool) {
    let (dim, level_colour, reset) =
        if colour { ("\x1b[2m", level_colour(record.level), "\x1b[0m") } else { ("", "", "") };
    let node = record.node.as_ref().map_or("krt", |node| node.as_str());
    let clock = format_time(record, TIME_FORMAT);
    // Further lines of a message are indented, so that none looks like a separate record.
    let mut lines = record.message.lines().map(escape::line);
    let first = lines.next().unwrap_or_default();
    let _ = write!(buffer, "{dim}{clock}{reset} {level_colour}{:5}{reset} {node:<10} {first}", record.level);
    if let Some(request) = &record.request {
        let _ = write!(buffer, "  {dim}request={}{reset}", escape::Line(request));
    }
    buffer.push('\n');
    for line in lines {
        let _ = writeln!(buffer, "{:30}{line}", "");
    }
}

fn level_colour(level: Level) -> &'static str {
    match level {
        Level::Debug => "\x1b[2m",
        Level::Info => "\x1b[32m",
        Level::Warn => "\x1b[33m",
        Level::Error => "\x1b[31m",
    }
}

fn put_json(buffer: &mut String, version: Option<&str>, record: &Record) {
    #[derive(Serialize)]
    struct Line<'a> {
        time: String,
        level: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        workflow: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<&'a str>,
        message: &'a str,
    }
    let line = Line {
        time: format_time(record, DATE_TIME_FORMAT),
        level: record.level.as_str(),
        version,
        workflow: record.workflow.as_ref().map(Name::as_str),
        node: record.node.as_ref().map(Name::as_str),
        request: record.request.as_deref(),
        message: &record.message,
    };
    buffer.push_str(&escape::json(&serde_json::to_string(&line).expect("texts are JSON")));
    buffer.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::{message::Timestamp, name::Name};

    fn record() -> Record {
        Record {
            time: Timestamp(1_704_067_200_123_456_789),
            level: Level::Warn,
            workflow: Name::parse("price").ok(),
            node: Name::parse("model").ok(),
            request: Some("r-1".into()),
            message: "no \"price\"\nsecond line".to_owned(),
        }
    }

    #[test]
    fn pretty() {
        let mut text = String::new();
        put_pretty(&mut text, &record(), false);
        let indent = " ".repeat(30);
        assert_eq!(
            text,
            format!("00:00:00.123 WARN  model      no \"price\"  request=r-1\n{indent}second line\n")
        );
    }

    #[test]
    fn a_message_forges_no_record() {
        let forged =
            "said\r00:00:00.000 ERROR krt  forged\n00:00:00.000 ERROR krt        forged\u{2028}\u{1b}[1A";
        let record = Record { message: forged.to_owned(), request: Some("r\n1".into()), ..record() };
        let mut text = String::new();
        put_pretty(&mut text, &record, false);
        let indent = " ".repeat(30);
        assert_eq!(
            text,
            format!(
                "00:00:00.123 WARN  model      said\\r00:00:00.000 ERROR krt  forged  request=r\\n1\n{indent}00:00:00.000 \
                 ERROR krt        forged\\u{{2028}}\\u{{1b}}[1A\n"
            )
        );
        let mut text = String::new();
        put_json(&mut text, None, &record);
        assert!(text.is_ascii() && text.matches('\n').count() == 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&line["message"], &line["level"]),
            (&serde_json::json!(forged), &serde_json::json!("WARN"))
        );
    }

    #[test]
    fn json() {
        let mut text = String::new();
        put_json(&mut text, Some("v1"), &record());
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            line,
            serde_json::json!({
                "time": "2024-01-01T00:00:00.123Z", "level": "WARN", "version": "v1", "workflow": "price",
                "node": "model", "request": "r-1", "message": "no \"price\"\nsecond line",
            })
        );
    }
}
