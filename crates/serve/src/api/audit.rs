//! The audit log.

use super::{
    App,
    read::Query,
    refusal::Refusal,
    response::{self, JsonResponse},
    wire,
};
use axum::extract::State;
use krt_api::audit::AuditPage;
use krt_model::team::AuditAction;
use krt_registry::AuditFilter;

pub(super) async fn list(State(app): State<App>, query: Query) -> Result<JsonResponse<AuditPage>, Refusal> {
    let span = query.span()?;
    let filter = AuditFilter {
        login: query.short("login", 64)?.map(str::to_owned),
        action: query.with("action", AuditAction::parse)?,
        runtime: query.name("runtime")?,
        version: query.name("version")?,
        from: span.from,
        to: span.to,
        before: query.parse("cursor")?,
    };
    let limit = query.limit(500, 100)?;
    let entries = app.team()?.with_registry(move |registry| registry.audit(&filter, limit)).await?;
    let next = (entries.len() == limit).then(|| entries.last().map(|entry| entry.id.to_string())).flatten();
    let entries = entries.into_iter().map(wire::audit_entry).collect();
    Ok(response::ok(AuditPage { entries, next }))
}
