//! What `fuzz/targets/envelope.rs` needs beside the public interface. It exists with `--cfg fuzzing` only.

use crate::{Headers, hops};
use async_nats::HeaderMap;
use krt_model::request::HopChain;

/// Headers as NATS carries them.
pub fn header_map(headers: &Headers) -> Option<HeaderMap> {
    headers.to_map()
}

/// Reads the calls of handlers in a header.
pub fn read_hops(text: &str) -> Option<HopChain> {
    hops::read(text)
}

/// Writes the calls of handlers for a header.
pub fn write_hops(chain: &HopChain) -> String {
    hops::write(chain)
}
