//! The connection to NATS: where, who we are, and whether it is up.

use crate::Error;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr, jetstream};
use futures::StreamExt as _;
use krt_model::address::Address;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::watch;
use url::Url;

/// How to connect.
#[derive(Debug, Clone)]
pub struct Options {
    /// The servers, with commas between; a user and a password, or a token, may stand in it.
    pub servers: Address,
    /// What the server calls this connection.
    pub name: String,
    /// A file with a JWT and its nkey (`.creds`).
    pub credentials: Option<PathBuf>,
    /// A file with the seed of an nkey.
    pub nkey: Option<PathBuf>,
    /// A file with the certificates that the server's may be signed by, besides the system's (PEM).
    pub ca: Option<PathBuf>,
    /// Files with our certificate and its key (PEM).
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// How long the first connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often the server is asked whether it is there: after two questions without an answer it is not.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// The longest pause before the next try to connect again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long JetStream may take to say that a message is stored.
pub(crate) const STORED_WITHIN: Duration = Duration::from_secs(5);

/// A connection, which is made again whenever it is lost.
#[derive(Debug, Clone)]
pub struct Connection {
    client: Client,
    up: watch::Receiver<bool>,
    address: Address,
}

impl Connection {
    /// Connects, once; what is lost later is connected again without end.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let address = with_scheme(&options.servers);
        let (servers, user) = parse(&address)?;
        let (told, up) = watch::channel(true);
        let shown = address.clone();
        let connect = sign_in(options, user).await?;
        let connect = trust(connect, options)?
            .name(&options.name)
            .connection_timeout(CONNECT)
            .ping_interval(ASK_EVERY)
            .reconnect_delay_callback(|attempts| {
                Duration::from_millis(20 * attempts as u64).min(LONGEST_PAUSE)
            })
            .event_callback(move |event| {
                let (told, shown) = (told.clone(), shown.clone());
                async move { tell(&event, &told, &shown) }
            });
        let client = connect.connect(servers).await.map_err(|error| refusal(&error, &address))?;
        Ok(Self { client, up, address })
    }

    /// Whether the server is there; told whenever that changes.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.up.clone()
    }

    /// Whether the server is there.
    pub fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    /// Where it leads, without secrets.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The most bytes of a message, headers included.
    pub fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// A subject that nobody else listens to.
    pub fn new_inbox(&self) -> String {
        self.client.new_inbox()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn jetstream(&self) -> jetstream::Context {
        jetstream::ContextBuilder::new().timeout(STORED_WITHIN).build(self.client.clone())
    }

    /// Waits until the server knows what we listen to: it answers in order. Not long, as it may be away.
    pub async fn settled(&self) {
        let inbox = self.new_inbox();
        let round = async {
            let mut heard = self.client.subscribe(inbox.clone()).await.ok()?;
            self.client.publish(inbox, bytes::Bytes::new()).await.ok()?;
            heard.next().await
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), round).await;
    }

    /// Sends what waits to be sent, and closes.
    pub async fn close(&self) {
        // Fails when it is closed already, or nobody is there to take what waits.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.client.flush()).await;
        let _ = self.client.drain().await;
    }
}

/// A way to sign in that stands in the URL.
#[derive(Debug, PartialEq, Eq)]
enum User {
    Password { name: String, password: String },
    Token(String),
}

/// `localhost:4222` is as good as `nats://localhost:4222`, and can be shown.
fn with_scheme(address: &Address) -> Address {
    let text = address.secret();
    if text.contains("://") || text.contains('@') {
        return address.clone();
    }
    Address::from(&*format!("nats://{text}"))
}

/// The servers without what must not be shown, and the one way to sign in that stands in them.
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

/// Takes the user out of a URL; `None` where it cannot be read.
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

/// The seed in a file, which may have comments around it.
fn seed(path: &Path) -> Result<String, Error> {
    let what = "the seed of an nkey";
    let text = std::fs::read_to_string(path).map_err(|source| file(path, what, source))?;
    let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU") && line.len() == 58);
    let missing = || std::io::Error::new(std::io::ErrorKind::InvalidData, "no line in it is a seed (SU…)");
    seed.map(str::to_owned).ok_or_else(|| file(path, what, missing()))
}

fn file(path: &Path, what: &'static str, source: std::io::Error) -> Error {
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
        _ if reason.contains("certificate") => Error::Tls { address, reason },
        _ => Error::Unreachable { address, reason },
    }
}

fn tell(event: &Event, up: &watch::Sender<bool>, address: &Address) {
    match event {
        Event::Connected if !up.send_replace(true) => tracing::info!("connected to NATS at {address} again"),
        Event::Connected => {}
        Event::Disconnected if up.send_replace(false) => {
            tracing::error!("the connection to NATS at {address} is lost: connecting again");
        }
        Event::Disconnected => {}
        Event::LameDuckMode => tracing::warn!("the NATS server at {address} is about to stop"),
        Event::SlowConsumer(_) => {
            tracing::error!("messages from NATS come faster than they are taken: some are lost");
        }
        Event::ServerError(error) => tracing::error!("NATS says: {error}"),
        // Each attempt to connect again that fails is one.
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
    fn users_are_taken_out_of_urls() {
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
    fn what_is_no_url_of_nats_is_told_without_its_secrets() {
        for (text, words) in [
            ("", "`…` is no URL of NATS: it names no server"),
            (
                "http://ada:secret@one",
                "`http://one` is no URL of NATS: its scheme is `http`, not `nats` or `tls`",
            ),
            ("nats://ada:secret@:x", "`…` is no URL of NATS: empty host"),
        ] {
            let error = parse(&Address::from(text)).unwrap_err().to_string();
            assert!(error.starts_with(words) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
