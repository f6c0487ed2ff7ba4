//! An editable copy of a package.

use super::krt::packages;
use std::{fs, path::Path};
use tempfile::TempDir;

/// A package in its own folder, which is removed on drop.
pub(crate) struct Copy(TempDir);

impl Copy {
    /// Copies a package of `packages/`.
    pub(crate) fn of(package: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a temporary folder");
        copy(&packages().join(package), folder.path()).expect("files can be copied");
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Replaces a text in a file; fails if the text is missing.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join(file);
        let text = fs::read_to_string(&path).expect("the file is there");
        assert!(text.contains(from), "{file} has no `{from}`:\n{text}");
        fs::write(path, text.replace(from, to)).expect("files can be written");
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
