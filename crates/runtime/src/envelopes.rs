//! Reads and writes NATS envelopes, within the memory of requests.

use crate::{
    memory::{Buffer, FillError, Full, Refused, Reservation},
    offload,
};
use bytes::Bytes;
use krt_broker::{Compression, Envelope, envelope};
use krt_compression::Codec;
use krt_model::hint;

/// Usual bytes of an envelope besides its message.
const ENVELOPE_OVERHEAD: usize = 4 << 10;

/// Why an envelope cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The bytes are not an envelope.
    #[error("{}", hint::messages(.0))]
    Envelope(envelope::Error),
    /// There is no memory for it.
    #[error(transparent)]
    Full(#[from] Full),
}

impl From<envelope::Error> for Error {
    fn from(error: envelope::Error) -> Self {
        Self::Envelope(error)
    }
}

/// Reads a NATS message, compressed or not; `limit` is its largest size when decompressed, in bytes. The
/// envelope's message holds its part of `reservation`.
pub(crate) fn read(body: Bytes, limit: usize, mut reservation: Reservation) -> Result<Envelope, Error> {
    let plain = match Codec::of(&body) {
        Some(codec) => unpack(codec, &body, limit, &mut reservation)?,
        None => {
            reservation.try_grow(body.len())?;
            reservation.hold(body)
        }
    };
    Ok(Envelope::read(plain, limit)?)
}

fn unpack(codec: Codec, packed: &[u8], limit: usize, decoder: &mut Reservation) -> Result<Bytes, Error> {
    let compressed = |error| Error::Envelope(envelope::Error::Compressed(error));
    decoder.try_grow(codec.decoder_size())?;
    let mut reader = codec.reader(packed).map_err(compressed)?;
    let mut plain = Buffer::new(decoder.another(), limit);
    let mut fill = |enough| plain.fill(&mut *reader, enough);
    let filled = match fill(offload::LARGE) {
        Ok(false) => offload::run_blocking(usize::MAX, || fill(usize::MAX)),
        filled => filled,
    };
    filled.map_err(|error| match error {
        FillError::Refused(Refused::Full(full)) => full.into(),
        FillError::Refused(Refused::TooLarge { limit }) => envelope::Error::TooLarge { limit }.into(),
        FillError::Source(error) => compressed(krt_compression::fault(&error)),
    })?;
    Ok(plain.freeze())
}

/// Writes an envelope for NATS, compressed if it is large or exceeds `limit`. The bytes hold their part of
/// `reservation`.
pub(crate) fn write(
    envelope: &Envelope,
    compression: Compression,
    limit: usize,
    mut reservation: Reservation,
) -> Result<Bytes, Full> {
    let size = envelope.payload.as_ref().map_or(0, |payload| payload.encoded().len()) + ENVELOPE_OVERHEAD;
    // For the plain bytes, and the compressed ones beside them.
    reservation.try_grow(2 * size)?;
    let body = offload::run_blocking(size, || envelope.encode(compression, limit));
    reservation.shrink(reservation.size().saturating_sub(body.len()));
    Ok(reservation.hold(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Pool;
    use krt_model::message::Payload;

    fn envelope(size: usize) -> Envelope {
        let payload = Some(Payload::pack("type.googleapis.com/a.B", &vec![0; size]));
        Envelope { tracking_id: "id".to_owned(), payload, ..Envelope::default() }
    }

    #[test]
    fn the_memory_of_envelopes_is_counted() {
        const SIZE: usize = 2 << 20;
        for compression in Compression::ALL {
            let pool = Pool::new(32 << 20);
            let envelope = envelope(SIZE);
            let body = write(&envelope, compression, usize::MAX, pool.reserve()).unwrap();
            assert!((body.len()..body.len() + 1024).contains(&pool.used()), "{compression}");
            let again = read(body.clone(), SIZE + 1024, pool.reserve()).unwrap();
            drop(body);
            assert_eq!(again, envelope);
            assert!((SIZE..2 * SIZE + 1024).contains(&pool.used()), "{compression}: {}", pool.used());
            drop(again);
            assert_eq!(pool.used(), 0);
        }
    }

    #[test]
    fn envelopes_without_room_are_refused() {
        for compression in Compression::ALL {
            let bomb = envelope(16 << 20).encode(compression, usize::MAX);
            let pool = Pool::new(14 << 20);
            let full = read(bomb, 64 << 20, pool.reserve()).unwrap_err();
            assert!(matches!(full, Error::Full(_)), "{compression}: {full}");
            assert_eq!(pool.used(), 0);
            write(&envelope(7 << 20), compression, usize::MAX, pool.reserve()).unwrap_err();
            assert_eq!(pool.used(), 0);
        }
    }
}
