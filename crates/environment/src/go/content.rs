//! What an executable is made of: the files of its module, and of modules beside it.

use super::GoSource;
use crate::key::Key;
use std::{
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// A larger file counts by its size and time of change: it may be a model of gigabytes.
const LARGE: u64 = 1 << 20;

/// The content, taken in.
pub(super) struct Content<'a> {
    node: &'a GoSource,
    key: Key,
}

type Failed = (PathBuf, io::Error);

impl<'a> Content<'a> {
    /// Reads the module, and the folders that its `go.mod` names in the place of modules.
    pub(super) fn of(node: &'a GoSource) -> Result<Self, Failed> {
        let mut content = Self { node, key: Key::default() };
        content.folder(&node.module)?;
        let file = node.module.join("go.mod");
        let text = fs::read_to_string(&file).map_err(|source| (file, source))?;
        let beside = replacements(&text).map(|beside| node.module.join(beside));
        for folder in beside.filter(|folder| folder.is_dir()) {
            content.folder(&folder)?;
        }
        Ok(content)
    }

    /// Stands for all of it.
    pub(super) fn finish(self) -> String {
        self.key.finish()
    }

    /// Takes in what is below a folder, in order; what is hidden is none of the compiler's.
    fn folder(&mut self, folder: &Path) -> Result<(), Failed> {
        let failed = |source| (folder.to_owned(), source);
        let entries = fs::read_dir(folder).map_err(failed)?;
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().map_err(failed)?;
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default();
            if name.as_bytes().starts_with(b".") || name == "__pycache__" || path == self.node.executable {
                continue;
            }
            self.entry(&path).map_err(|source| (path.clone(), source))??;
        }
        Ok(())
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

/// The folders that a `go.mod` names in the place of modules, relative to its own.
fn replacements(text: &str) -> impl Iterator<Item = &str> {
    let statements = text.lines().filter_map(|line| line.split("//").next());
    let targets = statements.filter_map(|line| line.split_once("=>")?.1.split_whitespace().next());
    targets.filter(|target| target.starts_with("./") || target.starts_with("../"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(node: &GoSource) -> String {
        Content::of(node).unwrap().finish()
    }

    #[test]
    fn all_that_the_compiler_may_read_counts_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let module = home.path().join("etl");
        let put = |name: &str, text: &str| {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("etl/go.mod", "module etl\n\nreplace example.com/shared => ../shared // ours\n");
        put("etl/main.go", "package main\n");
        put("shared/go.mod", "module shared\n");
        let node = GoSource {
            name: "etl".to_owned(),
            folder: module.clone(),
            executable: module.join("etl"),
            module,
        };
        let mut last = key(&node);
        for name in [".git/HEAD", "etl/.krt/data", "etl/etl", "other/main.go"] {
            put(name, "x");
            assert_eq!(key(&node), last, "{name}");
        }
        for name in ["etl/main.go", "etl/deep/in/it.go", "etl/words.txt", "shared/shared.go", "etl/go.sum"] {
            put(name, "x");
            let now = key(&node);
            assert_ne!(now, last, "{name}");
            last = now;
        }
        fs::rename(home.path().join("etl/words.txt"), home.path().join("etl/sentences.txt")).unwrap();
        assert_ne!(key(&node), last, "a name counts");
    }

    #[test]
    fn only_folders_are_replacements_to_read() {
        let text = "replace a => ./a\nreplace (\n\tb v1.2.3 => ../b\n\tc => example.com/c v1.0.0\n)\n// replace d => ./d\n";
        assert_eq!(replacements(text).collect::<Vec<_>>(), ["./a", "../b"]);
    }
}
