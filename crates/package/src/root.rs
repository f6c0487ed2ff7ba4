//! The package's folder, and finding the files below it that a manifest or a `.proto` names.

use crate::suggest;
use std::io;
use std::path::{Component, Path, PathBuf};

/// A package's folder, absolute and without links.
#[derive(Debug, Clone)]
pub(crate) struct Root(PathBuf);

/// Why a path that an author wrote leads to no file of the package.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{path}` is absolute")]
    Absolute { path: String },
    #[error("`{path}` leads out of the package")]
    Outside { path: String },
    #[error("`{path}` does not exist")]
    Missing { path: String, near: Option<String> },
    #[error("`{path}` is not a file")]
    NotFile { path: String },
    #[error("`{path}` is not a folder")]
    NotFolder { path: String },
    #[error("`{path}` cannot be read: {error}")]
    Unreadable { path: String, error: io::Error },
}

impl Error {
    /// What the author may do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Absolute { .. } | Self::Outside { .. } => {
                Some("name a file in the package, relative to its root".to_owned())
            }
            Self::Missing { near, .. } => near.as_ref().map(|near| format!("did you mean `{near}`?")),
            Self::NotFile { .. } | Self::NotFolder { .. } | Self::Unreadable { .. } => None,
        }
    }
}

impl Root {
    /// Finds the folder.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        path.canonicalize().map(Self)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Finds a file and gives its path relative to the root, in the shortest way to write it.
    /// Links are followed as long as they stay inside.
    pub(crate) fn find(&self, path: &str) -> Result<String, Error> {
        let (short, real) = self.real(path)?;
        if real.is_file() { Ok(short) } else { Err(Error::NotFile { path: path.to_owned() }) }
    }

    /// Finds a folder, as [`find`](Self::find) does a file.
    pub(crate) fn find_folder(&self, path: &str) -> Result<String, Error> {
        let (short, real) = self.real(path)?;
        if real.is_dir() { Ok(short) } else { Err(Error::NotFolder { path: path.to_owned() }) }
    }

    /// The place of a file that is yet to be made, relative to the root.
    pub(crate) fn place(&self, path: &str) -> Result<String, Error> {
        let short = shorten(path)?;
        let mut above = Path::new(&short).ancestors().skip(1);
        let nearest = above.find_map(|folder| self.0.join(folder).canonicalize().ok());
        match nearest.is_some_and(|folder| folder.starts_with(&self.0)) {
            true => Ok(short),
            false => Err(Error::Outside { path: path.to_owned() }),
        }
    }

    /// The shortest way to write a path, and what it leads to.
    fn real(&self, path: &str) -> Result<(String, PathBuf), Error> {
        let short = shorten(path)?;
        let full = self.0.join(&short);
        let real = full.canonicalize().map_err(|error| self.lost(path, &short, error))?;
        match real.starts_with(&self.0) {
            true => Ok((short, real)),
            false => Err(Error::Outside { path: path.to_owned() }),
        }
    }

    fn lost(&self, path: &str, short: &str, error: io::Error) -> Error {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Error::Missing { path, near: self.neighbour(short) }
            }
            _ => Error::Unreadable { path, error },
        }
    }

    /// A file in the same folder with nearly the same name.
    fn neighbour(&self, short: &str) -> Option<String> {
        let path = Path::new(short);
        let (folder, name) = (path.parent()?, path.file_name()?.to_str()?);
        let entries = self.0.join(folder).read_dir().ok()?.flatten();
        let names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let near = suggest::nearest(name, names.iter().map(String::as_str))?;
        folder.join(near).to_str().map(str::to_owned)
    }
}

/// A path without `.`, with what leads out refused.
fn shorten(path: &str) -> Result<String, Error> {
    let mut parts = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.extend(part.to_str()),
            Component::CurDir => {}
            Component::ParentDir => return Err(Error::Outside { path: path.to_owned() }),
            Component::RootDir | Component::Prefix(_) => {
                return Err(Error::Absolute { path: path.to_owned() });
            }
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_files_of_the_package_are_found() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.py"), "").unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("src/etl")).unwrap();
        fs::write(folder.path().join("src/etl/main.py"), "").unwrap();
        symlink("etl/main.py", folder.path().join("src/link.py")).unwrap();
        symlink(outside.path().join("secret.py"), folder.path().join("src/out.py")).unwrap();
        symlink(outside.path(), folder.path().join("away")).unwrap();
        symlink("loop.py", folder.path().join("loop.py")).unwrap();
        let root = Root::open(folder.path()).unwrap();

        for (path, expected) in [
            ("src/etl/main.py", "src/etl/main.py"),
            ("./src//etl/./main.py", "src/etl/main.py"),
            ("src/link.py", "src/link.py"),
            ("src/etl", "`src/etl` is not a file"),
            ("", "`` is not a file"),
            ("src/etl/main.pi", "`src/etl/main.pi` does not exist"),
            ("src/etl/main.py/x", "`src/etl/main.py/x` does not exist"),
            ("../x.py", "`../x.py` leads out of the package"),
            ("src/../src/etl/main.py", "`src/../src/etl/main.py` leads out of the package"),
            ("/etc/passwd", "`/etc/passwd` is absolute"),
            ("src/out.py", "`src/out.py` leads out of the package"),
            ("away/secret.py", "`away/secret.py` leads out of the package"),
        ] {
            let found = root.find(path).unwrap_or_else(|error| error.to_string());
            assert_eq!(found, expected, "{path}");
        }
        for (path, expected) in [
            ("src/etl/", "src/etl"),
            (".", ""),
            ("src/etl/main.py", "`src/etl/main.py` is not a folder"),
            ("src/nothing", "`src/nothing` does not exist"),
            ("away", "`away` leads out of the package"),
        ] {
            let found = root.find_folder(path).unwrap_or_else(|error| error.to_string());
            assert_eq!(found, expected, "{path}");
        }
        for (path, expected) in [
            ("bin/etl", "bin/etl"),
            ("./src/new//etl", "src/new/etl"),
            ("../etl", "`../etl` leads out of the package"),
            ("away/etl", "`away/etl` leads out of the package"),
        ] {
            let found = root.place(path).unwrap_or_else(|error| error.to_string());
            assert_eq!(found, expected, "{path}");
        }
        assert!(matches!(root.find("loop.py"), Err(Error::Unreadable { .. })));
        assert!(root.find("a\0b").is_err());
        let hint = root.find("src/etl/mian.py").unwrap_err().hint();
        assert_eq!(hint.as_deref(), Some("did you mean `src/etl/main.py`?"));
    }
}
