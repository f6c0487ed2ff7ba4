//! A call, the same way in each protocol: deadline, admission, reading, decoding, the request, encoding.
//!
//! A [`Codec`] says what differs. Nothing of a message is built before its request is admitted. A unary response says in
//! its head how the call ended, so that its message is encoded when the end is known. A stream ([`super::stream`]) takes
//! message by message, then the end.

use super::{
    body::{Body, Frames},
    canonical,
    coding::Codings,
    listener::ResponseGuard,
    metadata,
    read::{MessageInfo, Reader, RequestBody, too_large},
    service::{Ingress, Method},
    status,
    stream::{Stream, StreamForm},
};
use crate::{
    flow::{AnswerMessage, Deadline, PendingAnswer, Permit, RequestHead, Route},
    memory::Reservation,
    offload,
    traces::{Protocol, Trace},
};
use bytes::Bytes;
use http::{HeaderMap, Response, Version, header::EXPECT, request::Parts};
use hyper::body::Incoming;
use krt_model::{message::Payload, outcome::Failure, priority::Priority};
use std::{sync::Arc, time::Duration};
use tonic::Status;

/// How a protocol carries the messages of a call.
pub(super) trait Codec: Sync {
    /// Its name in traces.
    const PROTOCOL: Protocol;

    /// Returns the time that the client gives the call, if any. Refuses headers that the protocol forbids.
    fn timeout(&self, headers: &HeaderMap) -> Result<Option<Duration>, Status>;

    /// Returns what is known of the message before any of it is read.
    fn announced<B: RequestBody>(
        &self,
        reader: &mut Reader<B>,
        headers: &HeaderMap,
    ) -> impl Future<Output = Result<MessageInfo, Status>> + Send;

    /// Reads the message as the client sent it.
    fn read<B: RequestBody>(
        &self,
        reader: &mut Reader<B>,
        announced: MessageInfo,
        limit: usize,
        permit: &Permit,
    ) -> impl Future<Output = Result<Bytes, Status>> + Send;

    /// Returns how the message is compressed.
    fn codings(&self, announced: MessageInfo, headers: &HeaderMap) -> Result<Codings, Status>;

    /// Converts a decompressed message to protobuf of the method's input type, or checks that it is that.
    fn decode(&self, method: &Method, message: Bytes, limit: usize, permit: &Permit)
    -> Result<Bytes, Status>;

    /// Ends a call that failed, with only a status.
    fn refuse(&self, status: &Status) -> Response<Body>;
}

/// How a protocol carries an answer of one message.
pub(super) trait Unary: Codec {
    /// Converts a message of the answer from protobuf.
    fn encode(
        &self,
        method: &Method,
        message: Payload,
        reservation: Reservation,
    ) -> impl Future<Output = Result<Bytes, Status>> + Send;

    /// Adds an encoded message to a body.
    fn frame(&self, message: Bytes, body: &mut Frames);

    /// Ends the body of a call that succeeded.
    fn end(&self, body: Frames) -> Response<Body>;
}

/// A call of a method, by a protocol.
#[derive(Debug)]
pub(super) struct Call<'a, C> {
    pub(super) ingress: &'a Ingress,
    pub(super) method: &'a Method,
    pub(super) codec: C,
}

impl<C: Unary> Call<'_, C> {
    /// Answers a request over HTTP, with one message.
    pub(super) async fn answer(&self, head: &Parts, body: Incoming) -> Response<Body> {
        let traced = self.ingress.trace(self.method, C::PROTOCOL, &head.headers);
        let answered = self.run(head, body, traced.trace()).await;
        traced.end(answered.as_ref().err().map(status::fault));
        answered.unwrap_or_else(|status| self.codec.refuse(&status))
    }

    async fn run(&self, head: &Parts, body: Incoming, trace: Trace) -> Result<Response<Body>, Status> {
        let (permit, message, head) = self.admit(head, body, trace).await?;
        self.whole(permit, message, head).await
    }

    /// Answers a request over HTTP whose message was admitted and read before its method was known.
    pub(super) async fn answer_read(
        &self,
        head: &Parts,
        deadline: Deadline,
        permit: Permit,
        message: Bytes,
    ) -> Response<Body> {
        let traced = self.ingress.trace(self.method, C::PROTOCOL, &head.headers);
        let answered = async {
            let metadata = metadata::of(&head.headers, self.ingress.metadata())?;
            let priority = priority(&head.headers, self.method.route()?)?;
            let head = RequestHead { deadline, trace: traced.trace(), metadata, priority };
            self.whole(hold(permit, &head)?, message, head).await
        };
        let answered = answered.await;
        traced.end(answered.as_ref().err().map(status::fault));
        answered.unwrap_or_else(|status| self.codec.refuse(&status))
    }

    /// Sends an admitted message through its workflow, and returns the answer.
    async fn whole(
        &self,
        permit: Permit,
        message: Bytes,
        head: RequestHead,
    ) -> Result<Response<Body>, Status> {
        let (answer, permit) = self.post(permit, message, self.method.route()?, head).await?;
        let answer = answer.whole().await.map_err(|failure| status::of_failure(&failure))?;
        let mut frames = Frames::new();
        for AnswerMessage { payload, .. } in answer {
            let message = self.codec.encode(self.method, payload, permit.reserve()).await?;
            self.codec.frame(message, &mut frames);
        }
        let mut response = self.codec.end(frames);
        response.extensions_mut().insert(ResponseGuard::new(permit));
        Ok(response)
    }
}

impl<'a, C: Codec> Call<'a, C> {
    /// Answers a request over HTTP, with a stream of messages.
    pub(super) async fn stream(&self, head: &Parts, body: Incoming, form: StreamForm) -> Response<Body> {
        let traced = self.ingress.trace(self.method, C::PROTOCOL, &head.headers);
        let opened = match self.open(head, body, traced.trace()).await {
            Ok(opened) => opened,
            Err(status) => {
                traced.end(Some(status::fault(&status)));
                return form.refuse(&status);
            }
        };
        let (answer, permit) = opened;
        let answer = answer.stream(self.ingress.flow());
        let output = self.method.output().clone();
        let started = Stream::start(form, output, answer, Arc::clone(&permit), traced).await;
        let mut response = started.unwrap_or_else(|status| form.refuse(&status));
        response.extensions_mut().insert(ResponseGuard::new(permit));
        response
    }

    /// Reads a message, and sends it through its workflow.
    async fn open(
        &self,
        head: &Parts,
        body: Incoming,
        trace: Trace,
    ) -> Result<(PendingAnswer<'a>, Arc<Permit>), Status> {
        let (permit, message, head) = self.admit(head, body, trace).await?;
        self.post(permit, message, self.method.route()?, head).await
    }

    /// Admits a request and reads its message, until the deadline.
    async fn admit(
        &self,
        head: &Parts,
        body: Incoming,
        trace: Trace,
    ) -> Result<(Permit, Bytes, RequestHead), Status> {
        let timeout = self.codec.timeout(&head.headers)?;
        let deadline = self.deadline(timeout.unwrap_or(Duration::MAX));
        let route = self.method.route()?;
        let metadata = metadata::of(&head.headers, self.ingress.metadata())?;
        let priority = priority(&head.headers, route)?;
        let (mut reader, limit) = (Reader::new(body), self.ingress.limits().message);
        let enter = |size| self.ingress.flow().enter(route, size);
        let received = receive(&self.codec, &mut reader, &head.headers, limit, enter);
        let received = tokio::time::timeout_at(deadline.at.into(), received)
            .await
            .map_err(|_| Status::deadline_exceeded("the request did not arrive in time"))?;
        if received.is_err() && sends_whole_body(head) {
            reader.drain(limit).await;
        }
        let (permit, message) = received?;
        let head = RequestHead { deadline, trace, metadata, priority };
        Ok((hold(permit, &head)?, message, head))
    }

    /// Returns the deadline of a call that begins now. `timeout`: the time that the client gives.
    pub(super) fn deadline(&self, timeout: Duration) -> Deadline {
        Deadline::after(timeout.min(self.ingress.limits().timeout))
    }

    /// Sends an admitted message through its workflow.
    pub(super) async fn post(
        &self,
        permit: Permit,
        message: Bytes,
        route: &Arc<Route>,
        head: RequestHead,
    ) -> Result<(PendingAnswer<'a>, Arc<Permit>), Status> {
        let Self { ingress, method, codec } = self;
        let read = offload::run(message.len(), || {
            let message = codec.decode(method, message, ingress.limits().message, &permit)?;
            let has_cache = ingress.flow().has_cache(route);
            let key = has_cache.then(|| canonical::key(&message, method.input(), &head.metadata));
            Ok::<_, Status>((method.pack(&message, &permit)?, key))
        });
        let ((payload, key), permit) = (read.await?, Arc::new(permit));
        let pending = ingress.flow().request(Arc::clone(&permit), route, payload, head, key);
        Ok((pending, permit))
    }
}

/// Admits a request and reads its message, decompressed. `enter` admits a request of that many bytes.
pub(super) async fn receive<C: Codec, B: RequestBody>(
    codec: &C,
    reader: &mut Reader<B>,
    headers: &HeaderMap,
    limit: usize,
    enter: impl FnOnce(usize) -> Result<Permit, Failure>,
) -> Result<(Permit, Bytes), Status> {
    let announced = codec.announced(reader, headers).await?;
    if let Some(size) = announced.size.filter(|&size| size > limit) {
        return Err(too_large(size, limit));
    }
    let permit = enter(announced.size.unwrap_or_default());
    let mut permit = permit.map_err(|failure| status::of_failure(&failure))?;
    let message = codec.read(reader, announced, limit, &permit).await?;
    permit.record_size(message.len());
    let codings = codec.codings(announced, headers)?;
    let message = codings.undo(message, limit, &permit.reserve()).await?;
    Ok((permit, message))
}

/// Counts what a request holds besides its message.
fn hold(mut permit: Permit, head: &RequestHead) -> Result<Permit, Status> {
    permit.hold(head.metadata.size()).map_err(|failure| status::of_failure(&failure))?;
    Ok(permit)
}

/// Returns the priority that a client gives its request, if the workflow has priorities.
fn priority(headers: &HeaderMap, route: &Route) -> Result<Priority, Status> {
    match headers.get(Priority::HEADER).filter(|_| route.priority) {
        Some(value) => {
            Priority::parse(value.as_bytes()).map_err(|error| Status::invalid_argument(error.to_string()))
        }
        None => Ok(Priority::default()),
    }
}

/// Returns whether a client sends its whole body before it reads a refusal.
fn sends_whole_body(head: &Parts) -> bool {
    head.version < Version::HTTP_2 && !head.headers.contains_key(EXPECT)
}

#[cfg(test)]
mod tests;
