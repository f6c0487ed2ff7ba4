//! `krt data`: what the embedded store holds, shown or exported.
//!
//! - [`overview`], [`measurements`], [`documents`], [`predictions`], [`logs`]: one file a topic.
//! - [`points`], [`windows`], [`summary`]: points, points summed up, predictions summed up.
//! - [`record`], [`layout`], [`printer`], [`destination`]: from results to bytes, in any format.
//! - [`paging`]: flags that several topics take.
//! - [`unknown`]: names that are not in the store.

mod destination;
mod documents;
mod layout;
mod logs;
mod measurements;
mod overview;
mod paging;
mod points;
mod predictions;
mod printer;
mod record;
mod summary;
mod unknown;
mod windows;

use crate::{exit, output::NobodyReads, terminal};
use clap::{Args, Subcommand};
use destination::Destination;
use krt_store::{Error, Reader};
use printer::{Format, Printed, Printer};
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What `krt data` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt data                                              what there is
  krt data measurements node_elapsed_time --since 15m   the newest points
  krt data measurements node_elapsed_time --every 1m --field elapsed_ms --by node
  krt data documents people --query '{\"age\": {\"$gt\": 30}}' --json
  krt data predictions --summary
  krt data logs timeout --level warn --follow
  krt data logs --since 1d --format csv -o logs.csv

The store is only read, also while `krt run` works on it. Times are UTC.
Without a topic, what there is is listed.")]
pub(crate) struct DataArgs {
    /// The folder that the store is in
    #[arg(long, value_name = "DIR", default_value = ".krt", env = "KRT_DATA", global = true)]
    data: PathBuf,

    #[command(flatten)]
    output: OutputArgs,

    #[command(subcommand)]
    topic: Option<Topic>,
}

/// How and where results are written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// How results are written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", global = true)]
    format: Format,

    /// The same as --format json
    #[arg(long, conflicts_with = "format", global = true)]
    json: bool,

    /// Write to a file instead of standard output
    #[arg(short = 'o', long = "output", value_name = "FILE", global = true)]
    path: Option<PathBuf>,
}

/// The topics.
#[derive(Debug, Subcommand)]
enum Topic {
    /// Points that were measured, or sums of them over windows of time
    Measurements(measurements::MeasurementsArgs),
    /// Documents that nodes saved
    Documents(documents::DocumentsArgs),
    /// Predictions that nodes saved
    Predictions(predictions::PredictionsArgs),
    /// Log records
    Logs(logs::LogsArgs),
}

/// Prints what was asked for.
pub(crate) fn execute(args: &DataArgs) -> anyhow::Result<ExitCode> {
    match print(args) {
        Err(error) if is_broken_pipe(&error) => Err(NobodyReads.into()),
        printed => printed.map(|()| exit::SUCCESS),
    }
}

fn print(args: &DataArgs) -> anyhow::Result<()> {
    let reader = open(&args.data)?;
    let format = if args.output.json { Format::Json } else { args.output.format };
    let mut printer = Printer::new(format, Destination::open(args.output.path.as_deref())?);
    let printed = match &args.topic {
        None => overview::print(&reader, &args.data, &mut printer),
        Some(Topic::Measurements(args)) => measurements::print(args, &reader, &mut printer),
        Some(Topic::Documents(args)) => documents::print(args, &reader, &mut printer),
        Some(Topic::Predictions(args)) => predictions::print(args, &reader, &mut printer),
        Some(Topic::Logs(args)) => logs::print(args, &reader, &mut printer),
    }?;
    printer.finish()?;
    note(printed);
    Ok(())
}

/// Says what the results themselves cannot.
fn note(printed: Printed) {
    if !printed.any {
        terminal::print_note("nothing was found");
    } else if printed.more {
        terminal::print_note(&format!("only {} are shown; hint: `--limit all` shows all", paging::SHOWN));
    }
}

fn open(folder: &Path) -> anyhow::Result<Reader> {
    Reader::open(folder).map_err(|error| match error {
        Error::Missing { path } => anyhow::anyhow!(
            "there is no store in `{}`; hint: `krt run` makes one, `--data` chooses another folder",
            path.display()
        ),
        error => error.into(),
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    kinds.into_iter().any(|kind| kind == io::ErrorKind::BrokenPipe)
}
