//! What changes, told live.

use super::{App, read::Query, refusal::Refusal, told};
use crate::{House, team::Event};
use axum::{extract::State, response::Response};
use futures::stream;
use tokio::sync::broadcast::{Receiver, error::RecvError};

pub(super) async fn live(State(app): State<App>, query: Query) -> Result<Response, Refusal> {
    let runtime = query.name("runtime")?.map(|name| name.to_string());
    let House::Team(team) = app.house() else { return Ok(told::live(&app, stream::pending())) };
    let heard = stream::unfold((team.listen(), runtime), |(mut events, runtime)| async move {
        let event = next(&mut events, runtime.as_deref()).await?;
        Some((told::event(event.kind.as_str(), &event), (events, runtime)))
    });
    Ok(told::live(&app, heard))
}

/// The next event about a runtime; those that were missed are passed over.
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
