//! Finds modules in the package itself, as Python would.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The most entries visited to find a module anywhere in a package.
const MAX_ENTRIES: usize = 20_000;

/// A package from the view of a node's folder.
pub(super) struct Package {
    /// The search path.
    folders: Vec<PathBuf>,
    /// Folders of the package by the modules in them.
    everywhere: BTreeMap<String, Vec<PathBuf>>,
    looks_everywhere: bool,
}

impl Package {
    pub(super) fn new(root: &Path, folder: PathBuf) -> Self {
        Self { folders: vec![folder], everywhere: modules_below(root), looks_everywhere: false }
    }

    /// The same, for a node that changes the search path.
    pub(super) fn everywhere(self) -> Self {
        Self { looks_everywhere: true, ..self }
    }

    /// The files that an absolute import reads, and whether the module is in the package.
    pub(super) fn absolute(&self, dotted: &str, names: &[String]) -> (Vec<PathBuf>, bool) {
        let parts: Vec<&str> = dotted.split('.').collect();
        let near = self.folders.iter().filter(|folder| contains_module(folder, parts[0]));
        let far = self.everywhere.get(parts[0]).filter(|_| self.looks_everywhere);
        match near.chain(far.into_iter().flatten()).next() {
            Some(folder) => (files(folder, &parts, names), true),
            None => (Vec::new(), false),
        }
    }

    /// The files that a relative import in a file reads.
    pub(super) fn relative(&self, file: &Path, level: usize, module: &str, names: &[String]) -> Vec<PathBuf> {
        let Some(folder) = file.ancestors().nth(level) else { return Vec::new() };
        let parts: Vec<&str> = module.split('.').filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            [] => names.iter().flat_map(|name| files(folder, &[name], &[])).collect(),
            parts => files(folder, parts, names),
        }
    }

    /// Whether any folder of the package has a module of this name.
    pub(super) fn has_elsewhere(&self, module: &str) -> bool {
        self.everywhere.contains_key(module)
    }
}

/// Whether a folder contains a module.
fn contains_module(folder: &Path, name: &str) -> bool {
    folder.join(format!("{name}.py")).is_file()
        || has_sources(&folder.join(name))
        || entries(folder).iter().any(|(entry, _)| is_extension(entry, name))
}

/// Whether a folder is a Python package: it has sources, or folders that may have them.
fn has_sources(folder: &Path) -> bool {
    entries(folder).iter().any(|(name, is_folder)| *is_folder || is_module_file(name))
}

fn is_module_file(name: &str) -> bool {
    [".py", ".so", ".pyc"].iter().any(|ending| name.ends_with(ending))
}

/// Whether a file is a compiled module: `name.so` or `name.cpython-311-x86_64-linux-gnu.so`.
fn is_extension(file: &str, name: &str) -> bool {
    file.strip_prefix(name).is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".so"))
}

/// The sources that an import below a folder reads: each package on the way, the module, and modules among
/// the imported names.
fn files(folder: &Path, parts: &[&str], names: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut at = folder.to_owned();
    for part in parts {
        let module = at.join(format!("{part}.py"));
        at.push(part);
        found.extend([at.join("__init__.py"), module]);
    }
    for name in names {
        found.extend([at.join(format!("{name}.py")), at.join(name).join("__init__.py")]);
    }
    found.retain(|file| file.is_file());
    found
}

fn entries(folder: &Path) -> Vec<(String, bool)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path().is_dir())).collect()
}

/// The modules anywhere below a folder, with their folders.
fn modules_below(root: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut modules: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut open = vec![(root.to_owned(), 0)];
    let mut left = MAX_ENTRIES;
    while let Some((folder, depth)) = open.pop() {
        for (name, is_folder) in entries(&folder) {
            left = left.saturating_sub(1);
            if left == 0 {
                return modules;
            }
            let skipped = name.starts_with('.') || ["__pycache__", "node_modules"].contains(&name.as_str());
            if skipped || depth > 20 {
                continue;
            }
            if is_folder {
                let path = folder.join(&name);
                if has_sources(&path) {
                    modules.entry(name).or_default().push(folder.clone());
                }
                open.push((path, depth + 1));
            } else if let Some(module) = name.strip_suffix(".py") {
                modules.entry(module.to_owned()).or_default().push(folder.clone());
            }
        }
    }
    modules
}
