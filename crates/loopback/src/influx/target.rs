//! The endpoint of a request, and its client's authorization.

use crate::secret::Secret;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Method, Uri, header::AUTHORIZATION};

/// The endpoint of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Tests the connection: `/ping`.
    Ping,
    /// Reports health: `/health`, and its names in later versions.
    Health,
    /// Writes points.
    Write { precision: Precision },
    /// Creates a database, which always exists.
    Create,
    /// Reads points, which this server does not support.
    Query,
}

/// The unit of timestamps in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
}

/// Why a request is refused before its body is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub(super) enum Refusal {
    #[error("unauthorized access")]
    Unauthorized,
    #[error("there is no {path} here")]
    #[diagnostic(help("POST /api/v2/write or /write"))]
    Path { path: String },
    #[error("method {method} is not allowed here")]
    #[diagnostic(help("{allowed}"))]
    Method { method: Method, allowed: &'static str },
    #[error("{name} is required")]
    Missing { name: &'static str },
    #[error("invalid precision {precision:?}")]
    #[diagnostic(help("one of {known}"))]
    Precision { precision: String, known: &'static str },
}

/// The endpoint of an authorized request.
pub(super) fn endpoint(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    secret: &Secret,
) -> Result<Endpoint, Refusal> {
    let (path, named) = without_secret(uri.path(), secret);
    let query = Query::parse(uri);
    match path {
        "/ping" | "/api/v2/ping" => return allow(method, &["GET", "HEAD"], Endpoint::Ping),
        "/health" | "/ready" => return allow(method, &["GET", "HEAD"], Endpoint::Health),
        _ => {}
    }
    if !named && !query.has(secret) && !header_has(headers, secret) {
        return Err(Refusal::Unauthorized);
    }
    match path {
        "/api/v2/write" => {
            query.required("bucket")?;
            let precision = query.precision("ns, us, ms, s", Precision::of_v2)?;
            allow(method, &["POST"], Endpoint::Write { precision })
        }
        "/write" => {
            query.required("db")?;
            let precision = query.precision("n, ns, u, us, ms, s, m, h", Precision::of_v1)?;
            allow(method, &["POST"], Endpoint::Write { precision })
        }
        "/query" if query.creates() => allow(method, &["GET", "POST"], Endpoint::Create),
        "/query" | "/api/v2/query" => Ok(Endpoint::Query),
        other => Err(Refusal::Path { path: other.to_owned() }),
    }
}

fn allow(method: &Method, allowed: &[&'static str], endpoint: Endpoint) -> Result<Endpoint, Refusal> {
    match allowed.contains(&method.as_str()) {
        true => Ok(endpoint),
        false => Err(Refusal::Method { method: method.clone(), allowed: allowed.last().unwrap_or(&"") }),
    }
}

/// The path after the secret, and whether it was there.
fn without_secret<'a>(path: &'a str, secret: &Secret) -> (&'a str, bool) {
    let first = path.strip_prefix('/').unwrap_or(path);
    let (first, rest) = first.split_at(first.find('/').unwrap_or(first.len()));
    // A base URL with a trailing slash produces two.
    let once = |rest: &'a str| if rest.starts_with("//") { &rest[1..] } else { rest };
    if secret.is(first) { (once(rest), true) } else { (once(path), false) }
}

/// Whether the header is `Token SECRET`, `Bearer SECRET`, `Token USER:SECRET`, or basic authentication with
/// the secret as user or password.
fn header_has(headers: &HeaderMap, secret: &Secret) -> bool {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, text)) = value.and_then(|value| value.split_once(' ')) else { return false };
    let is_it = |text: &str| text.split(':').any(|part| secret.is(part));
    match scheme.to_ascii_lowercase().as_str() {
        "token" | "bearer" => is_it(text.trim()),
        "basic" => {
            let decoded = STANDARD.decode(text.trim()).ok();
            decoded.and_then(|decoded| String::from_utf8(decoded).ok()).is_some_and(|text| is_it(&text))
        }
        _ => false,
    }
}

struct Query(Vec<(String, String)>);

impl Query {
    fn parse(uri: &Uri) -> Self {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(found, value)| found == name && !value.is_empty());
        pair.map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &'static str) -> Result<(), Refusal> {
        self.get(name).map(|_| ()).ok_or(Refusal::Missing { name })
    }

    fn has(&self, secret: &Secret) -> bool {
        ["u", "p"].into_iter().filter_map(|name| self.get(name)).any(|value| secret.is(value))
    }

    fn precision(
        &self,
        known: &'static str,
        parse: impl Fn(&str) -> Option<Precision>,
    ) -> Result<Precision, Refusal> {
        let Some(precision) = self.get("precision") else { return Ok(Precision::Nanoseconds) };
        parse(precision).ok_or_else(|| Refusal::Precision { precision: precision.to_owned(), known })
    }

    /// Whether it is `CREATE DATABASE …`, which clients of the first version send first.
    fn creates(&self) -> bool {
        let words = self.get("q").unwrap_or_default().split_ascii_whitespace();
        let words: Vec<_> = words.take(2).map(str::to_ascii_lowercase).collect();
        words == ["create", "database"]
    }
}

impl Precision {
    fn of_v2(text: &str) -> Option<Self> {
        Some(match text {
            "ns" => Self::Nanoseconds,
            "us" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            _ => return None,
        })
    }

    fn of_v1(text: &str) -> Option<Self> {
        Some(match text {
            "n" => Self::Nanoseconds,
            "u" => Self::Microseconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            other => return Self::of_v2(other),
        })
    }

    /// The nanoseconds in one unit.
    pub(super) fn nanos(self) -> i64 {
        match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Minutes => 60_000_000_000,
            Self::Hours => 3_600_000_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, uri: &str, authorization: Option<String>) -> Result<Endpoint, Refusal> {
        let secret = Secret::fixed("s3cret");
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
        }
        endpoint(method, &uri.parse().unwrap(), &headers, &secret)
    }

    #[test]
    fn endpoints() {
        let write = |precision| Ok(Endpoint::Write { precision });
        let (get, post) = (Method::GET, Method::POST);
        let path = |path: &str| Err(Refusal::Path { path: path.to_owned() });
        let cases = [
            (&get, "/ping", Ok(Endpoint::Ping)),
            (&get, "/s3cret/health", Ok(Endpoint::Health)),
            (&post, "/s3cret/api/v2/write?org=&bucket=shop", write(Precision::Nanoseconds)),
            (&post, "/s3cret//api/v2/write?bucket=b&precision=ms", write(Precision::Milliseconds)),
            (&post, "/s3cret/write?db=shop&precision=h", write(Precision::Hours)),
            (&post, "/write?db=shop&u=krt&p=s3cret&precision=u", write(Precision::Microseconds)),
            (&post, "/write?db=shop&u=krt&p=wrong", Err(Refusal::Unauthorized)),
            (&post, "/api/v2/write?bucket=b", Err(Refusal::Unauthorized)),
            (&post, "/s3cret/api/v2/write?org=o", Err(Refusal::Missing { name: "bucket" })),
            (&post, "/s3cret/write?db=", Err(Refusal::Missing { name: "db" })),
            (&post, "/s3cret/query?q=create%20database%20%22shop%22", Ok(Endpoint::Create)),
            (&get, "/s3cret/query?db=shop&q=SELECT", Ok(Endpoint::Query)),
            (&post, "/s3cret/api/v2/query", Ok(Endpoint::Query)),
            (&post, "/s3cret/api/v2/delete", path("/api/v2/delete")),
            (&post, "/s3cretary/ping", Err(Refusal::Unauthorized)),
        ];
        for (method, uri, expected) in cases {
            assert_eq!(asked(method, uri, None), expected, "{uri}");
        }
        for (uri, wrong) in [("/s3cret/api/v2/write?bucket=b", "m"), ("/s3cret/write?db=d", "fortnights")] {
            let refused = asked(&Method::POST, &format!("{uri}&precision={wrong}"), None);
            assert!(matches!(refused, Err(Refusal::Precision { .. })), "{uri} {wrong}");
        }
        assert!(matches!(asked(&Method::GET, "/s3cret/write?db=d", None), Err(Refusal::Method { .. })));
    }

    #[test]
    fn authorized_writers() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        for (header, may) in [
            ("Token s3cret".to_owned(), true),
            ("token s3cret".to_owned(), true),
            ("Bearer s3cret".to_owned(), true),
            ("Token krt:s3cret".to_owned(), true),
            (basic("krt:s3cret"), true),
            (basic("s3cret:"), true),
            (basic("krt:"), false),
            ("Token ".to_owned(), false),
            ("Token s3cre".to_owned(), false),
            ("s3cret".to_owned(), false),
            ("Basic s3cret".to_owned(), false),
        ] {
            let asked = asked(&Method::POST, "/write?db=d", Some(header.clone()));
            assert_eq!(asked.is_ok(), may, "{header}");
        }
    }
}
