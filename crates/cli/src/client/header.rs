//! gRPC metadata of requests.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use std::str::FromStr;
use tonic::metadata::{
    AsciiMetadataKey, AsciiMetadataValue, BinaryMetadataKey, BinaryMetadataValue, MetadataMap,
};

/// One metadata entry, written `NAME:VALUE`. If the name ends in `-bin`, the value is base64.
#[derive(Debug, Clone)]
pub(crate) enum Header {
    Text(AsciiMetadataKey, AsciiMetadataValue),
    Bytes(BinaryMetadataKey, BinaryMetadataValue),
}

/// The reason a text is not a header.
#[derive(Debug, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub(crate) enum Error {
    #[error("expected NAME:VALUE")]
    Form,
    #[error("`{name}` is not the name of a header")]
    Name { name: String },
    #[error("`{name}` is set by gRPC itself")]
    Reserved { name: String },
    #[error("`{TIMEOUT}` is set by gRPC itself")]
    #[diagnostic(help("use --timeout"))]
    Timeout,
    #[error("the value of `{name}` is not visible ASCII")]
    #[diagnostic(help("a name that ends in -bin takes base64"))]
    Value { name: String },
    #[error("the value of `{name}` is not base64, as names that end in -bin need")]
    Base64 { name: String },
}

/// Padding is optional (gRPC over HTTP/2, "Binary-Header").
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The header of a call's deadline.
const TIMEOUT: &str = "grpc-timeout";

/// Headers that gRPC or HTTP/2 sets on every request.
const RESERVED: [&str; 5] = ["te", "content-type", "user-agent", "host", "connection"];

impl Header {
    pub(super) fn add_to(&self, metadata: &mut MetadataMap) {
        match self {
            Self::Text(name, value) => {
                metadata.append(name.clone(), value.clone());
            }
            Self::Bytes(name, value) => {
                metadata.append_bin(name.clone(), value.clone());
            }
        }
    }
}

impl FromStr for Header {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, value) = text.split_once(':').ok_or(Error::Form)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if name == TIMEOUT {
            return Err(Error::Timeout);
        }
        if name.starts_with("grpc-") || RESERVED.contains(&name.as_str()) {
            return Err(Error::Reserved { name });
        }
        if name.ends_with("-bin") {
            let key = name.parse().map_err(|_| Error::Name { name: name.clone() })?;
            let value = BASE64.decode(value).map_err(|_| Error::Base64 { name })?;
            return Ok(Self::Bytes(key, BinaryMetadataValue::from_bytes(&value)));
        }
        let key = name.parse().map_err(|_| Error::Name { name: name.clone() })?;
        let visible = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let value = value.parse().ok().filter(|_| visible).ok_or(Error::Value { name })?;
        Ok(Self::Text(key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::hint;

    fn metadata(texts: &[&str]) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        for text in texts {
            text.parse::<Header>().unwrap().add_to(&mut metadata);
        }
        metadata
    }

    #[test]
    fn texts() {
        let metadata = metadata(&["Authorization: Bearer a:b", "x:1", "x:2", "empty:"]);
        assert_eq!(metadata.get("authorization").unwrap(), "Bearer a:b");
        assert_eq!(metadata.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(metadata.get("empty").unwrap(), "");
    }

    #[test]
    fn binary_values_are_base64_with_or_without_padding() {
        for text in ["trace-bin: AAH/", "trace-bin:AP8=", "trace-bin:AP8"] {
            let metadata = metadata(&[text]);
            let value = metadata.get_bin("trace-bin").unwrap().to_bytes().unwrap();
            assert!([&[0, 1, 255][..], &[0, 255][..]].contains(&&value[..]), "{text}");
        }
    }

    #[test]
    fn invalid_headers_are_refused() {
        for (bad, expected) in [
            ("name", "expected NAME:VALUE"),
            (":x", "`` is not the name of a header"),
            ("a b:x", "`a b` is not the name of a header"),
            ("grpc-timeout:1S", "`grpc-timeout` is set by gRPC itself; hint: use --timeout"),
            ("TE:x", "`te` is set by gRPC itself"),
            (
                "a:\u{e9}",
                "the value of `a` is not visible ASCII; hint: a name that ends in -bin takes base64",
            ),
            ("a-bin:?", "the value of `a-bin` is not base64, as names that end in -bin need"),
        ] {
            assert_eq!(hint::line(&bad.parse::<Header>().unwrap_err()), expected);
        }
    }
}
