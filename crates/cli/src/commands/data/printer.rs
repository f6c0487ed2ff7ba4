//! Writes records in any format.

use super::{destination::Destination, layout::Layout, record::Record};
use crate::{error::Result, terminal};
use clap::ValueEnum;
use std::io::{self, Write as _};

/// The format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// Table for people; long values are cut
    #[default]
    Table,
    /// One JSON object per line
    Json,
    /// CSV with a header
    Csv,
}

/// Records, read lazily.
pub(super) type Records<'a> = Box<dyn Iterator<Item = Result<Record>> + 'a>;

/// A summary of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Printed {
    /// Whether there were any results.
    pub(super) any: bool,
    /// Whether there are results beyond the limit.
    pub(super) more: bool,
}

/// Writes records.
#[derive(Debug)]
pub(super) struct Printer {
    format: Format,
    out: Destination,
}

impl Printer {
    pub(super) fn new(format: Format, out: Destination) -> Self {
        Self { format, out }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Writes at most `limit` records.
    ///
    /// Columns and their widths are known only after all records were read. Few records are kept until then;
    /// many are read a second time, so that memory stays bounded.
    pub(super) fn print<'a>(
        &mut self,
        limit: usize,
        open: &dyn Fn() -> Result<Records<'a>>,
    ) -> Result<Printed> {
        let mut records = open()?;
        let mut first = records.by_ref().take(limit);
        let any = match self.format {
            Format::Json => self.objects(&mut first)?,
            Format::Table | Format::Csv => {
                let mut seen = Seen::read(&mut first)?;
                match seen.kept.take() {
                    Some(kept) => self.rows(&seen.layout, &mut kept.into_iter().map(Ok))?,
                    None => self.rows(&seen.layout, &mut open()?.take(limit))?,
                }
            }
        };
        let more = records.next().transpose()?.is_some();
        Ok(Printed { any, more })
    }

    /// Writes a small number of records.
    pub(super) fn print_all(&mut self, records: Vec<Record>) -> Result<Printed> {
        let mut seen = Layout::default();
        records.iter().for_each(|record| seen.add(record));
        let mut records = records.into_iter().map(Ok);
        let any = match self.format {
            Format::Json => self.objects(&mut records)?,
            Format::Table | Format::Csv => self.rows(&seen, &mut records)?,
        };
        Ok(Printed { any, more: false })
    }

    /// Writes records that all have the columns of the first one, with an optional header.
    pub(super) fn print_alike(&mut self, header: bool, records: impl Iterator<Item = Record>) -> Result<()> {
        let mut records = records.peekable();
        let Some(first) = records.peek() else { return Ok(()) };
        let mut layout = Layout::default();
        layout.add(first);
        match self.format {
            Format::Json => self.objects(&mut records.map(Ok)).map(drop),
            Format::Csv => self.csv(&layout, header, &mut records.map(Ok)).map(drop),
            Format::Table => self.table(&layout, header, &mut records.map(Ok)).map(drop),
        }
    }

    /// Writes text for people.
    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// Flushes the output.
    pub(super) fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }

    /// Finishes the output.
    pub(super) fn finish(self) -> Result<()> {
        self.out.finish()
    }

    /// Writes one JSON object per line. Returns whether there were any.
    fn objects(&mut self, records: &mut dyn Iterator<Item = Result<Record>>) -> Result<bool> {
        let mut any = false;
        for record in records {
            let mut line = serde_json::to_string(&record?)?;
            line.push('\n');
            self.out.write_all(line.as_bytes())?;
            any = true;
        }
        Ok(any)
    }

    fn rows(&mut self, layout: &Layout, records: &mut dyn Iterator<Item = Result<Record>>) -> Result<bool> {
        let rows = match self.format {
            Format::Csv => self.csv(layout, true, records)?,
            Format::Table | Format::Json => self.table(layout, true, records)?,
        };
        if rows.incomplete > 0 {
            let rows = rows.incomplete;
            let message = format!("{rows} rows lack fields that appeared while the table was written");
            terminal::print_warning_with_hint(&message, "run the command again");
        }
        Ok(rows.any)
    }

    fn table(
        &mut self,
        layout: &Layout,
        header: bool,
        records: &mut dyn Iterator<Item = Result<Record>>,
    ) -> Result<Rows> {
        let mut rows = Rows::default();
        for record in records {
            if header && !rows.any {
                self.out.write_all(layout.head().as_bytes())?;
            }
            let record = record?;
            let (cells, strange) = layout.align(&record);
            self.out.write_all(layout.row(&cells).as_bytes())?;
            rows.count(strange);
        }
        Ok(rows)
    }

    fn csv(
        &mut self,
        layout: &Layout,
        header: bool,
        records: &mut dyn Iterator<Item = Result<Record>>,
    ) -> Result<Rows> {
        let mut out = csv::Writer::from_writer(&mut self.out);
        let mut rows = Rows::default();
        for record in records {
            if header && !rows.any {
                out.write_record(layout.names()).map_err(written)?;
            }
            let record = record?;
            let (cells, strange) = layout.align(&record);
            out.write_record(cells.iter().map(|cell| cell.text().into_owned())).map_err(written)?;
            rows.count(strange);
        }
        out.flush()?;
        Ok(rows)
    }
}

/// Unwraps the output's error from the CSV writer's, which exposes it without a source.
fn written(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// The rows written so far.
#[derive(Debug, Default)]
struct Rows {
    any: bool,
    incomplete: u64,
}

impl Rows {
    fn count(&mut self, strange: bool) {
        self.any = true;
        self.incomplete += u64::from(strange);
    }
}

/// The limits of kept records: their number, and their text in bytes.
const MAX_KEPT: usize = 1000;
const MAX_KEPT_BYTES: usize = 4 << 20;

/// The common properties of all records, and the records themselves if they are few.
#[derive(Debug)]
struct Seen {
    layout: Layout,
    kept: Option<Vec<Record>>,
}

impl Seen {
    fn read(records: &mut dyn Iterator<Item = Result<Record>>) -> Result<Self> {
        let mut seen = Self { layout: Layout::default(), kept: Some(Vec::new()) };
        let mut bytes = 0;
        for record in records {
            let record = record?;
            seen.layout.add(&record);
            bytes += record.fields().iter().map(|(_, cell)| cell.text().len()).sum::<usize>();
            match &mut seen.kept {
                Some(kept) if kept.len() < MAX_KEPT && bytes < MAX_KEPT_BYTES => kept.push(record),
                kept => *kept = None,
            }
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn print(format: Format, limit: usize, open: &dyn Fn() -> Result<Records<'static>>) -> (String, Printed) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut printer =
            Printer::new(format, Destination::open(Some(&path), krt_model::escape::lines).unwrap());
        let printed = printer.print(limit, open).unwrap();
        printer.finish().unwrap();
        (std::fs::read_to_string(path).unwrap(), printed)
    }

    #[test]
    fn records_past_the_buffer_are_read_again() {
        for count in [MAX_KEPT as u64, MAX_KEPT as u64 + 1] {
            let opened = Cell::new(0);
            let open = || -> Result<Records<'static>> {
                opened.set(opened.get() + 1);
                Ok(Box::new((0..count).map(|n| Ok(Record::default().with("n", n)))))
            };
            let (text, printed) = print(Format::Csv, usize::MAX, &open);
            let expected: String = (0..count).map(|n| format!("{n}\n")).collect();
            assert_eq!(text, format!("n\n{expected}"));
            assert_eq!(printed, Printed { any: true, more: false });
            assert_eq!(opened.get(), if count > MAX_KEPT as u64 { 2 } else { 1 });
        }
    }

    #[test]
    fn the_limit_applies_to_every_format() {
        let open = || -> Result<Records<'static>> {
            Ok(Box::new((0..5_u64).map(|n| Ok(Record::default().with("n", n)))))
        };
        for (format, two) in [
            (Format::Table, "n\n─\n0\n1\n"),
            (Format::Csv, "n\n0\n1\n"),
            (Format::Json, "{\"n\":0}\n{\"n\":1}\n"),
        ] {
            assert_eq!(print(format, 2, &open), (two.to_owned(), Printed { any: true, more: true }));
            assert_eq!(print(format, 0, &open), (String::new(), Printed { any: false, more: true }));
            assert_eq!(print(format, 5, &open).1, Printed { any: true, more: false });
        }
    }

    #[test]
    fn fields_added_between_readings_do_not_change_the_columns() {
        let opened = Cell::new(0);
        let open = || -> Result<Records<'static>> {
            opened.set(opened.get() + 1);
            let late = opened.get() > 1;
            Ok(Box::new((0..=MAX_KEPT as u64).map(move |n| {
                let record = Record::default().with("n", n);
                Ok(if late { record.with("late", n) } else { record })
            })))
        };
        let (text, _) = print(Format::Csv, usize::MAX, &open);
        assert!(text.lines().all(|line| !line.contains(',')));
        assert_eq!(text.lines().count(), MAX_KEPT + 2);
    }
}
