//! The inputs of an executable: the files of its module, and of modules beside it.

use super::{ExecutableSource, toolchain::Toolchain};
use crate::key::Key;
use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// Larger files count by size and modification time: such a file may be a model of gigabytes.
const MAX_HASHED: u64 = 1 << 20;

/// Marks a folder that tools can recreate (<https://bford.info/cachedir>).
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// A hash of the content.
pub(super) struct Content<'a> {
    node: &'a ExecutableSource,
    toolchain: &'a Toolchain,
    key: Key,
}

type Failed = (PathBuf, io::Error);

/// The folders of an executable's inputs: its module, and recursively the modules beside it that manifests
/// name.
pub(super) fn folders(node: &ExecutableSource, toolchain: &Toolchain) -> Vec<PathBuf> {
    let mut found = Contents { node, toolchain, folders: Vec::new(), taken: BTreeSet::new() };
    found.module(&node.module);
    found.beside(&node.module);
    found.beside(&node.folder);
    for folder in (toolchain.around)(node).into_iter().filter(|path| path.is_dir()) {
        if found.module(&folder) {
            found.beside(&folder);
        }
    }
    found.folders
}

struct Contents<'a> {
    node: &'a ExecutableSource,
    toolchain: &'a Toolchain,
    folders: Vec<PathBuf>,
    /// The same, with links resolved.
    taken: BTreeSet<PathBuf>,
}

impl Contents<'_> {
    /// Adds a module; returns whether it was new.
    fn module(&mut self, folder: &Path) -> bool {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        if self.taken.iter().any(|taken| real.starts_with(taken)) {
            return false;
        }
        self.taken.insert(real);
        self.folders.push(folder.to_owned());
        true
    }

    /// Adds the modules beside one, recursively.
    fn beside(&mut self, module: &Path) {
        let Some(compiled) = self.node.language.compiled() else { return };
        let Ok(manifest) = fs::read_to_string(module.join(compiled.manifest)) else { return };
        for folder in (self.toolchain.beside)(&manifest).into_iter().map(|path| module.join(path)) {
            if folder.is_dir() && self.module(&folder) {
                self.beside(&folder);
            }
        }
    }
}

impl<'a> Content<'a> {
    /// Reads the module, and the modules beside it that its manifests name.
    pub(super) fn of(node: &'a ExecutableSource, toolchain: &'a Toolchain) -> Result<Self, Failed> {
        let mut content = Self { node, toolchain, key: Key::default() };
        for folder in folders(node, toolchain) {
            content.folder(&folder, &mut Vec::new())?;
        }
        for file in (toolchain.around)(node).into_iter().filter(|path| path.is_file()) {
            content.key.add(fs::read(&file).map_err(|source| (file.clone(), source))?);
        }
        Ok(content)
    }

    /// The key of all content.
    pub(super) fn finish(self) -> String {
        self.key.finish()
    }

    /// Adds the files below a folder, in order; skips those that are hidden or can be recreated. `above` has
    /// its ancestors, with links resolved.
    fn folder(&mut self, folder: &Path, above: &mut Vec<PathBuf>) -> Result<(), Failed> {
        let failed = |source| (folder.to_owned(), source);
        let real = folder.canonicalize().map_err(failed)?;
        if above.iter().any(|above| above.starts_with(&real)) {
            return Ok(());
        }
        let entries = fs::read_dir(folder).map_err(failed)?;
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().map_err(failed)?;
        paths.sort();
        above.push(real);
        for path in paths {
            if !self.passes_over(&path) {
                self.entry(&path, above).map_err(|source| (path.clone(), source))??;
            }
        }
        above.pop();
        Ok(())
    }

    fn passes_over(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        if self.toolchain.lock.is_some_and(|lock| name == lock) {
            return true;
        }
        let hidden =
            name.as_bytes().starts_with(b".") && !self.toolchain.hidden.iter().any(|read| name == *read);
        hidden || name == "__pycache__" || path == self.node.executable || path.join(CACHE_TAG).exists()
    }

    fn entry(&mut self, path: &Path, above: &mut Vec<PathBuf>) -> io::Result<Result<(), Failed>> {
        let Ok(facts) = path.metadata() else { return Ok(Ok(())) };
        if facts.is_dir() {
            return Ok(self.folder(path, above));
        }
        let within = |folder: &Path| path.strip_prefix(folder).ok();
        let name = within(&self.node.module).or_else(|| within(&self.node.root)).unwrap_or(path);
        self.key.add(name.as_os_str().as_bytes());
        if !facts.is_file() {
            return Ok(Ok(()));
        }
        match facts.len() {
            MAX_HASHED.. => self.key.add(format!("{} {:?}", facts.len(), facts.modified()?)),
            _ => self.key.add(fs::read(path)?),
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::language::Language;
    use tempfile::TempDir;

    struct Home(TempDir);

    impl Home {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn put(&self, name: &str, text: &str) {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn node(&self, language: Language) -> ExecutableSource {
            let module = self.0.path().join("etl");
            let (folder, executable, root) = (module.clone(), module.join("etl"), self.0.path().to_owned());
            ExecutableSource { name: "etl".to_owned(), language, folder, root, module, executable }
        }

        /// Checks which files count, by rewriting each.
        fn assert_counts(&self, language: Language, none: &[&str], all: &[&str]) {
            let node = self.node(language);
            let key = || Content::of(&node, super::super::toolchain_of(language)).unwrap().finish();
            let mut last = key();
            for name in none {
                self.put(name, "x");
                assert_eq!(key(), last, "{name}");
            }
            for name in all {
                self.put(name, "x");
                let now = key();
                assert_ne!(now, last, "{name}");
                last = now;
            }
            let (first, second) = (self.0.path().join("etl/words.txt"), self.0.path().join("etl/names.txt"));
            fs::write(&first, "x").unwrap();
            last = key();
            fs::rename(first, second).unwrap();
            assert_ne!(key(), last, "a name counts");
        }
    }

    #[test]
    fn only_files_read_by_go_count() {
        let home = Home::new();
        home.put("etl/go.mod", "module etl\n\nreplace example.com/shared => ../shared // ours\n");
        home.put("etl/main.go", "package main\n");
        home.put("shared/go.mod", "module shared\n");
        let none = [".git/HEAD", "etl/.krt/data", "etl/etl", "other/main.go"];
        let all = ["etl/main.go", "etl/deep/in/it.go", "etl/text.txt", "shared/shared.go", "etl/go.sum"];
        home.assert_counts(Language::GO, &none, &all);
    }

    #[test]
    fn files_of_workspaces_and_linked_files_count() {
        let home = Home::new();
        home.put(
            "go.work",
            "go 1.20\n\nuse (\n\t./etl\n\t./shared\n)\n\nreplace example.com/fork => ./fork\n",
        );
        home.put("etl/go.mod", "module etl\n");
        home.put("shared/go.mod", "module shared\n\nreplace example.com/deep => ../deep\n");
        home.put("fork/go.mod", "module example.com/fork\n");
        home.put("deep/go.mod", "module example.com/deep\n");
        home.put("linked/x.go", "");
        std::os::unix::fs::symlink("../linked", home.0.path().join("etl/linked")).unwrap();
        std::os::unix::fs::symlink("..", home.0.path().join("etl/up")).unwrap();
        let none = ["other/main.go", "other/go.mod"];
        let all = [
            "shared/shared.go",
            "fork/x.go",
            "deep/x.go",
            "etl/vendor/modules.txt",
            "vendor/modules.txt",
            "go.work.sum",
            "linked/x.go",
        ];
        home.assert_counts(Language::GO, &none, &all);
        home.put("go.work", "go 1.20\n\nuse ./shared\n");
        home.assert_counts(Language::GO, &["shared/shared.go", "fork/x.go"], &["etl/main.go"]);
    }

    #[test]
    fn only_files_read_by_cargo_count() {
        let home = Home::new();
        home.put("etl/Cargo.toml", "[dependencies]\nshared = { path = \"../shared\" }\n");
        home.put("etl/src/main.rs", "fn main() {}\n");
        home.put("etl/target/CACHEDIR.TAG", "");
        home.put(
            "shared/Cargo.toml",
            "[dependencies]\netl = { path = \"../etl\" }\ndeep = { path = \"../deep\" }\n",
        );
        home.put("deep/Cargo.toml", "");
        let none = ["etl/target/release/etl", "etl/.git/HEAD", "other/src/lib.rs", "etl/Cargo.lock"];
        let all = ["etl/src/main.rs", "etl/.cargo/config.toml", "shared/src/lib.rs", "deep/x.rs"];
        home.assert_counts(Language::RUST, &none, &all);
    }
}
