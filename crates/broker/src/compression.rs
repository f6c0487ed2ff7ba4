//! Compression of messages. Readers recognise it by the first bytes.

use bytes::Bytes;
use krt_compression::{Codec, Error};
use std::fmt;

/// The compression of large envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// gzip, above 1 MiB: the only one that runners of KRT v1 understand.
    #[default]
    Gzip,
    /// zstd, above 64 KiB: smaller and several times faster, if every runner is krt's own.
    Zstd,
    /// LZ4, above 64 KiB: the fastest, if every runner is krt's own.
    Lz4,
}

/// An envelope with more bytes than this is compressed by gzip (docs/reference/krt-v1.md#messages-over-nats).
pub const GZIP_ABOVE: usize = 1_048_576;
/// Larger envelopes are compressed if there are no older readers, in bytes.
pub const OTHERS_ABOVE: usize = 64 << 10;

impl Compression {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::Lz4];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }

    fn above(self) -> usize {
        match self {
            Self::Gzip => GZIP_ABOVE,
            Self::Zstd | Self::Lz4 => OTHERS_ABOVE,
        }
    }

    /// Returns the bytes to send: compressed if they are many or exceed `limit`, and if that makes them
    /// smaller.
    pub(crate) fn pack(self, plain: Bytes, limit: usize) -> Bytes {
        if plain.len() <= self.above().min(limit) {
            return plain;
        }
        // Writing to memory cannot fail; if it did, readers accept the plain bytes as well.
        match self.codec().compress(&plain) {
            Ok(packed) if packed.len() < plain.len() => packed.into(),
            _ => plain,
        }
    }

    /// Returns the codec. Upstream's gzip level 9 takes ten times as long as the fastest, for a few percent.
    fn codec(self) -> Codec {
        match self {
            Self::Gzip => Codec::Gzip,
            Self::Zstd => Codec::Zstd,
            Self::Lz4 => Codec::Lz4,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns the plain bytes, at most `limit`. Compressed bytes are read completely or refused.
pub fn unpack(bytes: Bytes, limit: usize) -> Result<Bytes, Error> {
    match Codec::of(&bytes) {
        None => Ok(bytes),
        Some(codec) => codec.decompress(&bytes, limit).map(Bytes::from),
    }
}
