//! The commands that speak with a team's server, as they are typed.

use crate::support::{
    krt::command,
    team::{PASSWORD, Team, version},
};
use serde_json::Value;
use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Somebody at a terminal, signed in to one server.
struct Person {
    home: tempfile::TempDir,
}

impl Person {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = command();
        command.args(words).env("XDG_CONFIG_HOME", self.home.path());
        for name in ["KRT_SERVER", "KRT_TOKEN", "KRT_RUNTIME"] {
            command.env_remove(name);
        }
        command
    }

    async fn types(&self, words: &[&str]) -> Output {
        let mut command = self.command(words);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Types something that works; returns what it prints.
    async fn does(&self, words: &[&str]) -> String {
        let ended = self.types(words).await;
        assert!(ended.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap()
    }

    /// Types something that does not; returns why.
    async fn fails(&self, words: &[&str]) -> String {
        let ended = self.types(words).await;
        assert_eq!(ended.status.code(), Some(1), "{words:?}");
        String::from_utf8(ended.stderr).unwrap()
    }

    async fn signs_in(&self, server: &str, password: &str) -> bool {
        let mut command = self.command(&["login", server]);
        let password = password.to_owned();
        let signing_in = tokio::task::spawn_blocking(move || {
            let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
            child.wait().unwrap().success()
        });
        signing_in.await.unwrap()
    }
}

fn path(folder: &Path) -> &str {
    folder.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_from_its_upload_to_its_rollback() {
    let data = tempfile::tempdir().unwrap();
    let team = Team::start(data.path()).await;
    let person = Person { home: tempfile::tempdir().unwrap() };
    assert!(person.fails(&["runtime", "ls"]).await.contains("nobody is signed in"));
    assert!(!person.signs_in(&team.api.url(), "wrong").await);
    assert!(person.signs_in(&team.api.url(), PASSWORD).await);

    person.does(&["runtime", "create", "shop", "--name", "The shop"]).await;
    let (one, two) = (version("v1", ""), version("v2", ""));
    let broken = version("v3", "raise RuntimeError('no such model')");
    for package in [&one, &two, &broken] {
        person.does(&["version", "create", path(package.path()), "-m", "a test"]).await;
    }
    assert_eq!(person.does(&["version", "start", "v1"]).await, "v1 is STARTED\n");
    assert_eq!(person.does(&["version", "publish", "v1"]).await, "v1 is PUBLISHED\n");
    assert!(person.fails(&["version", "publish", "v2"]).await.contains("hint: start it first"));
    person.does(&["version", "start", "v2"]).await;
    person.does(&["version", "publish", "v2"]).await;
    assert_eq!(person.does(&["version", "rollback"]).await, "v1 is PUBLISHED\n");
    let why = person.fails(&["version", "start", "v3"]).await;
    assert!(why.contains("`v3` is in ERROR") && why.contains("no such model"), "{why}");

    let listed: Value = serde_json::from_str(&person.does(&["version", "ls", "--json"]).await).unwrap();
    let states: Vec<_> = listed.as_array().unwrap().iter().map(|version| version["state"].clone()).collect();
    assert_eq!(states, ["ERROR", "STARTED", "PUBLISHED"]);
    team.client().call("Name", serde_json::json!({})).await.unwrap();
    team.stop().await;
}
