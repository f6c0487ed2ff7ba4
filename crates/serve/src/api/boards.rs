//! Saved boards.

use super::{
    App,
    caller::Caller,
    read::{Body, LastSegment, RuntimePath},
    refusal::{Code, Refusal},
    response::{self, JsonResponse},
    wire,
};
use crate::{Backend, team::Event};
use axum::extract::State;
use http::StatusCode;
use krt_api::{
    board::{Board, Chart, NewBoard},
    event::EventKind,
};
use krt_model::name::Name;
use serde::Deserialize as _;

/// Limits of a board: its size in bytes, and its number of charts.
const MAX_BYTES: usize = 256 << 10;
const MAX_CHARTS: usize = 50;
/// The most tags that a chart groups by.
const MAX_GROUPS: usize = 8;

pub(super) async fn list(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
) -> Result<JsonResponse<Vec<Board>>, Refusal> {
    let Backend::Team(team) = app.backend() else { return Ok(response::ok(Vec::new())) };
    let boards = team.with_registry(move |registry| registry.boards(&runtime)).await?;
    Ok(response::ok(boards.into_iter().map(wire::board).collect()))
}

pub(super) async fn show(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
    LastSegment(id): LastSegment,
) -> Result<JsonResponse<Board>, Refusal> {
    let Backend::Team(team) = app.backend() else { return Err(Refusal::missing(&format!("board `{id}`"))) };
    Ok(response::ok(wire::board(team.with_registry(move |registry| registry.board(&runtime, &id)).await?)))
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    RuntimePath(runtime): RuntimePath,
    Body(new): Body<NewBoard>,
) -> Result<JsonResponse<Board>, Refusal> {
    Ok(JsonResponse(StatusCode::CREATED, save_board(&app, &caller, runtime, None, new).await?))
}

pub(super) async fn save(
    State(app): State<App>,
    caller: Caller,
    RuntimePath(runtime): RuntimePath,
    LastSegment(id): LastSegment,
    Body(new): Body<NewBoard>,
) -> Result<JsonResponse<Board>, Refusal> {
    Ok(response::ok(save_board(&app, &caller, runtime, Some(id), new).await?))
}

pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    RuntimePath(runtime): RuntimePath,
    LastSegment(id): LastSegment,
) -> Result<StatusCode, Refusal> {
    let (team, actor) = (app.team()?, caller.silent());
    let event = Event::new(EventKind::Board, Some(&runtime), None);
    team.with_registry(move |registry| registry.delete_board(&actor, &runtime, &id)).await?;
    team.notify(event);
    Ok(StatusCode::NO_CONTENT)
}

async fn save_board(
    app: &App,
    caller: &Caller,
    runtime: Name,
    id: Option<String>,
    new: NewBoard,
) -> Result<Board, Refusal> {
    check(&new)?;
    let new = wire::new_board(new);
    let (team, actor) = (app.team()?, caller.silent());
    let event = Event::new(EventKind::Board, Some(&runtime), None);
    let board = team
        .with_registry(move |registry| registry.save_board(&actor, &runtime, id.as_deref(), &new))
        .await?;
    team.notify(event);
    Ok(wire::board(board))
}

/// Whether a chart is within the bounds that `openapi.json` names; the dashboard decides what it shows.
fn is_within_bounds(chart: &Chart) -> bool {
    let texts = [(&chart.title, 120), (&chart.measurement, 255), (&chart.field, 255), (&chart.unit, 20)];
    let tags = chart.tags.values().map(|value| (value, 1024));
    let groups = chart.group_by.iter().map(|name| (name, 255));
    let mut texts = texts.into_iter().chain(tags).chain(groups);
    texts.all(|(text, most)| text.chars().count() <= most)
        && chart.group_by.len() <= MAX_GROUPS
        && (1.0..=12.0).contains(&chart.width)
        && chart.width.fract() == 0.0
}

fn check(new: &NewBoard) -> Result<(), Refusal> {
    let charts = Vec::<Chart>::deserialize(&new.charts);
    let charts =
        charts.map_err(|error| Refusal::invalid(format!("`charts` are not as they should be: {error}")))?;
    if !charts.iter().all(is_within_bounds) {
        let message = format!(
            "a chart has short texts, at most {MAX_GROUPS} tags in `group_by`, and a `width` from 1 to 12"
        );
        return Err(Refusal::invalid(message));
    }
    if charts.len() <= MAX_CHARTS && new.charts.to_string().len() <= MAX_BYTES {
        return Ok(());
    }
    let message = format!("`charts` must be at most {MAX_CHARTS}, of {MAX_BYTES} bytes together");
    Err(Refusal::new(Code::Unprocessable, message))
}
