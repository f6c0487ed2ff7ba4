//! Requests and answers over REST: JSON, which binary data may follow.

mod elements;

use super::{
    Form, InferRequest, InferResponse, Signature,
    element::{Number, number},
    error::{Error, MAX_RANK, TensorFault},
    raw::RawTensor,
    request::{BASE64, Builder, CLASSIFICATION, CONTENT_TYPE, Head, Input, SHARED_MEMORY},
};
use crate::{
    json::{
        Bounds, Fault,
        fault::{FaultPath as _, PathFault, Result as Scanned, cut},
        number::whole,
        out::{Out, unwritten},
        scan::{Scanner, Token},
    },
    memory::Reservation,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use krt_package::open_inference::Datatype;
use serde::Serialize;
use std::borrow::Cow;

/// The parameter of a tensor with binary data: its size in bytes.
const BINARY_SIZE: &str = "binary_data_size";
/// The parameter of a wanted output that is to have binary data.
const BINARY: &str = "binary_data";
/// The parameter of a request whose outputs are to have binary data.
const BINARY_OUTPUT: &str = "binary_data_output";

/// Parses a request. `header` is the size of its JSON, if binary data may follow.
pub fn parse(
    body: &Bytes,
    header: Option<usize>,
    model: Signature<'_>,
    bounds: &Bounds,
) -> Result<InferRequest, Error> {
    let size = body.len();
    let text = body.get(..header.unwrap_or(size)).ok_or(Error::Header { size })?;
    let mut escapes = bounds.reservation.another();
    let mut scan = Scanner::new(text).map_err(|error| Error::of_json(*error, (1, 1)))?;
    escapes.try_grow(scan.escapes())?;
    let mut parser = Parser {
        builder: Builder::new(model),
        model,
        binary: body.slice(text.len()..),
        form: Form::Plain,
        outputs: None,
        reservation: &bounds.reservation,
    };
    parser.whole(&mut scan).map_err(|error| error.at(scan.place()))?;
    parser.finish()
}

/// An error of the text, or another one.
enum ParseError {
    Scan(Box<PathFault>),
    Other(Box<Error>),
}

impl ParseError {
    /// Adds the item of a list that the error is in.
    fn within(self, list: &str, index: usize) -> Self {
        match self {
            Self::Scan(error) => Self::Scan(error.in_item(index).in_field(list)),
            other => other,
        }
    }

    fn at(self, place: (usize, usize)) -> Error {
        match self {
            Self::Scan(error) => Error::of_json(*error, place),
            Self::Other(error) => *error,
        }
    }
}

impl From<Box<PathFault>> for ParseError {
    fn from(error: Box<PathFault>) -> Self {
        Self::Scan(error)
    }
}

impl From<Fault> for ParseError {
    fn from(fault: Fault) -> Self {
        Self::Scan(fault.into())
    }
}

impl From<Error> for ParseError {
    fn from(error: Error) -> Self {
        Self::Other(Box::new(error))
    }
}

type Parsed<T> = Result<T, ParseError>;

/// Parses a request.
struct Parser<'m, 't> {
    builder: Builder<'m>,
    model: Signature<'m>,
    /// The binary data that no input has taken yet.
    binary: Bytes,
    /// How outputs are sent that do not say it.
    form: Form,
    /// The list of outputs, which is read when the request's own parameters are known.
    outputs: Option<Scanner<'t>>,
    reservation: &'m Reservation,
}

/// The data of an input.
enum Data<'t> {
    /// JSON, from its list on.
    Text(Scanner<'t>),
    /// So many bytes after the JSON.
    Binary(usize),
}

impl<'t> Parser<'_, 't> {
    fn whole(&mut self, scan: &mut Scanner<'t>) -> Parsed<()> {
        let mut seen = Vec::new();
        require(scan, Token::Object, "an object")?;
        let mut members = scan.object()?;
        while let Some(name) = scan.key(&mut members)? {
            match &*name {
                "id" => {
                    once(&mut seen, "id")?;
                    self.builder.set_id(&text(scan, "a text").in_field("id")?)?;
                }
                "parameters" => {
                    once(&mut seen, "parameters")?;
                    self.parameters(scan).in_field("parameters")?;
                }
                "inputs" => {
                    once(&mut seen, "inputs")?;
                    self.inputs(scan)?;
                }
                "outputs" => {
                    once(&mut seen, "outputs")?;
                    self.outputs = Some(*scan);
                    scan.skip()?;
                }
                _ => drop(scan.skip()?),
            }
        }
        Ok(scan.end()?)
    }

    fn finish(mut self) -> Result<InferRequest, Error> {
        if !self.binary.is_empty() {
            return Err(Error::Rest { size: self.binary.len() });
        }
        if let Some(mut scan) = self.outputs.take() {
            self.wanted(&mut scan).map_err(|error| error.at(scan.place()))?;
        }
        Ok(self.builder.finish(self.form))
    }

    fn parameters(&mut self, scan: &mut Scanner<'t>) -> Scanned<()> {
        parameters(scan, |name, scan| match name {
            BINARY_OUTPUT => {
                self.form = form(scan)?;
                Ok(true)
            }
            _ => Ok(false),
        })
    }

    fn inputs(&mut self, scan: &mut Scanner<'t>) -> Parsed<()> {
        require(scan, Token::List, "a list").in_field("inputs")?;
        let mut items = scan.list()?;
        let mut index = 0;
        while scan.item(&mut items)? {
            let input = input(scan).map_err(|error| error.within("inputs", index))?;
            self.input(input, index)?;
            index += 1;
        }
        Ok(())
    }

    fn input(&mut self, (head, data): (Head<'t>, Option<Data<'t>>), index: usize) -> Parsed<()> {
        let input = head.find(self.model.inputs)?;
        let data = match data {
            None => Err(TensorFault::NoData.of_input(input.name)),
            Some(Data::Binary(size)) => self.binary(size, &input),
            Some(Data::Text(mut scan)) => self.text(&mut scan, &input, index),
        };
        Ok(self.builder.add(input, data?, self.reservation)?)
    }

    fn binary(&mut self, size: usize, input: &Input<'_>) -> Result<Bytes, Error> {
        let there = self.binary.len();
        if size > there {
            return Err(TensorFault::Short { announced: size, there }.of_input(input.name));
        }
        Ok(self.binary.split_to(size))
    }

    fn text(&self, scan: &mut Scanner<'t>, input: &Input<'_>, index: usize) -> Result<Bytes, Error> {
        let read = elements::read(scan, input.datatype, &input.shape, self.reservation);
        read.map_err(|error| match error {
            elements::Error::Tensor(fault) => fault.of_input(input.name),
            elements::Error::Scan(error) => {
                let error = error.in_field("data").in_item(index).in_field("inputs");
                Error::of_json(*error, scan.place())
            }
        })
    }

    fn wanted(&mut self, scan: &mut Scanner<'t>) -> Parsed<()> {
        require(scan, Token::List, "a list").in_field("outputs")?;
        let mut items = scan.list()?;
        let mut index = 0;
        while scan.item(&mut items)? {
            let (name, form) = self.output(scan).map_err(|error| error.within("outputs", index))?;
            self.builder.want(&name, form)?;
            index += 1;
        }
        Ok(())
    }

    fn output(&self, scan: &mut Scanner<'t>) -> Parsed<(Cow<'t, str>, Form)> {
        let (mut name, mut wanted, mut refused) = (None, self.form, None);
        require(scan, Token::Object, "an object")?;
        let mut members = scan.object()?;
        while let Some(key) = scan.key(&mut members)? {
            match &*key {
                "name" => name = Some(text(scan, "a text").in_field("name")?),
                "parameters" => {
                    let read = parameters(scan, |name, scan| {
                        match name {
                            BINARY => wanted = form(scan)?,
                            SHARED_MEMORY => refused = Some(SHARED_MEMORY),
                            CLASSIFICATION => refused = Some(CLASSIFICATION),
                            _ => {}
                        }
                        Ok(name == BINARY)
                    });
                    read.in_field("parameters")?;
                }
                _ => drop(scan.skip()?),
            }
        }
        let name = name.ok_or_else(|| missing("name"))?;
        match refused {
            Some(parameter) => Err(Error::Parameter { name: cut(&name), parameter }.into()),
            None => Ok((name, wanted)),
        }
    }
}

/// Reads an input, apart from its data.
fn input<'t>(scan: &mut Scanner<'t>) -> Parsed<(Head<'t>, Option<Data<'t>>)> {
    let (mut head, mut data, mut seen, mut fault) = (Head::default(), None, Vec::new(), None);
    require(scan, Token::Object, "an object")?;
    let mut members = scan.object()?;
    let mut named = false;
    while let Some(key) = scan.key(&mut members)? {
        match &*key {
            "name" => {
                once(&mut seen, "name")?;
                head.name = text(scan, "a text").in_field("name")?;
                named = true;
            }
            "datatype" => {
                once(&mut seen, "datatype")?;
                head.datatype = Some(text(scan, "a text").in_field("datatype")?);
            }
            "shape" => {
                once(&mut seen, "shape")?;
                head.shape = shape(scan).in_field("shape")?;
            }
            "data" => {
                once(&mut seen, "data")?;
                fault = data.is_some().then_some(TensorFault::TwiceData).or(fault);
                data = Some(Data::Text(*scan));
                scan.skip()?;
            }
            "parameters" => {
                once(&mut seen, "parameters")?;
                let read = parameters(scan, |name, scan| {
                    match name {
                        BINARY_SIZE => {
                            fault = data.is_some().then_some(TensorFault::TwiceData).or(fault.take());
                            data = Some(Data::Binary(size(scan)?));
                        }
                        CONTENT_TYPE if scan.peek()? == Token::Text => head.base64 = scan.text()? == BASE64,
                        SHARED_MEMORY => {
                            fault = Some(TensorFault::SharedMemory);
                            return Ok(false);
                        }
                        _ => return Ok(false),
                    }
                    Ok(true)
                });
                read.in_field("parameters")?;
            }
            _ => drop(scan.skip()?),
        }
    }
    if !named {
        return Err(missing("name").into());
    }
    match fault {
        Some(fault) => Err(fault.of_input(&cut(&head.name)).into()),
        None => Ok((head, data)),
    }
}

/// Reads an object of parameters. `read` reads the value of those that it knows, and then returns true.
fn parameters<'t>(
    scan: &mut Scanner<'t>,
    mut read: impl FnMut(&str, &mut Scanner<'t>) -> Scanned<bool>,
) -> Scanned<()> {
    if scan.peek()? == Token::Null {
        return scan.null();
    }
    require(scan, Token::Object, "an object")?;
    let mut members = scan.object()?;
    while let Some(name) = scan.key(&mut members)? {
        if !read(&name, scan).in_field(&name)? {
            scan.skip()?;
        }
    }
    Ok(())
}

fn shape(scan: &mut Scanner<'_>) -> Scanned<Vec<i64>> {
    require(scan, Token::List, "a list")?;
    let mut items = scan.list()?;
    let mut shape = Vec::new();
    while scan.item(&mut items)? {
        if shape.len() > MAX_RANK {
            // One more than there may be is refused with the others.
            scan.skip()?;
            continue;
        }
        shape.push(integer(scan)?);
    }
    Ok(shape)
}

fn size(scan: &mut Scanner<'_>) -> Scanned<usize> {
    let before = *scan;
    let size = usize::try_from(integer(scan)?);
    size.map_err(|_| Fault::Expected { expected: "a size", found: before.shown() }.into())
}

fn integer(scan: &mut Scanner<'_>) -> Scanned<i64> {
    const EXPECTED: &str = "a whole number";
    let before = *scan;
    require(scan, Token::Number, EXPECTED)?;
    let number = whole(scan.number()?).ok().and_then(|number| i64::try_from(number).ok());
    number.ok_or_else(|| Fault::Expected { expected: EXPECTED, found: before.shown() }.into())
}

fn form(scan: &mut Scanner<'_>) -> Scanned<Form> {
    require(scan, Token::Bool, "true or false")?;
    Ok(if scan.bool()? { Form::Binary } else { Form::Plain })
}

fn text<'t>(scan: &mut Scanner<'t>, expected: &'static str) -> Scanned<Cow<'t, str>> {
    require(scan, Token::Text, expected)?;
    scan.text()
}

fn require(scan: &mut Scanner<'_>, token: Token, expected: &'static str) -> Scanned<()> {
    match scan.peek()? {
        found if found == token => Ok(()),
        _ => Err(Fault::Expected { expected, found: scan.shown() }.into()),
    }
}

fn once(seen: &mut Vec<&'static str>, name: &'static str) -> Scanned<()> {
    if seen.contains(&name) {
        return Err(Fault::Twice { name: name.to_owned() }.into());
    }
    seen.push(name);
    Ok(())
}

fn missing(name: &'static str) -> Box<PathFault> {
    Fault::Missing { name }.into()
}

/// Writes an answer. Returns the size of its JSON, if binary data follow.
pub fn write(response: InferResponse<'_>, bounds: Bounds) -> Result<(Bytes, Option<usize>), Error> {
    let mut out = Out::new(bounds.reservation, bounds.limit);
    out.put(b"{\"model_name\":")?;
    value(response.model, &mut out)?;
    out.put(b",\"model_version\":")?;
    value(response.version, &mut out)?;
    if let Some(id) = response.id {
        out.put(b",\"id\":")?;
        value(id, &mut out)?;
    }
    out.put(b",\"outputs\":[")?;
    for (index, (name, output, tensor)) in response.present().enumerate() {
        out.put(if index == 0 { b"{\"name\":" } else { b",{\"name\":" })?;
        write_output(name, output.form, tensor, &mut out)?;
        out.put(b"}")?;
    }
    out.put(b"]}")?;
    let json = out.len();
    let binary = || response.present().filter(|(_, output, _)| output.form == Form::Binary);
    for (_, _, tensor) in binary() {
        out.put(&tensor.data)?;
    }
    out.check()?;
    let header = binary().next().map(|_| json);
    Ok((out.finish(), header))
}

fn write_output(name: &str, form: Form, tensor: &RawTensor, out: &mut Out) -> Result<(), Fault> {
    value(name, out)?;
    out.put(b",\"datatype\":")?;
    value(tensor.datatype.name(), out)?;
    out.put(b",\"shape\":")?;
    value(&tensor.shape, out)?;
    match form {
        Form::Binary => {
            out.put(b",\"parameters\":{\"binary_data_size\":")?;
            value(&tensor.data.len(), out)?;
            out.put(b"}")
        }
        Form::Plain => write_data(tensor, out),
    }
}

fn write_data(tensor: &RawTensor, out: &mut Out) -> Result<(), Fault> {
    let is_text = tensor.datatype != Datatype::Bytes
        || tensor.elements().all(|element| std::str::from_utf8(element).is_ok());
    if !is_text {
        out.put(b",\"parameters\":{\"content_type\":\"base64\"}")?;
    }
    out.put(b",\"data\":[")?;
    for (index, element) in tensor.elements().enumerate() {
        if index > 0 {
            out.push(b',')?;
        }
        match tensor.datatype {
            Datatype::Bytes if is_text => value(&String::from_utf8_lossy(element), out)?,
            Datatype::Bytes => {
                // Base64 of an element is written in one piece.
                let size = 4 * element.len().div_ceil(3);
                out.held.take(size)?;
                value(&STANDARD.encode(element), out)?;
                out.held.release(size);
            }
            Datatype::Bool => value(&(element != [0]), out)?,
            datatype => write_number(number(datatype, element), datatype, out)?,
        }
    }
    out.push(b']')
}

/// Writes a number, as proto3 JSON has it: with a text for those that JSON does not know.
fn write_number(number: Number, datatype: Datatype, out: &mut Out) -> Result<(), Fault> {
    match number {
        Number::Signed(number) => value(&number, out),
        Number::Unsigned(number) => value(&number, out),
        Number::Float(number) if number.is_nan() => value("NaN", out),
        Number::Float(f64::INFINITY) => value("Infinity", out),
        Number::Float(f64::NEG_INFINITY) => value("-Infinity", out),
        Number::Float(number) if datatype == Datatype::Fp64 => value(&number, out),
        Number::Float(number) => value(&(number as f32), out),
    }
}

fn value(value: &(impl Serialize + ?Sized), out: &mut Out) -> Result<(), Fault> {
    serde_json::to_writer(out, value).map_err(|error| unwritten(error.into()))
}
