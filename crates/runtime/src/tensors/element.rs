//! One element: from the binary form to a message, and back.

use super::{error::TensorFault, raw::put_text};
use crate::{
    json::{Scalar, enum_name, is_closed, out::Out},
    memory::Buffer,
};
use krt_package::open_inference::Datatype;
use prost_reflect::{EnumDescriptor, Kind};

/// A number, without loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

/// Returns whether elements have the same bytes in a message.
pub(super) fn is_copied(datatype: Datatype, kind: &Kind) -> bool {
    matches!(
        (datatype, kind),
        (Datatype::Fp32, Kind::Float)
            | (Datatype::Fp64, Kind::Double)
            | (Datatype::Int32, Kind::Sfixed32)
            | (Datatype::Uint32, Kind::Fixed32)
            | (Datatype::Int64, Kind::Sfixed64)
            | (Datatype::Uint64, Kind::Fixed64)
    )
}

/// Writes an element as a value of a field, without the key. The field takes the datatype.
pub(super) fn write(
    datatype: Datatype,
    element: &[u8],
    kind: &Kind,
    out: &mut Out,
) -> Result<(), TensorFault> {
    if is_copied(datatype, kind) {
        return Ok(out.put(element)?);
    }
    match kind {
        Kind::String => {
            std::str::from_utf8(element).map_err(|_| TensorFault::NotText)?;
            out.put_bytes(element)?;
        }
        Kind::Bytes => out.put_bytes(element)?,
        Kind::Enum(kind) => out.varint(i64::from(enum_number(kind, element)?) as u64)?,
        kind => write_number(number(datatype, element), kind, out)?,
    }
    Ok(())
}

fn write_number(number: Number, kind: &Kind, out: &mut Out) -> Result<(), TensorFault> {
    let whole = match number {
        Number::Float(value) if *kind == Kind::Float => return Ok(out.put(&(value as f32).to_le_bytes())?),
        Number::Float(value) => return Ok(out.put(&value.to_le_bytes())?),
        Number::Signed(value) => value,
        // 64 bits keep their meaning.
        Number::Unsigned(value) => value as i64,
    };
    match kind {
        Kind::Bool => out.push(u8::from(whole != 0))?,
        Kind::Sint32 | Kind::Sint64 => out.varint(((whole << 1) ^ (whole >> 63)) as u64)?,
        Kind::Fixed32 | Kind::Sfixed32 => out.put(&(whole as u32).to_le_bytes())?,
        Kind::Fixed64 | Kind::Sfixed64 => out.put(&whole.to_le_bytes())?,
        _ => out.varint(whole as u64)?,
    }
    Ok(())
}

/// Returns the number of an element that is not of BYTES.
pub(super) fn number(datatype: Datatype, element: &[u8]) -> Number {
    /// Elements have the size of their datatype.
    fn of<const N: usize>(element: &[u8]) -> [u8; N] {
        element.first_chunk().copied().unwrap_or([0; N])
    }
    match datatype {
        Datatype::Bool => Number::Unsigned(u64::from(element != [0])),
        Datatype::Uint8 => Number::Unsigned(of::<1>(element)[0].into()),
        Datatype::Uint16 => Number::Unsigned(u16::from_le_bytes(of(element)).into()),
        Datatype::Uint32 => Number::Unsigned(u32::from_le_bytes(of(element)).into()),
        Datatype::Uint64 | Datatype::Bytes => Number::Unsigned(u64::from_le_bytes(of(element))),
        Datatype::Int8 => Number::Signed(i8::from_le_bytes(of(element)).into()),
        Datatype::Int16 => Number::Signed(i16::from_le_bytes(of(element)).into()),
        Datatype::Int32 => Number::Signed(i32::from_le_bytes(of(element)).into()),
        Datatype::Int64 => Number::Signed(i64::from_le_bytes(of(element))),
        Datatype::Fp16 => Number::Float(half(u16::from_le_bytes(of(element)))),
        Datatype::Bf16 => {
            Number::Float(f32::from_bits(u32::from(u16::from_le_bytes(of(element))) << 16).into())
        }
        Datatype::Fp32 => Number::Float(f32::from_le_bytes(of(element)).into()),
        Datatype::Fp64 => Number::Float(f64::from_le_bytes(of(element))),
    }
}

/// Converts a float of 16 bits (IEEE 754: a sign, 5 bits of exponent, 10 of fraction).
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f64::from(bits & 0x3FF));
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        0x1F if fraction == 0.0 => f64::INFINITY,
        0x1F => f64::NAN,
        exponent => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    }
}

/// Returns the number of an enum's value by its name, or of the number itself as a text.
fn enum_number(kind: &EnumDescriptor, element: &[u8]) -> Result<i32, TensorFault> {
    let name = String::from_utf8_lossy(element);
    if let Some(value) = kind.get_value_by_name(&name) {
        return Ok(value.number());
    }
    let number = name.parse().ok();
    let number = number.filter(|&number| !is_closed(kind) || kind.get_value(number).is_some());
    number.ok_or_else(|| TensorFault::UnknownEnum {
        kind: kind.full_name().to_owned(),
        value: crate::json::fault::cut(&name),
    })
}

/// Appends a value of a message to the data of its tensor.
pub(super) fn push(value: Scalar<'_>, kind: &Kind, data: &mut Buffer) -> Result<(), TensorFault> {
    let mut put = |bytes: &[u8]| Ok(data.extend(bytes, usize::MAX)?);
    match value {
        Scalar::Double(value) => put(&value.to_le_bytes()),
        Scalar::Float(value) => put(&value.to_le_bytes()),
        // Both the signed and the unsigned have these 32 bits.
        Scalar::Small(value) => put(&(value as u32).to_le_bytes()),
        Scalar::Signed(value) => put(&value.to_le_bytes()),
        Scalar::Unsigned(value) => put(&value.to_le_bytes()),
        Scalar::Bool(value) => put(&[u8::from(value)]),
        Scalar::Text(text) => put_text(text.as_bytes(), data),
        Scalar::Bytes(bytes) => put_text(bytes, data),
        Scalar::Enum(number) => {
            let name = match kind {
                Kind::Enum(kind) => enum_name(kind, number),
                _ => None,
            };
            put_text(name.unwrap_or_else(|| number.to_string()).as_bytes(), data)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves() {
        let rows = [
            (0x0000, 0.0),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0001, 2_f64.powi(-24)),
            (0x0400, 2_f64.powi(-14)),
            (0x3555, 0.333_251_953_125),
            (0x7C00, f64::INFINITY),
            (0xFC00, f64::NEG_INFINITY),
        ];
        for (bits, expected) in rows {
            assert_eq!(half(bits).to_bits(), f64::to_bits(expected), "{bits:#06x}");
        }
        assert!(half(0x7E00).is_nan() && half(0x8000).is_sign_negative());
        assert_eq!(number(Datatype::Bf16, &[0x80, 0x3F]), Number::Float(1.0));
    }
}
