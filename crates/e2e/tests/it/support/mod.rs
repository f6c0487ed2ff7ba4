//! What the tests share.
//!
//! - [`krt`]: the binary, as it is typed.
//! - [`service`]: a running one.
//! - [`lines`]: what it writes to standard error.
//! - [`grpc`]: a gRPC client that knows a package's `.proto`.
//! - [`http`]: a plain HTTP client.
//! - [`otlp`]: a receiver of traces.
//! - [`person`]: somebody who types commands that speak with a team's server.
//! - [`processes`]: what the system tells of processes.
//! - [`team`]: a team's server, and its API.
//! - [`tls`]: makes certificates of its own.
//! - [`runners`]: stand-ins of KRT v1's existing runners.
//! - [`scratch`]: files by which tests and handlers wait for each other.

mod copy;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod krt;
pub(crate) mod lines;
pub(crate) mod otlp;
pub(crate) mod person;
pub(crate) mod processes;
pub(crate) mod runners;
pub(crate) mod scratch;
pub(crate) mod service;
pub(crate) mod team;
pub(crate) mod tls;

pub(crate) use copy::Copy;
pub(crate) use grpc::assert_status;
pub(crate) use krt::Krt;
pub(crate) use service::Service;

use std::time::Duration;

/// How long anything may take that is expected to happen. Far above what it takes: a test fails by it
/// when the thing does not happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How often a state is looked at that cannot be waited for.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until something is there. `what` names it where it never comes.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let looking = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, looking).await;
        found.unwrap_or_else(|_| panic!("{caller}: did not happen: {what}"))
    }
}
