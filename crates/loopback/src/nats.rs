//! The core NATS protocol: text protocol, subjects with wildcards, queue groups, request and reply.
//!
//! A server listens on the loopback and has *accounts*, as in NATS: a client's token selects its account, and
//! messages of one account never reach another. So each process of an older runner has its expected subjects
//! to itself, and other users of the machine can neither read nor send.
//!
//! - [`operation`]: the operations of clients.
//! - [`subject`]: subjects and patterns.
//! - [`interest`]: the subscriptions of an account, and the routing of messages.
//! - [`outbox`]: bytes to be written to a client.
//! - [`connection`]: a client's connection.

mod connection;
#[cfg(fuzzing)]
pub mod fuzzing;
mod interest;
mod operation;
mod outbox;
mod subject;
#[cfg(test)]
mod tests;

use crate::{accept, secret::Secret};
use interest::Interest;
use serde_json::json;
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

/// The most open connections.
const MAX_CONNECTIONS: usize = 4096;
/// The emulated version of NATS.
const VERSION: &str = "2.10.0";

/// A NATS server that is bound to a port.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    accounts: Arc<Accounts>,
    first: Account,
}

/// Creates accounts on a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Accounts>);

/// An account with subjects of its own. Dropping it refuses further connections.
#[derive(Debug)]
pub struct Account {
    token: Secret,
    interest: Arc<Interest>,
    accounts: Arc<Accounts>,
}

/// The accounts of a server, by token.
#[derive(Debug)]
struct Accounts {
    address: SocketAddr,
    max_payload: usize,
    interests: Mutex<HashMap<String, Arc<Interest>>>,
}

impl Server {
    /// Binds to a free port of the loopback. Messages have at most `max_payload` bytes.
    pub async fn bind(max_payload: usize) -> io::Result<Self> {
        let listener = accept::bind().await?;
        let address = listener.local_addr()?;
        let accounts = Arc::new(Accounts { address, max_payload, interests: Mutex::default() });
        let first = Account::new(&accounts)?;
        Ok(Self { listener, accounts, first })
    }

    /// Its URL, with the token of its first account.
    pub fn url(&self) -> String {
        self.first.url()
    }

    /// A handle that creates further accounts, even while the server runs.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.accounts))
    }

    /// Serves until `shutdown`, and then closes all connections.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { listener, accounts, .. } = self;
        let ids = AtomicU64::new(1);
        accept::run(listener, MAX_CONNECTIONS, shutdown, |socket| {
            connection::serve(socket, ids.fetch_add(1, Ordering::Relaxed), Arc::clone(&accounts))
        })
        .await;
    }
}

impl Handle {
    /// Creates an account.
    pub fn open(&self) -> io::Result<Account> {
        Account::new(&self.0)
    }

    /// The most bytes of a message.
    pub fn max_payload(&self) -> usize {
        self.0.max_payload
    }
}

impl Account {
    fn new(accounts: &Arc<Accounts>) -> io::Result<Self> {
        let (token, interest) = (Secret::generate()?, Arc::new(Interest::default()));
        accounts.lock().insert(token.reveal().to_owned(), Arc::clone(&interest));
        Ok(Self { token, interest, accounts: Arc::clone(accounts) })
    }

    /// The URL for clients, with the account's token.
    pub fn url(&self) -> String {
        format!("nats://{}@{}", self.token.reveal(), self.accounts.address)
    }

    /// Signals every change of the subjects with subscribers.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.interest.watch()
    }

    /// Whether a client subscribes to exactly this subject; patterns that cover it do not count.
    pub fn is_taken(&self, subject: &str) -> bool {
        self.interest.is_taken(subject)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.accounts.lock().remove(self.token.reveal());
    }
}

impl Accounts {
    fn find(&self, token: &str) -> Option<Arc<Interest>> {
        self.lock().get(token).cloned()
    }

    fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// The most bytes that wait for a client that does not read: room for some of the largest messages.
    fn pending_limit(&self) -> usize {
        (64 << 20_usize).max(4 * self.max_payload)
    }

    /// The `INFO` line for a client.
    fn info(&self, client: u64) -> String {
        let info = json!({
            "server_id": "krt",
            "server_name": "krt",
            "version": VERSION,
            "proto": 1,
            "host": self.address.ip(),
            "port": self.address.port(),
            "headers": true,
            "auth_required": true,
            "max_payload": self.max_payload,
            "client_id": client,
            "client_ip": "127.0.0.1",
        });
        format!("INFO {info}\r\n")
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Interest>>> {
        self.interests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
