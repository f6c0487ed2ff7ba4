//! Where imports come from: Google's well-known files, then the package's root, then the folder of
//! the entrypoint's file.

use crate::problem::Source;
use crate::root::{self, Root};
use protox::Error;
use protox::file::{File, FileResolver, GoogleFileResolver};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The largest `.proto` that is read, in bytes.
const MAX_BYTES: u64 = 2 * 1024 * 1024;
/// The most files of one package.
pub(super) const MAX_FILES: usize = 500;
/// How deep imports may nest: the compiler recurses as deep.
pub(super) const MAX_NESTING: usize = 50;

/// Why the compiler was not given a file.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("`{name}` is larger than {} MiB", MAX_BYTES / 1024 / 1024)]
    TooLarge { name: String },
    #[error("the package has more than {MAX_FILES} `.proto` files")]
    TooMany,
    #[error("imports nest deeper than {MAX_NESTING} files")]
    TooDeep,
    #[error(transparent)]
    Place(#[from] root::Error),
}

/// The `.proto` files of a package, and which of them the compiler has asked for.
#[derive(Clone)]
pub(super) struct PackageFiles {
    root: Root,
    /// The folder of the entrypoint's file, relative to the root.
    beside: PathBuf,
    opened: Rc<RefCell<HashSet<String>>>,
    texts: Rc<RefCell<HashSet<String>>>,
    /// How deep below the file that was asked for a file is imported, at most.
    nesting: Rc<RefCell<HashMap<String, usize>>>,
}

impl PackageFiles {
    pub(super) fn new(root: Root, entrypoint: &str) -> Self {
        let beside = Path::new(entrypoint).parent().unwrap_or(Path::new("")).to_owned();
        Self { root, beside, opened: Rc::default(), texts: Rc::default(), nesting: Rc::default() }
    }

    /// Whether the compiler has had a file, by whatever name it asked for it, or a copy of it, as
    /// authors keep them beside their nodes.
    pub(super) fn has(&self, path: &str) -> bool {
        self.opened.borrow().contains(path)
            || read(&self.root.path().join(path), path)
                .is_ok_and(|text| self.texts.borrow().contains(text.as_str()))
    }

    fn open(&self, name: &str) -> Result<File, Error> {
        let path = self.find(name)?;
        if self.opened.borrow().len() >= MAX_FILES {
            return Err(Error::new(Refusal::TooMany));
        }
        let text = read(&self.root.path().join(&path), name)?;
        self.opened.borrow_mut().insert(path);
        let file = File::from_source(name, &text)?;
        self.texts.borrow_mut().insert(text);
        self.nest(&file)?;
        Ok(file)
    }

    /// Notes how deep a file's imports are; a file is opened before those it imports.
    fn nest(&self, file: &File) -> Result<(), Error> {
        let mut nesting = self.nesting.borrow_mut();
        let depth = nesting.get(file.name()).copied().unwrap_or(0) + 1;
        for import in &file.file_descriptor_proto().dependency {
            let known = nesting.entry(import.clone()).or_default();
            *known = depth.max(*known);
        }
        if depth > MAX_NESTING { Err(Error::new(Refusal::TooDeep)) } else { Ok(()) }
    }

    fn find(&self, name: &str) -> Result<String, Error> {
        let beside = self.beside.join(name);
        let found = match self.root.find(name) {
            Err(root::Error::Missing { .. }) => self.root.find(&beside.to_string_lossy()),
            found => found,
        };
        found.map_err(|error| match error {
            root::Error::Missing { .. } => Error::file_not_found(name),
            other => Error::new(Refusal::Place(other)),
        })
    }
}

impl FileResolver for PackageFiles {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        match GoogleFileResolver::new().open_file(name) {
            Err(error) if error.is_file_not_found() => self.open(name),
            found => found,
        }
    }
}

fn read(path: &Path, name: &str) -> Result<String, Error> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Error::new(Refusal::TooLarge { name: name.to_owned() }));
    }
    Ok(text)
}

/// The text of a file, to show lines of.
pub(super) fn source(root: &Root, file: &str) -> Option<Source> {
    let path = root.path().join(root.find(file).ok()?);
    read(&path, file).ok().map(|text| Source::new(file, text))
}
