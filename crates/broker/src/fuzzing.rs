//! What `fuzz/targets/envelope.rs` needs beside the public interface. It exists with `--cfg fuzzing` only.

use crate::Headers;
use async_nats::HeaderMap;

/// Headers as NATS carries them.
pub fn header_map(headers: &Headers) -> Option<HeaderMap> {
    headers.to_map()
}
