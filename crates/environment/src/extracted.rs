//! Folders of the cache with immutable files, such as an SDK.

use crate::error::{CACHE_HINT, Error};
use krt_model::hint;
use std::{
    borrow::Cow,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Files by their path in the folder.
pub(crate) type Files = Vec<(String, Cow<'static, [u8]>)>;

/// A folder with extracted files.
#[derive(Debug)]
pub(crate) struct Extracted {
    path: PathBuf,
    fallback: Option<Fallback>,
}

#[derive(Debug)]
struct Fallback {
    reason: String,
    _folder: TempDir,
}

impl Extracted {
    /// The folder at a path of the cache; extracts its files unless they exist. Where the cache cannot be
    /// written, uses a temporary folder that is removed on drop. `what` names the files in the warning about
    /// that.
    pub(crate) fn at(path: &Path, what: &str, files: impl Fn() -> Files) -> Result<Self, Error> {
        if path.is_dir() {
            return Ok(Self { path: path.to_owned(), fallback: None });
        }
        let files = files();
        match lay_down_at(path, &files) {
            Ok(()) => Ok(Self { path: path.to_owned(), fallback: None }),
            Err(problem) => Self::temporary(path, what, &files, &problem),
        }
    }

    fn temporary(wanted: &Path, what: &str, files: &Files, problem: &io::Error) -> Result<Self, Error> {
        let failed = |source| Error::Cache { path: wanted.to_owned(), source };
        let private = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("krt-").permissions(private).tempdir();
        let folder = folder.map_err(failed)?;
        write_files(folder.path(), files).map_err(failed)?;
        let reason = format!(
            "cannot write `{}`: {problem}; {what} lies in `{}` for this run",
            wanted.display(),
            folder.path().display()
        );
        let reason = hint::on_one_line(reason, &[CACHE_HINT]);
        let path = folder.path().to_owned();
        Ok(Self { path, fallback: Some(Fallback { reason, _folder: folder }) })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Why the folder is temporary, if it is.
    pub(crate) fn fallback(&self) -> Option<&str> {
        self.fallback.as_ref().map(|fallback| fallback.reason.as_str())
    }
}

/// Extracts the files to a folder atomically. With concurrent processes, the first one wins.
fn lay_down_at(path: &Path, files: &Files) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent)?;
    let folder = tempfile::Builder::new().prefix(".laid-").tempdir_in(parent)?;
    write_files(folder.path(), files)?;
    match fs::rename(folder.path(), path) {
        Err(_) if path.is_dir() => Ok(()),
        done => done,
    }
}

fn write_files(folder: &Path, files: &Files) -> io::Result<()> {
    for (name, content) in files {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        fs::write(file, content)?;
    }
    Ok(())
}
