//! Scans a JSON text (RFC 8259) from front to back without building a tree, so that numbers keep their digits
//! and duplicate names are seen.

use super::fault::{Fault, Result};
use std::borrow::Cow;

/// Depth of nested objects and lists in skipped values; values that are read have a lower limit.
const MAX_DEPTH: usize = 512;
/// Characters of a value that an error shows.
const MAX_SHOWN: usize = 40;

/// The kind of a value, by its first character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Object,
    List,
    Text,
    Number,
    Bool,
    Null,
}

/// A position in a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Result<Self> {
        let text = std::str::from_utf8(text).map_err(|_| Fault::NotUtf8)?;
        Ok(Self { text, at: 0 })
    }

    /// Returns the most memory that strings with escapes take at one time, including nested ones: the text's
    /// own size.
    pub(crate) fn escapes(&self) -> usize {
        if self.text.contains('\\') { self.text.len() } else { 0 }
    }

    /// Returns the kind of the next value.
    pub(crate) fn peek(&mut self) -> Result<Token> {
        match self.next_byte() {
            Some(b'{') => Ok(Token::Object),
            Some(b'[') => Ok(Token::List),
            Some(b'"') => Ok(Token::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Token::Number),
            Some(b't' | b'f') => Ok(Token::Bool),
            Some(b'n') => Ok(Token::Null),
            Some(_) => Err(self.syntax("expected a value")),
            None => Err(self.syntax("EOF while a value is expected")),
        }
    }

    /// Enters an object, whose names `key` then returns.
    pub(crate) fn object(&mut self) -> Result<Members> {
        self.expect(b'{', "expected `{`").map(|()| Members { first: true })
    }

    /// Enters a list, which has another item while `item` returns true.
    pub(crate) fn list(&mut self) -> Result<Members> {
        self.expect(b'[', "expected `[`").map(|()| Members { first: true })
    }

    /// Returns the next name of an object, or `None` at its end. The caller must then read the value.
    pub(crate) fn key(&mut self, members: &mut Members) -> Result<Option<Cow<'t, str>>> {
        if self.closes(members, b'}', "expected `,` or `}`")? {
            return Ok(None);
        }
        if self.next_byte() != Some(b'"') {
            return Err(self.syntax("key must be a string"));
        }
        let key = self.text()?;
        self.expect(b':', "expected `:`")?;
        Ok(Some(key))
    }

    /// Returns whether there is another item, which the caller must then read.
    pub(crate) fn item(&mut self, members: &mut Members) -> Result<bool> {
        self.closes(members, b']', "expected `,` or `]`").map(|closes| !closes)
    }

    /// Reads a string.
    pub(crate) fn text(&mut self) -> Result<Cow<'t, str>> {
        self.expect(b'"', "expected a text")?;
        let start = self.at;
        self.plain_characters()?;
        if self.byte() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
        }
        let mut text = String::with_capacity(self.at - start + self.left_of_text());
        text.push_str(&self.text[start..self.at]);
        while self.byte() != Some(b'"') {
            text.push(self.escaped()?);
            let start = self.at;
            self.plain_characters()?;
            text.push_str(&self.text[start..self.at]);
        }
        self.at += 1;
        Ok(Cow::Owned(text))
    }

    /// Reads a number, as written.
    pub(crate) fn number(&mut self) -> Result<&'t str> {
        self.next_byte();
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    /// Reads `true` or `false`.
    pub(crate) fn bool(&mut self) -> Result<bool> {
        let value = self.next_byte() == Some(b't');
        self.word(if value { "true" } else { "false" }).map(|()| value)
    }

    /// Reads `null`.
    pub(crate) fn null(&mut self) -> Result<()> {
        self.next_byte();
        self.word("null")
    }

    /// Skips a value, and returns it as written.
    pub(crate) fn skip(&mut self) -> Result<&'t str> {
        self.next_byte();
        let start = self.at;
        self.pass(MAX_DEPTH)?;
        Ok(&self.text[start..self.at])
    }

    /// Returns the next value for an error, without moving.
    pub(crate) fn shown(mut self) -> String {
        match self.skip() {
            Ok(value) if value.chars().count() <= MAX_SHOWN => value.to_owned(),
            Ok(value) => value.chars().take(MAX_SHOWN).chain("…".chars()).collect(),
            Err(_) => "something else".to_owned(),
        }
    }

    /// Fails unless the text has ended.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(self.syntax("trailing characters")),
        }
    }

    fn pass(&mut self, depth: usize) -> Result<()> {
        let inner = depth.checked_sub(1).ok_or(Fault::Deep { limit: MAX_DEPTH })?;
        match self.peek()? {
            Token::Text => self.text().map(drop),
            Token::Number => self.number().map(drop),
            Token::Bool => self.bool().map(drop),
            Token::Null => self.null(),
            Token::Object => {
                let mut members = self.object()?;
                while self.key(&mut members)?.is_some() {
                    self.pass(inner)?;
                }
                Ok(())
            }
            Token::List => {
                let mut members = self.list()?;
                while self.item(&mut members)? {
                    self.pass(inner)?;
                }
                Ok(())
            }
        }
    }

    fn closes(&mut self, members: &mut Members, end: u8, otherwise: &'static str) -> Result<bool> {
        let first = std::mem::replace(&mut members.first, false);
        match self.next_byte() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(true)
            }
            Some(b',') if !first => {
                self.at += 1;
                match self.next_byte() {
                    Some(byte) if byte == end => Err(self.syntax("trailing comma")),
                    _ => Ok(false),
                }
            }
            Some(_) if first => Ok(false),
            Some(_) => Err(self.syntax(otherwise)),
            None => Err(self.syntax("EOF within an object or a list")),
        }
    }

    /// Returns the number of bytes before a string's closing quote, which bounds its decoded length.
    fn left_of_text(&self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let mut escaped = false;
        let ends = |&byte: &u8| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        };
        rest.iter().position(ends).unwrap_or(rest.len())
    }

    /// Skips to the end of a string, or to the next escape.
    fn plain_characters(&mut self) -> Result<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        self.at += length.unwrap_or(rest.len());
        match self.byte() {
            Some(b'"' | b'\\') => Ok(()),
            Some(_) => Err(self.syntax("control character in a text")),
            None => Err(self.syntax("EOF within a text")),
        }
    }

    fn escaped(&mut self) -> Result<char> {
        self.at += 1;
        let escape = self.byte();
        self.at += usize::from(escape.is_some());
        Ok(match escape {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_point(),
            _ => return Err(self.syntax("unknown escape")),
        })
    }

    fn code_point(&mut self) -> Result<char> {
        let unit = self.unit()?;
        let code = match unit {
            0xD800..0xDC00 if self.text[self.at..].starts_with("\\u") => {
                self.at += 2;
                match self.unit()? {
                    low @ 0xDC00..0xE000 => 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00),
                    _ => unit,
                }
            }
            _ => unit,
        };
        char::from_u32(code).ok_or_else(|| self.syntax("lone surrogate in a text"))
    }

    fn unit(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.syntax("expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.syntax("expected a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.syntax("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn expect(&mut self, byte: u8, otherwise: &'static str) -> Result<()> {
        if self.next_byte() != Some(byte) {
            return Err(self.syntax(otherwise));
        }
        self.at += 1;
        Ok(())
    }

    /// Returns the next byte after white space.
    fn next_byte(&mut self) -> Option<u8> {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        self.byte()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn syntax(&self, what: &'static str) -> Box<super::fault::PathFault> {
        let (line, column) = self.place();
        Fault::Syntax { what, line, column }.into()
    }

    /// Returns the current line, and the byte within it, from 1.
    pub(crate) fn place(&self) -> (usize, usize) {
        let before = &self.text.as_bytes()[..self.at];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|&&byte| byte != b'\n').count();
        (line, column)
    }
}

/// The progress within an object or a list.
#[derive(Debug)]
pub(crate) struct Members {
    first: bool,
}

#[cfg(test)]
mod tests;
