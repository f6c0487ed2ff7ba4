//! Runtimes.

use super::{
    App,
    caller::Caller,
    read::{Body, Query, RuntimePath},
    refusal::Refusal,
    response::{self, JsonResponse},
    wire,
};
use axum::extract::State;
use http::StatusCode;
use krt_api::runtime::{NewRuntime, Runtime, RuntimeChange};

pub(super) async fn list(State(app): State<App>) -> Result<JsonResponse<Vec<Runtime>>, Refusal> {
    let runtimes = app.backend().runtimes().await?;
    Ok(response::ok(runtimes.into_iter().map(wire::runtime).collect()))
}

pub(super) async fn show(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
) -> Result<JsonResponse<Runtime>, Refusal> {
    Ok(response::ok(wire::runtime(app.backend().runtime(&runtime).await?)))
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewRuntime>,
) -> Result<JsonResponse<Runtime>, Refusal> {
    let actor = caller.actor(&new.comment)?;
    let made = app.team()?.create_runtime(actor, wire::new_runtime(new)).await?;
    Ok(JsonResponse(StatusCode::CREATED, wire::runtime(made)))
}

pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    RuntimePath(runtime): RuntimePath,
    Body(change): Body<RuntimeChange>,
) -> Result<JsonResponse<Runtime>, Refusal> {
    let actor = caller.actor(&change.comment)?;
    let changed = app.team()?.change_runtime(actor, runtime, wire::runtime_change(change)).await?;
    Ok(response::ok(wire::runtime(changed)))
}

pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    RuntimePath(runtime): RuntimePath,
    query: Query,
) -> Result<StatusCode, Refusal> {
    let actor = caller.actor(query.text("comment").unwrap_or_default())?;
    app.team()?.delete_runtime(actor, runtime).await?;
    Ok(StatusCode::NO_CONTENT)
}
