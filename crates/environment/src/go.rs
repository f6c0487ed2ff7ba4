//! Nodes in Go: builds their executables, once for the same content.
//!
//! The user's `go.mod` and `go.sum` stay as they are: the build has copies of its own, in which the
//! modules that KRT v1 knows are replaced by those of the embedded SDK. Nothing is written to the
//! package, and nothing is fetched but what the user's `go.mod` and protobuf need.

mod content;
mod error;
mod overlay;

pub use error::GoError;

use crate::{
    Surroundings,
    event::{Event, Step},
    key::Key,
    process::Run,
    sdk::{self, Sdk},
};
use content::Content;
use overlay::Overlay;
use std::{
    collections::{BTreeMap, HashMap},
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::unix::ffi::OsStrExt as _,
    path::{self, Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};
use tempfile::TempDir;

/// How long an executable is kept that no run starts with.
const KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 3600);

/// No build takes longer.
const BUILT_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// Part of every key: another number builds everything anew.
const FORM: &str = "2";

/// What every build is given. The paths of this machine are kept out of what is built.
const BUILD: [&str; 4] = ["build", "-mod=mod", "-trimpath", "-buildvcs=false"];

/// A node in Go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoSource {
    /// Its name.
    pub name: String,
    /// The folder of its `package main`.
    pub folder: PathBuf,
    /// The folder of the `go.mod` that is for it.
    pub module: PathBuf,
    /// Where the package has, or will have, its executable.
    pub executable: PathBuf,
}

/// Where the executable of a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executable {
    /// It was built from the sources that are there now.
    Built(PathBuf),
    /// It is the package's own: there is no `go` to build it with.
    Prebuilt(PathBuf),
}

impl Executable {
    /// The executable.
    pub fn path(&self) -> &Path {
        match self {
            Self::Built(path) | Self::Prebuilt(path) => path,
        }
    }
}

/// Builds executables.
pub struct Executables {
    cache: PathBuf,
    surroundings: Surroundings,
}

impl Executables {
    /// Keeps what it builds below a cache folder, which need not exist.
    pub fn new(cache: PathBuf) -> Self {
        let cache = path::absolute(&cache).unwrap_or(cache);
        Self { cache, surroundings: Surroundings::of_process() }
    }

    /// The same, with other environment variables than this process's.
    #[must_use]
    pub fn with_surroundings(self, surroundings: Surroundings) -> Self {
        Self { surroundings, ..self }
    }

    /// The executable of each node, in the order given. Builds those that are missing, one at a time,
    /// since a build uses every processor. Dropped in between, it ends what runs and leaves nothing.
    pub async fn prepare(
        &self,
        nodes: &[GoSource],
        on_event: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Vec<Executable>, GoError> {
        let Some(go) = self.surroundings.commands("go").into_iter().next() else {
            return nodes.iter().map(prebuilt).collect();
        };
        let mut built = HashMap::new();
        let mut executables = Vec::with_capacity(nodes.len());
        for node in nodes {
            let place = (&node.folder, &node.module);
            let path = match built.get(&place) {
                Some(path) => PathBuf::clone(path),
                None => {
                    Build { node, go: &go, cache: &self.cache, surroundings: &self.surroundings, on_event }
                        .find_or_make()
                        .await?
                }
            };
            built.insert(place, path.clone());
            executables.push(Executable::Built(path));
        }
        Ok(executables)
    }
}

/// The executable that the package brings with it.
fn prebuilt(node: &GoSource) -> Result<Executable, GoError> {
    match node.executable.is_file() {
        true => Ok(Executable::Prebuilt(node.executable.clone())),
        false => Err(GoError::NoGo { node: node.name.clone(), folder: node.folder.clone() }),
    }
}

/// One executable to build.
struct Build<'a> {
    node: &'a GoSource,
    go: &'a Path,
    cache: &'a Path,
    surroundings: &'a Surroundings,
    on_event: &'a (dyn Fn(Event) + Send + Sync),
}

impl Build<'_> {
    async fn find_or_make(&self) -> Result<PathBuf, GoError> {
        let executable = self.cache.join("executables").join(self.key()?);
        if executable.is_file() {
            self.tell(Step::Reusing);
            touch(&executable);
            return Ok(executable);
        }
        let started = Instant::now();
        self.tell(Step::Building { folder: self.node.folder.clone() });
        self.make(&executable).await?;
        self.tell(Step::Installed { elapsed: started.elapsed() });
        Ok(executable)
    }

    /// What the executable is kept under: all that decides what is in it.
    fn key(&self) -> Result<String, GoError> {
        let content = Content::of(self.node).map_err(|(path, source)| GoError::Read { path, source })?;
        let mut key = Key::default().with(FORM).with(sdk::GO.hash()).with(content.finish());
        key.add(
            self.node.folder.strip_prefix(&self.node.module).unwrap_or(Path::new("")).as_os_str().as_bytes(),
        );
        key.add(tool(self.go).as_bytes());
        for (name, value) in self.variables() {
            if decides(&name) {
                key.add(name.as_bytes());
                key.add(value.as_bytes());
            }
        }
        Ok(key.finish())
    }

    async fn make(&self, executable: &Path) -> Result<(), GoError> {
        let cache = |error| GoError::Cache(Box::new(error));
        let failed = |source| cache(crate::Error::Cache { path: executable.to_owned(), source });
        let sdk = Sdk::below(self.cache, &sdk::GO).map_err(cache)?;
        let folder = executable.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(failed)?;
        let workshop = tempfile::Builder::new().prefix(".build-").tempdir_in(folder).map_err(failed)?;
        let overlay = Overlay::write(&workshop, &self.node.module, sdk.path()).map_err(failed)?;
        self.call(&overlay.edit(), &workshop).await?;
        let made = workshop.path().join("executable");
        let mut build: Vec<OsString> = BUILD.iter().map(OsString::from).collect();
        build.extend(overlay.flags());
        build.extend(["-o".into(), made.clone().into(), ".".into()]);
        self.call(&build, &workshop).await?;
        fs::rename(made, executable).map_err(failed)?;
        clean(folder, SystemTime::now());
        Ok(())
    }

    /// Runs one command of `go`.
    async fn call(&self, arguments: &[OsString], workshop: &TempDir) -> Result<(), GoError> {
        let failed = |source| GoError::Start { go: self.go.to_owned(), source };
        let command: Vec<OsString> = [self.go.into()].into_iter().chain(arguments.iter().cloned()).collect();
        let mut variables = self.variables();
        variables.insert("GOTMPDIR".into(), workshop.path().into());
        let run = Run {
            command: &command,
            variables,
            folder: &self.node.folder,
            hold: File::open("/dev/null").map_err(failed)?,
            on_line: &|line| self.tell(Step::Installing { line }),
        };
        let ended = run.finish().await.map_err(failed)?;
        if ended.status.success() {
            return Ok(());
        }
        Err(GoError::Build {
            node: self.node.name.clone(),
            folder: self.node.folder.clone(),
            status: ended.status,
            output: ended.output,
        })
    }

    /// The user's own settings of `go` hold, but for a workspace: the package must build without one.
    fn variables(&self) -> BTreeMap<OsString, OsString> {
        let mut variables = self.surroundings.variables().clone();
        variables.insert("GOWORK".into(), "off".into());
        variables
    }

    fn tell(&self, step: Step) {
        (self.on_event)(Event { nodes: vec![self.node.name.clone()], step });
    }
}

/// Removes executables that no run has started with for long, and what killed builds have left. What
/// cannot be removed is left to the next build.
fn clean(folder: &Path, now: SystemTime) {
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let used = path.metadata().and_then(|facts| facts.modified());
        let unused_for = used.ok().and_then(|used| now.duration_since(used).ok()).unwrap_or_default();
        let removed = match path.is_dir() {
            true if unused_for > BUILT_WITHIN => fs::remove_dir_all(path),
            false if unused_for > KEPT_FOR => fs::remove_file(path),
            _ => Ok(()),
        };
        drop(removed);
    }
}

/// Whether a variable changes what the compiler makes.
fn decides(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b"GO") || name.starts_with(b"CGO_") || matches!(name, b"CC" | b"CXX" | b"PKG_CONFIG")
}

/// Stands for the `go` at a path: to ask it for its version would start a process.
fn tool(go: &Path) -> String {
    let real = go.canonicalize().unwrap_or_else(|_| go.to_owned());
    let facts = real.metadata().ok().map(|facts| (facts.len(), facts.modified().ok()));
    format!("{real:?} {facts:?}")
}

/// Notes that an executable is used now. Where that cannot be written, it only seems older.
fn touch(executable: &Path) {
    let file = File::options().append(true).open(executable);
    drop(file.and_then(|file: File| -> io::Result<()> { file.set_modified(SystemTime::now()) }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let place = |name: &str| home.path().join(name);
        let age =
            |name: &str, age: Duration| File::open(place(name)).unwrap().set_modified(now - age).unwrap();
        for (name, of) in [("old", KEPT_FOR * 2), ("used", KEPT_FOR / 2)] {
            fs::write(place(name), "").unwrap();
            age(name, of);
        }
        for (name, of) in [(".build-left", BUILT_WITHIN * 2), (".build-now", BUILT_WITHIN / 2)] {
            fs::create_dir(place(name)).unwrap();
            age(name, of);
        }
        clean(home.path(), now);
        let left = ["old", "used", ".build-left", ".build-now"].map(|name| place(name).exists());
        assert_eq!(left, [false, true, false, true]);
    }
}
