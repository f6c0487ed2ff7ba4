//! A request, apart from its form.

use super::{
    Signature,
    error::{Error, TensorFault},
    raw::{RawTensor, check_shape},
};
use crate::{json::fault::cut, memory::Reservation};
use krt_package::open_inference::{Datatype, Layout};
use std::borrow::Cow;

/// The longest id of a request, in bytes.
pub(super) const MAX_ID: usize = 1 << 10;
/// The parameter of a tensor that says how its texts are encoded.
pub(super) const CONTENT_TYPE: &str = "content_type";
/// Its value for Base64.
pub(super) const BASE64: &str = "base64";
/// The parameter of a tensor in shared memory.
pub(super) const SHARED_MEMORY: &str = "shared_memory_region";
/// The parameter of an output of which the largest elements are wanted.
pub(super) const CLASSIFICATION: &str = "classification";

/// A request for an inference.
#[derive(Debug)]
pub struct InferRequest {
    /// The client's id for it.
    pub id: Option<String>,
    /// The tensors, by their index in the layout.
    pub inputs: Vec<Option<RawTensor>>,
    /// The outputs to answer with, in order.
    pub outputs: Vec<Output>,
}

/// A wanted output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Its index in the layout.
    pub tensor: usize,
    /// How its data is sent.
    pub form: Form,
}

/// How the data of a tensor is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As bytes after the message.
    Binary,
    /// In the message.
    Plain,
}

/// What a client says of an input, apart from its data.
#[derive(Debug, Default)]
pub(super) struct Head<'t> {
    pub(super) name: Cow<'t, str>,
    pub(super) datatype: Option<Cow<'t, str>>,
    pub(super) shape: Vec<i64>,
    pub(super) base64: bool,
}

/// An input that the model has.
#[derive(Debug)]
pub(super) struct Input<'m> {
    pub(super) name: &'m str,
    /// Its index in the layout.
    tensor: usize,
    pub(super) datatype: Datatype,
    pub(super) shape: Vec<i64>,
    base64: bool,
}

impl Head<'_> {
    /// Finds the input of the model, which must take the datatype and the shape.
    pub(super) fn find(self, layout: &Layout) -> Result<Input<'_>, Error> {
        let Self { name, datatype, shape, base64 } = self;
        let tensor = find(layout, "input", &name)?;
        let known = &layout.tensors[tensor];
        let check = || {
            let datatype = datatype.ok_or(TensorFault::NoDatatype)?;
            let datatype = Datatype::parse(&datatype)
                .ok_or_else(|| TensorFault::UnknownDatatype { datatype: cut(&datatype) })?;
            if !datatype.fits(known.datatype) {
                return Err(TensorFault::Datatype { found: datatype, expected: known.datatype });
            }
            check_shape(known.axes, &shape)?;
            Ok(datatype)
        };
        let datatype = check().map_err(|fault: TensorFault| fault.of_input(&known.name))?;
        Ok(Input { name: &known.name, tensor, datatype, shape, base64 })
    }
}

/// The parts of a request.
#[derive(Debug)]
pub(super) struct Builder<'m> {
    model: Signature<'m>,
    id: Option<String>,
    inputs: Vec<Option<RawTensor>>,
    outputs: Vec<Output>,
}

impl<'m> Builder<'m> {
    pub(super) fn new(model: Signature<'m>) -> Self {
        let inputs = vec![None; model.inputs.tensors.len()];
        Self { model, id: None, inputs, outputs: Vec::new() }
    }

    pub(super) fn set_id(&mut self, id: &str) -> Result<(), Error> {
        if id.len() > MAX_ID {
            return Err(Error::Id { limit: MAX_ID });
        }
        self.id = Some(id.to_owned());
        Ok(())
    }

    /// Adds an input with its data in the binary form.
    pub(super) fn add(
        &mut self,
        input: Input<'_>,
        data: bytes::Bytes,
        reservation: &Reservation,
    ) -> Result<(), Error> {
        let Input { name, tensor, datatype, shape, base64 } = input;
        let whole = RawTensor::new(datatype, shape, data);
        let whole = whole.and_then(|whole| match base64 && datatype == Datatype::Bytes {
            true => whole.decode_base64(reservation),
            false => Ok(whole),
        });
        let whole = whole.map_err(|fault| fault.of_input(name))?;
        match self.inputs[tensor].replace(whole) {
            None => Ok(()),
            Some(_) => Err(Error::Twice { what: "input", name: name.to_owned() }),
        }
    }

    /// Adds a wanted output.
    pub(super) fn want(&mut self, name: &str, form: Form) -> Result<(), Error> {
        let tensor = find(self.model.outputs, "output", name)?;
        if self.outputs.iter().any(|output| output.tensor == tensor) {
            return Err(Error::Twice { what: "output", name: name.to_owned() });
        }
        self.outputs.push(Output { tensor, form });
        Ok(())
    }

    /// Returns the request. If it wants no outputs, it gets all, in this form.
    pub(super) fn finish(self, form: Form) -> InferRequest {
        let Self { model, id, inputs, mut outputs } = self;
        if outputs.is_empty() {
            outputs.extend((0..model.outputs.tensors.len()).map(|tensor| Output { tensor, form }));
        }
        InferRequest { id, inputs, outputs }
    }
}

/// Returns the index of a tensor.
fn find(layout: &Layout, what: &'static str, name: &str) -> Result<usize, Error> {
    layout.find(name).ok_or_else(|| Error::Unknown {
        what,
        name: cut(name),
        known: layout.tensors.iter().map(|tensor| tensor.name.clone()).collect(),
    })
}
