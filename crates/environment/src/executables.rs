//! Nodes in Go and Rust: builds their executables, once for the same content.
//!
//! Executables are linked with the embedded SDK of their language, whatever the user's manifest says of
//! where it is; see `go` and `rust`. Nothing is fetched but what the user's sources and the SDK need.

mod content;
mod error;
mod go;
mod rust;
mod toolchain;

pub use error::BuildError;

use crate::{
    Surroundings,
    event::{Event, Step},
    key::Key,
    lock::Lock,
    process::Run,
    sdk::Sdk,
};
use content::Content;
use krt_model::version::Language;
use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::ffi::OsStrExt as _,
    path::{self, Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant, SystemTime},
};
use tempfile::TempDir;
use tokio::process;
use toolchain::Toolchain;

/// How long an executable is kept that no run starts with.
const KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 3600);

/// No build takes longer.
const BUILT_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// A node that is built from sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutableSource {
    /// Its name.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// The folder of its `package main`, or of its `Cargo.toml`.
    pub folder: PathBuf,
    /// The folder of the `go.mod` that is for it, or of the outermost `Cargo.toml`.
    pub module: PathBuf,
    /// Where the package has, or will have, its executable.
    pub executable: PathBuf,
}

/// Where the executable of a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executable {
    /// It was built from the sources that are there now.
    Built(PathBuf),
    /// It is the package's own: there is nothing to build it with.
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
        nodes: &[ExecutableSource],
        on_event: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Vec<Executable>, BuildError> {
        let mut built = HashMap::new();
        let mut executables = Vec::with_capacity(nodes.len());
        for node in nodes {
            let Some(build) = self.build(node, on_event) else {
                executables.push(prebuilt(node)?);
                continue;
            };
            let place = (&node.folder, &node.module, node.executable.file_name());
            let path = match built.get(&place) {
                Some(path) => PathBuf::clone(path),
                None => build.find_or_make().await?,
            };
            built.insert(place, path.clone());
            executables.push(Executable::Built(path));
        }
        Ok(executables)
    }
}

impl Executables {
    /// Runs the tests beside a node's sources as the language does it, on this process's own output.
    /// Dropped in between, it ends them.
    pub async fn test(&self, node: &ExecutableSource) -> Result<ExitStatus, BuildError> {
        let Some(build) = self.build(node, &|_| {}) else {
            let (node, language, folder) = (node.name.clone(), node.language, node.folder.clone());
            return Err(BuildError::NoBuilder { node, language, folder });
        };
        let sdk = Sdk::below(&self.cache, build.toolchain.sdk).map_err(cache_failed)?;
        let workshop = build.workshop(&self.cache.join("executables"))?;
        match node.language {
            Language::Go => go::test(&build, &workshop, sdk.path()).await,
            Language::Rust => rust::test(&build, &workshop, sdk.path()).await,
        }
    }

    /// What builds a node, where its compiler is there.
    fn build<'a>(
        &'a self,
        node: &'a ExecutableSource,
        on_event: &'a (dyn Fn(Event) + Send + Sync),
    ) -> Option<Build<'a>> {
        let program = self.surroundings.commands(node.language.builder()).into_iter().next()?;
        let toolchain = Toolchain::of(node.language);
        Some(Build {
            node,
            toolchain,
            program,
            cache: &self.cache,
            surroundings: &self.surroundings,
            on_event,
        })
    }
}

/// The executable that the package brings with it.
fn prebuilt(node: &ExecutableSource) -> Result<Executable, BuildError> {
    match node.executable.is_file() {
        true => Ok(Executable::Prebuilt(node.executable.clone())),
        false => Err(BuildError::NoBuilder {
            node: node.name.clone(),
            language: node.language,
            folder: node.folder.clone(),
        }),
    }
}

/// One executable to build.
struct Build<'a> {
    node: &'a ExecutableSource,
    toolchain: &'static Toolchain,
    /// The program that builds.
    program: PathBuf,
    cache: &'a Path,
    surroundings: &'a Surroundings,
    on_event: &'a (dyn Fn(Event) + Send + Sync),
}

/// One command of the program that builds.
struct Command<'a> {
    arguments: Vec<OsString>,
    /// Variables beside, or in the place of, the user's own.
    variables: Vec<(&'static str, OsString)>,
    /// Where its standard output goes, if not among the lines.
    results: Option<File>,
    /// What it keeps to itself until it has ended.
    lock: Option<&'a Lock>,
}

impl Build<'_> {
    async fn find_or_make(&self) -> Result<PathBuf, BuildError> {
        let content = Content::of(self.node, self.toolchain)
            .map_err(|(path, source)| BuildError::Read { path, source })?
            .finish();
        let executable = self.executable(&content);
        if executable.is_file() {
            self.tell(Step::Reusing);
            touch(&executable);
            return Ok(executable);
        }
        let started = Instant::now();
        self.tell(Step::Building { folder: self.node.folder.clone() });
        let executable = self.make(&content).await?;
        self.tell(Step::Installed { elapsed: started.elapsed() });
        Ok(executable)
    }

    /// Where the executable is kept: under all that decides what is in it, and what its build may have
    /// locked.
    fn executable(&self, content: &str) -> PathBuf {
        let mut key = Key::default().with(self.toolchain.form).with(self.toolchain.sdk.hash());
        key.add(content);
        if let Some(lock) = self.toolchain.lock {
            for folder in [&self.node.module, &self.node.folder] {
                key.add(fs::read(folder.join(lock)).unwrap_or_default());
            }
        }
        let folder = self.node.folder.strip_prefix(&self.node.module).unwrap_or(Path::new(""));
        key.add(folder.as_os_str().as_bytes());
        key.add(identity(&self.program).as_bytes());
        for (name, value) in self.surroundings.variables() {
            if (self.toolchain.decides)(name.as_bytes()) {
                key.add(name.as_bytes());
                key.add(value.as_bytes());
            }
        }
        if self.node.language == Language::Rust {
            key.add(self.names().join("\n"));
        }
        self.cache.join("executables").join(key.finish())
    }

    /// The names that an executable among several may have to be this node's.
    fn names(&self) -> [&str; 2] {
        let of_file = self.node.executable.file_name().and_then(|name| name.to_str());
        [of_file.unwrap_or_default(), &self.node.name]
    }

    async fn make(&self, content: &str) -> Result<PathBuf, BuildError> {
        let sdk = Sdk::below(self.cache, self.toolchain.sdk).map_err(cache_failed)?;
        let folder = &self.cache.join("executables");
        let workshop = self.workshop(folder)?;
        let made = match self.node.language {
            Language::Go => go::make(self, &workshop, sdk.path()).await?,
            Language::Rust => rust::make(self, &workshop, sdk.path()).await?,
        };
        let executable = self.executable(content);
        fs::rename(made, &executable).map_err(|source| cannot_keep(&executable, source))?;
        clean(folder, SystemTime::now());
        Ok(executable)
    }

    /// A folder for what is only needed meanwhile.
    fn workshop(&self, folder: &Path) -> Result<TempDir, BuildError> {
        let made = fs::create_dir_all(folder)
            .and_then(|()| tempfile::Builder::new().prefix(".build-").tempdir_in(folder));
        made.map_err(|source| cannot_keep(folder, source))
    }

    /// Runs one command of the program that builds on this process's own output.
    async fn show(&self, call: Command<'_>) -> Result<ExitStatus, BuildError> {
        let failed = |source| BuildError::Start { program: self.program.clone(), source };
        let mut command = process::Command::new(&self.program);
        command.args(call.arguments).env_clear().envs(self.surroundings.variables()).envs(call.variables);
        command.current_dir(&self.node.folder).stdin(Stdio::null()).kill_on_drop(true);
        command.status().await.map_err(failed)
    }

    /// Runs one command of the program that builds, in the folder of the sources.
    async fn call(&self, call: Command<'_>) -> Result<(), BuildError> {
        let failed = |source| BuildError::Start { program: self.program.clone(), source };
        let command: Vec<OsString> =
            [self.program.clone().into()].into_iter().chain(call.arguments).collect();
        let mut variables: BTreeMap<_, _> = self.surroundings.variables().clone();
        variables.extend(call.variables.into_iter().map(|(name, value)| (name.into(), value)));
        let hold = call.lock.map_or_else(|| File::open("/dev/null"), Lock::share);
        let run = Run {
            command: &command,
            variables,
            folder: &self.node.folder,
            hold: hold.map_err(failed)?,
            results: call.results,
            on_line: &|line| self.tell(Step::Installing { line }),
        };
        let ended = run.finish().await.map_err(failed)?;
        if ended.status.success() {
            return Ok(());
        }
        Err(BuildError::Build {
            node: self.node.name.clone(),
            language: self.node.language,
            folder: self.node.folder.clone(),
            status: ended.status,
            output: ended.output,
        })
    }

    fn tell(&self, step: Step) {
        (self.on_event)(Event { nodes: vec![self.node.name.clone()], step });
    }
}

fn cache_failed(error: crate::Error) -> BuildError {
    BuildError::Cache(Box::new(error))
}

/// A file below the cache that cannot be written.
fn cannot_keep(path: &Path, source: io::Error) -> BuildError {
    cache_failed(crate::Error::Cache { path: path.to_owned(), source })
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

/// Stands for the program at a path: to ask it for its version would start a process.
fn identity(program: &Path) -> String {
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let facts = real.metadata().ok().map(|facts| (facts.len(), facts.modified().ok()));
    format!("{real:?} {facts:?}")
}

/// Notes that an executable is used now. Where that cannot be written, it only seems older.
///
/// It is opened for reading: nobody can start an executable that somebody has open for writing.
fn touch(executable: &Path) {
    let file = File::open(executable);
    drop(file.and_then(|file: File| -> io::Result<()> { file.set_modified(SystemTime::now()) }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_can_be_started_while_it_is_touched() {
        let home = tempfile::tempdir().unwrap();
        let executable = home.path().join("true");
        fs::copy("/bin/true", &executable).unwrap();
        let then = SystemTime::now() - KEPT_FOR;
        File::open(&executable).unwrap().set_modified(then).unwrap();
        touch(&executable);
        assert!(executable.metadata().unwrap().modified().unwrap() > then);
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    touch(&executable);
                }
            });
            let started = (0..200).map(|_| std::process::Command::new(&executable).status());
            let failed: Vec<_> = started.filter_map(Result::err).collect();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(failed.is_empty(), "{failed:?}");
        });
    }

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
