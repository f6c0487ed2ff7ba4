//! Which version a request is for: the only one, or the one that its metadata lead to.

use super::{Door, body::Body, connect, directory::Directory, door::is_grpc, grpc, status};
use http::{Request, Response};
use hyper::body::Incoming;
use std::sync::Arc;
use tonic::Status;

/// What stands behind the port.
#[derive(Debug, Clone)]
pub enum Gate {
    /// One version.
    One(Arc<Door>),
    /// Many.
    Many(Arc<Directory>),
}

impl Gate {
    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match self {
            Self::One(door) => door.answer(request).await,
            Self::Many(directory) => match directory.find(&request).await {
                Ok(lease) => lease.door().answer(request).await,
                Err(refused) => refuse(&request, &refused),
            },
        }
    }
}

fn refuse(request: &Request<Incoming>, refused: &Status) -> Response<Body> {
    if is_grpc(request) {
        grpc::refuse(refused)
    } else {
        connect::refuse(status::http(refused.code()), refused)
    }
}
