//! Reads bodies and queries within bounds. Unknown fields are refused.

use super::{
    App,
    refusal::{Code, Refusal},
};
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::{header::CONTENT_TYPE, request::Parts};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use krt_model::name::Name;
use krt_registry::Timestamp;
use krt_runtime::{
    memory::{Buffer, Pool, Refused},
    offload,
};
use serde::de::DeserializeOwned;
use std::{str::FromStr, sync::Arc, time::Duration};
use tokio::time::timeout;

/// The largest JSON body, in bytes, and how long it may take to arrive.
const MAX_BODY: usize = 8 << 20;
const MAX_SMALL: usize = 8 << 10;
const MAX_TIME: Duration = Duration::from_secs(60);

/// A JSON body.
///
/// The content type is required: browsers send JSON to another site only after a preflight.
#[derive(Debug)]
pub(crate) struct Body<T, const MAX: usize = MAX_BODY>(pub(crate) T);

/// The body of a caller who is not signed in: a few KiB.
pub(crate) type SmallBody<T> = Body<T, MAX_SMALL>;

impl<T: DeserializeOwned, const MAX: usize> FromRequest<App> for Body<T, MAX> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        let bodies = if MAX > MAX_SMALL { app.bodies() } else { app.small_bodies() };
        read(request, MAX, bodies).await.map(Self)
    }
}

/// Reads a body, within the memory shared by all bodies.
async fn read<T: DeserializeOwned>(request: Request, limit: usize, bodies: &Arc<Pool>) -> Result<T, Refusal> {
    require_type(&request, "application/json")?;
    let reading = timeout(MAX_TIME, read_bytes(request.into_body(), limit, bodies));
    let Ok(bytes) = reading.await else {
        let seconds = MAX_TIME.as_secs();
        return Err(Refusal::invalid(format!("the body did not arrive within {seconds} s")));
    };
    let bytes = bytes?;
    let mut parsed = bodies.reserve();
    parsed.try_grow(bytes.len()).map_err(|_| busy())?;
    offload::run(bytes.len(), || serde_json::from_slice(&bytes))
        .await
        .map_err(|error| Refusal::invalid(format!("the body is not as it should be: {error}")))
}

async fn read_bytes(mut body: axum::body::Body, limit: usize, bodies: &Arc<Pool>) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::new(Code::TooLarge, format!("the body has more than {limit} bytes"));
    let size = body.size_hint();
    if size.lower() > limit as u64 {
        return Err(too_large());
    }
    let expected = size.exact().and_then(|size| usize::try_from(size).ok()).unwrap_or(limit);
    let mut buffer = Buffer::new(bodies.reserve(), limit);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::invalid("the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        buffer.extend(&data, expected).map_err(|refused| match refused {
            Refused::TooLarge { .. } => too_large(),
            Refused::Full(_) => busy(),
        })?;
    }
    Ok(buffer.freeze())
}

fn busy() -> Refusal {
    Refusal::new(Code::Unavailable, "the server reads as many bodies as it may").hint("try again")
}

/// Refuses a body of another content type.
pub(crate) fn require_type(request: &Request, wanted: &str) -> Result<(), Refusal> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let refusal = Refusal::new(Code::Unsupported, format!("the body must be of the type {wanted}"));
    Err(refusal.hint(format!("send `content-type: {wanted}`")))
}

/// The pairs of a query.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let text = parts.uri.query().unwrap_or_default();
        Ok(Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect()))
    }
}

impl Query {
    /// The text with this name; `None` when empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The text with this name, of at most this many characters.
    pub(crate) fn short(&self, name: &str, limit: usize) -> Result<Option<&str>, Refusal> {
        self.text(name).map(|text| within(name, text, limit)).transpose()
    }

    /// All texts with this name, each of at most this many characters.
    pub(crate) fn all(&self, name: &str, limit: usize) -> Result<Vec<&str>, Refusal> {
        let all = self.0.iter().filter(|(other, _)| other == name);
        all.map(|(_, value)| within(name, value, limit)).collect()
    }

    /// Parses the text with this name.
    pub(crate) fn parse<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.with(name, |text| text.parse().ok())
    }

    /// Parses the text with this name by a function.
    pub(crate) fn with<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some((_, text)) = self.0.iter().find(|(other, _)| other == name) else { return Ok(None) };
        match read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(Refusal::invalid(format!("`{name}` cannot be `{}`", shorten(text)))),
        }
    }

    /// The name of a version, node, workflow or runtime.
    pub(crate) fn name(&self, name: &str) -> Result<Option<Name>, Refusal> {
        self.with(name, |text| Name::parse(text).ok())
    }

    /// A span of time.
    pub(crate) fn span(&self) -> Result<Span, Refusal> {
        Ok(Span { from: self.parse("from")?, to: self.parse("to")? })
    }

    /// A number within bounds.
    pub(crate) fn number(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, Refusal> {
        self.with(name, |text| text.parse().ok().filter(|number| (min..=max).contains(number)))
    }

    /// The most items to return.
    pub(crate) fn limit(&self, max: u64, default: usize) -> Result<usize, Refusal> {
        let limit = self.number("limit", 1, max)?;
        Ok(limit.map_or(default, |limit| usize::try_from(limit).unwrap_or(default)))
    }
}

/// A start and an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

/// Refuses text of more characters.
pub(crate) fn within<'a>(name: &str, text: &'a str, limit: usize) -> Result<&'a str, Refusal> {
    match text.chars().count() <= limit {
        true => Ok(text),
        false => Err(Refusal::invalid(format!("`{name}` has more than {limit} characters"))),
    }
}

fn shorten(text: &str) -> &str {
    &text[..text.floor_char_boundary(80)]
}

/// A name in a path; an invalid name is not found.
pub(crate) fn name(what: &str, text: &str) -> Result<Name, Refusal> {
    Name::parse(text).map_err(|_| Refusal::missing(&format!("{what} `{}`", shorten(text))))
}

/// A runtime in a path.
#[derive(Debug)]
pub(crate) struct RuntimePath(pub(crate) Name);

/// A runtime and a version in a path.
#[derive(Debug)]
pub(crate) struct VersionPath(pub(crate) Name, pub(crate) Name);

/// The variable parts of a path.
async fn path(parts: &mut Parts) -> Result<Vec<(String, String)>, Refusal> {
    let found = axum::extract::RawPathParams::from_request_parts(parts, &()).await;
    let found = found.map_err(|_| Refusal::invalid("the path is not UTF-8"))?;
    Ok(found.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn part<'a>(path: &'a [(String, String)], name: &str) -> &'a str {
    path.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str()).unwrap_or_default()
}

impl<S: Send + Sync> FromRequestParts<S> for RuntimePath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self(name("runtime", part(&path(parts).await?, "runtime"))?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for VersionPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let path = path(parts).await?;
        Ok(Self(name("runtime", part(&path, "runtime"))?, name("version", part(&path, "version"))?))
    }
}

/// The last part of a path: an id, a login, a measurement, a file.
#[derive(Debug)]
pub(crate) struct LastSegment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for LastSegment {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let path = path(parts).await?;
        Ok(Self(path.last().map(|(_, value)| value.clone()).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;
    use futures::{StreamExt as _, stream};
    use http::StatusCode;
    use std::convert::Infallible;

    #[tokio::test(start_paused = true)]
    async fn slow_bodies_are_refused() {
        let bytes = stream::repeat(Bytes::from_static(b" ")).then(async |byte| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(byte)
        });
        let body = axum::body::Body::from_stream(bytes.boxed());
        let request = Request::post("/").header(CONTENT_TYPE, "application/json").body(body).unwrap();
        let refused = read::<serde_json::Value>(request, MAX_BODY, &Pool::unlimited()).await.unwrap_err();
        assert_eq!(refused.into_response().status(), StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn bodies_are_bounded_together() {
        let pool = Pool::new(3000);
        let send = async |size: usize, bodies: &Arc<Pool>| {
            let text = format!("\"{}\"", "x".repeat(size));
            let request = Request::post("/").header(CONTENT_TYPE, "application/json");
            read::<String>(request.body(text.into()).unwrap(), MAX_BODY, bodies).await
        };
        assert_eq!(send(1000, &pool).await.unwrap().len(), 1000);
        assert_eq!(pool.used(), 0);
        let mut others = pool.reserve();
        others.try_grow(2000).unwrap();
        let refused = send(1000, &pool).await.unwrap_err();
        assert_eq!(refused.into_response().status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn oversized_bodies_take_no_memory() {
        let full = Pool::new(0);
        let text = format!("\"{}\"", "x".repeat(MAX_SMALL));
        let sized = axum::body::Body::from(text.clone());
        let pieces = stream::iter([Ok::<_, Infallible>(Bytes::from(text))]);
        for body in [sized, axum::body::Body::from_stream(pieces)] {
            let request = Request::post("/").header(CONTENT_TYPE, "application/json").body(body).unwrap();
            let refused = read::<String>(request, MAX_SMALL, &full).await.unwrap_err();
            assert_eq!(refused.into_response().status(), StatusCode::PAYLOAD_TOO_LARGE);
        }
    }
}
