//! What an executable is made of: the files of its module, and of modules beside it.

use super::{ExecutableSource, toolchain::Toolchain};
use crate::key::Key;
use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// A larger file counts by its size and time of change: it may be a model of gigabytes.
const LARGE: u64 = 1 << 20;

/// What tools leave in a folder that they can make anew (<https://bford.info/cachedir>).
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// The content, taken in.
pub(super) struct Content<'a> {
    node: &'a ExecutableSource,
    toolchain: &'a Toolchain,
    key: Key,
    /// The folders of modules that are taken in.
    taken: BTreeSet<PathBuf>,
}

type Failed = (PathBuf, io::Error);

impl<'a> Content<'a> {
    /// Reads the module, and the folders that its manifests name: modules beside it.
    pub(super) fn of(node: &'a ExecutableSource, toolchain: &'a Toolchain) -> Result<Self, Failed> {
        let mut content = Self { node, toolchain, key: Key::default(), taken: BTreeSet::new() };
        content.module(&node.module)?;
        content.beside(&node.module)?;
        content.beside(&node.folder)?;
        Ok(content)
    }

    /// Stands for all of it.
    pub(super) fn finish(self) -> String {
        self.key.finish()
    }

    /// Takes in a module, unless it is; whether it was not.
    fn module(&mut self, folder: &Path) -> Result<bool, Failed> {
        let real = folder.canonicalize().map_err(|source| (folder.to_owned(), source))?;
        if self.taken.iter().any(|taken| real.starts_with(taken)) {
            return Ok(false);
        }
        self.taken.insert(real);
        self.folder(folder)?;
        Ok(true)
    }

    /// Takes in the modules beside one, and those beside them.
    fn beside(&mut self, module: &Path) -> Result<(), Failed> {
        let Ok(manifest) = fs::read_to_string(module.join(self.node.language.manifest())) else {
            return Ok(());
        };
        for folder in (self.toolchain.beside)(&manifest).into_iter().map(|path| module.join(path)) {
            if folder.is_dir() && self.module(&folder)? {
                self.beside(&folder)?;
            }
        }
        Ok(())
    }

    /// Takes in what is below a folder, in order; what is hidden or can be made anew is none of the
    /// compiler's.
    fn folder(&mut self, folder: &Path) -> Result<(), Failed> {
        let failed = |source| (folder.to_owned(), source);
        let entries = fs::read_dir(folder).map_err(failed)?;
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().map_err(failed)?;
        paths.sort();
        for path in paths {
            if !self.passes_over(&path) {
                self.entry(&path).map_err(|source| (path.clone(), source))??;
            }
        }
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

    fn entry(&mut self, path: &Path) -> io::Result<Result<(), Failed>> {
        if path.symlink_metadata()?.is_dir() {
            return Ok(self.folder(path));
        }
        let Ok(facts) = path.metadata() else { return Ok(Ok(())) };
        let name = path.strip_prefix(&self.node.module).unwrap_or(path);
        self.key.add(name.as_os_str().as_bytes());
        if !facts.is_file() {
            return Ok(Ok(()));
        }
        match facts.len() {
            LARGE.. => self.key.add(format!("{} {:?}", facts.len(), facts.modified()?)),
            _ => self.key.add(fs::read(path)?),
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::version::Language;
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
            let (folder, executable) = (module.clone(), module.join("etl"));
            ExecutableSource { name: "etl".to_owned(), language, folder, module, executable }
        }

        /// Checks which files count, each written anew.
        fn assert_counts(&self, language: Language, none: &[&str], all: &[&str]) {
            let node = self.node(language);
            let key = || Content::of(&node, Toolchain::of(language)).unwrap().finish();
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
    fn all_that_go_may_read_counts_and_nothing_else() {
        let home = Home::new();
        home.put("etl/go.mod", "module etl\n\nreplace example.com/shared => ../shared // ours\n");
        home.put("etl/main.go", "package main\n");
        home.put("shared/go.mod", "module shared\n");
        let none = [".git/HEAD", "etl/.krt/data", "etl/etl", "other/main.go"];
        let all = ["etl/main.go", "etl/deep/in/it.go", "etl/text.txt", "shared/shared.go", "etl/go.sum"];
        home.assert_counts(Language::Go, &none, &all);
    }

    #[test]
    fn all_that_cargo_may_read_counts_and_nothing_else() {
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
        home.assert_counts(Language::Rust, &none, &all);
    }
}
