//! Aggregates points over time windows.

use super::{
    paging::LimitArgs,
    printer::{Printed, Printer},
    record::{Cell, Record},
    unknown,
};
use crate::error::Result;
use krt_store::{Order, PointFilter, Reader, Window, WindowQuery};
use std::collections::BTreeSet;

/// The number of newest points that are searched for existing fields.
const MAX_SEARCHED: usize = 1000;

/// Prints one record per window and group.
pub(super) fn print(
    query: &WindowQuery,
    limit: &LimitArgs,
    reader: &Reader,
    printer: &mut Printer,
) -> Result<Printed> {
    let windows = reader.windows(query)?;
    if windows.is_empty() {
        check_field(query, reader)?;
    }
    let more = windows.len() > limit.of(printer.format());
    let shown = windows.iter().take(limit.of(printer.format()));
    let printed = printer.print_all(shown.map(|window| record(window, &query.group_by)).collect())?;
    Ok(limit.note(Printed { more, ..printed }))
}

fn record(window: &Window, by: &[String]) -> Record {
    let tags = by.iter().map(|tag| (tag.clone(), window.group.get(tag).cloned()));
    Record::default()
        .with("start", Cell::Time(window.start))
        .with_group("tags", tags)
        .with("count", window.count)
        .with("mean", window.mean())
        .with("min", window.min)
        .with("max", window.max)
        .with("p50", window.p50)
        .with("p95", window.p95)
        .with("p99", window.p99)
}

/// Fails if the measurement has no numeric field of that name.
fn check_field(query: &WindowQuery, reader: &Reader) -> Result<()> {
    let measurement = query.points.measurement.clone();
    let lacks = format!("`{measurement}` has no numbers in a field");
    let all = PointFilter { measurement, ..PointFilter::default() };
    let mut known = BTreeSet::new();
    for point in reader.points(&all, Order::NewestFirst, MAX_SEARCHED)? {
        known.extend(
            point.fields.into_iter().filter(|(_, value)| value.number().is_some()).map(|(name, _)| name),
        );
    }
    Ok(unknown::check(&lacks, &query.field, known.into_iter().collect())?)
}
