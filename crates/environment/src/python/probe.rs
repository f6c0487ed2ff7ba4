//! Queries an interpreter's properties: one process, some 30 ms; none if cached.

use super::{cache, facts::Facts};
use crate::process_env::ProcessEnv;
use std::{ffi::OsStr, path::Path, process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

const SCRIPT: &str = include_str!("probe.py");

/// The timeout of an interpreter's answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The properties of an interpreter, cached if nothing has changed.
pub(super) async fn probe_remembered(
    python: &Path,
    process_env: &ProcessEnv,
    folder: &Path,
    cache: &Path,
) -> Result<Facts, String> {
    let place = cache::CacheFile::of(python, process_env, folder, cache);
    if let Some(facts) = place.load() {
        return Ok(facts);
    }
    let facts = probe(python, process_env, folder).await?;
    place.remember(&facts);
    Ok(facts)
}

/// Queries an interpreter. The error says what it did instead of answering.
pub(crate) async fn probe(python: &Path, process_env: &ProcessEnv, folder: &Path) -> Result<Facts, String> {
    let mut command = Command::new(python);
    command
        .args([OsStr::new("-c"), OsStr::new(SCRIPT)])
        .env_clear()
        .envs(process_env.variables())
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(TIMEOUT, command.output())
        .await
        .map_err(|_| format!("does not answer within {} s", TIMEOUT.as_secs()))?
        .map_err(|error| format!("cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let answer = text.lines().next_back().unwrap_or_default();
    serde_json::from_str(answer).map_err(|_| {
        let words = String::from_utf8_lossy(&output.stderr);
        let words = words.lines().find(|line| !line.trim().is_empty());
        format!("is no Python: {}", words.unwrap_or("it does not answer as one"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::test]
    async fn modules_of_the_folder_are_not_imported() {
        let folder = tempfile::tempdir().unwrap();
        let sign = folder.path().join("imported");
        let module = format!("open({:?}, 'w').close()\nraise SystemExit", sign.to_str().unwrap());
        for name in ["json", "os", "site", "sys", "sysconfig", "google"] {
            fs::write(folder.path().join(name).with_extension("py"), &module).unwrap();
        }
        let process_env = ProcessEnv::of_process().without(&["PYTHONPATH"]);
        let python = process_env.commands("python3").remove(0);
        let facts = probe(&python, &process_env, folder.path()).await.unwrap();
        assert!(facts.version.release().starts_with(&[3]), "{facts:?}");
        assert!(!sign.exists(), "code of the folder ran");
    }
}
