//! The rows of KRT v1's tables, through the real `krt` and real clients.
//!
//! Each test starts `krt run` on a package of `packages/`, calls it as its users do, and ends it.
//! Ending it always checks that it exits well and that none of its processes is left. `/proc` tells
//! that, so these tests are for Linux.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chaos;
mod conformance;
mod connect;
mod context;
mod contract;
mod crowd;
mod dashboard;
mod discovery;
mod document;
mod documents;
mod early;
mod examples;
mod go;
mod hostile;
mod kill;
mod limits;
mod logs;
mod measurements;
mod metrics;
mod nats;
mod openid;
mod package;
mod plain;
mod predictions;
mod python;
mod records;
mod refusals;
mod remote;
mod runners;
mod rust;
mod schema;
mod script;
mod serve;
mod start;
mod statuses;
mod supervision;
mod support;
mod traces;
mod typed;
mod volume;
mod watch;
