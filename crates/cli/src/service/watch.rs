//! Watches the files of a package, including the targets of links.

mod links;

use crate::{
    build,
    error::{Context as _, Result, ensure},
};
use krt_environment::CodeFiles;
use krt_model::version::{Build, Node};
use krt_package::Package;
use links::Links;
use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
    time::Duration,
};
use tokio::sync::mpsc;

/// Changes within this time of one another count as one.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Watches the files of a package.
pub(crate) struct Watch {
    /// The path as given.
    path: PathBuf,
    root: PathBuf,
    /// The links on the path to the root.
    ways: Vec<PathBuf>,
    links: Links,
    changed: mpsc::UnboundedReceiver<PathBuf>,
    _watcher: RecommendedWatcher,
}

/// The effect of a change of files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// On the package itself: its krt.yml, a .proto, sources to build.
    Package,
    /// On some of its nodes, by index.
    Nodes(BTreeSet<usize>),
}

/// Changed files, relative to the package's root.
#[derive(Debug, Default)]
pub(crate) struct ChangedFiles {
    files: BTreeSet<PathBuf>,
    /// Whether the path now leads to another root folder.
    root: bool,
}

impl Watch {
    /// Starts to watch a package's folder.
    pub(crate) fn start(path: &Path) -> Result<Self> {
        let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        ensure!(
            path.extension().is_none_or(|ending| ending != "krt"),
            "--watch needs a folder: `{}` is an archive",
            path.display()
        );
        let folder = if folder == Path::new("") { Path::new(".") } else { folder };
        let root = folder.canonicalize().with_context(|| format!("failed to find `{}`", path.display()))?;
        let ways = links::ways(folder);
        let (sender, changed) = mpsc::unbounded_channel();
        let (within, data, to_root) = (root.clone(), root.join(".krt"), ways.clone());
        // Ignore files that are written continuously, or the changes would never pause.
        let counts = move |path: &PathBuf| {
            path.starts_with(&within) && !path.starts_with(&data) || to_root.contains(path)
        };
        let on_event = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            for path in event.paths.into_iter().filter(&counts) {
                // Fails if the watch has ended.
                let _ = sender.send(path);
            }
        };
        // Links of a package stay inside it, and their targets are watched in their own place.
        let config = Config::default().with_follow_symlinks(false);
        let mut watcher = RecommendedWatcher::new(on_event, config)?;
        let failed = |path: &Path| format!("failed to watch `{}`", path.display());
        watcher.watch(&root, RecursiveMode::Recursive).with_context(|| failed(&root))?;
        for folder in ways.iter().filter_map(|way| way.parent()) {
            watcher.watch(folder, RecursiveMode::NonRecursive).with_context(|| failed(folder))?;
        }
        let links = Links::of(&root);
        Ok(Self { path: path.to_owned(), root, ways, links, changed, _watcher: watcher })
    }

    /// Waits for files to change, and then for a pause in the changes.
    pub(crate) async fn next(&mut self) -> ChangedFiles {
        loop {
            let paths = self.together().await;
            if paths.iter().any(|path| self.ways.contains(path)) && self.is_elsewhere() {
                return ChangedFiles { files: BTreeSet::new(), root: true };
            }
            let relative = paths.iter().filter_map(|path| path.strip_prefix(&self.root).ok());
            let mut files: BTreeSet<PathBuf> = relative.map(Path::to_owned).collect();
            if paths.iter().any(|path| self.links.are_touched_by(path)) {
                files.extend(self.links.changed());
            }
            files.retain(|path| matters(path) && !is_cached(&self.root, path));
            if !files.is_empty() {
                return ChangedFiles { files, root: false };
            }
        }
    }

    /// The paths that change within a short time of one another.
    async fn together(&mut self) -> BTreeSet<PathBuf> {
        let Some(first) = self.changed.recv().await else { return std::future::pending().await };
        let mut paths = BTreeSet::from([first]);
        while let Ok(Some(path)) = tokio::time::timeout(DEBOUNCE, self.changed.recv()).await {
            paths.insert(path);
        }
        paths
    }

    /// Watches another folder if a link on the path to the package now leads there.
    fn is_elsewhere(&mut self) -> bool {
        // While the link is missing or broken, keep watching the previous folder.
        let Ok(again) = Self::start(&self.path) else { return false };
        let is_other = again.root != self.root;
        *self = again;
        is_other
    }
}

/// Whether a file can affect a node; excludes files that tools and Python itself write.
fn matters(path: &Path) -> bool {
    let name = |part: Component<'_>| part.as_os_str().to_string_lossy().into_owned();
    let written = |part: &String| part.starts_with('.') || part == "__pycache__" || part == "node_modules";
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    !path.components().map(name).any(|part| written(&part))
        && !path.to_string_lossy().ends_with('~')
        && !matches!(ending, "pyc" | "swp" | "tmp")
}

/// Whether a file is in a folder that a tool has marked as its cache (<https://bford.info/cachedir>), as
/// `cargo` marks `target`.
fn is_cached(root: &Path, path: &Path) -> bool {
    path.ancestors().skip(1).any(|folder| root.join(folder).join("CACHEDIR.TAG").exists())
}

impl ChangedFiles {
    /// The effect of the change on a package.
    ///
    /// A file below the folder of one node's `src` affects that node; every other file may affect any node.
    pub(crate) fn of(&self, package: &Package) -> Change {
        let folders: Vec<_> = package
            .version
            .nodes
            .iter()
            .map(|node| Path::new(&node.src).parent().unwrap_or(Path::new("")))
            .collect();
        let builds: Vec<_> =
            package.version.nodes.iter().filter_map(|node| CompiledNode::of(node, package)).collect();
        let mut nodes = BTreeSet::new();
        if self.root {
            return Change::Package;
        }
        for path in &self.files {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if ending == "proto" || is_manifest(path) || builds.iter().any(|build| build.is_source(path)) {
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

/// The sources of a compiled node.
struct CompiledNode<'a> {
    build: &'a Build,
    code: &'static CodeFiles,
    /// Folders of modules outside its own, relative to the root.
    beside: Vec<PathBuf>,
}

impl<'a> CompiledNode<'a> {
    fn of(node: &'a Node, package: &Package) -> Option<Self> {
        let (build, source) = (node.build.as_ref()?, build::source(node, &package.root)?);
        let relative = |folder: PathBuf| {
            let real = folder.canonicalize().ok()?;
            Some(real.strip_prefix(&package.root).ok()?.to_owned())
        };
        Some(Self {
            build,
            code: source.code(),
            beside: source.folders().into_iter().skip(1).filter_map(relative).collect(),
        })
    }

    /// Whether a file may be a source of the executable.
    fn is_source(&self, path: &Path) -> bool {
        let Build { folder, module } = self.build;
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_code = self.code.endings.contains(&ending);
        // A module above the node's own also contains other nodes; only code in it matters to the compiler.
        let beside = |beside: &PathBuf| {
            path.starts_with(beside) && (is_code || !Path::new(module).starts_with(beside))
        };
        self.code.names.contains(&name)
            || path.starts_with(module) && (is_code || !folder.is_empty() && path.starts_with(folder))
            || self.beside.iter().any(beside)
    }
}

/// The nodes whose folder is the nearest one above a file; all nodes if there is none.
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
        const CODE: CodeFiles = CodeFiles { endings: &["go", "mod"], names: &["go.work"] };
        let build = Build { folder: "src/etl/cmd".to_owned(), module: "src/etl".to_owned() };
        let root = Build { folder: String::new(), module: String::new() };
        let beside = ["lib/shared", ""].map(PathBuf::from);
        let of_module = CompiledNode { build: &build, code: &CODE, beside: beside[..1].to_vec() };
        let of_root = CompiledNode { build: &root, code: &CODE, beside: Vec::new() };
        let of_both = CompiledNode { build: &build, code: &CODE, beside: beside.to_vec() };
        for (path, expected) in [
            ("src/etl/cmd/main.go", [true, true, true]),
            ("src/etl/deep/a.go", [true, true, true]),
            ("src/etl/go.mod", [true, true, true]),
            ("src/etl/cmd/words.txt", [true, false, true]),
            ("src/etl/words.txt", [false, false, false]),
            ("src/model/main.py", [false, false, false]),
            ("lib/shared/shared.go", [true, true, true]),
            ("lib/shared/words.txt", [true, false, true]),
            ("lib/other/other.go", [false, true, true]),
            ("go.work", [true, true, true]),
        ] {
            let found = [&of_module, &of_root, &of_both].map(|built| built.is_source(Path::new(path)));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn cache_files() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("src/etl/target");
        std::fs::create_dir_all(&target).unwrap();
        std::fs::write(target.join("CACHEDIR.TAG"), "").unwrap();
        let cached = ["src/etl/target/release/etl", "src/etl/src/main.rs", "src/target/main.rs"]
            .map(|path| is_cached(root.path(), Path::new(path)));
        assert_eq!(cached, [true, false, false]);
    }

    #[test]
    fn relevant_files() {
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
