//! A request in the URL: Connect's unary GET (<https://connectrpc.com/docs/protocol>).

use super::{Connect, Encoding, MessageSource};
use crate::{
    ingress::{
        coding::Codings,
        read::{full, too_large},
    },
    memory::Reservation,
};
use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use std::borrow::Cow;
use tonic::Status;

/// With or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The message of a query, as the URL has it.
#[derive(Debug)]
pub(super) struct Query<'r> {
    /// Its name and value.
    pair: &'r str,
    base64: bool,
    codings: Codings,
}

impl<'r> Connect<'r> {
    /// Parses a query, apart from its message. Unknown parameters are ignored.
    pub(in crate::ingress) fn parse(query: &'r str) -> Result<Self, Status> {
        let find = |name| query.split('&').find(|pair| is_named(pair, name));
        let get = |name| find(name).map(value);
        if !matches!(get("connect").as_deref(), None | Some("v1")) {
            return Err(refused("the parameter `connect` must be v1"));
        }
        let encoding = match get("encoding").as_deref() {
            Some("json") => Encoding::Json,
            Some("proto") => Encoding::Proto,
            _ => return Err(refused("the parameter `encoding` must be json or proto")),
        };
        let compression = get("compression");
        let codings = Codings::parse(compression.as_deref().map(str::as_bytes), "messages")
            .map_err(|_| Status::unimplemented("the parameter `compression` must be gzip or identity"))?;
        let pair = find("message").ok_or_else(|| refused("the parameter `message` is missing"))?;
        let base64 = get("base64").as_deref() == Some("1");
        Ok(Self { encoding, sent: MessageSource::Query(Query { pair, base64, codings }) })
    }
}

/// Returns whether a name and value of a query has this name.
fn is_named(pair: &str, name: &str) -> bool {
    let end = pair.find('=').unwrap_or(pair.len());
    form_urlencoded::parse(&pair.as_bytes()[..end]).next().is_some_and(|(known, _)| known == name)
}

/// Decodes the value of a name and value of a query.
fn value(pair: &str) -> Cow<'_, str> {
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value).unwrap_or_default()
}

impl Query<'_> {
    /// Decodes the message, at most `limit` bytes.
    pub(super) fn message(&self, limit: usize, mut reservation: Reservation) -> Result<Bytes, Status> {
        reservation.try_grow(self.pair.len()).map_err(full)?;
        let text = value(self.pair);
        let message = match self.base64 {
            true => BASE64.decode(&*text).map_err(|error| {
                refused(&format!("the parameter `message` is not base64 as URLs have it: {error}"))
            })?,
            false => text.into_owned().into_bytes(),
        };
        match message.len() {
            size if size > limit => Err(too_large(size, limit)),
            _ => Ok(reservation.hold(message.into())),
        }
    }

    /// Returns how the message is compressed.
    pub(super) fn codings(&self) -> Codings {
        self.codings
    }
}

fn refused(why: &str) -> Status {
    Status::invalid_argument(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Pool;
    use tonic::Code;

    fn message(query: &str) -> Result<Bytes, Status> {
        let MessageSource::Query(query) = Connect::parse(query)?.sent else { panic!("it is in the URL") };
        query.message(8, Pool::new(1 << 10).reserve())
    }

    #[test]
    fn messages() {
        for (query, expected) in [
            ("encoding=json&message={}", "{}"),
            ("message=a+%7B%3d&encoding=json", "a {="),
            ("&&encoding=json&message=&message=2", ""),
            ("encoding=json&message", ""),
            ("%65ncoding=json&m%65ssage=a=b", "a=b"),
            ("encoding=proto&base64=1&message=YQ==", "a"),
            ("encoding=proto&base64=1&message=YQ%3D%3d", "a"),
            ("encoding=proto&base64=1&message=YQ", "a"),
            ("encoding=proto&base64=0&message=YQ", "YQ"),
            ("encoding=json&message=12345678", "12345678"),
        ] {
            assert_eq!(message(query).unwrap(), expected, "{query}");
        }
        for (query, code) in [
            ("encoding=json&Message=a", Code::InvalidArgument),
            ("encoding=json&base64=1&message=*", Code::InvalidArgument),
            ("encoding=json&message=123456789", Code::ResourceExhausted),
        ] {
            assert_eq!(message(query).unwrap_err().code(), code, "{query}");
        }
    }
}
