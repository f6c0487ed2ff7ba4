//! A machine for creating environments: real interpreters, and packages that need no index.

use krt_environment::{Environments, Error, Event, Interpreter, NodeSource, ProcessEnv, PythonChoice, Step};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{LazyLock, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A folder of archives: `protobuf` 3.5, 3.19 and 6.33, reduced to the version, and `alpha` 1.0 and 2.0.
static ARCHIVES: LazyLock<PathBuf> = LazyLock::new(|| {
    let archives = Path::new(env!("CARGO_TARGET_TMPDIR")).join("archives");
    fs::create_dir_all(&archives).unwrap();
    let done =
        Command::new(python()).args(["-c", include_str!("archives.py")]).arg(&archives).status().unwrap();
    assert!(done.success());
    archives
});

/// This machine's interpreters that are new enough, from `PATH` and from pyenv: version and path.
static PYTHONS: LazyLock<Vec<(String, PathBuf)>> = LazyLock::new(|| {
    let pyenv = env::var_os("PYENV_ROOT").map(|root| Path::new(&root).join("versions"));
    let installed = pyenv.into_iter().flat_map(fs::read_dir).flatten().flatten();
    let installed = installed.map(|entry| entry.path().join("bin/python"));
    let commands = (7..=13).map(|minor| format!("python3.{minor}")).chain(["python3".to_owned()]);
    commands.map(PathBuf::from).chain(installed).filter_map(|python| located(&python)).collect()
});

/// An interpreter's version and executable, if it is new enough for nodes.
fn located(python: &Path) -> Option<(String, PathBuf)> {
    let script = "import sys\nassert sys.version_info >= (3, 7)\nprint('%d.%d' % sys.version_info[:2], sys.executable)";
    let output = Command::new(python).args(["-c", script]).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    let (version, path) = answer.trim().split_once(' ')?;
    Some((version.to_owned(), path.into()))
}

/// An interpreter of a version, if this machine has one.
pub(crate) fn python_of(version: &str) -> Option<PathBuf> {
    let found = PYTHONS.iter().find(|(found, _)| found == version);
    found.map(|(_, path)| path.clone())
}

/// The newest interpreter.
pub(crate) fn python() -> PathBuf {
    let newest = ["3.13", "3.12", "3.11", "3.10", "3.9"].into_iter().find_map(python_of);
    newest.expect("the tests need Python 3.9 or newer")
}

/// Runs a future to its end.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A package, a cache, and variables that exclude everything else: no index, no uv, no other interpreter.
pub(crate) struct Machine {
    pub(crate) root: TempDir,
    pub(crate) cache: TempDir,
    pub(crate) python: Option<PathBuf>,
    pub(crate) process_env: ProcessEnv,
    pub(crate) events: Mutex<Vec<Event>>,
}

impl Machine {
    /// Creates a machine with the files of a package.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let process_env = ProcessEnv::of_process()
            .without(&["VIRTUAL_ENV", "CONDA_PREFIX", "PIP_CERT"])
            .with("PATH", "/nothing")
            .with("PIP_NO_INDEX", "1")
            .with("PIP_FIND_LINKS", ARCHIVES.as_path());
        let root = tempfile::tempdir().unwrap();
        let machine = Self {
            root,
            cache: tempfile::tempdir().unwrap(),
            python: Some(python()),
            process_env,
            events: Mutex::default(),
        };
        files.iter().for_each(|(path, content)| machine.write(path, content));
        machine
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes a project that builds without an index: see `backend.py`.
    pub(crate) fn write_project(&self, folder: &str, name: &str) {
        let definition = format!(
            "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n[project]\nname = '{name}'\nversion = '1.0'\n"
        );
        self.write(&format!("{folder}/pyproject.toml"), &definition);
        self.write(&format!("{folder}/backend.py"), include_str!("backend.py"));
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<std::ffi::OsString>) {
        self.process_env = self.process_env.clone().with(name, value);
    }

    /// The folder of archives that need no index.
    pub(crate) fn archives(&self) -> &Path {
        &ARCHIVES
    }

    pub(crate) fn environments(&self) -> Environments {
        let choice = self.python.clone().map(PythonChoice::Path);
        Environments::new(self.cache.path().to_owned(), choice).with_process_env(self.process_env.clone())
    }

    /// Prepares nodes, each named after its folder.
    pub(crate) async fn prepare(&self, sources: &[&str]) -> Result<Vec<Interpreter>, Error> {
        let on_event = |event| self.events.lock().unwrap().push(event);
        self.environments().prepare(&nodes(sources), self.root.path(), &on_event).await
    }

    /// The events since the last call.
    pub(crate) fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    /// The numbers of environments created and reused since the last call.
    pub(crate) fn made_and_reused(&self) -> (usize, usize) {
        let events = self.events();
        let count = |of: fn(&Step) -> bool| events.iter().filter(|event| of(&event.step)).count();
        (count(|step| matches!(step, Step::Creating { .. })), count(|step| *step == Step::Reusing))
    }

    /// The folders of environments in the cache, complete or not.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.cache.path().join("environments")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
    }
}

/// Nodes with these sources, each named after its folder.
pub(crate) fn nodes(sources: &[&str]) -> Vec<NodeSource> {
    let name = |src: &str| src.rsplit('/').nth(1).unwrap_or("root").to_owned();
    sources.iter().map(|src| NodeSource { name: name(src), src: src.into() }).collect()
}

/// The output of an interpreter for an expression.
pub(crate) fn evaluate(python: &Path, expression: &str) -> String {
    let script = format!("import sys\nprint({expression})");
    let mut command = Command::new(python);
    let output = command.args(["-c", &script]).current_dir("/").env_remove("PYTHONPATH").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
