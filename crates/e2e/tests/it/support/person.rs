//! A user of the commands for a team's server.

use super::{TIMEOUT, krt::command};
use serde_json::Value;
use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// A user with a separate home folder, and so with separate logins.
pub(crate) struct Person {
    home: TempDir,
    variables: Vec<(&'static str, String)>,
}

/// The outcome of a command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl CommandOutput {
    /// The standard output; the command must have succeeded.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The standard error; the command must have failed.
    #[track_caller]
    pub(crate) fn why(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        self.err
    }

    /// The output as JSON; the command must have succeeded.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let out = self.well();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it writes text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Person {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("there is room for a temporary folder");
        Self { home, variables: Vec::new() }
    }

    /// A program with a token.
    pub(crate) fn with_token(server: &str, token: &str) -> Self {
        let variables = vec![("KRT_SERVER", server.to_owned()), ("KRT_TOKEN", token.to_owned())];
        Self { variables, ..Self::new() }
    }

    /// The file of logins.
    pub(crate) fn logins(&self) -> PathBuf {
        self.home.path().join("krt/logins.json")
    }

    /// A command before its start.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = command();
        for name in ["KRT_SERVER", "KRT_TOKEN", "KRT_RUNTIME", "KRT_CACERT"] {
            command.env_remove(name);
        }
        command.args(args).env("XDG_CONFIG_HOME", self.home.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command without input.
    pub(crate) async fn types(&self, args: &[&str]) -> CommandOutput {
        self.pipes(args, "").await
    }

    /// Runs a command with a text as input.
    pub(crate) async fn pipes(&self, args: &[&str], text: &str) -> CommandOutput {
        let mut command = self.command(args);
        let text = text.to_owned();
        let typing = tokio::task::spawn_blocking(move || {
            let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = pipes.spawn().expect("the binary can be executed");
            // Fails if the command does not read it.
            let _ = child.stdin.take().expect("it is piped").write_all(text.as_bytes());
            child.wait_with_output().expect("it is a child of this process").into()
        });
        let typed = tokio::time::timeout(TIMEOUT, typing).await;
        typed.unwrap_or_else(|_| panic!("it does not end: {args:?}")).expect("nothing panics there")
    }

    /// Signs in.
    pub(crate) async fn signs_in(&self, server: &str, login: &str, password: &str) -> CommandOutput {
        self.pipes(&["login", server, "--user", login], &format!("{password}\n")).await
    }
}
