//! Versions: uploaded, started, published.

use super::{
    App,
    read::{Body, OfRuntime, OfVersion, Query, require_type},
    refusal::{Code, Refusal},
    told::{self, Told},
    who::Who,
};
use crate::team::{Incoming, UploadError};
use axum::{
    body::Body as Stream,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use futures::TryStreamExt as _;
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE},
};
use krt_registry::{Version, state::Ask};
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

const PACKAGE: &str = "application/octet-stream";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Comment {
    #[serde(default)]
    comment: String,
}

pub(super) async fn list(
    State(app): State<App>,
    OfRuntime(runtime): OfRuntime,
) -> Result<Told<Vec<Version>>, Refusal> {
    Ok(told::ok(app.house().versions(&runtime).await?))
}

pub(super) async fn show(
    State(app): State<App>,
    OfVersion(runtime, version): OfVersion,
) -> Result<Told<Version>, Refusal> {
    Ok(told::ok(app.house().version(&runtime, &version).await?))
}

pub(super) async fn create(
    State(app): State<App>,
    who: Who,
    OfRuntime(runtime): OfRuntime,
    query: Query,
    request: Request,
) -> Result<Told<Version>, Refusal> {
    let team = app.team()?;
    app.house().runtime(&runtime).await?;
    require_type(&request, PACKAGE)?;
    let limit = team.max_package();
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|size: u64| size > limit) {
        return Err(too_large(limit));
    }
    let incoming = team.incoming().map_err(UploadError::from)?;
    write(&incoming, request.into_body(), limit).await?;
    let actor = who.actor(query.text("comment").unwrap_or_default())?;
    let version = team.create_version(actor, runtime, incoming).await?;
    Ok(Told(StatusCode::CREATED, version))
}

fn too_large(limit: u64) -> Refusal {
    Refusal::new(Code::TooLarge, format!("the package has more than {limit} bytes"))
}

/// Writes a body to where a package comes in.
async fn write(incoming: &Incoming, body: Stream, limit: u64) -> Result<(), Refusal> {
    let mut file = tokio::fs::File::create(incoming.archive()).await.map_err(UploadError::from)?;
    let mut chunks = body.into_data_stream();
    let mut size = 0;
    while let Some(chunk) = chunks.try_next().await.map_err(|_| Refusal::invalid("the body broke off"))? {
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_large(limit));
        }
        file.write_all(&chunk).await.map_err(UploadError::from)?;
    }
    file.flush().await.map_err(UploadError::from)?;
    Ok(())
}

pub(super) async fn package(
    State(app): State<App>,
    OfVersion(runtime, version): OfVersion,
) -> Result<Response, Refusal> {
    app.house().version(&runtime, &version).await?;
    let path = app.team()?.registry().folder().version(&runtime, &version).archive();
    let file = tokio::fs::File::open(path).await.map_err(|_| Refusal::missing("package of the version"))?;
    let mut response = Stream::from_stream(ReaderStream::new(file)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PACKAGE));
    let name = format!("attachment; filename=\"{version}.krt\"");
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&name).expect("names are plain"));
    Ok(response)
}

async fn ask(
    app: &App,
    who: &Who,
    OfVersion(runtime, version): OfVersion,
    comment: &str,
    ask: Ask,
) -> Result<Version, Refusal> {
    Ok(app.team()?.change(who.actor(comment)?, runtime, version, ask).await?)
}

pub(super) async fn start(
    State(app): State<App>,
    who: Who,
    of: OfVersion,
    Body(Comment { comment }): Body<Comment>,
) -> Result<Told<Version>, Refusal> {
    Ok(Told(StatusCode::ACCEPTED, ask(&app, &who, of, &comment, Ask::Start).await?))
}

pub(super) async fn stop(
    State(app): State<App>,
    who: Who,
    of: OfVersion,
    Body(Comment { comment }): Body<Comment>,
) -> Result<Told<Version>, Refusal> {
    Ok(Told(StatusCode::ACCEPTED, ask(&app, &who, of, &comment, Ask::Stop).await?))
}

pub(super) async fn publish(
    State(app): State<App>,
    who: Who,
    of: OfVersion,
    Body(Comment { comment }): Body<Comment>,
) -> Result<Told<Version>, Refusal> {
    Ok(told::ok(ask(&app, &who, of, &comment, Ask::Publish).await?))
}

pub(super) async fn unpublish(
    State(app): State<App>,
    who: Who,
    of: OfVersion,
    Body(Comment { comment }): Body<Comment>,
) -> Result<Told<Version>, Refusal> {
    Ok(told::ok(ask(&app, &who, of, &comment, Ask::Unpublish).await?))
}

pub(super) async fn delete(
    State(app): State<App>,
    who: Who,
    of: OfVersion,
    query: Query,
) -> Result<StatusCode, Refusal> {
    ask(&app, &who, of, query.text("comment").unwrap_or_default(), Ask::Delete).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn roll_back(
    State(app): State<App>,
    who: Who,
    OfRuntime(runtime): OfRuntime,
    Body(Comment { comment }): Body<Comment>,
) -> Result<Told<Version>, Refusal> {
    Ok(Told(StatusCode::ACCEPTED, app.team()?.roll_back(who.actor(&comment)?, runtime).await?))
}
