//! Requests, with the calls of handlers.

use crate::{Time, log::Log, prediction::Prediction, schema};
use krt_model::request::{self, Cached, Ending, HopEnding, RequestRecord};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Request {
    /// Its id.
    pub id: String,
    /// The version.
    #[schema(value_type = schema::Name)]
    pub version: String,
    /// The workflow.
    #[schema(value_type = schema::Name)]
    pub workflow: String,
    /// When it arrived.
    #[schema(value_type = schema::Time)]
    pub start: Time,
    /// How long its client waited.
    pub elapsed_ms: f64,
    /// How it ended.
    #[schema(value_type = schema::Ending)]
    pub ending: Ending,
    /// The error that its client got instead of an answer.
    #[schema(required)]
    pub error: Option<String>,
    /// The size of its message.
    pub request_bytes: usize,
    /// The size of its answer.
    #[schema(required)]
    pub answer_bytes: Option<usize>,
    /// The messages that its client has taken, if its answer is a stream; known at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub stream: Option<StreamedAnswer>,
    /// Whether it was answered before its workflow ended.
    pub early_reply: bool,
    /// How the cache of its workflow answered it, instead of its handlers: with an answer that it had, or with that to an
    /// equal request in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::cached, nullable = false)]
    pub cached: Option<Cached>,
    /// The calls of handlers.
    pub hops: Vec<Hop>,
    /// How many more calls there were. Messages over NATS carry the first ones only.
    pub hops_left_out: usize,
}

/// The messages of a streamed answer that the client has taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StreamedAnswer {
    /// Their number.
    pub messages: u64,
    /// From the request's start until the client took the first one.
    #[schema(required)]
    pub first_ms: Option<f64>,
}

/// One call of a handler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hop {
    /// The node.
    #[schema(value_type = schema::Name)]
    pub node: String,
    /// Its place in the workflow, from 0.
    pub position: usize,
    /// From the request's start until the handler began.
    pub start_ms: f64,
    /// Time since the end of the previous hop, without `encode_ms`.
    pub waiting_ms: f64,
    /// Time to encode the message for the worker.
    pub encode_ms: f64,
    /// The handler's running time.
    pub handler_ms: f64,
    /// Time to decode the worker's message, after the handler.
    pub decode_ms: f64,
    /// How the call ended.
    #[schema(schema_with = schema::outcome)]
    pub outcome: HopEnding,
}

/// A page of requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RequestPage {
    /// The requests.
    pub requests: Vec<Request>,
    /// The cursor of the next page.
    #[schema(required)]
    pub next: Option<String>,
    /// About how many requests of the runtime are kept, including those in flight.
    pub kept: usize,
}

/// A request with what its handlers wrote.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RequestDetail {
    /// The request.
    pub request: Request,
    /// Its log records, oldest first.
    pub logs: Vec<Log>,
    /// Measurements that name the request.
    pub points: Vec<StoredPoint>,
    /// Documents that its handlers saved; together with the predictions at most 32.
    pub documents: Vec<StoredDocument>,
    /// Predictions that its handlers saved.
    pub predictions: Vec<Prediction>,
    /// How many documents and predictions its handlers saved.
    pub saved: usize,
}

/// A point of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoredPoint {
    /// The measurement.
    pub measurement: String,
    /// The time of the point.
    #[schema(value_type = schema::Time)]
    pub time: Time,
    /// Its tags.
    #[schema(value_type = schema::Tags)]
    pub tags: BTreeMap<String, String>,
    /// Its fields.
    pub fields: BTreeMap<String, Value>,
}

/// A document that a handler saved.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StoredDocument {
    /// The node.
    #[schema(value_type = schema::Name)]
    pub node: String,
    /// The collection.
    pub collection: String,
    /// Its `_id`, as Extended JSON.
    pub id: Value,
    /// The document as Extended JSON; `null` where it is deleted, or larger than 64 KiB.
    #[schema(required, value_type = Option<Object>)]
    pub document: Option<Box<RawValue>>,
    /// Its size; `null` where it is deleted.
    #[schema(required)]
    pub bytes: Option<usize>,
}

impl From<RequestRecord> for Request {
    fn from(record: RequestRecord) -> Self {
        Self {
            id: record.id.to_string(),
            version: record.version.to_string(),
            workflow: record.workflow.to_string(),
            start: Time::from_nanos(record.start),
            elapsed_ms: millis(record.elapsed),
            ending: record.ending,
            error: record.error,
            request_bytes: record.request_bytes,
            answer_bytes: record.answer_bytes,
            stream: record.stream.map(StreamedAnswer::from),
            early_reply: record.early,
            cached: record.cached,
            hops: record.hops.iter().map(Hop::from).collect(),
            hops_left_out: record.hops_left_out,
        }
    }
}

impl From<request::StreamedAnswer> for StreamedAnswer {
    fn from(stream: request::StreamedAnswer) -> Self {
        Self { messages: stream.messages, first_ms: stream.first.map(millis) }
    }
}

impl From<&request::Hop> for Hop {
    fn from(hop: &request::Hop) -> Self {
        let between = |from: i64, to: i64| to.saturating_sub(from) as f64 / 1e6;
        let encode_ms = millis(hop.encode);
        Self {
            node: hop.node.to_string(),
            position: hop.position,
            start_ms: between(0, hop.start),
            waiting_ms: (between(hop.posted, hop.start) - encode_ms).max(0.0),
            encode_ms,
            handler_ms: between(hop.start, hop.end),
            decode_ms: millis(hop.decode),
            outcome: hop.ending,
        }
    }
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
