//! The headers of a client that the version's handlers see.

use http::HeaderMap;
use krt_model::metadata::{Error, Metadata, MetadataName};
use tonic::Status;

/// Returns the values of the names that the version lists.
pub(super) fn of(headers: &HeaderMap, names: &[MetadataName]) -> Result<Metadata, Status> {
    let mut metadata = Metadata::default();
    for name in names {
        for value in headers.get_all(name.as_str()) {
            metadata.add(name, value.as_bytes()).map_err(|error| refused(&error))?;
        }
    }
    Ok(metadata)
}

fn refused(error: &Error) -> Status {
    match error {
        Error::Text { .. } | Error::Base64 { .. } => Status::invalid_argument(error.to_string()),
        Error::TooLarge => Status::resource_exhausted(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use tonic::Code;

    fn read(headers: &[(&'static str, &str)]) -> Result<String, Status> {
        let names = ["x-key-bin", "x-tenant"].map(|name| MetadataName::parse(name).unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        of(&map, &names).map(|metadata| serde_json::to_string(&metadata).unwrap())
    }

    #[test]
    fn only_listed_names_are_kept() {
        let headers = [
            ("x-tenant", "a"),
            ("x-other", "b"),
            ("authorization", "c"),
            ("x-key-bin", "AP8"),
            ("x-tenant", "d"),
        ];
        assert_eq!(read(&headers).unwrap(), r#"{"x-key-bin":["AP8="],"x-tenant":["a","d"]}"#);
        assert_eq!(read(&[("x-other", "\u{e9}")]).unwrap(), "{}");
    }

    #[test]
    fn bad_values_are_refused() {
        let large = "x".repeat(Metadata::MAX_SIZE);
        let rows = [
            (("x-tenant", "\u{e9}"), Code::InvalidArgument, "`x-tenant` has other characters"),
            (("x-key-bin", "?"), Code::InvalidArgument, "`x-key-bin` is not base64"),
            (("x-tenant", &*large), Code::ResourceExhausted, "more than the limit of 8192 bytes"),
        ];
        for (header, code, words) in rows {
            let status = read(&[header]).unwrap_err();
            assert_eq!(status.code(), code);
            assert!(status.message().contains(words), "{}", status.message());
        }
    }
}
