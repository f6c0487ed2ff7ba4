//! Users and tokens.

use super::{
    App,
    caller::{AuthMethod, Caller},
    read::{Body, LastSegment, Query},
    refusal::Refusal,
    response::{self, JsonResponse},
    wire,
};
use crate::team::Event;
use axum::extract::State;
use http::StatusCode;
use krt_api::{
    event::EventKind,
    token::{CreatedToken, NewToken, Token},
    user::{NewUser, User, UserChange},
};
use krt_registry::Registry;

pub(super) async fn list(State(app): State<App>) -> Result<JsonResponse<Vec<User>>, Refusal> {
    let users = app.team()?.with_registry(Registry::users).await?;
    Ok(response::ok(users.into_iter().map(wire::user).collect()))
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewUser>,
) -> Result<JsonResponse<User>, Refusal> {
    let (actor, new) = (caller.silent(), wire::new_user(new));
    let hashing = app.0.limits.hashing().await?;
    let user = app.team()?.with_registry(move |registry| registry.create_user(&actor, &new)).await;
    drop(hashing);
    let user = user?;
    notify(&app, EventKind::User)?;
    Ok(JsonResponse(StatusCode::CREATED, wire::user(user)))
}

pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    LastSegment(login): LastSegment,
    Body(change): Body<UserChange>,
) -> Result<JsonResponse<User>, Refusal> {
    let (actor, change) = (caller.actor(&change.comment)?, wire::user_change(change));
    let hashing = app.0.limits.hashing().await?;
    let user = app.team()?.with_registry(move |registry| registry.change_user(&actor, &login, &change)).await;
    drop(hashing);
    let user = user?;
    notify(&app, EventKind::User)?;
    notify(&app, EventKind::Token)?;
    Ok(response::ok(wire::user(user)))
}

pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    LastSegment(login): LastSegment,
    query: Query,
) -> Result<StatusCode, Refusal> {
    let actor = caller.actor(query.text("comment").unwrap_or_default())?;
    app.team()?.with_registry(move |registry| registry.delete_user(&actor, &login)).await?;
    notify(&app, EventKind::User)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn tokens(
    State(app): State<App>,
    caller: Caller,
) -> Result<JsonResponse<Vec<Token>>, Refusal> {
    let owner = caller.owner();
    let tokens = app.team()?.with_registry(move |registry| registry.tokens(owner.as_deref())).await?;
    Ok(response::ok(tokens.into_iter().map(wire::token).collect()))
}

pub(super) async fn create_token(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewToken>,
) -> Result<JsonResponse<CreatedToken>, Refusal> {
    let parent = match caller.by {
        AuthMethod::Token(id) => Some(id),
        AuthMethod::Session(_) | AuthMethod::Nothing => None,
    };
    let new = wire::new_token(new);
    let making =
        move |registry: &Registry| registry.create_token(&caller.login, caller.role, parent.as_deref(), &new);
    let made = app.team()?.with_registry(making).await?;
    notify(&app, EventKind::Token)?;
    Ok(JsonResponse(StatusCode::CREATED, wire::created_token(made)))
}

pub(super) async fn delete_token(
    State(app): State<App>,
    caller: Caller,
    LastSegment(id): LastSegment,
) -> Result<StatusCode, Refusal> {
    let (actor, owner) = (caller.silent(), caller.owner());
    app.team()?.with_registry(move |registry| registry.delete_token(&actor, owner.as_deref(), &id)).await?;
    notify(&app, EventKind::Token)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn notify(app: &App, kind: EventKind) -> Result<(), Refusal> {
    app.team()?.notify(Event::new(kind, None, None));
    Ok(())
}
