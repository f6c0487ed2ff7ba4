//! All content that decides what a list of requirements installs, as one key.
//!
//! Lines count without their comments; an included file counts by its content, so that equal lists
//! in two folders are equal; a project on disk counts as `local` says.

use super::{
    local, read,
    requirements::{Line, classify, logical_lines},
};
use crate::{error::Error, key::Key};
use std::path::{Path, PathBuf};

/// What a list of requirements comes to.
pub(super) struct Content {
    pub(super) key: Key,
    pub(super) names_protobuf: bool,
    pub(super) has_hashes: bool,
}

/// The content of a `requirements.txt` with all that it includes.
pub(super) fn of_file(file: &Path) -> Result<Content, Error> {
    let mut reading = Reading::new(file);
    reading.file(file, None)?;
    Ok(reading.content)
}

/// The content of requirements that a file was translated to.
pub(super) fn of_lines(file: &Path, lines: &[String]) -> Result<Content, Error> {
    let mut reading = Reading::new(file);
    lines.iter().try_for_each(|line| reading.line(file, line))?;
    Ok(reading.content)
}

struct Reading<'a> {
    content: Content,
    /// The folder the installer runs in: what paths of projects are relative to.
    folder: &'a Path,
    /// The files that are open, so that a circle ends.
    open: Vec<PathBuf>,
}

impl<'a> Reading<'a> {
    fn new(file: &'a Path) -> Self {
        let content = Content { key: Key::default(), names_protobuf: false, has_hashes: false };
        Self { content, folder: file.parent().unwrap_or(Path::new("/")), open: Vec::new() }
    }

    fn file(&mut self, file: &Path, named_by: Option<&Path>) -> Result<(), Error> {
        let text = read(file, named_by)?;
        if self.open.iter().any(|open| open == file) {
            return Ok(());
        }
        self.open.push(file.to_owned());
        logical_lines(&text).iter().try_for_each(|line| self.line(file, line))?;
        self.open.pop();
        Ok(())
    }

    fn line(&mut self, file: &Path, line: &str) -> Result<(), Error> {
        self.content.has_hashes |= line.contains("--hash=") || line.starts_with("--require-hashes");
        match classify(line) {
            Line::Include(path) => {
                let flag = if line.starts_with("-r") || line.starts_with("--r") { "-r" } else { "-c" };
                self.content.key.add(flag);
                let included = file.parent().unwrap_or(Path::new("/")).join(path);
                self.file(&tidy(&included), Some(file))?;
                self.content.key.add("end");
            }
            Line::Editable(path) => {
                self.content.key.add(line);
                local::editable(&self.folder.join(path), &mut self.content.key);
            }
            Line::Local(path) => {
                self.content.key.add(line);
                local::installed(&self.folder.join(path), &mut self.content.key);
            }
            Line::Package(name) => {
                self.content.key.add(line);
                self.content.names_protobuf |= name == "protobuf";
            }
            Line::Other => self.content.key.add(line),
        }
        Ok(())
    }
}

/// A path without detours, so that a circle of includes is seen as one.
fn tidy(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
