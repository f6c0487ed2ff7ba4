//! Fills in the files of `templates/`.

use clap::ValueEnum;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The programming language of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// Python.
    #[default]
    Python,
    /// Go.
    Go,
    /// Rust.
    Rust,
}

/// A file to create: its path below the folder, and its template.
pub(super) type File = (&'static str, &'static str);

/// Embeds a template.
macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../../templates/", $name))
    };
}

/// The files of a package besides its nodes.
pub(super) const PACKAGE: [File; 5] = [
    ("krt.yml", template!("package/krt.yml")),
    ("public_input.proto", template!("package/public_input.proto")),
    ("docs/README.md", template!("package/README.md")),
    (".gitignore", template!("package/gitignore")),
    (".krt.schema.json", krt_package::manifest::JSON_SCHEMA),
];

impl Language {
    /// The language's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Go => "Go",
            Self::Rust => "Rust",
        }
    }

    /// The files of a new package's node, relative to the node's folder.
    pub(super) fn first(self) -> &'static [File] {
        match self {
            Self::Python => &[
                ("main.py", template!("first/python/main.py")),
                ("test_main.py", template!("first/python/test_main.py")),
            ],
            Self::Go => &[
                ("go.mod", template!("first/go/go.mod.in")),
                ("go.sum", template!("first/go/go.sum.in")),
                ("main.go", template!("first/go/main.go.in")),
                ("main_test.go", template!("first/go/main_test.go.in")),
            ],
            Self::Rust => &[
                ("Cargo.toml", template!("first/rust/Cargo.toml.in")),
                ("src/main.rs", template!("first/rust/main.rs.in")),
            ],
        }
    }

    /// Whether the node of a new package has `payload: json`. In Go, messages would first need generated
    /// types.
    pub(super) fn first_is_plain(self) -> bool {
        self == Self::Go
    }

    /// The files of a node that returns its input unchanged, as messages or plain data.
    pub(super) fn next(self, plain: bool) -> &'static [File] {
        match (self, plain) {
            (Self::Python, false) => &[
                ("main.py", template!("next/python/main.py")),
                ("test_main.py", template!("next/python/test_messages.py")),
            ],
            (Self::Python, true) => &[
                ("main.py", template!("next/python/main.py")),
                ("test_main.py", template!("next/python/test_plain.py")),
            ],
            (Self::Go, false) => &[
                ("go.mod", template!("first/go/go.mod.in")),
                ("go.sum", template!("first/go/go.sum.in")),
                ("main.go", template!("next/go/messages.go.in")),
                ("main_test.go", template!("next/go/messages_test.go.in")),
            ],
            (Self::Go, true) => &[
                ("go.mod", template!("first/go/go.mod.in")),
                ("go.sum", template!("first/go/go.sum.in")),
                ("main.go", template!("next/go/plain.go.in")),
                ("main_test.go", template!("next/go/plain_test.go.in")),
            ],
            (Self::Rust, _) => &[
                ("Cargo.toml", template!("next/rust/Cargo.toml.in")),
                ("src/main.rs", template!("next/rust/main.rs.in")),
            ],
        }
    }

    /// The node's keys in `krt.yml` besides its name.
    pub(super) fn keys(self, node: &str, plain: bool) -> Vec<(&'static str, String)> {
        let src = match self {
            Self::Python => format!("src/{node}/main.py"),
            Self::Go | Self::Rust => format!("bin/{node}"),
        };
        let payload = plain.then(|| ("payload", "json".to_owned()));
        [("src", src)].into_iter().chain(payload).collect()
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
pub(super) fn write(folder: &Path, files: &[File], values: &[(&str, &str)]) -> io::Result<()> {
    for (name, template) in files {
        let text = values.iter().fold((*template).to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{{{name}}}}}"), value)
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
    fn names_of_crates() {
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
