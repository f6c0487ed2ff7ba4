//! Saved boards.

use super::{
    App,
    caller::Caller,
    read::{Body, LastSegment, RuntimePath, Text},
    refusal::{Code, Refusal},
    response::{self, JsonResponse},
};
use crate::{
    Backend,
    team::{Event, Kind},
};
use axum::extract::State;
use http::StatusCode;
use krt_model::name::Name;
use krt_registry::{Board, NewBoard};
use serde::Deserialize;
use std::collections::BTreeMap;

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
    Ok(response::ok(team.ask(move |registry| registry.boards(&runtime)).await?))
}

pub(super) async fn show(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
    LastSegment(id): LastSegment,
) -> Result<JsonResponse<Board>, Refusal> {
    let Backend::Team(team) = app.backend() else { return Err(Refusal::missing(&format!("board `{id}`"))) };
    Ok(response::ok(team.ask(move |registry| registry.board(&runtime, &id)).await?))
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    RuntimePath(runtime): RuntimePath,
    Body(new): Body<NewBoard>,
) -> Result<JsonResponse<Board>, Refusal> {
    Ok(JsonResponse(StatusCode::CREATED, keep(&app, &caller, runtime, None, new).await?))
}

pub(super) async fn save(
    State(app): State<App>,
    caller: Caller,
    RuntimePath(runtime): RuntimePath,
    LastSegment(id): LastSegment,
    Body(new): Body<NewBoard>,
) -> Result<JsonResponse<Board>, Refusal> {
    Ok(response::ok(keep(&app, &caller, runtime, Some(id), new).await?))
}

pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    RuntimePath(runtime): RuntimePath,
    LastSegment(id): LastSegment,
) -> Result<StatusCode, Refusal> {
    let (team, actor) = (app.team()?, caller.silent());
    let event = Event::new(Kind::Board, Some(&runtime), None);
    team.ask(move |registry| registry.delete_board(&actor, &runtime, &id)).await?;
    team.tell(event);
    Ok(StatusCode::NO_CONTENT)
}

async fn keep(
    app: &App,
    caller: &Caller,
    runtime: Name,
    id: Option<String>,
    new: NewBoard,
) -> Result<Board, Refusal> {
    check(&new)?;
    let (team, actor) = (app.team()?, caller.silent());
    let event = Event::new(Kind::Board, Some(&runtime), None);
    let board = team.ask(move |registry| registry.save_board(&actor, &runtime, id.as_deref(), &new)).await?;
    team.tell(event);
    Ok(board)
}

/// The form of a chart, as in `openapi.json`; the dashboard decides what a chart shows.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "a chart is kept as it came, only its form is looked at")]
struct Chart {
    title: Text<120>,
    measurement: Text<255>,
    field: Text<255>,
    aggregation: Aggregation,
    #[serde(default)]
    tags: BTreeMap<String, Text<1024>>,
    #[serde(default)]
    group_by: Vec<Text<255>>,
    #[serde(default)]
    unit: Text<20>,
    #[serde(default = "Chart::usual_width")]
    width: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Aggregation {
    Count,
    Sum,
    Mean,
    Min,
    Max,
    P50,
    P95,
    P99,
}

impl Chart {
    /// Half the width of a board.
    fn usual_width() -> f64 {
        6.0
    }

    /// Whether its numbers are within bounds.
    fn is_good(&self) -> bool {
        self.group_by.len() <= MAX_GROUPS && (1.0..=12.0).contains(&self.width) && self.width.fract() == 0.0
    }
}

fn check(new: &NewBoard) -> Result<(), Refusal> {
    let charts = Vec::<Chart>::deserialize(&new.charts);
    let charts =
        charts.map_err(|error| Refusal::invalid(format!("`charts` are not as they should be: {error}")))?;
    if !charts.iter().all(Chart::is_good) {
        let message =
            format!("a chart has at most {MAX_GROUPS} tags in `group_by`, and a `width` from 1 to 12");
        return Err(Refusal::invalid(message));
    }
    if charts.len() <= MAX_CHARTS && new.charts.to_string().len() <= MAX_BYTES {
        return Ok(());
    }
    let message = format!("`charts` must be at most {MAX_CHARTS}, of {MAX_BYTES} bytes together");
    Err(Refusal::new(Code::Unprocessable, message))
}
