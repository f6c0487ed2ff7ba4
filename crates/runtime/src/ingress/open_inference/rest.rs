//! The protocol over HTTP: JSON, which binary data may follow.

use super::{
    super::{
        body::{Body, Frames},
        call::{Call, Codec, Unary},
        coding::{self, Codings},
        connect::declared_size,
        deadline,
        read::{MessageInfo, Reader, RequestBody},
        service::{Ingress, Method},
        status,
    },
    EXTENSION, Inference, Model, Models, ROOT, SERVER,
};
use crate::{flow::Permit, memory::Reservation, tensors, traces::Protocol};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method as Verb, Response, StatusCode,
    header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};
use http_body::Frame;
use hyper::body::Incoming;
use krt_model::message::Payload;
use krt_package::open_inference::Layout;
use serde_json::{Value, json};
use std::{borrow::Cow, sync::OnceLock, time::Duration};
use tonic::{Code, Status};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// The size of the JSON of a body that has binary data after it.
const HEADER_SIZE: HeaderName = HeaderName::from_static("inference-header-content-length");

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'p> {
    Server,
    Live,
    Ready,
    Model(Named<'p>),
    ModelReady(Named<'p>),
    Infer(Named<'p>),
}

/// A model in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Named<'p> {
    name: &'p str,
    /// Empty without one.
    version: &'p str,
}

impl<'p> Route<'p> {
    fn parse(path: &'p str) -> Option<Self> {
        let mut parts = path.strip_prefix(ROOT)?.split('/').skip(1);
        let parts = [(); 6].map(|()| parts.next());
        let (named, rest) = match parts {
            [None, ..] => return Some(Self::Server),
            [Some("health"), Some("live"), None, ..] => return Some(Self::Live),
            [Some("health"), Some("ready"), None, ..] => return Some(Self::Ready),
            [Some("models"), Some(name), Some("versions"), Some(version), rest, None] => {
                (Named { name, version }, rest)
            }
            [Some("models"), Some(name), rest, None, ..] => (Named { name, version: "" }, rest),
            _ => return None,
        };
        match rest {
            None => Some(Self::Model(named)),
            Some("ready") => Some(Self::ModelReady(named)),
            Some("infer") => Some(Self::Infer(named)),
            Some(_) => None,
        }
    }
}

/// Answers a request whose path is one of the protocol's.
pub(in crate::ingress) async fn answer(
    ingress: &Ingress,
    models: &Models,
    head: &Parts,
    body: Incoming,
) -> Response<Body> {
    let path = head.uri.path();
    let Some(route) = Route::parse(path) else {
        return refuse(&status::with_hint(
            Code::NotFound,
            format!("`{}` is not a path of this service", super::shown(path)),
            "it has `/v2`, `/v2/health/live`, `/v2/health/ready`, `/v2/models/NAME`, and of that `/ready` and `/infer`",
        ));
    };
    let reads = matches!(head.method, Verb::GET | Verb::HEAD);
    match route {
        Route::Infer(named) if head.method == Verb::POST => infer(ingress, models, named, head, body).await,
        Route::Infer(_) => not_allowed("POST"),
        _ if !reads => not_allowed("GET"),
        Route::Server => ok(&json!({
            "name": SERVER,
            "version": env!("CARGO_PKG_VERSION"),
            "extensions": [EXTENSION],
        })),
        Route::Live => ok(&json!({ "live": true })),
        Route::Ready => {
            let ready = models.are_ready(ingress);
            state(ready, &json!({ "ready": ready }))
        }
        Route::Model(named) => match models.find(named.name, named.version) {
            Ok(model) => ok(&describe(model, models)),
            Err(status) => refuse(&status),
        },
        Route::ModelReady(named) => match models.find(named.name, named.version) {
            Ok(model) => {
                let ready = model.is_ready(ingress);
                state(ready, &json!({ "name": model.name, "ready": ready }))
            }
            Err(status) => refuse(&status),
        },
    }
}

fn describe(model: &Model, models: &Models) -> Value {
    let tensors = |layout: &Layout| -> Vec<Value> {
        let tensors = layout.tensors.iter();
        let describe = |tensor: &krt_package::open_inference::Tensor| json!({ "name": tensor.name, "datatype": tensor.datatype.name(), "shape": tensor.shape() });
        tensors.map(describe).collect()
    };
    json!({
        "name": model.name,
        "versions": [models.version],
        "platform": SERVER,
        "inputs": tensors(&model.inputs),
        "outputs": tensors(&model.outputs),
    })
}

async fn infer(
    ingress: &Ingress,
    models: &Models,
    named: Named<'_>,
    head: &Parts,
    body: Incoming,
) -> Response<Body> {
    let model = match models.find(named.name, named.version) {
        Ok(model) => model,
        Err(status) => return refuse(&status),
    };
    let Some(method) = ingress.method(&model.method) else {
        return refuse(&Status::unimplemented("the model has no RPC"));
    };
    match Rest::new(Inference::new(model, models), &head.headers) {
        Ok(codec) => Call { ingress, method, codec }.answer(head, body).await,
        Err(refused) => refused,
    }
}

/// The codec of an inference over HTTP.
#[derive(Debug)]
struct Rest<'m> {
    inference: Inference<'m>,
    codings: Codings,
    /// The size of the request's JSON, if binary data may follow.
    json: Option<usize>,
    /// The size of the answer's JSON, if binary data follow.
    answer: OnceLock<usize>,
}

impl<'m> Rest<'m> {
    fn new(inference: Inference<'m>, headers: &HeaderMap) -> Result<Self, Response<Body>> {
        check_kind(headers).map_err(|status| unsupported(&status))?;
        let values = headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes);
        let codings = Codings::parse(values, "bodies").map_err(|refused| {
            let mut response = unsupported(&Status::unimplemented(refused.to_string()));
            response.headers_mut().insert(ACCEPT_ENCODING, coding::SUPPORTED);
            response
        })?;
        let json = headers.get(HEADER_SIZE).map(|value| {
            let size = value.to_str().ok().and_then(|size| size.parse().ok());
            let status = || Status::invalid_argument(format!("the header `{HEADER_SIZE}` must be a size"));
            size.ok_or_else(|| refuse(&status()))
        });
        Ok(Self { inference, codings, json: json.transpose()?, answer: OnceLock::new() })
    }
}

/// Checks the type of a body. Clients of the protocol send none, or that of bytes.
fn check_kind(headers: &HeaderMap) -> Result<(), Status> {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if [JSON, BINARY].iter().any(|known| known.as_bytes().eq_ignore_ascii_case(kind.as_bytes())) {
        return Ok(());
    }
    Err(status::with_hint(
        Code::InvalidArgument,
        "the content type is not supported",
        "send `content-type: application/json`, or `application/octet-stream` where binary data follow",
    ))
}

impl Codec for Rest<'_> {
    const PROTOCOL: Protocol = Protocol::OpenInference;

    fn timeout(&self, headers: &HeaderMap) -> Result<Option<Duration>, Status> {
        deadline::of_connect(headers)
    }

    async fn announced<B: RequestBody>(
        &self,
        _: &mut Reader<B>,
        headers: &HeaderMap,
    ) -> Result<MessageInfo, Status> {
        Ok(MessageInfo { size: declared_size(headers), compressed: false })
    }

    async fn read<B: RequestBody>(
        &self,
        reader: &mut Reader<B>,
        announced: MessageInfo,
        limit: usize,
        permit: &Permit,
    ) -> Result<Bytes, Status> {
        reader.take_all(limit, announced.size.unwrap_or(limit), permit).await
    }

    fn codings(&self, _: MessageInfo, _: &HeaderMap) -> Result<Codings, Status> {
        Ok(self.codings)
    }

    fn decode(&self, _: &Method, body: Bytes, limit: usize, permit: &Permit) -> Result<Bytes, Status> {
        self.inference.decode(limit, permit.reserve(), |model, bounds| {
            tensors::rest::parse(&body, self.json, model, bounds)
        })
    }

    fn refuse(&self, status: &Status) -> Response<Body> {
        refuse(status)
    }
}

impl Unary for Rest<'_> {
    async fn encode(&self, _: &Method, message: Payload, reservation: Reservation) -> Result<Bytes, Status> {
        let (body, json) = self.inference.encode(&message, reservation, tensors::rest::write).await?;
        if let Some(json) = json {
            // A unary call has one answer.
            let _ = self.answer.set(json);
        }
        Ok(body)
    }

    fn frame(&self, message: Bytes, body: &mut Frames) {
        body.push_back(Frame::data(message));
    }

    fn end(&self, body: Frames) -> Response<Body> {
        let mut response = Response::new(Body::Whole(body));
        let headers = response.headers_mut();
        match self.answer.get() {
            Some(&json) => {
                headers.insert(CONTENT_TYPE, BINARY);
                headers.insert(HEADER_SIZE, HeaderValue::from(json));
            }
            None => drop(headers.insert(CONTENT_TYPE, JSON)),
        }
        response
    }
}

fn ok(body: &Value) -> Response<Body> {
    state(true, body)
}

/// Returns a state: clients judge it by the status.
fn state(ready: bool, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::data(body.to_string()));
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Returns an error response.
pub(in crate::ingress) fn refuse(status: &Status) -> Response<Body> {
    let text: Cow<'_, str> = status::for_json(status);
    let mut response = ok(&json!({ "error": text }));
    *response.status_mut() = status::http(status.code());
    response
}

/// Returns the refusal of a body's type or compression.
fn unsupported(status: &Status) -> Response<Body> {
    let mut response = refuse(status);
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

fn not_allowed(verb: &'static str) -> Response<Body> {
    let mut response = refuse(&Status::unimplemented(format!("this path is called with {verb}")));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let allowed = if verb == "GET" { "GET, HEAD" } else { verb };
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let plain = Named { name: "digits", version: "" };
        let versioned = Named { name: "digits", version: "v1" };
        for (path, expected) in [
            ("/v2", Some(Route::Server)),
            ("/v2/health/live", Some(Route::Live)),
            ("/v2/health/ready", Some(Route::Ready)),
            ("/v2/models/digits", Some(Route::Model(plain))),
            ("/v2/models/digits/ready", Some(Route::ModelReady(plain))),
            ("/v2/models/digits/infer", Some(Route::Infer(plain))),
            ("/v2/models/digits/versions/v1", Some(Route::Model(versioned))),
            ("/v2/models/digits/versions/v1/ready", Some(Route::ModelReady(versioned))),
            ("/v2/models/digits/versions/v1/infer", Some(Route::Infer(versioned))),
            ("/v2/", None),
            ("/v2/health", None),
            ("/v2/health/live/", None),
            ("/v2/models", None),
            ("/v2/models/digits/config", None),
            ("/v2/models/digits/versions", None),
            ("/v2/models/digits/infer/more", None),
            ("/v2/models/digits/versions/v1/infer/more", None),
            ("/v2/repository/index", None),
        ] {
            assert_eq!(Route::parse(path), expected, "{path}");
        }
    }
}
