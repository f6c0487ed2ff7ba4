//! Fills in the files of `templates/`.

mod go;
mod python;
mod rust;

use clap::{ValueEnum, builder::PossibleValue};
use krt_model::language::Language;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The templates of each language, the first being the default.
static TEMPLATES: [Templates; 3] = [python::TEMPLATES, go::TEMPLATES, rust::TEMPLATES];

/// The files of a language's new nodes, relative to the node's folder. The first one is the node's `src`, where source
/// files run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Templates {
    /// The language.
    pub(super) language: Language,
    /// The node of a new package.
    pub(super) first: &'static [File],
    /// Whether the node of a new package has `payload: json`.
    pub(super) first_is_plain: bool,
    /// A node that returns its message unchanged.
    messages: &'static [File],
    /// A node that returns its plain data unchanged.
    plain: &'static [File],
}

/// A file to create: its path below the folder, and its template.
pub(super) type File = (&'static str, &'static str);

/// Embeds a template.
macro_rules! template {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $name))
    };
}
pub(super) use template;

/// The files of a package besides its nodes.
pub(super) const PACKAGE: [File; 5] = [
    ("krt.yml", template!("package/krt.yml")),
    ("public_input.proto", template!("package/public_input.proto")),
    ("docs/README.md", template!("package/README.md")),
    GIT_IGNORE,
    SCHEMA,
];

/// The files of a package that is made from a notebook, besides its node.
pub(super) const NOTEBOOK_PACKAGE: [File; 5] = [
    ("krt.yml", template!("notebook/krt.yml")),
    ("public_input.proto", template!("notebook/public_input.proto")),
    ("docs/README.md", template!("notebook/README.md")),
    GIT_IGNORE,
    SCHEMA,
];

pub(super) const GIT_IGNORE: File = (".gitignore", template!("package/gitignore"));
pub(super) const SCHEMA: File = (".krt.schema.json", krt_package::manifest::JSON_SCHEMA);

impl Templates {
    /// The files of a node that returns its input unchanged, as messages or plain data.
    pub(super) fn next(&self, plain: bool) -> &'static [File] {
        if plain { self.plain } else { self.messages }
    }

    /// The node's keys in `krt.yml` besides its name.
    pub(super) fn keys(&self, node: &str, plain: bool) -> Vec<(&'static str, String)> {
        let src = match self.language.compiled() {
            Some(_) => format!("bin/{node}"),
            None => format!("src/{node}/{}", self.first[0].0),
        };
        let payload = plain.then(|| ("payload", "json".to_owned()));
        [("src", src)].into_iter().chain(payload).collect()
    }
}

impl Default for Templates {
    fn default() -> Self {
        TEMPLATES[0]
    }
}

impl ValueEnum for Templates {
    fn value_variants<'a>() -> &'a [Self] {
        &TEMPLATES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.language.id()).help(self.language.name()))
    }
}

/// The Cargo package name for a node: the node's name, unless `cargo` reserves it.
pub(super) fn crate_name(node: &str) -> String {
    const RESERVED: [&str; 5] = ["build", "deps", "examples", "incremental", "krt-sdk"];
    match node.starts_with(|first: char| first.is_ascii_digit()) || RESERVED.contains(&node) {
        true => format!("node-{node}"),
        false => node.to_owned(),
    }
}

/// Writes files below a folder, with each `{{name}}` replaced by its value.
pub(super) fn write(folder: &Path, files: &[File], values: &[(&str, impl AsRef<str>)]) -> io::Result<()> {
    for (name, template) in files {
        let text = values.iter().fold((*template).to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{{{name}}}}}"), value.as_ref())
        });
        let path: PathBuf = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_has_templates() {
        assert!(Language::ALL.into_iter().eq(TEMPLATES.iter().map(|templates| templates.language)));
    }

    #[test]
    fn crate_names() {
        for (node, expected) in [
            ("shop", "shop"),
            ("build-2", "build-2"),
            ("3d", "node-3d"),
            ("build", "node-build"),
            ("krt-sdk", "node-krt-sdk"),
        ] {
            assert_eq!(crate_name(node), expected);
        }
    }
}
