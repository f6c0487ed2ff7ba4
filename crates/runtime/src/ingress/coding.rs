//! Content codings (RFC 9110, 8.4): parses the names of a sender's codings, in any case, and decompresses.

use super::read::{MessageInfo, full};
use crate::{
    memory::{self, Buffer, FillError, Reservation},
    offload,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use krt_compression::{Codec, Error};
use tonic::Status;

/// Supported codings, for `Accept-Encoding` and `grpc-accept-encoding`.
pub(super) const SUPPORTED: HeaderValue = HeaderValue::from_static("gzip, identity");
/// How many times a body may be compressed; more is an attack or a mistake.
const MAX_CODINGS: usize = 4;

/// How many times a body was compressed with gzip, the one coding supported besides `identity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Codings(usize);

/// Reasons to refuse a body.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("{what} compressed with `{coding}` are not understood, only with `gzip`")]
    Unknown { what: &'static str, coding: String },
    #[error("{what} compressed more than {MAX_CODINGS} times are not understood")]
    TooMany { what: &'static str },
}

/// Returns the codings of a message that itself says whether it is compressed; `header` then says how.
pub(super) fn of_message(
    announced: MessageInfo,
    headers: &HeaderMap,
    header: &str,
) -> Result<Codings, Status> {
    if !announced.compressed {
        return Ok(Codings::NONE);
    }
    let values = headers.get_all(header).iter().map(HeaderValue::as_bytes);
    let codings =
        Codings::parse(values, "messages").map_err(|refused| Status::unimplemented(refused.to_string()))?;
    if codings.is_identity() {
        let message = format!("the message is compressed, but the header `{header}` does not say how");
        return Err(Status::internal(message));
    }
    Ok(codings)
}

impl Codings {
    /// The codings of a body that is not compressed.
    pub(super) const NONE: Self = Self(0);

    /// Parses the values of a header, each possibly a list. `what` names the compressed thing in errors.
    pub(super) fn parse<'h>(
        values: impl IntoIterator<Item = &'h [u8]>,
        what: &'static str,
    ) -> Result<Self, Refused> {
        let mut gzips = 0;
        for coding in values.into_iter().flat_map(|value| value.split(|&byte| byte == b',')) {
            match coding.trim_ascii().to_ascii_lowercase().as_slice() {
                b"" | b"identity" => {}
                b"gzip" | b"x-gzip" => gzips += 1,
                other => {
                    let coding = String::from_utf8_lossy(other).into_owned();
                    return Err(Refused::Unknown { what, coding });
                }
            }
        }
        if gzips > MAX_CODINGS { Err(Refused::TooMany { what }) } else { Ok(Self(gzips)) }
    }

    /// Returns whether nothing is compressed.
    pub(super) fn is_identity(self) -> bool {
        self.0 == 0
    }

    /// Decompresses to at most `limit` bytes. An empty body stays empty, as senders need not compress it.
    ///
    /// `reservation` must be empty; it receives the decompressed bytes.
    pub(super) async fn undo(
        self,
        mut body: Bytes,
        limit: usize,
        reservation: &Reservation,
    ) -> Result<Bytes, Status> {
        if !body.is_empty() {
            for _ in 0..self.0 {
                body = gunzip(&body, limit, reservation).await?;
            }
        }
        Ok(body)
    }
}

/// Decompresses gzip, completely or not at all.
async fn gunzip(packed: &[u8], limit: usize, reservation: &Reservation) -> Result<Bytes, Status> {
    let mut decoder = reservation.another();
    decoder.try_grow(Codec::Gzip.decoder_size()).map_err(full)?;
    let mut reader = Codec::Gzip.reader(packed).map_err(|error| not_gzip(&error))?;
    let mut plain = Buffer::new(reservation.another(), limit);
    // A few bytes may expand to many: only the output shows whether there is much work.
    if !plain.fill(&mut *reader, offload::LARGE).map_err(unread)? {
        let rest = offload::run(usize::MAX, || plain.fill(&mut *reader, usize::MAX));
        rest.await.map_err(unread)?;
    }
    Ok(plain.freeze())
}

fn unread(error: FillError) -> Status {
    match error {
        FillError::Refused(memory::Refused::TooLarge { limit }) => Status::resource_exhausted(format!(
            "the request's message has more than the limit of {limit} bytes when it is decompressed"
        )),
        FillError::Refused(memory::Refused::Full(refused)) => full(refused),
        FillError::Source(error) => not_gzip(&krt_compression::fault(&error)),
    }
}

fn not_gzip(error: &Error) -> Status {
    Status::invalid_argument(format!("the request is not gzip as it says: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Pool;

    #[test]
    fn names_and_lists() {
        let unknown = |coding: &str| Err(Refused::Unknown { what: "bodies", coding: coding.to_owned() });
        for (values, expected) in [
            (&[][..], Ok(0)),
            (&[""], Ok(0)),
            (&[" , "], Ok(0)),
            (&["identity"], Ok(0)),
            (&["Identity, identity"], Ok(0)),
            (&["gzip"], Ok(1)),
            (&["GZIP"], Ok(1)),
            (&[" x-GZip "], Ok(1)),
            (&["identity,gzip"], Ok(1)),
            (&["gzip, x-gzip"], Ok(2)),
            (&["gzip", "gzip, identity"], Ok(2)),
            (&["gzip,gzip,gzip,gzip,gzip"], Err(Refused::TooMany { what: "bodies" })),
            (&["br"], unknown("br")),
            (&["gzip, BR"], unknown("br")),
            (&["gzip;q=1"], unknown("gzip;q=1")),
            (&["gzip gzip"], unknown("gzip gzip")),
        ] {
            let parsed = Codings::parse(values.iter().map(|value| value.as_bytes()), "bodies");
            assert_eq!(parsed, expected.map(Codings), "{values:?}");
        }
    }

    #[tokio::test]
    async fn damaged_and_oversized_bodies_are_refused() {
        let gzip = |bytes: &[u8]| Codec::Gzip.compress(bytes).unwrap();
        let (once, twice) = (gzip(b"text"), gzip(&gzip(b"text")));
        let pool = Pool::new(1 << 20);
        let undo = async |times, bytes: &[u8]| {
            Codings(times).undo(Bytes::copy_from_slice(bytes), 100, &pool.reserve()).await
        };
        for (times, bytes) in [(0, &b"text"[..]), (1, &once), (2, &twice)] {
            assert_eq!(undo(times, bytes).await.unwrap(), "text", "{times} times");
        }
        assert_eq!(undo(1, b"").await.unwrap(), "");
        for (times, bytes) in
            [(2, &once[..]), (1, &once[..once.len() - 1]), (1, &[&once[..], b"more"].concat())]
        {
            let refused = undo(times, bytes).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
        }
        assert_eq!(undo(1, &gzip(&[0; 101])).await.unwrap_err().code(), tonic::Code::ResourceExhausted);
    }

    /// The output of a bomb is bounded by the memory available, and its start is not kept.
    #[tokio::test]
    async fn bombs_end_at_the_memory_limit() {
        let pool = Pool::new(1 << 20);
        let bomb = Codec::Gzip.compress(&vec![0; 4 << 20]).unwrap();
        let refused = Codings(1).undo(bomb.into(), 4 << 20, &pool.reserve()).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused}");
        assert_eq!(pool.used(), 0);
    }
}
