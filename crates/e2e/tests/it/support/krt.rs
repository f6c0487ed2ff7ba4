//! The binary, as it is typed.

use super::{
    lines::Lines,
    runners::Era,
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

/// Names the broker that messages go through in tests that name none: `core` or `jetstream`.
const BROKER: &str = "KRT_TEST_BROKER";

/// What would change what is typed here.
const VARIABLES: [&str; 15] = [
    "KRT_LISTEN",
    "KRT_DASHBOARD",
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

/// A `krt run`, or a part of one, that is about to be typed.
pub(crate) struct Krt {
    command: Command,
    package: PathBuf,
    /// Nodes alone have no port.
    listen: Option<SocketAddr>,
    data: PathBuf,
    folder: TempDir,
    scratch: Scratch,
    /// Whether the test names the broker itself.
    has_nats: bool,
}

impl Krt {
    /// Runs a package of `packages/`, on a free port, with a data folder of its own.
    pub(crate) fn run(package: &str) -> Self {
        Self::run_at(&packages().join(package))
    }

    /// The same for a package anywhere.
    pub(crate) fn run_at(package: &Path) -> Self {
        let krt = Self::typed(&["run"], package, Some(FREE_PORT));
        krt.package_argument().bare("--no-dashboard")
    }

    /// The same with its dashboard, on a free port.
    pub(crate) fn run_with_dashboard(package: &Path) -> Self {
        let krt = Self::typed(&["run"], package, Some(FREE_PORT));
        krt.package_argument().flag("--dashboard", FREE_PORT.to_string())
    }

    /// A team's server. What it knows of its clients' messages is in the `.proto` of `package`.
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

    fn bare(mut self, flag: &str) -> Self {
        self.command.arg(flag);
        self
    }

    fn typed(words: &[&str], package: &Path, listen: Option<SocketAddr>) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a temporary folder");
        let scratch = Scratch::below(folder.path());
        let binary = binary();
        let mut command = Command::new(&binary);
        command
            .args(words)
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

    /// Whichever broker there is, the environment names it.
    pub(crate) fn by_environment(self) -> Self {
        Self { has_nats: true, ..self }
    }

    /// Meets the other parts of the version there.
    pub(crate) fn nats(mut self, url: &str, era: Era) -> Self {
        self.has_nats = true;
        self.flag("--nats", url).flag("--nats-mode", era.mode())
    }

    /// Listens there, instead of on a free port.
    pub(crate) fn listen(self, listen: SocketAddr) -> Self {
        Self { listen: Some(listen), ..self }
    }

    /// Keeps its data there, instead of in a folder of its own.
    pub(crate) fn data(self, data: &Path) -> Self {
        Self { data: data.to_owned(), ..self }
    }

    /// The folder with the `.proto` for the client, where the package itself is an archive.
    pub(crate) fn described_by(self, package: &Path) -> Self {
        Self { package: package.to_owned(), ..self }
    }

    /// Adds a flag with its value.
    pub(crate) fn flag(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.arg(name).arg(value);
        self
    }

    /// Restarts nodes whose files change.
    pub(crate) fn watch(mut self) -> Self {
        self.command.arg("--watch");
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The scratch folder that handlers will see.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Starts it and waits until it serves.
    pub(crate) async fn start(self) -> Service {
        let package = self.package.clone();
        self.spawn().serve(&package).await
    }

    /// The same for an archive; the folder that it was made of has its `.proto`.
    pub(crate) async fn start_archive(self, folder: &Path) -> Service {
        self.spawn().serve(folder).await
    }

    /// Starts nodes and waits until they take messages.
    pub(crate) async fn take(self) -> Process {
        let process = self.spawn();
        process.lines.wait("messages", |record| record.message.starts_with("taking messages for ")).await;
        process
    }

    /// Starts it and waits until it ends by itself. Nothing is left of it.
    pub(crate) async fn end(self) -> super::service::Ended {
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

/// The broker that tests go through that name none; messages stay in memory where it is `None`.
pub(crate) fn test_broker() -> Option<Era> {
    let mode = std::env::var(BROKER).ok()?;
    Some(if mode == "core" { Era::Core } else { Era::JetStream })
}

/// A NATS server of a test's own: versions of the same name would take each other's messages.
fn broker() -> NatsServer {
    let options = NatsOptions { jetstream: true, max_payload: Some(32 << 20), ..NatsOptions::default() };
    NatsServer::start("tests through a broker", options).expect("whoever names a broker has its server")
}

/// The binary, with the cache of these tests, for what does not serve.
pub(crate) fn command() -> std::process::Command {
    let binary = binary();
    let mut command = std::process::Command::new(&binary);
    command.env("KRT_CACHE", cache(&binary)).stdin(Stdio::null());
    VARIABLES.iter().for_each(|name| {
        command.env_remove(name);
    });
    command
}

/// What `krt` says on standard output, when it ends well.
pub(crate) fn said(words: &[&str], package: &Path, flags: &[&str]) -> String {
    let output = command().args(words).arg(package).args(flags).output().expect("the binary can be executed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?} {flags:?}: {errors}");
    String::from_utf8(output.stdout).expect("it writes text")
}

/// What `krt` says on standard error, when it ends badly.
pub(crate) fn refused(words: &[&str], package: &Path, flags: &[&str]) -> String {
    let output = command().args(words).arg(package).args(flags).output().expect("the binary can be executed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{words:?} {flags:?}: {said}");
    String::from_utf8(output.stderr).expect("it writes text")
}

/// Where the packages of these tests are.
pub(crate) fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packages")
}

/// Makes a package of files and their contents.
pub(crate) fn write_package(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("there is room for a temporary folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("the folder is ours");
        std::fs::write(path, content).expect("the folder is ours");
    }
    folder
}

/// `krt`, in the same target folder and profile as these tests.
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

/// Python environments are made once for all tests.
fn cache(binary: &Path) -> PathBuf {
    let target = binary.ancestors().nth(2).expect("the binary is in `target/PROFILE`");
    target.join("test-cache")
}
