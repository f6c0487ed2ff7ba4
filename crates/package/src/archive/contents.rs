//! What of a folder goes into its archive.

use super::error::PackError;
use crate::manifest::FILE_NAMES;
use ignore::{DirEntry, WalkBuilder};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// The file that names what is left out, in the syntax of `.gitignore`.
const IGNORE_FILE: &str = ".krtignore";
/// Left out always: of use on this machine only. Python makes `__pycache__` anew.
const LEFT_OUT: [&str; 4] = [".git", ".krt", ".venv", "__pycache__"];
/// Left out always: what a `krt` that was killed while it packed or unpacked has left.
const UNFINISHED: [&str; 2] = [super::PACKING, super::UNPACKING];

/// The files, folders and links to pack, by their names, in order.
pub(super) struct Contents {
    pub(super) items: BTreeMap<String, Item>,
}

/// One thing to pack.
pub(super) enum Item {
    Folder,
    File {
        size: u64,
        executable: bool,
    },
    /// A symbolic link to something in the package, relative to the link's folder.
    Link {
        target: PathBuf,
    },
}

impl Contents {
    /// Lists a folder; `except` is a file that is left out, such as the archive itself.
    pub(super) fn of(folder: &Path, except: Option<&Path>) -> Result<Self, PackError> {
        let read = |path: &Path, source| PackError::Read { path: path.to_owned(), source };
        let root = folder.canonicalize().map_err(|error| read(folder, error))?;
        let except = except.and_then(|path| path.canonicalize().ok());
        let mut items = BTreeMap::new();
        for entry in walk(&root) {
            let entry = entry?;
            if let Some(error) = entry.error() {
                return Err(PackError::Walk(error.clone()));
            }
            let relative = entry.path().strip_prefix(&root).unwrap_or(entry.path());
            if relative != Path::new("") && except.as_deref() != Some(entry.path()) {
                items.insert(name(relative)?, item(&entry, &root)?);
            }
        }
        let contents = Self { items };
        contents.check(folder)?;
        Ok(contents)
    }

    /// How many files there are, and how many bytes in them.
    pub(super) fn size(&self) -> (usize, u64) {
        self.items.values().fold((0, 0), |(files, bytes), item| match item {
            Item::File { size, .. } => (files + 1, bytes + size),
            _ => (files, bytes),
        })
    }

    fn check(&self, folder: &Path) -> Result<(), PackError> {
        if !FILE_NAMES.iter().any(|name| matches!(self.items.get(*name), Some(Item::File { .. }))) {
            return Err(PackError::NoManifest { path: folder.to_owned() });
        }
        for (name, item) in &self.items {
            if let Item::Link { target } = item
                && !self.holds(name, target)
            {
                return Err(PackError::Link { name: name.clone(), target: target.display().to_string() });
            }
        }
        Ok(())
    }

    /// Whether what a link points to is packed as well.
    fn holds(&self, link: &str, target: &Path) -> bool {
        let mut parts: Vec<_> = Path::new(link).parent().into_iter().flat_map(Path::components).collect();
        for part in target.components() {
            match part {
                Component::ParentDir => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let path: PathBuf = parts.into_iter().collect();
        path == Path::new("") || path.to_str().is_some_and(|path| self.items.contains_key(path))
    }
}

fn walk(root: &Path) -> ignore::Walk {
    WalkBuilder::new(root)
        .standard_filters(false)
        .parents(false)
        .follow_links(false)
        .add_custom_ignore_filename(IGNORE_FILE)
        .filter_entry(|entry| !is_left_out(entry))
        .build()
}

/// Whether an entry is always left out. A virtual environment is, by whatever name, and an archive at
/// the root, so that packing twice does not put the first into the second.
fn is_left_out(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_str().unwrap_or_default();
    let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
    let archive = || entry.depth() == 1 && !is_folder && name.ends_with(".krt");
    let environment = || is_folder && entry.path().join("pyvenv.cfg").is_file();
    entry.depth() > 0
        && (LEFT_OUT.contains(&name)
            || UNFINISHED.iter().any(|prefix| name.starts_with(prefix))
            || archive()
            || environment())
}

fn name(path: &Path) -> Result<String, PackError> {
    path.to_str().map(str::to_owned).ok_or_else(|| PackError::Name { name: path.display().to_string() })
}

fn item(entry: &DirEntry, root: &Path) -> Result<Item, PackError> {
    let path = entry.path();
    let metadata =
        fs::symlink_metadata(path).map_err(|source| PackError::Read { path: path.to_owned(), source })?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        Ok(Item::Folder)
    } else if kind.is_file() {
        Ok(Item::File { size: metadata.len(), executable: metadata.permissions().mode() & 0o111 != 0 })
    } else if kind.is_symlink() {
        link(path, root)
    } else {
        Err(PackError::Special { name: path.strip_prefix(root).unwrap_or(path).display().to_string() })
    }
}

/// A link, made relative: an absolute one would lead out of wherever the archive is unpacked.
fn link(path: &Path, root: &Path) -> Result<Item, PackError> {
    let outside = || PackError::Link {
        name: path.strip_prefix(root).unwrap_or(path).display().to_string(),
        target: fs::read_link(path).unwrap_or_default().display().to_string(),
    };
    let target = path.canonicalize().map_err(|_| outside())?;
    let target = target.strip_prefix(root).map_err(|_| outside())?;
    let folder = path.strip_prefix(root).ok().and_then(Path::parent).unwrap_or(Path::new(""));
    Ok(Item::Link { target: relative(folder, target) })
}

/// The way from a folder to a path, both relative to the same root.
fn relative(folder: &Path, path: &Path) -> PathBuf {
    let shared = folder.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(shared).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(path.components().skip(shared)).collect();
    if way == Path::new("") { PathBuf::from(".") } else { way }
}
