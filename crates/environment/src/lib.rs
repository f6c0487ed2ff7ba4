//! Prepares nodes' runtimes: Python environments, and executables from Go and Rust sources.
//!
//! A node's `requirements.txt`, `pyproject.toml` or `Pipfile`, in the nearest folder upward, decides its
//! packages; [`Environments::prepare`] creates an environment from it once, and finds it again by content. A
//! node without such a file runs in the user's own interpreter, if that has all its imports; otherwise it
//! gets the packages among them that KRT v1's images had. The user's own interpreter is never changed.
//! [`Executables::prepare`] builds nodes in Go and Rust, and finds executables again by content.
//!
//! - [`Environments`], [`Executables`]: the entry points.
//! - [`Environments::examine`]: finds imports that nothing provides, without starting nodes.
//! - [`PythonChoice`]: the user's choice of an interpreter.
//! - [`Event`]: progress, for the command line to show.
//! - [`Modules`]: the `*_pb2` modules of a package, as files.
//! - [`Sdk`]: an embedded SDK, extracted for workers to import.
//! - [`Program`]: finds a program of this machine, with its version.
//! - [`ProcessEnv`]: the environment variables that all this depends on.
//! - [`GroupGuard`]: ends installers and compilers with this process.
//!
//! Inside: `plan` reads the user's files, `imports` their sources, `need` compares the two, `python` finds
//! interpreters and queries them, `install` runs the installer, `cache` stores environments, `executables`
//! builds, `inherited` filters variables for child processes. Nothing here writes to a terminal.

mod cache;
mod environments;
mod error;
mod event;
mod executables;
mod extracted;
mod finding;
mod imports;
mod inherited;
mod install;
mod key;
mod lock;
mod mask;
mod modules;
mod need;
mod node_source;
mod output;
mod plan;
mod process;
mod process_env;
mod program;
mod python;
mod sdk;

pub use cache::Cleaned;
pub use environments::{Environments, Interpreter};
pub use error::Error;
pub use event::{Event, Step, Tool};
pub use executables::{BuildError, CodeFiles, Diagnostic, Executable, ExecutableSource, Executables};
pub use finding::Finding;
pub use imports::{DictUse, Location, dict_use};
pub use inherited::{Inherited, is_own};
pub use modules::Modules;
pub use node_source::NodeSource;
pub use pep440_rs::Version;
pub use plan::Files;
pub use process::GroupGuard;
pub use process_env::ProcessEnv;
pub use program::{FoundProgram, Program};
pub use python::PythonChoice;
pub use sdk::Sdk;
