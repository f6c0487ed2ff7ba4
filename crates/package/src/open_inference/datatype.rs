//! The datatypes of tensors.

use prost_reflect::Kind;
use std::fmt;

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Datatype {
    /// True or false.
    Bool,
    /// An unsigned integer of 8 bits.
    Uint8,
    /// An unsigned integer of 16 bits.
    Uint16,
    /// An unsigned integer of 32 bits.
    Uint32,
    /// An unsigned integer of 64 bits.
    Uint64,
    /// A signed integer of 8 bits.
    Int8,
    /// A signed integer of 16 bits.
    Int16,
    /// A signed integer of 32 bits.
    Int32,
    /// A signed integer of 64 bits.
    Int64,
    /// A float of 16 bits, by IEEE 754.
    Fp16,
    /// The upper half of a float of 32 bits.
    Bf16,
    /// A float of 32 bits.
    Fp32,
    /// A float of 64 bits.
    Fp64,
    /// Bytes of any number: texts, too.
    Bytes,
}

impl Datatype {
    /// All datatypes.
    pub const ALL: [Self; 14] = [
        Self::Bool,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Fp16,
        Self::Bf16,
        Self::Fp32,
        Self::Fp64,
        Self::Bytes,
    ];

    /// The datatype with this name in the protocol.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|datatype| datatype.name() == name)
    }

    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// The bytes of an element; `None` if elements differ.
    pub fn size(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }

    /// The datatype of a field's values; `None` for messages.
    pub(super) fn of(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::Bool => Self::Bool,
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Self::Int32,
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Self::Int64,
            Kind::Uint32 | Kind::Fixed32 => Self::Uint32,
            Kind::Uint64 | Kind::Fixed64 => Self::Uint64,
            Kind::Float => Self::Fp32,
            Kind::Double => Self::Fp64,
            Kind::String | Kind::Bytes | Kind::Enum(_) => Self::Bytes,
            Kind::Message(_) => return None,
        })
    }

    /// Whether a field of the datatype `to` holds every value of this one.
    pub fn fits(self, to: Self) -> bool {
        self == to
            || match to {
                Self::Uint32 => matches!(self, Self::Uint8 | Self::Uint16),
                Self::Uint64 => matches!(self, Self::Uint8 | Self::Uint16 | Self::Uint32),
                Self::Int32 => matches!(self, Self::Uint8 | Self::Uint16 | Self::Int8 | Self::Int16),
                Self::Int64 => Self::Uint32 == self || self.fits(Self::Int32),
                Self::Fp32 => matches!(self, Self::Fp16 | Self::Bf16),
                Self::Fp64 => self.fits(Self::Fp32),
                _ => false,
            }
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
