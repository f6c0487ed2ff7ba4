//! Bodies and queries, read within bounds. What is not known is refused.

use super::refusal::{Code, Refusal};
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::{header::CONTENT_TYPE, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use krt_model::name::Name;
use krt_registry::Moment;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use std::{str::FromStr, time::Duration};
use tokio::time::timeout;

/// The largest body in JSON, bytes, and how long it may take to come.
const MAX_BODY: usize = 8 << 20;
const MAX_TIME: Duration = Duration::from_secs(60);

/// A body in JSON.
///
/// A browser sends JSON to another site only after it was asked, so the content type is required.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        require_type(&request, "application/json")?;
        let reading = Limited::new(request.into_body(), MAX_BODY).collect();
        let Ok(read) = timeout(MAX_TIME, reading).await else {
            let seconds = MAX_TIME.as_secs();
            return Err(Refusal::invalid(format!("the body did not come within {seconds} s")));
        };
        let bytes = match read {
            Ok(whole) => whole.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(Refusal::new(Code::TooLarge, format!("the body has more than {MAX_BODY} bytes")));
            }
            Err(_) => return Err(Refusal::invalid("the body broke off")),
        };
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Refusal::invalid(format!("the body is not as it should be: {error}")))
    }
}

/// A text of at most so many characters.
#[derive(Debug, Default)]
pub(crate) struct Text<const MOST: usize>;

impl<'de, const MOST: usize> Deserialize<'de> for Text<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.chars().count() <= MOST {
            true => Ok(Self),
            false => Err(D::Error::custom(format!("a text has more than {MOST} characters"))),
        }
    }
}

/// Refuses a body of another type.
pub(crate) fn require_type(request: &Request, wanted: &str) -> Result<(), Refusal> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let message = format!("the body must be of the type {wanted}; hint: send `content-type: {wanted}`");
    Err(Refusal::new(Code::Unsupported, message))
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
    /// The text with that name; an empty one is none.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The same, of at most so many characters.
    pub(crate) fn short(&self, name: &str, most: usize) -> Result<Option<&str>, Refusal> {
        self.text(name).map(|text| within(name, text, most)).transpose()
    }

    /// All texts with that name, each of at most so many characters.
    pub(crate) fn all(&self, name: &str, most: usize) -> Result<Vec<&str>, Refusal> {
        let all = self.0.iter().filter(|(other, _)| other == name);
        all.map(|(_, value)| within(name, value, most)).collect()
    }

    /// What a text says.
    pub(crate) fn parse<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.with(name, |text| text.parse().ok())
    }

    /// What a text says, by a function.
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

    /// A name of a version, a node, a workflow, a runtime.
    pub(crate) fn name(&self, name: &str) -> Result<Option<Name>, Refusal> {
        self.with(name, |text| Name::parse(text).ok())
    }

    /// A span of time.
    pub(crate) fn span(&self) -> Result<Span, Refusal> {
        Ok(Span { from: self.parse("from")?, to: self.parse("to")? })
    }

    /// A number within bounds.
    pub(crate) fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
        self.with(name, |text| text.parse().ok().filter(|number| (least..=most).contains(number)))
    }

    /// How many things are wanted at most.
    pub(crate) fn limit(&self, most: u64, usual: usize) -> Result<usize, Refusal> {
        let limit = self.number("limit", 1, most)?;
        Ok(limit.map_or(usual, |limit| usize::try_from(limit).unwrap_or(usual)))
    }
}

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Option<Moment>,
    pub(crate) to: Option<Moment>,
}

/// Refuses a text of more characters.
pub(crate) fn within<'a>(name: &str, text: &'a str, most: usize) -> Result<&'a str, Refusal> {
    match text.chars().count() <= most {
        true => Ok(text),
        false => Err(Refusal::invalid(format!("`{name}` has more than {most} characters"))),
    }
}

fn shorten(text: &str) -> &str {
    &text[..text.floor_char_boundary(80)]
}

/// A name in a path: what is none names nothing.
pub(crate) fn name(what: &str, text: &str) -> Result<Name, Refusal> {
    Name::parse(text).map_err(|_| Refusal::missing(&format!("{what} `{}`", shorten(text))))
}

/// A runtime in a path.
#[derive(Debug)]
pub(crate) struct OfRuntime(pub(crate) Name);

/// A runtime and a version in a path.
#[derive(Debug)]
pub(crate) struct OfVersion(pub(crate) Name, pub(crate) Name);

/// The parts of a path that are not fixed.
async fn path(parts: &mut Parts) -> Result<Vec<(String, String)>, Refusal> {
    let found = axum::extract::RawPathParams::from_request_parts(parts, &()).await;
    let found = found.map_err(|_| Refusal::invalid("the path is not UTF-8"))?;
    Ok(found.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn part<'a>(path: &'a [(String, String)], name: &str) -> &'a str {
    path.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str()).unwrap_or_default()
}

impl<S: Send + Sync> FromRequestParts<S> for OfRuntime {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self(name("runtime", part(&path(parts).await?, "runtime"))?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfVersion {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let path = path(parts).await?;
        Ok(Self(name("runtime", part(&path, "runtime"))?, name("version", part(&path, "version"))?))
    }
}

/// The last part of a path: an id, a login, a measurement, a file.
#[derive(Debug)]
pub(crate) struct Last(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Last {
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
    use bytes::Bytes;
    use futures::{StreamExt as _, stream};
    use http::StatusCode;
    use std::convert::Infallible;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_a_byte_at_a_time_is_refused() {
        let bytes = stream::repeat(Bytes::from_static(b" ")).then(async |byte| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(byte)
        });
        let body = axum::body::Body::from_stream(bytes.boxed());
        let request = Request::post("/").header(CONTENT_TYPE, "application/json").body(body).unwrap();
        let refused = Body::<serde_json::Value>::from_request(request, &()).await.unwrap_err();
        assert_eq!(refused.into_response().status(), StatusCode::BAD_REQUEST);
    }
}
