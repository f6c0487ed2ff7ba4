//! Reads the bytes of a message.

use super::fault::Fault;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Maximum nesting of messages, as in other implementations of protobuf. Entries of maps count.
pub(crate) const MAX_DEPTH: usize = 100;

/// A field's value on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wire<'m> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    Bytes(&'m [u8]),
    Group(&'m [u8]),
}

/// Takes the next field off the front; `None` at the end.
pub(crate) fn take<'m>(rest: &mut &'m [u8]) -> Result<Option<(u32, Wire<'m>)>, Fault> {
    if rest.is_empty() {
        return Ok(None);
    }
    let (number, wire) = decode_key(rest).map_err(|_| Fault::Malformed)?;
    let value = match wire {
        WireType::Varint => Wire::Varint(varint(rest)?),
        WireType::ThirtyTwoBit => {
            Wire::Fixed32(*rest.split_off(..4).and_then(<[u8]>::first_chunk).ok_or(Fault::Malformed)?)
        }
        WireType::SixtyFourBit => {
            Wire::Fixed64(*rest.split_off(..8).and_then(<[u8]>::first_chunk).ok_or(Fault::Malformed)?)
        }
        WireType::LengthDelimited => {
            let size = usize::try_from(varint(rest)?).map_err(|_| Fault::Malformed)?;
            Wire::Bytes(rest.split_off(..size).ok_or(Fault::Malformed)?)
        }
        WireType::StartGroup => Wire::Group(take_group(number, rest)?),
        WireType::EndGroup => return Err(Fault::Malformed),
    };
    Ok(Some((number, value)))
}

/// Reads a varint.
pub(crate) fn varint(rest: &mut &[u8]) -> Result<u64, Fault> {
    decode_varint(rest).map_err(|_| Fault::Malformed)
}

/// Returns the content of a group, and moves past its end.
fn take_group<'m>(number: u32, rest: &mut &'m [u8]) -> Result<&'m [u8], Fault> {
    let start = *rest;
    loop {
        let length = start.len() - rest.len();
        let (found, wire) = decode_key(rest).map_err(|_| Fault::Malformed)?;
        if wire == WireType::EndGroup {
            return if found == number { Ok(&start[..length]) } else { Err(Fault::Malformed) };
        }
        skip_field(wire, found, rest, DecodeContext::default()).map_err(|_| Fault::Malformed)?;
    }
}
