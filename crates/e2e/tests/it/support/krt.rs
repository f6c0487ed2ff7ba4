//! The binary, as it is typed.

use super::{
    lines::Lines,
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

const FREE_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A `krt run` that is about to be typed.
pub(crate) struct Krt {
    command: Command,
    package: PathBuf,
    listen: SocketAddr,
    data: PathBuf,
    folder: TempDir,
    scratch: Scratch,
    broker: Option<NatsServer>,
}

impl Krt {
    /// Runs a package of `packages/`, on a free port, with a data folder of its own.
    pub(crate) fn run(package: &str) -> Self {
        Self::run_at(&packages().join(package))
    }

    /// The same for a package anywhere.
    pub(crate) fn run_at(package: &Path) -> Self {
        let mut krt = Self::typed("run", package);
        krt.command.arg(package).arg("--no-dashboard");
        krt
    }

    /// The same with its dashboard, on a free port.
    pub(crate) fn run_with_dashboard(package: &Path) -> Self {
        let mut krt = Self::typed("run", package);
        krt.command.arg(package);
        krt.flag("--dashboard", FREE_PORT.to_string())
    }

    /// A team's server. What it knows of its clients' messages is in the `.proto` of `package`.
    pub(crate) fn serve(package: &Path) -> Self {
        let krt = Self::typed("serve", package);
        krt.flag("--dashboard", FREE_PORT.to_string())
    }

    fn typed(name: &str, package: &Path) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a temporary folder");
        let scratch = Scratch::below(folder.path());
        let binary = binary();
        let mut command = Command::new(&binary);
        command
            .arg(name)
            .args(["--log-format", "json"])
            .env("KRT_CACHE", cache(&binary))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env(scratch::VARIABLE, scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        for name in [
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
        ] {
            command.env_remove(name);
        }
        let data = folder.path().join("data");
        let broker = std::env::var(BROKER).ok().map(|mode| {
            let server = broker();
            command.args(["--nats", &server.url(), "--nats-mode", &mode]);
            server
        });
        Self { command, package: package.to_owned(), listen: FREE_PORT, data, folder, scratch, broker }
    }

    /// Listens there, instead of on a free port.
    pub(crate) fn listen(self, listen: SocketAddr) -> Self {
        Self { listen, ..self }
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
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
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

    /// Starts it and waits until it ends by itself. Nothing is left of it.
    pub(crate) async fn end(self) -> super::service::Ended {
        self.spawn().end().await
    }

    /// Starts it.
    pub(crate) fn spawn(mut self) -> Process {
        self.command.arg("--listen").arg(self.listen.to_string()).arg("--data").arg(&self.data);
        let mut child = self.command.spawn().expect("the binary is there and can be executed");
        let lines = Lines::read(child.stderr.take().expect("it is piped"));
        Process::new(child, lines, self.data, self.folder, self.scratch, self.broker)
    }
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
    command
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
