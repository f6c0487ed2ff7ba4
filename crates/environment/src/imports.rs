//! Finds imports of a Python node that neither Python, nor krt, nor the package provides.
//!
//! Reads the node's file and, recursively, the package's files that it imports, resolved as Python would from
//! the node's folder. Runs nothing. `parse` reads one file, `local` resolves modules of the package, `stdlib`
//! and `names` list known modules.

mod handler;
mod installed;
mod local;
mod location;
mod names;
mod parse;
mod stdlib;

pub use handler::DictUse;
pub(crate) use installed::Installed;
pub use location::Location;
pub(crate) use names::{UpstreamPackage, constraints, packages, upstream_package};
pub(crate) use parse::ImportTime;

use local::Package;
use parse::{Import, Parsed, parse};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// The most files read of a package.
const MAX_FILES: usize = 2000;

/// The most bytes read of a file.
const MAX_BYTES: u64 = 2 << 20;

/// The external imports of a node.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// Each module once, at its most certain and first import.
    pub(crate) modules: Vec<Imported>,
    /// Whether the node changes the search path, so that a module that seems missing may be found.
    pub(crate) is_doubtful: bool,
}

/// An external module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Imported {
    /// When the import runs.
    pub(crate) when: ImportTime,
    /// The importing file, relative to the package's root.
    pub(crate) file: PathBuf,
    /// The place in it.
    pub(crate) location: Location,
    /// The part of its dotted name that identifies the package.
    pub(crate) module: String,
    /// Whether the package has such a module in another folder.
    pub(crate) elsewhere: bool,
}

impl Imports {
    /// The imports of the node with this `src`, relative to the root.
    pub(crate) fn of(root: &Path, src: &Path) -> Self {
        let mut walk = Walk::new(root, src);
        let main = root.join(src);
        walk.add(main, ImportTime::Always);
        walk.run();
        if walk.imports.is_doubtful {
            walk = walk.again();
        }
        walk.finish()
    }
}

/// The first use of the message as a dict in the `handler` of the node with this `src`, relative to the root.
/// Only a node with plain data (`payload: json`) receives a dict.
pub fn dict_use(root: &Path, src: &Path) -> Option<DictUse> {
    Walk::new(root, src).read(&root.join(src)).dict_use
}

struct Walk<'a> {
    root: &'a Path,
    package: Package,
    files: BTreeMap<PathBuf, Parsed>,
    open: BTreeSet<(ImportTime, PathBuf)>,
    seen: BTreeSet<PathBuf>,
    found: BTreeMap<String, Imported>,
    imports: Imports,
    main: PathBuf,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Path, src: &Path) -> Self {
        let main = root.join(src);
        let folder = main.parent().unwrap_or(root).to_owned();
        Self {
            root,
            package: Package::new(root, folder),
            files: BTreeMap::new(),
            open: BTreeSet::new(),
            seen: BTreeSet::new(),
            found: BTreeMap::new(),
            imports: Imports::default(),
            main,
        }
    }

    /// Repeats the walk with all folders of the package in the search path.
    fn again(mut self) -> Self {
        self.package = self.package.everywhere();
        (self.seen, self.found) = Default::default();
        self.add(self.main.clone(), ImportTime::Always);
        self.run();
        self
    }

    fn add(&mut self, file: PathBuf, when: ImportTime) {
        if !self.seen.contains(&file) {
            self.open.insert((when, file));
        }
    }

    /// Visits files with certain imports first, so that each is read under its strongest condition.
    fn run(&mut self) {
        while let Some((when, file)) = self.open.pop_first() {
            if self.seen.len() >= MAX_FILES || !self.seen.insert(file.clone()) {
                continue;
            }
            let parsed = self.read(&file);
            self.imports.is_doubtful |= parsed.changes_path;
            for import in &parsed.imports {
                self.follow(&file, import, when.max(import.when));
            }
            self.files.insert(file, parsed);
        }
    }

    /// Parses a file; empty if it cannot be read, which is reported elsewhere.
    fn read(&mut self, file: &Path) -> Parsed {
        if let Some(parsed) = self.files.remove(file) {
            return parsed;
        }
        let mut bytes = Vec::new();
        let read = File::open(file).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
        if read.is_err() { Parsed::default() } else { parse(&String::from_utf8_lossy(&bytes)) }
    }

    fn follow(&mut self, file: &Path, import: &Import, when: ImportTime) {
        if import.level > 0 {
            for found in self.package.relative(file, import.level, &import.module, &import.names) {
                self.add(found, when);
            }
            return;
        }
        for dotted in dotted(import) {
            if stdlib::is_standard(&dotted) || is_given(&dotted) {
                continue;
            }
            let (found, is_local) = self.package.absolute(&dotted, &import.names);
            found.into_iter().for_each(|found| self.add(found, when));
            if !is_local {
                self.note(file, import, &dotted, when);
            }
        }
    }

    fn note(&mut self, file: &Path, import: &Import, dotted: &str, when: ImportTime) {
        let module = names::significant(dotted).to_owned();
        let file = file.strip_prefix(self.root).unwrap_or(file).to_owned();
        let elsewhere = self.package.has_elsewhere(&module);
        let imported = Imported { when, file, location: import.location, module, elsewhere };
        let known = self.found.entry(imported.module.clone()).or_insert_with(|| imported.clone());
        if imported < *known {
            *known = imported;
        }
    }

    fn finish(self) -> Imports {
        let mut modules: Vec<Imported> = self.found.into_values().collect();
        modules.sort_by(|a, b| (&a.file, a.location, &a.module).cmp(&(&b.file, b.location, &b.module)));
        Imports { modules, ..self.imports }
    }
}

/// The dotted names of an import: below a name that packages share, `from` imports modules.
fn dotted(import: &Import) -> Vec<String> {
    if !names::is_shared(&import.module) || import.names.is_empty() {
        return vec![import.module.clone()];
    }
    import.names.iter().map(|name| format!("{}.{name}", import.module)).collect()
}

/// Whether krt provides a module: its own, `protobuf`, or one generated from `.proto` files.
fn is_given(dotted: &str) -> bool {
    let mut words = dotted.split('.');
    let last = words.clone().next_back().unwrap_or_default();
    words.next() == Some("krt") || names::significant(dotted) == "google.protobuf" || last.ends_with("_pb2")
}

#[cfg(test)]
mod tests;
