//! Compressed bytes, read by one rule wherever they come from: all members or frames of them, to the very last
//! byte and with their checksums, or an error. Nothing is ever read in part.
//!
//! It does not say when bytes are compressed: that is for envelopes, bodies and archives to know.

mod lz4;

use flate2::{Compression as Level, bufread::MultiGzDecoder, write::GzEncoder};
use lz4_flex::frame::{FrameEncoder, FrameInfo};
use std::io::{self, BufRead, Read, Write};

/// The largest window of zstd that is read, as a power of two: 8 MiB, which RFC 8878 asks for.
const ZSTD_WINDOW: u32 = 23;

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// LZ4's frames.
    Lz4,
}

/// Why bytes are not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The end is missing.
    #[error("the compressed data is cut off")]
    Truncated,
    /// A checksum is wrong, something follows the end, or they are no such bytes at all.
    #[error("the compressed data is damaged: {reason}")]
    Damaged {
        /// What the decoder says.
        reason: String,
    },
    /// They stand for more than may be.
    #[error("it has more than {limit} bytes when it is decompressed")]
    TooLarge {
        /// How many bytes there may be.
        limit: usize,
    },
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::Lz4];

    /// The bytes that compressed ones begin with.
    pub fn magic(self) -> &'static [u8] {
        match self {
            Self::Gzip => &[0x1f, 0x8b],
            Self::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            Self::Lz4 => &[0x04, 0x22, 0x4d, 0x18],
        }
    }

    /// What bytes were compressed by, if they were, by how they begin.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| bytes.starts_with(codec.magic()))
    }

    /// Compresses at the fastest level, with a checksum.
    pub fn compress(self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let packed = Vec::with_capacity(plain.len() / 2);
        match self {
            Self::Gzip => {
                let mut gzip = GzEncoder::new(packed, Level::fast());
                gzip.write_all(plain)?;
                gzip.finish()
            }
            Self::Zstd => {
                let mut zstd = zstd::stream::Encoder::new(packed, 1)?;
                zstd.include_checksum(true)?;
                zstd.write_all(plain)?;
                zstd.finish()
            }
            Self::Lz4 => {
                let info = FrameInfo::new().content_checksum(true);
                let mut lz4 = FrameEncoder::with_frame_info(info, packed);
                lz4.write_all(plain)?;
                lz4.finish().map_err(io::Error::other)
            }
        }
    }

    /// Decompresses, to no more than `limit` bytes: a few bytes can stand for gigabytes.
    pub fn decompress(self, packed: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        self.reader(packed)?.take(most).read_to_end(&mut plain).map_err(|error| fault(&error))?;
        if plain.len() > limit { Err(Error::TooLarge { limit }) } else { Ok(plain) }
    }

    /// Decompresses as it is read, for who bounds what comes of it. [`fault`] says what an error means.
    pub fn reader(self, packed: &[u8]) -> Result<Box<dyn Read + Send + '_>, Error> {
        if packed.is_empty() {
            return Err(Error::Truncated);
        }
        Ok(match self {
            Self::Gzip => Box::new(gzip(packed)),
            Self::Zstd => {
                let mut decoder = zstd::stream::Decoder::new(packed).map_err(|error| fault(&error))?;
                decoder.window_log_max(ZSTD_WINDOW).map_err(|error| fault(&error))?;
                Box::new(decoder)
            }
            Self::Lz4 => Box::new(lz4::Frames::new(packed)),
        })
    }

    /// The most bytes that a decoder holds beside its input and what comes of it.
    pub fn decoder_size(self) -> usize {
        match self {
            Self::Gzip => 128 << 10,
            Self::Zstd => (1 << ZSTD_WINDOW) + (1 << 20),
            // Two blocks, and what a block is decompressed to.
            Self::Lz4 => 13 << 20,
        }
    }
}

/// Decompresses gzip as it is read, by the same rule: the end comes behind the last member, or an error does.
pub fn gzip<R: BufRead>(packed: R) -> MultiGzDecoder<R> {
    MultiGzDecoder::new(packed)
}

/// What an error of a decoder means: the end is missing, or something is wrong.
pub fn fault(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Truncated,
        _ => Error::Damaged { reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
