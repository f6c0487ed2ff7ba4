//! Tensors to a message.

use super::{
    element,
    error::{Error, TensorFault},
    raw::{Cursor, RawTensor},
};
use crate::json::{Bounds, out::Out};
use bytes::Bytes;
use krt_package::open_inference::{Axes, Datatype, Layout, Member, Place};
use prost::encoding::WireType;
use prost_reflect::FieldDescriptor;

/// Encodes a message. `inputs` are the tensors of its layout, by their index there, each of a datatype and a shape that
/// its field takes. A tensor that is absent leaves its field unset.
pub fn encode(layout: &Layout, inputs: &[Option<RawTensor>], bounds: Bounds) -> Result<Bytes, Error> {
    let mut out = Out::new(bounds.reservation, bounds.limit);
    Encoder { layout, inputs }.members(&layout.members, &mut out)?;
    out.check()?;
    Ok(out.finish())
}

#[derive(Clone, Copy)]
struct Encoder<'a> {
    layout: &'a Layout,
    inputs: &'a [Option<RawTensor>],
}

/// A column of a table, and how many of its elements each row takes.
struct Column<'a> {
    place: &'a Place,
    datatype: Datatype,
    elements: Cursor<'a>,
    width: usize,
}

impl<'a> Encoder<'a> {
    fn members(self, members: &'a [Member], out: &mut Out) -> Result<(), Error> {
        for member in members {
            match member {
                Member::Tensor(place) => self.tensor(place, out)?,
                Member::Shaped { place, shape } => {
                    self.tensor(place, out)?;
                    if let Some(tensor) = self.input(place) {
                        write_shape(&tensor.shape, shape, out)?;
                    }
                }
                Member::Message { field, members } => {
                    if self.has_any(members) {
                        out.key(field.number(), WireType::LengthDelimited)?;
                        out.with_length(|out| self.members(members, out))?;
                    }
                }
                Member::Rows { field, columns } => self.rows(field, columns, out)?,
            }
        }
        Ok(())
    }

    fn input(self, place: &Place) -> Option<&'a RawTensor> {
        self.inputs[place.tensor].as_ref()
    }

    /// Returns whether a message has a tensor.
    fn has_any(self, members: &[Member]) -> bool {
        members.iter().any(|member| match member {
            Member::Tensor(place) | Member::Shaped { place, .. } => self.input(place).is_some(),
            Member::Message { members, .. } => self.has_any(members),
            Member::Rows { columns, .. } => columns.iter().any(|place| self.input(place).is_some()),
        })
    }

    fn tensor(self, place: &Place, out: &mut Out) -> Result<(), Error> {
        let Some(tensor) = self.input(place) else { return Ok(()) };
        let Place { field, tensor: index } = place;
        let mut elements = tensor.elements();
        let written = match self.layout.tensors[*index].axes {
            Axes::One => write_one(field, tensor.datatype, &mut elements, out),
            _ => write_list(field, tensor.datatype, &mut elements, usize::MAX, out),
        };
        written.map_err(|fault| fault.of_input(&self.layout.tensors[*index].name))
    }

    fn rows(self, field: &FieldDescriptor, columns: &'a [Place], out: &mut Out) -> Result<(), Error> {
        let mut rows = None;
        let mut given = Vec::new();
        for place in columns {
            let Some(tensor) = self.input(place) else { continue };
            let [here, width @ ..] = &*tensor.shape else { continue };
            let size = |size: &i64| usize::try_from(*size).unwrap_or_default();
            let (here, width) = (size(here), width.iter().map(size).product());
            if let Some(one) = rows.replace(here).filter(|&one| one != here) {
                let table = self.layout.tensors[place.tensor].name.rsplit_once('.');
                let table = table.map_or("", |(table, _)| table).to_owned();
                return Err(Error::Rows { table, one, other: here });
            }
            let (datatype, elements) = (tensor.datatype, tensor.elements());
            given.push(Column { place, datatype, elements, width });
        }
        for _ in 0..rows.unwrap_or_default() {
            out.key(field.number(), WireType::LengthDelimited)?;
            out.with_length(|out| given.iter_mut().try_for_each(|column| self.column(column, out)))?;
        }
        Ok(())
    }

    /// Writes the part of a column in one row.
    fn column(self, column: &mut Column<'a>, out: &mut Out) -> Result<(), Error> {
        let Column { place, datatype, elements, width } = column;
        let tensor = &self.layout.tensors[place.tensor];
        let written = match tensor.axes {
            Axes::Matrix => write_list(&place.field, *datatype, elements, *width, out),
            _ => write_one(&place.field, *datatype, elements, out),
        };
        written.map_err(|fault| fault.of_input(&tensor.name))
    }
}

/// Writes the next element, unless it is the default of a field without presence.
fn write_one(
    field: &FieldDescriptor,
    datatype: Datatype,
    elements: &mut Cursor<'_>,
    out: &mut Out,
) -> Result<(), TensorFault> {
    let Some(element) = elements.next() else { return Ok(()) };
    let kind = field.kind();
    let start = out.len();
    out.key(field.number(), kind.wire_type())?;
    let content = out.len();
    element::write(datatype, element, &kind, out)?;
    // Negative zero is no default, as its sign would be lost: its bytes are not all 0.
    if !field.supports_presence() && out.since(content).iter().all(|&byte| byte == 0) {
        out.truncate(start);
    }
    Ok(())
}

/// Writes the next elements, at most `most`.
fn write_list(
    field: &FieldDescriptor,
    datatype: Datatype,
    elements: &mut Cursor<'_>,
    most: usize,
    out: &mut Out,
) -> Result<(), TensorFault> {
    let kind = field.kind();
    let number = field.number();
    if !field.is_packed() {
        for element in elements.take(most) {
            out.key(number, kind.wire_type())?;
            element::write(datatype, element, &kind, out)?;
        }
        return Ok(());
    }
    let start = out.len();
    out.key(number, WireType::LengthDelimited)?;
    if element::is_copied(datatype, &kind) {
        match elements.numbers(most) {
            [] => out.truncate(start),
            all => out.put_bytes(all)?,
        }
        return Ok(());
    }
    let content = out.len();
    out.with_length(|out| {
        elements.take(most).try_for_each(|element| element::write(datatype, element, &kind, out))
    })?;
    if out.len() == content + 1 {
        out.truncate(start);
    }
    Ok(())
}

fn write_shape(shape: &[i64], field: &FieldDescriptor, out: &mut Out) -> Result<(), Error> {
    if !field.is_packed() {
        for &size in shape {
            out.key(field.number(), WireType::Varint)?;
            out.varint(size as u64)?;
        }
    } else if !shape.is_empty() {
        out.key(field.number(), WireType::LengthDelimited)?;
        out.with_length(|out| shape.iter().try_for_each(|&size| out.varint(size as u64)))?;
    }
    Ok(())
}
