//! Go: a folder with source files is one of sources, and the nearest `go.mod` upward applies.

use super::{Compiled, Facts, Language, Mark, Module};

impl Language {
    /// Go.
    pub const GO: Self = Self(&Facts {
        id: "go",
        name: "Go",
        ending: "go",
        compiled: Some(Compiled {
            manifest: "go.mod",
            module: Module::Nearest,
            mark: Mark::Source,
            marked_by: "Go source",
            entry: "`package main`",
            init: "go mod init",
            source_folder: None,
        }),
    });
}
