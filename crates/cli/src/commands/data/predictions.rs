//! `krt data predictions`.

use super::{
    documents::Documents,
    paging::{LimitArgs, OrderArgs},
    printer::{Printed, Printer},
    summary::Summary,
};
use crate::{error::Result, time_spec::SpanArgs};
use clap::Args;
use krt_store::{PREDICTIONS, PredictionFilter, Reader};

/// The arguments of `krt data predictions`.
#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct PredictionsArgs {
    /// Only predictions of this version
    #[arg(long, value_name = "NAME")]
    version: Option<String>,

    /// Summarize: accuracy, errors and a confusion matrix
    #[arg(long, conflicts_with_all = ["limit", "newest", "oldest"])]
    summary: bool,

    #[command(flatten)]
    limit: LimitArgs,

    #[command(flatten)]
    order: OrderArgs,

    #[command(flatten)]
    span: SpanArgs,
}

/// Prints predictions, or their summary.
pub(super) fn print(args: &PredictionsArgs, reader: &Reader, printer: &mut Printer) -> Result<Printed> {
    let span = args.span.resolve()?;
    let filter = PredictionFilter { version: args.version.clone(), from: span.from, to: span.to };
    let find = || Documents::find(reader, PREDICTIONS, &filter.query(), args.order.order());
    if args.summary {
        let mut summary = Summary::default();
        for document in find()? {
            summary.add(&document?);
        }
        return summary.print(printer);
    }
    let printed = printer.print(args.limit.of(printer.format()), &|| Ok(find()?.records()))?;
    Ok(args.limit.note(printed))
}
