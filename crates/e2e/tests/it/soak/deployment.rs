//! The engine, and over JetStream its server; both can be killed and restarted in place.

use super::traces::Traces;
use crate::support::{
    krt, processes,
    scratch::{self, Scratch},
};
use krt_servers::{NatsOptions, NatsServer};
use rustix::process::Signal;
use std::{
    fmt,
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The limit of stored measurements, logs and request records, bytes.
const RETAINED_BYTES: u64 = 64 << 20;
/// The allowance on disk for data since the last cleanup, and for SQLite's write-ahead log, bytes.
const DISK_OVERHEAD: u64 = 32 << 20;
/// The data folder's reserve for a full disk, bytes.
const RESERVE: u64 = 8 << 20;
/// The size at which the engine's log is emptied, bytes.
const MAX_LOG: u64 = 64 << 20;
/// How long an engine may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an engine may take to serve.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// The polling interval for states without an event.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

pub(super) struct Deployment {
    pub(super) address: SocketAddr,
    pub(super) dashboard: SocketAddr,
    pub(super) traces: Traces,
    server: Option<NatsServer>,
    scratch: Scratch,
    folder: TempDir,
    engine: Option<Engine>,
}

/// A `krt` process, killed with its workers on drop.
struct Engine(Child);

impl Drop for Engine {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn package() -> PathBuf {
    krt::packages().join("soak")
}

impl Deployment {
    pub(super) async fn in_memory() -> Self {
        Self::open(None).await
    }

    /// Returns `None` if no server is installed.
    pub(super) async fn over_jetstream(test: &str) -> Option<Self> {
        let options = NatsOptions { jetstream: true, survives_kills: true, ..NatsOptions::default() };
        let server = NatsServer::start(test, options)?;
        Some(Self::open(Some(server)).await)
    }

    async fn open(server: Option<NatsServer>) -> Self {
        let [address, dashboard] = free_ports();
        let (folder, traces) = (tempfile::tempdir().unwrap(), Traces::receive().await);
        let scratch = Scratch::below(folder.path());
        let mut deployment = Self { address, dashboard, traces, server, scratch, folder, engine: None };
        deployment.start().await;
        deployment
    }

    pub(super) fn mode(&self) -> &'static str {
        if self.is_in_memory() { "in memory" } else { "over JetStream" }
    }

    pub(super) fn is_in_memory(&self) -> bool {
        self.server.is_none()
    }

    /// The engine's process, and the processes of its nodes by name.
    pub(super) fn processes(&self) -> Vec<(String, i32)> {
        let found = processes::marked(scratch::VARIABLE, self.scratch.path()).into_iter();
        found.map(|found| (found.node.unwrap_or_else(|| "engine".to_owned()), found.pid)).collect()
    }

    /// Kills the engine, and restarts it.
    pub(super) async fn kill_engine(&mut self) {
        self.engine = None;
        self.start().await;
    }

    /// Stops the engine, which must succeed, and restarts it.
    pub(super) async fn replace_engine(&mut self) {
        self.end().await;
        self.start().await;
    }

    /// Kills the server, and restarts it with its streams.
    pub(super) fn restart_server(&mut self) {
        let Some(server) = &mut self.server else { return };
        server.kill();
        server.start_again();
    }

    /// Empties the engine's log, which has a line for each request. The engine opened it for appending, so it
    /// continues at the start.
    pub(super) fn forget_log(&self) {
        let log = File::options().write(true).open(self.log()).unwrap();
        if log.metadata().unwrap().len() > MAX_LOG {
            log.set_len(0).unwrap();
        }
    }

    /// Stops the engine; its data is in the folder `data`.
    pub(super) async fn stop(mut self) -> TempDir {
        self.end().await;
        self.folder
    }

    /// The disk usage of the engine's data.
    pub(super) fn disk(&self) -> Disk {
        let data = self.folder.path().join("data");
        let of = |prefix: &str| bytes_below(&data, prefix);
        Disk { telemetry: of("telemetry"), documents: of("documents"), all: of("") }
    }

    async fn end(&mut self) {
        processes::signal(i32::try_from(self.child().id()).unwrap(), Signal::TERM);
        let until = Instant::now() + STOP_TIMEOUT;
        let status = loop {
            if let Some(status) = self.child().try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "the engine does not end:\n{}", self.complaints());
            tokio::time::sleep(POLL_INTERVAL).await;
        };
        assert!(status.success(), "the engine ends with {status}:\n{}", self.complaints());
    }

    async fn start(&mut self) {
        // The log must not contain lines of an earlier engine.
        let _ = std::fs::remove_file(self.log());
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = krt::command();
        command
            .args(["run", "--log-format", "json", "--keep-size", &RETAINED_BYTES.to_string()])
            .args(["--listen", &self.address.to_string(), "--dashboard", &self.dashboard.to_string()])
            .arg("--data")
            .arg(self.folder.path().join("data"))
            .arg(package())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &self.traces.endpoint)
            .env(scratch::VARIABLE, self.scratch.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(server) = &self.server {
            command.args(["--nats", &server.url(), "--nats-mode", "jetstream"]);
        }
        self.engine = Some(Engine(command.spawn().expect("the binary is there")));
        self.serves().await;
    }

    /// Waits until the engine serves.
    async fn serves(&mut self) {
        let until = Instant::now() + START_TIMEOUT;
        while !std::fs::read_to_string(self.log()).unwrap().contains("listening on ") {
            let ended = self.child().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < until, "no engine serves:\n{}", self.complaints());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn child(&mut self) -> &mut Child {
        &mut self.engine.as_mut().expect("it was started").0
    }

    fn complaints(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|line| !line.contains("\"INFO\"")).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// The disk usage of data, bytes.
pub(super) struct Disk {
    telemetry: u64,
    documents: u64,
    all: u64,
}

impl Disk {
    /// Asserts the limits. Documents and predictions are kept without limit.
    pub(super) fn assert_bounded(&self) {
        let rest = self.all - self.documents;
        assert!(rest < RETAINED_BYTES + DISK_OVERHEAD + RESERVE, "{rest} bytes besides documents");
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        write!(
            f,
            "on the disk: telemetry {:.1} MiB of {} that may be kept, documents {:.1} MiB, all {:.1} MiB",
            mib(self.telemetry),
            RETAINED_BYTES >> 20,
            mib(self.documents),
            mib(self.all)
        )
    }
}

fn free_ports() -> [SocketAddr; 2] {
    let bound = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    bound.map(|listener| listener.local_addr().unwrap())
}

/// The size of the files below a folder whose names have a prefix, bytes.
fn bytes_below(folder: &Path, prefix: &str) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().filter_map(Result::ok);
    entries
        .map(|entry| match entry.metadata() {
            Ok(facts) if facts.is_dir() => bytes_below(&entry.path(), prefix),
            Ok(facts) if entry.file_name().to_string_lossy().starts_with(prefix) => facts.len(),
            _ => 0,
        })
        .sum()
}
