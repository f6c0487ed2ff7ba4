//! A version's configuration.

use super::{
    App,
    caller::Caller,
    read::{Body, VersionPath},
    refusal::Refusal,
    response::{self, JsonResponse},
    wire,
};
use crate::{Backend, team::Event};
use axum::extract::State;
use krt_api::{
    config::{ConfigChange, ConfigEntry},
    event::EventKind,
};

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    VersionPath(runtime, version): VersionPath,
) -> Result<JsonResponse<Vec<ConfigEntry>>, Refusal> {
    match app.backend() {
        Backend::Team(team) => {
            let rows =
                team.with_registry(move |registry| registry.config(caller.role, &runtime, &version)).await?;
            Ok(response::ok(rows.into_iter().map(wire::config_entry).collect()))
        }
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
    Body(ConfigChange { values, comment }): Body<ConfigChange>,
) -> Result<JsonResponse<Vec<ConfigEntry>>, Refusal> {
    let (team, actor) = (app.team()?, caller.actor(&comment)?);
    let values = values.into_iter().map(|(name, value)| (name, value.map(|value| value.0))).collect();
    let event = Event::new(EventKind::Config, Some(&runtime), Some(&version));
    let changed = team
        .with_registry(move |registry| registry.change_config(&actor, &runtime, &version, &values))
        .await?;
    team.notify(event);
    Ok(response::ok(changed.into_iter().map(wire::config_entry).collect()))
}
