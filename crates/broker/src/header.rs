//! Headers of messages. Other runners neither know them nor pass them on.

use crate::hops;
use async_nats::{HeaderMap, HeaderValue};
use krt_model::{
    message::Timestamp, metadata::Metadata, outcome::Kind, priority::Priority, request::HopChain,
};
use std::str::FromStr as _;

/// The names.
mod name {
    pub(super) const REPLY: &str = "Krt-Reply";
    pub(super) const DEADLINE: &str = "Krt-Deadline";
    pub(super) const FAILURE: &str = "Krt-Failure";
    pub(super) const NO_CLIENT: &str = "Krt-Nobody";
    pub(super) const HOPS: &str = "Krt-Hops";
    pub(super) const METADATA: &str = "Krt-Metadata";
    pub(super) const PRIORITY: &str = "Krt-Priority";
    pub(super) const SEQUENCE: &str = "Krt-Sequence";
    /// Defined by the server.
    pub(super) const MESSAGE_ID: &str = "Nats-Msg-Id";
    /// W3C trace context.
    pub(super) const TRACE: [&str; 2] = ["traceparent", "tracestate"];
}

/// The headers of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// The inbox for the answer. JetStream only, where the envelope's `reply` is the request's id.
    pub reply: Option<String>,
    /// When the client stops waiting, by the clock of the entrypoint's machine.
    pub deadline: Option<Timestamp>,
    /// The kind of the error in the envelope.
    pub failure: Option<Kind>,
    /// Whether no client waits for the answer: the message is a retried dead letter.
    pub no_client: bool,
    /// The calls of handlers so far.
    pub hops: HopChain,
    /// What the client sent beside its message, as JSON.
    pub metadata: Metadata,
    /// How early the message is handled among those that wait.
    pub priority: Priority,
    /// How many messages of the answer, which is a stream, come before this one.
    pub sequence: Option<u64>,
    /// The W3C trace context: `traceparent`, `tracestate`.
    pub trace: Vec<(&'static str, String)>,
    /// Identifies duplicates of a message. JetStream only.
    pub message_id: Option<String>,
}

const NANOS_PER_MILLI: u64 = 1_000_000;

impl Headers {
    /// Converts to NATS headers; `None` if empty. Values that a header cannot hold are left out.
    pub(crate) fn to_map(&self) -> Option<HeaderMap> {
        let deadline = self.deadline.map(|deadline| (deadline.0 / NANOS_PER_MILLI).to_string());
        let hops = (!self.hops.is_empty()).then(|| hops::write(&self.hops));
        let metadata = (!self.metadata.is_empty())
            .then(|| serde_json::to_string(&self.metadata).expect("texts are JSON"));
        let priority = (self.priority != Priority::default()).then(|| self.priority.level().to_string());
        let sequence = self.sequence.map(|number| number.to_string());
        let fields = [
            (name::REPLY, self.reply.as_deref()),
            (name::DEADLINE, deadline.as_deref()),
            (name::FAILURE, self.failure.map(Kind::as_str)),
            (name::NO_CLIENT, self.no_client.then_some("true")),
            (name::HOPS, hops.as_deref()),
            (name::METADATA, metadata.as_deref()),
            (name::PRIORITY, priority.as_deref()),
            (name::SEQUENCE, sequence.as_deref()),
            (name::MESSAGE_ID, self.message_id.as_deref()),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let trace = self.trace.iter().map(|(name, value)| (*name, &**value));
        let mut map = HeaderMap::new();
        for (name, value) in fields.chain(trace) {
            if let Ok(value) = HeaderValue::from_str(value) {
                map.insert(name, value);
            }
        }
        (!map.is_empty()).then_some(map)
    }

    /// Reads NATS headers; ignores invalid values.
    pub fn read(map: Option<&HeaderMap>) -> Self {
        let Some(map) = map else { return Self::default() };
        let text = |name: &str| map.get(name).map(|value| value.as_str().to_owned());
        let millis = text(name::DEADLINE).and_then(|text| text.parse::<u64>().ok());
        Self {
            reply: text(name::REPLY),
            deadline: millis.map(|millis| Timestamp(millis.saturating_mul(NANOS_PER_MILLI))),
            failure: text(name::FAILURE).and_then(|word| Kind::parse(&word)),
            trace: name::TRACE.iter().filter_map(|&name| Some((name, text(name)?))).collect(),
            no_client: map.get(name::NO_CLIENT).is_some(),
            hops: map.get(name::HOPS).map(|value| read_hops(value.as_str())).unwrap_or_default(),
            metadata: map.get(name::METADATA).map(|value| read_metadata(value.as_str())).unwrap_or_default(),
            priority: map.get(name::PRIORITY).map(|value| read_priority(value.as_str())).unwrap_or_default(),
            sequence: text(name::SEQUENCE).and_then(|text| text.parse().ok()),
            message_id: text(name::MESSAGE_ID),
        }
    }
}

/// Reads the hops. They are for the dashboard: a request is handled without them, too.
fn read_hops(text: &str) -> HopChain {
    hops::read(text).unwrap_or_else(|| {
        tracing::debug!(bytes = text.len(), "a message's header `{}` is invalid and ignored", name::HOPS);
        HopChain::default()
    })
}

/// Reads the client's metadata. A handler that needs a missing value can refuse the request itself.
fn read_metadata(text: &str) -> Metadata {
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::warn!("a message's header `{}` is invalid and ignored: {error}", name::METADATA);
        Metadata::default()
    })
}

/// Reads the priority. An invalid one counts as none.
fn read_priority(text: &str) -> Priority {
    Priority::parse(text.as_bytes()).unwrap_or_else(|error| {
        tracing::debug!("a message's header is invalid and ignored: {error}");
        Priority::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::{
        name::Name,
        request::{Hop, HopEnding},
    };

    #[test]
    fn headers_round_trip() {
        let mut hops = HopChain::default();
        hops.push(Hop {
            node: Name::parse("etl").unwrap(),
            position: 0,
            posted: 10,
            start: 20,
            end: 50,
            encode: 1,
            decode: 2,
            ending: HopEnding::Returned,
        });
        let full = Headers {
            reply: Some("_INBOX.a.b".to_owned()),
            deadline: Some(Timestamp(1_709_209_815_250_000_000)),
            failure: Some(Kind::QueueFull),
            no_client: true,
            hops,
            metadata: serde_json::from_str(r#"{"x-key-bin":["AP8="],"x-tenant":["a \"b\"","c"]}"#).unwrap(),
            priority: Priority::parse(b"-7").unwrap(),
            sequence: Some(7),
            trace: vec![("traceparent", "00-1-2-01".to_owned()), ("tracestate", "a=b".to_owned())],
            message_id: Some("id.1".to_owned()),
        };
        assert_eq!(Headers::read(full.to_map().as_ref()), full);
        assert_eq!(Headers::default().to_map(), None);
        assert_eq!(Headers::read(None), Headers::default());
    }

    #[test]
    fn invalid_header_values_are_omitted() {
        let hostile = Headers {
            reply: Some("_INBOX.a\r\nKrt-Nobody: true".to_owned()),
            message_id: Some("one\ntwo".to_owned()),
            ..Headers::default()
        };
        assert_eq!(hostile.to_map(), None);
    }

    #[test]
    fn invalid_headers_are_ignored() {
        let mut map = HeaderMap::new();
        map.insert(name::DEADLINE, "soon");
        map.insert(name::FAILURE, "a whim");
        map.insert(name::HOPS, "a detour");
        map.insert(name::PRIORITY, "11");
        map.insert(name::SEQUENCE, "-1");
        for metadata in
            ["a secret", r#"{"x":"y"}"#, r#"{"X":["y"]}"#, r#"{"x-bin":["?"]}"#, r#"{"x":["\n"]}"#]
        {
            map.insert(name::METADATA, metadata);
            assert_eq!(Headers::read(Some(&map)), Headers::default(), "{metadata}");
        }
        assert_eq!(Headers::read(Some(&map)), Headers::default());
    }
}
