//! What a compiled language brings along: each has a file with its [`Toolchain`].

use super::{Build, BuildError, Command, ExecutableSource, diagnostic::Diagnostic};
use crate::{lock::Lock, sdk::Embedded};
use futures::future::BoxFuture;
use krt_model::language::Language;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// All that decides how executables of a language are built, tested and watched.
pub(super) struct Toolchain {
    pub(super) language: Language,
    /// The build tool.
    pub(super) builder: &'static str,
    /// The build tool to install, and where from.
    pub(super) needed: &'static str,
    /// The SDK that executables are linked with.
    pub(super) sdk: &'static Embedded,
    /// Part of every key: a change rebuilds everything.
    pub(super) form: &'static str,
    /// Whether a variable of this name affects the compiler's output.
    pub(super) decides: fn(&[u8]) -> bool,
    /// Whether a build makes several executables, among which the node's name chooses.
    pub(super) makes_several: bool,
    /// The folders that a manifest refers to, relative to its own: modules beside it.
    pub(super) beside: fn(&str) -> Vec<PathBuf>,
    /// Further files and folders of a node's module: those of a workspace.
    pub(super) around: fn(&ExecutableSource) -> Vec<PathBuf>,
    /// The lock file beside a manifest that a build updates, if any.
    pub(super) lock: Option<&'static str>,
    /// The hidden folders that the compiler reads.
    pub(super) hidden: &'static [&'static str],
    /// The files that are code wherever they are in a module.
    pub(super) code: CodeFiles,
    /// Builds the executable, and returns its path.
    pub(super) make: Step<PathBuf>,
    /// Prepares the tests beside the sources.
    pub(super) tests: Step<Tests>,
    /// The errors in the compiler's output.
    pub(super) diagnostics: fn(&[String]) -> Vec<Diagnostic>,
}

/// A step of a build, with its work folder and the folder of the SDK.
pub(super) type Step<T> =
    for<'a> fn(&'a Build<'a>, &'a TempDir, &'a Path) -> BoxFuture<'a, Result<T, BuildError>>;

/// The tests of a node.
pub(super) struct Tests {
    pub(super) command: Command<'static>,
    /// Held until they have ended.
    pub(super) lock: Option<Lock>,
}

/// Files that are code.
#[derive(Debug)]
pub struct CodeFiles {
    /// By their endings.
    pub endings: &'static [&'static str],
    /// By their names, also outside of the module.
    pub names: &'static [&'static str],
}
