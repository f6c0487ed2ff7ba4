//! Files of a package that change.

use anyhow::Context as _;
use krt_model::version::{Build, Language};
use krt_package::Package;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
    time::Duration,
};
use tokio::sync::mpsc;

/// Changes that come within this time of one another are one.
const TOGETHER: Duration = Duration::from_millis(100);

/// Sees the files of a package change.
pub(crate) struct Watch {
    root: PathBuf,
    changed: mpsc::UnboundedReceiver<PathBuf>,
    _watcher: RecommendedWatcher,
}

/// What a change of files means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The package itself: its krt.yml, a .proto, sources that must be built.
    Package,
    /// Some of its nodes, by index.
    Nodes(BTreeSet<usize>),
}

/// Files that changed, relative to the package's root.
#[derive(Debug, Default)]
pub(crate) struct Changed(BTreeSet<PathBuf>);

impl Watch {
    /// Starts to watch a package's folder.
    pub(crate) fn start(path: &Path) -> anyhow::Result<Self> {
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        anyhow::ensure!(
            path.extension().is_none_or(|ending| ending != "krt"),
            "--watch needs a folder: `{}` is an archive",
            path.display()
        );
        let root = folder.canonicalize().with_context(|| format!("failed to find `{}`", path.display()))?;
        let (tell, changed) = mpsc::unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            for path in event.paths {
                // Fails when nobody watches any more.
                let _ = tell.send(path);
            }
        })?;
        watcher
            .watch(&root, RecursiveMode::Recursive)
            .with_context(|| format!("failed to watch `{}`", root.display()))?;
        Ok(Self { root, changed, _watcher: watcher })
    }

    /// Waits for files to change, and for the changing to pause.
    pub(crate) async fn next(&mut self) -> Changed {
        let mut changed = Changed::default();
        loop {
            let path = if changed.0.is_empty() {
                self.changed.recv().await
            } else {
                match tokio::time::timeout(TOGETHER, self.changed.recv()).await {
                    Ok(path) => path,
                    Err(_) => return changed,
                }
            };
            let Some(path) = path else { return std::future::pending().await };
            if let Some(path) = path.strip_prefix(&self.root).ok().filter(|path| matters(path))
                && !is_cached(&self.root, path)
            {
                changed.0.insert(path.to_owned());
            }
        }
    }
}

/// Whether a file can matter to a node: not what tools and Python itself write.
fn matters(path: &Path) -> bool {
    let name = |part: Component<'_>| part.as_os_str().to_string_lossy().into_owned();
    let written = |part: &String| part.starts_with('.') || part == "__pycache__" || part == "node_modules";
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    !path.components().map(name).any(|part| written(&part))
        && !path.to_string_lossy().ends_with('~')
        && !matches!(ending, "pyc" | "swp" | "tmp")
}

/// Whether a file lies in a folder that a tool has marked as its cache (<https://bford.info/cachedir>),
/// as `cargo` marks `target`.
fn is_cached(root: &Path, path: &Path) -> bool {
    path.ancestors().skip(1).any(|folder| root.join(folder).join("CACHEDIR.TAG").exists())
}

impl Changed {
    /// What the change means to a package.
    ///
    /// A file below the folder of one node's `src` is that node's; every other file may be of any.
    pub(crate) fn of(&self, package: &Package) -> Change {
        let folders: Vec<_> = package
            .version
            .nodes
            .iter()
            .map(|node| Path::new(&node.src).parent().unwrap_or(Path::new("")))
            .collect();
        let mut nodes = BTreeSet::new();
        for path in &self.0 {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            let mut builds = package.version.nodes.iter().filter_map(|node| node.build.as_ref());
            if ending == "proto" || is_manifest(path) || builds.any(|build| is_source(path, build)) {
                return Change::Package;
            }
            let owners: Vec<_> = owners(path, &folders);
            nodes.extend(owners);
        }
        Change::Nodes(nodes)
    }
}

fn is_manifest(path: &Path) -> bool {
    matches!(path.to_str(), Some("krt.yml" | "krt.yaml"))
}

/// Whether an executable may be built from a file.
fn is_source(path: &Path, build: &Build) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let endings = match build.language {
        Language::Go => ["go", "mod", "sum"],
        Language::Rust => ["rs", "toml", "lock"],
    };
    path.starts_with(&build.module)
        && (endings.contains(&ending) || !build.folder.is_empty() && path.starts_with(&build.folder))
}

/// The nodes in whose folder a file is, the nearest folder counting; all, when it is in none.
fn owners(path: &Path, folders: &[&Path]) -> Vec<usize> {
    let depth = |folder: &Path| folder.components().count();
    let holds = |folder: &Path| depth(folder) > 0 && path.starts_with(folder);
    let nearest = folders.iter().filter(|folder| holds(folder)).map(|folder| depth(folder)).max();
    let owns = |folder: &Path| nearest.is_none_or(|nearest| holds(folder) && depth(folder) == nearest);
    (0..folders.len()).filter(|&index| owns(folders[index])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_of_a_file() {
        let folders =
            [Path::new("src/etl"), Path::new("src/model"), Path::new("src/model/deep"), Path::new("bin")];
        let rows: [(&str, &[usize]); 6] = [
            ("src/etl/main.py", &[0]),
            ("src/model/helper/x.py", &[1]),
            ("src/model/deep/y.py", &[2]),
            ("bin/go", &[3]),
            ("src/shared.py", &[0, 1, 2, 3]),
            ("models/m.joblib", &[0, 1, 2, 3]),
        ];
        for (path, expected) in rows {
            assert_eq!(owners(Path::new(path), &folders), expected, "{path}");
        }
    }

    #[test]
    fn files_that_are_built() {
        let language = Language::Go;
        let build = Build { language, folder: "src/etl/cmd".to_owned(), module: "src/etl".to_owned() };
        let root = Build { language, folder: String::new(), module: String::new() };
        for (path, of_module, of_root) in [
            ("src/etl/cmd/main.go", true, true),
            ("src/etl/deep/a.go", true, true),
            ("src/etl/go.mod", true, true),
            ("src/etl/cmd/words.txt", true, false),
            ("src/etl/words.txt", false, false),
            ("src/model/main.py", false, false),
        ] {
            let found = [&build, &root].map(|build| is_source(Path::new(path), build));
            assert_eq!(found, [of_module, of_root], "{path}");
        }
    }

    #[test]
    fn files_of_caches() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("src/etl/target");
        std::fs::create_dir_all(&target).unwrap();
        std::fs::write(target.join("CACHEDIR.TAG"), "").unwrap();
        let cached = ["src/etl/target/release/etl", "src/etl/src/main.rs", "src/target/main.rs"]
            .map(|path| is_cached(root.path(), Path::new(path)));
        assert_eq!(cached, [true, false, false]);
    }

    #[test]
    fn files_that_matter() {
        for path in ["krt.yml", "src/etl/main.py", "models/m.joblib"] {
            assert!(matters(Path::new(path)), "{path}");
        }
        for path in
            [".krt/data.db", "src/__pycache__/main.cpython-311.pyc", "src/.main.py.swp", "src/main.py~"]
        {
            assert!(!matters(Path::new(path)), "{path}");
        }
    }
}
