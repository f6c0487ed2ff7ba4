//! Which bytes travel compressed, and how. Readers tell by how the bytes begin.

use bytes::Bytes;
use flate2::{Compression as Level, read::GzDecoder, write::GzEncoder};
use std::{
    fmt,
    io::{self, Read, Write as _},
};

/// How large envelopes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// By gzip, above a MiB: all that runners of KRT v1 understand.
    #[default]
    Gzip,
    /// By zstd, above 64 KiB: smaller and several times faster, where every runner is ours.
    Zstd,
    /// By LZ4, above 64 KiB: the fastest, where every runner is ours.
    Lz4,
}

/// An envelope with more bytes than this is compressed by gzip (KRT v1, "On the wire").
pub const GZIP_ABOVE: usize = 1_048_576;
/// An envelope with more bytes than this is compressed, where older readers need not be thought of.
pub const OTHERS_ABOVE: usize = 64 << 10;

/// How each begins. A `KreNatsMessage` begins like none of them.
mod magic {
    pub(super) const GZIP: &[u8] = &[0x1f, 0x8b];
    pub(super) const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
    pub(super) const LZ4: &[u8] = &[0x04, 0x22, 0x4d, 0x18];
}

impl Compression {
    /// Every one.
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

    /// The bytes as they travel: compressed where they are many, or more than `limit`, and where that helps.
    pub(crate) fn pack(self, plain: Bytes, limit: usize) -> Bytes {
        if plain.len() <= self.above().min(limit) {
            return plain;
        }
        // Writing to memory does not fail; should it, readers take the plain bytes as well.
        match self.compress(&plain) {
            Ok(packed) if packed.len() < plain.len() => packed.into(),
            _ => plain,
        }
    }

    fn compress(self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let packed = Vec::with_capacity(plain.len() / 2);
        match self {
            // Upstream's level 9 costs ten times as much for a few percent.
            Self::Gzip => {
                let mut gzip = GzEncoder::new(packed, Level::fast());
                gzip.write_all(plain)?;
                gzip.finish()
            }
            Self::Zstd => zstd::stream::encode_all(plain, 1),
            Self::Lz4 => {
                let mut lz4 = lz4_flex::frame::FrameEncoder::new(packed);
                lz4.write_all(plain)?;
                lz4.finish().map_err(io::Error::other)
            }
        }
    }

    /// What the bytes were compressed by, if they were.
    fn of(bytes: &[u8]) -> Option<Self> {
        [(magic::GZIP, Self::Gzip), (magic::ZSTD, Self::Zstd), (magic::LZ4, Self::Lz4)]
            .into_iter()
            .find_map(|(magic, compression)| bytes.starts_with(magic).then_some(compression))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The plain bytes, but no more than one beyond `limit`: a few bytes can stand for gigabytes.
pub fn unpack(bytes: Bytes, limit: usize) -> io::Result<Bytes> {
    let packed = &bytes[..];
    match Compression::of(packed) {
        None => Ok(bytes),
        Some(Compression::Gzip) => read(GzDecoder::new(packed), limit),
        Some(Compression::Zstd) => read(zstd::stream::Decoder::new(packed)?, limit),
        Some(Compression::Lz4) => read(lz4_flex::frame::FrameDecoder::new(packed), limit),
    }
}

fn read(from: impl Read, limit: usize) -> io::Result<Bytes> {
    let mut plain = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(most).read_to_end(&mut plain)?;
    Ok(plain.into())
}
