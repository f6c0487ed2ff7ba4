//! The part of MongoDB's wire protocol that a runner uses, over the embedded document store.
//!
//! - [`mod@wire`]: decodes and encodes messages.
//! - [`connection`]: a client's connection: its messages in sequence, and its sign-in.
//! - [`scram`]: the sign-in of a client.
//! - [`commands`]: dispatches commands; [`arguments`]: reads their arguments.
//! - [`server_info`]: the server's description of itself.
//! - [`mod@write`]: saves; [`read`]: finds and counts; [`pipeline`]: the supported aggregations.
//! - [`cursors`]: searches read in batches; [`sort`], [`projection`]: the order and fields of results.
//! - [`error`]: errors of commands.
//!
//! The documents are those of `krt data`, of `ctx.db.find` and of the dashboard. They are in the database
//! `<runtime>-data`, and also in `data`, the name built into runners of KRT v1. Any other database is empty
//! and read-only. Documents can be saved and found; commands that would change or delete them are refused,
//! with a hint at `--mongo`.

mod arguments;
mod commands;
mod connection;
mod cursors;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod pipeline;
mod projection;
mod read;
mod scram;
mod server_info;
mod sort;
mod wire;
mod write;

use crate::{accept, secret::Secret};
use connection::Connection;
use cursors::Cursors;
use krt_store::Store;
use scram::Credentials;
use std::{io, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

/// The most open connections. Drivers keep up to a hundred each.
const MAX_CONNECTIONS: usize = 1024;
/// The memory of messages in flight, in KiB. More than the largest message.
const BUDGET: u32 = 128 << 10;
/// The database name built into runners of KRT v1.
const BUILT_IN_DATABASE: &str = "data";

/// A server for MongoDB's protocol, bound and not yet serving.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    password: Secret,
    shared: Arc<Shared>,
}

/// The state shared by all connections.
#[derive(Debug)]
struct Shared {
    store: Store,
    database: String,
    credentials: Credentials,
    cursors: Cursors,
    /// The memory of sorts.
    sorting: Arc<Semaphore>,
    /// The memory of messages in flight.
    budget: Arc<Semaphore>,
}

impl Server {
    /// Binds to a free port of the loopback. Serves the documents of `store` in the database
    /// `<runtime>-data`.
    pub async fn bind(store: Store, runtime: &str) -> io::Result<Self> {
        let listener = accept::bind().await?;
        let password = Secret::generate()?;
        let shared = Arc::new(Shared {
            store,
            database: format!("{runtime}-data"),
            credentials: Credentials::new(&password)?,
            cursors: Cursors::default(),
            sorting: Arc::new(Semaphore::new(sort::BUDGET)),
            budget: Arc::new(Semaphore::new(BUDGET as usize)),
        });
        Ok(Self { address: listener.local_addr()?, listener, password, shared })
    }

    /// The URL for clients, with the password.
    pub fn url(&self) -> String {
        let database =
            percent_encoding::utf8_percent_encode(&self.shared.database, percent_encoding::NON_ALPHANUMERIC);
        let database = database.to_string().replace("%2D", "-");
        let (user, password, address) = (scram::USER, self.password.reveal(), self.address);
        format!("mongodb://{user}:{password}@{address}/{database}?authSource=admin")
    }

    /// Serves until `shutdown` is cancelled.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { listener, shared, .. } = self;
        accept::run(listener, MAX_CONNECTIONS, shutdown, |stream| {
            let connection = Connection::new(Arc::clone(&shared));
            connection.serve(stream)
        })
        .await;
    }
}

impl Shared {
    /// Whether a database holds the documents.
    fn is_ours(&self, database: &str) -> bool {
        database == self.database || database == BUILT_IN_DATABASE
    }
}
