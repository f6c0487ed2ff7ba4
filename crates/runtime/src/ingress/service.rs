//! Finds the protocol and the method of a request.

use super::{
    Limits,
    body::Body,
    call::{Call, Unary as _},
    connect::{self, Connect},
    grpc::{self, Grpc},
    index,
    open_inference::{self, Models},
    read::full,
    status,
    stream::{CallStream, StreamForm},
};
use crate::{
    flow::{Flow, PendingAnswer, Permit, RequestHead, Route},
    memory::Reservation,
    traces::{self, Protocol, Rpc, Trace, Traces, context},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method as Verb, Request, Response, header::CONTENT_TYPE};
use hyper::body::Incoming;
use krt_model::{
    message::Payload,
    metadata::{Metadata, MetadataName},
    priority::Priority,
};
use krt_package::Package;
use prost_reflect::MessageDescriptor;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tonic::{Code, Status, service::Routes};
use tower::ServiceExt as _;

/// The headers that carry the trace of a request.
static TRACE_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static(context::TRACEPARENT), HeaderName::from_static(context::TRACESTATE)];

/// The services behind the port.
#[derive(Debug)]
pub struct Ingress {
    methods: HashMap<String, Method>,
    flow: Arc<Flow>,
    limits: Limits,
    /// Health and reflection.
    generated: Routes,
    traces: Traces,
    /// The headers of clients that handlers see.
    metadata: Vec<MetadataName>,
    models: Models,
}

/// The result of a call.
#[derive(Debug)]
pub struct CallOutcome {
    /// The request's id, if it got one.
    pub request: Option<Arc<str>>,
    /// The answer, as JSON.
    pub answer: Result<Bytes, Status>,
}

/// One of the user's RPCs.
#[derive(Debug)]
pub(super) struct Method {
    path: String,
    input: MessageDescriptor,
    output: MessageDescriptor,
    input_url: String,
    safe: bool,
    streams: bool,
    route: Option<Arc<Route>>,
    rpc: Option<Arc<Rpc>>,
}

impl Method {
    /// Returns the route of the method.
    pub(super) fn route(&self) -> Result<&Arc<Route>, Status> {
        self.route.as_ref().ok_or_else(|| {
            Status::unimplemented(format!("no workflow of this version implements `{}`", self.path))
        })
    }

    /// Checks that bytes are a message of the method's input type.
    pub(super) fn check(&self, message: &[u8]) -> Result<(), Status> {
        super::wire::check(message, &self.input).map_err(|fault| {
            let name = self.input.full_name();
            Status::invalid_argument(format!("the request's message is not a {name}: {fault}"))
        })
    }

    /// Returns `/package.Service/Method`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The input message type.
    pub(super) fn input(&self) -> &MessageDescriptor {
        &self.input
    }

    /// The output message type.
    pub(super) fn output(&self) -> &MessageDescriptor {
        &self.output
    }

    /// Returns whether it has no side effects, so that GET may call it.
    pub(super) fn is_safe(&self) -> bool {
        self.safe
    }

    /// Returns whether its answer is a stream of messages.
    pub(super) fn streams(&self) -> bool {
        self.streams
    }

    /// Packs a message for the first node.
    pub(super) fn pack(&self, message: &Bytes, permit: &Permit) -> Result<Payload, Status> {
        let mut reservation = permit.reserve();
        reservation.try_grow(Payload::packed_size(&self.input_url, message)).map_err(full)?;
        Ok(Payload::pack(&self.input_url, message).held(|bytes| reservation.hold(bytes)))
    }
}

impl Ingress {
    /// Builds the ingress of a package. `routes` are those of its workflows, `generated` serves health and
    /// reflection, `traces` records the calls.
    pub fn new(
        package: &Package,
        routes: &[Option<Arc<Route>>],
        flow: Arc<Flow>,
        limits: Limits,
        generated: Routes,
        traces: Traces,
    ) -> Self {
        let methods = package.schema.methods.iter().map(|method| {
            let route = method.workflow.and_then(|index| routes[index].clone());
            let known = Method {
                path: method.path.clone(),
                input: method.input.clone(),
                output: method.output.clone(),
                input_url: format!("{}{}", krt_model::message::TYPE_URL_PREFIX, method.input.full_name()),
                safe: method.safe,
                streams: method.streams,
                rpc: route.as_ref().map(|route| Arc::new(Rpc::new(&method.path, route.workflow.clone()))),
                route,
            };
            (method.path.clone(), known)
        });
        let metadata = package.version.metadata.clone();
        let models = Models::of(package);
        Self { methods: methods.collect(), flow, limits, generated, traces, metadata, models }
    }

    /// Calls a method, `/package.Service/Name`, like a JSON client.
    pub async fn call(&self, path: &str, json: Bytes, timeout: Duration) -> CallOutcome {
        let Some(method) = self.methods.get(path) else {
            return CallOutcome { request: None, answer: Err(unknown(path)) };
        };
        let mut request = None;
        let traced = self.trace(method, Protocol::Connect, &HeaderMap::new());
        let on_id = |id: &Arc<str>| request = Some(Arc::clone(id));
        let answer = self.answer_json(method, json, timeout, traced.trace(), on_id).await;
        traced.end(answer.as_ref().err().map(status::fault));
        CallOutcome { request, answer: answer.map_err(|status| status::bounded(&status)) }
    }

    /// Calls a method, `/package.Service/Name`, like a JSON client that takes the answer message by message. Dropped
    /// before the end, the stream stops the work.
    pub async fn open(&self, path: &str, json: Bytes, timeout: Duration) -> Result<CallStream, Status> {
        let method = self.methods.get(path).ok_or_else(|| unknown(path))?;
        let traced = self.trace(method, Protocol::Connect, &HeaderMap::new());
        match self.post_json(method, json, timeout, traced.trace()).await {
            Ok((answer, permit)) => {
                let request = Arc::clone(answer.id());
                let answer = answer.stream(&self.flow);
                Ok(CallStream::new(request, method.output.clone(), answer, permit, traced))
            }
            Err(status) => {
                traced.end(Some(status::fault(&status)));
                Err(status::bounded(&status))
            }
        }
    }

    async fn answer_json(
        &self,
        method: &Method,
        json: Bytes,
        timeout: Duration,
        trace: Trace,
        on_id: impl FnOnce(&Arc<str>),
    ) -> Result<Bytes, Status> {
        if method.streams() {
            return Err(status::with_hint(
                Code::Unimplemented,
                format!("the answer of `{}` is a stream", method.path()),
                "POST it to `call/live`, or call it with `krt call` or another client",
            ));
        }
        let (answer, permit) = self.post_json(method, json, timeout, trace).await?;
        on_id(answer.id());
        let answer = answer.whole().await.map_err(|failure| status::of_failure(&failure))?;
        let mut text = Bytes::new();
        for message in answer {
            text = Connect::JSON.encode(method, message.payload, permit.reserve()).await?;
        }
        Ok(text)
    }

    /// Admits a message in JSON, and sends it through its workflow.
    async fn post_json<'a>(
        &'a self,
        method: &'a Method,
        json: Bytes,
        timeout: Duration,
        trace: Trace,
    ) -> Result<(PendingAnswer<'a>, Arc<Permit>), Status> {
        let route = method.route()?;
        let call = Call { ingress: self, method, codec: Connect::JSON };
        let deadline = call.deadline(timeout);
        let permit = self.flow.enter(route, json.len()).map_err(|failure| status::of_failure(&failure))?;
        let mut reservation = permit.reserve();
        reservation.try_grow(json.len()).map_err(full)?;
        let json = reservation.hold(json);
        let head =
            RequestHead { deadline, trace, metadata: Metadata::default(), priority: Priority::default() };
        call.post(permit, json, route, head).await
    }

    /// Returns an empty reservation of request memory.
    pub fn reserve(&self) -> Reservation {
        self.flow.reserve()
    }

    pub(super) fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }

    /// Starts the trace of a call, if the call has a workflow.
    pub(super) fn trace(&self, method: &Method, protocol: Protocol, headers: &HeaderMap) -> traces::Call {
        let Some(rpc) = &method.rpc else { return traces::Call::default() };
        let values = TRACE_HEADERS.iter().flat_map(|name| {
            headers.get_all(name).iter().filter_map(|value| Some((name.as_str(), value.to_str().ok()?)))
        });
        self.traces.call(rpc, protocol, values)
    }

    /// The headers of clients that handlers see.
    pub(super) fn metadata(&self) -> &[MetadataName] {
        &self.metadata
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the RPCs, ordered by path.
    pub(super) fn methods(&self) -> impl Iterator<Item = &Method> {
        let mut methods: Vec<_> = self.methods.values().collect();
        methods.sort_by(|one, other| one.path.cmp(&other.path));
        methods.into_iter()
    }

    /// Returns the RPC of a path.
    pub(super) fn method(&self, path: &str) -> Option<&Method> {
        self.methods.get(path)
    }

    /// The models of the Open Inference Protocol.
    pub(super) fn models(&self) -> &Models {
        &self.models
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let is_grpc = is_grpc(&request);
        let (head, body) = request.into_parts();
        let (verb, path) = (&head.method, head.uri.path());
        let method = self.methods.get(path);
        match method {
            Some(method) if is_grpc && method.streams() => {
                Call { ingress: self, method, codec: Grpc }.stream(&head, body, StreamForm::Grpc).await
            }
            Some(method) if is_grpc => Call { ingress: self, method, codec: Grpc }.answer(&head, body).await,
            None if is_grpc && self.models.has_method(path) => {
                open_inference::answer_grpc(self, &self.models, &head, body).await
            }
            None if is_grpc => self.generated(Request::from_parts(head, body)).await,
            _ if matches!(*verb, Verb::GET | Verb::HEAD) && path == "/" => index::page(self),
            None if self.models.has_path(path) => {
                open_inference::answer_rest(self, &self.models, &head, body).await
            }
            method => connect::call(self, method, &head, body).await,
        }
    }

    async fn generated(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        if !path.starts_with("/grpc.health.") && !path.starts_with("/grpc.reflection.") {
            return grpc::refuse(&unknown(path));
        }
        match self.generated.clone().oneshot(request).await {
            Ok(response) => response.map(Body::Stream),
            Err(never) => match never {},
        }
    }
}

/// Returns the status for a method that does not exist.
pub(super) fn unknown(path: &str) -> Status {
    status::with_hint(
        Code::Unimplemented,
        format!("there is no method `{path}`"),
        "`/package.Service/Method`, as in the entrypoint's .proto",
    )
}

pub(super) fn is_grpc(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    matches!(kind, b"application/grpc" | b"application/grpc+proto") || kind.starts_with(b"application/grpc;")
}
