//! The requests of `krt call`: JSON values, from the command line, a file or standard input.

use anyhow::Context as _;
use serde_json::{Deserializer, value::RawValue};
use std::{
    convert::Infallible,
    fs::File,
    io::{self, BufReader, Read},
    path::PathBuf,
    str::FromStr,
};
use tokio::sync::mpsc;

/// Where requests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The text itself.
    Text(String),
    /// `@file`
    File(PathBuf),
    /// `-`
    Stdin,
}

/// Requests as they come: each is JSON, though maybe not of the right message.
pub(super) type Requests = mpsc::Receiver<serde_json::Result<Box<RawValue>>>;

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
    /// Starts to read. A text is read to its end before the first request of it is given.
    pub(super) fn open(&self) -> anyhow::Result<Requests> {
        match self {
            Self::Text(text) => {
                let values = Deserializer::from_str(text).into_iter().collect::<Result<Vec<_>, _>>();
                Ok(feed(values.context("the request is not JSON")?.into_iter().map(Ok)))
            }
            Self::File(path) => {
                let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
                Ok(read(BufReader::new(file)))
            }
            Self::Stdin => Ok(read(BufReader::new(io::stdin()))),
        }
    }
}

fn read(reader: impl Read + Send + 'static) -> Requests {
    feed(Deserializer::from_reader(reader).into_iter())
}

/// Reads on a thread of its own: nothing interrupts a read, and the program may end in the midst of it.
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
    fn values_follow_one_another_in_any_layout() {
        let rows: [(&str, &[&str]); 4] = [
            ("", &[]),
            ("{\"a\":1}\n{\"a\":2}\n", &["{\"a\":1}", "{\"a\":2}"]),
            ("{ \"a\":\n 1 } {}", &["{ \"a\":\n 1 }", "{}"]),
            ("\n\n{}\n\n", &["{}"]),
        ];
        for (text, expected) in rows {
            let read = all(read(io::Cursor::new(text.to_owned())));
            assert_eq!(read, expected.iter().map(|value| Ok((*value).to_owned())).collect::<Vec<_>>());
            assert_eq!(all(Source::Text(text.to_owned()).open().unwrap()), read);
        }
    }

    #[test]
    fn what_is_not_json_ends_the_requests() {
        let requests = all(read(io::Cursor::new("{\"a\":1}\n{nope}\n{}")));
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].as_deref(), Ok("{\"a\":1}"));
        assert_eq!(requests[1].as_ref().unwrap_err(), "key must be a string at line 2 column 2");
        let refused = Source::Text("{} {nope}".to_owned()).open().unwrap_err();
        assert_eq!(refused.to_string(), "the request is not JSON");
    }
}
