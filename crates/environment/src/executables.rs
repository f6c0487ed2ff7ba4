//! Nodes in Go and Rust: builds each executable once for the same content.
//!
//! Links executables with the embedded SDK of their language, wherever the user's manifest says that it is;
//! see `go` and `rust`. Fetches only what the user's sources and the SDK need.

mod content;
mod diagnostic;
mod error;
mod go;
mod rust;
mod toolchain;

pub use diagnostic::Diagnostic;
pub use error::BuildError;
pub use toolchain::CodeFiles;

use crate::{
    ProcessEnv,
    event::{Event, Step},
    key::Key,
    lock::Lock,
    process::{GroupGuard, Run},
    sdk::Sdk,
};
use content::Content;
use krt_model::language::Language;
use serde::{Deserialize, Serialize};
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
use toolchain::{Tests, Toolchain};

/// The toolchain of each compiled language.
const TOOLCHAINS: [&Toolchain; 2] = [&go::TOOLCHAIN, &rust::TOOLCHAIN];

/// How long an unused executable is kept.
const MAX_AGE: Duration = Duration::from_secs(90 * 24 * 3600);

/// The longest possible build.
const MAX_BUILD_TIME: Duration = Duration::from_secs(24 * 3600);

/// A node to build from sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutableSource {
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: Language,
    /// The folder of its `package main` or its `Cargo.toml`.
    pub folder: PathBuf,
    /// The package's folder, which holds all its sources.
    pub root: PathBuf,
    /// The folder of its `go.mod`, or of the outermost `Cargo.toml`.
    pub module: PathBuf,
    /// The path of its executable in the package, which need not exist.
    pub executable: PathBuf,
}

impl ExecutableSource {
    /// The folders that it is built from: its module, and the modules beside it that manifests name.
    pub fn folders(&self) -> Vec<PathBuf> {
        content::folders(self, toolchain_of(self.language))
    }

    /// The tool that builds it.
    pub fn builder(&self) -> &'static str {
        toolchain_of(self.language).builder
    }

    /// The files of its module that are code.
    pub fn code(&self) -> &'static CodeFiles {
        &toolchain_of(self.language).code
    }
}

fn toolchain_of(language: Language) -> &'static Toolchain {
    let found = TOOLCHAINS.into_iter().find(|toolchain| toolchain.language == language);
    found.expect("a language that is compiled has a toolchain")
}

/// The executable of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Executable {
    /// Built from the current sources.
    Built(PathBuf),
    /// The package's own, since the compiler is missing.
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
    process_env: ProcessEnv,
    guard: GroupGuard,
}

impl Executables {
    /// Stores executables below a cache folder, created on demand.
    pub fn new(cache: PathBuf) -> Self {
        let cache = path::absolute(&cache).unwrap_or(cache);
        Self { cache, process_env: ProcessEnv::of_process(), guard: GroupGuard::default() }
    }

    /// Uses other environment variables than this process's.
    #[must_use]
    pub fn with_process_env(self, process_env: ProcessEnv) -> Self {
        Self { process_env, ..self }
    }

    /// Ends compilers with this process, however it ends.
    #[must_use]
    pub fn with_guard(self, guard: GroupGuard) -> Self {
        Self { guard, ..self }
    }

    /// Returns the executable of each node, in the given order. Builds missing ones one at a time, since a
    /// build uses every processor. Dropping the future ends the running build and leaves nothing behind.
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
    /// Runs the tests beside a node's sources with the language's own tool. `run` starts the test program,
    /// waits for it, and decides where its output goes.
    pub async fn test(
        &self,
        node: &ExecutableSource,
        run: impl AsyncFnOnce(process::Command) -> io::Result<ExitStatus>,
    ) -> Result<ExitStatus, BuildError> {
        let Some(build) = self.build(node, &|_| {}) else {
            return Err(no_builder(node));
        };
        let sdk = Sdk::below(&self.cache, build.toolchain.sdk).map_err(cache_failed)?;
        let work_folder = build.work_folder(&self.cache.join("executables"))?;
        let Tests { command, lock } = (build.toolchain.tests)(&build, &work_folder, sdk.path()).await?;
        let ended = build.show(command, run).await;
        drop(lock);
        ended
    }

    /// The build of a node, if its compiler exists.
    fn build<'a>(
        &'a self,
        node: &'a ExecutableSource,
        on_event: &'a (dyn Fn(Event) + Send + Sync),
    ) -> Option<Build<'a>> {
        let toolchain = toolchain_of(node.language);
        let program = self.process_env.commands(toolchain.builder).into_iter().next()?;
        let Self { cache, process_env, guard } = self;
        Some(Build { node, toolchain, program, cache, process_env, guard, on_event })
    }
}

/// The executable in the package.
fn prebuilt(node: &ExecutableSource) -> Result<Executable, BuildError> {
    match node.executable.is_file() {
        true => Ok(Executable::Prebuilt(node.executable.clone())),
        false => Err(no_builder(node)),
    }
}

fn no_builder(node: &ExecutableSource) -> BuildError {
    let Toolchain { builder, needed, .. } = toolchain_of(node.language);
    BuildError::NoBuilder { node: node.name.clone(), builder, needed, folder: node.folder.clone() }
}

/// A build of one executable.
struct Build<'a> {
    node: &'a ExecutableSource,
    toolchain: &'static Toolchain,
    /// The build tool.
    program: PathBuf,
    cache: &'a Path,
    process_env: &'a ProcessEnv,
    guard: &'a GroupGuard,
    on_event: &'a (dyn Fn(Event) + Send + Sync),
}

/// A command of the build tool.
struct Command<'a> {
    arguments: Vec<OsString>,
    /// Variables added to the user's own, or replacing them.
    variables: Vec<(&'static str, OsString)>,
    /// Where its standard output goes, if it is not part of the lines.
    results: Option<File>,
    /// The lock that it holds until it has ended.
    lock: Option<&'a Lock>,
}

impl Build<'_> {
    async fn find_or_make(&self) -> Result<PathBuf, BuildError> {
        let content = Content::of(self.node, self.toolchain)
            .map_err(|(path, source)| BuildError::Read { path, source })?
            .finish();
        let executable = self.executable(&content);
        if executable.is_file() {
            self.report(Step::Reusing);
            touch(&executable);
            return Ok(executable);
        }
        let started = Instant::now();
        self.report(Step::Building { folder: self.node.folder.clone() });
        let executable = self.make(&content).await?;
        self.report(Step::Installed { elapsed: started.elapsed() });
        Ok(executable)
    }

    /// The path of the executable in the cache: its key covers everything that decides its content, and what
    /// the build may have locked.
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
        for (name, value) in self.process_env.variables() {
            if (self.toolchain.decides)(name.as_bytes()) {
                key.add(name.as_bytes());
                key.add(value.as_bytes());
            }
        }
        if self.toolchain.makes_several {
            key.add(self.names().join("\n"));
        }
        self.cache.join("executables").join(key.finish())
    }

    /// The names that identify this node's executable among several.
    fn names(&self) -> [&str; 2] {
        let of_file = self.node.executable.file_name().and_then(|name| name.to_str());
        [of_file.unwrap_or_default(), &self.node.name]
    }

    async fn make(&self, content: &str) -> Result<PathBuf, BuildError> {
        let sdk = Sdk::below(self.cache, self.toolchain.sdk).map_err(cache_failed)?;
        let folder = &self.cache.join("executables");
        let work_folder = self.work_folder(folder)?;
        let made = (self.toolchain.make)(self, &work_folder, sdk.path()).await?;
        let executable = self.executable(content);
        fs::rename(made, &executable).map_err(|source| cannot_keep(&executable, source))?;
        clean(folder, SystemTime::now());
        Ok(executable)
    }

    /// A folder of temporary files.
    fn work_folder(&self, folder: &Path) -> Result<TempDir, BuildError> {
        let made = fs::create_dir_all(folder)
            .and_then(|()| tempfile::Builder::new().prefix(".build-").tempdir_in(folder));
        made.map_err(|source| cannot_keep(folder, source))
    }

    /// Runs a command of the build tool through the caller's function.
    async fn show(
        &self,
        call: Command<'_>,
        run: impl AsyncFnOnce(process::Command) -> io::Result<ExitStatus>,
    ) -> Result<ExitStatus, BuildError> {
        let failed = |source| BuildError::Start { program: self.program.clone(), source };
        let mut command = process::Command::new(&self.program);
        command.args(call.arguments).env_clear().envs(self.process_env.variables()).envs(call.variables);
        command.current_dir(&self.node.folder).stdin(Stdio::null()).kill_on_drop(true);
        run(command).await.map_err(failed)
    }

    /// Runs a command of the build tool in the folder of the sources.
    async fn call(&self, call: Command<'_>) -> Result<(), BuildError> {
        let failed = |source| BuildError::Start { program: self.program.clone(), source };
        let command: Vec<OsString> =
            [self.program.clone().into()].into_iter().chain(call.arguments).collect();
        let mut variables: BTreeMap<_, _> = self.process_env.variables().clone();
        variables.extend(call.variables.into_iter().map(|(name, value)| (name.into(), value)));
        let hold = call.lock.map_or_else(|| File::open("/dev/null"), Lock::share);
        let run = Run {
            guard: self.guard,
            command: &command,
            variables,
            folder: &self.node.folder,
            hold: hold.map_err(failed)?,
            results: call.results,
            on_line: &|line| self.report(Step::Installing { line }),
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
            hint: None,
        })
    }

    fn report(&self, step: Step) {
        (self.on_event)(Event { nodes: vec![self.node.name.clone()], step });
    }
}

fn cache_failed(error: crate::Error) -> BuildError {
    BuildError::Cache(Box::new(error))
}

/// A file in the cache cannot be written.
fn cannot_keep(path: &Path, source: io::Error) -> BuildError {
    cache_failed(crate::Error::Cache { path: path.to_owned(), source })
}

/// Removes executables that no run has used for long, and leftovers of killed builds. Ignores failures: the
/// next build tries again.
fn clean(folder: &Path, now: SystemTime) {
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let used = path.metadata().and_then(|facts| facts.modified());
        let unused_for = used.ok().and_then(|used| now.duration_since(used).ok()).unwrap_or_default();
        let removed = match path.is_dir() {
            true if unused_for > MAX_BUILD_TIME => fs::remove_dir_all(path),
            false if unused_for > MAX_AGE => fs::remove_file(path),
            _ => Ok(()),
        };
        drop(removed);
    }
}

/// Identifies the program at a path, without a process to ask for its version.
fn identity(program: &Path) -> String {
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let facts = real.metadata().ok().map(|facts| (facts.len(), facts.modified().ok()));
    format!("{real:?} {facts:?}")
}

/// Marks an executable as used now. If that fails, it only seems older.
///
/// Opens it for reading: an executable that is open for writing cannot be started.
fn touch(executable: &Path) {
    let file = File::open(executable);
    drop(file.and_then(|file: File| -> io::Result<()> { file.set_modified(SystemTime::now()) }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_compiled_language_has_a_toolchain() {
        let compiled = Language::ALL.into_iter().filter(|language| language.compiled().is_some());
        assert!(compiled.eq(TOOLCHAINS.map(|toolchain| toolchain.language)));
    }

    #[test]
    fn an_executable_can_be_started_while_it_is_touched() {
        let home = tempfile::tempdir().unwrap();
        let executable = home.path().join("true");
        fs::copy("/bin/true", &executable).unwrap();
        let then = SystemTime::now() - MAX_AGE;
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
    fn old_executables_are_removed() {
        let home = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let place = |name: &str| home.path().join(name);
        let age =
            |name: &str, age: Duration| File::open(place(name)).unwrap().set_modified(now - age).unwrap();
        for (name, of) in [("old", MAX_AGE * 2), ("used", MAX_AGE / 2)] {
            fs::write(place(name), "").unwrap();
            age(name, of);
        }
        for (name, of) in [(".build-left", MAX_BUILD_TIME * 2), (".build-now", MAX_BUILD_TIME / 2)] {
            fs::create_dir(place(name)).unwrap();
            age(name, of);
        }
        clean(home.path(), now);
        let left = ["old", "used", ".build-left", ".build-now"].map(|name| place(name).exists());
        assert_eq!(left, [false, true, false, true]);
    }
}
