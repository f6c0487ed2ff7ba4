//! Runtimes.

use super::{
    App,
    caller::Caller,
    read::{Body, Query, RuntimePath},
    refusal::Refusal,
    response::{self, JsonResponse},
};
use axum::extract::State;
use http::StatusCode;
use krt_registry::{NewRuntime, Runtime, RuntimeChange};

pub(super) async fn list(State(app): State<App>) -> Result<JsonResponse<Vec<Runtime>>, Refusal> {
    Ok(response::ok(app.backend().runtimes().await?))
}

pub(super) async fn show(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
) -> Result<JsonResponse<Runtime>, Refusal> {
    Ok(response::ok(app.backend().runtime(&runtime).await?))
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewRuntime>,
) -> Result<JsonResponse<Runtime>, Refusal> {
    let made = app.team()?.create_runtime(caller.actor(&new.comment)?, new).await?;
    Ok(JsonResponse(StatusCode::CREATED, made))
}

pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    RuntimePath(runtime): RuntimePath,
    Body(change): Body<RuntimeChange>,
) -> Result<JsonResponse<Runtime>, Refusal> {
    let actor = caller.actor(&change.comment)?;
    Ok(response::ok(app.team()?.change_runtime(actor, runtime, change).await?))
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
