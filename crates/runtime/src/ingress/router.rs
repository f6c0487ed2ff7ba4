//! Routes a request to its version: the only one, or the one that its metadata name.

use super::{
    Ingress,
    body::Body,
    browsers::{self, Refused, Rules},
    connect,
    directory::{Directory, FoundVersion},
    grpc, open_inference,
    peer::Excess,
    service::is_grpc,
    status,
    upstream::{Upstream, UpstreamState},
};
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use krt_model::{hint, outcome::Failure};
use std::sync::Arc;
use tonic::Status;

/// The unary method of `grpc.health.v1`.
const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// A `HealthCheckResponse` whose status is NOT_SERVING.
const NOT_SERVING: Bytes = Bytes::from_static(&[0x08, 0x02]);

/// The versions behind the port, and the browsers that may reach it.
#[derive(Debug, Clone)]
pub struct VersionRouter {
    backend: Backend,
    rules: Arc<Rules>,
}

#[derive(Debug, Clone)]
enum Backend {
    /// One version, which may not be up.
    One(Arc<Upstream>),
    /// Many versions.
    Many(Arc<Directory>),
}

impl VersionRouter {
    /// Routes to one version.
    pub fn one(upstream: Arc<Upstream>, rules: Rules) -> Self {
        Self { backend: Backend::One(upstream), rules: Arc::new(rules) }
    }

    /// Routes to many versions.
    pub fn many(directory: Arc<Directory>, rules: Rules) -> Self {
        Self { backend: Backend::Many(directory), rules: Arc::new(rules) }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let vary = browsers::is_cacheable(request.method());
        let cors = match self.rules.check(&request, |host| self.backend.is_known(host)) {
            Ok(Some(cors)) if cors.is_preflight() => return cors.preflight(),
            Ok(cors) => cors,
            Err(refused) => return forbid(&request, &refused),
        };
        let mut response = self.backend.answer(request).await;
        match cors {
            Some(cors) => cors.share(response.headers_mut()),
            None if vary => browsers::vary(response.headers_mut()),
            None => {}
        }
        response
    }

    /// Answers a request on a connection without room: health checks as usual, anything else with an error.
    pub(super) async fn reject(&self, request: Request<Incoming>, excess: Excess) -> Response<Body> {
        if is_grpc(&request) && request.uri().path() == HEALTH {
            return self.answer(request).await;
        }
        refuse(&request, &Status::unavailable(hint::line(&excess)))
    }
}

impl Backend {
    /// Returns whether a host name belongs to one of many versions.
    fn is_known(&self, host: &str) -> bool {
        match self {
            Self::One(_) => false,
            Self::Many(directory) => directory.has_host(host),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match self {
            Self::One(upstream) => answer_one(&upstream.state(), request).await,
            Self::Many(directory) => match directory.find(&request).await {
                Ok((FoundVersion::Running(lease), ended)) => {
                    lease.ingress().answer(request).await.map(|body| body.until(ended))
                }
                Ok((FoundVersion::Starting(status), _)) => refuse_without(&request, &status),
                Err(refused) => refuse(&request, &refused),
            },
        }
    }
}

/// Refuses a request that a browser must not send.
fn forbid(request: &Request<Incoming>, refused: &Refused) -> Response<Body> {
    let mut response = refuse(request, &Status::permission_denied(hint::line(refused)));
    browsers::vary(response.headers_mut());
    response
}

async fn answer_one(state: &UpstreamState, request: Request<Incoming>) -> Response<Body> {
    match state {
        UpstreamState::Running(ingress) => Ingress::answer(ingress, request).await,
        UpstreamState::Starting => refuse_without(&request, &not_serving("starting")),
        UpstreamState::Stopped => refuse_without(&request, &not_serving("stopping")),
        UpstreamState::Failed => {
            let status = Status::unavailable("the service did not start: its log says why");
            refuse_without(&request, &status)
        }
    }
}

fn not_serving(state: &'static str) -> Status {
    status::of_failure(&Failure::NotServing { state })
}

/// Returns the answer when no version is up to give one.
fn refuse_without(request: &Request<Incoming>, status: &Status) -> Response<Body> {
    if !is_grpc(request) || request.uri().path() != HEALTH {
        return refuse(request, status);
    }
    grpc::one(NOT_SERVING)
}

fn refuse(request: &Request<Incoming>, refused: &Status) -> Response<Body> {
    if is_grpc(request) {
        grpc::refuse(refused)
    } else if open_inference::is_path(request.uri().path()) {
        open_inference::refuse_rest(refused)
    } else {
        connect::refuse(status::http(refused.code()), refused)
    }
}
