//! Decides and makes what nodes run in: Python environments, and executables of Go and Rust sources.
//!
//! A node's `requirements.txt`, `pyproject.toml` or `Pipfile`, in the nearest folder upward, decides
//! which packages it sees; [`Environments::prepare`] makes an environment of it once, and finds it
//! again by content. A node without such a file runs in the user's own interpreter, as it is, if that
//! one has `protobuf`. The user's own interpreter is never changed. [`Executables::prepare`] builds nodes
//! in Go and Rust, and finds what was built again by content.
//!
//! - [`Environments`], [`Executables`]: the ways in.
//! - [`PythonChoice`]: which interpreter was asked for.
//! - [`Event`]: progress, for the command line to show.
//! - [`Sdk`]: an SDK that is embedded in the binary, laid down where a host can import it.
//! - [`Surroundings`]: the environment variables all this depends on.
//!
//! Inside: `plan` reads the user's files, `python` finds and asks interpreters, `install` runs the
//! installer, `cache` keeps what was made, `executables` builds. Nothing here writes to a terminal.

mod cache;
mod environments;
mod error;
mod event;
mod executables;
mod install;
mod key;
mod lock;
mod mask;
mod output;
mod plan;
mod process;
mod python;
mod sdk;
mod surroundings;

pub use cache::Cleaned;
pub use environments::{Environments, Interpreter, NodeSource};
pub use error::Error;
pub use event::{Event, Step, Tool};
pub use executables::{BuildError, Executable, ExecutableSource, Executables};
pub use pep440_rs::Version;
pub use python::PythonChoice;
pub use sdk::Sdk;
pub use surroundings::Surroundings;
