//! A gRPC client that reads a package's `.proto`, and exchanges JSON with the tests.
//!
//! It enforces no deadline itself, so that tests see how the service enforces it.

use super::{
    TIMEOUT,
    http::{Transport, http2},
};
use http::{Uri, uri::PathAndQuery};
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, prost::Message as _,
};
use serde_json::Value;
use std::{net::SocketAddr, path::Path, time::Duration};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// A client of one service.
#[derive(Clone)]
pub(crate) struct Client {
    pool: DescriptorPool,
    transport: Transport,
    origin: Uri,
}

impl Client {
    /// A client of a server at an address; `package` has the `.proto`.
    pub(crate) fn new(package: &Path, address: SocketAddr) -> Self {
        let files = protox::compile(["public_input.proto"], [package]).expect("the .proto compiles");
        let pool = DescriptorPool::from_file_descriptor_set(files).expect("the files are whole");
        let origin = format!("http://{address}").parse().expect("an address is an authority");
        Self { pool, transport: http2(), origin }
    }

    pub(super) fn reconnected(&self) -> Self {
        Self { transport: http2(), ..self.clone() }
    }

    /// The connection, for generated clients of health and reflection.
    pub(crate) fn transport(&self) -> (Transport, Uri) {
        (self.transport.clone(), self.origin.clone())
    }

    /// Calls an RPC.
    pub(crate) async fn call(&self, rpc: &str, request: Value) -> Result<Value, Status> {
        self.call_by(rpc, Request::new(request)).await
    }

    /// Calls an RPC with a deadline.
    pub(crate) async fn call_within(
        &self,
        deadline: Duration,
        rpc: &str,
        request: Value,
    ) -> Result<Value, Status> {
        let mut request = Request::new(request);
        request.set_timeout(deadline);
        self.call_by(rpc, request).await
    }

    /// Calls an RPC with a request's metadata.
    pub(crate) async fn call_by(&self, rpc: &str, request: Request<Value>) -> Result<Value, Status> {
        let method = self.method(rpc);
        let path = format!("/{}/{rpc}", method.parent_service().full_name());
        let input = method.input();
        let request = request.map(|json| {
            DynamicMessage::deserialize(input, json).expect("the JSON is a message of the RPC's")
        });
        let answer = self.call_path(&path, request, method.output()).await?;
        Ok(serde_json::to_value(answer).expect("messages are JSON"))
    }

    /// Calls an RPC whose answer is a stream; a failure before its first message may be the stream's status.
    pub(crate) async fn stream(&self, rpc: &str, request: Value) -> Result<Answers, Status> {
        self.stream_by(rpc, Request::new(request)).await
    }

    /// Calls an RPC whose answer is a stream, with a request's metadata.
    pub(crate) async fn stream_by(&self, rpc: &str, request: Request<Value>) -> Result<Answers, Status> {
        let method = self.method(rpc);
        let path = format!("/{}/{rpc}", method.parent_service().full_name());
        let path = PathAndQuery::try_from(path).expect("it is a path");
        let input = method.input();
        let request = request.map(|json| {
            DynamicMessage::deserialize(input, json).expect("the JSON is a message of the RPC's")
        });
        let mut grpc = Grpc::with_origin(self.transport.clone(), self.origin.clone())
            .max_decoding_message_size(usize::MAX);
        let call = async {
            grpc.ready().await.expect("the client is ready");
            grpc.server_streaming(request, path, Dynamic(method.output())).await
        };
        let answer = tokio::time::timeout(TIMEOUT, call).await.expect("every request gets an answer");
        answer.map(|answer| Answers(answer.into_inner()))
    }

    /// Calls any path.
    pub(crate) async fn call_path(
        &self,
        path: &str,
        request: Request<DynamicMessage>,
        output: MessageDescriptor,
    ) -> Result<DynamicMessage, Status> {
        let mut grpc = Grpc::with_origin(self.transport.clone(), self.origin.clone())
            .max_decoding_message_size(usize::MAX);
        let path = PathAndQuery::try_from(path).expect("it is a path");
        let call = async {
            grpc.ready().await.expect("the client is ready");
            grpc.unary(request, path, Dynamic(output)).await
        };
        let answer = tokio::time::timeout(TIMEOUT, call).await.expect("every request gets an answer");
        answer.map(tonic::Response::into_inner)
    }

    /// The descriptor of an RPC.
    pub(crate) fn method(&self, rpc: &str) -> MethodDescriptor {
        let mut methods = self.pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        methods.find(|method| method.name() == rpc).expect("the .proto has the RPC")
    }
}

/// A stream of answers.
pub(crate) struct Answers(tonic::Streaming<DynamicMessage>);

impl Answers {
    /// The next message, as JSON; `None` after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Status> {
        let next = tokio::time::timeout(TIMEOUT, self.0.message()).await.expect("something comes in time");
        Ok(next?.map(|answer| serde_json::to_value(answer).expect("messages are JSON")))
    }

    /// The messages that are left, and the status.
    pub(crate) async fn rest(mut self) -> (Vec<Value>, Result<(), Status>) {
        let mut messages = Vec::new();
        loop {
            match self.next().await {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => return (messages, Ok(())),
                Err(status) => return (messages, Err(status)),
            }
        }
    }
}

/// A codec for messages of the `.proto`; contains the type to decode.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), buffer);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// Whether the client made a status itself, because its connection broke or could not be opened.
///
/// The code depends on when the connection broke.
pub(crate) fn is_of_the_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

/// Asserts that a call failed with a code and a complete message.
#[track_caller]
pub(crate) fn assert_status(answer: Result<Value, Status>, code: Code, message: &str) {
    match answer {
        Ok(answer) => panic!("expected {code:?} `{message}`, got the answer {answer}"),
        Err(status) => assert_eq!((status.code(), status.message()), (code, message)),
    }
}
