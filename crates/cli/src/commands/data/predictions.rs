//! `krt data predictions`.

use super::{
    documents::{Documents, record},
    paging::{LimitArgs, OrderArgs},
    printer::{Printed, Printer},
    summary::Summary,
};
use crate::{error::Result, time_spec::SpanArgs};
use bson::Document;
use clap::Args;
use krt_store::{
    Filter, MAX_UPDATES, Order, PREDICTIONS, PredictionFilter, PredictionUpdates, Reader, UPDATES,
};

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
    let filter = PredictionFilter { version: args.version.clone(), from: span.from, to: span.to }.query();
    let updates = updates(reader)?;
    if args.summary {
        return summarize(&filter, updates, reader)?.print(printer);
    }
    let printed = printer.print(args.limit.of(printer.format()), &|| {
        let found = Documents::find(reader, PREDICTIONS, &filter, args.order.order())?;
        Ok(Box::new(found.map(|prediction| record(&updates.join(prediction?)))))
    })?;
    Ok(args.limit.note(printed))
}

/// The true values that came after their predictions.
fn updates(reader: &Reader) -> Result<PredictionUpdates> {
    let mut updates = PredictionUpdates::default();
    let most = usize::try_from(MAX_UPDATES).unwrap_or(usize::MAX);
    for update in Documents::find(reader, UPDATES, &Document::new(), Order::NewestFirst)?.take(most) {
        updates.add(&update?);
    }
    Ok(updates)
}

fn summarize(filter: &Document, mut updates: PredictionUpdates, reader: &Reader) -> Result<Summary> {
    let mut summary = Summary::default();
    let filter = Filter::parse(filter).map_err(krt_store::Error::from)?;
    // Predictions outside of the filter match updates, too.
    for prediction in Documents::find(reader, PREDICTIONS, &Document::new(), Order::NewestFirst)? {
        let prediction = prediction?;
        updates.mark(&prediction);
        if filter.matches(&prediction) {
            summary.add(&updates.join(prediction));
        }
    }
    summary.unmatched_updates = updates.unmatched();
    Ok(summary)
}
