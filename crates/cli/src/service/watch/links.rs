//! The links of a package, and which of its files change when a link's target changes.

use krt_package::Contents;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A larger file is compared by size and modification time: it may be a model of gigabytes.
const LARGE: u64 = 1 << 20;
/// More links than this on one path are a cycle.
const MAX_HOPS: usize = 40;

/// Links and their targets.
pub(super) struct Links {
    root: PathBuf,
    /// Every link on the path to a file.
    links: BTreeSet<PathBuf>,
    /// The targets of the links.
    targets: BTreeSet<PathBuf>,
    /// The files behind links, by their names in the package.
    files: BTreeMap<PathBuf, Option<Fingerprint>>,
}

/// Identifies the content of a file.
#[derive(Debug, PartialEq, Eq)]
enum Fingerprint {
    Content(u64),
    Facts(u64, Option<SystemTime>),
}

impl Links {
    /// Collects the links of a package. Skips folders that cannot be listed.
    pub(super) fn of(root: &Path) -> Self {
        let contents = Contents::list(root).unwrap_or_default();
        let links = contents.links().clone();
        let targets = links.iter().filter_map(|link| link.canonicalize().ok()).collect();
        let files =
            contents.linked().map(|(name, real)| (PathBuf::from(name), Fingerprint::of(real).ok())).collect();
        Self { root: root.to_owned(), links, targets, files }
    }

    /// Whether a change at a path may affect a file behind a link.
    pub(super) fn are_touched_by(&self, path: &Path) -> bool {
        self.links.contains(path)
            || path.is_symlink()
            || self.targets.iter().any(|target| path.starts_with(target) || target.starts_with(path))
    }

    /// Scans again; returns the names of files that were removed, added or changed.
    pub(super) fn changed(&mut self) -> Vec<PathBuf> {
        let now = Self::of(&self.root);
        let names: BTreeSet<_> = self.files.keys().chain(now.files.keys()).cloned().collect();
        let changed = names.into_iter().filter(|name| self.files.get(name) != now.files.get(name)).collect();
        *self = now;
        changed
    }
}

impl Fingerprint {
    fn of(file: &Path) -> io::Result<Self> {
        let facts = fs::metadata(file)?;
        if facts.len() > LARGE {
            return Ok(Self::Facts(facts.len(), facts.modified().ok()));
        }
        let mut hasher = DefaultHasher::new();
        fs::read(file)?.hash(&mut hasher);
        Ok(Self::Content(hasher.finish()))
    }
}

/// The links on the path to a folder, each by its resolved path.
pub(super) fn ways(folder: &Path) -> Vec<PathBuf> {
    let mut ways = Vec::new();
    let mut path = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    while ways.len() < MAX_HOPS {
        let mut prefixes: Vec<_> = path.ancestors().collect();
        prefixes.reverse();
        let Some(link) = prefixes.into_iter().find(|prefix| prefix.is_symlink()) else { break };
        let (Some(parent), Ok(target)) = (link.parent(), fs::read_link(link)) else { break };
        let Ok(rest) = path.strip_prefix(link) else { break };
        let next = parent.join(target).join(rest);
        ways.push(link.to_owned());
        path = next;
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn swapped_links_change_files() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for (volume, text) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir_all(root.join(volume).join("src")).unwrap();
            fs::write(root.join(volume).join("src/main.py"), text).unwrap();
            fs::write(root.join(volume).join("krt.yml"), "version: a").unwrap();
        }
        symlink("..1", root.join("..data")).unwrap();
        symlink("..data/src", root.join("src")).unwrap();
        symlink("..data/krt.yml", root.join("krt.yml")).unwrap();
        let mut links = Links::of(&root);
        for (path, touched) in [
            ("..data", true),
            ("src", true),
            ("..1", true),
            ("..1/src/main.py", true),
            ("..1/src/new.py", true),
            ("..2/src/main.py", false),
            ("plain.py", false),
            (".krt/data.db", false),
        ] {
            assert_eq!(links.are_touched_by(&root.join(path)), touched, "{path}");
        }
        symlink("..2", root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        assert_eq!(links.changed(), [Path::new("src/main.py")], "what is the same is not restarted");
        assert_eq!(links.changed(), [""; 0].map(PathBuf::from));
        fs::write(root.join("..2/src/new.py"), "").unwrap();
        assert_eq!(links.changed(), [Path::new("src/new.py")]);
        fs::remove_file(root.join("..data")).unwrap();
        assert_eq!(links.changed(), ["krt.yml", "src/main.py", "src/new.py"].map(PathBuf::from));
    }

    #[test]
    fn links_on_the_way_to_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        fs::create_dir_all(base.join("versions/1/package")).unwrap();
        symlink("versions/1", base.join("one")).unwrap();
        symlink("one", base.join("current")).unwrap();
        assert_eq!(ways(&base.join("current/package")), ["current", "one"].map(|name| base.join(name)));
        assert_eq!(ways(&base.join("versions/1")), [""; 0].map(PathBuf::from));
    }
}
