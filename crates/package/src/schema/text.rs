//! A `.proto` file's text, decoded as protoc does: UTF-8, where comments may hold any bytes. Reports with its
//! place what protoc or the compiler cannot read.

use std::ops::Range;

const SAVE_AS_UTF8: &str = "save the file with the encoding UTF-8";

/// The deepest nesting of brackets of all kinds.
const MAX_NESTED: usize = 64;

/// A file's text, and why it cannot be compiled.
pub(super) struct Text {
    /// Bytes that are not UTF-8 are decoded as Latin-1.
    pub(super) text: String,
    pub(super) refusal: Option<Refusal>,
}

/// Why a file cannot be compiled, with the place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// Decodes a file's bytes.
pub(super) fn read(bytes: &[u8]) -> Text {
    if let Some((name, text)) = utf16(bytes) {
        let message = format!("the file is {name} text");
        return Text { text, refusal: Some(Refusal { span: 0..0, message, hint: SAVE_AS_UTF8 }) };
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (text, refusal) = decode(bytes);
    let refusal = refusal.or_else(|| edition(&text)).or_else(|| nested(&text));
    Text { text, refusal }
}

/// Decodes a UTF-16 file, recognized by its byte order mark or a NUL in its first letter.
fn utf16(bytes: &[u8]) -> Option<(&'static str, String)> {
    let (is_little, marked) = match bytes {
        [0xff, 0xfe, ..] => (true, true),
        [0xfe, 0xff, ..] => (false, true),
        [first, 0, ..] if *first != 0 => (true, false),
        [0, second, ..] if *second != 0 => (false, false),
        _ => return None,
    };
    let pairs = bytes[if marked { 2 } else { 0 }..].chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    let units: Vec<u16> = match is_little {
        true => pairs.map(u16::from_le_bytes).collect(),
        false => pairs.map(u16::from_be_bytes).collect(),
    };
    Some(("UTF-16", String::from_utf16_lossy(&units)))
}

/// Decodes UTF-8, and refuses other bytes outside of comments.
fn decode(bytes: &[u8]) -> (String, Option<Refusal>) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.to_owned(), None);
    }
    let (mut text, mut refusal) = (String::with_capacity(bytes.len()), None);
    for (span, kind) in Pieces::of(bytes) {
        for chunk in bytes[span].utf8_chunks() {
            text.push_str(chunk.valid());
            for &byte in chunk.invalid() {
                let start = text.len();
                text.push(char::from(byte));
                if kind != Kind::Comment && refusal.is_none() {
                    let message = format!("byte 0x{byte:02x} is not UTF-8 text");
                    refusal = Some(Refusal { span: start..text.len(), message, hint: SAVE_AS_UTF8 });
                }
            }
        }
    }
    (text, refusal)
}

/// Refuses a file with an edition instead of a syntax, which the compiler does not support.
fn edition(text: &str) -> Option<Refusal> {
    const WORD: &str = "edition";
    let mut code = Pieces::of(text.as_bytes()).filter(|(_, kind)| *kind != Kind::Comment);
    let (span, _) = code.find(|(span, _)| !text[span.clone()].trim().is_empty())?;
    let start = span.end - text[span.clone()].trim_start().len();
    let rest = text[start..span.end].strip_prefix(WORD)?.trim_start();
    if !rest.is_empty() && !rest.starts_with('=') {
        return None;
    }
    let value = code.find(|(_, kind)| *kind == Kind::Literal).map(|(span, _)| &text[span]);
    let value = value.map_or_else(String::new, |value| format!(" {}", value.trim_matches(['"', '\''])));
    Some(Refusal {
        span: start..start + WORD.len(),
        message: format!("the file is written in protobuf edition{value}: krt reads `proto2` and `proto3`"),
        hint: "begin it with `syntax = \"proto3\";`, without `features`; a field that is `optional` there tells whether it was set",
    })
}

/// Refuses a file whose brackets nest so deep that the compiler, which recurses, would overflow its stack.
fn nested(text: &str) -> Option<Refusal> {
    let mut depth = 0_usize;
    let code = Pieces::of(text.as_bytes()).filter(|(_, kind)| *kind == Kind::Code);
    let bytes = code.flat_map(|(span, _)| span.map(|place| (place, text.as_bytes()[place])));
    for (place, byte) in bytes {
        match byte {
            b'{' | b'[' | b'(' | b'<' => depth += 1,
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTED {
            return Some(Refusal {
                span: place..place + 1,
                message: format!("messages or options are nested deeper than {MAX_NESTED}"),
                hint: "protoc takes messages that are nested up to 32 deep",
            });
        }
    }
    None
}

/// The kind of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Comment,
    Literal,
    Code,
}

/// Splits a file into comments, quoted texts and code, in order and without gaps.
struct Pieces<'a> {
    bytes: &'a [u8],
    start: usize,
}

impl<'a> Pieces<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, start: 0 }
    }
}

impl Iterator for Pieces<'_> {
    type Item = (Range<usize>, Kind);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.start..).filter(|rest| !rest.is_empty())?;
        let (length, kind) = match rest {
            [b'/', b'/', ..] => (until(rest, 2, b"\n"), Kind::Comment),
            [b'/', b'*', ..] => (until(rest, 2, b"*/"), Kind::Comment),
            [quote @ (b'"' | b'\''), ..] => (literal(rest, *quote), Kind::Literal),
            _ => (code(rest), Kind::Code),
        };
        let span = self.start..self.start + length;
        self.start = span.end;
        Some((span, kind))
    }
}

/// The length up to the end of a marker, searched after the first `skip` bytes.
fn until(rest: &[u8], skip: usize, mark: &[u8]) -> usize {
    let found = rest[skip..].windows(mark.len()).position(|window| window == mark);
    found.map_or(rest.len(), |place| skip + place + mark.len())
}

/// The length of a quoted text, which ends with its line at the latest.
fn literal(rest: &[u8], quote: u8) -> usize {
    let mut place = 1;
    while let Some(&byte) = rest.get(place) {
        match byte {
            b'\\' if rest.get(place + 1).is_some_and(|next| *next != b'\n') => place += 2,
            b'\n' => return place,
            _ if byte == quote => return place + 1,
            _ => place += 1,
        }
    }
    rest.len()
}

/// The length of code outside of comments and quotes.
fn code(rest: &[u8]) -> usize {
    let begins = |place: &usize| match rest[*place] {
        b'"' | b'\'' => true,
        b'/' => matches!(rest.get(place + 1), Some(b'/' | b'*')),
        _ => false,
    };
    (1..rest.len()).find(begins).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests;
