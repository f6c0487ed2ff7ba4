//! Parses clients' operations: lines of text, some with a payload after them (NATS client protocol).

use bytes::{Buf, Bytes, BytesMut};
use std::str;

/// The longest line, in bytes.
const MAX_LINE: usize = 4096;

/// An operation of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Connect(Bytes),
    Ping,
    Pong,
    Publish(Message),
    Subscribe { subject: String, group: Option<String>, id: String },
    Unsubscribe { id: String, after: Option<u64> },
}

/// A message to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) reply: Option<String>,
    /// The number of bytes that are headers.
    pub(super) headers: usize,
    /// Headers and payload.
    pub(super) bytes: Bytes,
}

/// Why a client's connection ends, with the text of NATS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolError {
    #[error("Unknown Protocol Operation")]
    Unknown,
    #[error("Parser Error")]
    Malformed,
    #[error("message headers not supported")]
    NoHeaders,
    #[error("Maximum Control Line Exceeded")]
    LongLine,
    #[error("Maximum Payload Violation")]
    LargePayload,
    #[error("Authorization Violation")]
    Unauthorized,
    #[error("Authentication Timeout")]
    Silent,
    #[error("Slow Consumer")]
    Slow,
    #[error("Stale Connection")]
    Stale,
}

/// Takes the next operation from the buffer; `None` while it is incomplete.
pub(super) fn take(buffer: &mut BytesMut, max_payload: usize) -> Result<Option<Operation>, ProtocolError> {
    let Some(end) = memchr::memchr(b'\n', buffer) else {
        return if buffer.len() > MAX_LINE { Err(ProtocolError::LongLine) } else { Ok(None) };
    };
    if end > MAX_LINE {
        return Err(ProtocolError::LongLine);
    }
    let line = str::from_utf8(&buffer[..end]).map_err(|_| ProtocolError::Malformed)?.trim_end_matches('\r');
    // A subject is repeated in lines to other clients.
    if line.contains('\r') {
        return Err(ProtocolError::Malformed);
    }
    let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let words: Vec<&str> = rest.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    let operation = match verb.to_ascii_uppercase().as_str() {
        "PING" => Operation::Ping,
        "PONG" => Operation::Pong,
        "CONNECT" => Operation::Connect(Bytes::copy_from_slice(rest.trim().as_bytes())),
        "SUB" => subscribe(&words)?,
        "UNSUB" => unsubscribe(&words)?,
        "PUB" => return publish(&PublishLine::plain(&words)?, end + 1, buffer, max_payload),
        "HPUB" => return publish(&PublishLine::with_headers(&words)?, end + 1, buffer, max_payload),
        _ => return Err(ProtocolError::Unknown),
    };
    buffer.advance(end + 1);
    Ok(Some(operation))
}

fn subscribe(words: &[&str]) -> Result<Operation, ProtocolError> {
    let (subject, group, id) = match words {
        [subject, id] => (subject, None, id),
        [subject, group, id] => (subject, Some((*group).to_owned()), id),
        _ => return Err(ProtocolError::Malformed),
    };
    Ok(Operation::Subscribe { subject: (*subject).to_owned(), group, id: (*id).to_owned() })
}

fn unsubscribe(words: &[&str]) -> Result<Operation, ProtocolError> {
    let (id, after) = match words {
        [id] => (id, None),
        [id, after] => (id, Some(after.parse().map_err(|_| ProtocolError::Malformed)?)),
        _ => return Err(ProtocolError::Malformed),
    };
    Ok(Operation::Unsubscribe { id: (*id).to_owned(), after: after.filter(|&after| after > 0) })
}

/// The line before a payload.
struct PublishLine {
    subject: String,
    reply: Option<String>,
    headers: usize,
    size: usize,
}

impl PublishLine {
    fn plain(words: &[&str]) -> Result<Self, ProtocolError> {
        match words {
            [subject, size] => Self::new(subject, None, "0", size),
            [subject, reply, size] => Self::new(subject, Some(reply), "0", size),
            _ => Err(ProtocolError::Malformed),
        }
    }

    fn with_headers(words: &[&str]) -> Result<Self, ProtocolError> {
        match words {
            [subject, headers, size] => Self::new(subject, None, headers, size),
            [subject, reply, headers, size] => Self::new(subject, Some(reply), headers, size),
            _ => Err(ProtocolError::Malformed),
        }
    }

    fn new(subject: &str, reply: Option<&str>, headers: &str, size: &str) -> Result<Self, ProtocolError> {
        let number = |text: &str| text.parse::<usize>().map_err(|_| ProtocolError::Malformed);
        let (headers, size) = (number(headers)?, number(size)?);
        if headers > size {
            return Err(ProtocolError::Malformed);
        }
        Ok(Self { subject: subject.to_owned(), reply: reply.map(str::to_owned), headers, size })
    }
}

/// Takes a message whose payload begins at `start`, once it is complete.
fn publish(
    announced: &PublishLine,
    start: usize,
    buffer: &mut BytesMut,
    max_payload: usize,
) -> Result<Option<Operation>, ProtocolError> {
    let PublishLine { subject, reply, headers, size } = announced;
    if *size > max_payload {
        return Err(ProtocolError::LargePayload);
    }
    let whole = start + size + 2;
    if buffer.len() < whole {
        buffer.reserve(whole - buffer.len());
        return Ok(None);
    }
    if &buffer[start + size..whole] != b"\r\n" {
        return Err(ProtocolError::Malformed);
    }
    buffer.advance(start);
    let bytes = buffer.split_to(*size).freeze();
    buffer.advance(2);
    let message = Message { subject: subject.clone(), reply: reply.clone(), headers: *headers, bytes };
    Ok(Some(Operation::Publish(message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 64;

    fn message(subject: &str, reply: Option<&str>, headers: usize, bytes: &'static str) -> Operation {
        Operation::Publish(Message {
            subject: subject.to_owned(),
            reply: reply.map(str::to_owned),
            headers,
            bytes: Bytes::from_static(bytes.as_bytes()),
        })
    }

    fn subscribed(subject: &str, group: Option<&str>, id: &str) -> Operation {
        let group = group.map(str::to_owned);
        Operation::Subscribe { subject: subject.to_owned(), group, id: id.to_owned() }
    }

    #[test]
    fn operations() {
        let rows = [
            ("PING\r\n", Operation::Ping),
            ("ping\n", Operation::Ping),
            ("PONG\r\n", Operation::Pong),
            ("CONNECT {\"a\": 1}\r\n", Operation::Connect(Bytes::from_static(b"{\"a\": 1}"))),
            ("SUB a 1\r\n", subscribed("a", None, "1")),
            ("sub\ta.* \t group  x9\r\n", subscribed("a.*", Some("group"), "x9")),
            ("UNSUB 1\r\n", Operation::Unsubscribe { id: "1".to_owned(), after: None }),
            ("UNSUB 1 5\r\n", Operation::Unsubscribe { id: "1".to_owned(), after: Some(5) }),
            ("PUB a 5\r\nhello\r\n", message("a", None, 0, "hello")),
            ("PUB a b 0\r\n\r\n", message("a", Some("b"), 0, "")),
            ("PUB a 4\r\na\r\nb\r\n", message("a", None, 0, "a\r\nb")),
            ("HPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", message("a", None, 12, "NATS/1.0\r\n\r\nhi")),
            ("HPUB a r 12 12\r\nNATS/1.0\r\n\r\n\r\n", message("a", Some("r"), 12, "NATS/1.0\r\n\r\n")),
        ];
        for (text, expected) in rows {
            let mut buffer = BytesMut::from(text);
            assert_eq!(take(&mut buffer, MAX), Ok(Some(expected)), "{text}");
            assert!(buffer.is_empty(), "{text}");
        }
    }

    #[test]
    fn protocol_violations() {
        let long = "PUB ".to_owned() + &"a".repeat(MAX_LINE);
        for (text, violation) in [
            ("HELLO\r\n", ProtocolError::Unknown),
            ("\r\n", ProtocolError::Unknown),
            ("PUB a\r\n", ProtocolError::Malformed),
            ("PUB a x\r\n", ProtocolError::Malformed),
            ("PUB a -1\r\n", ProtocolError::Malformed),
            ("PUB a 65\r\n", ProtocolError::LargePayload),
            ("PUB a 18446744073709551616\r\n", ProtocolError::Malformed),
            ("PUB a 2\r\nabcd", ProtocolError::Malformed),
            ("HPUB a 3 2\r\n", ProtocolError::Malformed),
            ("PUB a\rb 0\r\n\r\n", ProtocolError::Malformed),
            ("SUB a 1\r \r\n", ProtocolError::Malformed),
            ("SUB a\r\n", ProtocolError::Malformed),
            ("UNSUB\r\n", ProtocolError::Malformed),
            (&long, ProtocolError::LongLine),
        ] {
            assert_eq!(take(&mut BytesMut::from(text), MAX), Err(violation), "{text}");
        }
    }

    proptest! {
        #[test]
        fn chunk_boundaries_do_not_matter(at in 0_usize..60) {
            let text = "PUB a.b reply 11\r\nhello\r\nhell\r\nPING\r\nSUB a b c\r\n";
            let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
            for part in [&text[..at.min(text.len())], &text[at.min(text.len())..]] {
                buffer.extend_from_slice(part.as_bytes());
                while let Some(next) = take(&mut buffer, MAX).unwrap() {
                    found.push(next);
                }
            }
            let expected = [message("a.b", Some("reply"), 0, "hello\r\nhell"), Operation::Ping, subscribed("a", Some("b"), "c")];
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take(&mut buffer, MAX) {}
        }
    }
}
