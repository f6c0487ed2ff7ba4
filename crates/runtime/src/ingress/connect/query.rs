//! A request in the URL: Connect's unary GET (<https://connectrpc.com/docs/protocol>).

use super::Codec;
use crate::ingress::coding::Codings;
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

/// The parsed query.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) codec: Codec,
    message: Bytes,
    codings: Codings,
}

impl Query {
    /// Parses a query. Unknown parameters are ignored.
    pub(super) fn parse(query: &str) -> Result<Self, Status> {
        let parameters: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            form_urlencoded::parse(query.as_bytes()).collect();
        let get = |name: &str| {
            let found = parameters.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| &**value)
        };
        if !matches!(get("connect"), None | Some("v1")) {
            return Err(refused("the parameter `connect` must be v1"));
        }
        let codec = match get("encoding") {
            Some("json") => Codec::Json,
            Some("proto") => Codec::Proto,
            _ => return Err(refused("the parameter `encoding` must be json or proto")),
        };
        let codings = Codings::parse(get("compression").map(str::as_bytes), "messages")
            .map_err(|_| Status::unimplemented("the parameter `compression` must be gzip or identity"))?;
        let text = get("message").ok_or_else(|| refused("the parameter `message` is missing"))?;
        let message = match get("base64") {
            Some("1") => BASE64.decode(text).map_err(|error| {
                refused(&format!("the parameter `message` is not base64 as URLs have it: {error}"))
            })?,
            _ => text.as_bytes().to_vec(),
        };
        Ok(Self { codec, message: message.into(), codings })
    }

    /// Returns the size of the message as received, in bytes.
    pub(super) fn size(&self) -> usize {
        self.message.len()
    }

    /// Returns the message as received, and its codings.
    pub(super) fn into_message(self) -> (Bytes, Codings) {
        (self.message, self.codings)
    }
}

fn refused(why: &str) -> Status {
    Status::invalid_argument(why.to_owned())
}
