//! The `*_pb2` modules of a package's `.proto` files, extracted for every process of a node to import: real
//! files, which build themselves with any installed `protobuf`.

use crate::{error::Error, extracted::Extracted, key::Key, sdk::PYTHON};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Component, Path},
};

/// The descriptor file that the modules read.
const DESCRIPTORS: &str = "package.binpb";

/// The prefix of files that `protobuf` itself provides.
const WELL_KNOWN: &str = "google/protobuf/";

/// The folder of a package's modules, for `sys.path`.
#[derive(Debug)]
pub struct Modules(Extracted);

impl Modules {
    /// Extracts the modules of files, by their names in a serialized `FileDescriptorSet`, below a cache
    /// folder.
    pub(crate) fn below(cache: &Path, descriptors: &[u8], files: &[&str]) -> Result<Self, Error> {
        let key = Key::default().with(PYTHON.hash()).with(descriptors).finish();
        let extracted = || {
            let modules = files.iter().filter_map(|name| Some((path(name)?, source(name))));
            // File names that map to one module share one file, as they share one module in Python.
            let modules: BTreeMap<String, String> = modules.collect();
            let set = (DESCRIPTORS.to_owned(), Cow::from(descriptors.to_vec()));
            let modules = modules.into_iter().map(|(path, text)| (path, Cow::from(text.into_bytes())));
            modules.chain([set]).collect()
        };
        Extracted::at(&cache.join("modules").join(key), "the folder of `*_pb2` modules", extracted).map(Self)
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

/// The path of a file's module; `None` for files that `protobuf` provides.
fn path(name: &str) -> Option<String> {
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    let stem = name.strip_suffix(".proto").unwrap_or(name).replace('-', "_");
    (inside && !name.starts_with(WELL_KNOWN)).then(|| format!("{stem}_pb2.py"))
}

/// The source of a file's module. A JSON text is valid Python, too.
fn source(name: &str) -> String {
    let quoted = serde_json::Value::from(name);
    let up = (0..=name.matches('/').count()).fold("__file__".to_owned(), |path, _| format!("_up({path})"));
    format!(
        "# Made by krt: what protoc would generate, for whatever protobuf is installed.\n\
         from os.path import dirname as _up\n\n\
         from krt._protos import make as _make\n\n\
         _make(globals(), {quoted}, {up})\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn modules_have_the_paths_that_protoc_uses() {
        for (name, expected) in [
            ("public_input.proto", Some("public_input_pb2.py")),
            ("protos/house-model.proto", Some("protos/house_model_pb2.py")),
            ("a-b/c.d.proto", Some("a_b/c.d_pb2.py")),
            ("google/type/date.proto", Some("google/type/date_pb2.py")),
            ("google/protobuf/any.proto", None),
            ("../up.proto", None),
            ("/etc/passwd.proto", None),
        ] {
            assert_eq!(path(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn modules_are_written_once_per_content() {
        let cache = tempfile::tempdir().unwrap();
        let below = |set: &[u8]| Modules::below(cache.path(), set, &["a/b.proto", "c.proto"]).unwrap();
        let first = below(b"one");
        assert_eq!(fs::read(first.path().join(DESCRIPTORS)).unwrap(), b"one");
        let text = fs::read_to_string(first.path().join("a/b_pb2.py")).unwrap();
        assert!(text.ends_with("_make(globals(), \"a/b.proto\", _up(_up(__file__)))\n"), "{text}");
        assert!(first.path().join("c_pb2.py").is_file());
        assert_eq!(below(b"one").path(), first.path());
        assert_ne!(below(b"two").path(), first.path());
    }
}
