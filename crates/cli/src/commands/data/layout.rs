//! The columns for records that may have different fields.

use super::record::{Cell, Column, Record};
use krt_model::escape;
use std::{borrow::Cow, collections::HashMap};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The maximum width of a value in a table.
const MAX_WIDTH: usize = 60;

/// Columns in order, with their widths in a table.
#[derive(Debug, Default)]
pub(super) struct Layout {
    columns: Vec<Known>,
    places: HashMap<Column, usize>,
}

#[derive(Debug)]
struct Known {
    column: Column,
    width: usize,
    numbers: bool,
}

impl Layout {
    /// Adds a record's columns, and widens existing ones.
    pub(super) fn add(&mut self, record: &Record) {
        let mut before = None;
        for (column, cell) in record.fields() {
            let place = match self.places.get(column) {
                Some(&place) => place,
                None => self.insert(column.clone(), before),
            };
            let known = &mut self.columns[place];
            known.width = known.width.max(cut(&cell.shown()).width());
            known.numbers &= cell.is_number() || matches!(cell, Cell::Missing);
            before = Some(place);
        }
    }

    /// Inserts a new column after its predecessor in the record, and after the columns there that have the
    /// same group.
    fn insert(&mut self, column: Column, before: Option<usize>) -> usize {
        let start = before.map_or(0, |place| place + 1);
        let same = self.columns[start..].iter().take_while(|known| known.column.group() == column.group());
        let place = start + same.count();
        let width = cut(column.title()).width();
        self.columns.insert(place, Known { column, width, numbers: true });
        for (offset, known) in self.columns[place..].iter().enumerate() {
            self.places.insert(known.column.clone(), place + offset);
        }
        place
    }

    /// The columns' full names, for programs.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.columns.iter().map(|known| known.column.to_string())
    }

    /// Returns a record's values, one per column, and whether the record has values without a column.
    pub(super) fn align<'a>(&self, record: &'a Record) -> (Vec<&'a Cell>, bool) {
        let mut cells = vec![&Cell::Missing; self.columns.len()];
        let mut strange = false;
        for (column, cell) in record.fields() {
            match self.places.get(column) {
                Some(&place) => cells[place] = cell,
                None => strange = true,
            }
        }
        (cells, strange)
    }

    /// The table's header: names, each underlined.
    pub(super) fn head(&self) -> String {
        let titles = self.line(self.columns.iter().map(|known| cut(known.column.title())));
        let rules = self.line(self.columns.iter().map(|known| Cow::Owned("─".repeat(known.width))));
        format!("{titles}\n{rules}\n")
    }

    /// One row of the table.
    pub(super) fn row(&self, cells: &[&Cell]) -> String {
        let mut line = self.line(cells.iter().map(|cell| cut(&cell.shown()).into_owned().into()));
        line.push('\n');
        line
    }

    fn line<'a>(&self, texts: impl Iterator<Item = Cow<'a, str>>) -> String {
        let mut line = String::new();
        for (known, text) in self.columns.iter().zip(texts) {
            let gap = " ".repeat(known.width.saturating_sub(text.width()));
            line.push_str(&if known.numbers { format!("{gap}{text}  ") } else { format!("{text}{gap}  ") });
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Fits a text on one line of a table: escapes control characters, and cuts a long text.
fn cut(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.width().is_some() && !escape::is_hidden(c);
    if text.len() <= MAX_WIDTH && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    let mut width = 0;
    for c in text.chars() {
        let piece: String = if plain(c) { c.into() } else { c.escape_default().collect() };
        width += piece.width();
        if width > MAX_WIDTH {
            while shown.width() >= MAX_WIDTH {
                shown.pop();
            }
            shown.push('…');
            break;
        }
        shown.push_str(&piece);
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(records: &[Record]) -> Vec<String> {
        let mut layout = Layout::default();
        records.iter().for_each(|record| layout.add(record));
        layout.names().collect()
    }

    fn point(tags: &[&str], fields: &[&str]) -> Record {
        let values = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 1.0)).collect::<Vec<_>>();
        Record::default()
            .with("time", 0.0)
            .with_group("tags", values(tags))
            .with_group("fields", values(fields))
    }

    #[test]
    fn columns_stay_with_their_group() {
        let records = [point(&[], &["b"]), point(&["x"], &["a"]), point(&["y"], &["c"])];
        assert_eq!(names(&records), ["time", "tags.x", "tags.y", "fields.b", "fields.a", "fields.c"]);
    }

    #[test]
    fn a_table_of_different_records() {
        let records = [
            Record::default().with("name", "a").with("count", 5_u64),
            Record::default().with("name", "日本").with("more", "two\nlines"),
        ];
        let mut layout = Layout::default();
        records.iter().for_each(|record| layout.add(record));
        let rows: String = records.iter().map(|record| layout.row(&layout.align(record).0)).collect();
        assert_eq!(
            format!("{}{rows}", layout.head()),
            "name  count  more\n────  ─────  ──────────\na         5\n日本         two\\nlines\n"
        );
    }

    #[test]
    fn missing_columns_are_noticed() {
        let mut layout = Layout::default();
        layout.add(&Record::default().with("a", 1_u64));
        assert!(!layout.align(&Record::default()).1);
        assert!(layout.align(&Record::default().with("b", 1_u64)).1);
    }

    #[test]
    fn long_texts_are_cut_and_escapes_shown() {
        assert_eq!(cut("\x1b[31mred"), "\\u{1b}[31mred");
        assert_eq!(cut(&"x".repeat(60)), "x".repeat(60));
        assert_eq!(cut(&"x".repeat(61)), format!("{}…", "x".repeat(59)));
        assert_eq!(cut(&"日".repeat(40)), format!("{}…", "日".repeat(29)));
    }
}
