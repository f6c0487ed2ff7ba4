//! Checks that imports run one way, as ARCHITECTURE.md says.
//!
//! A workspace is parsed, and each path in it is followed to the module that defines what it names: through `use`, `use … as`,
//! `pub use`, globs, `self`, `super`, `crate` and the names of other crates. What stands between a module and what it
//! uses therefore hides nothing.
//!
//! - [`Workspace`]: the crates, with their modules and paths.
//! - [`rules`]: what may import what.
//! - [`Violation`]: an import that a rule forbids.
//!
//! Methods and fields that are reached without a path are not seen. Tests may import what they like, except across the
//! layers of a crate.

mod check;
mod cycles;
mod graph;
mod module;
mod parse;
mod references;
pub mod rules;
mod workspace;

pub use check::{Violation, violations};
pub use workspace::Workspace;
