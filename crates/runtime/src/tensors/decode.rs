//! A message to tensors.

use super::{
    element,
    error::{Error, MAX_RANK, TensorFault},
    raw::{RawTensor, count},
};
use crate::{
    json::{
        Bounds, Scalar, unpack,
        wire::{Wire, take},
    },
    memory::{Buffer, Reservation},
};
use krt_package::open_inference::{Axes, Layout, Member, Place};
use prost_reflect::{FieldDescriptor, Kind};

/// Decodes a message. Returns the tensors of its layout, by their index there; fields that are absent and say so have
/// none.
pub fn decode(layout: &Layout, message: &[u8], bounds: &Bounds) -> Result<Vec<Option<RawTensor>>, Error> {
    let parts = layout.tensors.iter().map(|_| Part::new(bounds.reservation.another(), bounds.limit));
    let mut decoder = Decoder { layout, parts: parts.collect() };
    decoder.appear(&layout.members);
    decoder.members(&layout.members, message)?;
    let Decoder { parts, .. } = decoder;
    let finished = parts.into_iter().zip(&layout.tensors).map(|(part, tensor)| {
        let finished = part.finish(tensor.axes, tensor.datatype);
        finished.map_err(|fault| fault.of_output(&tensor.name))
    });
    finished.collect()
}

struct Decoder<'l> {
    layout: &'l Layout,
    parts: Vec<Part>,
}

/// A tensor of which parts are known.
struct Part {
    reservation: Reservation,
    data: Buffer,
    limit: usize,
    /// How many elements its data have.
    count: usize,
    /// Its shape, if a field has it.
    shape: Vec<i64>,
    /// The rows of its table.
    rows: usize,
    /// The elements of each row.
    width: usize,
    /// Whether it exists without elements.
    exists: bool,
    /// The default of its field, if the field has no presence and the message is there.
    default: Option<FieldDescriptor>,
}

impl Decoder<'_> {
    /// Notes that a message is there, and so its fields without presence.
    fn appear(&mut self, members: &[Member]) {
        for member in members {
            match member {
                Member::Tensor(place) | Member::Shaped { place, .. } => {
                    let part = &mut self.parts[place.tensor];
                    part.exists |= place.field.is_list();
                    if !place.field.is_list() && !place.field.supports_presence() {
                        part.default = Some(place.field.clone());
                    }
                }
                Member::Rows { columns, .. } => {
                    columns.iter().for_each(|place| self.parts[place.tensor].exists = true);
                }
                Member::Message { .. } => {}
            }
        }
    }

    fn members(&mut self, members: &[Member], mut message: &[u8]) -> Result<(), Error> {
        while let Some((number, wire)) = take(&mut message)? {
            let named = |field: &FieldDescriptor| field.number() == number;
            for member in members {
                match member {
                    Member::Tensor(place) | Member::Shaped { place, .. } if named(&place.field) => {
                        self.value(place, wire)?;
                    }
                    Member::Shaped { place, shape } if named(shape) => {
                        let added = self.parts[place.tensor].add_shape(wire);
                        added.map_err(|fault| fault.of_output(&self.layout.tensors[place.tensor].name))?;
                    }
                    Member::Message { field, members } if named(field) => {
                        let Wire::Bytes(inner) = wire else { return Err(Error::Answer) };
                        self.appear(members);
                        self.members(members, inner)?;
                    }
                    Member::Rows { field, columns } if named(field) => {
                        let Wire::Bytes(row) = wire else { return Err(Error::Answer) };
                        self.row(columns, row)?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn value(&mut self, place: &Place, wire: Wire<'_>) -> Result<(), Error> {
        let part = &mut self.parts[place.tensor];
        let added = match self.layout.tensors[place.tensor].axes {
            Axes::One => part.set(&place.field, wire),
            _ => part.add(&place.field, wire),
        };
        added.map_err(|fault| fault.of_output(&self.layout.tensors[place.tensor].name))
    }

    fn row(&mut self, columns: &[Place], mut row: &[u8]) -> Result<(), Error> {
        let mut last: Vec<Option<Wire<'_>>> = vec![None; columns.len()];
        let starts: Vec<usize> = columns.iter().map(|place| self.parts[place.tensor].count).collect();
        while let Some((number, wire)) = take(&mut row)? {
            let Some(index) = columns.iter().position(|place| place.field.number() == number) else {
                continue;
            };
            match self.layout.tensors[columns[index].tensor].axes {
                Axes::Matrix => self.value(&columns[index], wire)?,
                _ => last[index] = Some(wire),
            }
        }
        for ((place, wire), start) in columns.iter().zip(last).zip(starts) {
            let tensor = &self.layout.tensors[place.tensor];
            let part = &mut self.parts[place.tensor];
            let ended = match tensor.axes {
                Axes::Matrix => part.end_row(start),
                _ => part.push(&place.field.kind(), wire),
            };
            ended.map_err(|fault| fault.of_output(&tensor.name))?;
            part.rows += 1;
        }
        Ok(())
    }
}

impl Part {
    fn new(reservation: Reservation, limit: usize) -> Self {
        let data = Buffer::new(reservation.another(), limit);
        Self {
            reservation,
            data,
            limit,
            count: 0,
            shape: Vec::new(),
            rows: 0,
            width: 0,
            exists: false,
            default: None,
        }
    }

    /// Sets the only element. Of several in a message the last counts.
    fn set(&mut self, field: &FieldDescriptor, wire: Wire<'_>) -> Result<(), TensorFault> {
        let kind = field.kind();
        if let Some(value) = Scalar::parse(&kind, wire)? {
            self.data = Buffer::new(self.reservation.another(), self.limit);
            element::push(value, &kind, &mut self.data)?;
            self.count = 1;
        }
        Ok(())
    }

    /// Adds an element, or several that are packed.
    fn add(&mut self, field: &FieldDescriptor, wire: Wire<'_>) -> Result<(), TensorFault> {
        let kind = field.kind();
        let Wire::Bytes(mut packed) = wire else { return self.add_one(&kind, wire) };
        if matches!(kind, Kind::String | Kind::Bytes) {
            return self.add_one(&kind, wire);
        }
        while let Some(wire) = unpack(&kind, &mut packed).map_err(|error| error.fault)? {
            self.add_one(&kind, wire)?;
        }
        Ok(())
    }

    fn add_one(&mut self, kind: &Kind, wire: Wire<'_>) -> Result<(), TensorFault> {
        if let Some(value) = Scalar::parse(kind, wire)? {
            element::push(value, kind, &mut self.data)?;
            self.count += 1;
        }
        Ok(())
    }

    /// Adds the element of a row, or the default.
    fn push(&mut self, kind: &Kind, wire: Option<Wire<'_>>) -> Result<(), TensorFault> {
        let value = wire.map(|wire| Scalar::parse(kind, wire)).transpose()?.flatten();
        element::push(value.unwrap_or_else(|| Scalar::default_of(kind)), kind, &mut self.data)?;
        self.count += 1;
        Ok(())
    }

    /// Ends a row whose elements begin at `start`.
    fn end_row(&mut self, start: usize) -> Result<(), TensorFault> {
        let width = self.count - start;
        if self.rows > 0 && width != self.width {
            return Err(TensorFault::Ragged);
        }
        self.width = width;
        Ok(())
    }

    fn add_shape(&mut self, wire: Wire<'_>) -> Result<(), TensorFault> {
        match wire {
            Wire::Varint(size) => self.shape.push(size as i64),
            Wire::Bytes(mut packed) => {
                while let Some(wire) = unpack(&Kind::Int64, &mut packed).map_err(|error| error.fault)? {
                    self.add_shape(wire)?;
                }
            }
            _ => return Err(TensorFault::Malformed),
        }
        if self.shape.len() > MAX_RANK {
            return Err(TensorFault::NotShape { shape: std::mem::take(&mut self.shape) });
        }
        Ok(())
    }

    fn finish(
        mut self,
        axes: Axes,
        datatype: krt_package::open_inference::Datatype,
    ) -> Result<Option<RawTensor>, TensorFault> {
        if let (0, Some(field)) = (self.count, &self.default) {
            let kind = field.kind();
            self.push(&kind, None)?;
        }
        if self.count == 0 && !self.exists {
            return Ok(None);
        }
        let size = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        let shape = match axes {
            Axes::Any if !self.shape.is_empty() => {
                if count(&self.shape)? != self.count {
                    return Err(TensorFault::OtherShape { shape: self.shape, count: self.count });
                }
                self.shape
            }
            Axes::One | Axes::List | Axes::Any => vec![size(self.count)],
            Axes::Column => vec![size(self.rows)],
            Axes::Matrix => vec![size(self.rows), size(self.width)],
        };
        Ok(Some(RawTensor { datatype, shape, data: self.data.freeze() }))
    }
}
