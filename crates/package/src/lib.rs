//! Reads, checks, packs and unpacks KRT v1 packages.
//!
//! A package is a folder, or a `.krt` archive of one, with a `krt.yml` at its root. [`load()`] turns either
//! into a [`Package`]: a checked [`Version`](krt_model::version::Version) with the compiled [`Schema`] of its
//! entrypoint. Errors in the author's files are returned as a [`Report`] that lists all of them at once, with
//! file and line.
//!
//! - [`manifest`]: reads and checks `krt.yml`.
//! - [`schema`]: compiles the package's `.proto` files.
//! - [`comments`]: the comments in them.
//! - [`reading`]: a read package, as one process passes it to another.
//! - [`archive`]: packs `.krt` files, and unpacks untrusted ones.
//! - [`Contents`]: the files of a package, with links resolved.
//! - [`config`]: the values that are set outside of the package.
//! - [`executable`]: the platform of an executable, and the runner that it was built with.
//! - [`open_inference`]: workflows as models of the Open Inference Protocol.
//! - [`edit`]: edits a `krt.yml` and preserves its formatting.
//! - [`example`]: example messages.
//! - [`samples`]: samples of a node's input, for `warmup`.
//! - [`suggest`]: the known word nearest to an unknown one.
//! - [`problem`]: problems with place and hint; [`render`] formats them.
//!
//! Nothing here runs user code, opens a socket or needs an async runtime.

pub mod archive;
mod build;
mod check;
pub mod comments;
pub mod config;
mod contents;
pub mod edit;
pub mod example;
pub mod executable;
#[cfg(test)]
mod fixture;
mod image;
mod link;
mod load;
pub mod manifest;
pub mod open_inference;
mod path;
pub mod problem;
pub mod reading;
pub mod render;
mod root;
pub mod samples;
pub mod schema;
mod step;
pub mod suggest;
mod target;
mod text;
mod transfer;
mod yaml;

pub use contents::Contents;
pub use load::{Checked, Error, Loader, Package, Read, ReaderExit, load};
pub use problem::{Problem, Report};
pub use schema::{Method, Schema};
pub use target::Target;
