//! An engine that replays a recording and compares the worker's frames.

use super::{Conversation, nodes};
use crate::worker;
use bson::Bson;
use prost::Message as _;
use serde_json::{Map, Value, json};
use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

type Fields = Map<String, Value>;

const FROM_ENGINE: [&str; 8] = ["HELLO", "DELIVER", "CANCEL", "DONE", "DOCUMENT", "FAILED", "STOP", "CREDIT"];
const FROM_WORKER: [&str; 9] =
    ["READY", "BROKEN", "RESULT", "EARLY_REPLY", "LOG", "MEASUREMENT", "SAVE", "FIND", "MESSAGE"];
const STATUSES: [&str; 5] = ["answer", "none", "error", "cancelled", "too_large"];
const LEVELS: [&str; 5] = ["debug", "info", "warn", "error", "plain"];

/// After this long without a frame, the worker will send no more.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn play(conversation: &Conversation, hello: &Fields) -> Result<(), String> {
    let (mut engine, socket) = UnixStream::pair().unwrap();
    engine.set_read_timeout(Some(TIMEOUT)).unwrap();
    let node = nodes::node(conversation.init.as_deref(), &conversation.handler)?;
    let worker = thread::spawn(move || worker::serve(socket, node));
    engine.write_all(&frame(1, 0, &serde_json::to_vec(hello).unwrap())).unwrap();
    for (number, entry) in conversation.frames.iter().enumerate() {
        let step = match entry.get("worker") {
            Some(_) => receive(&mut engine).and_then(|found| compare(entry, &found)),
            None => send(&mut engine, entry),
        };
        step.map_err(|why| format!("frame {number}: {why}"))?;
    }
    let mut rest = Vec::new();
    if !conversation.frames.iter().any(|entry| entry.get("engine") == Some(&json!("LEAVE"))) {
        engine.read_to_end(&mut rest).map_err(|error| format!("the end: {error}"))?;
    }
    let ending = worker.join().map_err(|_| "the worker panicked".to_owned())?;
    let words = ending.message.unwrap_or_default();
    if !rest.is_empty() {
        return Err(format!("it says more: {rest:?}"));
    }
    if ending.status != conversation.exit || !words.contains(conversation.stderr.as_deref().unwrap_or("")) {
        return Err(format!("it ended with {} and {words:?}", ending.status));
    }
    Ok(())
}

fn frame(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 5).unwrap();
    [&size.to_le_bytes()[..], &[kind], &id.to_le_bytes(), body].concat()
}

fn send(engine: &mut UnixStream, entry: &Fields) -> Result<(), String> {
    if let Some(raw) = entry.get("raw") {
        return engine.write_all(&unhex(raw)).map_err(|error| error.to_string());
    }
    let name = text(entry, "engine");
    if name == "LEAVE" {
        return engine.shutdown(std::net::Shutdown::Both).map_err(|error| error.to_string());
    }
    let kind = FROM_ENGINE.iter().position(|known| *known == name).ok_or("no such frame")? + 1;
    let body = match (entry.get("body"), name) {
        (Some(body), _) => unhex(body),
        (_, "DELIVER") => deliver(entry),
        (_, "DOCUMENT") => entry["document"].to_string().into_bytes(),
        (_, "FAILED") => text(entry, "text").as_bytes().to_vec(),
        _ => Vec::new(),
    };
    let kind = u8::try_from(kind).unwrap();
    engine.write_all(&frame(kind, number(entry, "id"), &body)).map_err(|error| error.to_string())
}

fn deliver(entry: &Fields) -> Vec<u8> {
    let request = entry.get("request").and_then(Value::as_str).unwrap_or("request");
    let metadata = entry.get("metadata").map(Value::to_string).unwrap_or_default();
    let workflow = u16::try_from(number(entry, "workflow")).unwrap().to_le_bytes();
    let flags = u8::try_from(number(entry, "flags")).unwrap();
    let sizes = [u8::try_from(request.len()).unwrap()];
    let size = u16::try_from(metadata.len()).unwrap().to_le_bytes();
    [&[flags][..], &workflow, &sizes, &size, request.as_bytes(), metadata.as_bytes(), &message(entry)]
        .concat()
}

/// The encoded Any, or the plain data, of an entry.
fn message(entry: &Fields) -> Vec<u8> {
    if let Some(plain) = entry.get("json") {
        return plain.to_string().into_bytes();
    }
    let (kind, value) = match entry.get("any") {
        Some(any) => (any["type"].as_str().unwrap().to_owned(), unhex(&any["value"])),
        None => ("google.protobuf.StringValue".to_owned(), text(entry, "message").to_owned().encode_to_vec()),
    };
    prost_types::Any { type_url: format!("type.googleapis.com/{kind}"), value }.encode_to_vec()
}

fn receive(engine: &mut UnixStream) -> Result<(u8, u32, Vec<u8>), String> {
    let mut head = [0; 9];
    engine.read_exact(&mut head).map_err(|error| format!("the worker says nothing: {error}"))?;
    let mut body = vec![0; u32::from_le_bytes(head[..4].try_into().unwrap()) as usize - 5];
    engine.read_exact(&mut body).map_err(|error| error.to_string())?;
    Ok((head[4], u32::from_le_bytes(head[5..].try_into().unwrap()), body))
}

fn compare(entry: &Fields, (kind, id, body): &(u8, u32, Vec<u8>)) -> Result<(), String> {
    let name = FROM_WORKER.get(usize::from(*kind) - 64).copied().unwrap_or("?");
    let long = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().unwrap());
    let mut found = json!({"worker": name, "id": id});
    let mut rest: &[u8] = &[];
    match name {
        "READY" | "MEASUREMENT" | "SAVE" | "FIND" => {
            let fields: Fields = serde_json::from_slice(body).map_err(|error| error.to_string())?;
            found.as_object_mut().unwrap().extend(fields);
        }
        "RESULT" => {
            found["status"] = STATUSES[usize::from(body[0])].into();
            found["early_exit"] = (body[1] & 1 != 0).into();
            found["whole"] = (body[1] & 2 != 0).into();
            rest = &body[18..];
            if long(2) == 0 || long(10) < long(2) {
                return Err("its times cannot be".to_owned());
            }
        }
        "LOG" => {
            found["level"] = LEVELS[usize::from(body[0])].into();
            rest = &body[9..];
        }
        _ => rest = body,
    }
    found["text"] = String::from_utf8_lossy(rest).into();
    if found["status"] == "too_large" {
        found["size"] = u64::from_le_bytes(rest.try_into().unwrap()).into();
    }
    for (key, wanted) in entry {
        let same = match key.as_str() {
            "contains" => {
                let text = found["text"].as_str().unwrap();
                wanted.as_array().unwrap().iter().all(|part| text.contains(part.as_str().unwrap()))
            }
            "message" | "any" => {
                let packed =
                    |bytes: &[u8]| prost_types::Any::decode(bytes).map_err(|error| error.to_string());
                packed(&message(entry))? == packed(rest)?
            }
            "json" => serde_json::from_slice::<Value>(rest).map_err(|error| error.to_string())? == *wanted,
            // Extended JSON writes one date in several ways.
            "document" => Bson::try_from(found[key].clone()).ok() == Bson::try_from(wanted.clone()).ok(),
            key => found.get(key) == Some(wanted),
        };
        if !same {
            return Err(format!("{key} is not {wanted}: {found}"));
        }
    }
    Ok(())
}

fn text<'a>(entry: &'a Fields, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(entry: &Fields, key: &str) -> u32 {
    u32::try_from(entry.get(key).and_then(Value::as_u64).unwrap_or(0)).unwrap()
}

fn unhex(digits: &Value) -> Vec<u8> {
    let digits = digits.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}
