//! The Open Inference Protocol v2: workflows as models, for clients that know neither the package nor its messages.
//!
//! A model has the name of its workflow, and the version of the package. Its calls take the way of any other
//! ([`super::call`]); only the codecs differ.
//!
//! - [`rest`]: JSON and binary data over HTTP, below `/v2`.
//! - [`grpc`]: the service `inference.GRPCInferenceService`.

mod grpc;
mod rest;

pub(super) use grpc::answer as answer_grpc;
pub(super) use rest::{answer as answer_rest, refuse as refuse_rest};

use super::{read::full, service::Ingress, status};
use crate::{
    flow::{Admission, Limits},
    json::Bounds,
    memory::{Refused, Reservation},
    offload,
    tensors::{self, Error, InferRequest, InferResponse, Output, Signature},
};
use bytes::Bytes;
use krt_model::{hint, message::Payload};
use krt_package::{
    Package,
    open_inference::{Layout, SERVICE},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};
use tonic::{Code, Status};

/// The root of the paths over HTTP.
const ROOT: &str = "/v2";
/// What the server calls itself.
const SERVER: &str = "krt";
/// Its extension of the protocol.
const EXTENSION: &str = "binary_tensor_data";

/// The models of a version.
#[derive(Debug)]
pub(super) struct Models {
    version: String,
    models: BTreeMap<String, Model>,
    /// Bounds the requests over gRPC that are no inferences, and so pass no admission of requests.
    questions: Arc<Admission>,
}

/// A workflow as a model.
#[derive(Debug)]
pub(super) struct Model {
    name: String,
    /// The path of its RPC.
    method: String,
    inputs: Layout,
    outputs: Layout,
}

impl Models {
    /// The models of a package: its workflows with `open_inference`.
    pub(super) fn of(package: &Package) -> Self {
        let questions = Arc::new(Admission::new(Limits { requests: 256, bytes: 1 << 20 }));
        questions.open();
        let models = package.schema.methods.iter().filter_map(|method| {
            let workflow = &package.version.workflows[method.workflow?];
            if !workflow.open_inference {
                return None;
            }
            // `krt check` has refused other messages.
            let layout = |message| Layout::of(message).ok();
            let (inputs, outputs) = (layout(&method.input)?, layout(&method.output)?);
            let name = workflow.name.to_string();
            let model = Model { name: name.clone(), method: method.path.clone(), inputs, outputs };
            Some((name, model))
        });
        Self { version: package.version.name.to_string(), models: models.collect(), questions }
    }

    /// Returns the names of the models.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    /// Returns whether a path over HTTP is one of the protocol's.
    pub(super) fn has_path(&self, path: &str) -> bool {
        !self.models.is_empty() && is_path(path)
    }

    /// Returns whether a path over gRPC is one of the protocol's.
    pub(super) fn has_method(&self, path: &str) -> bool {
        let service = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        !self.models.is_empty() && service.is_some_and(|(service, _)| service == SERVICE)
    }

    /// Finds a model. Without a version it is the only one, that of the package.
    fn find(&self, name: &str, version: &str) -> Result<&Model, Status> {
        let Some(model) = self.models.get(name) else {
            let known: Vec<String> = self.names().map(|name| format!("`{name}`")).collect();
            return Err(status::with_hint(
                Code::NotFound,
                format!("there is no model `{}`", shown(name)),
                &format!("the models are {}", known.join(", ")),
            ));
        };
        if !version.is_empty() && version != self.version {
            return Err(status::with_hint(
                Code::NotFound,
                format!("model `{name}` has no version `{}`", shown(version)),
                &format!("its version is `{}`, and needs no name", self.version),
            ));
        }
        Ok(model)
    }

    /// Returns whether all models can take requests.
    fn are_ready(&self, ingress: &Ingress) -> bool {
        self.models.values().all(|model| model.is_ready(ingress))
    }
}

/// Returns whether a path over HTTP belongs to the protocol, if it is served.
pub(super) fn is_path(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the start of a client's text, for an error.
fn shown(text: &str) -> &str {
    /// Its most bytes.
    const MAX_SHOWN: usize = 200;
    &text[..text.floor_char_boundary(MAX_SHOWN)]
}

impl Model {
    /// Returns whether its nodes take messages.
    fn is_ready(&self, ingress: &Ingress) -> bool {
        let route = ingress.method(&self.method).and_then(|method| method.route().ok());
        let flow = ingress.flow();
        *flow.admission().watch().borrow()
            && route.is_some_and(|route| route.sequence.iter().all(|&node| flow.serves(node)))
    }

    fn signature(&self) -> Signature<'_> {
        Signature { inputs: &self.inputs, outputs: &self.outputs }
    }
}

/// An inference in progress: what its answer needs of the request.
#[derive(Debug)]
struct Inference<'m> {
    model: &'m Model,
    version: &'m str,
    request: OnceLock<(Option<String>, Vec<Output>)>,
}

impl<'m> Inference<'m> {
    fn new(model: &'m Model, models: &'m Models) -> Self {
        Self { model, version: &models.version, request: OnceLock::new() }
    }

    /// Converts a request to a message of the model's RPC.
    fn decode(
        &self,
        limit: usize,
        reservation: Reservation,
        parse: impl FnOnce(Signature<'_>, &Bounds) -> Result<InferRequest, Error>,
    ) -> Result<Bytes, Status> {
        let bounds = Bounds { limit, reservation };
        let InferRequest { id, inputs, outputs } =
            parse(self.model.signature(), &bounds).map_err(|error| of_error(&error))?;
        // A call decodes its one message once.
        let _ = self.request.set((id, outputs));
        tensors::encode(&self.model.inputs, &inputs, bounds).map_err(|error| of_error(&error))
    }

    /// Converts a message of the answer.
    async fn encode<T>(
        &self,
        message: &Payload,
        reservation: Reservation,
        write: impl FnOnce(InferResponse<'_>, Bounds) -> Result<T, Error>,
    ) -> Result<T, Status> {
        let message = message.value();
        let (id, outputs) = match self.request.get() {
            Some((id, outputs)) => (id.as_deref(), outputs.as_slice()),
            None => (None, &[][..]),
        };
        let Self { model, version, .. } = self;
        let written = offload::run(message.len(), || {
            let bounds = Bounds { limit: usize::MAX, reservation };
            let tensors = tensors::decode(&model.outputs, message, &bounds)?;
            let layout = &model.outputs;
            let tensors = tensors.as_slice();
            write(InferResponse { model: &model.name, version, id, layout, tensors, outputs }, bounds)
        });
        written.await.map_err(|error| of_error(&error))
    }
}

/// Returns the status of an error of a request, or of its answer.
fn of_error(error: &Error) -> Status {
    match error {
        Error::Refused(Refused::Full(refused)) => full(*refused),
        Error::Refused(Refused::TooLarge { limit }) => Status::resource_exhausted(format!(
            "the request's message has more than the limit of {limit} bytes as protobuf"
        )),
        Error::Output { .. } | Error::Answer => Status::internal(hint::line(error)),
        _ => Status::invalid_argument(hint::line(error)),
    }
}
