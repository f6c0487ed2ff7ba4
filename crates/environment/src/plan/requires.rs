//! The Python versions that a node's files require, whichever of them decides about packages.

use super::{folders, pipfile, pyproject, text::read};
use pep440_rs::{Version, VersionSpecifiers};
use regex::Regex;
use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::LazyLock,
};

/// A literal `python_requires` in a `setup.cfg` or `setup.py`.
static PYTHON_REQUIRES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?m)^\s*python_requires\s*=\s*["']?([^"'\n#]+)"#).expect("the pattern is valid")
});

/// The Python versions that a file requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requires {
    pub(crate) file: PathBuf,
    pub(crate) specifiers: VersionSpecifiers,
    /// Whether another version is an error. A `.python-version` applies to the author's own machine only.
    pub(crate) is_firm: bool,
}

impl Requires {
    /// The requirement of the nearest file from the node's folder upward that has one. A file that cannot be
    /// parsed is skipped; if it decides about packages, the plan reports the error.
    pub(crate) fn near(root: &Path, src: &Path) -> Option<Self> {
        folders(root, src).iter().find_map(|folder| Self::in_folder(folder))
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        let readers: [(&str, Reader); 4] = [
            ("pyproject.toml", |file, text| pyproject::python(file, text).ok().flatten()),
            ("Pipfile", |file, text| pipfile::python_of(file, text).ok().flatten()),
            ("setup.cfg", |_, text| literal(text)),
            ("setup.py", |_, text| literal(text)),
        ];
        let firm = readers.into_iter().find_map(|(name, reader)| {
            let file = folder.join(name);
            let specifiers = reader(&file, &read(&file, None).ok()?)?;
            Some(Self { file, specifiers, is_firm: true })
        });
        firm.or_else(|| {
            let file = folder.join(".python-version");
            let specifiers = version(&read(&file, None).ok()?)?;
            Some(Self { file, specifiers, is_firm: false })
        })
    }

    /// Whether a version is allowed.
    pub(crate) fn allows(&self, version: &Version) -> bool {
        self.specifiers.contains(version)
    }
}

/// Reads the requirement in a file's text.
type Reader = fn(&Path, &str) -> Option<VersionSpecifiers>;

fn literal(text: &str) -> Option<VersionSpecifiers> {
    VersionSpecifiers::from_str(PYTHON_REQUIRES.captures(text)?[1].trim().trim_end_matches(',')).ok()
}

/// The first version in a `.python-version`: its first two numbers.
fn version(text: &str) -> Option<VersionSpecifiers> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let version = Version::from_str(line.strip_prefix("python-").unwrap_or(line)).ok()?;
    let [major, minor, ..] = version.release() else { return None };
    VersionSpecifiers::from_str(&format!("=={major}.{minor}.*")).ok()
}
