//! Asks an interpreter what it is: one process, some 30 ms; remembered, none.

use super::memory;
use crate::surroundings::Surroundings;
use pep440_rs::Version;
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{process::Command, time::timeout};

const SCRIPT: &str = include_str!("probe.py");

/// An interpreter that says nothing for so long is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an interpreter is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Its executable: a version manager's command leads to another one.
    pub(crate) python: PathBuf,
    /// The executable of the installation below a virtual environment, without links.
    pub(crate) base: PathBuf,
    pub(crate) version: Version,
    pub(crate) implementation: String,
    pub(crate) platform: String,
    /// The version of `protobuf` that it imports.
    pub(crate) protobuf: Option<Version>,
    /// What changes when a package is installed or the interpreter replaced.
    pub(super) watched: Vec<PathBuf>,
}

/// The facts of an interpreter, remembered from before where nothing has changed since.
pub(super) async fn probe_remembered(
    python: &Path,
    surroundings: &Surroundings,
    folder: &Path,
    memory: &Path,
) -> Result<Facts, String> {
    let place = memory::Place::of(python, surroundings, folder, memory);
    if let Some(facts) = place.recall() {
        return Ok(facts);
    }
    let facts = probe(python, surroundings, folder).await?;
    place.remember(&facts);
    Ok(facts)
}

/// The facts of an interpreter, from itself. The error says what it does instead of answering.
pub(crate) async fn probe(
    python: &Path,
    surroundings: &Surroundings,
    folder: &Path,
) -> Result<Facts, String> {
    let mut command = Command::new(python);
    command
        .args([OsStr::new("-c"), OsStr::new(SCRIPT)])
        .env_clear()
        .envs(surroundings.variables())
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(PATIENCE, command.output())
        .await
        .map_err(|_| format!("does not answer within {} s", PATIENCE.as_secs()))?
        .map_err(|error| format!("cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = text.lines().next_back().unwrap_or_default();
    serde_json::from_str(answer).map_err(|_| {
        let words = String::from_utf8_lossy(&output.stderr);
        let words = words.lines().find(|line| !line.trim().is_empty());
        format!("is no Python: {}", words.unwrap_or("it does not answer as one"))
    })
}
