//! Folders for tests.

use std::fs;
use tempfile::TempDir;

/// A folder with these files: paths and content.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("there is room for a temporary folder");
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("folders can be made");
        fs::write(path, content).expect("files can be written");
    }
    folder
}
