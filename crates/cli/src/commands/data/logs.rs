//! `krt data logs`.

use super::{
    paging::LimitArgs,
    printer::{Format, Printed, Printer},
    record::{Cell, Record},
};
use crate::{
    error::Result,
    log::{LogFilterArgs, lines},
    time_spec::SpanArgs,
};
use clap::Args;
use krt_store::{LogFilter, Reader, StoredLog};
use std::{thread, time::Duration};

/// The number of records read at once.
const PAGE: usize = 4096;

/// The interval between polls for new records.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The arguments of `krt data logs`.
#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct LogsArgs {
    #[command(flatten)]
    wanted: LogFilterArgs,

    /// Only records of this version
    #[arg(long, value_name = "NAME")]
    version: Option<String>,

    /// Only records of the request with this id
    #[arg(long, value_name = "ID")]
    request: Option<String>,

    #[command(flatten)]
    limit: LimitArgs,

    /// Follow new records until Ctrl-C
    #[arg(long, short, conflicts_with_all = ["until", "path"])]
    follow: bool,

    #[command(flatten)]
    span: SpanArgs,
}

/// Prints the newest records in chronological order, then follows new ones if requested.
pub(super) fn print(args: &LogsArgs, reader: &Reader, printer: &mut Printer) -> Result<Printed> {
    let filter = args.filter()?;
    let mut log = Log { printer, any: false };
    let (more, after) = match args.limit.of(log.printer.format()) {
        usize::MAX => (false, log.rest(reader, &filter, i64::MIN)?),
        limit => log.newest(reader, &filter, limit)?,
    };
    if args.follow {
        return log.follow(reader, &filter, after);
    }
    Ok(args.limit.note(Printed { any: log.any, more }))
}

/// The number of log records.
pub(super) fn count(reader: &Reader) -> Result<u64> {
    let (mut count, mut after) = (0, i64::MIN);
    loop {
        let page = reader.logs_after(after, &LogFilter::default(), PAGE)?;
        count += page.records.len() as u64;
        if page.records.len() < PAGE {
            return Ok(count);
        }
        after = page.last;
    }
}

impl LogsArgs {
    fn filter(&self) -> Result<LogFilter> {
        let span = self.span.resolve()?;
        Ok(LogFilter {
            text: self.wanted.text.clone(),
            level: self.wanted.level,
            version: self.version.clone(),
            workflow: self.wanted.workflow.clone(),
            node: self.wanted.node.clone(),
            request: self.request.clone(),
            from: span.from,
            to: span.to,
            before: None,
        })
    }
}

/// A log being printed.
struct Log<'a> {
    printer: &'a mut Printer,
    any: bool,
}

impl Log<'_> {
    /// Prints the newest records. Returns whether there are more, and the record after which to continue.
    fn newest(&mut self, reader: &Reader, filter: &LogFilter, limit: usize) -> Result<(bool, i64)> {
        let mut page = reader.logs(filter, limit.saturating_add(1))?;
        let more = page.records.len() > limit;
        if more {
            page.records.remove(0);
        }
        self.put(page.records)?;
        Ok((more, page.last))
    }

    /// Prints all records after one. Returns the record after which to continue.
    fn rest(&mut self, reader: &Reader, filter: &LogFilter, mut after: i64) -> Result<i64> {
        loop {
            let page = reader.logs_after(after, filter, PAGE)?;
            let full = page.records.len() >= PAGE;
            after = page.last;
            self.put(page.records)?;
            if !full {
                return Ok(after);
            }
        }
    }

    /// Prints new records after one, until an error or an interruption.
    fn follow(&mut self, reader: &Reader, filter: &LogFilter, mut after: i64) -> Result<Printed> {
        loop {
            self.printer.flush()?;
            thread::sleep(POLL_INTERVAL);
            after = self.rest(reader, filter, after)?;
        }
    }

    fn put(&mut self, records: Vec<StoredLog>) -> Result<()> {
        let any = !records.is_empty();
        match self.printer.format() {
            Format::Table => records.iter().try_for_each(|record| self.printer.text(&lines(record)))?,
            Format::Json | Format::Csv => {
                self.printer.print_alike(!self.any, records.into_iter().map(Record::from))?;
            }
        }
        self.any |= any;
        Ok(())
    }
}

impl From<StoredLog> for Record {
    fn from(log: StoredLog) -> Self {
        Self::default()
            .with("time", Cell::Time(log.time))
            .with("level", log.level.as_str())
            .with("version", log.version)
            .with("workflow", log.workflow)
            .with("node", log.node)
            .with("request", log.request)
            .with("message", log.message)
    }
}
