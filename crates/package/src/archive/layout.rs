//! The names in an archive, and the targets of its links.
//!
//! Works on names alone, before anything is written, and never uses the file system.

use super::error::Error;
use super::limits::Limits;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

/// A longer chain of links counts as a cycle, as in the kernel.
const MAX_HOPS: usize = 40;

/// The kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
    /// A symbolic link with its target.
    Link(String),
}

/// The names in an archive.
#[derive(Debug, Default)]
pub(super) struct Layout {
    kinds: HashMap<String, Kind>,
}

impl Layout {
    /// Claims a name, and returns its missing parent folders from the top.
    pub(super) fn claim(&mut self, name: &str, kind: Kind, limits: &Limits) -> Result<Vec<String>, Error> {
        let missing = self.missing_parents(name)?;
        match self.kinds.get(name) {
            Some(Kind::Folder) if kind == Kind::Folder => return Ok(missing),
            Some(_) => return Err(Error::Duplicate { name: name.to_owned() }),
            None => {}
        }
        self.kinds.extend(missing.iter().map(|parent| (parent.clone(), Kind::Folder)));
        self.kinds.insert(name.to_owned(), kind);
        if self.kinds.len() > limits.entries {
            return Err(Error::TooManyEntries { limit: limits.entries });
        }
        Ok(missing)
    }

    pub(super) fn kind(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name)
    }

    fn missing_parents(&self, name: &str) -> Result<Vec<String>, Error> {
        let mut missing = Vec::new();
        for (place, _) in name.match_indices('/') {
            let parent = &name[..place];
            match self.kinds.get(parent) {
                Some(Kind::Folder) => {}
                None => missing.push(parent.to_owned()),
                Some(_) => {
                    return Err(Error::NotFolder { name: name.to_owned(), parent: parent.to_owned() });
                }
            }
        }
        Ok(missing)
    }

    /// The symbolic links with their targets, once all are known to stay inside.
    pub(super) fn links(&self) -> Result<Vec<(&str, &str)>, Error> {
        let mut links = Vec::new();
        for (name, kind) in &self.kinds {
            if let Kind::Link(target) = kind {
                links.push((name.as_str(), target.as_str()));
            }
        }
        links.sort_unstable();
        links.iter().try_for_each(|(name, target)| self.follow(name, target))?;
        Ok(links)
    }

    /// Follows a link as the kernel would, through other links.
    fn follow(&self, name: &str, target: &str) -> Result<(), Error> {
        let outside = || Error::LinkOutside { name: name.to_owned(), target: target.to_owned() };
        let mut here: Vec<&str> = name.split('/').collect();
        here.pop();
        let mut hops = 1;
        let mut ahead: VecDeque<&str> = VecDeque::new();
        let mut link = target;
        loop {
            if link.starts_with('/') {
                return Err(outside());
            }
            link.rsplit('/').for_each(|part| ahead.push_front(part));
            link = loop {
                match ahead.pop_front() {
                    None => return Ok(()),
                    Some("" | ".") => continue,
                    Some("..") => drop(here.pop().ok_or_else(outside)?),
                    Some(part) => here.push(part),
                }
                if let Some(Kind::Link(next)) = self.kinds.get(&here.join("/")) {
                    here.pop();
                    break next;
                }
            };
            hops += 1;
            if hops > MAX_HOPS {
                return Err(Error::LinkLoop { name: name.to_owned() });
            }
        }
    }

    /// A folder directly below the root that contains one of these files.
    pub(super) fn nested(&self, files: &[&str]) -> Option<PathBuf> {
        let found = self.kinds.keys().filter_map(|name| name.split_once('/'));
        found.filter(|(_, file)| files.contains(file)).map(|(folder, _)| PathBuf::from(folder)).min()
    }
}

#[cfg(test)]
mod tests;
