//! The SDKs embedded in the binary, extracted for interpreters and compilers to read.

use crate::{error::Error, extracted::Extracted};
use krt_compression::Codec;
use std::path::Path;

/// An embedded SDK.
#[derive(Debug)]
pub(crate) struct Embedded {
    name: &'static str,
    hash: &'static str,
    /// Their paths, and their contents as gzip.
    files: &'static [(&'static str, &'static [u8])],
}

pub(crate) const PYTHON: Embedded = include!(concat!(env!("OUT_DIR"), "/python_sdk.rs"));

pub(crate) const RUST: Embedded = include!(concat!(env!("OUT_DIR"), "/rust_sdk.rs"));

pub(crate) const GO: Embedded = include!(concat!(env!("OUT_DIR"), "/go_sdk.rs"));

impl Embedded {
    /// A hash of all its files.
    pub(crate) fn hash(&self) -> &'static str {
        self.hash
    }

    /// The paths of its files.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.files.iter().map(|(name, _)| *name)
    }

    /// The content of a file.
    pub(crate) fn file(&self, path: &str) -> Vec<u8> {
        let found = self.files.iter().find(|(name, _)| *name == path);
        found.map(|(_, packed)| unpack(packed)).expect("the path of a file that is embedded")
    }
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    Codec::Gzip.decompress(packed, usize::MAX).expect("the build compressed it")
}

/// The folder of an extracted SDK: for Python, an entry of `sys.path`.
#[derive(Debug)]
pub struct Sdk(Extracted);

impl Sdk {
    /// Extracts an SDK below a cache folder, unless it is there.
    pub(crate) fn below(cache: &Path, sdk: &Embedded) -> Result<Self, Error> {
        let path = cache.join("sdk").join(format!("{}-{}", sdk.name, sdk.hash));
        let files = || sdk.files.iter().map(|(name, packed)| ((*name).to_owned(), unpack(packed).into()));
        Extracted::at(&path, &format!("the {} SDK", sdk.name), || files().collect()).map(Self)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Why the folder is temporary, if it is: worth a warning.
    pub fn fallback(&self) -> Option<&str> {
        self.0.fallback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt, thread};

    fn entries(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn assert_whole(folder: &Path) {
        for name in PYTHON.names() {
            assert_eq!(fs::read(folder.join(name)).unwrap(), PYTHON.file(name), "{name}");
        }
    }

    #[test]
    fn the_sdks_are_embedded_without_tests_and_caches() {
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
    fn an_sdk_is_written_once() {
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
    fn concurrent_writers_leave_one_complete_sdk() {
        let cache = tempfile::tempdir().unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_whole(Sdk::below(cache.path(), &PYTHON).unwrap().path()));
            }
        });
        assert_eq!(entries(&cache.path().join("sdk")), [format!("python-{}", PYTHON.hash)]);
    }

    #[test]
    fn an_unwritable_cache_is_replaced_by_a_temporary_folder() {
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
