//! A package's documentation and its images.

use super::{
    App,
    read::{LastSegment, VersionPath},
    refusal::Refusal,
    response::{self, JsonResponse},
};
use crate::{blocking, docs, team::README};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};
use krt_api::docs::Docs;
use std::{fs::File, io::Read as _, path::Path};

/// The largest text and the largest image that are served, in bytes.
const MAX_TEXT: u64 = 1 << 20;
const MAX_IMAGE: u64 = 16 << 20;

pub(super) async fn show(
    State(app): State<App>,
    VersionPath(runtime, version): VersionPath,
) -> Result<JsonResponse<Docs>, Refusal> {
    let package = app.backend().package(&runtime, &version).await?;
    let files = format!("/api/v1/runtimes/{runtime}/versions/{version}/docs/files");
    let shown = blocking::run(move || {
        let text = read(&package.root, Path::new(README), MAX_TEXT)?;
        Some(docs::render(&String::from_utf8_lossy(&text), &files))
    });
    shown
        .await
        .map(response::ok)
        .ok_or_else(|| Refusal::missing("documentation: the package has no `docs/README.md`"))
}

pub(super) async fn file(
    State(app): State<App>,
    VersionPath(runtime, version): VersionPath,
    LastSegment(path): LastSegment,
) -> Result<Response, Refusal> {
    let missing = || Refusal::missing("such image");
    let path = docs::inside(&path).ok_or_else(missing)?;
    let kind = docs::image(&path).ok_or_else(missing)?;
    let package = app.backend().package(&runtime, &version).await?;
    let content = blocking::run(move || read(&package.root, &Path::new("docs").join(path), MAX_IMAGE));
    let content = content.await.ok_or_else(missing)?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("private, max-age=300")),
        // An SVG that is opened on its own is sandboxed.
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
            ),
        ),
    ];
    Ok((headers, content).into_response())
}

/// Reads a file below the package's `docs`; links that lead outside are not followed.
fn read(root: &Path, path: &Path, limit: u64) -> Option<Vec<u8>> {
    let docs = root.join("docs").canonicalize().ok()?;
    let path = root.join(path).canonicalize().ok()?;
    if !path.starts_with(docs) {
        return None;
    }
    let mut content = Vec::new();
    File::open(path).ok()?.take(limit + 1).read_to_end(&mut content).ok()?;
    (content.len() as u64 <= limit).then_some(content)
}
