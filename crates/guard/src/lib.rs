//! Starts a program within limits, and ends every process that it started.
//!
//! The engine starts each worker through a *guard*, a process of its own (`krt worker`). The guard is the
//! subreaper of the worker: a process that leaves the worker's process group (`setsid`, a double fork) stays
//! below the guard, which kills it when the worker ends, when the engine asks for it, and when the engine is
//! gone.
//!
//! - [`wire`]: the protocol between the engine and a guard.
//! - [`run()`]: the guard itself.
//! - [`system`]: what differs between Linux and macOS: the processes below the guard, their memory, their end.
//! - [`cgroup`]: a control group of version 2 for each worker, where permitted.
//! - [`isolate`]: namespaces that limit a worker's view to its own package and processes.

pub mod cgroup;
mod control;
pub mod isolate;
mod run;
mod system;
pub mod wire;

pub use isolate::Isolation;
pub use run::{forked, inner, run};
pub use system::{Guards, Usage, free_memory, memory_below, program, usage_below, usage_of_self};
