//! How a service tells what went wrong: to a person, or, where logs are records, as records.

use crate::terminal;
use krt_package::{
    Report,
    problem::{Problem, Severity},
};
use krt_runtime::logs::{Format, Logs};
use std::path::Path;

/// Tells why a service ends.
pub(crate) fn error(error: &anyhow::Error, logs: &Logs) {
    match logs.format() {
        Format::Json => tracing::error!("{}", terminal::chain(error)),
        Format::Pretty { .. } => {
            logs.flush();
            terminal::print_error(error);
        }
    }
}

/// Tells what a check of the package at `path` found.
pub(super) fn report(report: &Report, path: &Path, logs: &Logs) {
    match logs.format() {
        Format::Json => report.problems().iter().for_each(record),
        Format::Pretty { .. } => terminal::print_report(report, path),
    }
}

fn record(problem: &Problem) {
    match problem.severity {
        Severity::Error => tracing::error!("{problem}"),
        Severity::Warning => tracing::warn!("{problem}"),
    }
}
