//! A folder of files with which tests and handlers wait for each other.

use super::eventually;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The environment variable with the folder, for handlers.
pub(crate) const VARIABLE: &str = "E2E_SCRATCH";

/// The folder.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn below(folder: &Path) -> Self {
        let path = folder.join("scratch");
        fs::create_dir(&path).expect("the folder is new");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Creates a file, and so releases handlers that wait for it.
    pub(crate) fn put(&self, name: &str) {
        fs::write(self.0.join(name), "").expect("the folder is ours");
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.0.join(name)).expect("it is there");
    }

    /// Waits until a handler has created a file.
    pub(crate) async fn wait(&self, name: &str) {
        let path = self.0.join(name);
        eventually(name, async || path.exists().then_some(())).await;
    }

    /// Waits until a handler has written a file, and returns its text. The handler writes it in one call.
    pub(crate) async fn read(&self, name: &str) -> String {
        let path = self.0.join(name);
        let text = async || fs::read_to_string(&path).ok().filter(|text| !text.is_empty());
        eventually(name, text).await
    }
}
