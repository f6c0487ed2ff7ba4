//! Inspects a node's executable: its platform, and the older runner that it was built with.
//!
//! - [`format`](mod@format): the first bytes, which identify the platform.
//! - [`modules`]: the list of modules that Go embeds in executables.
//! - [`runner`]: the older runners of KRT v1 among them.

mod format;
mod modules;
mod runner;

pub use format::{Foreign, System};
pub use runner::{DetectedRunner, Unsupported};

use std::{fs, io, path::Path};

/// The most bytes searched.
const MAX_SEARCHED: u64 = 1 << 30;

/// The kind of an executable.
#[derive(Debug, PartialEq, Eq)]
pub enum Executable {
    /// Built with an older runner.
    Older(DetectedRunner),
    /// Built with a runner whose protocol is not supported.
    Unsupported(Unsupported),
    /// Built for another platform.
    Foreign(Foreign),
    /// Anything else: built with our own SDK, a script, or any other program that speaks the node protocol.
    Other,
}

/// Inspects a file. `system` is the required platform, if any.
pub fn inspect(path: &Path, system: Option<System>) -> io::Result<Executable> {
    let size = fs::metadata(path)?.len();
    if size > MAX_SEARCHED {
        return Ok(Executable::Other);
    }
    Ok(classify(&fs::read(path)?, system))
}

/// Classifies the bytes of a file.
fn classify(bytes: &[u8], system: Option<System>) -> Executable {
    let Some(format) = format::Format::of(bytes) else { return Executable::Other };
    if let Some(foreign) = system.and_then(|system| format.foreign(system)) {
        return Executable::Foreign(foreign);
    }
    match runner::find(bytes) {
        Some(Ok(found)) => Executable::Older(found),
        Some(Err(unsupported)) => Executable::Unsupported(unsupported),
        None => Executable::Other,
    }
}
