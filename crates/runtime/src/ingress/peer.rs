//! The sender of a request.

use super::sent_body::ExchangeGuard;
use std::net::SocketAddr;

/// The sender of a request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Why there is no room for its connection, which ends with this request.
    pub excess: Option<Excess>,
    /// Kept while more of the request is read than its answer needs.
    pub open: Option<ExchangeGuard>,
}

/// Why there is no room for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum Excess {
    /// Only reserved file descriptors are left.
    #[error("too many connections: no file descriptors are left for more")]
    #[diagnostic(help("try again later"))]
    Descriptors,
    /// This many are open, the maximum.
    #[error("too many connections: the limit is {0}")]
    #[diagnostic(help("try again later"))]
    Connections(usize),
}
