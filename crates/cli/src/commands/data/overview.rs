//! The overview of a store: names, counts, times, sizes.

use super::{
    logs,
    measurements::Measurement,
    printer::{Printed, Printer},
    record::{Cell, Record},
};
use crate::error::{Context as _, Result};
use krt_store::Reader;
use std::{fs, io, path::Path};

/// Prints one line for each measurement, each collection, the logs, and each file.
pub(super) fn print(reader: &Reader, folder: &Path, printer: &mut Printer) -> Result<Printed> {
    let mut lines = Vec::new();
    lines.extend(Measurement::all(reader)?.into_iter().map(Line::measurement));
    lines.extend(
        reader.collections()?.into_iter().map(|it| Line::counted("collection", it.name, it.documents)),
    );
    lines.push(Line::counted("logs", "records".to_owned(), logs::count(reader)?));
    let files = files(folder).with_context(|| format!("failed to look into `{}`", folder.display()))?;
    lines.extend(files.into_iter().map(|(name, bytes)| Line::file(name, bytes)));
    printer.print_all(lines.into_iter().map(Record::from).collect())
}

/// One item in the store.
struct Line {
    kind: &'static str,
    name: String,
    count: Option<u64>,
    span: Option<(i64, i64)>,
    bytes: Option<u64>,
}

impl Line {
    fn measurement(of: Measurement) -> Self {
        Self { span: Some((of.first, of.last)), ..Self::counted("measurement", of.name, of.points) }
    }

    fn counted(kind: &'static str, name: String, count: u64) -> Self {
        Self { kind, name, count: Some(count), span: None, bytes: None }
    }

    fn file(name: String, bytes: u64) -> Self {
        Self { kind: "file", name, count: None, span: None, bytes: Some(bytes) }
    }
}

impl From<Line> for Record {
    fn from(line: Line) -> Self {
        Self::default()
            .with("kind", line.kind)
            .with("name", line.name)
            .with("count", line.count)
            .with("first", line.span.map(|(first, _)| Cell::Time(first)))
            .with("last", line.span.map(|(_, last)| Cell::Time(last)))
            .with("bytes", line.bytes.map(Cell::Bytes))
    }
}

/// The store's non-empty files, by name, with their sizes.
fn files(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(found) if found.is_file() && found.len() > 0 => {
                files.push((entry.file_name().to_string_lossy().into_owned(), found.len()));
            }
            Ok(_) => {}
            // SQLite removes its files when the last reader has closed them.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    files.sort();
    Ok(files)
}
