//! A server that records requests and sends prepared answers.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

/// A request as received.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

/// The server. Stops with the async runtime of its test.
pub(crate) struct Recorder {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<Recorded>>>,
}

impl Recorder {
    /// Answers with these status codes in order, then with 204.
    pub(crate) async fn start(answers: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let recorder = Self { port: listener.local_addr().unwrap().port(), requests: Arc::default() };
        let requests = Arc::clone(&recorder.requests);
        tokio::spawn(async move {
            loop {
                let stream = TokioIo::new(listener.accept().await.unwrap().0);
                let requests = Arc::clone(&requests);
                let serve = service_fn(move |request| answer(Arc::clone(&requests), request, answers));
                tokio::spawn(http1::Builder::new().serve_connection(stream, serve));
            }
        });
        recorder
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap().clone()
    }
}

async fn answer(
    requests: Arc<Mutex<Vec<Recorded>>>,
    request: Request<Incoming>,
    answers: &[u16],
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let authorization = parts.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let mut requests = requests.lock().unwrap();
    let status = answers.get(requests.len()).copied().unwrap_or(204);
    requests.push(Recorded { target: parts.uri.to_string(), authorization, body });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(response)
}
