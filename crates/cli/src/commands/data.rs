//! `krt data`: shows or exports the content of the embedded store.
//!
//! - [`overview`], [`measurements`], [`documents`], [`predictions`], [`logs`]: one file per topic.
//! - [`points`], [`windows`], [`summary`]: points, aggregated points, summarized predictions.
//! - [`record`], [`layout`], [`printer`], [`destination`]: format and write results.
//! - [`paging`]: flags shared by several topics.
//! - [`unknown`]: errors for names that are not in the store.

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

use crate::{
    error::{Result, error},
    exit,
    output::ClosedPipe,
    terminal,
};
use clap::{Args, Subcommand};
use destination::Destination;
use krt_model::escape;
use krt_store::{Error, Reader};
use printer::{Format, Printed, Printer};
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The arguments of `krt data`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  krt data                                              the contents of the store
  krt data measurements node_elapsed_time --since 15m   the newest points
  krt data measurements node_elapsed_time --every 1m --field elapsed_ms --by node
  krt data documents people --query '{\"age\": {\"$gt\": 30}}' --json
  krt data predictions --summary
  krt data logs timeout --level warn --follow
  krt data logs --since 1d --format csv -o logs.csv

Only reads the store, which `krt run` may use at the same time. Times are UTC.
Without a topic, lists what the store contains.")]
pub(crate) struct DataArgs {
    /// Folder of the store
    #[arg(long, value_name = "DIR", default_value = ".krt", env = "KRT_DATA", global = true)]
    data: PathBuf,

    #[command(flatten)]
    output: OutputArgs,

    #[command(subcommand)]
    topic: Option<Topic>,
}

/// The format and destination of results.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", global = true)]
    format: Format,

    /// Same as --format json
    #[arg(long, conflicts_with = "format", global = true)]
    json: bool,

    /// Write to a file instead of standard output
    #[arg(short = 'o', long = "output", value_name = "FILE", global = true)]
    path: Option<PathBuf>,
}

/// The topics.
#[derive(Debug, Subcommand)]
enum Topic {
    /// Show measured points, or aggregate them over time windows
    Measurements(measurements::MeasurementsArgs),
    /// Show documents that nodes saved
    Documents(documents::DocumentsArgs),
    /// Show predictions that nodes saved
    Predictions(predictions::PredictionsArgs),
    /// Show log records
    Logs(logs::LogsArgs),
}

/// Prints the results.
pub(crate) fn execute(args: &DataArgs) -> Result<ExitCode> {
    match print(args) {
        Err(error) if is_broken_pipe(&error) => Err(ClosedPipe.into()),
        printed => printed.map(|()| exit::SUCCESS),
    }
}

fn print(args: &DataArgs) -> Result<()> {
    let reader = open(&args.data)?;
    let format = if args.output.json { Format::Json } else { args.output.format };
    let escape = if format == Format::Json { escape::json } else { escape::lines };
    let mut printer = Printer::new(format, Destination::open(args.output.path.as_deref(), escape)?);
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

/// Prints notes beside the results.
fn note(printed: Printed) {
    if !printed.any {
        terminal::print_note("nothing was found");
    } else if printed.more {
        let message = format!("only {} are shown", paging::DEFAULT_LIMIT);
        terminal::print_note_with_hint(&message, "`--limit all` shows all");
    }
}

fn open(folder: &Path) -> Result<Reader> {
    Reader::open(folder).map_err(|error| match error {
        Error::Missing { path } => error!(
            "there is no store in `{}`", path.display();
            hint: "`krt run` makes one, `--data` chooses another folder"
        ),
        error => error.into(),
    })
}

fn is_broken_pipe(error: &crate::error::Error) -> bool {
    let kinds = error.causes().filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    kinds.into_iter().any(|kind| kind == io::ErrorKind::BrokenPipe)
}
