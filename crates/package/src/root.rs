//! The package's root, and lookups of files that a manifest or a `.proto` names.

use crate::link::{self, Link};
use crate::suggest;
use std::io;
use std::path::{Component, Path, PathBuf};

/// A package's folder, absolute, with links resolved.
#[derive(Debug, Clone)]
pub(crate) struct Root(PathBuf);

/// Why an author's path does not lead to a file of the package.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{path}` leads out of the package")]
    Outside { path: String },
    #[error("`{path}` leads out of the package by the link `{}` to `{}`", link.name, link.target)]
    LinkOutside { path: String, link: Link },
    #[error("`{path}` forms a cycle through the link `{}` to `{}`", link.name, link.target)]
    LinkLoop { path: String, link: Link },
    #[error("`{path}` does not exist: the link `{}` points to `{}`, which does not exist", link.name, link.target)]
    Dangling { path: String, link: Link },
    #[error("`{path}` does not exist")]
    Missing { path: String, hint: Option<String> },
    #[error("`{path}` is not a file")]
    NotFile { path: String },
    #[error("`{path}` is not a folder")]
    NotFolder { path: String },
    #[error("`{path}` cannot be read: {error}")]
    Unreadable { path: String, error: io::Error },
}

impl Error {
    /// The hint for the author.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Outside { .. } => Some("name a file in the package, relative to its root".to_owned()),
            Self::LinkOutside { .. } => Some("copy what the link points to into the package".to_owned()),
            Self::LinkLoop { .. } | Self::Dangling { .. } => {
                Some("let the link point to a file in the package".to_owned())
            }
            Self::Missing { hint, .. } => hint.clone(),
            Self::NotFile { .. } | Self::NotFolder { .. } | Self::Unreadable { .. } => None,
        }
    }
}

impl Root {
    /// Opens the folder.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        path.canonicalize().map(Self)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Finds a file, and returns its shortest path relative to the root. Follows links that stay inside.
    pub(crate) fn find(&self, path: &str) -> Result<String, Error> {
        let (short, real) = self.real(path)?;
        if real.is_file() { Ok(short) } else { Err(Error::NotFile { path: path.to_owned() }) }
    }

    /// Finds a folder, as [`find`](Self::find) does a file.
    pub(crate) fn find_folder(&self, path: &str) -> Result<String, Error> {
        let (short, real) = self.real(path)?;
        if real.is_dir() { Ok(short) } else { Err(Error::NotFolder { path: path.to_owned() }) }
    }

    /// The path of a file that need not exist yet, relative to the root.
    pub(crate) fn place(&self, path: &str) -> Result<String, Error> {
        let short = shorten(path)?;
        for folder in Path::new(&short).ancestors().skip(1) {
            match link::follow(&self.0, folder) {
                Err(link::Error::Missing) => {}
                Err(error) => return Err(self.lost(path, &short, error)),
                Ok(_) => break,
            }
        }
        Ok(short)
    }

    /// The shortest form of a path, and its real path.
    fn real(&self, path: &str) -> Result<(String, PathBuf), Error> {
        let short = shorten(path)?;
        match link::follow(&self.0, Path::new(&short)) {
            Ok(found) => Ok((short, found.real)),
            Err(error) => Err(self.lost(path, &short, error)),
        }
    }

    fn lost(&self, path: &str, short: &str, error: link::Error) -> Error {
        let path = path.to_owned();
        match error {
            link::Error::Outside(link) => Error::LinkOutside { path, link },
            link::Error::Loop(link) => Error::LinkLoop { path, link },
            link::Error::Dangling(link) => Error::Dangling { path, link },
            link::Error::Missing => Error::Missing { hint: self.suggestion(&path, short), path },
            link::Error::Unreadable(error) => Error::Unreadable { path, error },
        }
    }

    /// The path that the author probably meant.
    fn suggestion(&self, path: &str, short: &str) -> Option<String> {
        let exists = |path: &str| shorten(path).ok().filter(|path| self.0.join(path).exists());
        let trimmed = path.trim();
        if trimmed != path
            && let Some(found) = exists(trimmed)
        {
            return Some(format!("remove the spaces around it: `{found}`"));
        }
        if path.contains('\\')
            && let Some(found) = exists(&trimmed.replace('\\', "/"))
        {
            return Some(format!("separate folders by `/`: `{found}`"));
        }
        if let Ok(inside) = Path::new(trimmed).strip_prefix(&self.0) {
            return Some(format!("name it relative to the package's root: `{}`", inside.display()));
        }
        self.similar_file(short).map(|near| format!("did you mean `{near}`?"))
    }

    /// A file in the same folder with a similar name.
    fn similar_file(&self, short: &str) -> Option<String> {
        let path = Path::new(short);
        let (folder, name) = (path.parent()?, path.file_name()?.to_str()?);
        let entries = self.0.join(folder).read_dir().ok()?.flatten();
        let names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        let near = suggest::nearest(name, names.iter().map(String::as_str))?;
        folder.join(near).to_str().map(str::to_owned)
    }
}

/// Whether a path, taken literally, starts at the root of the file system.
pub(crate) fn is_absolute(path: &str) -> bool {
    Path::new(path).is_absolute()
}

/// Joins a path to the root like Go's `path.Join`: without `.`, `..` and a leading `/`, as other tools for
/// KRT v1 do. Refuses a path that leads out.
fn shorten(path: &str) -> Result<String, Error> {
    let mut parts = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.extend(part.to_str()),
            Component::ParentDir => {
                parts.pop().ok_or_else(|| Error::Outside { path: path.to_owned() })?;
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
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
        let out = outside.path().display().to_string();

        for (path, expected) in [
            ("src/etl/main.py", "src/etl/main.py"),
            ("./src//etl/./main.py", "src/etl/main.py"),
            ("src/link.py", "src/link.py"),
            ("src/etl", "`src/etl` is not a file"),
            ("", "`` is not a file"),
            ("src/etl/main.pi", "`src/etl/main.pi` does not exist"),
            ("src/etl/main.py/x", "`src/etl/main.py/x` does not exist"),
            ("../x.py", "`../x.py` leads out of the package"),
            ("src/../src/etl/main.py", "src/etl/main.py"),
            ("src/../../x.py", "`src/../../x.py` leads out of the package"),
            ("/src/etl/main.py", "src/etl/main.py"),
            ("//src/etl/main.py/", "src/etl/main.py"),
            ("/../src/etl/main.py", "`/../src/etl/main.py` leads out of the package"),
            ("/etc/passwd", "`/etc/passwd` does not exist"),
            ("src/etl/main.py ", "`src/etl/main.py ` does not exist"),
            ("src\\etl\\main.py", "`src\\etl\\main.py` does not exist"),
            (
                "src/out.py",
                "`src/out.py` leads out of the package by the link `src/out.py` to `OUT/secret.py`",
            ),
            ("away/secret.py", "`away/secret.py` leads out of the package by the link `away` to `OUT`"),
            ("loop.py", "`loop.py` forms a cycle through the link `loop.py` to `loop.py`"),
        ] {
            let found = root.find(path).unwrap_or_else(|error| error.to_string());
            assert_eq!(found, expected.replace("OUT", &out), "{path}");
        }
        for (path, expected) in [
            ("src/etl/", "src/etl"),
            (".", ""),
            ("src/etl/main.py", "`src/etl/main.py` is not a folder"),
            ("src/nothing", "`src/nothing` does not exist"),
            ("away", "`away` leads out of the package by the link `away` to `OUT`"),
        ] {
            let found = root.find_folder(path).unwrap_or_else(|error| error.to_string());
            assert_eq!(found, expected.replace("OUT", &out), "{path}");
        }
        for (path, expected) in [
            ("bin/etl", "bin/etl"),
            ("./src/new//etl", "src/new/etl"),
            ("../etl", "`../etl` leads out of the package"),
            ("/bin/etl", "bin/etl"),
            ("away/etl", "`away/etl` leads out of the package by the link `away` to `OUT`"),
        ] {
            let found = root.place(path).unwrap_or_else(|error| error.to_string());
            assert_eq!(found, expected.replace("OUT", &out), "{path}");
        }
        assert!(root.find("a\0b").is_err());
        let absolute = folder.path().canonicalize().unwrap().join("src/etl/main.py");
        for (path, expected) in [
            ("src/etl/mian.py", "did you mean `src/etl/main.py`?"),
            ("src/etl/main.py ", "remove the spaces around it: `src/etl/main.py`"),
            (" src/etl/main.py", "remove the spaces around it: `src/etl/main.py`"),
            ("src\\etl\\main.py", "separate folders by `/`: `src/etl/main.py`"),
            (".\\src\\etl\\main.py", "separate folders by `/`: `src/etl/main.py`"),
            (absolute.to_str().unwrap(), "name it relative to the package's root: `src/etl/main.py`"),
        ] {
            assert_eq!(root.find(path).unwrap_err().hint().as_deref(), Some(expected), "{path}");
        }
    }
}
