//! The differences between languages.

use super::{ExecutableSource, go, rust};
use crate::sdk::Embedded;
use krt_model::version::Language;
use std::path::PathBuf;

/// All that decides an executable of a language, beside the files of its module.
pub(super) struct Toolchain {
    /// The SDK that executables are linked with.
    pub(super) sdk: &'static Embedded,
    /// Part of every key: a change rebuilds everything.
    pub(super) form: &'static str,
    /// Whether a variable of this name affects the compiler's output.
    pub(super) decides: fn(&[u8]) -> bool,
    /// The folders that a manifest refers to, relative to its own: modules beside it.
    pub(super) beside: fn(&str) -> Vec<PathBuf>,
    /// Further files and folders of a node's module: those of a workspace.
    pub(super) around: fn(&ExecutableSource) -> Vec<PathBuf>,
    /// The lock file beside a manifest that a build updates, if any.
    pub(super) lock: Option<&'static str>,
    /// The hidden folders that the compiler reads.
    pub(super) hidden: &'static [&'static str],
}

impl Toolchain {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::Go => &go::TOOLCHAIN,
            Language::Rust => &rust::TOOLCHAIN,
        }
    }
}
