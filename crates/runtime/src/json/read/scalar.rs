//! Values other than messages.

use super::{
    super::{
        fault::{Fault, Result, cut},
        number::{self, NotInteger},
        out::Out,
        scan::Token,
        shape::{is_closed, is_null_value},
    },
    Reader,
};
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost_reflect::{EnumDescriptor, Kind};
use std::borrow::Cow;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

const WHOLE: &str = "a whole number";

impl<'t> Reader<'t> {
    /// Writes a value without its key. Returns whether it is the type's default.
    pub(super) fn scalar(&mut self, kind: &Kind, out: &mut Out) -> Result<bool> {
        match kind {
            Kind::Double | Kind::Float => self.float(kind, out),
            Kind::Bool => {
                self.require(Token::Bool, "true or false")?;
                let value = self.scan.bool()?;
                out.push(u8::from(value))?;
                Ok(!value)
            }
            Kind::String => {
                let text = self.require_text("a text")?;
                out.put_bytes(text.as_bytes())?;
                Ok(text.is_empty())
            }
            Kind::Bytes => self.bytes(out),
            Kind::Enum(kind) => self.enumeration(kind, out),
            Kind::Message(_) => Err(Fault::Malformed.into()),
            whole => {
                let before = self.scan;
                let text = self.number_or_text(WHOLE)?;
                put_whole(whole, &text, out).map_err(|fault| match fault {
                    Fault::Expected { expected, .. } => {
                        Fault::Expected { expected, found: before.shown() }.into()
                    }
                    fault => fault.into(),
                })
            }
        }
    }

    /// Reads a number, with or without quotes.
    fn number_or_text(&mut self, expected: &'static str) -> Result<Cow<'t, str>> {
        match self.scan.peek()? {
            Token::Number => self.scan.number().map(Cow::Borrowed),
            Token::Text => self.scan.text(),
            _ => Err(self.unexpected(expected)),
        }
    }

    fn float(&mut self, kind: &Kind, out: &mut Out) -> Result<bool> {
        const EXPECTED: &str = "a number";
        let before = self.scan;
        let text = self.number_or_text(EXPECTED)?;
        let value = match &*text {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            number => {
                let value = number::double(number);
                let value =
                    value.ok_or_else(|| Fault::Expected { expected: EXPECTED, found: before.shown() })?;
                let (limit, kind) = match kind {
                    Kind::Float => (f64::from(value as f32), "a float"),
                    _ => (value, "a double"),
                };
                if limit.is_infinite() {
                    return Err(Fault::Range { number: cut(number), kind }.into());
                }
                value
            }
        };
        Ok(put_float(kind, value, out)?)
    }

    fn bytes(&mut self, out: &mut Out) -> Result<bool> {
        const EXPECTED: &str = "bytes in Base64";
        let before = self.scan;
        let text = self.require_text(EXPECTED)?;
        // For a copy of the text if it is not plain Base64, and for the decoded bytes.
        let kept = 2 * text.len();
        out.held.take(kept)?;
        let bytes =
            base64(&text).ok_or_else(|| Fault::Expected { expected: EXPECTED, found: before.shown() })?;
        out.put_bytes(&bytes)?;
        out.held.release(kept);
        Ok(bytes.is_empty())
    }

    fn enumeration(&mut self, kind: &EnumDescriptor, out: &mut Out) -> Result<bool> {
        let before = self.scan;
        let unknown = || Fault::UnknownEnum { kind: kind.full_name().to_owned(), value: before.shown() };
        let number = match self.scan.peek()? {
            Token::Null if is_null_value(kind) => self.scan.null().map(|()| 0)?,
            Token::Number => enum_number(kind, self.scan.number()?).ok_or_else(unknown)?,
            Token::Text => {
                let name = self.scan.text()?;
                let found = kind.get_value_by_name(&name).map(|value| value.number());
                let digits = name.strip_prefix(['-', '+']).unwrap_or(&name);
                let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                let by_number = || is_number.then(|| enum_number(kind, &name)).flatten();
                found.or_else(by_number).ok_or_else(unknown)?
            }
            _ => return Err(self.unexpected("the name or the number of an enum's value")),
        };
        out.varint(i64::from(number) as u64)?;
        Ok(number == 0)
    }
}

/// Writes the key of a map, which is a string in JSON. Returns its number, if it is one.
pub(super) fn map_key(kind: &Kind, name: &str, out: &mut Out) -> Result<Option<u64>> {
    let expected = |expected| Fault::Expected { expected, found: format!("the key `{}`", cut(name)) };
    match kind {
        Kind::String => {
            out.put_bytes(name.as_bytes())?;
            Ok(None)
        }
        Kind::Bool => {
            let value = match name {
                "true" => 1,
                "false" => 0,
                _ => return Err(expected("`true` or `false`").into()),
            };
            out.push(value)?;
            Ok(Some(value.into()))
        }
        whole => {
            put_whole(whole, name, out).map_err(|fault| match fault {
                Fault::Expected { expected: what, .. } => expected(what),
                fault => fault,
            })?;
            Ok(number::whole(name).ok().map(|number| number as u64))
        }
    }
}

fn put_whole(kind: &Kind, text: &str, out: &mut Out) -> std::result::Result<bool, Fault> {
    let range = |kind| Fault::Range { number: cut(text), kind };
    // The digits are copied, without their point.
    out.held.take(text.len())?;
    let number = number::whole(text);
    out.held.release(text.len());
    if number == Err(NotInteger::Other) {
        return Err(Fault::Expected { expected: WHOLE, found: String::new() });
    }
    let number = number.unwrap_or(i128::MAX);
    match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            let number = i32::try_from(number).map_err(|_| range("an int32"))?;
            match kind {
                Kind::Int32 => out.varint(i64::from(number) as u64)?,
                Kind::Sint32 => out.varint(u64::from(((number << 1) ^ (number >> 31)) as u32))?,
                _ => out.put(&number.to_le_bytes())?,
            }
        }
        Kind::Uint32 | Kind::Fixed32 => {
            let number = u32::try_from(number).map_err(|_| range("a uint32"))?;
            match kind {
                Kind::Uint32 => out.varint(u64::from(number))?,
                _ => out.put(&number.to_le_bytes())?,
            }
        }
        Kind::Uint64 | Kind::Fixed64 => {
            let number = u64::try_from(number).map_err(|_| range("a uint64"))?;
            match kind {
                Kind::Uint64 => out.varint(number)?,
                _ => out.put(&number.to_le_bytes())?,
            }
        }
        _ => {
            let number = i64::try_from(number).map_err(|_| range("an int64"))?;
            match kind {
                Kind::Int64 => out.varint(number as u64)?,
                Kind::Sint64 => out.varint(((number << 1) ^ (number >> 63)) as u64)?,
                _ => out.put(&number.to_le_bytes())?,
            }
        }
    }
    Ok(number == 0)
}

/// Writes a float. Negative zero is not a default, as its sign would be lost.
fn put_float(kind: &Kind, value: f64, out: &mut Out) -> std::result::Result<bool, Fault> {
    if *kind == Kind::Float {
        let value = value as f32;
        out.put(&value.to_le_bytes())?;
        return Ok(value.to_bits() == 0);
    }
    out.put(&value.to_le_bytes())?;
    Ok(value.to_bits() == 0)
}

/// Parses the number of an enum's value; for a closed enum, only a declared one.
fn enum_number(kind: &EnumDescriptor, text: &str) -> Option<i32> {
    let number = number::whole(text).ok().and_then(|number| i32::try_from(number).ok())?;
    (!is_closed(kind) || kind.get_value(number).is_some()).then_some(number)
}

/// Decodes Base64 of either alphabet, with or without padding; ignores white space.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let unpadded = text.trim_ascii_end().trim_end_matches('=');
    if text.len() - unpadded.len() > 0 && text.bytes().filter(|&byte| byte == b'=').count() > 2 {
        return None;
    }
    if !unpadded.bytes().any(|byte| matches!(byte, b'-' | b'_') || byte.is_ascii_whitespace()) {
        return BASE64.decode(unpadded).ok();
    }
    let standard = unpadded.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    });
    BASE64.decode(standard.collect::<Vec<_>>()).ok()
}
