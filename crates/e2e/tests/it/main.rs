//! The rows of KRT v1's tables, with the real `krt` and real clients.
//!
//! Each test starts `krt run` on a package of `packages/`, calls it like a user, and stops it. Stopping
//! always checks that it exits successfully and leaves no processes. This uses `/proc`, so these tests
//! require Linux.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attacks;
mod backup;
mod batches;
mod cache;
mod chaos;
mod conformance;
mod connect;
mod context;
mod contract;
mod crowd;
mod dashboard;
mod descriptors;
mod discovery;
mod document;
mod documents;
mod early;
mod examples;
mod first_runners;
mod forks;
mod go;
mod gpus;
mod hostile;
mod imports;
mod init;
mod kill;
mod killed;
mod limits;
mod links;
mod logs;
mod measurements;
mod metrics;
mod nats;
mod older;
mod open_inference;
mod openid;
mod package;
mod pairs;
mod plain;
mod predictions;
mod priority;
mod python;
mod records;
mod recycle;
mod refusals;
mod remote;
mod retire;
mod runners;
mod rust;
mod scaling;
mod schema;
mod script;
mod serve;
mod served;
mod soak;
mod start;
mod starting;
mod statuses;
mod streams;
mod supervision;
mod support;
mod tls;
mod traces;
mod typed;
mod volume;
mod warmup;
mod watch;
