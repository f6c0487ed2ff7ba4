//! Runtimes.

use super::{
    App,
    read::{Body, OfRuntime, Query},
    refusal::Refusal,
    told::{self, Told},
    who::Who,
};
use axum::extract::State;
use http::StatusCode;
use krt_registry::{NewRuntime, Runtime, RuntimeChange};

pub(super) async fn list(State(app): State<App>) -> Result<Told<Vec<Runtime>>, Refusal> {
    Ok(told::ok(app.house().runtimes().await?))
}

pub(super) async fn show(
    State(app): State<App>,
    OfRuntime(runtime): OfRuntime,
) -> Result<Told<Runtime>, Refusal> {
    Ok(told::ok(app.house().runtime(&runtime).await?))
}

pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    Body(new): Body<NewRuntime>,
) -> Result<Told<Runtime>, Refusal> {
    let made = app.team()?.create_runtime(who.actor(&new.comment)?, new).await?;
    Ok(Told(StatusCode::CREATED, made))
}

pub(super) async fn change(
    State(app): State<App>,
    who: Who,
    OfRuntime(runtime): OfRuntime,
    Body(change): Body<RuntimeChange>,
) -> Result<Told<Runtime>, Refusal> {
    let actor = who.actor(&change.comment)?;
    Ok(told::ok(app.team()?.change_runtime(actor, runtime, change).await?))
}

pub(super) async fn delete(
    State(app): State<App>,
    who: Who,
    OfRuntime(runtime): OfRuntime,
    query: Query,
) -> Result<StatusCode, Refusal> {
    let actor = who.actor(query.text("comment").unwrap_or_default())?;
    app.team()?.delete_runtime(actor, runtime).await?;
    Ok(StatusCode::NO_CONTENT)
}
