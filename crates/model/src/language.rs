//! The languages of nodes: each has a file here, which says how sources show it.
//!
//! `krt-environment` has a file for each that is compiled, too: how it is built, tested and watched.

mod go;
mod python;
mod rust;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, path::Path};

/// A language that nodes are written in.
#[derive(Clone, Copy)]
pub struct Language(&'static Facts);

/// A language, as its file describes it.
struct Facts {
    id: &'static str,
    name: &'static str,
    /// The ending of its source files.
    ending: &'static str,
    /// How it is compiled; `None` if its source files run.
    compiled: Option<Compiled>,
}

/// How the sources of an executable are recognized.
#[derive(Debug)]
pub struct Compiled {
    /// The file that makes a folder a module.
    pub manifest: &'static str,
    /// The manifest that applies to a folder.
    pub module: Module,
    /// What makes a folder one of sources.
    pub mark: Mark,
    /// The mark in a sentence.
    pub marked_by: &'static str,
    /// What `build` names the folder of.
    pub entry: &'static str,
    /// The command that creates a manifest.
    pub init: &'static str,
    /// The folder between a manifest and its sources.
    pub source_folder: Option<&'static str>,
}

/// The manifest that applies to a folder, among those in it and above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// The nearest one.
    Nearest,
    /// The outermost one, which may define a workspace.
    Outermost,
}

/// What makes a folder one of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A manifest. It counts before source files of other languages.
    Manifest,
    /// A source file.
    Source,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::PYTHON, Self::GO, Self::RUST];

    /// Its identifier, in commands and in the API.
    pub fn id(self) -> &'static str {
        self.0.id
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// How it is compiled; `None` if its source files run.
    pub fn compiled(self) -> Option<&'static Compiled> {
        self.0.compiled.as_ref()
    }

    /// The language of a source file, by its ending.
    pub fn of_source(file: &str) -> Option<Self> {
        let ending = Path::new(file).extension()?;
        Self::ALL.into_iter().find(|language| ending == language.0.ending)
    }

    /// Whether a file has the ending of its sources.
    pub fn is_source(self, file: &str) -> bool {
        Self::of_source(file) == Some(self)
    }
}

impl PartialEq for Language {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Language {}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

/// By its identifier.
impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.id.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        let language = Self::ALL.into_iter().find(|language| language.0.id == id);
        language.ok_or_else(|| D::Error::custom(format_args!("`{id}` is not a language")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_of_files() {
        for (file, expected) in [
            ("src/etl/main.py", Some(Language::PYTHON)),
            ("main.go", Some(Language::GO)),
            ("src/main.rs", Some(Language::RUST)),
            ("bin/etl", None),
            ("src/notes.txt", None),
        ] {
            assert_eq!(Language::of_source(file), expected, "{file}");
        }
    }

    #[test]
    fn names_are_unique() {
        for of in [Language::id, Language::name, |language: Language| language.0.ending] {
            let names: std::collections::BTreeSet<_> = Language::ALL.map(of).into();
            assert_eq!(names.len(), Language::ALL.len(), "{names:?}");
        }
    }
}
