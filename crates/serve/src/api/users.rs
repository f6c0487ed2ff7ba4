//! Users and tokens.

use super::{
    App,
    read::{Body, Last, Query},
    refusal::Refusal,
    told::{self, Told},
    who::Who,
};
use crate::team::{Event, Kind};
use axum::extract::State;
use http::StatusCode;
use krt_registry::{NewToken, NewUser, Registry, Token, User, UserChange};
use serde::Serialize;

/// A new token, with what opens doors.
#[derive(Debug, Serialize)]
pub(super) struct Created {
    token: Token,
    secret: String,
}

pub(super) async fn list(State(app): State<App>) -> Result<Told<Vec<User>>, Refusal> {
    Ok(told::ok(app.team()?.ask(Registry::users).await?))
}

pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    Body(new): Body<NewUser>,
) -> Result<Told<User>, Refusal> {
    let actor = who.silent();
    let user = app.team()?.ask(move |registry| registry.create_user(&actor, &new)).await?;
    tell(&app, Kind::User)?;
    Ok(Told(StatusCode::CREATED, user))
}

pub(super) async fn change(
    State(app): State<App>,
    who: Who,
    Last(login): Last,
    Body(change): Body<UserChange>,
) -> Result<Told<User>, Refusal> {
    let actor = who.actor(&change.comment)?;
    let user = app.team()?.ask(move |registry| registry.change_user(&actor, &login, &change)).await?;
    tell(&app, Kind::User)?;
    Ok(told::ok(user))
}

pub(super) async fn delete(
    State(app): State<App>,
    who: Who,
    Last(login): Last,
    query: Query,
) -> Result<StatusCode, Refusal> {
    let actor = who.actor(query.text("comment").unwrap_or_default())?;
    app.team()?.ask(move |registry| registry.delete_user(&actor, &login)).await?;
    tell(&app, Kind::User)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn tokens(State(app): State<App>, who: Who) -> Result<Told<Vec<Token>>, Refusal> {
    let owner = who.owner();
    Ok(told::ok(app.team()?.ask(move |registry| registry.tokens(owner.as_deref())).await?))
}

pub(super) async fn create_token(
    State(app): State<App>,
    who: Who,
    Body(new): Body<NewToken>,
) -> Result<Told<Created>, Refusal> {
    let made = app.team()?.ask(move |registry| registry.create_token(&who.login, who.role, &new)).await?;
    tell(&app, Kind::Token)?;
    let secret = made.secret.reveal().to_owned();
    Ok(Told(StatusCode::CREATED, Created { token: made.token, secret }))
}

pub(super) async fn delete_token(
    State(app): State<App>,
    who: Who,
    Last(id): Last,
) -> Result<StatusCode, Refusal> {
    let (actor, owner) = (who.silent(), who.owner());
    app.team()?.ask(move |registry| registry.delete_token(&actor, owner.as_deref(), &id)).await?;
    tell(&app, Kind::Token)?;
    Ok(StatusCode::NO_CONTENT)
}

fn tell(app: &App, kind: Kind) -> Result<(), Refusal> {
    app.team()?.tell(Event::new(kind, None, None));
    Ok(())
}
