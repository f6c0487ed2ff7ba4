//! Answers: JSON, and live events.

use super::App;
use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt as _};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde::Serialize;
use std::{convert::Infallible, time::Duration};

/// How often a silent stream of events says that it is still there.
const ALIVE: Duration = Duration::from_secs(15);

/// An answer in JSON.
#[derive(Debug)]
pub(crate) struct Told<T>(pub(crate) StatusCode, pub(crate) T);

/// An answer in JSON: all is well.
pub(crate) fn ok<T>(value: T) -> Told<T> {
    Told(StatusCode::OK, value)
}

impl<T: Serialize> IntoResponse for Told<T> {
    fn into_response(self) -> Response {
        json(self.0, &self.1)
    }
}

pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let (status, text) = match serde_json::to_vec(value) {
        Ok(text) => (status, text),
        Err(error) => {
            tracing::error!("an answer cannot be written: {error}");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                b"{\"code\":\"internal\",\"message\":\"the server failed\"}".to_vec(),
            )
        }
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, text).into_response()
}

/// A live event with JSON.
pub(crate) fn event(name: &str, value: &impl Serialize) -> Event {
    let text = serde_json::to_string(value).unwrap_or_default();
    Event::default().event(name).data(text)
}

/// Events until the client leaves or the server ends.
pub(crate) fn live(app: &App, events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let ended = app.0.ended.clone().cancelled_owned();
    let events = events.map(Ok::<_, Infallible>).take_until(ended);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
