//! NATS, from Debian's package `nats-server`.

mod certificates;
mod secrets;

use certificates::Certificates;
use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    net::Ipv4Addr,
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// Ends the server by the signal that is named on its standard input; at once when nobody holds that
/// any more, however the test ended.
const RUN: &str = r#""$0" --config "$1" & read -r signal; kill -"${signal:-KILL}" $!; wait"#;

/// What a server is to be like; by default as one is without a configuration.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    /// Whether it has JetStream. Its streams are kept while the server is down.
    pub jetstream: bool,
    /// The most bytes of a message; the server's own limit is 1 MiB.
    pub max_payload: Option<usize>,
    /// Who may connect.
    pub auth: NatsAuth,
    /// How connections are kept private.
    pub tls: NatsTls,
    /// Where it listens, on a test host of its own; 127.0.0.1 by default.
    pub address: Option<Ipv4Addr>,
}

/// Who may connect to a server.
#[derive(Debug, Clone, Default)]
pub enum NatsAuth {
    /// Everyone.
    #[default]
    Anyone,
    /// Who knows the user and the password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// Who knows the token.
    Token(String),
    /// Who has the seed in [`NatsServer::nkey_file`].
    Nkey,
    /// Who has the credentials in [`NatsServer::credentials_file`].
    Credentials,
}

/// How connections to a server are kept private.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NatsTls {
    /// Not at all.
    #[default]
    Off,
    /// The server shows a certificate, which [`NatsServer::ca_file`] vouches for.
    Server,
    /// So must clients: that in [`NatsServer::client_certificate`], or another of the same authority.
    Mutual,
}

/// A server that ends when it is dropped.
#[derive(Debug)]
pub struct NatsServer {
    child: Option<Child>,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    options: NatsOptions,
    folder: TempDir,
}

impl NatsServer {
    /// Starts a server; `None` where there is none to start.
    pub fn start(test: &str, options: NatsOptions) -> Option<Self> {
        if installed().is_none() {
            crate::skipped(test, "nats-server (Debian's `nats-server`)");
            return None;
        }
        let mut server = Self { child: None, port: 0, options, folder: TempDir::new().unwrap() };
        server.write_configuration();
        server.start_again();
        Some(server)
    }

    /// Its URL, without secrets.
    pub fn url(&self) -> String {
        match self.options.tls {
            NatsTls::Off => format!("nats://{}:{}", self.address(), self.port),
            NatsTls::Server | NatsTls::Mutual => format!("tls://{}:{}", self.address(), self.port),
        }
    }

    /// Where the seed of the nkey is that may connect.
    pub fn nkey_file(&self) -> PathBuf {
        self.folder.path().join("user.nk")
    }

    /// Where the credentials are that may connect: a user's JWT and seed.
    pub fn credentials_file(&self) -> PathBuf {
        self.folder.path().join("user.creds")
    }

    /// Where the certificate is of the authority that vouches for the server.
    pub fn ca_file(&self) -> PathBuf {
        self.certificates().ca()
    }

    /// Where the certificate is that a client may show, and its key.
    pub fn client_certificate(&self) -> (PathBuf, PathBuf) {
        self.certificates().client()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.end("KILL");
    }

    /// Ends it as an operator does: it says farewell to its clients and writes what it has.
    pub fn stop(&mut self) {
        self.end("TERM");
    }

    /// Starts it once more, where it was, with the streams it had.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "the server runs");
        let mut config = format!("listen: \"{}:{}\"\n", self.address(), self.listen());
        config += &std::fs::read_to_string(self.folder.path().join("options.conf")).unwrap();
        let path = self.folder.path().join("nats.conf");
        std::fs::write(&path, config).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", RUN])
            .args([&installed().unwrap(), &path])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        self.port = port(&mut said);
        // What else it says must go somewhere, lest it wait.
        std::thread::spawn(move || said.for_each(drop));
        self.child = Some(child);
    }

    fn address(&self) -> Ipv4Addr {
        self.options.address.unwrap_or(Ipv4Addr::LOCALHOST)
    }

    /// The port it shall have: any, and then that one again.
    fn listen(&self) -> i32 {
        if self.port == 0 { -1 } else { self.port.into() }
    }

    fn end(&mut self, signal: &str) {
        let Some(mut child) = self.child.take() else { return };
        // Whether or not it is there to read: then it has ended.
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
            writeln!(config, "jetstream {{ store_dir: {:?} }}", folder.join("streams")).unwrap();
        }
        if let Some(bytes) = self.options.max_payload {
            writeln!(config, "max_payload: {bytes}").unwrap();
            // The server wants room for one message at least.
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

/// The port that a server says it listens on, once it is ready.
fn port(said: &mut impl Iterator<Item = String>) -> u16 {
    let (mut port, mut all) = (None, String::new());
    for line in said {
        if let Some((_, address)) = line.split_once("Listening for client connections on ") {
            port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        }
        if line.ends_with("Server is ready") {
            return port.expect("a server that is ready said where it listens");
        }
        all += &line;
        all.push('\n');
    }
    panic!("the server does not start:\n{all}");
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian puts it, which is on the superuser's `PATH` only.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("nats-server")).find(|path| path.exists())
}
