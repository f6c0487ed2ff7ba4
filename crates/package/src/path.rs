//! Paths that a manifest names: their shortest form, and their problems.

use crate::manifest::Located;
use crate::problem::{Problem, Report, Source};
use crate::root;

/// Replaces a path by its shortest form, and warns of one that looks absolute.
pub(crate) fn take(path: &mut Located<String>, short: String, source: &Source, report: &mut Report) {
    if root::is_absolute(&path.value) {
        report.push(rooted(path, &short, source));
    }
    path.value = short;
}

/// Other tools for KRT v1 join such a path to the package's root, and so do we.
pub(crate) fn rooted(path: &Located<String>, short: &str, source: &Source) -> Problem {
    let message = format!("`{}` begins with `/`: it is taken as relative to the package's root", path.value);
    source.warning(&path.span, message).hint(format!("write `{short}`"))
}

/// The problem of a path in the manifest.
pub(crate) fn missing(source: &Source, path: &Located<String>, error: &root::Error) -> Problem {
    source.error(&path.span, error.to_string()).maybe_hint(error.hint())
}
