//! Resolves imports: Google's well-known files, then the package's root, then the folder of the entrypoint's
//! file.

use super::imports::Imports;
use super::text::{self, Text};
use crate::problem::{Problem, Source};
use crate::root::{self, Root};
use crate::step::{Step, Steps};
use protox::file::{File, FileResolver, GoogleFileResolver};
use protox::{Compiler, Error};
use std::cell::{RefCell, RefMut};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The largest `.proto` file, in bytes.
const MAX_BYTES: u64 = 2 * 1024 * 1024;
/// The most bytes of all `.proto` files of a package.
const MAX_ALL: u64 = 16 * 1024 * 1024;
/// The most files of a package.
pub(super) const MAX_FILES: usize = 500;
/// The deepest nesting of imports: the compiler recurses as deep.
pub(super) const MAX_NESTING: usize = 50;

/// Why a file was withheld from the compiler.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("`{name}` is larger than {} MiB", MAX_BYTES / 1024 / 1024)]
    TooLarge { name: String },
    #[error("the package has more than {MAX_FILES} `.proto` files")]
    TooMany,
    #[error("the package's `.proto` files have more than {} MiB", MAX_ALL / 1024 / 1024)]
    TooMuch,
    #[error("imports nest deeper than {MAX_NESTING} files")]
    TooDeep,
    #[error("the text of `{name}` cannot be read")]
    Text { name: String },
    #[error(transparent)]
    Place(#[from] root::Error),
}

/// The `.proto` files of a package, and those that the compiler has read.
#[derive(Clone)]
pub(super) struct PackageFiles(Rc<Inner>);

struct Inner {
    root: Root,
    /// The folder of the entrypoint's file, relative to the root.
    beside: PathBuf,
    steps: Steps,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    opened: HashSet<String>,
    texts: HashSet<String>,
    /// The size of all texts, in bytes.
    bytes: u64,
    /// Files read ahead for the compiler.
    ready: HashMap<String, Result<File, Error>>,
    /// The greatest import depth of each file below the compiled one.
    nesting: HashMap<String, usize>,
    imports: Imports,
    /// The problems of files' texts.
    refusals: HashMap<String, Problem>,
    /// The problem of the file that was withheld from the compiler.
    refused: Option<Problem>,
}

impl PackageFiles {
    pub(super) fn new(root: Root, entrypoint: &str, steps: Steps) -> Self {
        let beside = Path::new(entrypoint).parent().unwrap_or(Path::new("")).to_owned();
        Self(Rc::new(Inner { root, beside, steps, state: RefCell::default() }))
    }

    fn state(&self) -> RefMut<'_, State> {
        self.0.state.borrow_mut()
    }

    /// The problem of the file at which the compiler stopped, if that was the reason.
    pub(super) fn take_refused(&self) -> Option<Problem> {
        self.state().refused.take()
    }

    /// Whether the compiler has read a file, under any name, or a copy of it, as authors keep them beside
    /// their nodes.
    pub(super) fn has(&self, path: &str) -> bool {
        self.state().opened.contains(path)
            || read(&self.0.root.path().join(path), path)
                .is_ok_and(|Text { text, .. }| self.state().texts.contains(text.as_str()))
    }

    /// Compiles a file after its imports, so that the current file is known.
    pub(super) fn compile(&self, compiler: &mut Compiler, name: &str) -> Result<(), Error> {
        self.read_ahead(name);
        let order = self.state().imports.order(name);
        for file in order {
            // An unreadable file is an error of its importer, unless it is the compiled file.
            let is_readable = self.state().ready.get(&file).is_none_or(Result::is_ok);
            if !is_readable && file != name {
                continue;
            }
            self.step(&file);
            self.state().imports.check(&file).map_err(Error::new)?;
            compiler.open_file(&file)?;
        }
        Ok(())
    }

    fn step(&self, name: &str) {
        (self.0.steps)(Step::Compile { file: name.to_owned() });
    }

    /// Reads a file and its imports, each once, up to the first unreadable one.
    fn read_ahead(&self, name: &str) {
        let mut names = vec![name.to_owned()];
        while let Some(name) = names.pop() {
            if self.state().imports.is_known(&name) {
                continue;
            }
            if is_of_google(&name) {
                self.state().imports.add(&name, None);
                continue;
            }
            self.step(&name);
            let read = self.open(&name);
            let descriptor = read.as_ref().ok().map(File::file_descriptor_proto);
            names
                .extend(descriptor.iter().flat_map(|descriptor| descriptor.dependency.iter().rev().cloned()));
            if read.is_err() {
                names.clear();
            }
            self.state().imports.add(&name, descriptor);
            self.state().ready.insert(name, read);
        }
    }

    fn open(&self, name: &str) -> Result<File, Error> {
        let path = self.find(name)?;
        if self.state().opened.len() >= MAX_FILES {
            return Err(Error::new(Refusal::TooMany));
        }
        let Text { text, refusal } = read(&self.0.root.path().join(&path), name)?;
        if let Some(text::Refusal { span, message, hint }) = refusal {
            let problem = Source::new(&path, text).error(&span, message).hint(hint);
            self.state().refusals.insert(name.to_owned(), problem);
            return Err(Error::new(Refusal::Text { name: name.to_owned() }));
        }
        self.count(&text, path)?;
        let file = File::from_source(name, &text)?;
        self.state().texts.insert(text);
        self.nest(&file)?;
        Ok(file)
    }

    /// Counts the size of a file's text.
    fn count(&self, text: &str, path: String) -> Result<(), Error> {
        let mut state = self.state();
        state.opened.insert(path);
        state.bytes += text.len() as u64;
        if state.bytes > MAX_ALL { Err(Error::new(Refusal::TooMuch)) } else { Ok(()) }
    }

    /// Records the import depth of a file's imports; a file is opened before its imports.
    fn nest(&self, file: &File) -> Result<(), Error> {
        let nesting = &mut self.state().nesting;
        let depth = nesting.get(file.name()).copied().unwrap_or(0) + 1;
        for import in &file.file_descriptor_proto().dependency {
            let known = nesting.entry(import.clone()).or_default();
            *known = depth.max(*known);
        }
        if depth > MAX_NESTING { Err(Error::new(Refusal::TooDeep)) } else { Ok(()) }
    }

    fn find(&self, name: &str) -> Result<String, Error> {
        let beside = self.0.beside.join(name);
        let found = match self.0.root.find(name) {
            Err(root::Error::Missing { .. }) => self.0.root.find(&beside.to_string_lossy()),
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
        if is_of_google(name) {
            return GoogleFileResolver::new().open_file(name);
        }
        let ready = self.state().ready.remove(name);
        let file = ready.unwrap_or_else(|| self.open(name));
        if file.is_err() {
            let mut state = self.state();
            state.refused = state.refusals.remove(name);
        }
        file
    }
}

/// Whether a file is one of Google's well-known ones.
fn is_of_google(name: &str) -> bool {
    name.starts_with("google/protobuf/") && GoogleFileResolver::new().open_file(name).is_ok()
}

fn read(path: &Path, name: &str) -> Result<Text, Error> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::new(Refusal::TooLarge { name: name.to_owned() }));
    }
    Ok(text::read(&bytes))
}

/// The text of a file, for rendering.
pub(super) fn source(root: &Root, file: &str) -> Option<Source> {
    let path = root.path().join(root.find(file).ok()?);
    read(&path, file).ok().map(|Text { text, .. }| Source::new(file, text))
}
