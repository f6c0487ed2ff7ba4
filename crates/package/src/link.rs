//! Resolves symbolic links in paths.
//!
//! A package may contain links that stay inside its root, as those of a Kubernetes ConfigMap and of DVC do. A
//! path that leads out of it is refused by name, whatever is there.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// A longer chain of links counts as a cycle, as in the kernel.
const MAX_HOPS: usize = 40;

/// A resolved path below the root, with its links.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResolvedPath {
    /// The file or folder, absolute, with links resolved.
    pub(crate) real: PathBuf,
    /// Every link on the way, absolute; empty for a plain path.
    pub(crate) hops: Vec<PathBuf>,
}

/// A link with its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// The link, relative to the root.
    pub(crate) name: String,
    /// Its target, as written in the link.
    pub(crate) target: String,
}

/// Why a path does not lead to a file of the package.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A link leads out of the root, directly or through others.
    #[error("the link `{}` to `{}` leads out of the package", .0.name, .0.target)]
    Outside(Link),
    /// Links form a cycle.
    #[error("the link `{}` to `{}` forms a cycle", .0.name, .0.target)]
    Loop(Link),
    /// A link dangles inside the root.
    #[error("the link `{}` leads to `{}`, which does not exist", .0.name, .0.target)]
    Dangling(Link),
    /// The file is missing, without a link.
    #[error("it does not exist")]
    Missing,
    /// The system cannot read it.
    #[error(transparent)]
    Unreadable(io::Error),
}

/// Follows a path relative to a root, which must be absolute and without links.
pub(crate) fn follow(root: &Path, relative: &Path) -> Result<ResolvedPath, Error> {
    let mut way = PathResolver { root, here: root.to_owned(), hops: Vec::new(), last: None };
    let mut ahead = parts(relative);
    while let Some(part) = ahead.pop_front() {
        if let Some(target) = way.step(&part, &ahead)? {
            if target.is_absolute() {
                way.here = PathBuf::from("/");
            }
            for part in parts(&target).into_iter().rev() {
                ahead.push_front(part);
            }
        }
    }
    match way.here.starts_with(root) {
        true => Ok(ResolvedPath { real: way.here, hops: way.hops }),
        false => Err(way.outside()),
    }
}

impl Link {
    /// The link at a path, by its name in the package.
    pub(crate) fn at(path: &Path, name: String) -> Self {
        Self { name, target: fs::read_link(path).unwrap_or_default().display().to_string() }
    }
}

/// The components of a path that lead somewhere.
fn parts(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    parts.map(|part| part.as_os_str().to_owned()).collect()
}

/// The progress along a path.
struct PathResolver<'a> {
    root: &'a Path,
    /// Absolute; free of links after each step.
    here: PathBuf,
    hops: Vec<PathBuf>,
    /// The last link of the package on the way, for errors.
    last: Option<Link>,
}

impl PathResolver<'_> {
    /// Takes one step; at a link, returns its target and takes the step back.
    fn step(&mut self, part: &OsString, ahead: &VecDeque<OsString>) -> Result<Option<PathBuf>, Error> {
        if part == ".." {
            if !self.here.is_dir() {
                return Err(self.absent(ahead));
            }
            self.here.pop();
            return self.bounded().map(|()| None);
        }
        self.here.push(part);
        match fs::symlink_metadata(&self.here) {
            Ok(facts) if facts.is_symlink() => self.enter().map(Some),
            Ok(_) => self.bounded().map(|()| None),
            Err(error) if is_absent(&error) => Err(self.absent(ahead)),
            Err(error) => Err(Error::Unreadable(error)),
        }
    }

    /// Enters the link at the current place.
    fn enter(&mut self) -> Result<PathBuf, Error> {
        let inside = self.here.starts_with(self.root);
        if inside {
            let name = self.here.strip_prefix(self.root).unwrap_or(&self.here).display().to_string();
            self.last = Some(Link::at(&self.here, name));
            self.hops.push(self.here.clone());
            if self.hops.len() > MAX_HOPS {
                return Err(self.link_error(Error::Loop));
            }
        } else if !self.here.canonicalize().is_ok_and(|real| self.root.starts_with(real)) {
            // A link above the root may lead to it; any other is not the package's.
            return Err(self.outside());
        }
        let target = fs::read_link(&self.here).map_err(Error::Unreadable)?;
        self.here.pop();
        Ok(target)
    }

    /// Checks that the current place is inside the root, or above it.
    fn bounded(&self) -> Result<(), Error> {
        match self.here.starts_with(self.root) || self.root.starts_with(&self.here) {
            true => Ok(()),
            false => Err(self.outside()),
        }
    }

    /// Why the current place is missing; `ahead` has the rest of the path.
    fn absent(&self, ahead: &VecDeque<OsString>) -> Error {
        let mut end = self.here.clone();
        for part in ahead {
            if part == ".." {
                end.pop();
            } else {
                end.push(part);
            }
        }
        if end.starts_with(self.root) { self.link_error(Error::Dangling) } else { self.outside() }
    }

    fn outside(&self) -> Error {
        self.link_error(Error::Outside)
    }

    fn link_error(&self, error: fn(Link) -> Error) -> Error {
        self.last.clone().map_or(Error::Missing, error)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests;
