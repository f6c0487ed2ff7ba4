//! InfluxDB, from Debian's package `influxdb`.

use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// Kills the server when its standard input closes, however the test ends.
const RUN: &str = r#""$0" -config "$1" & read -r _; kill -9 $!; wait"#;

/// A server. Stops on drop.
#[derive(Debug)]
pub struct InfluxServer {
    child: Option<Child>,
    /// The server's port on 127.0.0.1.
    pub port: u16,
    auth: bool,
    folder: TempDir,
}

impl InfluxServer {
    /// Starts a server, with or without users; returns `None` if it is not installed.
    pub fn start(test: &str, auth: bool) -> Option<Self> {
        let Some(program) = installed() else {
            crate::skipped(test, "influxd (Debian's `influxdb`)");
            return None;
        };
        let mut server = Self { child: None, port: 0, auth, folder: TempDir::new().unwrap() };
        server.start_program(&program);
        Some(server)
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    /// Restarts the server with the same port and data.
    pub fn start_again(&mut self) {
        self.start_program(&installed().unwrap());
    }

    /// Returns the result of a query, with times in nanoseconds; `user` is `NAME:PASSWORD`.
    pub async fn query(&self, method: &str, database: &str, user: Option<&str>, text: &str) -> Value {
        let mut url = url::Url::parse(&format!("http://127.0.0.1:{}/query", self.port)).unwrap();
        url.query_pairs_mut().extend_pairs([("db", database), ("epoch", "ns"), ("q", text)]);
        if let Some((name, password)) = user.and_then(|user| user.split_once(':')) {
            url.query_pairs_mut().extend_pairs([("u", name), ("p", password)]);
        }
        let request = http::Request::builder().method(method).uri(url.as_str());
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    fn start_program(&mut self, program: &Path) {
        let folder = self.folder.path();
        let config = folder.join("influxdb.conf");
        std::fs::write(&config, configuration(folder, self.port, self.auth)).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", RUN])
            .args([program, &config])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.find_map(|line| line.ok().filter(|line| line.contains("Listening on HTTP")));
        let line = line.expect("the server listens");
        let address = line.split("addr=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        self.port = address.rsplit_once(':').unwrap().1.parse().unwrap();
        // Drain further output, so that the server does not block.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }
}

impl Drop for InfluxServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("influxd")).find(|path| path.exists())
}

fn configuration(folder: &Path, port: u16, auth: bool) -> String {
    let folder = folder.display();
    format!(
        r#"
reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = {auth}
log-enabled = false
"#
    )
}
