//! A NATS server, and how versions use it.

use super::Options;
use crate::flow::Limits;
use krt_broker::{Compression, Connection, Error, Namespace, WireProtocol, connection, stream};
use krt_model::{address::Address, name::Name};

/// A NATS server, and how versions use it.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Address and sign-in. The name of the connection is not used.
    pub connection: connection::Options,
    /// The wire protocol.
    pub protocol: WireProtocol,
    /// The compression of large messages.
    pub compression: Compression,
    /// The limits of the JetStream streams.
    pub stream: stream::Limits,
}

impl ServerConfig {
    /// Connects; `name` identifies the connection on the server.
    pub async fn connect(&self, name: String) -> Result<Connection, Error> {
        Connection::open(&connection::Options { name, ..self.connection.clone() }).await
    }

    /// The options for a version's use of it: limits on the work in flight, and the user's largest message in
    /// bytes.
    pub fn options(&self, namespace: Namespace, work: Limits, message: usize) -> Options {
        Options {
            namespace,
            protocol: self.protocol,
            compression: self.compression,
            stream: self.stream,
            work,
            message,
        }
    }
}

/// Why the NATS server of a team's server cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error(transparent)]
#[diagnostic(transparent)]
pub struct ServerError(#[from] Error);

/// The state of a NATS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// Its address, without secrets.
    pub address: Address,
    /// Whether it stores messages (JetStream).
    pub stores: bool,
    /// Whether it is connected.
    pub up: bool,
}

impl ServerState {
    pub(super) fn of(connection: &Connection, protocol: WireProtocol) -> Self {
        let stores = protocol == WireProtocol::JetStream;
        Self { address: connection.address().clone(), stores, up: connection.is_up() }
    }
}

/// The NATS server of a team's server. Each version has a connection of its own.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    /// For what is about no version that runs.
    connection: Connection,
}

impl Server {
    /// Connects, and checks that the server can do what versions need.
    pub async fn open(config: ServerConfig) -> Result<Self, ServerError> {
        let connection = config.connect("krt serve".to_owned()).await?;
        if config.protocol == WireProtocol::JetStream {
            stream::require(&connection)?;
        }
        Ok(Self { config, connection })
    }

    /// Its state.
    pub fn state(&self) -> ServerState {
        ServerState::of(&self.connection, self.config.protocol)
    }

    /// Connects a version. `work` and `message` are as in [`ServerConfig::options`].
    pub async fn join(
        &self,
        runtime: &Name,
        version: &Name,
        work: Limits,
        message: usize,
    ) -> Result<(Connection, Options), ServerError> {
        let connection = self.config.connect(format!("krt {runtime}/{version}")).await?;
        Ok((connection, self.config.options(namespace(runtime), work, message)))
    }

    /// Removes what it stores for a version, or for all versions of a runtime: messages and dead letters.
    pub async fn remove(&self, runtime: &Name, version: Option<&Name>) -> Result<(), ServerError> {
        if self.state().stores {
            stream::remove(&self.connection, &namespace(runtime), version).await?;
        }
        Ok(())
    }

    /// Closes the connection.
    pub async fn close(&self) {
        self.connection.close().await;
    }
}

fn namespace(runtime: &Name) -> Namespace {
    Namespace::of_server(runtime.as_str())
}
