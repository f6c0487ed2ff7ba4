//! Real servers for tests, each on a free port of the loopback, that end with the test.
//!
//! - [`MongoServer`] is FerretDB, which speaks MongoDB's protocol.
//! - [`InfluxServer`] is InfluxDB, as installed.
//! - [`NatsServer`] is NATS, as installed; a [`Link`] to it can be cut.
//! - [`OpenIdServer`] lets users in, as whoever they say they are.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod influx;
mod link;
mod mongo;
mod nats;
mod openid;

pub use influx::InfluxServer;
pub use link::Link;
pub use mongo::MongoServer;
pub use nats::{NatsAuth, NatsOptions, NatsServer, NatsTls};
pub use openid::OpenIdServer;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

/// Says that a test was skipped for want of a server, past the test harness's capture. Where servers
/// are said to be there, as CI does, it fails instead.
fn skipped(test: &str, missing: &str) {
    assert!(std::env::var_os("KRT_TEST_SERVERS").is_none(), "{test} needs {missing}");
    let _ = writeln!(std::io::stderr(), "skipped {test}: {missing} is missing");
}

/// Where the project's tools are built (see the Makefile).
fn tool(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("target/tools/bin").join(name);
    path.exists().then_some(path)
}
