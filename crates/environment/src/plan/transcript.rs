//! Copies requirements for the installer, in UTF-8, with editable projects at a stable place.
//!
//! Rewrites relative paths so that they keep their meaning.

use super::{
    local,
    requirements::{Line, classify, logical_lines},
    text::read_requirements,
};
use crate::error::Error;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// How an installer gets a copy of the files that it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transcript {
    /// Projects that the environment copies, by their real paths.
    pub(crate) copied: Vec<PathBuf>,
}

/// Writes a copy.
pub(crate) struct TranscriptWriter<'a> {
    /// The installer's working directory, which paths of projects are relative to.
    folder: &'a Path,
    /// The folder for temporary files.
    work_folder: &'a Path,
    /// The folder for copies of projects.
    projects: &'a Path,
    transcript: &'a Transcript,
    written: BTreeMap<PathBuf, PathBuf>,
}

impl<'a> TranscriptWriter<'a> {
    pub(crate) fn new(
        folder: &'a Path,
        work_folder: &'a Path,
        projects: &'a Path,
        transcript: &'a Transcript,
    ) -> Self {
        Self { folder, work_folder, projects, transcript, written: BTreeMap::new() }
    }

    /// The lines of a file.
    pub(crate) fn file(&mut self, file: &Path) -> Result<Vec<String>, Error> {
        let text = read_requirements(file, None)?.text;
        self.lines(file, &logical_lines(&text))
    }

    /// Rewrites lines of a file.
    pub(crate) fn lines(&mut self, file: &Path, lines: &[String]) -> Result<Vec<String>, Error> {
        lines.iter().map(|line| self.line(file, line)).collect()
    }

    fn line(&mut self, file: &Path, line: &str) -> Result<String, Error> {
        let beside = |path: &str| file.parent().unwrap_or(Path::new("/")).join(path);
        Ok(match classify(line) {
            Line::Include(path) => {
                let copy = self.included(&beside(path))?;
                let is_requirements = line.starts_with("-r") || line.starts_with("--r");
                format!("{} {}", if is_requirements { "-r" } else { "-c" }, copy.display())
            }
            Line::Editable(path) => {
                let project = self.folder.join(path).canonicalize().unwrap_or_default();
                match self.transcript.copied.iter().position(|copied| *copied == project) {
                    Some(index) => {
                        let copy = self.project(index, &project)?;
                        line.replacen(path, &copy.display().to_string(), 1)
                    }
                    None => line.to_owned(),
                }
            }
            // Archives are first looked up beside the file.
            Line::Local(path) if line.starts_with('-') && beside(path).exists() => {
                line.replacen(path, &beside(path).display().to_string(), 1)
            }
            _ => line.to_owned(),
        })
    }

    /// Copies an included file.
    fn included(&mut self, file: &Path) -> Result<PathBuf, Error> {
        let key = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        if let Some(copy) = self.written.get(&key) {
            return Ok(copy.clone());
        }
        let copy = self.work_folder.join(format!("included-{}.txt", self.written.len()));
        self.written.insert(key, copy.clone());
        let lines = self.file(file)?;
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        fs::write(&copy, text).map_err(|source| Error::Cache { path: copy.clone(), source })?;
        Ok(copy)
    }

    /// Copies a project.
    fn project(&self, index: usize, project: &Path) -> Result<PathBuf, Error> {
        let name = project.file_name().unwrap_or_default();
        let copy = self.projects.join(index.to_string()).join(name);
        for file in local::all(project) {
            let target = copy.join(file.strip_prefix(project).unwrap_or(&file));
            let made = fs::create_dir_all(target.parent().unwrap_or(&copy));
            made.and_then(|()| fs::copy(&file, &target))
                .map_err(|source| Error::Cache { path: target.clone(), source })?;
        }
        Ok(copy)
    }
}
