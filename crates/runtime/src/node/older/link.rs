//! One process of an older runner, as its node's queue sees it.

use super::{
    message::{Recipient, RequestState, RunnerMessage, interpret},
    wire::{Purpose, Subjects, Wire, to_process},
};
use crate::{
    envelopes,
    flow::{
        Accepted, Delivery, DeliveryEnd, HandlerTimes, Request, SlotId, StageIndex, Worker, no_memory, now,
    },
    memory::Full,
    node::{
        Node,
        process::ProcessEnd,
        window::{Subject, Unanswered, Window},
    },
    save_request,
};
use bytes::Bytes;
use krt_broker::{Compression, Envelope, Received, Sender, envelope};
use krt_model::{
    message::{Timestamp, Tracking},
    name::Name,
    outcome::{Failure, HandlerResult},
    request::Saved,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

/// Bytes of an envelope besides its message.
const ENVELOPE_OVERHEAD: usize = 1 << 20;

/// How long after an answer the output of a process still belongs to its request.
const OUTPUT_GRACE: Duration = Duration::from_millis(50);

/// One process.
#[derive(Debug)]
pub(in crate::node) struct OlderLink {
    node: Arc<Node>,
    place: StageIndex,
    subjects: Subjects,
    sender: Sender,
    /// The largest message to the process, in bytes.
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    window: Window,
    /// The process's requests by id: the number in the window, and the start.
    ids: HashMap<Arc<str>, (u32, Timestamp)>,
    slot: Option<SlotId>,
    stopping: bool,
    gone: bool,
    answered: u64,
    /// The last answered delivery, and when.
    last: Option<(u32, Instant)>,
}

impl State {
    /// Returns the number and start of one of the process's requests; without an id, of the oldest.
    fn find(&self, id: Option<&str>) -> Option<(Arc<str>, u32, Timestamp)> {
        let (id, &(number, begun)) = match id {
            Some(id) => self.ids.get_key_value(id)?,
            None => self.ids.iter().min_by_key(|(_, (_, begun))| *begun)?,
        };
        Some((Arc::clone(id), number, begun))
    }
}

impl OlderLink {
    pub(super) fn new(node: Arc<Node>, place: StageIndex, wire: &Wire) -> Self {
        let state = State {
            window: Window::new(usize::from(node.run.concurrency)),
            ids: HashMap::new(),
            slot: None,
            stopping: false,
            gone: false,
            answered: 0,
            last: None,
        };
        let (subjects, sender, limit) = (wire.subjects().clone(), wire.sender().clone(), wire.limit());
        Self { node, place, subjects, sender, limit, state: Mutex::new(state) }
    }

    /// The workflow of the process.
    pub(super) fn workflow(&self) -> &Name {
        &self.node.package.version.workflows[self.place.0].name
    }

    /// Returns the only request in flight, or the one just answered, as a process's output may follow its
    /// answer.
    pub(super) fn subject(&self) -> Option<Subject> {
        let state = self.lock();
        let mut numbers = state.ids.values();
        let number = match (numbers.next(), numbers.next()) {
            (Some((number, _)), None) => Some(*number),
            (None, _) => state.last.filter(|(_, at)| at.elapsed() < OUTPUT_GRACE).map(|(number, _)| number),
            _ => None,
        };
        state.window.subject(number?)
    }

    /// Returns the number of deliveries that the process has answered.
    pub(in crate::node) fn answered(&self) -> u64 {
        self.lock().answered
    }

    /// Returns whether the process has answered all its deliveries.
    pub(in crate::node) fn is_idle(&self) -> bool {
        self.lock().window.is_empty()
    }

    /// Takes no more deliveries. The process ends once it has finished its own.
    pub(in crate::node) fn stop(&self) {
        self.lock().stopping = true;
        self.leave();
    }

    /// Returns whether the process should end now.
    pub(super) fn is_done(&self) -> bool {
        let state = self.lock();
        state.stopping && state.window.is_empty()
    }

    /// Takes deliveries while the process takes messages, as `taken` says. Returns `taken`.
    pub(super) fn set_accepting(self: &Arc<Self>, taken: bool) -> bool {
        let state = self.lock();
        let may_join = taken && !state.stopping && !state.gone;
        match (may_join, state.slot.is_some()) {
            (true, false) => {
                let slot = OnceLock::new();
                drop(state);
                let room = usize::from(self.node.run.concurrency);
                // Deliveries may arrive before the slot is stored, but not answers: this task reads them.
                self.node.queue().join(Arc::clone(self) as _, room, &slot);
                self.lock().slot = slot.get().copied();
            }
            (false, true) => {
                drop(state);
                self.leave();
                self.node.flow.clear(self.node.index);
            }
            _ => {}
        }
        taken
    }

    /// Takes no more deliveries.
    pub(in crate::node) fn leave(&self) {
        let slot = self.lock().slot.take();
        if let Some(slot) = slot {
            self.node.queue().leave(slot);
        }
    }

    /// Handles the process's end: settles its deliveries, and fails those that have no other process.
    pub(in crate::node) fn abandon(&self, how: &ProcessEnd) {
        self.leave();
        let mut state = self.lock();
        state.gone = true;
        state.ids.clear();
        let unanswered = state.window.drain();
        drop(state);
        let end = now();
        for Unanswered { delivery, in_flight, .. } in unanswered {
            let result = if in_flight { how.result() } else { HandlerResult::Untouched };
            self.node.flow.finish(delivery, result, HandlerTimes { start: end, end });
        }
        self.node.flow.clear(self.node.index);
    }

    /// Gives up deliveries past the node's timeout. Returns whether the process must be killed, because it
    /// keeps working on one that was given up.
    pub(super) fn give_up_overdue(&self) -> bool {
        let now = tokio::time::Instant::now();
        let mut state = self.lock();
        let stuck = state.window.is_stuck(now);
        let Some(timeout) = self.node.run.timeout else { return stuck };
        let overdue = state.window.overdue(now, timeout);
        drop(state);
        let end = crate::flow::now();
        for (_, delivery) in overdue {
            self.node.flow.finish(delivery, HandlerResult::TimedOut, HandlerTimes { start: end, end });
        }
        stuck
    }

    /// Acts on a message of the process.
    pub(super) fn handle_message(&self, received: Received) {
        match self.subjects.purpose(&received.subject) {
            Some(Purpose::Document) => self.save(received.body, received.reply),
            Some(Purpose::Answer { to, request }) => self.answer(to, request, received.body),
            // For example, a JetStream client's request to its server.
            None => {}
        }
    }

    fn answer(&self, to: Recipient, request: Option<&str>, body: Bytes) {
        let memory = self.node.flow.reserve();
        let envelope =
            envelopes::read(body, self.node.hello.max_message.saturating_add(ENVELOPE_OVERHEAD), memory);
        let named = envelope.as_ref().ok().map(|envelope| envelope.tracking_id.clone());
        let id = request.map(str::to_owned).or_else(|| named.filter(|id| !id.is_empty()));
        let Some((id, number, begun)) = self.lock().find(id.as_deref()) else {
            return self.late(id.as_deref(), envelope.ok());
        };
        let message = match envelope {
            Ok(envelope) => self.interpret(envelope, to, number),
            Err(envelopes::Error::Full(full)) => {
                let result = HandlerResult::NoMemory { limit: full.limit };
                return self.finish(&id, number, result, HandlerTimes { start: begun, end: now() });
            }
            Err(error) => RunnerMessage::Error(format!("its answer cannot be read: {error}")),
        };
        match message {
            RunnerMessage::EarlyReply(payload) => {
                if let Ok(Some(delivery)) = self.lock().window.get(number) {
                    self.node.flow.reply_early(delivery, Ok(payload));
                }
                // The last node sends nothing more.
                if self.is_last() {
                    let result = HandlerResult::Nothing { early_exit: false };
                    self.finish(&id, number, result, HandlerTimes { start: begun, end: now() });
                }
            }
            RunnerMessage::Message { payload, early_exit, stage } => {
                let handled = handled(stage.as_ref(), begun);
                self.finish(&id, number, HandlerResult::Message { payload, early_exit }, handled);
            }
            RunnerMessage::Nothing => {
                let result = HandlerResult::Nothing { early_exit: false };
                self.finish(&id, number, result, HandlerTimes { start: begun, end: now() });
            }
            RunnerMessage::Error(text) => {
                let handled = HandlerTimes { start: begun, end: now() };
                self.finish(&id, number, HandlerResult::Error(text), handled);
            }
        }
    }

    fn interpret(&self, envelope: Envelope, to: Recipient, number: u32) -> RunnerMessage {
        let state = self.lock();
        let delivery = state.window.get(number).ok().flatten();
        let replied = delivery.is_some_and(|delivery| delivery.request.replied());
        drop(state);
        interpret(envelope, to, RequestState { node: self.node.name.as_str(), last: self.is_last(), replied })
    }

    fn is_last(&self) -> bool {
        let (workflow, position) = self.place;
        position + 1 == self.node.package.version.workflows[workflow].sequence.len()
    }

    fn finish(&self, id: &str, number: u32, result: HandlerResult, handled: HandlerTimes) {
        let mut state = self.lock();
        state.ids.remove(id);
        state.answered += 1;
        state.last = Some((number, Instant::now()));
        let (delivery, slot) = (state.window.answered(number), state.slot);
        drop(state);
        if let Some(slot) = slot {
            self.node.queue().freed(slot);
        }
        if let Ok(Some(delivery)) = delivery {
            self.node.flow.finish(delivery, result, handled);
        }
    }

    /// Handles a message about a request that the process does not have: the request is answered, or its
    /// client has left.
    fn late(&self, id: Option<&str>, envelope: Option<Envelope>) {
        self.node.flow.metrics().late.inc();
        if let Some(error) = envelope.map(|envelope| envelope.error).filter(|error| !error.is_empty()) {
            tracing::error!(node = %self.node.name, request = id, "it failed after its answer: {error}");
        }
    }

    /// Saves a document, and reports to the process.
    fn save(&self, body: Bytes, reply: Option<String>) {
        let (node, sender) = (Arc::clone(&self.node), self.sender.clone());
        let limit = node.hello.max_message.saturating_add(ENVELOPE_OVERHEAD);
        let saving = self.subject().and_then(|subject| subject.saving());
        let logs = node.logs.clone();
        tokio::spawn(logs.around(async move {
            let saved = save_request::save(&node.documents, body, limit).await;
            let success = saved.is_ok();
            match (saved, saving) {
                (Ok((collection, id)), Some(saving)) => {
                    saving.saved(Saved { node: node.name.clone(), collection, id });
                }
                (Ok(_), None) => {}
                (Err(error), _) => tracing::error!(node = %node.name, "a document is not saved: {error}"),
            }
            if let Some(reply) = reply {
                sender.send(to_process(&reply, None, save_request::answer(success).into()), None);
            }
        }));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn envelope(&self, delivery: &Delivery) -> Result<Bytes, Full> {
        let request = &delivery.request;
        let envelope = Envelope {
            tracking_id: request.id.to_string(),
            tracking: delivery.tracking.iter().map(passed).collect(),
            reply: self.subjects.reply(&request.id),
            payload: Some(delivery.payload.clone()),
            // Marked as replied, the last node would send nothing, which would hide the end of its handler.
            // Its result is dropped here instead.
            replied: request.replied() && !self.is_last(),
            ..Envelope::default()
        };
        envelopes::write(&envelope, Compression::Gzip, self.limit, request.reserve())
    }
}

impl Worker for OlderLink {
    fn place(&self) -> Option<StageIndex> {
        Some(self.place)
    }

    fn deliver(&self, delivery: Delivery) -> Result<Accepted, Delivery> {
        let body = match self.envelope(&delivery) {
            Ok(body) => body,
            Err(full) => {
                self.node.flow.fail(delivery, no_memory(full));
                return Ok(Accepted::Done);
            }
        };
        if body.len() > self.limit {
            let sender = delivery.tracking.last().map_or(Tracking::ENTRYPOINT, Tracking::name).to_owned();
            let failure = Failure::TooLargeToSend { sender, size: body.len(), limit: self.limit };
            self.node.flow.fail(delivery, failure);
            return Ok(Accepted::Done);
        }
        let id = Arc::clone(&delivery.request.id);
        // The core NATS entrypoint gets its answer as the reply to its own message.
        let reply = if delivery.position == 0 { self.subjects.inbox(&id) } else { None };
        let mut state = self.lock();
        if state.gone || state.stopping {
            return Err(delivery);
        }
        if delivery.request.left() {
            drop(state);
            delivery.close(DeliveryEnd::Done);
            return Ok(Accepted::Done);
        }
        let number = state.window.next_id();
        state.ids.insert(id, (number, now()));
        state.window.push(delivery);
        self.sender.send(to_process(&self.subjects.input, reply, body), None);
        Ok(Accepted::InFlight)
    }

    fn cancel(&self, request: &Request) {
        // The process continues: its protocol has no cancellation.
        let cancelled = self.lock().window.cancel(request);
        if let Some((_, mut delivery)) = cancelled {
            delivery.note_cancelled(&self.node.name);
            delivery.close(DeliveryEnd::Done);
        }
    }
}

fn passed(tracking: &Tracking) -> envelope::Stage {
    envelope::Stage {
        node_name: tracking.name().to_owned(),
        start: Some(tracking.start),
        end: Some(tracking.end),
    }
}

/// Returns the times of the handler, as its process reports them.
fn handled(stage: Option<&envelope::Stage>, begun: Timestamp) -> HandlerTimes {
    let start = stage.and_then(|stage| stage.start).unwrap_or(begun);
    HandlerTimes { start, end: stage.and_then(|stage| stage.end).unwrap_or_else(now) }
}
