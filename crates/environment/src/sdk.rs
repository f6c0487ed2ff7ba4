//! The SDKs, embedded in the binary, as folders that an interpreter or a compiler can read.

use crate::error::Error;
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// An SDK in the binary.
#[derive(Debug)]
pub(crate) struct Embedded {
    name: &'static str,
    hash: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

/// The SDK for Python.
pub(crate) const PYTHON: Embedded = include!(concat!(env!("OUT_DIR"), "/python_sdk.rs"));

/// The SDK for Rust.
pub(crate) const RUST: Embedded = include!(concat!(env!("OUT_DIR"), "/rust_sdk.rs"));

/// The SDK for Go.
pub(crate) const GO: Embedded = include!(concat!(env!("OUT_DIR"), "/go_sdk.rs"));

impl Embedded {
    /// Stands for the content of all its files.
    pub(crate) fn hash(&self) -> &'static str {
        self.hash
    }

    /// The paths of its files.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.files.iter().map(|(name, _)| *name)
    }

    /// A file of it, by its path.
    pub(crate) fn file(&self, path: &str) -> &'static [u8] {
        let found = self.files.iter().find(|(name, _)| *name == path);
        found.map(|(_, content)| *content).expect("the path of a file that is embedded")
    }
}

/// Where an SDK lies: for Python, a folder for `sys.path`.
#[derive(Debug)]
pub struct Sdk {
    path: PathBuf,
    fallback: Option<Fallback>,
}

#[derive(Debug)]
struct Fallback {
    reason: String,
    _folder: TempDir,
}

impl Sdk {
    /// An SDK below a cache folder; laid down there unless it is there already. Where nothing can be
    /// written there, in a temporary folder that is removed with the value.
    pub(crate) fn below(cache: &Path, sdk: &Embedded) -> Result<Self, Error> {
        let path = cache.join("sdk").join(format!("{}-{}", sdk.name, sdk.hash));
        if path.is_dir() {
            return Ok(Self { path, fallback: None });
        }
        match lay_down_at(&path, sdk) {
            Ok(()) => Ok(Self { path, fallback: None }),
            Err(problem) => Self::temporary(&path, sdk, &problem),
        }
    }

    fn temporary(wanted: &Path, sdk: &Embedded, problem: &io::Error) -> Result<Self, Error> {
        let failed = |source| Error::Cache { path: wanted.to_owned(), source };
        let private = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("krt-sdk-").permissions(private).tempdir();
        let folder = folder.map_err(failed)?;
        lay_down(folder.path(), sdk).map_err(failed)?;
        let reason = format!(
            "cannot write `{}`: {problem}; the {} SDK lies in `{}` for this run\nhint: `KRT_CACHE` names another folder for what is kept between runs",
            wanted.display(),
            sdk.name,
            folder.path().display()
        );
        let path = folder.path().to_owned();
        Ok(Self { path, fallback: Some(Fallback { reason, _folder: folder }) })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why it lies in a temporary folder instead of the cache, if it does: worth a warning.
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_ref().map(|fallback| fallback.reason.as_str())
    }
}

/// Lays the files down in a folder that is there as a whole or not at all. Another process that does
/// the same at the same time makes no difference: the first one wins.
fn lay_down_at(path: &Path, sdk: &Embedded) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent)?;
    let folder = tempfile::Builder::new().prefix(".sdk-").tempdir_in(parent)?;
    lay_down(folder.path(), sdk)?;
    match fs::rename(folder.path(), path) {
        Err(_) if path.is_dir() => Ok(()),
        done => done,
    }
}

fn lay_down(folder: &Path, sdk: &Embedded) -> io::Result<()> {
    for (name, content) in sdk.files {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        fs::write(file, content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn entries(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn assert_whole(folder: &Path) {
        for (name, content) in PYTHON.files {
            assert_eq!(fs::read(folder.join(name)).unwrap(), *content, "{name}");
        }
    }

    #[test]
    fn the_sdks_are_embedded_without_tests_and_what_python_leaves_behind() {
        let odd = |name: &str| name.split('/').any(|part| part.starts_with('.') || part == "__pycache__");
        for (sdk, ending) in [(PYTHON, ".py"), (GO, ".go"), (RUST, ".rs")] {
            assert!(sdk.files.iter().any(|(name, _)| name.ends_with(ending)));
            assert!(
                !sdk.files
                    .iter()
                    .any(|(name, _)| odd(name) || name.ends_with("_test.go") || name.contains("tests"))
            );
        }
    }

    #[test]
    fn it_is_laid_down_once() {
        let cache = tempfile::tempdir().unwrap();
        let first = Sdk::below(cache.path(), &PYTHON).unwrap();
        assert_whole(first.path());
        assert_eq!(first.fallback(), None);
        fs::write(first.path().join("mark"), "").unwrap();
        let second = Sdk::below(cache.path(), &PYTHON).unwrap();
        assert_eq!(second.path(), first.path());
        assert!(second.path().join("mark").exists());
    }

    #[test]
    fn many_at_once_find_it_whole_and_leave_nothing_else() {
        let cache = tempfile::tempdir().unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_whole(Sdk::below(cache.path(), &PYTHON).unwrap().path()));
            }
        });
        assert_eq!(entries(&cache.path().join("sdk")), [format!("python-{}", PYTHON.hash)]);
    }

    #[test]
    fn without_a_place_to_write_it_lies_in_a_temporary_folder() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        let sdk = Sdk::below(&file, &PYTHON).unwrap();
        assert_whole(sdk.path());
        assert!(sdk.fallback().is_some_and(|reason| reason.contains("KRT_CACHE")), "{:?}", sdk.fallback());
        let mode = fs::metadata(sdk.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "nobody else may write there");
        let path = sdk.path().to_owned();
        drop(sdk);
        assert!(!path.exists());
    }
}
