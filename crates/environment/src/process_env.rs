//! The environment variables that locate files: read once and passed on.

use crate::inherited::{self, Inherited, Reader, is_own};
use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// A copy of a process's environment variables.
#[derive(Clone)]
pub struct ProcessEnv {
    variables: BTreeMap<OsString, OsString>,
}

impl ProcessEnv {
    /// The current variables of this process, without `krt`'s own.
    pub fn of_process() -> Self {
        let is_own =
            |name: &OsString, value: &OsString| is_own(&name.to_string_lossy(), &value.to_string_lossy());
        env::vars_os().filter(|(name, value)| !is_own(name, value)).collect()
    }

    /// The variables for nodes' processes. `named`: further ones that the package requests.
    #[must_use]
    pub fn for_workers(self, origin: Inherited, named: &[String]) -> Self {
        let is_named = |name: &str| named.iter().any(|named| named == name);
        self.offered(origin, |name| is_named(name) || inherited::is_offered(name, Reader::Worker))
    }

    /// The variables for installers and compilers.
    #[must_use]
    pub fn for_installers(self, origin: Inherited) -> Self {
        self.offered(origin, |name| inherited::is_offered(name, Reader::Installer))
    }

    fn offered(mut self, origin: Inherited, is_offered: impl Fn(&str) -> bool) -> Self {
        if origin == Inherited::Server {
            self.variables.retain(|name, _| name.to_str().is_some_and(&is_offered));
        }
        self
    }

    /// All variables that are valid UTF-8.
    pub fn texts(&self) -> impl Iterator<Item = (String, String)> {
        let text = |text: &OsString| text.to_str().map(str::to_owned);
        self.variables.iter().filter_map(move |(name, value)| Some((text(name)?, text(value)?)))
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Removes variables.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        for name in names {
            self.variables.remove(OsStr::new(name));
        }
        self
    }

    /// All variables.
    pub fn variables(&self) -> &BTreeMap<OsString, OsString> {
        &self.variables
    }

    /// A variable's value, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// A variable's value as a path, or a path below the home folder.
    pub(crate) fn folder(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        self.get(name)
            .map(PathBuf::from)
            .or_else(|| Some(Path::new(self.get("HOME")?).join(below_home)))
            .filter(|path| path.is_absolute())
    }

    /// The executables with this name on `PATH`, in order.
    pub(crate) fn commands(&self, name: &str) -> Vec<PathBuf> {
        let folders = self.get("PATH").map(|path| env::split_paths(path).collect()).unwrap_or_default();
        let found = |folder: PathBuf| Some(folder.join(name)).filter(|path| is_executable(path));
        Vec::into_iter(folders).filter(|folder| folder.is_absolute()).filter_map(found).collect()
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for ProcessEnv {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables }
    }
}

/// Whether a path is an executable file.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|entry| entry.is_file() && entry.permissions().mode() & 0o111 != 0)
}
