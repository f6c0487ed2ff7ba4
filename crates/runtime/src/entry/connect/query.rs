//! A request that stands in the URL: Connect's unary GET (<https://connectrpc.com/docs/protocol>).

use super::Codec;
use crate::entry::read::gunzip;
use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use std::borrow::Cow;
use tonic::Status;

/// Padding may be there or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the query says.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) codec: Codec,
    message: Bytes,
    compressed: bool,
}

impl Query {
    /// Reads a query. Parameters that are not known are passed over.
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
        let compressed = match get("compression") {
            None | Some("" | "identity") => false,
            Some("gzip") => true,
            Some(_) => {
                return Err(Status::unimplemented("the parameter `compression` must be gzip or identity"));
            }
        };
        let text = get("message").ok_or_else(|| refused("the parameter `message` is missing"))?;
        let message = match get("base64") {
            Some("1") => BASE64.decode(text).map_err(|error| {
                refused(&format!("the parameter `message` is not base64 as URLs have it: {error}"))
            })?,
            _ => text.as_bytes().to_vec(),
        };
        Ok(Self { codec, message: message.into(), compressed })
    }

    /// Bytes that the message takes as it came.
    pub(super) fn size(&self) -> usize {
        self.message.len()
    }

    /// The message, decompressed to at most `limit` bytes. As it came, its [`Query::size`] is checked
    /// where that of a body is.
    pub(super) fn read(self, limit: usize) -> Result<Bytes, Status> {
        if self.compressed { gunzip(&self.message, limit) } else { Ok(self.message) }
    }
}

fn refused(why: &str) -> Status {
    Status::invalid_argument(why.to_owned())
}
