//! Answers: JSON and live events.

use super::{App, caller::Caller, json::json};
use crate::team::watch;
use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt as _, stream};
use http::{HeaderValue, StatusCode, header::CACHE_CONTROL};
use krt_api::event::End;
use serde::Serialize;
use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

/// The interval of keep-alives on a silent stream of events.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An answer in JSON.
#[derive(Debug)]
pub(crate) struct JsonResponse<T>(pub(crate) StatusCode, pub(crate) T);

/// A successful answer in JSON.
pub(crate) fn ok<T>(value: T) -> JsonResponse<T> {
    JsonResponse(StatusCode::OK, value)
}

impl<T: Serialize> IntoResponse for JsonResponse<T> {
    fn into_response(self) -> Response {
        json(self.0, &self.1)
    }
}

/// A live event with JSON data.
pub(crate) fn event(name: &str, value: &(impl Serialize + ?Sized)) -> Event {
    let text = serde_json::to_string(value).unwrap_or_default();
    Event::default().event(name).data(text)
}

/// Streams events until the client leaves, the server ends, or the caller's identity ends; a last event named
/// `end` then says why.
pub(crate) fn live(
    app: &App,
    caller: &Caller,
    events: impl Stream<Item = Event> + Send + 'static,
) -> Response {
    let ended = app.0.ended.clone().cancelled_owned();
    let events = until(events, ended_of(app, caller)).map(Ok::<_, Infallible>).take_until(ended);
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Waits until a caller's identity ends and returns the reason. Where signing in is off, it never ends.
fn ended_of(app: &App, caller: &Caller) -> impl Future<Output = String> + Send + use<> {
    let team = app.team().ok();
    let watched = team.zip(caller.identity()).map(|(team, of)| watch::ended(Arc::clone(team.registry()), of));
    async move {
        match watched {
            Some(watched) => watched.await,
            None => pending().await,
        }
    }
}

/// Streams events until `ended` resolves, which becomes the last event.
fn until(
    events: impl Stream<Item = Event> + Send + 'static,
    ended: impl Future<Output = String> + Send + 'static,
) -> impl Stream<Item = Event> + Send {
    let open = (Box::pin(events), Box::pin(ended));
    stream::unfold(Some(open), async |open| {
        let (mut events, mut ended) = open?;
        tokio::select! {
            // The end goes first, so that no event leaks after it.
            biased;
            why = &mut ended => Some((event("end", &End { reason: why }), None)),
            next = events.next() => Some((next?, Some((events, ended)))),
        }
    })
}
