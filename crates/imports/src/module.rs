//! A crate as a tree of modules, with the paths that each names.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    rc::Rc,
};

/// The index of a module in its crate; the root is the first.
pub(crate) type Id = usize;

/// The root of a crate.
pub(crate) const ROOT: Id = 0;

/// A crate.
#[derive(Debug)]
pub(crate) struct Crate {
    /// The name of its package.
    pub(crate) package: String,
    /// Its modules, parents before children.
    pub(crate) modules: Vec<Module>,
    /// The packages it depends on, by the names that its code has for them; those for tests are not among them.
    pub(crate) dependencies: HashMap<String, String>,
}

impl Crate {
    /// A module's name below the root, such as `flow::queue`.
    pub(crate) fn name(&self, module: Id) -> String {
        match self.modules[module].parent {
            None => "the root".to_owned(),
            Some(ROOT) => self.modules[module].name.clone(),
            Some(parent) => format!("{}::{}", self.name(parent), self.modules[module].name),
        }
    }

    /// The modules from the root to this one, without the root.
    pub(crate) fn ancestors(&self, module: Id) -> Vec<Id> {
        let parents = std::iter::successors(Some(module), |module| self.modules[*module].parent);
        let mut ancestors: Vec<Id> = parents.filter(|module| *module != ROOT).collect();
        ancestors.reverse();
        ancestors
    }
}

/// A module of a crate.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) parent: Option<Id>,
    /// Compiled for tests only.
    pub(crate) test: bool,
    pub(crate) children: HashMap<String, Id>,
    /// What it defines, apart from modules.
    pub(crate) items: HashSet<String>,
    /// The names that it imports.
    pub(crate) imports: Vec<Import>,
    /// The modules whose names it imports all.
    pub(crate) globs: Vec<Vec<String>>,
    /// The paths in its code, those of its imports among them.
    pub(crate) references: Vec<Reference>,
}

/// A name that `use` brings into a module.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
}

/// A path in the code of a module.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) path: Vec<String>,
    pub(crate) file: Rc<PathBuf>,
    pub(crate) line: usize,
    /// Compiled for tests only.
    pub(crate) test: bool,
}
