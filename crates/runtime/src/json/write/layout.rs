//! Brackets, commas and line breaks.

use super::super::{
    fault::{Fault, Result},
    out::{CountedMemory, Out, unwritten},
};
use bytes::Bytes;
use std::io::Write as _;

/// A growing text.
#[derive(Debug)]
pub(super) struct Layout {
    out: Out,
    indent: bool,
    depth: usize,
    /// Whether nothing has been written since the last bracket.
    first: bool,
}

impl Layout {
    pub(super) fn new(indent: bool, out: Out) -> Self {
        Self { out, indent, depth: 0, first: true }
    }

    /// The memory held besides the text.
    pub(super) fn held(&mut self) -> &mut CountedMemory {
        &mut self.out.held
    }

    /// Opens an object or a list.
    pub(super) fn open(&mut self, bracket: u8) -> Result<(), Fault> {
        self.out.push(bracket)?;
        self.depth += 1;
        self.first = true;
        Ok(())
    }

    /// Closes an object or a list.
    pub(super) fn close(&mut self, bracket: u8) -> Result<(), Fault> {
        self.depth -= 1;
        if !self.first {
            self.line()?;
        }
        self.first = false;
        self.out.push(bracket)
    }

    /// Starts an item of a list.
    pub(super) fn item(&mut self) -> Result<(), Fault> {
        if !self.first {
            self.out.push(b',')?;
        }
        self.first = false;
        self.line()
    }

    /// Starts a member of an object.
    pub(super) fn key(&mut self, name: &str) -> Result<(), Fault> {
        self.item()?;
        self.text(name)?;
        self.out.put(if self.indent { b": " } else { b":" })
    }

    /// Writes a string, with quotes.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Fault> {
        self.json(text)
    }

    /// Writes a number, or other text that needs no escapes.
    pub(super) fn raw(&mut self, text: impl std::fmt::Display) -> Result<(), Fault> {
        write!(self.out, "{text}").map_err(unwritten)
    }

    /// Writes a number with a point or an exponent, in as few digits as possible.
    pub(super) fn float(&mut self, number: impl serde::Serialize) -> Result<(), Fault> {
        self.json(&number)
    }

    pub(super) fn finish(self) -> Result<Bytes> {
        self.out.check()?;
        Ok(self.out.finish())
    }

    fn json(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), Fault> {
        serde_json::to_writer(&mut self.out, value).map_err(|error| unwritten(error.into()))
    }

    fn line(&mut self) -> Result<(), Fault> {
        if self.indent {
            self.out.push(b'\n')?;
            for _ in 0..self.depth {
                self.out.put(b"  ")?;
            }
        }
        Ok(())
    }
}
