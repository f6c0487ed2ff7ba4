//! The environment variables that decide where things are found: read once, handed on.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// A copy of a process's environment variables.
#[derive(Clone)]
pub struct Surroundings {
    variables: BTreeMap<OsString, OsString>,
}

impl Surroundings {
    /// The variables of this process, as they are now.
    pub fn of_process() -> Self {
        env::vars_os().collect()
    }

    /// The same, with one variable set.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The same, without some variables.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.variables.remove(OsStr::new(name));
        }
        self
    }

    /// All variables.
    pub(crate) fn variables(&self) -> &BTreeMap<OsString, OsString> {
        &self.variables
    }

    /// A variable's value, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// A variable's value as a path, or a path below the home folder.
    pub(crate) fn folder(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        self.get(name)
            .map(PathBuf::from)
            .or_else(|| Some(Path::new(self.get("HOME")?).join(below_home)))
            .filter(|path| path.is_absolute())
    }

    /// Every executable file of a name on `PATH`, in its order.
    pub(crate) fn commands(&self, name: &str) -> Vec<PathBuf> {
        let folders = self.get("PATH").map(|path| env::split_paths(path).collect()).unwrap_or_default();
        let found = |folder: PathBuf| Some(folder.join(name)).filter(|path| is_executable(path));
        Vec::into_iter(folders).filter(|folder| folder.is_absolute()).filter_map(found).collect()
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Surroundings {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables }
    }
}

/// Whether a path leads to a file that may be executed.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|entry| entry.is_file() && entry.permissions().mode() & 0o111 != 0)
}
