//! Posts lines to InfluxDB and interprets its answers.

use super::target::Target;
use crate::https::{AUTHORITY_HINT, https};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use krt_model::{certificate, hint};
use std::{io, time::Duration};

/// The timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes read of an answer.
const MAX_ANSWER: usize = 16 << 10;

/// Why lines were not written.
#[derive(Debug)]
pub(super) enum Failure {
    /// InfluxDB refuses some of them; a retry does not help.
    Refused {
        /// The number of refused points; `None`: all.
        points: Option<u64>,
        /// The server's reason.
        reason: String,
    },
    /// InfluxDB is unavailable; a retry may help.
    Away {
        /// What is wrong.
        reason: String,
    },
}

/// A client of one server.
#[derive(Debug)]
pub(super) struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    target: Target,
}

impl Failure {
    /// Why.
    pub(super) fn into_reason(self) -> String {
        match self {
            Self::Refused { reason, .. } | Self::Away { reason } => reason,
        }
    }
}

impl Client {
    /// Builds the client; opens no connection yet.
    pub(super) fn new(target: Target) -> io::Result<Self> {
        Ok(Self { http: HttpClient::builder(TokioExecutor::new()).build(https()?), target })
    }

    /// Writes lines, and creates the database first if it is missing.
    pub(super) async fn write(&self, lines: Bytes) -> Result<(), Failure> {
        let (status, answer) = self.post(&self.target.write, lines.clone()).await?;
        let Some(create) = self.target.create.as_ref().filter(|_| status == StatusCode::NOT_FOUND) else {
            return interpret(status, &answer);
        };
        let (status, answer) = self.post(create, Bytes::new()).await?;
        interpret(status, &answer)?;
        let (status, answer) = self.post(&self.target.write, lines).await?;
        interpret(status, &answer)
    }

    /// Deletes the database, where a single request can. A missing one is no error.
    pub(super) async fn delete(&self) -> Result<(), Failure> {
        let Some(delete) = &self.target.delete else { return Ok(()) };
        let (status, answer) = self.post(delete, Bytes::new()).await?;
        interpret(status, &answer)?;
        match error_of(&answer) {
            Some(reason) => Err(Failure::Refused { points: None, reason }),
            None => Ok(()),
        }
    }

    async fn post(&self, uri: &Uri, body: Bytes) -> Result<(StatusCode, String), Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        if let Some(value) = &self.target.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, value.clone());
        }
        let exchange = async {
            let answer = self.http.request(request).await.map_err(|error| explain(hint::messages(&error)))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
            // The status suffices if the body is too long.
            let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
            Ok((status, text.unwrap_or_default()))
        };
        let answered = tokio::time::timeout(TIMEOUT, exchange).await;
        let late = |_| Err(format!("no answer within {} s", TIMEOUT.as_secs()));
        answered.unwrap_or_else(late).map_err(|reason| Failure::Away { reason })
    }
}

/// Interprets an answer.
fn interpret(status: StatusCode, answer: &str) -> Result<(), Failure> {
    let answer = answer.trim();
    let reason = format!("{status}: {answer}").trim_end_matches([':', ' ']).to_owned();
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Err(Failure::Refused { points: dropped(answer), reason })
        }
        _ => Err(Failure::Away { reason }),
    }
}

/// The number of points that the server reports as dropped.
fn dropped(answer: &str) -> Option<u64> {
    let (_, count) = answer.rsplit_once("dropped=")?;
    count.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok()
}

/// The error of a query, whose status is a success.
fn error_of(answer: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(answer).ok()?;
    answer["results"].as_array()?.iter().find_map(|result| result["error"].as_str()).map(str::to_owned)
}

/// A reason with what to do about it, where it is about a certificate.
fn explain(reason: String) -> String {
    let hint = certificate::hint(&reason, AUTHORITY_HINT);
    hint::on_one_line(reason, hint.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let cases = [
            (204, "", "Ok(())"),
            (
                400,
                r#"{"error":"partial write: field type conflict dropped=3"}"#,
                "Refused { points: Some(3),",
            ),
            (400, r#"{"error":"unable to parse"}"#, "Refused { points: None,"),
            (413, "", r#"reason: "413 Payload Too Large" "#),
            (401, "", "Away"),
            (404, "database not found", r#"Away { reason: "404 Not Found: database not found" }"#),
            (429, "", "Away"),
            (503, "", "Away"),
        ];
        for (status, answer, part) in cases {
            let judged = format!("{:?}", interpret(StatusCode::from_u16(status).unwrap(), answer));
            assert!(judged.contains(part), "{status}: {judged}");
        }
    }
}
