//! Results on standard output, which carries nothing else.
//!
//! All text of others, such as names, messages and logs, is escaped here, so that it cannot control the
//! terminal. Data for programs stays unchanged, unless standard output is a terminal.

#![expect(clippy::disallowed_methods, reason = "the one place that writes to standard output")]

use crate::{
    error::{Error, Result},
    terminal,
};
use krt_model::escape;
use std::{
    borrow::Cow,
    io::{self, BufWriter, ErrorKind, IsTerminal as _, StdoutLock, Write},
};

/// The reader of the results has closed the pipe, as `head` does. There is nothing left to do, and it is not
/// an error.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the results")]
pub(crate) struct ClosedPipe;

crate::error::from! { plain: ClosedPipe }

/// Escapes the control characters in a text.
pub(crate) type Escape = fn(&str) -> Cow<'_, str>;

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether to use colours in results.
pub(crate) fn colour() -> bool {
    is_terminal() && terminal::may_colour()
}

/// Prints text for people and a line break, in one write.
pub(crate) fn print(text: &str) -> Result<()> {
    put(&escape::lines(text))
}

/// Prints text for people with our own colours.
pub(crate) fn print_coloured(text: &str) -> Result<()> {
    put(&escape::coloured(text))
}

/// Prints data for programs.
pub(crate) fn print_data(text: &str) -> Result<()> {
    if is_terminal() { put(&escape::lines(text)) } else { put(text) }
}

/// Prints JSON.
pub(crate) fn print_json(text: &str) -> Result<()> {
    if is_terminal() { put(&escape::json(text)) } else { put(text) }
}

fn put(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ClosedPipe.into()),
        Err(error) => Err(Error::plain(error).context("failed to write the results")),
        Ok(()) => Ok(()),
    }
}

/// Standard output for many results; escaped on a terminal.
#[derive(Debug)]
pub(crate) struct Results {
    out: BufWriter<StdoutLock<'static>>,
    escape: Option<Escape>,
    /// The first bytes of an incomplete character.
    open: Vec<u8>,
}

impl Results {
    /// Locks standard output.
    pub(crate) fn open(buffer: usize, escape: Escape) -> Self {
        let escape = is_terminal().then_some(escape);
        Self { out: BufWriter::with_capacity(buffer, io::stdout().lock()), escape, open: Vec::new() }
    }
}

impl Write for Results {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(escape) = self.escape else { return self.out.write(bytes) };
        self.open.extend_from_slice(bytes);
        let whole = whole(&self.open);
        let text = String::from_utf8_lossy(&self.open[..whole]);
        self.out.write_all(escape(&text).as_bytes())?;
        self.open.drain(..whole);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The number of bytes before an incomplete character at the end.
fn whole(bytes: &[u8]) -> usize {
    let cut = (1..=bytes.len().min(3)).find(|&back| bytes[bytes.len() - back] >= 0xc0);
    match cut {
        Some(back) if matches!(std::str::from_utf8(&bytes[bytes.len() - back..]), Err(error) if error.error_len().is_none()) => {
            bytes.len() - back
        }
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_cut() {
        for (bytes, expected) in [
            (&b""[..], 0),
            (b"abc", 3),
            ("aé".as_bytes(), 3),
            (&"aé".as_bytes()[..2], 1),
            (&"a日".as_bytes()[..3], 1),
            (&"a\u{e0001}".as_bytes()[..4], 1),
            (b"a\xff", 2),
            (b"a\x80\x80", 3),
        ] {
            assert_eq!(whole(bytes), expected, "{bytes:?}");
        }
    }
}
