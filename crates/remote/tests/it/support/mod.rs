//! Real servers, each on a free port of the loopback, that end with the test.

pub(crate) mod influx;
pub(crate) mod mongo;
pub(crate) mod recorder;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

/// Says that a test was skipped for want of a server, past the test harness's capture. Where servers
/// are said to be there, as CI does, it fails instead.
pub(crate) fn skipped(test: &str, missing: &str) {
    assert!(std::env::var_os("KRT_TEST_SERVERS").is_none(), "{test} needs {missing}");
    let _ = writeln!(std::io::stderr(), "skipped {test}: {missing} is missing");
}

/// Where the project's tools are built (see the Makefile).
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("target/tools/bin").join(name);
    path.exists().then_some(path)
}
