//! Code shared by the tests.
//!
//! - [`actor`]: a package whose requests select what its node does.
//! - [`krt`]: runs the binary.
//! - [`service`]: a running service.
//! - [`lines`]: its standard error.
//! - [`grpc`]: a gRPC client that reads a package's `.proto`.
//! - [`http`]: a plain HTTP client.
//! - [`older`]: packages with executables of an older runner.
//! - [`otlp`]: a receiver of traces.
//! - [`person`]: a user of the commands for a team's server.
//! - [`processes`]: inspects processes in `/proc`.
//! - [`team`]: a team's server, and its API.
//! - [`terminal`]: a pseudo-terminal for commands.
//! - [`tls`]: self-signed certificates.
//! - [`runners`]: stand-ins for KRT v1's existing runners.
//! - [`scratch`]: files with which tests and handlers wait for each other.

pub(crate) mod actor;
mod copy;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod krt;
pub(crate) mod lines;
pub(crate) mod older;
pub(crate) mod otlp;
pub(crate) mod person;
pub(crate) mod processes;
pub(crate) mod runners;
pub(crate) mod scratch;
pub(crate) mod service;
pub(crate) mod team;
pub(crate) mod terminal;
pub(crate) mod tls;

pub(crate) use copy::Copy;
pub(crate) use grpc::assert_status;
pub(crate) use krt::Krt;
pub(crate) use service::Service;

use std::time::Duration;

/// The timeout for any expected event. Far longer than events take: a test exceeds it only if the event does
/// not happen at all.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(180);

/// The polling interval for states without an event.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Polls until `look` returns a value. `what` names it in the error.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let looking = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        let found = tokio::time::timeout(TIMEOUT, looking).await;
        found.unwrap_or_else(|_| panic!("{caller}: did not happen: {what}"))
    }
}
