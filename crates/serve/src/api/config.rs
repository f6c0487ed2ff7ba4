//! A version's configuration.

use super::{
    App,
    read::{Body, OfVersion},
    refusal::Refusal,
    told::{self, Told},
    who::Who,
};
use crate::{
    House,
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
    who: Who,
    OfVersion(runtime, version): OfVersion,
) -> Result<Told<Vec<ConfigEntry>>, Refusal> {
    match app.house() {
        House::Team(team) => {
            Ok(told::ok(team.ask(move |registry| registry.config(who.role, &runtime, &version)).await?))
        }
        // Its values come from the command line and are shown to nobody.
        House::Solo(_) => {
            app.house().version(&runtime, &version).await?;
            Ok(told::ok(Vec::new()))
        }
    }
}

pub(super) async fn change(
    State(app): State<App>,
    who: Who,
    OfVersion(runtime, version): OfVersion,
    Body(Change { values, comment }): Body<Change>,
) -> Result<Told<Vec<ConfigEntry>>, Refusal> {
    let (team, actor) = (app.team()?, who.actor(&comment)?);
    let event = Event::new(Kind::Config, Some(&runtime), Some(&version));
    let changed =
        team.ask(move |registry| registry.change_config(&actor, &runtime, &version, &values)).await?;
    team.tell(event);
    Ok(told::ok(changed))
}
