//! The socket to the engine.

use crate::wire::GuardMessage;
use std::{
    io::{self, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
};

/// The socket to the engine.
pub(crate) fn control() -> io::Result<UnixStream> {
    Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Writes one line. The engine may be gone.
pub(crate) fn send(control: &mut UnixStream, message: &GuardMessage) -> io::Result<()> {
    let line = serde_json::to_string(message)? + "\n";
    match control.write_all(line.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
