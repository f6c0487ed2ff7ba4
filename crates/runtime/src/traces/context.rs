//! W3C trace context: a request's trace, as headers carry it.
//!
//! The rules are those of <https://www.w3.org/TR/trace-context-2/>.

use opentelemetry::{
    SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceState},
};
use std::fmt;

/// The header that names the trace and the parent span.
pub const TRACEPARENT: &str = "traceparent";
/// The header with data that tracing systems pass to themselves.
pub const TRACESTATE: &str = "tracestate";

/// Length of a `traceparent` of version 00, in bytes.
const LENGTH: usize = 55;
/// The known flags: sampled and random. Others are not passed on.
const KNOWN_FLAGS: u8 = 0b11;
/// Longest `tracestate` passed on, in bytes: the least that each system must support.
const MAX_STATE: usize = 512;

/// A position in a trace, from which the receiver continues. Its ids are never zero.
///
/// Its text form is a `traceparent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
    state: TraceState,
}

impl TraceContext {
    /// Creates the context of a local span.
    pub(super) fn new(trace: TraceId, span: SpanId, flags: TraceFlags, state: TraceState) -> Self {
        Self { trace, span, flags, state }
    }

    /// Returns the context of another span of the same trace.
    pub(super) fn at(&self, span: SpanId) -> Self {
        Self { span, ..self.clone() }
    }

    /// Parses a `traceparent`, of this version or a later one; `None` if it should be ignored.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let (known, rest) = traceparent.split_at_checked(LENGTH)?;
        let mut parts = known.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace = TraceId::from(hex(parts.next()?, 32)?);
        let span = SpanId::from(u64::try_from(hex(parts.next()?, 16)?).ok()?);
        let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
        let is_whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        let is_named = trace != TraceId::INVALID && span != SpanId::INVALID;
        let flags = TraceFlags::new(flags & KNOWN_FLAGS);
        (is_whole && is_named).then(|| Self::new(trace, span, flags, TraceState::NONE))
    }

    /// Reads the context from headers, among any others.
    ///
    /// Returns `None` without exactly one valid `traceparent`; ignores an invalid `tracestate`.
    pub fn of_headers<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let (mut parent, mut states) = (None, Vec::new());
        for (name, value) in headers {
            if name.eq_ignore_ascii_case(TRACEPARENT) {
                if parent.replace(value).is_some() {
                    return None;
                }
            } else if name.eq_ignore_ascii_case(TRACESTATE) {
                states.push(value);
            }
        }
        let context = Self::parse(parent?)?;
        Some(Self { state: parse_state(&states.join(",")), ..context })
    }

    /// Returns the headers: names and values.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let state = self.state.header();
        let state = (!state.is_empty()).then_some((TRACESTATE, state));
        std::iter::once((TRACEPARENT, self.to_string())).chain(state)
    }

    /// The trace's id.
    pub fn trace_id(&self) -> TraceId {
        self.trace
    }

    /// The span's id.
    pub fn span_id(&self) -> SpanId {
        self.span
    }

    /// Its flags.
    pub fn flags(&self) -> TraceFlags {
        self.flags
    }

    /// Data that tracing systems pass to themselves.
    pub fn state(&self) -> &TraceState {
        &self.state
    }

    /// Converts it to OpenTelemetry's type.
    pub(super) fn to_remote(&self) -> SpanContext {
        SpanContext::new(self.trace, self.span, self.flags, true, self.state.clone())
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags.to_u8())
    }
}

/// Parses exactly so many lowercase hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let fits = text.len() == digits && text.bytes().all(is_digit);
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

fn parse_state(text: &str) -> TraceState {
    let is_header = text.len() <= MAX_STATE && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    is_header.then(|| text.parse().ok()).flatten().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn traceparents() {
        let rows = [
            (GOOD, Some(GOOD)),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", Some("same")),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", Some("same")),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-fd", Some(GOOD)),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some(GOOD)),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-else", Some(GOOD)),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what-else", None),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-else", None),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-", None),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
            ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", None),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", None),
            ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", None),
            ("00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01", None),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1", None),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1", None),
            ("0--0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
            (" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let expected = expected.map(|expected| if expected == "same" { text } else { expected });
            let parsed = TraceContext::parse(text).map(|context| context.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn headers() {
        let long = format!("a={}", "x".repeat(256)).repeat(3);
        let rows: [(&[_], Option<&str>); 9] = [
            (&[("Traceparent", GOOD), ("other", "x")], Some("")),
            (&[("tracestate", "a=1,b=2"), ("traceparent", GOOD)], Some("a=1,b=2")),
            (&[("traceparent", GOOD), ("TraceState", "a=1"), ("tracestate", " b=2 ,")], Some("a=1,b=2")),
            (&[("traceparent", GOOD), ("tracestate", "no list")], Some("")),
            (&[("traceparent", GOOD), ("tracestate", "a=\n")], Some("")),
            (&[("traceparent", GOOD), ("tracestate", &long)], Some("")),
            (&[("traceparent", GOOD), ("traceparent", GOOD)], None),
            (&[("traceparent", "nonsense"), ("tracestate", "a=1")], None),
            (&[("tracestate", "a=1")], None),
        ];
        for (headers, expected) in rows {
            let context = TraceContext::of_headers(headers.iter().copied());
            let state = context.map(|context| context.state().header());
            assert_eq!(state.as_deref(), expected, "{headers:?}");
        }
    }

    prop_compose! {
        fn contexts()(
            trace in 1..=u128::MAX,
            span in 1..=u64::MAX,
            flags in 0..=KNOWN_FLAGS,
            state in proptest::collection::vec(("[a-z][a-z0-9_*/-]{0,8}", "[!-+--<>-~]{1,8}"), 0..8),
        ) -> TraceContext {
            let state = TraceState::from_key_value(state).unwrap();
            TraceContext::new(trace.into(), span.into(), TraceFlags::new(flags), state)
        }
    }

    proptest! {
        #[test]
        fn contexts_round_trip(context in contexts()) {
            let headers: Vec<_> = context.headers().collect();
            let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
            prop_assert_eq!(TraceContext::of_headers(headers), Some(context));
        }

        #[test]
        fn parsing_never_panics(parent in ".*", state in ".*") {
            let _ = TraceContext::parse(&parent);
            let _ = TraceContext::of_headers([("traceparent", GOOD), ("tracestate", &state)]);
        }

        #[test]
        fn parsed_traceparents_round_trip(text in "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]") {
            if let Some(context) = TraceContext::parse(&text) {
                prop_assert_eq!(&context.to_string()[2..], &text[2..]);
            }
        }
    }
}
