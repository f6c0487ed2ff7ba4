//! Hashes all content that decides what a list of requirements installs.
//!
//! Lines count without their comments; an included file counts by its content, so that equal lists in two
//! folders are equal; a project on disk counts as described in `local`.

use super::{
    Files, Transcript, local,
    requirements::{Line, classify, logical_lines},
    text::read_requirements,
};
use crate::{error::Error, key::Key};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The content of a list of requirements.
#[derive(Default)]
pub(super) struct Content {
    pub(super) key: Key,
    /// The required packages, by normalized name.
    pub(super) names: BTreeSet<String>,
    /// Requirements and constraints on exactly one version, as written.
    pub(super) exact: Vec<String>,
    /// Options that set the source of packages.
    pub(super) sources: Vec<String>,
    /// Whether a requirement has an unknown name.
    pub(super) is_opaque: bool,
    pub(super) has_hashes: bool,
    /// Whether a file is not UTF-8, or has a byte order mark, which not every installer reads.
    is_foreign: bool,
    /// Projects to copy.
    copied: Vec<PathBuf>,
}

impl Content {
    /// Whether the installer needs a copy of the files.
    pub(super) fn transcript(&self) -> Option<Transcript> {
        (self.is_foreign || !self.copied.is_empty()).then(|| Transcript { copied: self.copied.clone() })
    }
}

/// The content of a `requirements.txt` with all its includes.
pub(super) fn of_file(root: &Path, file: &Path, files: Files) -> Result<Content, Error> {
    let mut reading = ContentReader::new(root, file, files);
    reading.file(file, None)?;
    Ok(reading.content)
}

/// The content of requirements translated from a file.
pub(super) fn of_lines(root: &Path, file: &Path, lines: &[String], files: Files) -> Result<Content, Error> {
    let mut reading = ContentReader::new(root, file, files);
    lines.iter().try_for_each(|line| reading.line(file, line))?;
    Ok(reading.content)
}

struct ContentReader<'a> {
    content: Content,
    root: &'a Path,
    files: Files,
    /// The installer's working directory, which paths of projects are relative to.
    folder: &'a Path,
    /// The files being read, to detect circular includes.
    open: Vec<PathBuf>,
    /// Whether the current file only constrains versions.
    constrains: bool,
}

impl<'a> ContentReader<'a> {
    fn new(root: &'a Path, file: &'a Path, files: Files) -> Self {
        let folder = file.parent().unwrap_or(Path::new("/"));
        Self { content: Content::default(), root, files, folder, open: Vec::new(), constrains: false }
    }

    fn file(&mut self, file: &Path, named_by: Option<&Path>) -> Result<(), Error> {
        let decoded = read_requirements(file, named_by)?;
        self.content.is_foreign |= !decoded.is_plain;
        if self.open.iter().any(|open| open == file) {
            return Ok(());
        }
        self.open.push(file.to_owned());
        logical_lines(&decoded.text).iter().try_for_each(|line| self.line(file, line))?;
        self.open.pop();
        Ok(())
    }

    fn line(&mut self, file: &Path, line: &str) -> Result<(), Error> {
        self.content.has_hashes |= line.contains("--hash=") || line.starts_with("--require-hashes");
        match classify(line) {
            Line::Include(path) => {
                let constrains = !(line.starts_with("-r") || line.starts_with("--r"));
                self.content.key.add(if constrains { "-c" } else { "-r" });
                let included = file.parent().unwrap_or(Path::new("/")).join(path);
                let outside = self.constrains;
                self.constrains |= constrains;
                self.file(&tidy(&included), Some(file))?;
                self.constrains = outside;
                self.content.key.add("end");
            }
            Line::Editable(path) => {
                self.content.is_opaque = true;
                self.content.key.add(line);
                let project = self.folder.join(path);
                if self.files == Files::Fixed && local::is_below(&project, self.root) {
                    local::copied(&project, &mut self.content.key);
                    self.content.copied.push(tidy(&project));
                } else {
                    local::editable(&project, &mut self.content.key);
                }
            }
            Line::Local(path) => {
                self.content.is_opaque |= !line.starts_with('-');
                self.content.key.add(line);
                local::installed(&self.folder.join(path), self.files, &mut self.content.key);
            }
            Line::Package(name) => {
                self.content.key.add(line);
                self.content.exact.extend(exact(line).map(str::to_owned));
                if !self.constrains {
                    self.content.names.insert(name);
                }
            }
            Line::Other => {
                self.content.key.add(line);
                self.content.is_opaque |=
                    !line.starts_with('-') || line.starts_with("-e") || line.starts_with("--e");
            }
        }
        if is_source(line) {
            self.content.sources.push(line.to_owned());
        }
        Ok(())
    }
}

/// A requirement of exactly one version, without its hashes and options.
fn exact(line: &str) -> Option<&str> {
    let line = line.split(" --").next().unwrap_or(line).trim();
    let (requirement, _) = line.split_once(';').unwrap_or((line, ""));
    let (_, version) = requirement.split_once("==")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".!+_-".contains(c);
    version.trim().trim_start_matches('=').trim().chars().all(plain).then_some(line)
}

/// Whether a line sets the source of packages.
fn is_source(line: &str) -> bool {
    let options =
        ["-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host", "--no-index"];
    line.starts_with('-') && options.iter().any(|option| line.starts_with(option))
}

/// A normalized path, to detect circular includes.
fn tidy(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
