//! Caches interpreters' properties, so that a start needs no process for them.
//!
//! An answer is valid while its inputs are unchanged: the executable, the folders of packages, the variables
//! that Python reads and, for a version manager's command, the files that select the active version.

use super::Facts;
use crate::{key::Key, process_env::ProcessEnv};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Read, Write},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

/// Variables that change an interpreter's imports, or a version manager's choice.
const VARIABLES: [&str; 9] = [
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONNOUSERSITE",
    "PYTHONUSERBASE",
    "PYTHONSAFEPATH",
    "PYENV_VERSION",
    "ASDF_PYTHON_VERSION",
    "MISE_PYTHON_VERSION",
    "HOME",
];

/// Files that version managers read for a version, from a folder upward.
const VERSION_FILES: [&str; 4] = [".python-version", ".tool-versions", "mise.toml", ".mise.toml"];

/// The cache file of one interpreter.
pub(super) struct CacheFile {
    file: PathBuf,
    asked: PathBuf,
}

/// An answer with the state of its inputs.
#[derive(Serialize, Deserialize)]
struct CachedFacts {
    facts: Facts,
    states: Vec<(PathBuf, State)>,
}

/// The state of a file or folder; `None` if it was missing.
type State = Option<(i64, i64, u64)>;

impl CacheFile {
    pub(super) fn of(python: &Path, process_env: &ProcessEnv, folder: &Path, cache: &Path) -> Self {
        let mut key = Key::default().with(python.as_os_str().as_bytes());
        for name in VARIABLES {
            key.add(process_env.get(name).map(OsStrExt::as_bytes).unwrap_or_default());
        }
        if is_indirect(python) {
            for file in version_files(process_env, folder) {
                key.add(fs::read(file).unwrap_or_default());
            }
        }
        Self { file: cache.join(format!("{}.json", key.finish())), asked: python.to_owned() }
    }

    /// The cached properties, if still valid.
    pub(super) fn load(&self) -> Option<Facts> {
        let remembered: CachedFacts = serde_json::from_slice(&fs::read(&self.file).ok()?).ok()?;
        remembered.states.iter().all(|(path, then)| state(path) == *then).then_some(remembered.facts)
    }

    /// Caches the properties. If that fails, the interpreter is queried again next time.
    pub(super) fn remember(&self, facts: &Facts) {
        let paths = facts.watched.iter().chain([&self.asked]);
        let states = paths.map(|path| (path.clone(), state(path))).collect();
        let remembered = CachedFacts { facts: facts.clone(), states };
        drop(write(&self.file, &remembered));
    }
}

/// Writes a file atomically.
fn write(file: &Path, remembered: &CachedFacts) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(&serde_json::to_vec(remembered)?)?;
    new.persist(file)?;
    Ok(())
}

fn state(path: &Path) -> State {
    path.metadata().ok().map(|entry| (entry.mtime(), entry.mtime_nsec(), entry.len()))
}

/// Whether a command only starts another interpreter: a script, or a link to a program that is not named
/// Python.
fn is_indirect(python: &Path) -> bool {
    let Ok(program) = python.canonicalize() else { return false };
    let name = program.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let mut start = [0; 2];
    let read = fs::File::open(&program).and_then(|mut file| file.read_exact(&mut start));
    (read.is_ok() && &start == b"#!") || !(name.starts_with("python") || name.starts_with("pypy"))
}

fn version_files(process_env: &ProcessEnv, folder: &Path) -> Vec<PathBuf> {
    let upward =
        folder.ancestors().flat_map(|folder| VERSION_FILES.iter().map(move |name| folder.join(name)));
    let everywhere = [
        ("PYENV_ROOT", ".pyenv", "version"),
        ("HOME", "", ".tool-versions"),
        ("XDG_CONFIG_HOME", ".config", "mise/config.toml"),
    ];
    let everywhere = everywhere.into_iter().filter_map(|(variable, below_home, file)| {
        Some(process_env.folder(variable, below_home)?.join(file))
    });
    upward.chain(everywhere).collect()
}
