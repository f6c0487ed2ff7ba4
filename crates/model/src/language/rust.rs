//! Rust: a folder with a `Cargo.toml` is one of sources, and the outermost one may define a workspace.

use super::{Compiled, Facts, Language, Mark, Module};

impl Language {
    /// Rust.
    pub const RUST: Self = Self(&Facts {
        id: "rust",
        name: "Rust",
        ending: "rs",
        compiled: Some(Compiled {
            manifest: "Cargo.toml",
            module: Module::Outermost,
            mark: Mark::Manifest,
            marked_by: "a `Cargo.toml`",
            entry: "`Cargo.toml`",
            init: "cargo init",
            source_folder: Some("src"),
        }),
    });
}
