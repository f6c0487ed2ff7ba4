//! The data of a tensor in JSON: a list of its elements, or lists of lists.

use super::super::{
    error::{ElementCount, MAX_RANK, TensorFault},
    raw::{count, put_text},
};
use crate::{
    json::{
        Fault,
        fault::{PathFault, cut},
        number,
        scan::{Scanner, Token},
    },
    memory::{Buffer, Reservation},
};
use bytes::Bytes;
use krt_package::open_inference::Datatype;

/// Why there are no elements.
pub(super) enum Error {
    Scan(Box<PathFault>),
    Tensor(TensorFault),
}

impl From<Box<PathFault>> for Error {
    fn from(error: Box<PathFault>) -> Self {
        Self::Scan(error)
    }
}

impl From<TensorFault> for Error {
    fn from(fault: TensorFault) -> Self {
        Self::Tensor(fault)
    }
}

type Result<T> = std::result::Result<T, Error>;

/// Reads as many elements as a shape has, to their binary form.
pub(super) fn read(
    scan: &mut Scanner<'_>,
    datatype: Datatype,
    shape: &[i64],
    reservation: &Reservation,
) -> Result<Bytes> {
    if matches!(datatype, Datatype::Fp16 | Datatype::Bf16) {
        return Err(TensorFault::OnlyBinary { datatype }.into());
    }
    let expected = count(shape)?;
    let data = Buffer::new(reservation.another(), usize::MAX);
    let mut elements = ElementReader { datatype, expected, found: 0, data, reservation };
    elements.list(scan, MAX_RANK)?;
    match elements.found {
        found if found == expected => Ok(elements.data.freeze()),
        found => Err(TensorFault::Count { found: ElementCount::Exactly(found), expected }.into()),
    }
}

struct ElementReader<'r> {
    datatype: Datatype,
    expected: usize,
    found: usize,
    data: Buffer,
    reservation: &'r Reservation,
}

impl ElementReader<'_> {
    fn list(&mut self, scan: &mut Scanner<'_>, depth: usize) -> Result<()> {
        if scan.peek()? != Token::List {
            return Err(unexpected("a list", *scan));
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Error::Scan(Fault::Deep { limit: MAX_RANK }.into()));
        };
        let mut items = scan.list()?;
        while scan.item(&mut items)? {
            match scan.peek()? {
                Token::List => self.list(scan, depth)?,
                _ => self.element(scan)?,
            }
        }
        Ok(())
    }

    fn element(&mut self, scan: &mut Scanner<'_>) -> Result<()> {
        self.found += 1;
        if self.found > self.expected {
            return Err(TensorFault::Count { found: ElementCount::More, expected: self.expected }.into());
        }
        match self.datatype {
            Datatype::Bool => self.bool(scan),
            Datatype::Bytes => {
                if scan.peek()? != Token::Text {
                    return Err(unexpected("a text", *scan));
                }
                Ok(put_text(scan.text()?.as_bytes(), &mut self.data)?)
            }
            Datatype::Fp32 | Datatype::Fp64 => self.float(scan),
            _ => self.integer(scan),
        }
    }

    fn bool(&mut self, scan: &mut Scanner<'_>) -> Result<()> {
        if scan.peek()? != Token::Bool {
            return Err(unexpected("true or false", *scan));
        }
        let value = scan.bool()?;
        self.put(&[u8::from(value)])
    }

    fn float(&mut self, scan: &mut Scanner<'_>) -> Result<()> {
        let before = *scan;
        let value = match scan.peek()? {
            Token::Number => {
                let text = scan.number()?;
                let value = number::double(text).unwrap_or(f64::NAN);
                let beyond = match self.datatype {
                    Datatype::Fp32 => (value as f32).is_infinite(),
                    _ => value.is_infinite(),
                };
                if beyond {
                    let kind = if self.datatype == Datatype::Fp32 { "an FP32" } else { "an FP64" };
                    return Err(Error::Scan(Fault::Range { number: cut(text), kind }.into()));
                }
                Some(value)
            }
            Token::Text => match &*scan.text()? {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                _ => None,
            },
            _ => None,
        };
        let value = value.ok_or_else(|| unexpected("a number", before))?;
        match self.datatype {
            Datatype::Fp32 => self.put(&(value as f32).to_le_bytes()),
            _ => self.put(&value.to_le_bytes()),
        }
    }

    fn integer(&mut self, scan: &mut Scanner<'_>) -> Result<()> {
        let before = *scan;
        if scan.peek()? != Token::Number {
            return Err(unexpected("a whole number", before));
        }
        let text = scan.number()?;
        // The digits are copied, without their point.
        let mut copy = self.reservation.another();
        copy.try_grow(text.len()).map_err(TensorFault::from)?;
        let number = match number::whole(text) {
            Err(number::NotInteger::Other) => return Err(unexpected("a whole number", before)),
            // Beyond the range of any datatype.
            Err(number::NotInteger::TooLarge) => i128::MAX,
            Ok(number) => number,
        };
        let (range, kind) = match self.datatype {
            Datatype::Uint8 => (0..=u8::MAX.into(), "a UINT8"),
            Datatype::Uint16 => (0..=u16::MAX.into(), "a UINT16"),
            Datatype::Uint32 => (0..=u32::MAX.into(), "a UINT32"),
            Datatype::Uint64 => (0..=u64::MAX.into(), "a UINT64"),
            Datatype::Int8 => (i8::MIN.into()..=i8::MAX.into(), "an INT8"),
            Datatype::Int16 => (i16::MIN.into()..=i16::MAX.into(), "an INT16"),
            Datatype::Int32 => (i32::MIN.into()..=i32::MAX.into(), "an INT32"),
            _ => (i64::MIN.into()..=i64::MAX.into(), "an INT64"),
        };
        if !range.contains(&number) {
            return Err(Error::Scan(Fault::Range { number: cut(text), kind }.into()));
        }
        // The number is in range, so that its lower bytes are it.
        let size = self.datatype.size().unwrap_or_default();
        self.put(&number.to_le_bytes()[..size])
    }

    fn put(&mut self, element: &[u8]) -> Result<()> {
        Ok(self.data.extend(element, usize::MAX).map_err(TensorFault::from)?)
    }
}

fn unexpected(expected: &'static str, found: Scanner<'_>) -> Error {
    Error::Scan(Fault::Expected { expected, found: found.shown() }.into())
}
