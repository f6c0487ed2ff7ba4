//! Uploads, starts and publishes versions.

use super::{
    App,
    caller::Caller,
    read::{Body, Query, RuntimePath, VersionPath, require_type},
    refusal::{Code, Refusal},
    response::{self, JsonResponse},
    wire,
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
use krt_api::version::{Comment, Version};
use krt_model::team::VersionAction;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

const PACKAGE: &str = "application/octet-stream";

pub(super) async fn list(
    State(app): State<App>,
    RuntimePath(runtime): RuntimePath,
) -> Result<JsonResponse<Vec<Version>>, Refusal> {
    let versions = app.backend().versions(&runtime).await?;
    Ok(response::ok(versions.into_iter().map(wire::version).collect()))
}

pub(super) async fn show(
    State(app): State<App>,
    VersionPath(runtime, version): VersionPath,
) -> Result<JsonResponse<Version>, Refusal> {
    Ok(response::ok(wire::version(app.backend().version(&runtime, &version).await?)))
}

pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    RuntimePath(runtime): RuntimePath,
    query: Query,
    request: Request,
) -> Result<JsonResponse<Version>, Refusal> {
    let team = app.team()?;
    app.backend().runtime(&runtime).await?;
    require_type(&request, PACKAGE)?;
    let limit = team.max_package();
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|size: u64| size > limit) {
        return Err(too_large(limit));
    }
    let incoming = team.incoming().map_err(UploadError::from)?;
    write(&incoming, request.into_body(), limit).await?;
    let actor = caller.actor(query.text("comment").unwrap_or_default())?;
    let version = team.create_version(actor, runtime, incoming).await?;
    Ok(JsonResponse(StatusCode::CREATED, wire::version(version)))
}

fn too_large(limit: u64) -> Refusal {
    Refusal::new(Code::TooLarge, format!("the package has more than {limit} bytes"))
}

/// Writes a body to the archive of an upload.
async fn write(incoming: &Incoming, body: Stream, limit: u64) -> Result<(), Refusal> {
    let mut file = tokio::fs::File::create(incoming.archive()).await.map_err(UploadError::from)?;
    let mut chunks = body.into_data_stream();
    let mut size = 0;
    while let Some(chunk) = chunks.try_next().await.map_err(|_| Refusal::invalid("the body ended early"))? {
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
    VersionPath(runtime, version): VersionPath,
) -> Result<Response, Refusal> {
    app.backend().version(&runtime, &version).await?;
    let path = app.team()?.registry().folder().version(&runtime, &version).archive();
    let file = tokio::fs::File::open(path).await.map_err(|_| Refusal::missing("package of the version"))?;
    let mut response = Stream::from_stream(ReaderStream::new(file)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PACKAGE));
    let name = format!("attachment; filename=\"{version}.krt\"");
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&name).expect("names are plain"));
    Ok(response)
}

async fn act(
    app: &App,
    caller: &Caller,
    VersionPath(runtime, version): VersionPath,
    comment: &str,
    action: VersionAction,
) -> Result<Version, Refusal> {
    Ok(wire::version(app.team()?.change(caller.actor(comment)?, runtime, version, action).await?))
}

pub(super) async fn start(
    State(app): State<App>,
    caller: Caller,
    of: VersionPath,
    Body(Comment { comment }): Body<Comment>,
) -> Result<JsonResponse<Version>, Refusal> {
    Ok(JsonResponse(StatusCode::ACCEPTED, act(&app, &caller, of, &comment, VersionAction::Start).await?))
}

pub(super) async fn stop(
    State(app): State<App>,
    caller: Caller,
    of: VersionPath,
    Body(Comment { comment }): Body<Comment>,
) -> Result<JsonResponse<Version>, Refusal> {
    Ok(JsonResponse(StatusCode::ACCEPTED, act(&app, &caller, of, &comment, VersionAction::Stop).await?))
}

pub(super) async fn publish(
    State(app): State<App>,
    caller: Caller,
    of: VersionPath,
    Body(Comment { comment }): Body<Comment>,
) -> Result<JsonResponse<Version>, Refusal> {
    Ok(response::ok(act(&app, &caller, of, &comment, VersionAction::Publish).await?))
}

pub(super) async fn unpublish(
    State(app): State<App>,
    caller: Caller,
    of: VersionPath,
    Body(Comment { comment }): Body<Comment>,
) -> Result<JsonResponse<Version>, Refusal> {
    Ok(response::ok(act(&app, &caller, of, &comment, VersionAction::Unpublish).await?))
}

pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    of: VersionPath,
    query: Query,
) -> Result<StatusCode, Refusal> {
    act(&app, &caller, of, query.text("comment").unwrap_or_default(), VersionAction::Delete).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn roll_back(
    State(app): State<App>,
    caller: Caller,
    RuntimePath(runtime): RuntimePath,
    Body(Comment { comment }): Body<Comment>,
) -> Result<JsonResponse<Version>, Refusal> {
    let version = app.team()?.roll_back(caller.actor(&comment)?, runtime).await?;
    Ok(JsonResponse(StatusCode::ACCEPTED, wire::version(version)))
}
