//! The requests of `krt call`: JSON values from the command line, a file or standard input.

use crate::error::{Context as _, Result, error};
use krt_model::text::decode_json;
use serde_json::{Deserializer, value::RawValue};
use std::{
    convert::Infallible,
    fs::File,
    io::{self, BufReader, Cursor, Read},
    path::PathBuf,
    str::FromStr,
};
use tokio::sync::mpsc;

/// The source of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) enum Source {
    /// The JSON text itself.
    Text(String),
    /// `@file`
    File(PathBuf),
    /// `-`
    Stdin,
}

/// Requests in order of arrival. Each is valid JSON, but may not fit the message type.
pub(in crate::commands) type Requests = mpsc::Receiver<serde_json::Result<Box<RawValue>>>;

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text, text.strip_prefix('@')) {
            ("-" | "@-", _) => Self::Stdin,
            (_, Some(path)) => Self::File(path.into()),
            (text, None) => Self::Text(text.to_owned()),
        })
    }
}

impl Source {
    /// Starts to read. Validates a literal text as a whole before it yields the first request.
    pub(in crate::commands) fn open(&self) -> Result<Requests> {
        match self {
            Self::Text(text) => {
                let values = Deserializer::from_str(text).into_iter().collect::<Result<Vec<_>, _>>();
                Ok(feed(values.context("the request is not JSON")?.into_iter().map(Ok)))
            }
            Self::File(path) => {
                let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
                read(BufReader::new(file)).with_context(|| format!("cannot read `{}`", path.display()))
            }
            Self::Stdin => read(BufReader::new(io::stdin())).context("cannot read standard input"),
        }
    }
}

/// Streams UTF-8; reads other encodings to the end first. Two bytes suffice to tell them apart, since no
/// request is one byte of JSON.
fn read(mut reader: impl Read + Send + 'static) -> Result<Requests> {
    let mut start = Vec::new();
    reader.by_ref().take(2).read_to_end(&mut start)?;
    if matches!(start.as_slice(), [0 | 0xef | 0xfe | 0xff, ..] | [_, 0]) {
        reader.read_to_end(&mut start)?;
        let text = decode_json(&start).map_err(|problem| error!("{problem}"; hint: "save it as UTF-8"))?;
        return Ok(feed(Deserializer::from_reader(Cursor::new(text.into_bytes())).into_iter()));
    }
    Ok(feed(Deserializer::from_reader(Cursor::new(start).chain(reader)).into_iter()))
}

/// Reads on a separate thread: a read cannot be interrupted, and the program may exit during one.
fn feed(values: impl Iterator<Item = serde_json::Result<Box<RawValue>>> + Send + 'static) -> Requests {
    let (give, requests) = mpsc::channel(1);
    std::thread::spawn(move || {
        for value in values {
            let ended = value.is_err();
            if give.blocking_send(value).is_err() || ended {
                return;
            }
        }
    });
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        for (text, expected) in [
            ("{}", Source::Text("{}".to_owned())),
            ("", Source::Text(String::new())),
            ("@a/b.json", Source::File("a/b.json".into())),
            ("-", Source::Stdin),
            ("@-", Source::Stdin),
            ("-1", Source::Text("-1".to_owned())),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    fn all(mut requests: Requests) -> Vec<Result<String, String>> {
        let text = |request: Box<RawValue>| request.get().to_owned();
        let next = || requests.blocking_recv();
        std::iter::from_fn(next).map(|value| value.map(text).map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn values_can_follow_each_other_in_any_layout() {
        let rows: [(&str, &[&str]); 4] = [
            ("", &[]),
            ("{\"a\":1}\n{\"a\":2}\n", &["{\"a\":1}", "{\"a\":2}"]),
            ("{ \"a\":\n 1 } {}", &["{ \"a\":\n 1 }", "{}"]),
            ("\n\n{}\n\n", &["{}"]),
        ];
        for (text, expected) in rows {
            let read = all(read(Cursor::new(text.to_owned())).unwrap());
            assert_eq!(read, expected.iter().map(|value| Ok((*value).to_owned())).collect::<Vec<_>>());
            assert_eq!(all(Source::Text(text.to_owned()).open().unwrap()), read);
        }
    }

    #[test]
    fn json_in_other_encodings() {
        let text = "{\"a\":\"ä\"} {}";
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let marked = format!("\u{feff}{text}");
        for bytes in [text.into(), marked.clone().into_bytes(), utf16(text), utf16(&marked)] {
            let read = all(read(Cursor::new(bytes)).unwrap());
            assert_eq!(read, [Ok("{\"a\":\"ä\"}".to_owned()), Ok("{}".to_owned())]);
        }
        let refused = read(Cursor::new(b"\xff\xfe{\0\n".to_vec())).unwrap_err().line();
        assert!(refused.contains("line 1") && refused.contains("; hint: "), "{refused}");
        let latin = all(read(Cursor::new(b"{\"a\":\n\"\xe4\"}".to_vec())).unwrap());
        assert!(latin[0].as_ref().unwrap_err().contains("line 2"), "{latin:?}");
    }

    #[test]
    fn invalid_json_ends_the_requests() {
        let requests = all(read(Cursor::new("{\"a\":1}\n{nope}\n{}")).unwrap());
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].as_deref(), Ok("{\"a\":1}"));
        assert_eq!(requests[1].as_ref().unwrap_err(), "key must be a string at line 2 column 2");
        let refused = Source::Text("{} {nope}".to_owned()).open().unwrap_err();
        assert_eq!(refused.to_string(), "the request is not JSON");
    }
}
