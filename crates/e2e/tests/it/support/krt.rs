//! Runs the `krt` binary.

use super::{
    lines::Lines,
    runners::WireProtocol,
    scratch::{self, Scratch},
    service::{Process, Service},
};
use krt_servers::{NatsOptions, NatsServer};
use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;
use tokio::process::Command;

/// The variable that selects the broker of tests that choose none: `core` or `jetstream`.
const BROKER: &str = "KRT_TEST_BROKER";

/// Variables that would affect commands.
const VARIABLES: [&str; 20] = [
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "KRT_GPUS",
    "KRT_LISTEN",
    "KRT_DASHBOARD",
    "KRT_TLS_CERT",
    "KRT_TLS_KEY",
    "KRT_ADMIN_PASSWORD",
    "KRT_DATA",
    "KRT_LOG_LEVEL",
    "KRT_LOG_FORMAT",
    "KRT_REQUEST_TIMEOUT",
    "KRT_MONGO_URI",
    "KRT_INFLUX_URI",
    "KRT_NATS_SERVER",
    "KRT_NATS_MODE",
    "KRT_RUNTIME_ID",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_SDK_DISABLED",
];

const FREE_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A `krt run`, or a part of one, before its start.
pub(crate) struct Krt {
    command: Command,
    package: PathBuf,
    /// `None` for nodes, which have no port.
    listen: Option<SocketAddr>,
    data: PathBuf,
    folder: TempDir,
    scratch: Scratch,
    /// Whether the test chooses the broker itself.
    has_nats: bool,
}

impl Krt {
    /// Runs a package of `packages/`, on a free port, with a data folder of its own.
    pub(crate) fn run(package: &str) -> Self {
        Self::run_at(&packages().join(package))
    }

    /// Runs a package in any folder.
    pub(crate) fn run_at(package: &Path) -> Self {
        let krt = Self::typed(&["run"], package, Some(FREE_PORT));
        krt.package_argument().bare("--no-dashboard")
    }

    /// Runs a package with its dashboard, on a free port.
    pub(crate) fn run_with_dashboard(package: &Path) -> Self {
        let krt = Self::typed(&["run"], package, Some(FREE_PORT));
        krt.package_argument().flag("--dashboard", FREE_PORT.to_string())
    }

    /// A team's server. `package` has the `.proto` for its clients.
    pub(crate) fn serve(package: &Path) -> Self {
        let krt = Self::typed(&["serve"], package, Some(FREE_PORT));
        Self { has_nats: true, ..krt }.flag("--dashboard", FREE_PORT.to_string())
    }

    /// The entrypoint alone, over NATS.
    pub(crate) fn entrypoint(package: &Path) -> Self {
        Self::typed(&["entrypoint"], package, Some(FREE_PORT)).package_argument()
    }

    /// Nodes alone, over NATS.
    pub(crate) fn nodes(names: &[&str], package: &Path) -> Self {
        Self::typed(&[&["node"], names].concat(), package, None).package_argument()
    }

    fn package_argument(mut self) -> Self {
        self.command.arg(&self.package);
        self
    }

    /// Adds a flag without a value, or with its value in the same word.
    pub(crate) fn bare(mut self, flag: &str) -> Self {
        self.command.arg(flag);
        self
    }

    fn typed(args: &[&str], package: &Path, listen: Option<SocketAddr>) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a temporary folder");
        let scratch = Scratch::below(folder.path());
        let binary = binary();
        let mut command = Command::new(&binary);
        command
            .args(args)
            .args(["--log-format", "json"])
            .env("KRT_CACHE", cache(&binary))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env(scratch::VARIABLE, scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        VARIABLES.iter().for_each(|name| {
            command.env_remove(name);
        });
        let data = folder.path().join("data");
        Self { command, package: package.to_owned(), listen, data, folder, scratch, has_nats: false }
    }

    /// Leaves the choice of broker to the environment.
    pub(crate) fn by_environment(self) -> Self {
        Self { has_nats: true, ..self }
    }

    /// Connects to the other parts of the version over this NATS server.
    pub(crate) fn nats(mut self, url: &str, protocol: WireProtocol) -> Self {
        self.has_nats = true;
        self.flag("--nats", url).flag("--nats-mode", protocol.mode())
    }

    /// Listens on this address instead of a free port.
    pub(crate) fn listen(self, listen: SocketAddr) -> Self {
        Self { listen: Some(listen), ..self }
    }

    /// Stores data in this folder instead of its own.
    pub(crate) fn data(self, data: &Path) -> Self {
        Self { data: data.to_owned(), ..self }
    }

    /// Sets the folder with the `.proto` for the client, if the package itself is an archive.
    pub(crate) fn described_by(self, package: &Path) -> Self {
        Self { package: package.to_owned(), ..self }
    }

    /// Adds a flag with a value.
    pub(crate) fn flag(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(name).arg(value);
        self
    }

    /// Restarts nodes whose files change.
    pub(crate) fn watch(mut self) -> Self {
        self.command.arg("--watch");
        self
    }

    /// Starts it through another program, which takes the command line as arguments.
    pub(crate) fn started_by(mut self, program: &str, arguments: &[&str]) -> Self {
        let typed = self.command.as_std();
        let mut command = Command::new(program);
        command.args(arguments).arg(typed.get_program()).args(typed.get_args());
        for (name, value) in typed.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        self.command = command;
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The scratch folder for handlers.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Starts it and waits until it serves.
    pub(crate) async fn start(self) -> Service {
        let package = self.package.clone();
        self.spawn().serve(&package).await
    }

    /// Starts an archive; `folder`, from which it was packed, has its `.proto`.
    pub(crate) async fn start_archive(self, folder: &Path) -> Service {
        self.spawn().serve(folder).await
    }

    /// Starts nodes and waits until they accept messages.
    pub(crate) async fn take(self) -> Process {
        let process = self.spawn();
        process.lines.wait("messages", |record| record.message.starts_with("taking messages for ")).await;
        process
    }

    /// Starts it and waits until it exits by itself. No processes remain.
    pub(crate) async fn end(self) -> super::service::Exited {
        self.spawn().end().await
    }

    /// Starts it.
    pub(crate) fn spawn(mut self) -> Process {
        if let Some(listen) = self.listen {
            self.command.arg("--listen").arg(listen.to_string());
        }
        let broker = test_broker().filter(|_| !self.has_nats).map(|mode| {
            let server = broker();
            self.command.args(["--nats", &server.url(), "--nats-mode", mode.mode()]);
            server
        });
        self.command.arg("--data").arg(&self.data);
        let mut child = self.command.spawn().expect("the binary is there and can be executed");
        let lines = Lines::read(child.stderr.take().expect("it is piped"));
        Process::new(child, lines, self.data, self.folder, self.scratch, broker)
    }
}

/// The broker for tests that choose none; `None` keeps messages in memory.
pub(crate) fn test_broker() -> Option<WireProtocol> {
    let mode = std::env::var(BROKER).ok()?;
    Some(if mode == "core" { WireProtocol::Core } else { WireProtocol::JetStream })
}

/// A separate NATS server for a test: versions with the same name would receive each other's messages.
fn broker() -> NatsServer {
    let options = NatsOptions { jetstream: true, max_payload: Some(32 << 20), ..NatsOptions::default() };
    NatsServer::start("tests through a broker", options).expect("a named broker has a server")
}

/// The binary with the cache of these tests, for commands that do not serve.
pub(crate) fn command() -> std::process::Command {
    let binary = binary();
    let mut command = std::process::Command::new(&binary);
    command.env("KRT_CACHE", cache(&binary)).stdin(Stdio::null());
    VARIABLES.iter().for_each(|name| {
        command.env_remove(name);
    });
    command
}

/// Runs `krt`, which must succeed; returns its standard output.
pub(crate) fn stdout_of(args: &[&str], package: &Path, flags: &[&str]) -> String {
    let output = command().args(args).arg(package).args(flags).output().expect("the binary can be executed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?} {flags:?}: {errors}");
    String::from_utf8(output.stdout).expect("it writes text")
}

/// Runs `krt`, which must fail; returns its standard error.
pub(crate) fn refused(args: &[&str], package: &Path, flags: &[&str]) -> String {
    let output = command().args(args).arg(package).args(flags).output().expect("the binary can be executed");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{args:?} {flags:?}: {stdout}");
    String::from_utf8(output.stderr).expect("it writes text")
}

/// The folder with the packages of these tests.
pub(crate) fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packages")
}

/// Writes a package with the given files.
pub(crate) fn write_package(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("there is room for a temporary folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("the folder is ours");
        std::fs::write(path, content).expect("the folder is ours");
    }
    folder
}

/// The `krt` binary in the same target folder and profile as these tests.
pub(crate) fn binary() -> PathBuf {
    let tests = std::env::current_exe().expect("the system knows this program's path");
    let profile = tests.ancestors().nth(2).expect("tests are built to `target/PROFILE/deps`");
    let binary = profile.join("krt");
    assert!(
        binary.is_file(),
        "these tests run `{}`, which is not there; hint: `cargo build -p krt-cli` with the same profile",
        binary.display()
    );
    binary
}

/// All tests share Python environments.
fn cache(binary: &Path) -> PathBuf {
    let target = binary.ancestors().nth(2).expect("the binary is in `target/PROFILE`");
    target.join("test-cache")
}
