//! The API's contract, which `krt_api` makes of its types.

use krt_compression::Codec;

/// The OpenAPI 3.1 document, as gzip.
pub(crate) const COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.gz"));

/// The OpenAPI 3.1 document.
pub(crate) fn document() -> Vec<u8> {
    Codec::Gzip.decompress(COMPRESSED, usize::MAX).expect("the build compressed it")
}
