//! A message as received.

use async_nats::{HeaderMap, Subject};
use bytes::Bytes;

/// A message as received.
#[derive(Debug, Clone)]
pub(crate) struct RawMessage {
    /// The subject for acknowledgements.
    pub(crate) ack_subject: Subject,
    pub(crate) subject: Subject,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) body: Bytes,
    /// The number of deliveries, including this one.
    pub(crate) tries: u64,
}
