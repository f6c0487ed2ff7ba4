//! Searches and follows logs.

use super::{
    App,
    caller::Caller,
    read::{Query, RuntimePath},
    refusal::Refusal,
    response::{self, JsonResponse},
};
use axum::{
    extract::State,
    response::{Response, sse::Event},
};
use futures::stream;
use http::HeaderMap;
use krt_api::{
    Time,
    log::{Log, LogPage},
};
use krt_model::{log::Level, name::Name};
use krt_registry::Timestamp;
use krt_store::{LogFilter, StoredLog};
use std::time::Duration;

/// The interval between polls for new records, and the most records of one poll.
const TICK: Duration = Duration::from_millis(500);
const BATCH: usize = 1000;
/// The longest text and the longest id in a query, in characters.
const MAX_TEXT: usize = 1000;
const MAX_ID: usize = 64;

fn shown(log: StoredLog) -> Log {
    let StoredLog { id, time, level, version, workflow, node, request, message } = log;
    Log { id, time: Time::from_nanos(time), level, version, workflow, node, request, message }
}

fn filter(query: &Query) -> Result<LogFilter, Refusal> {
    let name = |name| Ok::<_, Refusal>(query.name(name)?.map(|name| name.to_string()));
    Ok(LogFilter {
        text: query.short("text", MAX_TEXT)?.map(str::to_owned),
        level: query.parse::<Level>("level")?,
        version: name("version")?,
        workflow: name("workflow")?,
        node: name("node")?,
        request: query.short("request", MAX_ID)?.map(str::to_owned),
        ..LogFilter::default()
    })
}

pub(super) async fn search(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
    query: Query,
) -> Result<JsonResponse<LogPage>, Refusal> {
    let (span, limit) = (query.span()?, query.limit(1000, 200)?);
    let filter = LogFilter {
        from: span.from.map(Timestamp::nanos),
        to: span.to.map(Timestamp::nanos),
        before: query.parse("cursor")?,
        ..filter(&query)?
    };
    if filter.before.is_none() {
        // The newest records may still wait to be written.
        let stores = app.backend().stores(&runtime).await?;
        stores.store.flush().await.map_err(crate::Error::from)?;
    }
    let page = app.backend().read(&runtime, move |store| store.reader().logs(&filter, limit)).await?;
    let next = (page.records.len() == limit).then(|| page.records.first().map(|log| log.id.to_string()));
    let logs = page.records.into_iter().rev().map(shown).collect();
    Ok(response::ok(LogPage { logs, next: next.flatten() }))
}

/// The records of a request, oldest first.
pub(super) async fn of_request(
    app: &App,
    runtime: &Name,
    request: &str,
    limit: usize,
) -> Result<Vec<Log>, Refusal> {
    let filter = LogFilter { request: Some(request.to_owned()), ..LogFilter::default() };
    let page = app.backend().read(runtime, move |store| store.reader().logs(&filter, limit)).await?;
    Ok(page.records.into_iter().map(shown).collect())
}

pub(super) async fn tail(
    State(app): State<App>,
    caller: Caller,
    RuntimePath(runtime): RuntimePath,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let filter = filter(&query)?;
    let named = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let last = match named {
        Some(last) => last,
        None => newest(&app, &runtime).await?,
    };
    let follower = Follower { app: app.clone(), runtime, filter, last };
    let records = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((event, follower))
    });
    Ok(response::live(&app, &caller, records))
}

async fn newest(app: &App, runtime: &Name) -> Result<i64, Refusal> {
    let all = LogFilter::default();
    Ok(app.backend().read(runtime, move |store| store.reader().logs(&all, 1)).await?.last)
}

/// Follows the log of a runtime.
struct Follower {
    app: App,
    runtime: Name,
    filter: LogFilter,
    last: i64,
}

impl Follower {
    /// The next records; `None` when the runtime is gone.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::time::sleep(TICK).await;
            let stores = self.app.backend().stores(&self.runtime).await.ok()?;
            stores.store.flush().await.ok()?;
            let (last, filter) = (self.last, self.filter.clone());
            let page = self
                .app
                .backend()
                .read(&self.runtime, move |store| store.reader().logs_after(last, &filter, BATCH));
            let page = page.await.ok()?;
            self.last = page.last;
            if !page.records.is_empty() {
                let logs: Vec<_> = page.records.into_iter().map(shown).collect();
                return Some(response::event("logs", &logs).id(self.last.to_string()));
            }
        }
    }
}
