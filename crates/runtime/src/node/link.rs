//! The engine's end of the socket to one host.
//!
//! Whoever posts a delivery leaves its frame in the outbox and wakes the link's task, which writes all
//! that has gathered by one call, reads the host's frames, and acts on them.

use super::{
    Node,
    effects::{self, Calls},
    frame::{self, Breach, FromHost, Level, Message, Outbox, Status},
    output::Gather,
    plain::{Misfit, Plain},
    window::{self, Unanswered, Window},
};
use crate::{
    errors::chain,
    flow::{Delivery, Handled, Host, Request, SeatId, Serialised, Taken, now},
    logs::Record,
    traces::{Stage, Trace},
};
use bytes::{Bytes, BytesMut};
use krt_model::{
    message::Payload,
    outcome::{Failure, HandlerResult},
    version::PayloadForm,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncReadExt,
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::{Notify, oneshot},
    time::MissedTickBehavior,
};

/// How many deliveries the only process of a node is sent ahead.
const AHEAD: usize = 8;
/// Bytes read at a time.
const READ: usize = 64 << 10;
/// How often deliveries in work are looked at.
const TICK: Duration = Duration::from_millis(50);
/// Bytes that may wait to be written before documents of a FIND are held back.
const OUTBOX_FULL: usize = 1 << 20;

/// One host, seen from the desk.
#[derive(Debug)]
pub(super) struct Link {
    node: Arc<Node>,
    socket: OwnedWriteHalf,
    state: Mutex<State>,
    seat: OnceLock<SeatId>,
    /// There is something in the outbox.
    filled: Notify,
    /// The outbox has shrunk.
    shrunk: Notify,
}

#[derive(Debug)]
struct State {
    window: Window,
    outbox: Outbox,
    open: bool,
    answered: u64,
}

/// Why a link ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The host closed its end.
    Closed,
    /// The host could not start: its words.
    Broken(String),
    /// The host broke the protocol.
    Breach(Breach),
    /// The host went on with work that nobody waits for.
    Stuck,
}

/// What becomes known to whoever starts a host: that `init` has ended.
pub(super) type Readiness = oneshot::Sender<frame::Ready>;

impl Link {
    pub(super) fn new(node: Arc<Node>, socket: OwnedWriteHalf) -> Self {
        let window = Window::new(usize::from(node.run.concurrency));
        let state = State { window, outbox: Outbox::default(), open: true, answered: 0 };
        Self {
            node,
            socket,
            state: Mutex::new(state),
            seat: OnceLock::new(),
            filled: Notify::new(),
            shrunk: Notify::new(),
        }
    }

    /// Says hello.
    pub(super) fn greet(&self) {
        self.send(|outbox| outbox.hello(&self.node.hello));
    }

    /// Takes no more deliveries and asks the host to finish those it has.
    pub(super) fn stop(&self) {
        self.leave();
        self.send(Outbox::stop);
    }

    /// Takes no more deliveries.
    pub(super) fn leave(&self) {
        self.lock().open = false;
        if let Some(&seat) = self.seat.get() {
            self.node.desk().leave(seat);
        }
    }

    /// Whether the host has answered all that it was given.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().window.is_empty()
    }

    /// The node that the host is of.
    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// How many deliveries the host has answered.
    pub(super) fn answered(&self) -> u64 {
        self.lock().answered
    }

    /// The host is gone: what it had is judged, and what waits for nobody else is answered.
    pub(super) fn abandon(&self, how: &str) {
        self.leave();
        let unanswered = self.lock().window.drain();
        let end = now();
        for Unanswered { delivery, in_work } in unanswered {
            let result = if in_work { HandlerResult::Died(how.to_owned()) } else { HandlerResult::Untouched };
            self.node.flow.finish(delivery, result, Handled { start: end, end });
        }
        self.node.flow.clear(self.node.index);
    }

    /// Reads the host's frames and acts on them, until the link ends.
    pub(super) async fn run(self: &Arc<Self>, mut socket: OwnedReadHalf, ready: Readiness) -> Ended {
        let mut buffer = BytesMut::with_capacity(READ);
        let mut inbox =
            Inbox { link: self, ready: Some(ready), calls: Calls::default(), plain: Gather::default() };
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            buffer.reserve(READ);
            tokio::select! {
                biased;
                read = socket.read_buf(&mut buffer), if inbox.calls.has_room() => match read {
                    Ok(0) | Err(_) => return inbox.close(Ended::Closed),
                    Ok(_) => if let Err(ended) = inbox.take_all(&mut buffer) {
                        return inbox.close(ended);
                    },
                },
                () = self.write() => return inbox.close(Ended::Closed),
                () = inbox.calls.finish_one() => {}
                _ = tick.tick() => {
                    inbox.flush_plain();
                    if self.give_up_overdue() {
                        return inbox.close(Ended::Stuck);
                    }
                }
            }
        }
    }

    /// Appends frames to the outbox.
    pub(super) fn send(&self, put: impl FnOnce(&mut Outbox)) {
        put(&mut self.lock().outbox);
        self.filled.notify_one();
    }

    /// Waits until there is room for a large answer.
    pub(super) async fn has_room(&self) {
        loop {
            let shrunk = self.shrunk.notified();
            if self.lock().outbox.pending().len() < OUTBOX_FULL {
                return;
            }
            shrunk.await;
        }
    }

    /// Writes what comes into the outbox; ends when the socket is broken.
    async fn write(&self) {
        loop {
            match self.write_some() {
                Ok(true) => self.filled.notified().await,
                Ok(false) => {
                    if self.socket.writable().await.is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// Writes what the socket takes now; whether that was all.
    fn write_some(&self) -> std::io::Result<bool> {
        let mut state = self.lock();
        while !state.outbox.pending().is_empty() {
            match self.socket.try_write(state.outbox.pending()) {
                Ok(count) => state.outbox.sent(count),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            self.shrunk.notify_waiters();
        }
        Ok(true)
    }

    /// Gives up deliveries past the node's timeout; whether the host must be ended.
    fn give_up_overdue(&self) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        let stuck = state.window.is_stuck(now);
        let Some(timeout) = self.node.run.timeout else { return stuck };
        let overdue = state.window.overdue(now, timeout);
        for (id, _) in &overdue {
            state.outbox.cancel(*id);
        }
        drop(state);
        self.filled.notify_one();
        let end = crate::flow::now();
        for (_, delivery) in overdue {
            self.node.flow.finish(delivery, HandlerResult::TimedOut, Handled { start: end, end });
        }
        stuck
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Link {
    fn deliver(&self, mut delivery: Delivery) -> Result<Taken, Delivery> {
        let (begun, traced) = (Instant::now(), delivery.request.trace.clock());
        let message = match self.message_for(&delivery.payload) {
            Ok(message) => message,
            Err(misfit) => {
                self.refuse(delivery, &misfit);
                return Ok(Taken::Done);
            }
        };
        let metadata = metadata(&delivery.request.trace);
        let mut state = self.lock();
        if !state.open {
            return Err(delivery);
        }
        if delivery.request.left() {
            return Ok(Taken::Done);
        }
        let State { window, outbox, .. } = &mut *state;
        let request = &delivery.request;
        let workflow = u16::try_from(request.route.index).unwrap_or(u16::MAX);
        outbox.deliver(window.next_id(), request.replied(), workflow, &request.id, &metadata, &message);
        request.trace.stage(Stage::Serialise, traced);
        delivery.serialised.written = Serialised::since(begun);
        window.push(delivery);
        drop(state);
        self.filled.notify_one();
        Ok(Taken::InWork)
    }

    fn cancel(&self, request: &Request) {
        let mut state = self.lock();
        if let Some(id) = state.window.cancel(request) {
            state.outbox.cancel(id);
            drop(state);
            self.filled.notify_one();
        }
    }
}

impl Link {
    fn freed(&self) {
        if let Some(&seat) = self.seat.get() {
            self.node.desk().freed(seat);
        }
    }

    /// What the handler gets: the message as it is, or as JSON.
    fn message_for(&self, payload: &Payload) -> Result<Bytes, Misfit> {
        match self.node.run.payload {
            PayloadForm::Protobuf => Ok(payload.encoded().clone()),
            PayloadForm::Json => self.node.plain.to_json(payload).map(Bytes::from),
        }
    }

    /// The message that a handler returned; `last` says whether it goes to the client.
    fn message_from(&self, delivery: &Delivery, message: Message, last: bool) -> Result<Payload, Misfit> {
        let text = match message {
            Message::Protobuf(payload) => return Ok(payload),
            Message::Json(text) => text,
        };
        let Request { route, trace, .. } = &*delivery.request;
        let begun = trace.clock();
        let made =
            if last { self.node.plain.to_answer(&text, &route.answer_type) } else { Plain::to_struct(&text) };
        trace.stage(Stage::Deserialise, begun);
        made
    }

    /// Fails a delivery whose message the handler cannot be given.
    fn refuse(&self, delivery: Delivery, misfit: &Misfit) {
        let at = now();
        let result = HandlerResult::Error(chain(misfit));
        self.node.flow.finish(delivery, result, Handled { start: at, end: at });
    }
}

/// What goes with a message beside it: the trace that the handler may go on with.
fn metadata(trace: &Trace) -> Vec<u8> {
    let Some(context) = trace.of_node() else { return Vec::new() };
    let headers: BTreeMap<_, _> = context.headers().collect();
    serde_json::to_vec(&headers).expect("texts are JSON")
}

/// What the link's task keeps while it reads.
struct Inbox<'a> {
    link: &'a Arc<Link>,
    ready: Option<Readiness>,
    calls: Calls,
    plain: Gather,
}

impl Inbox<'_> {
    fn take_all(&mut self, buffer: &mut BytesMut) -> Result<(), Ended> {
        while let Some(frame) = self.next_frame(buffer)? {
            self.act(frame)?;
        }
        Ok(())
    }

    fn next_frame(&self, buffer: &mut BytesMut) -> Result<Option<FromHost>, Ended> {
        let node = &self.link.node;
        frame::take(buffer, node.hello.max_frame, node.run.payload).map_err(Ended::Breach)
    }

    fn act(&mut self, frame: FromHost) -> Result<(), Ended> {
        match frame {
            FromHost::Ready(ready) => self.ready(ready).map_err(Ended::Breach),
            FromHost::Broken(why) => Err(Ended::Broken(why)),
            FromHost::Result { id, status, early_exit, start, end } => self
                .result(id, status, early_exit, Handled { start, end })
                .map_err(|_| Ended::Breach(Breach::UnknownDelivery { what: "RESULT", id })),
            FromHost::EarlyReply { id, message } => self
                .early_reply(id, message)
                .map_err(|_| Ended::Breach(Breach::UnknownDelivery { what: "EARLY_REPLY", id })),
            FromHost::Log { id, level, time, text } => {
                self.log(id, level, time, text);
                Ok(())
            }
            FromHost::Measurement { id, point } => {
                let subject = self.link.lock().window.subject(id);
                effects::measure(&self.link.node, subject.as_ref(), &point);
                Ok(())
            }
            FromHost::Save { call, delivery, collection, document } => {
                let subject = self.link.lock().window.subject(delivery);
                self.calls.save(Arc::clone(self.link), call, subject, collection, document);
                Ok(())
            }
            FromHost::Find { call, collection, query } => {
                self.calls.find(Arc::clone(self.link), call, collection, query);
                Ok(())
            }
        }
    }

    fn ready(&mut self, ready: frame::Ready) -> Result<(), Breach> {
        if ready.protocol != frame::PROTOCOL {
            return Err(Breach::Unexpected { what: "the host speaks another version of the node protocol" });
        }
        let Some(known) = self.ready.take() else {
            return Err(Breach::Unexpected { what: "READY came twice" });
        };
        let run = &self.link.node.run;
        let ahead = if run.replicas == 1 && run.concurrency == 1 { AHEAD } else { 0 };
        let host: Arc<dyn Host> = Arc::clone(self.link) as _;
        self.link.node.desk().join(host, usize::from(run.concurrency) + ahead, &self.link.seat);
        // Whoever hears of it finds the host at the desk. What the host makes of a first delivery comes later:
        // it is this task that reads it.
        let _ = known.send(ready);
        Ok(())
    }

    fn early_reply(&mut self, id: u32, message: Message) -> Result<(), window::Unknown> {
        let state = self.link.lock();
        let Some(delivery) = state.window.get(id)? else { return Ok(()) };
        let node = &self.link.node;
        let answer = self.link.message_from(delivery, message, true);
        let failure = |misfit| Failure::Handler { node: node.name.clone(), error: chain(&misfit) };
        node.flow.reply_early(delivery, answer.map_err(failure));
        Ok(())
    }

    fn result(
        &mut self,
        id: u32,
        status: Status,
        early_exit: bool,
        handled: Handled,
    ) -> Result<(), window::Unknown> {
        let mut state = self.link.lock();
        let delivery = state.window.answered(id)?;
        state.answered += 1;
        drop(state);
        self.link.freed();
        let Some(mut delivery) = delivery else { return Ok(()) };
        let result = match status {
            Status::Message(message) => {
                let (begun, last) = (Instant::now(), early_exit || delivery.is_last());
                let made = self.link.message_from(&delivery, message, last);
                delivery.serialised.read = Serialised::since(begun);
                match made {
                    Ok(payload) => HandlerResult::Message { payload, early_exit },
                    Err(misfit) => HandlerResult::Error(chain(&misfit)),
                }
            }
            Status::Nothing => HandlerResult::Nothing { early_exit },
            Status::Error(error) => HandlerResult::Error(error),
            Status::Cancelled => HandlerResult::Cancelled,
            Status::TooLarge(size) => HandlerResult::TooLarge { size },
        };
        self.link.node.flow.finish(delivery, result, handled);
        Ok(())
    }

    fn log(&mut self, id: u32, level: Level, time: krt_model::message::Timestamp, text: String) {
        let subject = self.link.lock().window.subject(id);
        let level = match level {
            Level::Record(level) => level,
            Level::Plain => {
                if let Some(record) = self.plain.line(&self.link.node, subject, time, &text) {
                    self.link.node.logs.write(record);
                }
                return;
            }
        };
        self.flush_plain();
        self.link.node.logs.write(Record {
            time,
            level,
            workflow: subject.as_ref().map(|subject| subject.workflow().clone()),
            node: Some(self.link.node.name.clone()),
            request: subject.map(|subject| Arc::clone(subject.request())),
            message: text,
        });
    }

    fn flush_plain(&mut self) {
        if let Some(record) = self.plain.take() {
            self.link.node.logs.write(record);
        }
    }

    fn close(mut self, ended: Ended) -> Ended {
        self.flush_plain();
        ended
    }
}
