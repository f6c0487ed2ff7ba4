//! Results, on standard output: nothing else goes there.

use crate::terminal;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

/// Whoever read the results has left, as `head` does: there is nothing more to do, and nothing wrong.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the results")]
pub(crate) struct NobodyReads;

/// Whether a person reads the results.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether to colour results.
pub(crate) fn colour() -> bool {
    is_terminal() && terminal::may_colour()
}

/// A line whose control characters a terminal does not obey.
pub(crate) fn visible(line: &str) -> String {
    let shown =
        |c: char| if c.is_control() && c != '\t' { c.escape_default().collect() } else { c.to_string() };
    line.chars().map(shown).collect()
}

/// Prints text and a line break, at once.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(NobodyReads.into()),
        Err(error) => Err(anyhow::Error::new(error).context("failed to write the results")),
        Ok(()) => Ok(()),
    }
}
