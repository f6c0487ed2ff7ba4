//! The crates of a workspace, and where a path in them leads.

use crate::{
    module::{Crate, Id, ROOT},
    parse,
};
use anyhow::{Context, Result};
use std::{
    collections::{HashMap, HashSet},
    path::Path,
};
use toml::{Table, Value};

/// The crates of a workspace.
#[derive(Debug)]
pub struct Workspace {
    pub(crate) crates: Vec<Crate>,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// To a module of a crate, or to something that it defines.
    Module { krate: usize, module: Id, is_item: bool },
    /// Out of the workspace.
    Outside(Vec<String>),
}

impl Workspace {
    /// Reads the crates in `crates/` below a folder.
    pub fn load(root: &Path) -> Result<Self> {
        let folder = root.join("crates");
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
        let mut folders: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        folders.retain(|folder| folder.join("Cargo.toml").exists());
        folders.sort();
        let mut crates = Vec::new();
        for folder in folders {
            let manifest: Table = std::fs::read_to_string(folder.join("Cargo.toml"))?.parse()?;
            let package = manifest["package"]["name"].as_str().context("a package has a name")?.to_owned();
            let dependencies = dependencies(&manifest);
            let roots = ["lib.rs", "main.rs"].map(|root| folder.join("src").join(root));
            for root in roots.iter().filter(|root| root.exists()) {
                let (package, dependencies) = (package.clone(), dependencies.clone());
                crates.push(Crate { package, modules: parse::parse(root)?, dependencies });
            }
        }
        Ok(Self { crates })
    }

    /// Where a path leads that stands in a module. A name can be a module and a function at once, so there may be several.
    pub(crate) fn resolve(&self, krate: usize, module: Id, path: &[String]) -> HashSet<Target> {
        self.follow(krate, module, path, &mut HashSet::new())
    }

    fn follow(&self, krate: usize, module: Id, path: &[String], seen: &mut HashSet<Step>) -> HashSet<Target> {
        let step = (krate, module, path.to_vec());
        let Some((first, rest)) = path.split_first().filter(|_| !seen.contains(&step)) else {
            return HashSet::new();
        };
        seen.insert(step);
        let modules = &self.crates[krate].modules;
        let at = |module| HashSet::from([Target::Module { krate, module, is_item: false }]);
        let mut places = match first.as_str() {
            "crate" => at(ROOT),
            "self" => at(module),
            "super" => modules[module].parent.map(at).unwrap_or_default(),
            name => {
                let local = self.lookup(krate, module, name, seen);
                if local.is_empty() { self.external(krate, name) } else { local }
            }
        };
        for name in rest {
            places = places.into_iter().flat_map(|place| self.enter(place, name, seen)).collect();
        }
        places
    }

    /// One name further from a place.
    fn enter(&self, place: Target, name: &str, seen: &mut HashSet<Step>) -> HashSet<Target> {
        match place {
            Target::Module { is_item: true, .. } => HashSet::from([place]),
            Target::Module { krate, module, .. } if name == "super" => {
                let parent = self.crates[krate].modules[module].parent;
                parent.map(|module| Target::Module { krate, module, is_item: false }).into_iter().collect()
            }
            Target::Module { krate, module, .. } => self.lookup(krate, module, name, seen),
            Target::Outside(mut path) => {
                path.push(name.to_owned());
                HashSet::from([Target::Outside(path)])
            }
        }
    }

    /// What a name is in a module: what it defines, imports, or has from a glob.
    fn lookup(&self, krate: usize, id: Id, name: &str, seen: &mut HashSet<Step>) -> HashSet<Target> {
        let module = &self.crates[krate].modules[id];
        let mut places = HashSet::new();
        places.extend(module.children.get(name).map(|module| Target::Module {
            krate,
            module: *module,
            is_item: false,
        }));
        if module.items.contains(name) {
            places.insert(Target::Module { krate, module: id, is_item: true });
        }
        for import in module.imports.iter().filter(|import| import.name == name) {
            places.extend(self.follow(krate, id, &import.path, seen));
        }
        if places.is_empty() {
            for glob in &module.globs {
                let inside = self.follow(krate, id, glob, seen);
                let modules =
                    inside.into_iter().filter(|place| matches!(place, Target::Module { is_item: false, .. }));
                let step = |place: &Target| (usize::MAX, 0, vec![format!("{place:?}"), name.to_owned()]);
                for place in modules.collect::<Vec<_>>() {
                    if seen.insert(step(&place)) {
                        places.extend(self.enter(place, name, seen));
                    }
                }
            }
        }
        places
    }

    /// A crate by the name that another has for it.
    fn external(&self, krate: usize, name: &str) -> HashSet<Target> {
        let own = &self.crates[krate];
        let package = own
            .dependencies
            .get(name)
            .or_else(|| Some(&own.package).filter(|own| own.replace('-', "_") == name));
        let library = |package: &String| self.crates.iter().position(|other| other.package == *package);
        let place = match package.map(library) {
            Some(Some(krate)) => Target::Module { krate, module: ROOT, is_item: false },
            Some(None) => Target::Outside(vec![name.to_owned()]),
            None if matches!(name, "std" | "core" | "alloc") => Target::Outside(vec![name.to_owned()]),
            None => return HashSet::new(),
        };
        HashSet::from([place])
    }
}

/// A step of the way that a path takes, to take none twice.
type Step = (usize, Id, Vec<String>);

/// What a manifest depends on, for each platform: packages by the names that code has for them.
fn dependencies(manifest: &Table) -> HashMap<String, String> {
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = std::iter::once(manifest).chain(platforms.filter_map(Value::as_table));
    let listed = tables.filter_map(|table| table.get("dependencies")?.as_table()).flatten();
    let package = |value: &Value| Some(value.get("package")?.as_str()?.to_owned());
    listed
        .map(|(name, value)| (name.replace('-', "_"), package(value).unwrap_or_else(|| name.clone())))
        .collect()
}
