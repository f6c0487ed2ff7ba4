//! Systems without namespaces, where `krt serve --isolate` does not start.

use super::Isolation;
use std::{io, process::Command};

impl Isolation {
    /// Fails.
    pub fn enter(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Fails.
    pub(crate) fn finish(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Is not reached: [`finish`](Self::finish) fails first.
    pub(crate) fn give_up_rights(&self, _command: &mut Command) {}
}
