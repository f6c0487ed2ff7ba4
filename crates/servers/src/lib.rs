//! Real servers for tests, each on a free port of the loopback, that end with the test.
//!
//! - [`MongoServer`] is FerretDB, which speaks MongoDB's protocol.
//! - [`InfluxServer`] is InfluxDB, as installed.
//! - [`NatsServer`] is NATS, as installed; tests can cut a [`Link`] to it.
//! - [`mod@python`] is no server: an environment with clients for Python.
//! - [`OpenIdServer`] signs users in under any name, without a password.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod influx;
mod link;
mod mongo;
mod nats;
mod openid;
mod python;

pub use influx::InfluxServer;
pub use link::Link;
pub use mongo::MongoServer;
pub use nats::{NatsAuth, NatsMember, NatsOptions, NatsServer, NatsTls};
pub use openid::OpenIdServer;
pub use python::{python, succeed};

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

/// Prints that a test was skipped because something is missing, past the test harness's capture. Fails
/// instead if the environment declares that all servers are installed, as CI does.
pub fn skipped(test: &str, missing: &str) {
    assert!(std::env::var_os("KRT_TEST_SERVERS").is_none(), "{test} needs {missing}");
    #[expect(clippy::disallowed_methods, reason = "it names tests and servers of our own")]
    let _ = writeln!(std::io::stderr(), "skipped {test}: {missing} is missing");
}

/// The path of a tool that the project builds (see the Makefile).
fn tool(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("target/tools/bin").join(name);
    path.exists().then_some(path)
}
