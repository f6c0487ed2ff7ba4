//! NATS, from Debian's package `nats-server`, or from the project's sources where that version does not
//! suffice.

mod certificates;
mod cluster;
mod secrets;

use certificates::Certificates;
pub use cluster::NatsMember;
use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    net::Ipv4Addr,
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// Stops the server with the signal that is written to its standard input; kills it when the input closes,
/// however the test ends.
const RUN: &str = r#""$0" --config "$1" & read -r signal; kill -"${signal:-KILL}" $!; wait"#;

/// Options of a server. The default corresponds to a server without configuration.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    /// Whether to enable JetStream. Streams survive a restart.
    pub jetstream: bool,
    /// The maximum size of a message, bytes; the server's default is 1 MiB.
    pub max_payload: Option<usize>,
    /// The authentication of clients.
    pub auth: NatsAuth,
    /// The encryption of connections.
    pub tls: NatsTls,
    /// The address to listen on, on a test host of its own; 127.0.0.1 by default.
    pub address: Option<Ipv4Addr>,
    /// Whether to use the version that the documentation recommends to operators, built from the project's
    /// sources. Debian's version loses messages if it is killed while it writes them: they keep their numbers
    /// in the stream, but are unreadable.
    pub survives_kills: bool,
    /// The cluster that the server is a member of.
    pub cluster: Option<NatsMember>,
}

/// The authentication of clients.
#[derive(Debug, Clone, Default)]
pub enum NatsAuth {
    /// None.
    #[default]
    Anyone,
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// The nkey whose seed is in [`NatsServer::nkey_file`].
    Nkey,
    /// The credentials in [`NatsServer::credentials_file`].
    Credentials,
}

/// The encryption of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NatsTls {
    /// No TLS.
    #[default]
    Off,
    /// The server has a certificate of the authority in [`NatsServer::ca_file`].
    Server,
    /// Clients must have one, too: that in [`NatsServer::client_certificate`], or another of the same
    /// authority.
    Mutual,
}

/// A server. Stops on drop.
#[derive(Debug)]
pub struct NatsServer {
    child: Option<Child>,
    /// The server's port on 127.0.0.1.
    pub port: u16,
    options: NatsOptions,
    /// The port of its monitoring API while it runs.
    monitor: u16,
    folder: TempDir,
}

impl NatsServer {
    /// Starts a server; returns `None` if it is not installed.
    pub fn start(test: &str, options: NatsOptions) -> Option<Self> {
        if program(&options).is_none() {
            let missing = if needs_newer(&options) {
                "target/tools/bin/nats-server (`make servers`)"
            } else {
                "nats-server (Debian's `nats-server`)"
            };
            crate::skipped(test, missing);
            return None;
        }
        let folder = TempDir::new().unwrap();
        let mut server = Self { child: None, port: 0, options, monitor: 0, folder };
        server.write_configuration();
        server.start_again();
        Some(server)
    }

    /// Returns the server's URL, without secrets.
    pub fn url(&self) -> String {
        match self.options.tls {
            NatsTls::Off => format!("nats://{}:{}", self.address(), self.port),
            NatsTls::Server | NatsTls::Mutual => format!("tls://{}:{}", self.address(), self.port),
        }
    }

    /// Returns the file with the seed of the accepted nkey.
    pub fn nkey_file(&self) -> PathBuf {
        self.folder.path().join("user.nk")
    }

    /// Returns the file with the accepted credentials: a user's JWT and seed.
    pub fn credentials_file(&self) -> PathBuf {
        self.folder.path().join("user.creds")
    }

    /// Returns the certificate of the authority that signed the server's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.certificates().ca()
    }

    /// Returns the certificate and key for a client.
    pub fn client_certificate(&self) -> (PathBuf, PathBuf) {
        self.certificates().client()
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        self.end("KILL");
    }

    /// Stops the server like an operator: it notifies its clients and writes its data.
    pub fn stop(&mut self) {
        self.end("TERM");
    }

    /// Restarts the server with the same port and streams.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "the server runs");
        let mut config = format!("listen: \"{}:{}\"\n", self.address(), self.listen());
        config += &std::fs::read_to_string(self.folder.path().join("options.conf")).unwrap();
        let path = self.folder.path().join("nats.conf");
        std::fs::write(&path, config).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", RUN])
            .args([&program(&self.options).unwrap(), &path])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        (self.port, self.monitor) = ports(&mut lines);
        // Drain further output, so that the server does not block.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    /// Deletes the server's streams, like the loss of a disk. It must not be running.
    pub fn lose_disk(&self) {
        assert!(self.child.is_none(), "the server runs");
        std::fs::remove_dir_all(self.streams()).unwrap();
    }

    /// Returns the streams, messages and consumers of the cluster that the server reports as missing; `None`
    /// if there are none. Sends a blocking request.
    pub fn lacks(&self) -> Option<String> {
        cluster::unhealthy((self.address(), self.monitor).into())
    }

    fn streams(&self) -> PathBuf {
        self.folder.path().join("streams")
    }

    fn address(&self) -> Ipv4Addr {
        self.options.address.unwrap_or(Ipv4Addr::LOCALHOST)
    }

    /// The port for the configuration: any at first, then the same again.
    fn listen(&self) -> i32 {
        if self.port == 0 { -1 } else { self.port.into() }
    }

    fn end(&mut self, signal: &str) {
        let Some(mut child) = self.child.take() else { return };
        // Fails if the process no longer reads it because it has ended.
        let _ = writeln!(child.stdin.take().unwrap(), "{signal}");
        child.wait().unwrap();
    }

    fn certificates(&self) -> Certificates {
        Certificates { folder: self.folder.path().to_owned() }
    }

    fn write_configuration(&self) {
        let mut config = String::new();
        let folder = self.folder.path();
        if self.options.jetstream {
            writeln!(config, "jetstream {{ store_dir: {:?} }}", self.streams()).unwrap();
        }
        if let Some(member) = &self.options.cluster {
            config += &member.configuration(self.address());
        }
        if let Some(bytes) = self.options.max_payload {
            writeln!(config, "max_payload: {bytes}").unwrap();
            // The server requires room for at least one message.
            writeln!(config, "max_pending: {}", bytes.max(64 << 20)).unwrap();
        }
        config += &match &self.options.auth {
            NatsAuth::Anyone => String::new(),
            NatsAuth::Password { user, password } => {
                format!("authorization {{ user: {user:?}, password: {password:?} }}\n")
            }
            NatsAuth::Token(token) => format!("authorization {{ token: {token:?} }}\n"),
            NatsAuth::Nkey => secrets::nkey(&self.nkey_file()),
            NatsAuth::Credentials => secrets::credentials(&self.credentials_file()),
        };
        config += &self.tls();
        std::fs::write(folder.join("options.conf"), config).unwrap();
    }

    fn tls(&self) -> String {
        if self.options.tls == NatsTls::Off {
            return String::new();
        }
        let certificates = self.certificates();
        certificates.make();
        let (certificate, key) = certificates.server();
        format!(
            "tls {{ cert_file: {certificate:?}, key_file: {key:?}, ca_file: {:?}, verify: {}, timeout: 10 }}\n",
            certificates.ca(),
            self.options.tls == NatsTls::Mutual,
        )
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns the ports from the log of a ready server: for clients, and for monitoring.
fn ports(lines: &mut impl Iterator<Item = String>) -> (u16, u16) {
    let (mut port, mut monitor, mut all) = (None, 0, String::new());
    let number = |address: &str| address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    for line in lines {
        if let Some((_, address)) = line.split_once("Listening for client connections on ") {
            port = number(address);
        }
        if let Some((_, address)) = line.split_once("Starting http monitor on ") {
            monitor = number(address).expect("it says where");
        }
        if line.ends_with("Server is ready") {
            return (port.expect("a server that is ready said where it listens"), monitor);
        }
        all += &line;
        all.push('\n');
    }
    panic!("the server does not start:\n{all}");
}

/// The server's program.
fn program(options: &NatsOptions) -> Option<PathBuf> {
    if needs_newer(options) { crate::tool("nats-server") } else { installed() }
}

/// Whether Debian's version does not suffice. In a cluster, 2.9 does not update a server whose disk was lost,
/// and reports that it did.
fn needs_newer(options: &NatsOptions) -> bool {
    options.cluster.is_some() || options.survives_kills
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian's location, which is only on the superuser's `PATH`.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("nats-server")).find(|path| path.exists())
}
