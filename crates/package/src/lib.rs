//! Reads, checks, packs and unpacks KRT v1 packages.
//!
//! A package is a folder, or a `.krt` archive of one, with a `krt.yml` at its root. [`load()`] turns
//! either into a [`Package`]: a checked [`Version`](krt_model::version::Version) with the compiled
//! [`Schema`] of its entrypoint. What is wrong with the author's files comes back as a [`Report`]
//! that names everything at once, with file and line.
//!
//! - [`manifest`]: `krt.yml`: the text, read and checked.
//! - [`schema`]: the package's `.proto` files, compiled.
//! - [`comments`]: what is said of messages there.
//! - [`archive`]: `.krt` files: packing, and unpacking what may be hostile.
//! - [`config`]: the values that come from outside.
//! - [`edit`]: changes to a `krt.yml` that leave the rest of it as it is.
//! - [`example`]: what a message may look like.
//! - [`suggest`]: which known word an unknown one may be.
//! - [`problem`]: what is wrong, where, and what to do; [`render`] shows it.
//!
//! Nothing here runs user code, opens a socket or needs an async runtime.

pub mod archive;
mod build;
mod check;
pub mod comments;
pub mod config;
pub mod edit;
pub mod example;
#[cfg(test)]
mod fixture;
mod load;
pub mod manifest;
pub mod problem;
pub mod render;
mod root;
pub mod schema;
pub mod suggest;
mod yaml;

pub use check::Target;
pub use load::{Checked, Error, Loader, Package, load};
pub use problem::{Problem, Report, Severity};
pub use schema::{Method, Schema};
