//! Walks a package's folders, including linked ones.

use super::ignored::{self, Entry, Ignored};
use super::{Contents, Fault, Item};
use crate::link::{self, Link, ResolvedPath};
use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The most files behind links: a few links to each other lead to any number of files.
pub(super) const MAX_LINKED: usize = 100_000;
/// The greatest depth of folders, including linked ones.
const MAX_DEPTH: usize = 128;

/// Lists a package whose root path has no links.
pub(super) fn contents(root: PathBuf, except: Option<PathBuf>) -> Contents {
    let contents = Contents { root: root.clone(), ..Contents::default() };
    let mut walk = Walk { contents, except, ignored: Ignored::default(), linked: 0 };
    walk.folder("", &RealFolder { real: root, by_link: false }, &mut Vec::new());
    walk.contents
}

struct Walk {
    contents: Contents,
    except: Option<PathBuf>,
    ignored: Ignored,
    /// The number of files and folders found behind links.
    linked: usize,
}

/// The real place of a folder in the package.
#[derive(Clone)]
struct RealFolder {
    real: PathBuf,
    /// Whether it, or a folder above it, is behind a link.
    by_link: bool,
}

impl Walk {
    /// Lists a folder, by its name in the package, and everything below. `above` has the real paths of its
    /// ancestors in the listing.
    fn folder(&mut self, name: &str, place: &RealFolder, above: &mut Vec<PathBuf>) {
        let entries = match fs::read_dir(&place.real) {
            Ok(entries) => entries,
            Err(source) => {
                let path = self.contents.root.join(name);
                return self.contents.faults.push(Fault::Read { path, source });
            }
        };
        let mut found: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        found.sort_unstable();
        above.push(place.real.clone());
        let ignore_error = self.ignored.enter(&self.contents.root.join(name));
        self.contents.faults.extend(ignore_error.map(Fault::Ignore));
        for entry in found {
            let path = Path::new(name).join(&entry);
            match path.to_str() {
                Some(name) => self.entry(name, &place.real.join(&entry), place, above),
                None if self.is_left_out_odd(&path) => {}
                None => self.contents.faults.push(Fault::Name { name: path.display().to_string() }),
            }
        }
        self.ignored.leave();
        above.pop();
    }

    /// Whether an ignore file matches a name that is not UTF-8.
    fn is_left_out_odd(&self, name: &Path) -> bool {
        let path = self.contents.root.join(name);
        self.ignored.names(&Entry { name: "", path: &path, depth: 0, is_folder: None })
    }

    fn entry(&mut self, name: &str, at: &Path, folder: &RealFolder, above: &mut Vec<PathBuf>) {
        let root = self.contents.root.clone();
        let is_link = at.is_symlink();
        let followed = match is_link {
            true => link::follow(&root, at.strip_prefix(&root).unwrap_or(at)),
            false => Ok(ResolvedPath { real: at.to_owned(), hops: Vec::new() }),
        };
        let facts = followed.as_ref().ok().and_then(|found| fs::metadata(&found.real).ok());
        let is_folder = facts.as_ref().map(Metadata::is_dir);
        let path = root.join(name);
        let entry = Entry {
            name: name.rsplit('/').next().unwrap_or(name),
            path: &path,
            depth: name.split('/').count(),
            is_folder,
        };
        if ignored::always(&entry) || self.ignored.names(&entry) {
            return;
        }
        let link = || Link::at(at, name.to_owned());
        let found = match followed {
            Ok(found) => found,
            Err(error) => return self.contents.faults.push(fault(error, link(), &path)),
        };
        // Without metadata, the entry has been deleted meanwhile.
        let Some(facts) = facts else { return };
        if is_link && facts.is_dir() && above.iter().any(|folder| folder.starts_with(&found.real)) {
            return self.contents.faults.push(Fault::Loop(link()));
        }
        self.contents.hops.extend(found.hops);
        let place = RealFolder { real: found.real, by_link: is_link || folder.by_link };
        self.item(name, place, &facts, above);
    }

    /// Adds a file, or a folder with everything below.
    fn item(&mut self, name: &str, place: RealFolder, facts: &Metadata, above: &mut Vec<PathBuf>) {
        self.linked += usize::from(place.by_link);
        if self.linked > MAX_LINKED || above.len() > MAX_DEPTH {
            if !self.contents.faults.iter().any(|fault| matches!(fault, Fault::Many { .. })) {
                self.contents.faults.push(Fault::Many { name: name.to_owned() });
            }
        } else if facts.is_dir() {
            self.contents.items.insert(name.to_owned(), Item::Folder);
            self.folder(name, &place, above);
        } else if !facts.is_file() {
            self.contents.faults.push(Fault::Special { name: name.to_owned() });
        } else if self.except.as_ref() != Some(&place.real) {
            let executable = facts.permissions().mode() & 0o111 != 0;
            let item = Item::File { from: place.real, size: facts.len(), executable };
            self.contents.items.insert(name.to_owned(), item);
        }
    }
}

/// Why a link cannot be part of the package.
fn fault(error: link::Error, link: Link, path: &Path) -> Fault {
    match error {
        link::Error::Outside(_) => Fault::Outside(link),
        link::Error::Loop(_) => Fault::Loop(link),
        link::Error::Dangling(_) | link::Error::Missing => Fault::Dangling(link),
        link::Error::Unreadable(source) => Fault::Read { path: path.to_owned(), source },
    }
}
