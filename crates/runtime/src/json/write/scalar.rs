//! Values other than messages.

use super::{
    super::{
        fault::{Fault, Result},
        shape::{enum_name, is_closed, is_null_value},
        structure::utf8,
        wire::{Wire, varint},
    },
    Writer,
};
use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use prost_reflect::Kind;

/// A value, by the kinds that JSON distinguishes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scalar<'m> {
    Double(f64),
    Float(f32),
    /// 32 bits, signed or unsigned.
    Small(i64),
    Signed(i64),
    Unsigned(u64),
    Bool(bool),
    Text(&'m str),
    Bytes(&'m [u8]),
    Enum(i32),
}

impl<'m> Scalar<'m> {
    /// Parses a value from the wire; `None` if a closed enum does not have it.
    pub(crate) fn parse(kind: &Kind, wire: Wire<'m>) -> std::result::Result<Option<Self>, Fault> {
        Ok(Some(match (kind, wire) {
            (Kind::Double, Wire::Fixed64(bytes)) => Self::Double(f64::from_le_bytes(bytes)),
            (Kind::Float, Wire::Fixed32(bytes)) => Self::Float(f32::from_le_bytes(bytes)),
            (Kind::Int32, Wire::Varint(value)) => Self::Small((value as i32).into()),
            (Kind::Uint32, Wire::Varint(value)) => Self::Small((value as u32).into()),
            (Kind::Sint32, Wire::Varint(value)) => {
                Self::Small((unzigzag(u64::from(value as u32)) as i32).into())
            }
            (Kind::Fixed32, Wire::Fixed32(bytes)) => Self::Small(u32::from_le_bytes(bytes).into()),
            (Kind::Sfixed32, Wire::Fixed32(bytes)) => Self::Small(i32::from_le_bytes(bytes).into()),
            (Kind::Int64, Wire::Varint(value)) => Self::Signed(value as i64),
            (Kind::Uint64, Wire::Varint(value)) => Self::Unsigned(value),
            (Kind::Sint64, Wire::Varint(value)) => Self::Signed(unzigzag(value)),
            (Kind::Fixed64, Wire::Fixed64(bytes)) => Self::Unsigned(u64::from_le_bytes(bytes)),
            (Kind::Sfixed64, Wire::Fixed64(bytes)) => Self::Signed(i64::from_le_bytes(bytes)),
            (Kind::Bool, Wire::Varint(value)) => Self::Bool(value != 0),
            (Kind::String, Wire::Bytes(text)) => Self::Text(utf8(text)?),
            (Kind::Bytes, Wire::Bytes(bytes)) => Self::Bytes(bytes),
            (Kind::Enum(kind), Wire::Varint(value)) => {
                let number = value as i32;
                if is_closed(kind) && kind.get_value(number).is_none() {
                    return Ok(None);
                }
                Self::Enum(number)
            }
            _ => return Err(Fault::WireType),
        }))
    }

    /// Returns the value of an absent field.
    pub(crate) fn default_of(kind: &Kind) -> Self {
        match kind {
            Kind::Double => Self::Double(0.0),
            Kind::Float => Self::Float(0.0),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Self::Signed(0),
            Kind::Uint64 | Kind::Fixed64 => Self::Unsigned(0),
            Kind::Bool => Self::Bool(false),
            Kind::String => Self::Text(""),
            Kind::Bytes | Kind::Message(_) => Self::Bytes(b""),
            Kind::Enum(kind) => Self::Enum(kind.default_value().number()),
            _ => Self::Small(0),
        }
    }

    /// Returns whether it equals absence. Negative zero does not: its sign would be lost.
    pub(super) fn is_default(self) -> bool {
        match self {
            Self::Double(value) => value.to_bits() == 0,
            Self::Float(value) => value.to_bits() == 0,
            Self::Small(value) | Self::Signed(value) => value == 0,
            Self::Unsigned(value) => value == 0,
            Self::Bool(value) => !value,
            Self::Text(value) => value.is_empty(),
            Self::Bytes(value) => value.is_empty(),
            Self::Enum(value) => value == 0,
        }
    }
}

/// Takes the next of several packed numbers.
pub(crate) fn unpack<'m>(kind: &Kind, packed: &mut &'m [u8]) -> Result<Option<Wire<'m>>> {
    if packed.is_empty() {
        return Ok(None);
    }
    let short = || Box::from(Fault::Malformed);
    Ok(Some(match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => {
            Wire::Fixed64(*packed.split_off(..8).and_then(<[u8]>::first_chunk).ok_or_else(short)?)
        }
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => {
            Wire::Fixed32(*packed.split_off(..4).and_then(<[u8]>::first_chunk).ok_or_else(short)?)
        }
        _ => Wire::Varint(varint(packed)?),
    }))
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

impl Writer<'_> {
    pub(super) fn scalar(&mut self, kind: &Kind, value: Scalar<'_>) -> Result<()> {
        match value {
            Scalar::Double(value) if value.is_finite() => self.out.float(value)?,
            Scalar::Float(value) if value.is_finite() => self.out.float(value)?,
            Scalar::Double(value) => self.out.text(special(value))?,
            Scalar::Float(value) => self.out.text(special(value.into()))?,
            Scalar::Small(value) => self.out.raw(value)?,
            Scalar::Signed(value) => self.long(value)?,
            Scalar::Unsigned(value) => self.long(value)?,
            Scalar::Bool(value) => self.out.raw(value)?,
            Scalar::Text(value) => self.out.text(value)?,
            Scalar::Bytes(value) => {
                self.out.raw(format_args!("\"{}\"", Base64Display::new(value, &STANDARD)))?;
            }
            Scalar::Enum(number) => {
                let Kind::Enum(kind) = kind else { return Err(Fault::WireType.into()) };
                match enum_name(kind, number) {
                    _ if is_null_value(kind) => self.out.raw("null")?,
                    Some(name) => self.out.text(&name)?,
                    None => self.out.raw(number)?,
                }
            }
        }
        Ok(())
    }

    /// Writes a 64-bit integer: a string in proto3 JSON, since JavaScript's numbers are doubles.
    fn long(&mut self, value: impl std::fmt::Display) -> Result<(), Fault> {
        if self.format.bare_longs { self.out.raw(value) } else { self.out.raw(format_args!("\"{value}\"")) }
    }
}

fn special(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}
