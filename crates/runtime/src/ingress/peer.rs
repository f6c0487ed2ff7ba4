//! The sender of a request.

use super::sent_body::ExchangeGuard;
use std::{fmt, net::SocketAddr};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Only reserved file descriptors are left.
    Descriptors,
    /// This many are open, the maximum.
    Connections(usize),
}

/// The text for the client.
impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many connections: ")?;
        match self {
            Self::Descriptors => f.write_str("no file descriptors are left for more")?,
            Self::Connections(limit) => write!(f, "the limit is {limit}")?,
        }
        f.write_str("; hint: try again later")
    }
}
