//! The requests for an address.
//!
//! `http://TOKEN@HOST:8086?org=ORG` is written by `/api/v2/write`, `http://USER:PASSWORD@HOST:8086` and an
//! address without a user by `/write`. A URL that ends in one of these paths selects it.

use crate::{Address, Error};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use url::Url;

const V1: &str = "/write";
const V2: &str = "/api/v2/write";

/// The requests that write points.
#[derive(Debug)]
pub(super) struct Target {
    /// Writes lines.
    pub(super) write: Uri,
    /// Creates the database, where a single request can.
    pub(super) create: Option<Uri>,
    /// Deletes the database, where a single request can.
    pub(super) delete: Option<Uri>,
    /// The credentials.
    pub(super) authorization: Option<HeaderValue>,
}

impl Target {
    /// Parses an address; the database, or bucket, has the runtime's name.
    pub(super) fn parse(address: &Address, runtime: &str) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Address { address: address.clone(), store: "InfluxDB", reason };
        let url = Url::parse(address.secret()).map_err(|error| wrong(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it starts neither with `http://` nor with `https://`".to_owned()));
        }
        let path = url.path().trim_end_matches('/');
        let is_v2 = match url.password() {
            _ if path.ends_with(V2) => true,
            _ if path.ends_with(V1) => false,
            Some(_) => false,
            None => !url.username().is_empty(),
        };
        let base = path.strip_suffix(V2).or_else(|| path.strip_suffix(V1)).unwrap_or(path);
        let authorization = authorization(&url, is_v2).map_err(&wrong)?;
        let org = url.query_pairs().find(|(name, _)| name == "org").map(|(_, value)| value.into_owned());
        let request = |path: &str, pairs: &[(&str, &str)]| {
            let mut request = url.clone();
            // Only URLs that cannot have a user fail here.
            let _ = (request.set_username(""), request.set_password(None));
            request.set_path(&format!("{base}{path}"));
            request.query_pairs_mut().clear().extend_pairs(pairs);
            request.set_fragment(None);
            request.as_str().parse::<Uri>().map_err(|error| wrong(error.to_string()))
        };
        if is_v2 {
            let org = org.unwrap_or_default();
            let write = request(V2, &[("org", &org), ("bucket", runtime), ("precision", "ns")])?;
            return Ok(Self { write, create: None, delete: None, authorization });
        }
        let quoted = runtime.replace('\\', r"\\").replace('"', r#"\""#);
        let query = |verb: &str| request("/query", &[("q", &format!("{verb} DATABASE \"{quoted}\""))]);
        let (create, delete) = (Some(query("CREATE")?), Some(query("DROP")?));
        let write = request(V1, &[("db", runtime), ("precision", "ns")])?;
        Ok(Self { write, create, delete, authorization })
    }
}

fn authorization(url: &Url, is_v2: bool) -> Result<Option<HeaderValue>, String> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = decoded(url.username());
    let password = url.password().map(decoded);
    if user.is_empty() && password.is_none() {
        return Ok(None);
    }
    let text = match (is_v2, password) {
        // InfluxDB 1.8 also takes a user here.
        (true, Some(password)) => format!("Token {user}:{password}"),
        (true, None) => format!("Token {user}"),
        (false, password) => {
            format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.unwrap_or_default())))
        }
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| "its token has a line break".to_owned())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let v2 = "bucket=shop+1&precision=ns";
        let cases = [
            ("http://localhost:8086", "http://localhost:8086/write?db=shop+1&precision=ns".to_owned(), None),
            (
                "https://ada:p%40w@db.example.com/influx/",
                "https://db.example.com/influx/write?db=shop+1&precision=ns".to_owned(),
                Some("Basic YWRhOnBAdw=="),
            ),
            ("http://t0k%3D@h:1?org=us", format!("http://h:1/api/v2/write?org=us&{v2}"), Some("Token t0k=")),
            ("http://h:1/api/v2/write", format!("http://h:1/api/v2/write?org=&{v2}"), None),
            ("http://a:b@h:1/api/v2/write", format!("http://h:1/api/v2/write?org=&{v2}"), Some("Token a:b")),
            ("http://a@h:1/write", "http://h:1/write?db=shop+1&precision=ns".to_owned(), Some("Basic YTo=")),
        ];
        for (url, write, authorization) in cases {
            let target = Target::parse(&url.into(), "shop 1").unwrap();
            assert_eq!(target.write.to_string(), write, "{url}");
            let given = target.authorization.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!(given, authorization, "{url}");
            assert!(!format!("{target:?}").contains("YWRh"), "{target:?}");
        }
    }

    #[test]
    fn invalid_addresses() {
        for (url, part) in [
            ("udp://ada:s3cret@h", "neither with `http://`"),
            ("http://ada:s3cret@h:99999", "invalid port"),
            ("localhost", "relative URL"),
        ] {
            let error = Target::parse(&url.into(), "shop").unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("s3cret"), "{url}: {error}");
        }
    }
}
