//! The connection to NATS: address, credentials and state.

mod greeting;
mod watchdog;

use crate::Error;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr, jetstream};
use futures::StreamExt as _;
use krt_model::{address::Address, certificate};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use url::Url;

/// Settings of a connection.
#[derive(Debug, Clone)]
pub struct Options {
    /// The servers, separated by commas; may contain a user and a password, or a token.
    pub servers: Address,
    /// The name of this connection at the server.
    pub name: String,
    /// A file with a JWT and its nkey (`.creds`).
    pub credentials: Option<PathBuf>,
    /// A file with the seed of an nkey.
    pub nkey: Option<PathBuf>,
    /// A file with certificates (PEM) that may sign the server's, besides the system's.
    pub ca: Option<PathBuf>,
    /// Files with this client's certificate and key (PEM).
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Time limit of the first connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval between pings to the server; two without an answer end the connection.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// The most messages that a subscription buffers. Further ones are lost, with a warning.
const SUBSCRIPTION_CAPACITY: usize = 8 << 10;
/// The longest pause before the next attempt to reconnect.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// Time for JetStream to confirm that a message is stored.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that reconnects whenever it is lost.
#[derive(Debug, Clone)]
pub struct Connection {
    current: Arc<Current>,
    up: watch::Receiver<bool>,
    address: Address,
}

/// The client in use. It reconnects by itself; if it fails, another client replaces it ([`watchdog`]).
#[derive(Debug)]
struct Current {
    client: RwLock<Client>,
    closed: AtomicBool,
    /// Aborted with the last handle.
    watchdog: OnceLock<JoinHandle<()>>,
}

impl Drop for Current {
    fn drop(&mut self) {
        self.watchdog.get().inspect(|watchdog| watchdog.abort());
    }
}

impl Connection {
    /// Connects once; later losses are reconnected without end.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let address = with_scheme(&options.servers);
        let (connected, up) = watch::channel(true);
        let factory = ClientFactory { options: options.clone(), address: address.clone(), connected };
        let (client, ended) = factory.dial().await?;
        let closed = AtomicBool::new(false);
        let current = Arc::new(Current { client: RwLock::new(client), closed, watchdog: OnceLock::new() });
        let watchdog = tokio::spawn(watchdog::maintain(Arc::downgrade(&current), factory, ended));
        // Set only here.
        let _ = current.watchdog.set(watchdog);
        Ok(Self { current, up, address })
    }

    /// Returns a receiver of whether the server is reachable.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.up.clone()
    }

    /// Returns whether the server is reachable.
    pub fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    /// The address, without secrets.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the largest message, including headers, in bytes.
    pub fn max_payload(&self) -> usize {
        self.client().max_payload()
    }

    /// Returns a subject without any other listener.
    pub fn new_inbox(&self) -> String {
        self.client().new_inbox()
    }

    pub(crate) fn client(&self) -> Client {
        self.current.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether the connection was closed for good.
    pub(crate) fn is_closed(&self) -> bool {
        self.current.closed.load(Ordering::Acquire)
    }

    pub(crate) fn jetstream(&self) -> jetstream::Context {
        jetstream::ContextBuilder::new().timeout(STORE_TIMEOUT).build(self.client())
    }

    /// Waits until the server knows all subscriptions, and until all messages that it sent before have arrived, as it
    /// answers in order. Waits no longer than `limit`, since the server may be away.
    pub async fn settled(&self, limit: Duration) {
        let (client, inbox) = (self.client(), self.new_inbox());
        let round = async {
            let mut received = client.subscribe(inbox.clone()).await.ok()?;
            client.publish(inbox, bytes::Bytes::new()).await.ok()?;
            received.next().await
        };
        let _ = tokio::time::timeout(limit, round).await;
    }

    /// Sends queued messages, and closes the connection.
    pub async fn close(&self) {
        self.current.closed.store(true, Ordering::Release);
        let client = self.client();
        // Fails if the connection is closed already, or no server takes the queued messages.
        let _ = tokio::time::timeout(Duration::from_secs(1), client.flush()).await;
        let _ = client.drain().await;
    }
}

/// Creates clients.
struct ClientFactory {
    options: Options,
    address: Address,
    connected: watch::Sender<bool>,
}

impl ClientFactory {
    /// Connects a client. The returned receiver ends with the client.
    async fn dial(&self) -> Result<(Client, mpsc::Receiver<()>), Error> {
        let Self { options, address, connected } = self;
        let (servers, user) = parse(address)?;
        let none =
            |error: io::Error| Error::Unreachable { address: address.clone(), reason: error.to_string() };
        let servers = greeting::sort(servers).await.map_err(none)?;
        let (alive, ended) = mpsc::channel(1);
        let (connected, shown) = (connected.clone(), address.clone());
        let connect = sign_in(options, user).await?;
        let connect = trust(connect, options)?
            .name(&options.name)
            .connection_timeout(CONNECT_TIMEOUT)
            .ping_interval(PING_INTERVAL)
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .reconnect_delay_callback(|attempts| Duration::from_millis(20 * attempts as u64).min(MAX_BACKOFF))
            .retain_servers_order()
            .reconnect_to_server_callback(|servers, _| greeting::choose(servers))
            .event_callback(move |event| {
                let (connected, shown, alive) = (connected.clone(), shown.clone(), alive.clone());
                async move {
                    report(&event, &connected, &shown);
                    drop(alive);
                }
            });
        let client = connect.connect(servers).await.map_err(|error| refusal(&error, address))?;
        Ok((client, ended))
    }
}

/// Credentials in the URL.
#[derive(Debug, PartialEq, Eq)]
enum User {
    Password { name: String, password: String },
    Token(String),
}

/// Adds the scheme: `localhost:4222` means `nats://localhost:4222`, and can then be shown.
fn with_scheme(address: &Address) -> Address {
    let text = address.secret();
    if text.contains("://") || text.contains('@') {
        return address.clone();
    }
    Address::from(&*format!("nats://{text}"))
}

/// Returns the servers without their secrets, and the only credentials among them.
fn parse(address: &Address) -> Result<(Vec<ServerAddr>, Option<User>), Error> {
    let wrong = |reason: String| Error::Address { address: address.clone(), reason };
    let mut servers = Vec::new();
    let mut user = None;
    for text in address.secret().split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let text = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
        let mut url = Url::parse(&text).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "nats" | "tls") {
            return Err(wrong(format!("its scheme is `{}`, not `nats` or `tls`", url.scheme())));
        }
        let found = take_user(&mut url).ok_or_else(|| wrong("the user is not percent-encoded".to_owned()))?;
        user = user.or(found);
        servers.push(ServerAddr::from_url(url).map_err(|error| wrong(error.to_string()))?);
    }
    if servers.is_empty() { Err(wrong("it names no server".to_owned())) } else { Ok((servers, user)) }
}

/// Takes the user out of a URL; `None` if it cannot be decoded.
fn take_user(url: &mut Url) -> Option<Option<User>> {
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    let name = decode(url.username())?;
    let password = match url.password() {
        Some(password) => Some(decode(password)?),
        None => None,
    };
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(match password {
        Some(password) => Some(User::Password { name, password }),
        None if name.is_empty() => None,
        None => Some(User::Token(name)),
    })
}

async fn sign_in(options: &Options, user: Option<User>) -> Result<ConnectOptions, Error> {
    let connect = ConnectOptions::new();
    match (user, &options.credentials, &options.nkey) {
        (Some(_), Some(_), _) => {
            Err(Error::Ambiguous { one: "a user in its URL", other: "a credentials file" })
        }
        (Some(_), _, Some(_)) => Err(Error::Ambiguous { one: "a user in its URL", other: "an nkey" }),
        (_, Some(_), Some(_)) => Err(Error::Ambiguous { one: "a credentials file", other: "an nkey" }),
        (Some(User::Password { name, password }), None, None) => {
            Ok(connect.user_and_password(name, password))
        }
        (Some(User::Token(token)), None, None) => Ok(connect.token(token)),
        (None, Some(path), None) => {
            let what = "a credentials file";
            connect.credentials_file(path).await.map_err(|source| file(path, what, source))
        }
        (None, None, Some(path)) => Ok(connect.nkey(seed(path)?)),
        (None, None, None) => Ok(connect),
    }
}

/// Reads the seed in a file, possibly between comments.
fn seed(path: &Path) -> Result<String, Error> {
    let what = "the seed of an nkey";
    let text = std::fs::read_to_string(path).map_err(|source| file(path, what, source))?;
    let seed = text.lines().map(str::trim).find(|factory| factory.starts_with("SU") && factory.len() == 58);
    let missing = || io::Error::new(io::ErrorKind::InvalidData, "no line in it is a seed (SU…)");
    seed.map(str::to_owned).ok_or_else(|| file(path, what, missing()))
}

fn file(path: &Path, what: &'static str, source: io::Error) -> Error {
    Error::File { path: path.to_owned(), what, source }
}

fn trust(connect: ConnectOptions, options: &Options) -> Result<ConnectOptions, Error> {
    let readable =
        |path: &Path, what| std::fs::read(path).map(drop).map_err(|source| file(path, what, source));
    let mut connect = connect;
    if let Some(ca) = &options.ca {
        readable(ca, "certificates of those who sign the server's")?;
        connect = connect.add_root_certificates(ca.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &options.certificate {
        readable(certificate, "our certificate")?;
        readable(key, "the key of our certificate")?;
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(connect)
}

fn refusal(error: &async_nats::ConnectError, address: &Address) -> Error {
    let address = address.clone();
    let reason =
        std::error::Error::source(error).map_or_else(|| error.kind().to_string(), ToString::to_string);
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            Error::Refused { address }
        }
        ConnectErrorKind::Tls => Error::Tls { address, reason },
        _ if certificate::hint(&reason, "").is_some() => Error::Tls { address, reason },
        _ => Error::Unreachable { address, reason },
    }
}

fn report(event: &Event, up: &watch::Sender<bool>, address: &Address) {
    match event {
        // The first connection notifies nobody: intakes would repeat the requests that they have just sent.
        Event::Connected => {
            if up.send_if_modified(|up| !std::mem::replace(up, true)) {
                tracing::info!("connected to NATS at {address} again");
            }
        }
        Event::Disconnected if up.send_replace(false) => {
            tracing::error!("the connection to NATS at {address} is lost: connecting again");
        }
        Event::Disconnected => {}
        Event::LameDuckMode => tracing::warn!("the NATS server at {address} is about to stop"),
        Event::SlowConsumer(_) => {
            tracing::error!("slow consumer: messages from NATS are being dropped");
        }
        Event::ServerError(error) => tracing::error!("NATS says: {error}"),
        // Each failed attempt to reconnect is such an event.
        Event::ClientError(error) if !*up.borrow() => tracing::debug!("not connected to NATS: {error}"),
        Event::ClientError(error) => tracing::error!("the connection to NATS: {error}"),
        Event::Draining => {}
        Event::Closed => {
            up.send_replace(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_from_urls() {
        let password = |name: &str, password: &str| {
            Some(User::Password { name: name.to_owned(), password: password.to_owned() })
        };
        for (text, servers, user) in [
            ("nats://localhost", vec!["localhost:4222"], None),
            ("one:4333,two", vec!["one:4333", "two:4222"], None),
            ("nats://ada:p%40w@one,tls://two:1", vec!["one:4222", "two:1"], password("ada", "p@w")),
            ("nats://s3cr3t@one", vec!["one:4222"], Some(User::Token("s3cr3t".to_owned()))),
        ] {
            let (found, who) = parse(&Address::from(text)).unwrap();
            let found: Vec<_> =
                found.iter().map(|server| format!("{}:{}", server.host(), server.port())).collect();
            assert_eq!((found, who), (servers.iter().map(ToString::to_string).collect(), user), "{text}");
        }
    }

    #[test]
    fn invalid_urls_are_reported_without_secrets() {
        for (text, words) in [
            ("", "`…` is not a NATS URL: it names no server"),
            (
                "http://ada:secret@one",
                "`http://one` is not a NATS URL: its scheme is `http`, not `nats` or `tls`",
            ),
            ("nats://ada:secret@:x", "`…` is not a NATS URL: empty host"),
        ] {
            let error = parse(&Address::from(text)).unwrap_err().to_string();
            assert!(error.starts_with(words) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
