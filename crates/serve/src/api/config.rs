//! A version's configuration.

use super::{
    App,
    caller::Caller,
    read::{Body, VersionPath},
    refusal::Refusal,
    response::{self, JsonResponse},
};
use crate::{
    Backend,
    team::{Event, Kind},
};
use axum::extract::State;
use krt_registry::ConfigEntry;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    values: BTreeMap<String, Option<String>>,
    #[serde(default)]
    comment: String,
}

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    VersionPath(runtime, version): VersionPath,
) -> Result<JsonResponse<Vec<ConfigEntry>>, Refusal> {
    match app.backend() {
        Backend::Team(team) => Ok(response::ok(
            team.ask(move |registry| registry.config(caller.role, &runtime, &version)).await?,
        )),
        // The values are set on the command line and stay hidden.
        Backend::Solo(_) => {
            app.backend().version(&runtime, &version).await?;
            Ok(response::ok(Vec::new()))
        }
    }
}

pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    VersionPath(runtime, version): VersionPath,
    Body(Change { values, comment }): Body<Change>,
) -> Result<JsonResponse<Vec<ConfigEntry>>, Refusal> {
    let (team, actor) = (app.team()?, caller.actor(&comment)?);
    let event = Event::new(Kind::Config, Some(&runtime), Some(&version));
    let changed =
        team.ask(move |registry| registry.change_config(&actor, &runtime, &version, &values)).await?;
    team.tell(event);
    Ok(response::ok(changed))
}
