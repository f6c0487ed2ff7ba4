//! The audit log.

use super::{
    App,
    read::Query,
    refusal::Refusal,
    response::{self, JsonResponse},
};
use axum::extract::State;
use krt_registry::{Action, AuditEntry, AuditFilter};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Page {
    entries: Vec<AuditEntry>,
    next: Option<String>,
}

pub(super) async fn list(State(app): State<App>, query: Query) -> Result<JsonResponse<Page>, Refusal> {
    let span = query.span()?;
    let filter = AuditFilter {
        login: query.short("login", 64)?.map(str::to_owned),
        action: query.with("action", Action::parse)?,
        runtime: query.name("runtime")?,
        version: query.name("version")?,
        from: span.from,
        to: span.to,
        before: query.parse("cursor")?,
    };
    let limit = query.limit(500, 100)?;
    let entries = app.team()?.ask(move |registry| registry.audit(&filter, limit)).await?;
    let next = (entries.len() == limit).then(|| entries.last().map(|entry| entry.id.to_string())).flatten();
    Ok(response::ok(Page { entries, next }))
}
