//! A gRPC client that discovers a server's methods by reflection: no generated code, no `.proto`.
//!
//! - [`address`]: addresses of servers.
//! - [`header`]: metadata of requests.
//! - [`trust`]: trusted certificate authorities.
//! - [`reflection`]: gRPC server reflection.
//! - [`methods`]: finds methods by name.
//! - [`codec`]: messages as bytes.
//! - [`status`]: formats the status of failed calls.

mod address;
mod codec;
mod header;
mod methods;
mod reflection;
mod status;
mod trust;

pub(crate) use address::Address;
pub(crate) use header::Header;
pub(crate) use krt_package::example::example;
pub(crate) use methods::{Methods, title};
pub(crate) use status::{describe, is_starting};
pub(crate) use trust::Trust;

use crate::error::{Context as _, Error, Result, error};
use bytes::Bytes;
use codec::BytesCodec;
use prost_reflect::MethodDescriptor;
use std::time::{Duration, Instant};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::Codec,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};

/// How long a server may take to accept a connection, and to describe its methods.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Client {
    grpc: Grpc<Channel>,
    address: Address,
    headers: Vec<Header>,
}

impl Client {
    /// Connects. Every request carries `headers`.
    pub(crate) async fn connect(address: Address, trust: &Trust, headers: Vec<Header>) -> Result<Self> {
        let mut endpoint = Endpoint::from(address.at("/"))
            .connect_timeout(TIMEOUT)
            .tcp_nodelay(true)
            .user_agent(concat!("krt/", env!("CARGO_PKG_VERSION")))?;
        if address.tls() {
            endpoint = endpoint.tls_config(trust.config()?)?;
        }
        let channel = endpoint.connect().await.map_err(|error| cannot_connect(&address, &error.into()))?;
        let grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX);
        Ok(Self { grpc, address, headers })
    }

    /// The server's address.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Discovers the server's methods.
    pub(crate) async fn methods(&self) -> Result<Methods> {
        let described = tokio::time::timeout(TIMEOUT, reflection::describe(self)).await;
        let described = described.unwrap_or(Err(reflection::Error::Silent { seconds: TIMEOUT.as_secs() }));
        described.map(Methods::new).with_context(|| format!("failed to ask {} for its methods", self.address))
    }

    /// Calls a method with an encoded message. `timeout` is sent to the server and enforced here, too.
    pub(crate) async fn call(
        &self,
        method: &MethodDescriptor,
        request: Bytes,
        timeout: Option<Duration>,
    ) -> Result<Bytes, Status> {
        let deadline = Deadline::after(timeout);
        deadline.limit(self.unary(path_of(method), BytesCodec, deadline.request(request))).await
    }

    /// Calls a method whose answer is a stream of messages. `timeout` limits the whole stream.
    pub(crate) async fn stream(
        &self,
        method: &MethodDescriptor,
        request: Bytes,
        timeout: Option<Duration>,
    ) -> Result<Messages, Status> {
        let deadline = Deadline::after(timeout);
        let request = self.prepare(deadline.request(request));
        let opened = async {
            let mut grpc = self.ready().await?;
            grpc.server_streaming(request, path_of(method), BytesCodec).await
        };
        let messages = deadline.limit(opened).await?.into_inner();
        Ok(Messages { messages, deadline })
    }

    async fn unary<C: Codec>(
        &self,
        path: PathAndQuery,
        codec: C,
        request: Request<C::Encode>,
    ) -> Result<C::Decode, Status>
    where
        C::Encode: Sync,
        C::Decode: Sync,
    {
        let request = self.prepare(request);
        self.ready().await?.unary(request, path, codec).await.map(tonic::Response::into_inner)
    }

    fn prepare<T>(&self, mut request: Request<T>) -> Request<T> {
        for header in &self.headers {
            header.add_to(request.metadata_mut());
        }
        request
    }

    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        let mut grpc = self.grpc.clone();
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(grpc)
    }
}

/// The messages of a stream.
#[derive(Debug)]
pub(crate) struct Messages {
    messages: tonic::Streaming<Bytes>,
    deadline: Deadline,
}

impl Messages {
    /// Waits for the next message; `None` after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        self.deadline.limit(self.messages.message()).await
    }
}

/// The end of the time for a call, if there is one.
#[derive(Debug, Clone, Copy)]
struct Deadline(Option<(Duration, Instant)>);

impl Deadline {
    fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.map(|timeout| (timeout, Instant::now() + timeout)))
    }

    fn request<T>(self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some((timeout, _)) = self.0 {
            request.set_timeout(timeout);
        }
        request
    }

    async fn limit<T>(self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let Some((timeout, end)) = self.0 else { return call.await };
        let late = || Status::deadline_exceeded(format!("no answer within {} s", timeout.as_secs_f64()));
        match tokio::time::timeout_at(end.into(), call).await {
            // The channel enforces the timeout as well, and reports it as a cancellation.
            Ok(Err(status)) if status.code() == Code::Cancelled && Instant::now() >= end => Err(late()),
            Ok(answer) => answer,
            Err(_) => Err(late()),
        }
    }
}

fn path_of(method: &MethodDescriptor) -> PathAndQuery {
    PathAndQuery::try_from(format!("/{}", title(method))).expect("names of methods are paths")
}

/// Whether a server cannot describe its methods yet because it is starting.
pub(crate) fn will_describe(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(reflection::Error::Refused(status)) if is_starting(status))
}

fn cannot_connect(address: &Address, error: &Error) -> Error {
    let cause = error.root_cause();
    let hint = if address.tls() {
        "--cacert names the certificates of an authority of your own; without TLS it is http://"
    } else {
        "is `krt run` running? --address names another server, --package starts one for this call"
    };
    error!("cannot connect to {address}: {cause}"; hint: "{hint}")
}
