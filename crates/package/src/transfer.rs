//! Serializes a read package for the process that requested it.
//!
//! Both processes run the same program, so the format has no versions.

use crate::problem::{Location, Problem, Report, Source};
use krt_model::severity::Severity;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::path::PathBuf;

/// The most bytes of the author's files that are included, to show lines of.
const MAX_TEXTS: usize = 8 << 20;

/// A path, which need not be UTF-8.
pub(crate) mod path {
    use super::{Deserialize, Deserializer, PathBuf, Serialize, Serializer};
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    use std::path::Path;

    pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().as_bytes().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Vec::deserialize(deserializer).map(|bytes| OsString::from_vec(bytes).into())
    }
}

/// An optional path.
pub(crate) mod maybe_path {
    use super::{Deserialize, Deserializer, PathBuf, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct PathText(#[serde(with = "super::path")] PathBuf);

    pub(crate) fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.clone().map(PathText).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<PathText>::deserialize(deserializer)?.map(|whole| whole.0))
    }
}

/// An error of the system: its number, or else its message.
pub(crate) mod io_error {
    use super::{Deserialize, Deserializer, Serialize, Serializer};
    use std::io::Error;

    pub(crate) fn serialize<S: Serializer>(error: &Error, serializer: S) -> Result<S::Ok, S::Error> {
        let words = error.raw_os_error().is_none().then(|| error.to_string());
        (error.raw_os_error(), words).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Error, D::Error> {
        let (number, words) = <(Option<i32>, Option<String>)>::deserialize(deserializer)?;
        Ok(number.map_or_else(|| Error::other(words.unwrap_or_default()), Error::from_raw_os_error))
    }
}

/// A report with fields that the API leaves out: the ranges of bytes, and the texts.
pub(crate) mod report {
    use super::{Deserialize, Deserializer, FlatProblem, MAX_TEXTS, Report, Serialize, Serializer, Text};

    pub(crate) fn serialize<S: Serializer>(report: &Report, serializer: S) -> Result<S::Ok, S::Error> {
        let mut left = MAX_TEXTS;
        let texts = report.sources().filter(|source| {
            let fits = source.text().len() <= left;
            left -= if fits { source.text().len() } else { 0 };
            fits
        });
        let texts: Vec<Text> = texts.map(Text::of).collect();
        let problems: Vec<FlatProblem> = report.problems().iter().cloned().map(FlatProblem::from).collect();
        (problems, texts).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Report, D::Error> {
        let (problems, texts) = <(Vec<FlatProblem>, Vec<Text>)>::deserialize(deserializer)?;
        let mut report = Report::default();
        problems.into_iter().for_each(|problem| report.push(problem.into()));
        texts.into_iter().for_each(|text| report.add_source(text.into()));
        Ok(report)
    }
}

#[derive(Serialize, Deserialize)]
struct Text {
    #[serde(with = "path")]
    file: PathBuf,
    text: String,
}

impl Text {
    fn of(source: &Source) -> Self {
        Self { file: source.file().to_owned(), text: source.text().to_owned() }
    }
}

impl From<Text> for Source {
    fn from(Text { file, text }: Text) -> Self {
        Self::new(file, text)
    }
}

/// A problem with all its fields, some of which JSON leaves out.
#[derive(Serialize, Deserialize)]
struct FlatProblem {
    severity: Severity,
    #[serde(with = "path")]
    file: PathBuf,
    /// Line, column, and the first and last byte.
    location: Option<(usize, usize, usize, usize)>,
    message: String,
    hint: Option<String>,
}

impl From<Problem> for FlatProblem {
    fn from(Problem { severity, file, location, message, hint }: Problem) -> Self {
        let place = |Location { line, column, span }| (line, column, span.start, span.end);
        Self { severity, file, location: location.map(place), message, hint }
    }
}

impl From<FlatProblem> for Problem {
    fn from(FlatProblem { severity, file, location, message, hint }: FlatProblem) -> Self {
        let location = location.map(|(line, column, start, end)| Location { line, column, span: start..end });
        Self { severity, file, location, message, hint }
    }
}
