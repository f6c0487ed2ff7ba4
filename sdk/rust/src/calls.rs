//! Calls to the store that wait for their answers.

use crate::{
    context::Scope,
    frame::{self, Frame, FromEngine, ProtocolError, WorkerFrame},
    link::lock,
};
use bytes::Bytes;
use std::{collections::HashMap, sync::Mutex};
use tokio::sync::oneshot;

/// The result of a FIND, or why a call failed.
type Answer = Result<Vec<Bytes>, String>;

/// The calls in flight.
#[derive(Default)]
pub(crate) struct Calls(Mutex<State>);

#[derive(Default)]
struct State {
    made: u32,
    gone: bool,
    waiting: HashMap<u32, Waiting>,
}

struct Waiting {
    documents: Vec<Bytes>,
    done: oneshot::Sender<Answer>,
}

const GONE: &str = "the engine is gone";

impl Calls {
    /// The id of a new call, and the receiver of its answer.
    fn open(&self) -> Result<(u32, oneshot::Receiver<Answer>), String> {
        let mut state = lock(&self.0);
        if state.gone {
            return Err(GONE.to_owned());
        }
        state.made = state.made.checked_add(1).unwrap_or(1);
        let (done, answer) = oneshot::channel();
        let number = state.made;
        state.waiting.insert(number, Waiting { documents: Vec::new(), done });
        Ok((number, answer))
    }

    /// Takes a frame that belongs to a call.
    pub(crate) fn take(&self, from: &Frame) -> Result<(), ProtocolError> {
        let mut state = lock(&self.0);
        let Some(waiting) = state.waiting.get_mut(&from.id) else {
            return Err(ProtocolError(format!("no call {} waits for an answer", from.id)));
        };
        if from.kind == FromEngine::Document {
            waiting.documents.push(from.body.clone());
            return Ok(());
        }
        let ended = state.waiting.remove(&from.id).map(|waiting| match from.kind {
            FromEngine::Failed => (waiting.done, Err(String::from_utf8_lossy(&from.body).into_owned())),
            _ => (waiting.done, Ok(waiting.documents)),
        });
        if let Some((done, answer)) = ended {
            // The caller may have been dropped.
            let _ = done.send(answer);
        }
        Ok(())
    }

    /// Fails all calls, because the engine is gone.
    pub(crate) fn abandon(&self) {
        let mut state = lock(&self.0);
        state.gone = true;
        state.waiting.clear();
    }
}

impl Scope {
    /// Makes a call on a collection, with an encoded value in the field `name` of the frame's JSON.
    pub(crate) async fn call(
        &self,
        kind: WorkerFrame,
        limit: usize,
        collection: &str,
        (name, body): (&str, &str),
    ) -> Answer {
        let collection = serde_json::Value::from(collection);
        let delivery = self.number();
        let text = format!(r#"{{"delivery":{delivery},"collection":{collection},"{name}":{body}}}"#);
        let limit = limit.min(self.process.hello.max_frame) - frame::COUNTED;
        if text.len() > limit {
            return Err(format!("it has {} bytes, more than the limit of {limit} bytes", text.len()));
        }
        let (number, answer) = self.process.calls.open()?;
        self.process.link.send(&frame::frame(kind, number, &[text.as_bytes()]));
        answer.await.unwrap_or_else(|_| Err(GONE.to_owned()))
    }
}
