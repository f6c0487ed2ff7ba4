//! A tensor in the protocol's binary form.

use super::error::{ElementCount, MAX_RANK, TensorFault};
use crate::{
    json::base64,
    memory::{Buffer, Reservation},
};
use bytes::Bytes;
use krt_package::open_inference::{Axes, Datatype};

/// A tensor. Its data are its elements, row by row: numbers in little-endian order, a byte for a boolean, and for an
/// element of BYTES its length in four bytes, then its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTensor {
    /// The type of its elements.
    pub datatype: Datatype,
    /// Its dimensions.
    pub shape: Vec<i64>,
    /// Its elements.
    pub data: Bytes,
}

/// The elements of a tensor, one after another.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'t> {
    size: Option<usize>,
    rest: &'t [u8],
}

impl RawTensor {
    /// Creates a tensor. Its data must be those of its shape.
    pub fn new(datatype: Datatype, shape: Vec<i64>, data: Bytes) -> Result<Self, TensorFault> {
        let expected = count(&shape)?;
        match datatype.size() {
            Some(size) if expected.checked_mul(size) != Some(data.len()) => {
                let expected = expected.saturating_mul(size);
                return Err(TensorFault::Size { found: data.len(), expected });
            }
            Some(_) => {}
            None => check_lengths(&data, expected)?,
        }
        Ok(Self { datatype, shape, data })
    }

    /// Returns the elements.
    pub(super) fn elements(&self) -> Cursor<'_> {
        Cursor { size: self.datatype.size(), rest: &self.data }
    }

    /// Decodes the elements from Base64.
    pub(super) fn decode_base64(self, reservation: &Reservation) -> Result<Self, TensorFault> {
        let mut data = Buffer::new(reservation.another(), usize::MAX);
        for element in self.elements() {
            // For the copies of one element that decoding makes.
            let mut copies = reservation.another();
            copies.try_grow(2 * element.len())?;
            let decoded = std::str::from_utf8(element).ok().and_then(base64);
            put_text(&decoded.ok_or(TensorFault::NotBase64)?, &mut data)?;
        }
        Ok(Self { data: data.freeze(), ..self })
    }
}

impl<'t> Cursor<'t> {
    /// Takes the bytes of the next numbers, at most `most` of them.
    pub(super) fn numbers(&mut self, most: usize) -> &'t [u8] {
        let size = self.size.unwrap_or(1);
        let length = most.saturating_mul(size).min(self.rest.len());
        self.rest.split_off(..length).unwrap_or_default()
    }
}

impl<'t> Iterator for Cursor<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        match self.size {
            Some(size) => self.rest.split_off(..size),
            None => {
                let (length, rest) = self.rest.split_first_chunk()?;
                let element = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
                self.rest = &rest[element.len()..];
                Some(element)
            }
        }
    }
}

/// Appends an element of BYTES.
pub(super) fn put_text(element: &[u8], data: &mut Buffer) -> Result<(), TensorFault> {
    let length = u32::try_from(element.len()).map_err(|_| TensorFault::Lengths)?;
    data.extend(&length.to_le_bytes(), usize::MAX)?;
    Ok(data.extend(element, usize::MAX)?)
}

/// Checks that bytes are so many elements of BYTES.
fn check_lengths(data: &[u8], expected: usize) -> Result<(), TensorFault> {
    let mut elements = Cursor { size: None, rest: data };
    let mut found = 0;
    while elements.next().is_some() {
        found += 1;
    }
    match elements.rest {
        [] if found == expected => Ok(()),
        [] => Err(TensorFault::Count { found: ElementCount::Exactly(found), expected }),
        _ => Err(TensorFault::Lengths),
    }
}

/// Returns how many elements a shape has.
pub(super) fn count(shape: &[i64]) -> Result<usize, TensorFault> {
    let not_shape = || TensorFault::NotShape { shape: shape.iter().copied().take(MAX_RANK).collect() };
    let sizes = shape.iter().map(|&size| usize::try_from(size).map_err(|_| not_shape()));
    let sizes = sizes.collect::<Result<Vec<_>, _>>()?;
    if shape.len() > MAX_RANK {
        return Err(not_shape());
    }
    if sizes.contains(&0) {
        return Ok(0);
    }
    let product = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    product.filter(|&product| i64::try_from(product).is_ok()).ok_or_else(not_shape)
}

/// Checks that a field takes a shape.
pub(super) fn check_shape(axes: Axes, shape: &[i64]) -> Result<(), TensorFault> {
    let total = count(shape)?;
    let beside_ones = |sizes: &[i64]| sizes.iter().filter(|&&size| size != 1).count();
    let fits = match (axes, shape) {
        (Axes::One, _) => total == 1,
        (Axes::List, shape) => beside_ones(shape) <= 1,
        (Axes::Any, _) => true,
        (Axes::Column, [_, rest @ ..]) => beside_ones(rest) == 0,
        (Axes::Matrix, [_, rest @ ..]) => !rest.is_empty() && beside_ones(rest) <= 1,
        (Axes::Column | Axes::Matrix, []) => false,
    };
    if fits { Ok(()) } else { Err(TensorFault::Shape { shape: shape.to_vec(), axes }) }
}
