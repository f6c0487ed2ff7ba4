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
        let mut endpoint = Endpoint::from(address.uri())
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
        let path = PathAndQuery::try_from(format!("/{}", title(method))).expect("names of methods are paths");
        let Some(timeout) = timeout else { return self.unary(path, BytesCodec, Request::new(request)).await };
        let mut request = Request::new(request);
        request.set_timeout(timeout);
        let start = Instant::now();
        let late = || Status::deadline_exceeded(format!("no answer within {} s", timeout.as_secs_f64()));
        match tokio::time::timeout(timeout, self.unary(path, BytesCodec, request)).await {
            // The channel enforces the timeout as well, and reports it as a cancellation.
            Ok(Err(status)) if status.code() == Code::Cancelled && start.elapsed() >= timeout => Err(late()),
            Ok(answer) => answer,
            Err(_) => Err(late()),
        }
    }

    async fn unary<C: Codec>(
        &self,
        path: PathAndQuery,
        codec: C,
        mut request: Request<C::Encode>,
    ) -> Result<C::Decode, Status>
    where
        C::Encode: Sync,
        C::Decode: Sync,
    {
        for header in &self.headers {
            header.add_to(request.metadata_mut());
        }
        let mut grpc = self.grpc.clone();
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        grpc.unary(request, path, codec).await.map(tonic::Response::into_inner)
    }
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
