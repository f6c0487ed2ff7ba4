//! Saved boards.

use super::{
    App,
    read::{Body, Last, OfRuntime},
    refusal::{Code, Refusal},
    told::{self, Told},
    who::Who,
};
use crate::{
    House,
    team::{Event, Kind},
};
use axum::extract::State;
use http::StatusCode;
use krt_model::name::Name;
use krt_registry::{Board, NewBoard};

/// The largest board, bytes, and the most charts.
const MAX_BYTES: usize = 256 << 10;
const MAX_CHARTS: usize = 50;

pub(super) async fn list(
    State(app): State<App>,
    OfRuntime(runtime): OfRuntime,
) -> Result<Told<Vec<Board>>, Refusal> {
    let House::Team(team) = app.house() else { return Ok(told::ok(Vec::new())) };
    Ok(told::ok(team.ask(move |registry| registry.boards(&runtime)).await?))
}

pub(super) async fn show(
    State(app): State<App>,
    OfRuntime(runtime): OfRuntime,
    Last(id): Last,
) -> Result<Told<Board>, Refusal> {
    let House::Team(team) = app.house() else { return Err(Refusal::missing(&format!("board `{id}`"))) };
    Ok(told::ok(team.ask(move |registry| registry.board(&runtime, &id)).await?))
}

pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    OfRuntime(runtime): OfRuntime,
    Body(new): Body<NewBoard>,
) -> Result<Told<Board>, Refusal> {
    Ok(Told(StatusCode::CREATED, keep(&app, &who, runtime, None, new).await?))
}

pub(super) async fn save(
    State(app): State<App>,
    who: Who,
    OfRuntime(runtime): OfRuntime,
    Last(id): Last,
    Body(new): Body<NewBoard>,
) -> Result<Told<Board>, Refusal> {
    Ok(told::ok(keep(&app, &who, runtime, Some(id), new).await?))
}

pub(super) async fn delete(
    State(app): State<App>,
    who: Who,
    OfRuntime(runtime): OfRuntime,
    Last(id): Last,
) -> Result<StatusCode, Refusal> {
    let (team, actor) = (app.team()?, who.actor(""));
    let event = Event::new(Kind::Board, Some(&runtime), None);
    team.ask(move |registry| registry.delete_board(&actor, &runtime, &id)).await?;
    team.tell(event);
    Ok(StatusCode::NO_CONTENT)
}

async fn keep(
    app: &App,
    who: &Who,
    runtime: Name,
    id: Option<String>,
    new: NewBoard,
) -> Result<Board, Refusal> {
    check(&new)?;
    let (team, actor) = (app.team()?, who.actor(""));
    let event = Event::new(Kind::Board, Some(&runtime), None);
    let board = team.ask(move |registry| registry.save_board(&actor, &runtime, id.as_deref(), &new)).await?;
    team.tell(event);
    Ok(board)
}

fn check(new: &NewBoard) -> Result<(), Refusal> {
    let charts = new.charts.as_array().ok_or_else(|| Refusal::invalid("`charts` must be a list"))?;
    let good = charts.len() <= MAX_CHARTS && new.charts.to_string().len() <= MAX_BYTES;
    if good && charts.iter().all(serde_json::Value::is_object) {
        return Ok(());
    }
    let message = format!("`charts` must be at most {MAX_CHARTS} objects of {MAX_BYTES} bytes together");
    Err(Refusal::new(Code::Unprocessable, message))
}
