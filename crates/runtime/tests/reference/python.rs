//! The reference: a Python process, queried line by line.

use crate::same::same;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use krt_runtime::json::{self, Bounds, Format};
use krt_servers::skipped;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

pub(crate) struct Python {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    pool: DescriptorPool,
}

/// The types of both sides.
pub(crate) fn pool() -> DescriptorPool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let files = protox::compile(["all.proto", "old.proto"], [folder]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

impl Python {
    /// Starts the process, if `make` has installed a Python with protobuf.
    pub(crate) fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = root.join("target/tools/bin/python");
        if !python.exists() {
            skipped("the reference of JSON", "the Python of `make target/tools/ready`");
            return None;
        }
        let script = root.join("crates/runtime/tests/reference/reference.py");
        let mut child =
            Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let pool = pool();
        writeln!(to, "{}", STANDARD.encode(pool.encode_to_vec())).unwrap();
        Some(Self { child, to, from, pool })
    }

    pub(crate) fn kind(&self, name: &str) -> MessageDescriptor {
        self.pool.get_message_by_name(name).unwrap()
    }

    /// Parses a text; returns the message with its fields in a fixed order.
    pub(crate) fn parse(&mut self, name: &str, text: &[u8]) -> Result<Vec<u8>, String> {
        self.ask("parse", name, text).map(|bytes| STANDARD.decode(bytes).unwrap())
    }

    /// Encodes a message with its fields in that order.
    pub(crate) fn encode(&mut self, name: &str, message: &[u8]) -> Result<Vec<u8>, String> {
        self.ask("encode", name, message).map(|bytes| STANDARD.decode(bytes).unwrap())
    }

    /// Writes a message as JSON.
    pub(crate) fn write(&mut self, name: &str, message: &[u8]) -> Result<String, String> {
        self.ask("write", name, message)
    }

    /// Parses a text on both sides, which must agree; returns the message if it is valid.
    pub(crate) fn check_parse(&mut self, name: &str, text: &[u8]) -> Option<Vec<u8>> {
        let shown = String::from_utf8_lossy(text).into_owned();
        let ours = json::parse(&self.kind(name), text, Bounds::none());
        let theirs = self.parse(name, text);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                let again = self.encode(name, &ours).unwrap();
                assert_eq!(STANDARD.encode(&again), STANDARD.encode(&theirs), "{name}: {shown}");
                Some(ours.to_vec())
            }
            (Err(_), Err(_)) => None,
            (Ok(_), Err(error)) => panic!("{name}: Python refuses {shown}: {error}"),
            (Err(error), Ok(_)) => panic!("{name}: only Python takes {shown}: {error:?}"),
        }
    }

    /// Formats a message on both sides, for clients and for handlers; the texts must be equivalent.
    pub(crate) fn check_write(&mut self, name: &str, message: &[u8]) {
        // Python quotes some 64-bit numbers of plain data, and the names are compared separately.
        let named = Format { bare_longs: false, exact: false, ..Format::PLAIN };
        for (what, form) in [("write", Format::WIRE), ("plain", named)] {
            let ours = json::write(&self.kind(name), message, form, Bounds::none());
            let theirs = self.ask(what, name, message);
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => {
                    let value: Value = serde_json::from_slice(&ours).unwrap();
                    let expected: Value = serde_json::from_str(&theirs).unwrap();
                    assert!(same(&value, &expected), "{name}: {value}\nis not\n{expected}");
                }
                (Err(_), Err(_)) => {}
                (ours, theirs) => panic!("{name}, {}: {ours:?}, {theirs:?}", STANDARD.encode(message)),
            }
        }
    }

    fn ask(&mut self, what: &str, name: &str, data: &[u8]) -> Result<String, String> {
        let task = json!({ "do": what, "type": name, "data": STANDARD.encode(data) });
        writeln!(self.to, "{task}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let done: Value = serde_json::from_str(&line).unwrap();
        match done["ok"].as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(done["error"].as_str().unwrap().to_owned()),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
