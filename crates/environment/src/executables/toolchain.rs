//! What is particular to a language.

use super::{go, rust};
use crate::sdk::Embedded;
use krt_model::version::Language;
use std::path::PathBuf;

/// What decides an executable of a language, beside the files of its module.
pub(super) struct Toolchain {
    /// What the executables are linked with.
    pub(super) sdk: &'static Embedded,
    /// Part of every key: another number builds everything anew.
    pub(super) form: &'static str,
    /// Whether a variable of this name changes what the compiler makes.
    pub(super) decides: fn(&[u8]) -> bool,
    /// The folders that a manifest names, relative to its own: modules that lie beside it.
    pub(super) beside: fn(&str) -> Vec<PathBuf>,
    /// The file beside a manifest that a build completes, if it does.
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
