//! The protocol over gRPC.
//!
//! A request for an inference names its model in its message, so that the message is admitted and read before the RPC is
//! known. From there on it is a call like any other.

use super::{
    super::{
        body::{Body, Frames},
        call::{Call, Codec, Unary, receive},
        coding::Codings,
        grpc::{self, Grpc},
        read::{MessageInfo, Reader, RequestBody},
        service::{Ingress, Method},
        status,
    },
    EXTENSION, Inference, Model, Models, SERVER, of_error,
};
use crate::{
    flow::{Deadline, Permit},
    memory::Reservation,
    tensors,
    traces::Protocol,
};
use bytes::Bytes;
use http::{HeaderMap, Response, request::Parts};
use hyper::body::Incoming;
use krt_model::{message::Payload, outcome::Failure};
use krt_package::open_inference::{Layout, Tensor};
use prost::Message;
use std::time::Duration;
use tonic::{Code, Status};

/// The largest message of a request that is no inference, in bytes.
const MAX_QUESTION: usize = 8 << 10;

/// A `ServerLiveResponse`, or another answer of yes or no.
#[derive(Clone, PartialEq, Message)]
struct State {
    #[prost(bool, tag = "1")]
    is: bool,
}

/// A `ServerMetadataResponse`.
#[derive(Clone, PartialEq, Message)]
struct ServerMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
    #[prost(string, repeated, tag = "3")]
    extensions: Vec<String>,
}

/// A `ModelMetadataResponse`.
#[derive(Clone, PartialEq, Message)]
struct ModelMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "2")]
    versions: Vec<String>,
    #[prost(string, tag = "3")]
    platform: String,
    #[prost(message, repeated, tag = "4")]
    inputs: Vec<TensorMetadata>,
    #[prost(message, repeated, tag = "5")]
    outputs: Vec<TensorMetadata>,
}

/// A `ModelMetadataResponse.TensorMetadata`.
#[derive(Clone, PartialEq, Message)]
struct TensorMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    datatype: String,
    #[prost(int64, repeated, tag = "3")]
    shape: Vec<i64>,
}

/// Answers a call of the protocol's service.
pub(in crate::ingress) async fn answer(
    ingress: &Ingress,
    models: &Models,
    head: &Parts,
    body: Incoming,
) -> Response<Body> {
    let answered = match head.uri.path().rsplit('/').next().unwrap_or_default() {
        "ModelInfer" => infer(ingress, models, head, body).await,
        method => question(ingress, models, method, head, body).await.map(grpc::one),
    };
    answered.unwrap_or_else(|status| grpc::refuse(&status))
}

/// Answers a call that is no inference.
async fn question(
    ingress: &Ingress,
    models: &Models,
    method: &str,
    head: &Parts,
    body: Incoming,
) -> Result<Bytes, Status> {
    let enter = |size| models.questions.enter(size);
    let (_, _permit, message) = read(ingress, head, body, MAX_QUESTION, enter).await?;
    let model = || {
        let (name, version) = tensors::grpc::model(&message).map_err(|error| of_error(&error))?;
        models.find(name, version)
    };
    let state = |is: bool| State { is }.encode_to_vec();
    let answer = match method {
        "ServerLive" => state(true),
        "ServerReady" => state(models.are_ready(ingress)),
        "ModelReady" => state(model()?.is_ready(ingress)),
        "ServerMetadata" => {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            ServerMetadata { name: SERVER.to_owned(), version, extensions: vec![EXTENSION.to_owned()] }
                .encode_to_vec()
        }
        "ModelMetadata" => describe(model()?, models).encode_to_vec(),
        other => {
            return Err(status::with_hint(
                Code::Unimplemented,
                format!("`{}` of the Open Inference Protocol is not served", super::shown(other)),
                "models come from packages (`krt publish`), and streams from the package's own RPCs",
            ));
        }
    };
    Ok(answer.into())
}

fn describe(model: &Model, models: &Models) -> ModelMetadata {
    let tensors = |layout: &Layout| {
        let describe = |tensor: &Tensor| TensorMetadata {
            name: tensor.name.clone(),
            datatype: tensor.datatype.name().to_owned(),
            shape: tensor.shape().to_vec(),
        };
        layout.tensors.iter().map(describe).collect()
    };
    ModelMetadata {
        name: model.name.clone(),
        versions: vec![models.version.clone()],
        platform: SERVER.to_owned(),
        inputs: tensors(&model.inputs),
        outputs: tensors(&model.outputs),
    }
}

async fn infer(
    ingress: &Ingress,
    models: &Models,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Status> {
    let enter = |size| ingress.flow().admission().enter(size);
    let (deadline, permit, message) = read(ingress, head, body, ingress.limits().message, enter).await?;
    let (name, version) = tensors::grpc::model(&message).map_err(|error| of_error(&error))?;
    let model = models.find(name, version)?;
    let method = ingress.method(&model.method);
    let method = method.ok_or_else(|| Status::unimplemented("the model has no RPC"))?;
    let codec = Infer(Inference::new(model, models));
    Ok(Call { ingress, method, codec }.answer_read(head, deadline, permit, message).await)
}

/// Admits a call, and reads its message until its deadline.
async fn read(
    ingress: &Ingress,
    head: &Parts,
    body: Incoming,
    limit: usize,
    enter: impl FnOnce(usize) -> Result<Permit, Failure>,
) -> Result<(Deadline, Permit, Bytes), Status> {
    let timeout = Grpc.timeout(&head.headers)?.unwrap_or(Duration::MAX);
    let deadline = Deadline::after(timeout.min(ingress.limits().timeout));
    let mut reader = Reader::new(body);
    let received = receive(&Grpc, &mut reader, &head.headers, limit, enter);
    let received = tokio::time::timeout_at(deadline.at.into(), received).await;
    let (permit, message) =
        received.map_err(|_| Status::deadline_exceeded("the request did not arrive in time"))??;
    Ok((deadline, permit, message))
}

/// The codec of an inference over gRPC.
#[derive(Debug)]
struct Infer<'m>(Inference<'m>);

impl Codec for Infer<'_> {
    const PROTOCOL: Protocol = Protocol::Grpc;

    fn timeout(&self, headers: &HeaderMap) -> Result<Option<Duration>, Status> {
        Grpc.timeout(headers)
    }

    async fn announced<B: RequestBody>(
        &self,
        reader: &mut Reader<B>,
        headers: &HeaderMap,
    ) -> Result<MessageInfo, Status> {
        Grpc.announced(reader, headers).await
    }

    async fn read<B: RequestBody>(
        &self,
        reader: &mut Reader<B>,
        announced: MessageInfo,
        limit: usize,
        permit: &Permit,
    ) -> Result<Bytes, Status> {
        Grpc.read(reader, announced, limit, permit).await
    }

    fn codings(&self, announced: MessageInfo, headers: &HeaderMap) -> Result<Codings, Status> {
        Grpc.codings(announced, headers)
    }

    fn decode(&self, _: &Method, message: Bytes, limit: usize, permit: &Permit) -> Result<Bytes, Status> {
        self.0.decode(limit, permit.reserve(), |model, bounds| tensors::grpc::parse(&message, model, bounds))
    }

    fn refuse(&self, status: &Status) -> Response<Body> {
        grpc::refuse(status)
    }
}

impl Unary for Infer<'_> {
    async fn encode(&self, _: &Method, message: Payload, reservation: Reservation) -> Result<Bytes, Status> {
        self.0.encode(&message, reservation, tensors::grpc::write).await
    }

    fn frame(&self, message: Bytes, body: &mut Frames) {
        Grpc.frame(message, body);
    }

    fn end(&self, body: Frames) -> Response<Body> {
        Grpc.end(body)
    }
}
