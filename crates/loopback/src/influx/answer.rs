//! The answers to clients, in InfluxDB's format.

use super::{
    Shared,
    body::{self, BodyError},
    line,
    target::{self, Endpoint, Precision, Refusal},
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::body::Incoming;
use krt_model::hint;
use krt_store::Store;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

/// The emulated version of InfluxDB: the last one with both kinds of endpoints.
const VERSION: &str = "1.8.10";
/// The bytes of lines after which the store is flushed, so that its buffer does not overflow.
const FLUSH_EVERY: usize = 128 << 10;
/// The most reasons in an answer.
const MAX_REASONS: usize = 10;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("krt's embedded store answers no queries over this protocol")]
#[diagnostic(help("`krt data measurements`, or the dashboard"))]
struct NoQueries;

/// The result of writing a body's points.
#[derive(Debug, Default)]
struct WriteResult {
    points: usize,
    /// Lines that do not parse.
    unread: usize,
    /// Points that the store refuses.
    dropped: usize,
    reasons: Vec<String>,
}

pub(super) async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let asked = target::endpoint(request.method(), request.uri(), request.headers(), &shared.secret);
    match asked {
        Ok(Endpoint::Ping) => empty(StatusCode::NO_CONTENT),
        Ok(Endpoint::Health) => {
            let health = json!({
                "name": "influxdb", "message": "ready for writes", "status": "pass", "checks": [], "version": VERSION,
            });
            with_json(StatusCode::OK, &health)
        }
        Ok(Endpoint::Create) => with_json(StatusCode::OK, &json!({ "results": [{ "statement_id": 0 }] })),
        Ok(Endpoint::Query) => failure(StatusCode::NOT_IMPLEMENTED, &hint::line(&NoQueries)),
        Ok(Endpoint::Write { precision }) => write(shared, precision, request).await,
        Err(refusal) => failure(status(&refusal), &hint::line(&refusal)),
    }
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Unauthorized => StatusCode::UNAUTHORIZED,
        Refusal::Path { .. } => StatusCode::NOT_FOUND,
        Refusal::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::Missing { .. } | Refusal::Precision { .. } => StatusCode::BAD_REQUEST,
    }
}

async fn write(shared: &Shared, precision: Precision, request: Request<Incoming>) -> Response<Full<Bytes>> {
    // Held until the points are stored: bodies are large.
    let _permit = shared.budget.acquire().await;
    match body::read(request).await {
        Ok(body) => written(&store_lines(&shared.store, precision, &body).await),
        Err(error) => {
            let status = match &error {
                BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                BodyError::Late => StatusCode::REQUEST_TIMEOUT,
                BodyError::Encoding { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                BodyError::Broken | BodyError::Gzip { .. } => StatusCode::BAD_REQUEST,
            };
            failure(status, &hint::line(&error))
        }
    }
}

async fn store_lines(store: &Store, precision: Precision, body: &[u8]) -> WriteResult {
    let (mut written, mut bytes) = (WriteResult::default(), 0);
    let (now, each) = (now(), body.len() / body.iter().filter(|&&byte| byte == b'\n').count().max(1));
    for line in line::lines(body, precision) {
        match line.map(|line| line.point(now, |point| store.measure(point))) {
            Ok(Ok(())) => written.points += 1,
            Ok(Err(error)) => {
                written.dropped += 1;
                written.reasons.push(hint::line(&error));
            }
            Err(error) => {
                written.unread += 1;
                written.reasons.push(error.to_string());
            }
        }
        written.reasons.truncate(MAX_REASONS);
        bytes += each;
        if bytes >= FLUSH_EVERY {
            bytes = 0;
            // A closed store counts its drops.
            let _ = store.flush().await;
        }
    }
    written
}

fn written(written: &WriteResult) -> Response<Full<Bytes>> {
    let WriteResult { points, unread, dropped, reasons } = written;
    if unread + dropped == 0 {
        return empty(StatusCode::NO_CONTENT);
    }
    let mut reason = reasons.join("\n");
    let more = (unread + dropped).saturating_sub(reasons.len());
    if more > 0 {
        reason = format!("{reason}\nand {more} more");
    }
    match points + dropped {
        0 => failure(StatusCode::BAD_REQUEST, &reason),
        _ => failure(StatusCode::BAD_REQUEST, &format!("partial write: {reason} dropped={dropped}")),
    }
}

/// The current time, in nanoseconds since the Unix epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    respond(status, Bytes::new())
}

fn with_json(status: StatusCode, value: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = respond(status, Bytes::from(value.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An error in a form that clients of both versions understand.
fn failure(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let code = match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::NOT_FOUND => "not found",
        StatusCode::METHOD_NOT_ALLOWED => "method not allowed",
        StatusCode::PAYLOAD_TOO_LARGE => "request too large",
        StatusCode::NOT_IMPLEMENTED => "not implemented",
        _ => "invalid",
    };
    let mut response = with_json(status, &json!({ "error": message, "code": code, "message": message }));
    let line = message.replace(|char: char| char.is_control(), " ");
    if let Ok(line) = HeaderValue::from_bytes(line.as_bytes()) {
        response.headers_mut().insert("X-Influxdb-Error", line);
    }
    response
}

fn respond(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("X-Influxdb-Version", HeaderValue::from_static(VERSION));
    headers.insert("X-Influxdb-Build", HeaderValue::from_static("OSS"));
    response
}
