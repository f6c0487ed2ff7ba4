//! The reader of what clients of the NATS server send, for `fuzz/targets/nats.rs`. It exists with `--cfg fuzzing` only.

use super::{
    operation::{self, Message, Operation},
    subject,
};
use bytes::BytesMut;

/// What was read from a client.
#[derive(Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Each operation, written in the shortest form that a client may send.
    pub operations: Vec<Vec<u8>>,
    /// Why the connection ends, if it does.
    pub violation: Option<String>,
}

/// Reads what a client sends, `piece` bytes at a time.
pub fn read(bytes: &[u8], piece: usize, max_payload: usize) -> Conversation {
    let (mut buffer, mut operations) = (BytesMut::new(), Vec::new());
    for came in bytes.chunks(piece) {
        buffer.extend_from_slice(came);
        loop {
            match operation::take(&mut buffer, max_payload) {
                Ok(Some(operation)) => operations.push(write(&operation)),
                Ok(None) => break,
                Err(violation) => return Conversation { operations, violation: Some(violation.to_string()) },
            }
        }
    }
    Conversation { operations, violation: None }
}

/// Whether a pattern covers a subject; none where either is not valid.
pub fn matches(pattern: &str, subject: &str) -> Option<bool> {
    let valid = subject::is_valid(pattern) && subject::is_valid(subject) && subject::is_literal(subject);
    valid.then(|| subject::matches(pattern, subject))
}

fn write(operation: &Operation) -> Vec<u8> {
    match operation {
        Operation::Connect(said) => [b"CONNECT ", &said[..], b"\r\n"].concat(),
        Operation::Ping => b"PING\r\n".to_vec(),
        Operation::Pong => b"PONG\r\n".to_vec(),
        Operation::Publish(message) => publish(message),
        Operation::Subscribe { subject, group, id } => {
            let group = group.as_ref().map_or(String::new(), |group| format!("{group} "));
            format!("SUB {subject} {group}{id}\r\n").into_bytes()
        }
        Operation::Unsubscribe { id, after } => {
            let after = after.map_or(String::new(), |after| format!(" {after}"));
            format!("UNSUB {id}{after}\r\n").into_bytes()
        }
    }
}

fn publish(Message { subject, reply, headers, bytes }: &Message) -> Vec<u8> {
    let reply = reply.as_ref().map_or(String::new(), |reply| format!("{reply} "));
    let line = match headers {
        0 => format!("PUB {subject} {reply}{}\r\n", bytes.len()),
        headers => format!("HPUB {subject} {reply}{headers} {}\r\n", bytes.len()),
    };
    [line.as_bytes(), bytes, b"\r\n"].concat()
}
