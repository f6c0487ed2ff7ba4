//! Which protocol a request speaks, and which method it names.

use super::{Limits, body::Body, connect, grpc, index, status};
use crate::{
    flow::{Deadline, Flow, Route},
    traces::{Call, Protocol, Rpc, Trace, Traces, context},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method as Verb, Request, Response, header::CONTENT_TYPE};
use hyper::body::Incoming;
use krt_model::message::Payload;
use krt_package::Package;
use prost_reflect::MessageDescriptor;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tonic::{Status, service::Routes};
use tower::ServiceExt as _;

/// The headers that say which trace a request belongs to.
static TRACE_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static(context::TRACEPARENT), HeaderName::from_static(context::TRACESTATE)];

/// All that stands behind the port.
#[derive(Debug)]
pub struct Door {
    methods: HashMap<String, Method>,
    flow: Arc<Flow>,
    limits: Limits,
    /// Health and reflection.
    generated: Routes,
    traces: Traces,
}

/// What became of a call.
#[derive(Debug)]
pub struct Called {
    /// The request's id, if it came so far.
    pub request: Option<Arc<str>>,
    /// The answer, as JSON.
    pub answer: Result<Bytes, Status>,
}

/// One RPC of the user's.
#[derive(Debug)]
pub(super) struct Method {
    path: String,
    input: MessageDescriptor,
    output: MessageDescriptor,
    input_url: String,
    safe: bool,
    route: Option<Arc<Route>>,
    rpc: Option<Rpc>,
}

impl Method {
    /// Where the method leads.
    pub(super) fn route(&self) -> Result<&Arc<Route>, Status> {
        self.route.as_ref().ok_or_else(|| {
            Status::unimplemented(format!("no workflow of this version stands behind `{}`", self.path))
        })
    }

    /// Whether bytes are a message of the type that the method takes.
    pub(super) fn check(&self, message: &[u8]) -> Result<(), Status> {
        super::wire::check(message, &self.input).map_err(|fault| {
            let name = self.input.full_name();
            Status::invalid_argument(format!("the request's message is not a {name}: {fault}"))
        })
    }

    /// `/package.Service/Method`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The message it takes.
    pub(super) fn input(&self) -> &MessageDescriptor {
        &self.input
    }

    /// The message it returns.
    pub(super) fn output(&self) -> &MessageDescriptor {
        &self.output
    }

    /// Whether it changes nothing, so that it may be called with GET.
    pub(super) fn is_safe(&self) -> bool {
        self.safe
    }

    /// The type URL of the message it takes.
    pub(super) fn input_url(&self) -> &str {
        &self.input_url
    }
}

impl Door {
    /// Builds the door of a package. `routes` are its workflows', `generated` answers for health and
    /// reflection; what clients call is told to `traces`.
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
                rpc: route.as_ref().map(|route| Rpc::new(&method.path, route.workflow.clone())),
                route,
            };
            (method.path.clone(), known)
        });
        Self { methods: methods.collect(), flow, limits, generated, traces }
    }

    /// Calls a method, `/package.Service/Name`, as a client that speaks JSON does.
    pub async fn call(&self, path: &str, json: &[u8], timeout: Duration) -> Called {
        let Some(method) = self.methods.get(path) else {
            return Called { request: None, answer: Err(unknown(path)) };
        };
        let mut request = None;
        let traced = self.trace(method, Protocol::Connect, &HeaderMap::new());
        let told = |id: &Arc<str>| request = Some(Arc::clone(id));
        let answer = self.answer_json(method, json, timeout, traced.trace(), told).await;
        traced.end(answer.as_ref().err().map(status::fault));
        Called { request, answer }
    }

    async fn answer_json(
        &self,
        method: &Method,
        json: &[u8],
        timeout: Duration,
        trace: Trace,
        told: impl FnOnce(&Arc<str>),
    ) -> Result<Bytes, Status> {
        let route = method.route()?;
        let deadline = Deadline::after(timeout.min(self.limits.timeout));
        let message = connect::from_json(method, json)?;
        if message.len() > self.limits.message {
            return Err(super::read::too_large(message.len(), self.limits.message));
        }
        let permit = self.flow.enter(route, message.len()).map_err(|failure| status::of_failure(&failure))?;
        let payload = Payload::pack(method.input_url(), &message);
        let answer = self.flow.request_told(permit, route, payload, deadline, trace, told).await;
        let answer = answer.map_err(|failure| status::of_failure(&failure))?;
        connect::to_json(method, answer.value())
    }

    pub(super) fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Begins to trace a call, if it leads to a workflow.
    pub(super) fn trace<'a>(
        &'a self,
        method: &'a Method,
        protocol: Protocol,
        headers: &HeaderMap,
    ) -> Call<'a> {
        let Some(rpc) = &method.rpc else { return Call::default() };
        let values = TRACE_HEADERS.iter().flat_map(|name| {
            headers.get_all(name).iter().filter_map(|value| Some((name.as_str(), value.to_str().ok()?)))
        });
        self.traces.call(rpc, protocol, values)
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// The RPCs, by their path.
    pub(super) fn methods(&self) -> impl Iterator<Item = &Method> {
        let mut methods: Vec<_> = self.methods.values().collect();
        methods.sort_by(|one, other| one.path.cmp(&other.path));
        methods.into_iter()
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if is_grpc(&request) {
            match self.methods.get(request.uri().path()) {
                Some(method) => grpc::call(self, method, request).await,
                None => self.generated(request).await,
            }
        } else if matches!(*request.method(), Verb::GET | Verb::HEAD) && request.uri().path() == "/" {
            index::page(self)
        } else {
            connect::call(self, self.methods.get(request.uri().path()), request).await
        }
    }

    async fn generated(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        if !path.starts_with("/grpc.health.") && !path.starts_with("/grpc.reflection.") {
            return grpc::refuse(&unknown(path));
        }
        match self.generated.clone().oneshot(request).await {
            Ok(response) => response.map(Body::Tonic),
            Err(never) => match never {},
        }
    }
}

/// What a client is told that calls a method which does not exist.
pub(super) fn unknown(path: &str) -> Status {
    Status::unimplemented(format!(
        "there is no method `{path}`; hint: `/package.Service/Method`, as in the entrypoint's .proto"
    ))
}

pub(super) fn is_grpc(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    matches!(kind, b"application/grpc" | b"application/grpc+proto") || kind.starts_with(b"application/grpc;")
}
