//! Requests and answers of the gRPC service: fields of its messages, by their numbers in
//! `krt_package::open_inference::descriptors`.

use super::{
    Form, InferRequest, InferResponse, RawTensor, Signature, element,
    error::{Error, MAX_RANK, TensorFault},
    raw::count,
    request::{BASE64, Builder, CLASSIFICATION, CONTENT_TYPE, Head, Input, SHARED_MEMORY},
};
use crate::{
    json::{
        Bounds, Fault, Scalar,
        fault::cut,
        out::Out,
        unpack,
        wire::{Wire, take},
    },
    memory::{Buffer, Reservation},
};
use bytes::Bytes;
use krt_package::open_inference::Datatype;
use prost::encoding::WireType;
use prost_reflect::Kind;

/// Returns the model that a message names, and the version: those of a request for an inference, a state or a
/// description have the same numbers.
pub fn model(message: &[u8]) -> Result<(&str, &str), Error> {
    let (mut name, mut version) = ("", "");
    fields(message, |number, wire| {
        match number {
            1 => name = text(wire)?,
            2 => version = text(wire)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, version))
}

/// Parses a request.
pub fn parse(message: &Bytes, model: Signature<'_>, bounds: &Bounds) -> Result<InferRequest, Error> {
    let reservation = &bounds.reservation;
    let mut builder = Builder::new(model);
    let mut inputs: Vec<(Input<'_>, Bytes)> = Vec::new();
    let (mut raw, mut raws) = (Vec::new(), 0);
    fields(message, |number, wire| {
        match (number, wire) {
            (3, wire) => builder.set_id(text(wire)?)?,
            (5, Wire::Bytes(input)) => {
                let (input, contents) = self::input(input, model, reservation)?;
                if inputs.iter().any(|(other, _)| other.name == input.name) {
                    return Err(Error::Twice { what: "input", name: input.name.to_owned() });
                }
                inputs.push((input, contents));
            }
            (6, Wire::Bytes(output)) => builder.want(wanted(output)?, Form::Plain)?,
            (7, Wire::Bytes(contents)) => {
                raws += 1;
                // More than there may be inputs are only counted.
                if raws <= model.inputs.tensors.len() {
                    raw.push(message.slice_ref(contents));
                }
            }
            (5..=7, _) => return Err(Error::Message(Fault::WireType)),
            _ => {}
        }
        Ok(())
    })?;
    if raws > 0 && raws != inputs.len() {
        return Err(Error::RawContents { found: raws, inputs: inputs.len() });
    }
    let form = if raws > 0 || inputs.is_empty() { Form::Binary } else { Form::Plain };
    let mut raw = raw.into_iter();
    for (input, contents) in inputs {
        let data = match raw.next() {
            Some(_) if !contents.is_empty() => return Err(TensorFault::TwiceData.of_input(input.name)),
            Some(data) => data,
            None => contents,
        };
        builder.add(input, data, reservation)?;
    }
    let mut request = builder.finish(form);
    request.outputs.iter_mut().for_each(|output| output.form = form);
    Ok(request)
}

/// Reads the fields of a message.
fn fields<'m>(
    mut message: &'m [u8],
    mut field: impl FnMut(u32, Wire<'m>) -> Result<(), Error>,
) -> Result<(), Error> {
    while let Some((number, wire)) = take(&mut message).map_err(Error::of_message)? {
        field(number, wire)?;
    }
    Ok(())
}

fn text(wire: Wire<'_>) -> Result<&str, Error> {
    let Wire::Bytes(bytes) = wire else { return Err(Error::Message(Fault::WireType)) };
    std::str::from_utf8(bytes).map_err(|_| Error::Message(Fault::NotUtf8))
}

/// Reads an input, with its contents in the binary form.
fn input<'m>(
    message: &[u8],
    model: Signature<'m>,
    reservation: &Reservation,
) -> Result<(Input<'m>, Bytes), Error> {
    let mut head = Head::default();
    let mut in_shared_memory = false;
    fields(message, |number, wire| {
        match number {
            1 => head.name = text(wire)?.into(),
            2 => head.datatype = Some(text(wire)?.into()),
            3 => add_shape(wire, &mut head.shape)?,
            4 => match parameter(wire)? {
                (CONTENT_TYPE, Some(value)) => head.base64 = value == BASE64,
                (SHARED_MEMORY, _) => in_shared_memory = true,
                _ => {}
            },
            _ => {}
        }
        Ok(())
    })?;
    let input = head.find(model.inputs)?;
    if in_shared_memory {
        return Err(TensorFault::SharedMemory.of_input(input.name));
    }
    let mut contents = Contents::new(input.datatype, reservation);
    fields(message, |number, wire| match (number, wire) {
        (5, Wire::Bytes(part)) => contents.add(part).map_err(|fault| fault.of_input(input.name)),
        _ => Ok(()),
    })?;
    Ok((input, contents.data.freeze()))
}

fn add_shape(wire: Wire<'_>, shape: &mut Vec<i64>) -> Result<(), Error> {
    match wire {
        // One more than there may be is refused with the others.
        Wire::Varint(_) if shape.len() > MAX_RANK => {}
        Wire::Varint(size) => shape.push(size as i64),
        Wire::Bytes(mut packed) => {
            let malformed = |error: Box<crate::json::fault::PathFault>| Error::of_message(error.fault);
            while let Some(wire) = unpack(&Kind::Int64, &mut packed).map_err(malformed)? {
                add_shape(wire, shape)?;
            }
        }
        _ => return Err(Error::Message(Fault::WireType)),
    }
    Ok(())
}

/// Reads an entry of a map of parameters: the name, and the value if it is a text.
fn parameter(wire: Wire<'_>) -> Result<(&str, Option<&str>), Error> {
    let Wire::Bytes(entry) = wire else { return Err(Error::Message(Fault::WireType)) };
    let (mut name, mut value) = ("", None);
    fields(entry, |number, wire| {
        match (number, wire) {
            (1, wire) => name = text(wire)?,
            (2, Wire::Bytes(parameter)) => fields(parameter, |number, wire| {
                if number == 3 {
                    value = Some(text(wire)?);
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, value))
}

/// Reads a wanted output.
fn wanted(message: &[u8]) -> Result<&str, Error> {
    let (mut name, mut refused) = ("", None);
    fields(message, |number, wire| {
        match number {
            1 => name = text(wire)?,
            2 => {
                let (parameter, _) = parameter(wire)?;
                let known = [SHARED_MEMORY, CLASSIFICATION].into_iter().find(|&known| known == parameter);
                refused = known.or(refused);
            }
            _ => {}
        }
        Ok(())
    })?;
    match refused {
        Some(parameter) => Err(Error::Parameter { name: cut(name), parameter }),
        None => Ok(name),
    }
}

/// The field of `InferTensorContents` with the elements of a datatype: its number, its name and its kind.
fn place(datatype: Datatype) -> Result<(u32, &'static str, Kind), TensorFault> {
    Ok(match datatype {
        Datatype::Bool => (1, "bool_contents", Kind::Bool),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => (2, "int_contents", Kind::Int32),
        Datatype::Int64 => (3, "int64_contents", Kind::Int64),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => (4, "uint_contents", Kind::Uint32),
        Datatype::Uint64 => (5, "uint64_contents", Kind::Uint64),
        Datatype::Fp32 => (6, "fp32_contents", Kind::Float),
        Datatype::Fp64 => (7, "fp64_contents", Kind::Double),
        Datatype::Bytes => (8, "bytes_contents", Kind::Bytes),
        Datatype::Fp16 | Datatype::Bf16 => return Err(TensorFault::OnlyRaw { datatype }),
    })
}

/// The number of the last field of `InferTensorContents`.
const LAST: u32 = 8;

/// The elements in `contents`, on their way to the binary form.
struct Contents {
    datatype: Datatype,
    data: Buffer,
}

impl Contents {
    fn new(datatype: Datatype, reservation: &Reservation) -> Self {
        Self { datatype, data: Buffer::new(reservation.another(), usize::MAX) }
    }

    fn add(&mut self, mut contents: &[u8]) -> Result<(), TensorFault> {
        while let Some((number, wire)) = take(&mut contents)? {
            if number > LAST {
                continue;
            }
            let (expected, field, kind) = place(self.datatype)?;
            match wire {
                _ if number != expected => {
                    return Err(TensorFault::Contents { field, datatype: self.datatype });
                }
                Wire::Bytes(mut packed) if kind != Kind::Bytes => {
                    while let Some(wire) = unpack(&kind, &mut packed).map_err(|error| error.fault)? {
                        self.element(&kind, wire)?;
                    }
                }
                wire => self.element(&kind, wire)?,
            }
        }
        Ok(())
    }

    fn element(&mut self, kind: &Kind, wire: Wire<'_>) -> Result<(), TensorFault> {
        let Some(value) = Scalar::parse(kind, wire)? else { return Ok(()) };
        let datatype = self.datatype;
        let (Scalar::Small(number), Some(size @ (1 | 2))) = (value, datatype.size()) else {
            return element::push(value, kind, &mut self.data);
        };
        let fits = match datatype {
            Datatype::Int8 => i8::try_from(number).is_ok(),
            Datatype::Int16 => i16::try_from(number).is_ok(),
            Datatype::Uint8 => u8::try_from(number).is_ok(),
            _ => u16::try_from(number).is_ok(),
        };
        if !fits {
            return Err(TensorFault::Range { number, datatype });
        }
        Ok(self.data.extend(&number.to_le_bytes()[..size], usize::MAX)?)
    }
}

/// Writes an answer.
pub fn write(response: InferResponse<'_>, bounds: Bounds) -> Result<Bytes, Error> {
    let mut out = Out::new(bounds.reservation, bounds.limit);
    put_text(1, response.model, &mut out)?;
    put_text(2, response.version, &mut out)?;
    put_text(3, response.id.unwrap_or_default(), &mut out)?;
    for (name, output, tensor) in response.present() {
        out.key(5, WireType::LengthDelimited)?;
        out.with_length(|out| {
            put_text(1, name, out)?;
            put_text(2, tensor.datatype.name(), out)?;
            if !tensor.shape.is_empty() {
                out.key(3, WireType::LengthDelimited)?;
                out.with_length(|out| tensor.shape.iter().try_for_each(|&size| out.varint(size as u64)))?;
            }
            if output.form == Form::Plain {
                out.key(5, WireType::LengthDelimited)?;
                out.with_length(|out| put_contents(tensor, out))?;
            }
            Ok::<_, TensorFault>(())
        })
        .map_err(|fault| fault.of_output(name))?;
    }
    for (_, _, tensor) in response.present().filter(|(_, output, _)| output.form == Form::Binary) {
        out.key(6, WireType::LengthDelimited)?;
        out.put_bytes(&tensor.data)?;
    }
    out.check()?;
    Ok(out.finish())
}

fn put_text(number: u32, text: &str, out: &mut Out) -> Result<(), Fault> {
    if text.is_empty() {
        return Ok(());
    }
    out.key(number, WireType::LengthDelimited)?;
    out.put_bytes(text.as_bytes())
}

fn put_contents(tensor: &RawTensor, out: &mut Out) -> Result<(), TensorFault> {
    let (number, _, kind) = place(tensor.datatype)?;
    if count(&tensor.shape)? == 0 {
        return Ok(());
    }
    if kind == Kind::Bytes {
        for element in tensor.elements() {
            out.key(number, WireType::LengthDelimited)?;
            out.put_bytes(element)?;
        }
        return Ok(());
    }
    out.key(number, WireType::LengthDelimited)?;
    out.with_length(|out| {
        tensor.elements().try_for_each(|element| element::write(tensor.datatype, element, &kind, out))
    })
}
