//! The server's reports that a message between nodes has no receiver. Core NATS only.

use std::fmt;

/// A message between nodes that had no receiver, encoded in the subject of the inbox for the server's report.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoResponders<'a> {
    pub(super) replied: bool,
    pub(super) workflow: usize,
    pub(super) position: usize,
    pub(super) request: &'a str,
    pub(super) reply: &'a str,
}

impl fmt::Display for NoResponders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replied, workflow, position, request, reply } = self;
        // Another runner's id may contain anything.
        let plain =
            !request.is_empty() && request.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let request = if plain { request } else { "-" };
        write!(f, "{}.{workflow}.{position}.{request}.{reply}", u8::from(*replied))
    }
}

impl<'a> NoResponders<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(5, '.');
        Some(Self {
            replied: parts.next()? == "1",
            workflow: parts.next()?.parse().ok()?,
            position: parts.next()?.parse().ok()?,
            request: parts.next()?,
            reply: parts.next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_identify_messages_without_responders() {
        let about =
            NoResponders { replied: true, workflow: 2, position: 1, request: "0-a", reply: "_INBOX.x.y" };
        assert_eq!(NoResponders::parse(&about.to_string()), Some(about));
        let strange = NoResponders { replied: false, workflow: 0, position: 3, request: "a b.c", reply: "r" };
        assert_eq!(strange.to_string(), "0.0.3.-.r");
        assert_eq!(NoResponders::parse("1.2"), None);
    }
}
