//! Reads whole request bodies within bounds.

use bytes::Bytes;
use http::{HeaderMap, Request, header::CONTENT_ENCODING};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use krt_compression::{Codec, Error};
use std::time::Duration;

/// The largest body, compressed or not, in bytes: InfluxDB's own limit.
const MAX_SIZE: usize = 25_000_000;
/// How many bodies are read at a time.
pub(super) const MAX_CONCURRENT: usize = 4;
/// The timeout for a body.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The most layers of compression; more is an attack or a mistake.
const MAX_CODINGS: usize = 4;

/// Why a body cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub(super) enum BodyError {
    #[error("the body is larger than {MAX_SIZE} bytes")]
    #[diagnostic(help("send fewer points together"))]
    TooLarge,
    #[error("the body took longer than {} s", TIMEOUT.as_secs())]
    Late,
    #[error("the body ended early")]
    Broken,
    #[error("the body is not valid gzip: {reason}")]
    Gzip { reason: String },
    #[error("the content encoding {encoding:?} is not supported")]
    #[diagnostic(help("gzip"))]
    Encoding { encoding: String },
}

/// Reads a body to its end and decompresses it.
pub(super) async fn read(request: Request<Incoming>) -> Result<Bytes, BodyError> {
    let codings = codings(request.headers())?;
    let body = Limited::new(request.into_body(), MAX_SIZE).collect();
    let body = tokio::time::timeout(TIMEOUT, body).await.map_err(|_| BodyError::Late)?;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => BodyError::TooLarge,
        false => BodyError::Broken,
    });
    let body = body?.to_bytes();
    if codings == 0 {
        return Ok(body);
    }
    let decoded = tokio::task::spawn_blocking(move || decode(body, codings)).await;
    decoded.map_err(|_| BodyError::Broken)?
}

/// The number of gzip layers of a body (RFC 9110, 8.4).
fn codings(headers: &HeaderMap) -> Result<usize, BodyError> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let mut gzips = 0;
    for coding in values.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')) {
        let name = String::from_utf8_lossy(coding.trim_ascii()).to_ascii_lowercase();
        match name.as_str() {
            "gzip" | "x-gzip" if gzips < MAX_CODINGS => gzips += 1,
            "identity" | "" => {}
            _ => return Err(BodyError::Encoding { encoding: name }),
        }
    }
    Ok(gzips)
}

/// An empty body stays empty: senders need not compress it.
fn decode(mut body: Bytes, codings: usize) -> Result<Bytes, BodyError> {
    for _ in 0..codings {
        if body.is_empty() {
            break;
        }
        body = Codec::Gzip
            .decompress(&body, MAX_SIZE)
            .map_err(|error| match error {
                Error::TooLarge { .. } => BodyError::TooLarge,
                other => BodyError::Gzip { reason: other.to_string() },
            })?
            .into();
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(text: &[u8]) -> Bytes {
        Codec::Gzip.compress(text).unwrap().into()
    }

    #[test]
    fn decoded_bodies() {
        let once = || gzip(b"m f=1");
        assert_eq!(decode(once(), 0).unwrap(), once());
        assert_eq!(decode(once(), 1).unwrap(), "m f=1");
        assert_eq!(decode(gzip(&once()), 2).unwrap(), "m f=1");
        let members = [gzip(b"m f=1\n"), gzip(b"m f=2")].concat();
        assert_eq!(decode(members.into(), 1).unwrap(), "m f=1\nm f=2");
        assert_eq!(decode(Bytes::new(), 1).unwrap(), "");
        let whole = gzip(&b"m f=1\n".repeat(1000));
        for end in [5, whole.len() / 2, whole.len() - 1] {
            assert!(matches!(decode(whole.slice(..end), 1), Err(BodyError::Gzip { .. })), "{end}");
        }
        let more = [&whole[..], b"more"].concat();
        assert!(matches!(decode(more.into(), 1), Err(BodyError::Gzip { .. })));
        assert!(matches!(decode("m f=1".into(), 1), Err(BodyError::Gzip { .. })));
        assert_eq!(decode(gzip(&vec![b'\n'; MAX_SIZE + 1]), 1), Err(BodyError::TooLarge));
    }

    #[test]
    fn encodings() {
        let unknown = |encoding: &str| Err(BodyError::Encoding { encoding: encoding.to_owned() });
        for (values, expected) in [
            (&[][..], Ok(0)),
            (&["", "identity"], Ok(0)),
            (&["GZip"], Ok(1)),
            (&["x-gzip, identity", "gzip"], Ok(2)),
            (&["gzip,gzip,gzip,gzip,gzip"], unknown("gzip")),
            (&["br"], unknown("br")),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, value.parse().unwrap());
            }
            assert_eq!(codings(&headers), expected, "{values:?}");
        }
    }
}
