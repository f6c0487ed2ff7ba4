//! The engine's end of the socket to one worker.
//!
//! Posting a delivery leaves its frame in the outbox and wakes the link's task, which writes everything
//! gathered in one call, reads the worker's frames, and acts on them.

use super::{
    Node,
    batches::{EndedBatch, OpenBatches},
    effects::{self, Calls},
    frame::{self, Level, Message, ProtocolError, Status, WorkerFrame, flag},
    frames::Frames,
    outbox::Outbox,
    output::{Lines, RecordBuilder},
    plain::{ConversionError, Plain},
    process::ProcessEnd,
    stream::{Exceeded, Stream},
    warmup::Warmup,
    window::{self, Subject, Unanswered, Window},
};
use crate::{
    flow::{
        Accepted, AnswerMessage, CodecTimes, Delivery, DeliveryEnd, HandlerTimes, Request, SlotId, Worker,
        now,
    },
    gpus,
    json::Bounds,
    logs::Record,
    offload,
    traces::{Stage, TraceContext},
};
use bytes::{Bytes, BytesMut};
use krt_model::{
    message::Payload, metadata::Metadata as ClientMetadata, outcome::HandlerResult, version::PayloadForm,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    io::AsyncReadExt,
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::{Notify, oneshot},
    time::MissedTickBehavior,
};

/// Deliveries sent ahead to the only process of a node.
const PREFETCH: usize = 8;
/// Interval between checks of the deliveries in flight.
const TICK: Duration = Duration::from_millis(50);
/// What to do about a worker that does not know batches.
const NO_BATCHES: &str = "hint: use the SDK that comes with this krt, or remove `batch` from the node";
/// What to do about a worker that cannot be forked.
const NO_FORKS: &str =
    "hint: use the SDK that comes with this krt, or remove `share` from the `replicas` of the node";
/// What to do about a worker that does not know streams.
const NO_STREAMS: &str =
    "hint: use the SDK that comes with this krt, or remove `stream` from the RPC that the node answers";
/// Bytes in the outbox above which the documents of a FIND wait.
const OUTBOX_FULL: usize = 1 << 20;

/// One worker, as its queue sees it.
#[derive(Debug)]
pub(super) struct Link {
    node: Arc<Node>,
    socket: OwnedWriteHalf,
    state: Mutex<State>,
    slot: OnceLock<SlotId>,
    /// This link, if answers of the worker may be streams.
    streams: OnceLock<Weak<Link>>,
    /// Notified when the outbox has frames.
    filled: Notify,
    /// Notified when the outbox has shrunk.
    shrunk: Notify,
    role: Role,
}

/// What a worker is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It gets deliveries.
    Worker,
    /// Workers are forked from it. It gets the samples of `warmup` only.
    Template,
}

#[derive(Debug)]
struct State {
    window: Window,
    batches: OpenBatches,
    outbox: Outbox,
    open: bool,
    answered: u64,
    /// The answered deliveries when the worker's GPU ran out of memory, by the worker's own words.
    out_of_gpu_memory: Option<u64>,
    /// The samples that the worker handles first.
    warmup: Warmup,
}

/// Why a link ended.
#[derive(Debug)]
pub(super) enum LinkEnd {
    /// The worker closed its end.
    Closed,
    /// The worker could not start: its error text.
    Broken(String),
    /// The worker broke the protocol.
    ProtocolError(ProtocolError),
    /// The worker kept working on a delivery that was given up.
    Stuck,
    /// The worker did not end in time after a stop.
    Overdue,
}

/// Reports the worker as ready, after `init`.
pub(super) type Readiness = oneshot::Sender<frame::Ready>;

impl Link {
    pub(super) fn new(node: Arc<Node>, socket: OwnedWriteHalf, role: Role) -> Self {
        let window = Window::new(usize::from(node.run.concurrency));
        let (batches, outbox) = (OpenBatches::default(), Outbox::default());
        let state = State {
            window,
            batches,
            outbox,
            open: true,
            answered: 0,
            out_of_gpu_memory: None,
            warmup: Warmup::default(),
        };
        Self {
            node,
            socket,
            state: Mutex::new(state),
            slot: OnceLock::new(),
            streams: OnceLock::new(),
            filled: Notify::new(),
            shrunk: Notify::new(),
            role,
        }
    }

    /// Lets the worker handle samples before it counts as ready.
    pub(super) fn warm_up(&self, warmup: Warmup) {
        self.lock().warmup = warmup;
    }

    /// Returns the sample that the worker has not answered, in words.
    pub(super) fn sample(&self) -> Option<String> {
        self.lock().warmup.in_flight()
    }

    /// Sends HELLO.
    pub(super) fn greet(&self) {
        self.send(|outbox| outbox.hello(&self.node.hello));
    }

    /// Takes no more deliveries, and asks the worker to finish its own.
    pub(super) fn stop(&self) {
        self.leave();
        self.send(Outbox::stop);
    }

    /// Takes no more deliveries.
    pub(super) fn leave(&self) {
        self.lock().open = false;
        if let Some(&slot) = self.slot.get() {
            self.node.queue().leave(slot);
        }
    }

    /// Returns whether the worker has answered all its deliveries.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().window.is_empty()
    }

    /// The worker's node.
    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// Returns the number of deliveries that the worker has answered.
    pub(super) fn answered(&self) -> u64 {
        self.lock().answered
    }

    /// Looks at a text that the worker logs or prints.
    pub(super) fn printed(&self, text: &str) {
        if self.node.gpu.is_some() && gpus::is_out_of_memory(text) {
            let mut state = self.lock();
            state.out_of_gpu_memory = Some(state.answered);
        }
    }

    /// Whether the worker's GPU ran out of memory. Many a handler goes on after that, so it explains the worker's end
    /// only if nothing was answered in between.
    pub(super) fn is_out_of_gpu_memory(&self) -> bool {
        let state = self.lock();
        state.out_of_gpu_memory == Some(state.answered)
    }

    /// Handles the worker's end: settles its deliveries, and fails those that have no other worker.
    pub(super) fn abandon(&self, how: &ProcessEnd) {
        self.leave();
        let mut state = self.lock();
        let (unanswered, mut batches) = (state.window.drain(), std::mem::take(&mut state.batches));
        drop(state);
        let (failed, end) = (batches.drain(), now());
        let (in_flight, untouched): (Vec<_>, Vec<_>) =
            unanswered.into_iter().partition(|unanswered| unanswered.in_flight);
        let in_flight = in_flight.into_iter().map(|Unanswered { delivery, batch, .. }| (batch, delivery));
        let of_batches = in_flight.chain(failed).map(|(batch, delivery)| BatchedDelivery {
            batch,
            size: batches.size(batch),
            delivery,
        });
        self.return_unanswered(of_batches, &how.result());
        for Unanswered { delivery, .. } in untouched {
            self.node.flow.finish(delivery, HandlerResult::Untouched, HandlerTimes { start: end, end });
        }
        self.node.flow.clear(self.node.index);
    }

    /// Reads the worker's frames and acts on them, until the link ends.
    pub(super) async fn run(self: &Arc<Self>, mut socket: OwnedReadHalf, ready: Readiness) -> LinkEnd {
        let mut buffer = BytesMut::new();
        let mut inbox = Inbox::new(self, ready);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            inbox.frames.make_room(&mut buffer);
            tokio::select! {
                biased;
                read = socket.read_buf(&mut buffer), if inbox.calls.has_room() => match read {
                    Ok(0) | Err(_) => return inbox.close(LinkEnd::Closed),
                    Ok(_) => if let Err(ended) = inbox.take_all(&mut buffer) {
                        return inbox.close(ended);
                    },
                },
                () = self.write() => return inbox.close(LinkEnd::Closed),
                () = inbox.calls.finish_one() => {}
                () = passed(inbox.pause), if inbox.pause.is_some() => inbox.end_pause(),
                _ = tick.tick() => {
                    inbox.flush_plain();
                    if self.give_up_overdue() {
                        return inbox.close(LinkEnd::Stuck);
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

    /// Waits until the outbox has room for a large frame.
    pub(super) async fn has_room(&self) {
        loop {
            let shrunk = self.shrunk.notified();
            if self.lock().outbox.len() < OUTBOX_FULL {
                return;
            }
            shrunk.await;
        }
    }

    /// Writes the outbox to the socket; returns when the socket breaks.
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

    /// Writes until the socket would block. Returns whether everything was written.
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

    /// Gives up deliveries past the node's timeout. Returns whether the worker must be killed.
    fn give_up_overdue(&self) -> bool {
        let now = tokio::time::Instant::now();
        let mut state = self.lock();
        let stuck = state.window.is_stuck(now);
        let Some(timeout) = self.node.run.timeout else { return stuck };
        let overdue = state.window.overdue(now, timeout);
        for (id, _) in &overdue {
            state.outbox.cancel(*id);
        }
        let of_batch = |(id, delivery)| {
            let batch = state.window.batch_of(id).unwrap_or(id);
            BatchedDelivery { batch, size: state.batches.size(batch), delivery }
        };
        let overdue: Vec<_> = overdue.into_iter().map(of_batch).collect();
        drop(state);
        self.filled.notify_one();
        self.return_unanswered(overdue, &HandlerResult::TimedOut);
        stuck
    }

    /// Gives back deliveries that the worker did not answer: their batches failed as a whole.
    fn return_unanswered(
        &self,
        deliveries: impl IntoIterator<Item = BatchedDelivery>,
        result: &HandlerResult,
    ) {
        let (node, end) = (&self.node, now());
        let handled = HandlerTimes { start: end, end };
        let mut parts = BTreeMap::<u32, Vec<Delivery>>::new();
        for BatchedDelivery { batch, size, delivery } in deliveries {
            if self.isolates(size) {
                parts.entry(batch).or_default().push(delivery);
            } else {
                node.flow.finish(delivery, result.clone(), handled);
            }
        }
        for part in parts.into_values() {
            node.flow.split(node.index, part, result, handled);
        }
    }

    /// Returns whether a batch that failed as a whole is split.
    fn isolates(&self, size: u16) -> bool {
        size > 1 && self.node.run.batch.is_some_and(|batch| batch.isolate)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker for Link {
    fn deliver(&self, delivery: Delivery) -> Result<Accepted, Delivery> {
        let Some(prepared) = self.prepare(delivery) else { return Ok(Accepted::Done) };
        let mut state = self.lock();
        if !state.open {
            return Err(prepared.delivery);
        }
        if prepared.delivery.request.left() {
            drop(state);
            prepared.delivery.close(DeliveryEnd::Done);
            return Ok(Accepted::Done);
        }
        match self.stream_for(&prepared.delivery, state.window.next_id()) {
            Some(stream) => {
                let delivery = state.put(prepared, flag::STREAM);
                state.window.push_with_stream(delivery, stream);
            }
            None => {
                let delivery = state.put(prepared, 0);
                state.window.push(delivery);
            }
        }
        drop(state);
        self.filled.notify_one();
        Ok(Accepted::InFlight)
    }

    fn deliver_batch(&self, batch: Vec<Delivery>) -> Result<Accepted, Vec<Delivery>> {
        let prepared: Vec<_> = batch.into_iter().filter_map(|delivery| self.prepare(delivery)).collect();
        let mut state = self.lock();
        if !state.open {
            return Err(prepared.into_iter().map(|prepared| prepared.delivery).collect());
        }
        let (left, wanted): (Vec<_>, Vec<_>) =
            prepared.into_iter().partition(|prepared| prepared.delivery.request.left());
        let (first, size) = (state.window.next_id(), wanted.len());
        for (index, prepared) in wanted.into_iter().enumerate() {
            let delivery = state.put(prepared, if index + 1 < size { flag::MORE } else { 0 });
            state.window.push_of_batch(first, delivery);
        }
        let size = u16::try_from(size).unwrap_or(u16::MAX);
        if size > 0 {
            state.batches.open(first, size);
            self.node.flow.metrics().batch(self.node.index, size);
        }
        drop(state);
        left.into_iter().for_each(|prepared| prepared.delivery.close(DeliveryEnd::Done));
        self.filled.notify_one();
        Ok(if size > 0 { Accepted::InFlight } else { Accepted::Done })
    }

    fn cancel(&self, request: &Request) {
        let mut state = self.lock();
        if let Some((id, mut delivery)) = state.window.cancel(request) {
            state.outbox.cancel(id);
            drop(state);
            self.filled.notify_one();
            delivery.note_cancelled(&self.node.name);
            delivery.close(DeliveryEnd::Done);
        }
    }
}

/// A delivery that its worker did not answer.
struct BatchedDelivery {
    /// The id of its batch.
    batch: u32,
    /// The size of its batch.
    size: u16,
    delivery: Delivery,
}

/// A delivery with what its DELIVER carries.
struct Prepared {
    delivery: Delivery,
    message: Bytes,
    metadata: Vec<u8>,
    begun: Instant,
    traced: Option<SystemTime>,
}

impl State {
    /// Appends a DELIVER under the window's next id. Returns its delivery.
    fn put(&mut self, prepared: Prepared, flags: u8) -> Delivery {
        let Prepared { mut delivery, message, metadata, begun, traced } = prepared;
        let request = &delivery.request;
        let workflow = u16::try_from(request.route.index).unwrap_or(u16::MAX);
        let flags = if request.replied() { flags | flag::REPLIED } else { flags };
        self.outbox.deliver(self.window.next_id(), flags, workflow, &request.id, &metadata, &message);
        request.trace.stage(Stage::Serialise, traced);
        delivery.codec_times.encode = CodecTimes::since(begun);
        delivery
    }
}

impl Link {
    /// Prepares a delivery; fails it if it cannot be converted for the handler.
    fn prepare(&self, delivery: Delivery) -> Option<Prepared> {
        let (begun, traced) = (Instant::now(), delivery.request.trace.clock());
        match self.message_for(&delivery) {
            Ok(message) => {
                let metadata = metadata(&delivery.request);
                Some(Prepared { delivery, message, metadata, begun, traced })
            }
            Err(error) => {
                self.refuse(delivery, &error);
                None
            }
        }
    }

    /// Returns a stream for the answer of a delivery, if it is one and the worker knows streams.
    fn stream_for(&self, delivery: &Delivery, id: u32) -> Option<Arc<Stream>> {
        self.stream(delivery.request.route.streams, id)
    }

    fn stream(&self, wanted: bool, id: u32) -> Option<Arc<Stream>> {
        let link = self.streams.get().filter(|_| wanted)?;
        let link = Weak::clone(link);
        Some(Stream::new(move |messages, bytes| {
            if let Some(link) = link.upgrade() {
                link.send(|outbox| outbox.credit(id, messages, bytes));
            }
        }))
    }

    /// Sends the samples of the next call of the handler. Returns whether there are any.
    fn send_samples(&self) -> bool {
        let most = self.node.run.batch.map_or(1, |batch| usize::from(batch.max));
        let mut state = self.lock();
        let samples = state.warmup.next(most);
        let (batch, count) = (state.window.next_id(), samples.len());
        for (index, sample) in samples.iter().enumerate() {
            let id = state.window.next_id();
            let stream = self.stream(sample.streams, id);
            let more = if index + 1 < count { flag::MORE } else { 0 };
            let flags = more | if stream.is_some() { flag::STREAM } else { 0 };
            let workflow = &self.node.package.version.workflows[sample.workflow].name;
            let subject = Subject::of_sample(sample.line, workflow.clone());
            let index = u16::try_from(sample.workflow).unwrap_or(u16::MAX);
            state.outbox.deliver(id, flags, index, subject.request(), &[], &sample.message);
            state.window.push_sample(batch, subject, stream);
            state.warmup.sent(id, sample);
        }
        drop(state);
        self.filled.notify_one();
        count > 0
    }

    fn freed(&self) {
        if let Some(&slot) = self.slot.get() {
            self.node.queue().freed(slot);
        }
    }

    /// Returns the handler's input: the message, or its JSON.
    fn message_for(&self, delivery: &Delivery) -> Result<Bytes, ConversionError> {
        let payload = &delivery.payload;
        match self.node.run.payload {
            PayloadForm::Protobuf => Ok(payload.encoded().clone()),
            PayloadForm::Json => {
                let to_json = || self.node.plain.to_json(payload, delivery.request.reserve());
                offload::run_blocking(payload.value().len(), to_json)
            }
        }
    }

    /// Converts a handler's result to a message; `last`: it goes to the client.
    fn message_from(
        &self,
        request: &Request,
        message: Message,
        last: bool,
    ) -> Result<Payload, ConversionError> {
        let text = match message {
            Message::Protobuf(payload) => return Ok(payload),
            Message::NoRoom(full) => return Err(ConversionError::Refused(full.into())),
            Message::Json(text) => text,
        };
        let begun = request.trace.clock();
        // The limit on an answer applies later, when its size is known.
        let bounds = Bounds { limit: usize::MAX, reservation: request.reserve() };
        let made = offload::run_blocking(text.len(), || match last {
            true => self.node.plain.to_answer(&text, &request.route.answer_type, bounds),
            false => Plain::to_struct(&text, bounds),
        });
        request.trace.stage(Stage::Deserialise, begun);
        made
    }

    /// Fails a delivery that cannot be converted for the handler.
    fn refuse(&self, delivery: Delivery, error: &ConversionError) {
        let at = now();
        self.node.flow.finish(delivery, error.result(), HandlerTimes { start: at, end: at });
    }
}

/// Waits until a time, or forever without one.
async fn passed(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Returns the metadata of a request's message; empty if there are none.
fn metadata(request: &Request) -> Vec<u8> {
    let metadata = Metadata {
        trace: request.trace.of_node().iter().flat_map(TraceContext::headers).collect(),
        // Nobody waits after an answer.
        deadline: request.deadline.filter(|_| !request.replied()).map(|deadline| deadline.wall_clock.0),
        client: &request.metadata,
    };
    if metadata.trace.is_empty() && metadata.deadline.is_none() && metadata.client.is_empty() {
        return Vec::new();
    }
    serde_json::to_vec(&metadata).expect("texts and numbers are JSON")
}

/// The metadata of DELIVER.
#[derive(Serialize)]
struct Metadata<'a> {
    /// The trace for the handler to continue.
    #[serde(flatten)]
    trace: BTreeMap<&'static str, String>,
    /// Nanoseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<u64>,
    /// What the client sent.
    #[serde(skip_serializing_if = "ClientMetadata::is_empty")]
    client: &'a ClientMetadata,
}

/// What the flags of a RESULT say.
#[derive(Clone, Copy)]
struct Flags {
    early_exit: bool,
    /// Whether its batch failed as a whole.
    whole: bool,
}

/// The reading side of the link's task.
struct Inbox<'a> {
    link: &'a Arc<Link>,
    frames: Frames,
    ready: Option<Readiness>,
    /// READY, while the worker handles samples.
    warming: Option<(Readiness, frame::Ready)>,
    calls: Calls,
    plain: RecordBuilder,
    /// When the worker's pause between two batches ends, unless the queue ended it before.
    pause: Option<tokio::time::Instant>,
}

impl<'a> Inbox<'a> {
    fn new(link: &'a Arc<Link>, ready: Readiness) -> Self {
        let node = &link.node;
        let memory = node.flow.admission().memory();
        Self {
            link,
            frames: Frames::new(node.hello.max_frame, node.run.payload, memory),
            ready: Some(ready),
            warming: None,
            calls: Calls::default(),
            plain: RecordBuilder::new(Lines::Plain),
            pause: None,
        }
    }

    fn take_all(&mut self, buffer: &mut BytesMut) -> Result<(), LinkEnd> {
        while let Some(frame) = self.frames.take(buffer).map_err(LinkEnd::ProtocolError)? {
            self.act(frame)?;
        }
        Ok(())
    }

    fn act(&mut self, frame: WorkerFrame) -> Result<(), LinkEnd> {
        match frame {
            WorkerFrame::Ready(ready) => self.ready(ready),
            WorkerFrame::Broken(why) => Err(LinkEnd::Broken(why)),
            WorkerFrame::Result { id, status, .. } if self.warming.is_some() => {
                self.sample_ended(id, &status)
            }
            WorkerFrame::Result { id, status, early_exit, whole, start, end } => self
                .result(id, status, Flags { early_exit, whole }, HandlerTimes { start, end })
                .map_err(|_| LinkEnd::ProtocolError(ProtocolError::UnknownDelivery { what: "RESULT", id })),
            WorkerFrame::EarlyReply { id, message } => self.early_reply(id, message).map_err(|_| {
                LinkEnd::ProtocolError(ProtocolError::UnknownDelivery { what: "EARLY_REPLY", id })
            }),
            WorkerFrame::Message { id, message } => self.message(id, message),
            WorkerFrame::Log { id, level, time, text } => {
                self.log(id, level, time, text);
                Ok(())
            }
            WorkerFrame::Measurement { id, point } => {
                let subject = self.link.lock().window.subject(id);
                if !subject.as_ref().is_some_and(Subject::is_sample) {
                    effects::measure(&self.link.node, subject.as_ref(), &point);
                }
                Ok(())
            }
            WorkerFrame::Save { call, delivery, collection, document } => {
                let subject = self.link.lock().window.subject(delivery);
                if subject.as_ref().is_some_and(Subject::is_sample) {
                    self.link.send(|outbox| outbox.done(call));
                    return Ok(());
                }
                self.calls.save(Arc::clone(self.link), call, subject, collection, document);
                Ok(())
            }
            WorkerFrame::Find { call, collection, query } => {
                self.calls.find(Arc::clone(self.link), call, collection, query);
                Ok(())
            }
        }
    }

    fn ready(&mut self, ready: frame::Ready) -> Result<(), LinkEnd> {
        let unexpected = |what| LinkEnd::ProtocolError(ProtocolError::Unexpected { what });
        if ready.protocol != frame::PROTOCOL {
            return Err(unexpected("the worker speaks another version of the node protocol"));
        }
        let run = &self.link.node.run;
        if run.batch.is_some() && !ready.batch {
            return Err(LinkEnd::Broken(format!(
                "its SDK ({}) does not know batches; {NO_BATCHES}",
                ready.sdk
            )));
        }
        if self.link.node.streams && !ready.stream {
            return Err(LinkEnd::Broken(format!(
                "its SDK ({}) does not know streams; {NO_STREAMS}",
                ready.sdk
            )));
        }
        if self.link.role == Role::Template && !ready.fork {
            return Err(LinkEnd::Broken(format!("its SDK ({}) does not know forks; {NO_FORKS}", ready.sdk)));
        }
        let Some(known) = self.ready.take() else {
            return Err(unexpected("a second READY"));
        };
        if ready.stream && self.link.node.hello.stream.is_some() {
            self.link.streams.get_or_init(|| Arc::downgrade(self.link));
        }
        self.warming = Some((known, ready));
        self.go_on();
        Ok(())
    }

    /// Lets the worker handle the next samples. After the last ones, it joins the queue.
    fn go_on(&mut self) {
        if self.link.send_samples() {
            return;
        }
        let Some((known, ready)) = self.warming.take() else { return };
        if self.link.role == Role::Template {
            let _ = known.send(ready);
            return;
        }
        let run = &self.link.node.run;
        // What is sent ahead would be in no batch, and is overtaken no more.
        let alone = run.replicas.max == 1 && run.concurrency == 1 && run.batch.is_none();
        let ahead = if alone && !self.link.node.has_priorities() { PREFETCH } else { 0 };
        let worker: Arc<dyn Worker> = Arc::clone(self.link) as _;
        self.link.node.queue().join(worker, usize::from(run.concurrency) + ahead, &self.link.slot);
        // At this point the worker has joined the queue. Its first result is read later, as this task is the
        // reader.
        let _ = known.send(ready);
    }

    /// Takes the result of a sample. One that fails fails the worker's start.
    fn sample_ended(&mut self, id: u32, status: &Status) -> Result<(), LinkEnd> {
        let mut state = self.link.lock();
        state
            .window
            .answered(id)
            .map_err(|_| LinkEnd::ProtocolError(ProtocolError::UnknownDelivery { what: "RESULT", id }))?;
        let result = match status {
            Status::Message(_) => Ok(true),
            Status::Nothing => Ok(false),
            Status::Error(error) => Err(error.clone()),
            Status::Cancelled => Err("it was cancelled".to_owned()),
            Status::TooLarge(size) => Err(format!("its answer is too large: {size} bytes")),
        };
        if let Some(failure) = state.warmup.ended(id, result) {
            return Err(LinkEnd::Broken(failure));
        }
        let idle = state.warmup.is_idle();
        drop(state);
        if idle {
            self.go_on();
        }
        Ok(())
    }

    fn early_reply(&mut self, id: u32, message: Message) -> Result<(), window::Unknown> {
        self.link.lock().warmup.replied(id);
        let Some(request) = self.link.lock().window.get(id)?.map(|delivery| Arc::clone(&delivery.request))
        else {
            return Ok(());
        };
        let node = &self.link.node;
        // Conversion may take long, so it runs without the lock.
        let answer = self.link.message_from(&request, message, true);
        let answer = answer.map_err(|error| error.failure(&node.name));
        if let Some(delivery) = self.link.lock().window.get(id)? {
            node.flow.reply_early(delivery, answer);
        }
        Ok(())
    }

    /// Takes a message of a streamed answer. One that the RPC cannot have fails the request.
    fn message(&mut self, id: u32, message: Message) -> Result<(), LinkEnd> {
        let (link, node) = (self.link, &self.link.node);
        let unknown = |_: window::Unknown| {
            LinkEnd::ProtocolError(ProtocolError::UnknownDelivery { what: "MESSAGE", id })
        };
        let unexpected = |what| LinkEnd::ProtocolError(ProtocolError::Unexpected { what });
        let state = link.lock();
        let stream = state.window.stream(id).map_err(unknown)?.cloned();
        let request = state.window.get(id).map_err(unknown)?.map(|delivery| Arc::clone(&delivery.request));
        drop(state);
        let stream =
            stream.ok_or_else(|| unexpected("a MESSAGE names a delivery whose answer is not a stream"))?;
        let credit = stream
            .received(message.size())
            .map_err(|Exceeded| unexpected("a MESSAGE exceeds what may wait for the client"))?;
        // Nobody waits for the answer of a delivery without a request.
        let Some(request) = request else { return Ok(()) };
        // Conversion may take long, so it runs without the lock.
        let made = link.message_from(&request, message, true).map_err(|error| error.failure(&node.name));
        let mut state = link.lock();
        let Ok(Some(delivery)) = state.window.get(id) else { return Ok(()) };
        let checked = made.and_then(|payload| node.flow.check_message(delivery, &payload).map(|()| payload));
        match checked {
            Ok(payload) => {
                let acker = state.window.note_sent(id);
                drop(state);
                if let Some(acker) = acker {
                    acker.ack();
                }
                node.flow.send(&request, AnswerMessage { payload, credit: Some(credit) });
            }
            Err(failure) => {
                let delivery = state.window.fail(id);
                state.outbox.cancel(id);
                drop(state);
                link.filled.notify_one();
                if let Some(mut delivery) = delivery {
                    delivery.note_cancelled(&node.name);
                    node.flow.fail(delivery, failure);
                }
            }
        }
        Ok(())
    }

    fn result(
        &mut self,
        id: u32,
        status: Status,
        flags: Flags,
        handled: HandlerTimes,
    ) -> Result<(), window::Unknown> {
        let Flags { early_exit, whole } = flags;
        let mut state = self.link.lock();
        let batch = state.window.batch_of(id).ok_or(window::Unknown)?;
        let mut delivery = state.window.answered(id)?;
        state.answered += 1;
        if self.link.node.run.batch.is_none() {
            drop(state);
            self.link.freed();
        } else {
            if whole
                && self.link.isolates(state.batches.size(batch))
                && let Some(delivery) = delivery.take()
            {
                state.batches.insert(batch, delivery);
            }
            let begun = state.batches.unanswered(batch);
            let ended = state.batches.answered(batch, whole);
            drop(state);
            if let Some(size) = begun {
                self.link.node.queue().answered(size);
            }
            if let Some(ended) = ended {
                self.batch_ended(ended, &status, handled);
            }
        }
        let Some(mut delivery) = delivery else { return Ok(()) };
        let result = match status {
            Status::Message(message) => {
                let (begun, last) = (Instant::now(), early_exit || delivery.is_last());
                let made = self.link.message_from(&delivery.request, message, last);
                delivery.codec_times.decode = CodecTimes::since(begun);
                match made {
                    Ok(payload) => HandlerResult::Message { payload, early_exit },
                    Err(error) => error.result(),
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

    /// Learns from a batch after its last RESULT, gives back those of its deliveries that are handled again, and frees
    /// its place.
    fn batch_ended(&mut self, ended: EndedBatch, last: &Status, handled: HandlerTimes) {
        let EndedBatch { size, took, failed } = ended;
        let node = &self.link.node;
        if let Some(took) = took {
            node.queue().learn(size, took);
        }
        if !failed.is_empty() {
            let error = if let Status::Error(error) = last { error.clone() } else { String::new() };
            node.flow.split(node.index, failed, &HandlerResult::Error(error), handled);
        }
        if let Some(&slot) = self.link.slot.get()
            && let Some(longest) = node.queue().batch_ended(slot, size)
        {
            self.pause = Some(tokio::time::Instant::now() + longest);
        }
    }

    fn end_pause(&mut self) {
        self.pause = None;
        if let Some(&slot) = self.link.slot.get() {
            self.link.node.queue().paused(slot);
        }
    }

    fn log(&mut self, id: u32, level: Level, time: krt_model::message::Timestamp, text: String) {
        self.link.printed(&text);
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

    fn close(mut self, ended: LinkEnd) -> LinkEnd {
        self.flush_plain();
        ended
    }
}

#[cfg(test)]
mod tests;
