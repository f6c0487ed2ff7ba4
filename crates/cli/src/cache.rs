//! The cache folder.

use crate::error::{Context as _, Hint as _, Result};
use std::path::PathBuf;

/// The folder for environments, executables and SDKs.
pub(crate) fn folder() -> Result<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    named("KRT_CACHE")
        .or_else(|| Some(named("XDG_CACHE_HOME")?.join("krt")))
        .or_else(|| Some(named("HOME")?.join(".cache/krt")))
        .context("there is no folder for the cache")
        .hint("set KRT_CACHE or HOME")
}
