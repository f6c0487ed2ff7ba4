//! Live events.

use super::{App, caller::Caller, read::Query, refusal::Refusal, response, wire};
use crate::{Backend, team::Event};
use axum::{extract::State, response::Response};
use futures::stream;
use tokio::sync::broadcast::{Receiver, error::RecvError};

pub(super) async fn live(State(app): State<App>, caller: Caller, query: Query) -> Result<Response, Refusal> {
    let runtime = query.name("runtime")?.map(|name| name.to_string());
    let Backend::Team(team) = app.backend() else {
        return Ok(response::live(&app, &caller, stream::pending()));
    };
    let events = stream::unfold((team.listen(), runtime), |(mut events, runtime)| async move {
        let event = next(&mut events, runtime.as_deref()).await?;
        let event = wire::event(event);
        Some((response::event(event.kind.as_str(), &event), (events, runtime)))
    });
    Ok(response::live(&app, &caller, events))
}

/// The next event of a runtime; skips missed ones.
async fn next(events: &mut Receiver<Event>, runtime: Option<&str>) -> Option<Event> {
    loop {
        match events.recv().await {
            Ok(event) if runtime.is_none() || event.runtime.is_none() => return Some(event),
            Ok(event) if event.runtime.as_deref() == runtime => return Some(event),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}
