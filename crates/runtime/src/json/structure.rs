//! Free-form data: reads and writes the bytes of `google.protobuf.Struct`, `ListValue` and `Value`.
//!
//! Their numbers are doubles. Between nodes of plain data, a number that its double does not represent
//! exactly, such as 2^53 + 1 or `2.0`, is accompanied by its text, in a field of `Value` that other readers
//! skip. The text counts only while the double is unchanged, so a node that changes the number need not know
//! about it.

use super::{
    fault::{Fault, FaultPath, Result, cut},
    number,
    out::{CountedMemory, Out, Table, append, unescaped},
    scan::{Scanner, Token},
    wire::{self, MAX_DEPTH, Wire},
};
use prost::encoding::WireType;
use std::borrow::Cow;

/// The fields of `Value`, and krt's own.
const NULL: u32 = 1;
const NUMBER: u32 = 2;
const TEXT: u32 = 3;
const BOOL: u32 = 4;
const STRUCT: u32 = 5;
const LIST: u32 = 6;
const EXACT: u32 = 1000;

/// Every integer below it is a distinct double.
const EXACT_INTEGERS: f64 = (1_u64 << 53) as f64;

/// Reads an object as a `Struct`.
pub(super) fn read_struct(scan: &mut Scanner<'_>, left: &mut usize, out: &mut Out) -> Result<()> {
    expect(scan, Token::Object, "an object")?;
    StructReader { scan, left, exact: false }.object(out)
}

/// Reads a list as a `ListValue`.
pub(super) fn read_list(scan: &mut Scanner<'_>, left: &mut usize, out: &mut Out) -> Result<()> {
    expect(scan, Token::List, "a list")?;
    StructReader { scan, left, exact: false }.list(out)
}

/// Reads any value as a `Value`.
pub(super) fn read_value(scan: &mut Scanner<'_>, left: &mut usize, out: &mut Out) -> Result<()> {
    StructReader { scan, left, exact: false }.value(out)
}

/// Reads an object as a `Struct` whose numbers keep their digits.
pub(super) fn read_exactly(scan: &mut Scanner<'_>, out: &mut Out) -> Result<()> {
    let mut left = MAX_DEPTH;
    expect(scan, Token::Object, "an object")?;
    StructReader { scan, left: &mut left, exact: true }.object(out)
}

fn expect(scan: &mut Scanner<'_>, token: Token, expected: &'static str) -> Result<()> {
    if scan.peek()? == token { Ok(()) } else { Err(Fault::Expected { expected, found: scan.shown() }.into()) }
}

struct StructReader<'a, 't> {
    scan: &'a mut Scanner<'t>,
    left: &'a mut usize,
    /// Whether numbers keep their digits. In that case only objects and lists count as levels, since krt's
    /// own reader needs no limit on the messages between them.
    exact: bool,
}

impl StructReader<'_, '_> {
    fn object(&mut self, out: &mut Out) -> Result<()> {
        let mut members = self.scan.object()?;
        let mut seen: Table<Cow<'_, str>, ()> = Table::new();
        while let Some(name) = self.scan.key(&mut members)? {
            out.key(1, WireType::LengthDelimited)?;
            let entry = out.with_length(|out| {
                out.key(1, WireType::LengthDelimited)?;
                out.put_bytes(name.as_bytes())?;
                out.key(2, WireType::LengthDelimited)?;
                let levels = if self.exact { 0 } else { 2 };
                self.nested(levels, |reading| out.with_length(|out| reading.value(out)))
            });
            entry.in_field(&name)?;
            if seen.get(&name).is_some() {
                return Err(Fault::Twice { name: cut(&name) }.into());
            }
            let elsewhere = unescaped(&name);
            seen.insert(&mut out.held, name, (), elsewhere)?;
        }
        seen.end(&mut out.held);
        Ok(())
    }

    fn list(&mut self, out: &mut Out) -> Result<()> {
        let mut members = self.scan.list()?;
        let mut index = 0;
        while self.scan.item(&mut members)? {
            out.key(1, WireType::LengthDelimited)?;
            let levels = usize::from(!self.exact);
            let item = self.nested(levels, |reading| out.with_length(|out| reading.value(out)));
            item.in_item(index)?;
            index += 1;
        }
        Ok(())
    }

    fn value(&mut self, out: &mut Out) -> Result<()> {
        match self.scan.peek()? {
            Token::Null => {
                self.scan.null()?;
                out.key(NULL, WireType::Varint)?;
                out.push(0)?;
            }
            Token::Number => {
                let text = self.scan.number()?;
                self.number(text, out)?;
            }
            Token::Text => {
                out.key(TEXT, WireType::LengthDelimited)?;
                out.put_bytes(self.scan.text()?.as_bytes())?;
            }
            Token::Bool => {
                out.key(BOOL, WireType::Varint)?;
                out.push(u8::from(self.scan.bool()?))?;
            }
            Token::Object => {
                out.key(STRUCT, WireType::LengthDelimited)?;
                self.nested(1, |reading| out.with_length(|out| reading.object(out)))?;
            }
            Token::List => {
                out.key(LIST, WireType::LengthDelimited)?;
                self.nested(1, |reading| out.with_length(|out| reading.list(out)))?;
            }
        }
        Ok(())
    }

    fn number(&self, text: &str, out: &mut Out) -> Result<()> {
        let double = number::double(text).filter(|double| double.is_finite());
        let double = double.ok_or_else(|| Fault::Range { number: cut(text), kind: "a double" })?;
        out.key(NUMBER, WireType::SixtyFourBit)?;
        out.put(&double.to_le_bytes())?;
        if self.exact && !round_trips(text, double) {
            out.key(EXACT, WireType::LengthDelimited)?;
            out.put_bytes(text.as_bytes())?;
        }
        Ok(())
    }

    fn nested(&mut self, levels: usize, read: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        *self.left = self.left.checked_sub(levels).ok_or(Fault::Deep { limit: MAX_DEPTH })?;
        read(self)?;
        *self.left += levels;
        Ok(())
    }
}

/// Returns whether a double is written as an integer by default.
pub(super) fn is_whole(double: f64) -> bool {
    double.fract() == 0.0 && double.abs() < EXACT_INTEGERS && double.to_bits() != (-0.0_f64).to_bits()
}

/// Returns whether a double alone restores its text: integer or not, and all digits.
fn round_trips(text: &str, double: f64) -> bool {
    let written_whole = !text.contains(['.', 'e', 'E']);
    double == 0.0 && written_whole || written_whole == is_whole(double)
}

/// The value of a `Value`. The last field wins, but an object or a list sent in parts means their concatenation, as
/// in any message.
#[derive(Debug)]
pub(super) enum DynamicValue<'m> {
    Null,
    /// A number, with its text if that adds information.
    Number(f64, Option<&'m str>),
    Text(&'m str),
    Bool(bool),
    Struct(Cow<'m, [u8]>),
    List(Cow<'m, [u8]>),
}

impl<'m> DynamicValue<'m> {
    /// Parses the bytes of a `Value`. The memory of joined parts counts in `held`.
    pub(super) fn parse(mut bytes: &'m [u8], held: &mut CountedMemory) -> std::result::Result<Self, Fault> {
        let (mut free, mut exact) = (Self::Null, None);
        while let Some((number, wire)) = wire::take(&mut bytes)? {
            match (&mut free, number, wire) {
                (Self::Struct(parts), STRUCT, Wire::Bytes(part))
                | (Self::List(parts), LIST, Wire::Bytes(part)) => {
                    append(parts, part, held)?;
                    continue;
                }
                _ => {}
            }
            free = match (number, wire) {
                (NULL, Wire::Varint(_)) => Self::Null,
                (NUMBER, Wire::Fixed64(bytes)) => Self::Number(f64::from_le_bytes(bytes), None),
                (TEXT, Wire::Bytes(text)) => Self::Text(utf8(text)?),
                (BOOL, Wire::Varint(value)) => Self::Bool(value != 0),
                (STRUCT, Wire::Bytes(content)) => Self::Struct(content.into()),
                (LIST, Wire::Bytes(content)) => Self::List(content.into()),
                (EXACT, Wire::Bytes(text)) => {
                    exact = std::str::from_utf8(text).ok();
                    continue;
                }
                (NULL..=LIST, _) => return Err(Fault::WireType),
                _ => continue,
            };
        }
        Ok(match free {
            Self::Number(double, _) => Self::Number(double, exact.filter(|text| equals(text, double))),
            other => other,
        })
    }
}

/// Returns whether a text is a JSON number equal to that double.
fn equals(text: &str, double: f64) -> bool {
    let is_number = Scanner::new(text.as_bytes()).and_then(|mut scan| {
        let number = scan.number()?;
        scan.end()?;
        Ok(number.len() == text.len())
    });
    is_number.is_ok_and(|whole| whole)
        && number::double(text).is_some_and(|said| said.to_bits() == double.to_bits())
}

pub(super) fn utf8(bytes: &[u8]) -> std::result::Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::NotUtf8)
}
