//! Users and tokens.

use super::{
    App,
    caller::{AuthMethod, Caller},
    read::{Body, LastSegment, Query},
    refusal::Refusal,
    response::{self, JsonResponse},
};
use crate::team::{Event, Kind};
use axum::extract::State;
use http::StatusCode;
use krt_registry::{NewToken, NewUser, Registry, Token, User, UserChange};
use serde::Serialize;

/// A new token, with its secret.
#[derive(Debug, Serialize)]
pub(super) struct Created {
    token: Token,
    secret: String,
}

pub(super) async fn list(State(app): State<App>) -> Result<JsonResponse<Vec<User>>, Refusal> {
    Ok(response::ok(app.team()?.ask(Registry::users).await?))
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewUser>,
) -> Result<JsonResponse<User>, Refusal> {
    let actor = caller.silent();
    let hashing = app.0.limits.hashing().await?;
    let user = app.team()?.ask(move |registry| registry.create_user(&actor, &new)).await;
    drop(hashing);
    let user = user?;
    tell(&app, Kind::User)?;
    Ok(JsonResponse(StatusCode::CREATED, user))
}

pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    LastSegment(login): LastSegment,
    Body(change): Body<UserChange>,
) -> Result<JsonResponse<User>, Refusal> {
    let actor = caller.actor(&change.comment)?;
    let hashing = app.0.limits.hashing().await?;
    let user = app.team()?.ask(move |registry| registry.change_user(&actor, &login, &change)).await;
    drop(hashing);
    let user = user?;
    tell(&app, Kind::User)?;
    tell(&app, Kind::Token)?;
    Ok(response::ok(user))
}

pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    LastSegment(login): LastSegment,
    query: Query,
) -> Result<StatusCode, Refusal> {
    let actor = caller.actor(query.text("comment").unwrap_or_default())?;
    app.team()?.ask(move |registry| registry.delete_user(&actor, &login)).await?;
    tell(&app, Kind::User)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn tokens(
    State(app): State<App>,
    caller: Caller,
) -> Result<JsonResponse<Vec<Token>>, Refusal> {
    let owner = caller.owner();
    Ok(response::ok(app.team()?.ask(move |registry| registry.tokens(owner.as_deref())).await?))
}

pub(super) async fn create_token(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewToken>,
) -> Result<JsonResponse<Created>, Refusal> {
    let parent = match caller.by {
        AuthMethod::Token(id) => Some(id),
        AuthMethod::Session(_) | AuthMethod::Nothing => None,
    };
    let making =
        move |registry: &Registry| registry.create_token(&caller.login, caller.role, parent.as_deref(), &new);
    let made = app.team()?.ask(making).await?;
    tell(&app, Kind::Token)?;
    let secret = made.secret.reveal().to_owned();
    Ok(JsonResponse(StatusCode::CREATED, Created { token: made.token, secret }))
}

pub(super) async fn delete_token(
    State(app): State<App>,
    caller: Caller,
    LastSegment(id): LastSegment,
) -> Result<StatusCode, Refusal> {
    let (actor, owner) = (caller.silent(), caller.owner());
    app.team()?.ask(move |registry| registry.delete_token(&actor, owner.as_deref(), &id)).await?;
    tell(&app, Kind::Token)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn tell(app: &App, kind: Kind) -> Result<(), Refusal> {
    app.team()?.tell(Event::new(kind, None, None));
    Ok(())
}
