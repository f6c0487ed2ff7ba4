//! `krt data measurements`.

use super::{
    paging::{LimitArgs, OrderArgs},
    points::Points,
    printer::{Printed, Printer},
    record::{Cell, Record},
    unknown, windows,
};
use crate::{
    error::{Result, ensure},
    time_spec::SpanArgs,
    values::{duration, pair},
};
use clap::Args;
use krt_store::{PointFilter, Reader, SeriesInfo, WindowQuery};
use std::{collections::BTreeSet, time::Duration};

/// The arguments of `krt data measurements`.
#[derive(Debug, Args)]
pub(super) struct MeasurementsArgs {
    /// Name of the measurement; without it, lists all measurements
    name: Option<String>,

    /// Only points with this tag
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = pair)]
    tags: Vec<(String, String)>,

    #[command(flatten)]
    limit: LimitArgs,

    #[command(flatten)]
    order: OrderArgs,

    /// Aggregate a field over windows of this length, such as 1m
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "field", conflicts_with_all = ["newest", "oldest"], help_heading = "Windows")]
    every: Option<Duration>,

    /// Field to aggregate
    #[arg(long, value_name = "NAME", requires = "every", help_heading = "Windows")]
    field: Option<String>,

    /// Aggregate separately for each value of this tag
    #[arg(long, value_name = "TAG", requires = "every", help_heading = "Windows")]
    by: Vec<String>,

    #[command(flatten)]
    span: SpanArgs,
}

/// A measurement with all its series.
#[derive(Debug)]
pub(super) struct Measurement {
    pub(super) name: String,
    pub(super) points: u64,
    pub(super) first: i64,
    pub(super) last: i64,
    tags: BTreeSet<String>,
}

/// Prints points, aggregates, or a list of measurements.
pub(super) fn print(args: &MeasurementsArgs, reader: &Reader, printer: &mut Printer) -> Result<Printed> {
    let Some(name) = &args.name else { return print_list(args, reader, printer) };
    let filter = args.filter(name, reader)?;
    match (args.every, &args.field) {
        (Some(every), Some(field)) => {
            let query =
                WindowQuery { points: filter, field: field.clone(), every, group_by: args.by.clone() };
            windows::print(&query, &args.limit, reader, printer)
        }
        _ => {
            let limit = args.limit.of(printer.format());
            let points = || Ok(Points::new(reader, filter.clone(), args.order.order(), limit).records());
            Ok(args.limit.note(printer.print(limit, &points)?))
        }
    }
}

fn print_list(args: &MeasurementsArgs, reader: &Reader, printer: &mut Printer) -> Result<Printed> {
    ensure!(
        !args.refines(),
        "these options need the name of a measurement";
        hint: "`krt data measurements` lists all"
    );
    printer.print_all(Measurement::all(reader)?.into_iter().map(Record::from).collect())
}

impl MeasurementsArgs {
    /// Whether a flag was given that requires a measurement's name.
    fn refines(&self) -> bool {
        !self.tags.is_empty()
            || self.every.is_some()
            || self.limit.is_set()
            || self.order.is_set()
            || self.span.is_set()
    }

    /// The filter for the requested points. Fails if the measurement or a tag does not exist.
    fn filter(&self, name: &str, reader: &Reader) -> Result<PointFilter> {
        unknown::check("there is no measurement", name, reader.measurements()?)?;
        let measurement = Measurement::new(name.to_owned(), &reader.series(name)?);
        let lacks = format!("`{name}` has no tag");
        for tag in self.tags.iter().map(|(tag, _)| tag).chain(&self.by) {
            let known = measurement.iter().flat_map(|found| found.tags.iter().cloned());
            unknown::check(&lacks, tag, known.collect())?;
        }
        let span = self.span.resolve()?;
        Ok(PointFilter {
            measurement: name.to_owned(),
            tags: self.tags.iter().cloned().collect(),
            from: span.from,
            to: span.to,
        })
    }
}

impl Measurement {
    /// All measurements, by name.
    pub(super) fn all(reader: &Reader) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for name in reader.measurements()? {
            let series = reader.series(&name)?;
            all.extend(Self::new(name, &series));
        }
        Ok(all)
    }

    /// Returns `None` if all points were removed in the meantime.
    fn new(name: String, series: &[SeriesInfo]) -> Option<Self> {
        Some(Self {
            name,
            points: series.iter().map(|one| one.points).sum(),
            first: series.iter().map(|one| one.first).min()?,
            last: series.iter().map(|one| one.last).max()?,
            tags: series.iter().flat_map(|one| one.tags.keys().cloned()).collect(),
        })
    }
}

impl From<Measurement> for Record {
    fn from(of: Measurement) -> Self {
        Self::default()
            .with("name", of.name)
            .with("points", of.points)
            .with("first", Cell::Time(of.first))
            .with("last", Cell::Time(of.last))
            .with("tags", Cell::List(of.tags.into_iter().collect()))
    }
}
