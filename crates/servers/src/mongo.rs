//! FerretDB, which speaks MongoDB's protocol over SQLite (`scripts/mongo-server`).

use crate::tool;
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// A server. Stops on drop.
#[derive(Debug)]
pub struct MongoServer {
    child: Child,
    /// The server's URL.
    pub url: String,
    _folder: TempDir,
}

impl MongoServer {
    /// Starts a server; returns `None` if it is not installed.
    pub fn start(test: &str) -> Option<Self> {
        let Some(program) = tool("mongo-server") else {
            crate::skipped(test, "target/tools/bin/mongo-server (`make servers`)");
            return None;
        };
        let folder = TempDir::new().unwrap();
        let mut child = Command::new(program)
            .arg(folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Some(Self { child, url: url.trim().to_owned(), _folder: folder })
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for MongoServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
