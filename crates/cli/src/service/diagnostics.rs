//! Reports failures of a service: as messages for people, or as records if logs are records.

use crate::{error::Error, terminal};
use krt_model::severity::Severity;
use krt_package::{Problem, Report};
use krt_runtime::logs::{Format, Logs};
use std::path::Path;

/// Reports the error that ends a service.
pub(crate) fn error(error: &Error, logs: &Logs) {
    match logs.format() {
        Format::Json => tracing::error!("{}", error.line()),
        Format::Pretty { .. } => {
            logs.flush();
            terminal::print_error(error);
        }
    }
}

/// Reports the result of checking the package at `path`.
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
        Severity::Note => tracing::info!("{problem}"),
    }
}
