//! The worker: reads frames, calls the user's handler, writes frames.

use crate::{
    Context, Error, Result, VERSION,
    batch::{BatchContext, BatchFn},
    calls::Calls,
    context::{ProcessState, Scope},
    delivery::{Delivery, Waiting},
    form::{HandlerFn, HandlerKind, Mismatch, Node, Payload, Work},
    frame::{
        self, COUNTED, Deliver, Frame, FromEngine, HEADER, MAX_LOG, PROTOCOL, ProtocolError, RESULT_HEAD,
        ResultFlags, Span, Status, WorkerFrame,
    },
    guard::{self, Guard, Panic},
    hello::Hello,
    link::{Link, lock},
    logger::Level,
    reader::Reader,
    startup,
    values::Values,
};
use serde_json::json;
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    pin::pin,
    sync::{Arc, Mutex},
};
use tokio::{
    net::unix::pipe,
    runtime,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

/// The end of a worker.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    pub(crate) status: i32,
    /// The message for standard error.
    pub(crate) message: Option<String>,
}

impl Ending {
    fn new(status: i32, message: impl ToString) -> Self {
        Self { status, message: Some(message.to_string()) }
    }

    /// The connection to the engine failed.
    pub(crate) fn of_startup(error: &startup::Error) -> Self {
        let status = if matches!(error, startup::Error::NoEngine) { 64 } else { 1 };
        Self::new(status, error)
    }

    /// The node cannot start, and the engine knows why.
    fn broken() -> Self {
        Self { status: 1, message: None }
    }
}

impl From<ProtocolError> for Ending {
    fn from(violation: ProtocolError) -> Self {
        Self::new(70, violation)
    }
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        Self::new(1, error)
    }
}

/// Serves the engine until the end.
pub(crate) fn serve(mut socket: UnixStream, node: Node) -> Ending {
    let hello = match read_hello(&mut socket) {
        Ok(Some(hello)) => hello,
        Ok(None) => return Ending::default(),
        Err(violation) => return violation.into(),
    };
    guard::watch();
    let mut runtime = match hello.concurrency {
        ..=1 => runtime::Builder::new_current_thread(),
        _ => runtime::Builder::new_multi_thread(),
    };
    let ended = runtime.enable_all().build().map(|runtime| runtime.block_on(run(socket, hello, node)));
    ended.flatten().unwrap_or_else(Ending::from)
}

/// Reads HELLO, and nothing after it; `None` if the engine has left.
fn read_hello(socket: &mut UnixStream) -> Result<Option<Hello>, ProtocolError> {
    let mut head = [0; HEADER];
    if socket.read_exact(&mut head).is_err() {
        return Ok(None);
    }
    let [a, b, c, d, kind, ..] = head;
    let size = u32::from_le_bytes([a, b, c, d]) as usize;
    if FromEngine::of(kind) != Some(FromEngine::Hello) || size < COUNTED {
        return Err(ProtocolError(format!(
            "the first frame has the kind {kind} and the size {size}, it is no HELLO"
        )));
    }
    let mut body = Vec::new();
    let read = socket.take((size - COUNTED) as u64).read_to_end(&mut body);
    match read {
        Ok(count) if count == size - COUNTED => Hello::parse(&body).map(Some),
        _ => Ok(None),
    }
}

async fn run(socket: UnixStream, hello: Hello, node: Node) -> io::Result<Ending> {
    // From here on Ctrl-C in a terminal does nothing: the engine handles it.
    drop(signal(SignalKind::interrupt())?);
    socket.set_nonblocking(true)?;
    let read = pipe::Receiver::from_file_unchecked(File::from(OwnedFd::from(socket.try_clone()?)))?;
    let process = Arc::new(ProcessState {
        level: Level::of(&hello.log_level),
        link: Link::new(socket),
        calls: Calls::default(),
        values: Values::default(),
        single: Mutex::new(None),
        hello,
    });
    let mut reader = Reader::new(read);
    reader.limit(process.hello.max_frame);
    let worker = Worker {
        process,
        reader,
        handler: node.handler,
        waiting: VecDeque::new(),
        working: Vec::new(),
        stopping: false,
    };
    if let Some(reason) = mismatch(&worker.process.hello, node.payload, &worker.handler) {
        worker.give_up(&reason);
        return Ok(Ending::broken());
    }
    Ok(worker.run(node.init).await.unwrap_or_else(Ending::from))
}

/// Why a node cannot work with this engine, if it cannot.
fn mismatch(hello: &Hello, payload: &str, handler: &HandlerKind) -> Option<String> {
    if hello.protocol != PROTOCOL {
        return Some(format!(
            "this worker speaks version {PROTOCOL} of the node protocol, the engine version {}; \
             hint: use the SDK that comes with the engine",
            hello.protocol
        ));
    }
    match (handler, &hello.batch) {
        (HandlerKind::Each(_), Some(_)) => {
            return Some(format!(
                "node `{}` has `batch` in krt.yml, and its handler gets one message at a time; hint: remove `batch`, \
                 or start the node with `krt_sdk::start_batches`",
                hello.node
            ));
        }
        (HandlerKind::Batches(_), None) => {
            return Some(format!(
                "the handler gets batches, and node `{}` has no `batch`; hint: add `batch: true` to it in krt.yml",
                hello.node
            ));
        }
        (HandlerKind::Each(_), None) | (HandlerKind::Batches(_), Some(_)) => {}
    }
    (hello.payload() != payload).then(|| {
        format!(
            "the handler works with `payload: {payload}`, node `{}` has `payload: {}`; hint: change it in \
             krt.yml, or let the handler take and return {}",
            hello.node,
            hello.payload(),
            if payload == "json" { "messages" } else { "`serde_json::Value`" }
        )
    })
}

struct Worker {
    process: Arc<ProcessState>,
    reader: Reader,
    handler: HandlerKind,
    waiting: VecDeque<Waiting>,
    working: Vec<Arc<Delivery>>,
    /// Whether no new deliveries follow.
    stopping: bool,
}

impl Worker {
    async fn run(mut self, init: impl FnOnce(Context) -> Work<()>) -> Result<Ending, ProtocolError> {
        let ctx = Context(Scope { process: Arc::clone(&self.process), own: None, of_batch: false });
        let mut starting = Guard(Box::pin(async { init(ctx).await }));
        let started = loop {
            tokio::select! {
                biased;
                started = &mut starting => break started,
                more = self.reader.fill() => self.take_all(more)?,
            }
            if self.stopping {
                return Ok(Ending::default());
            }
        };
        drop(starting);
        if let Some(reason) = failure(started) {
            self.give_up(&reason);
            return Ok(Ending::broken());
        }
        self.send_ready();
        match self.process.hello.concurrency {
            ..=1 => self.run_in_order().await?,
            most => self.at_once(most).await?,
        }
        Ok(Ending::default())
    }

    /// Reports why the node cannot start.
    fn give_up(&self, reason: &str) {
        let message = frame::fit(reason, MAX_LOG - COUNTED);
        self.process.link.send(&frame::frame(WorkerFrame::Broken, 0, &[message.as_bytes()]));
    }

    fn send_ready(&self) {
        let body = json!({
            "protocol": PROTOCOL,
            "sdk": format!("krt-rust {VERSION}"),
            "language": "Rust",
            "pid": std::process::id(),
            "batch": true,
            "stream": true,
        });
        self.process.link.send(&frame::frame(WorkerFrame::Ready, 0, &[body.to_string().as_bytes()]));
    }

    async fn run_in_order(&mut self) -> Result<(), ProtocolError> {
        loop {
            let Some(call) = self.next() else {
                if self.stopping {
                    return Ok(());
                }
                let more = self.reader.fill().await;
                self.take_all(more)?;
                continue;
            };
            if let Call::One(_, delivery, _) = &call {
                *lock(&self.process.single) = Some(Arc::clone(delivery));
            }
            let mut work = pin!(call.run(Arc::clone(&self.process)));
            loop {
                tokio::select! {
                    biased;
                    () = &mut work => break,
                    more = self.reader.fill(), if !self.process.link.is_gone() => self.take_all(more)?,
                }
            }
            *lock(&self.process.single) = None;
            self.working.clear();
        }
    }

    async fn at_once(&mut self, most: usize) -> Result<(), ProtocolError> {
        let mut tasks = JoinSet::new();
        loop {
            while tasks.len() < most
                && let Some(call) = self.next()
            {
                let (process, ids) = (Arc::clone(&self.process), call.ids());
                tasks.spawn(async move {
                    call.run(process).await;
                    ids
                });
            }
            if self.stopping && self.waiting.is_empty() && tasks.is_empty() {
                return Ok(());
            }
            tokio::select! {
                Some(ended) = tasks.join_next() => {
                    self.working.retain(|delivery| ended.as_ref().is_ok_and(|ids| !ids.contains(&delivery.id)));
                }
                more = self.reader.fill(), if !self.process.link.is_gone() => self.take_all(more)?,
            }
        }
    }

    /// The next call of the handler: for one delivery, or for a whole batch.
    fn next(&mut self) -> Option<Call> {
        match self.handler.clone() {
            HandlerKind::Each(handler) => {
                let waiting = self.waiting.pop_front()?;
                let delivery = self.begin(&waiting);
                Some(Call::One(handler, delivery, waiting.payload))
            }
            HandlerKind::Batches(handler) => {
                let last = self.waiting.iter().position(|waiting| !waiting.more)?;
                let batch: Vec<_> = self.waiting.drain(..=last).collect();
                let begun = batch.into_iter().map(|waiting| (self.begin(&waiting), waiting.payload));
                let (deliveries, payloads) = begun.unzip();
                Some(Call::Batch(handler, deliveries, payloads))
            }
        }
    }

    fn begin(&mut self, waiting: &Waiting) -> Arc<Delivery> {
        let window = self.process.hello.stream.filter(|_| waiting.streams);
        let delivery = Arc::new(Delivery::new(waiting, window));
        self.working.push(Arc::clone(&delivery));
        delivery
    }

    /// Handles the frames of a read; without `more`, the stream has ended.
    fn take_all(&mut self, more: bool) -> Result<(), ProtocolError> {
        if !more {
            self.leave();
            return Ok(());
        }
        while let Some(from) = self.reader.next()? {
            self.take(from)?;
        }
        Ok(())
    }

    fn take(&mut self, from: Frame) -> Result<(), ProtocolError> {
        match from.kind {
            FromEngine::Hello => return Err(ProtocolError("a second HELLO came".to_owned())),
            FromEngine::Deliver => self.deliver(&from)?,
            FromEngine::Cancel => self.cancel(from.id),
            FromEngine::Stop => self.stopping = true,
            FromEngine::Credit => self.credit(&from)?,
            FromEngine::Done | FromEngine::Document | FromEngine::Failed => self.process.calls.take(&from)?,
        }
        Ok(())
    }

    fn deliver(&mut self, from: &Frame) -> Result<(), ProtocolError> {
        let broken =
            |why: &dyn std::fmt::Display| ProtocolError(format!("DELIVER {} does not parse: {why}", from.id));
        let Deliver { replied, request, metadata, payload, more, streams } =
            Deliver::parse(&from.body).map_err(|why| broken(&why))?;
        let plain = self.process.hello.payload() == "json";
        let payload = Payload::read(payload, plain).map_err(|why| broken(&why))?;
        self.waiting.push_back(Waiting { id: from.id, replied, request, metadata, payload, more, streams });
        Ok(())
    }

    /// Notes what a client has taken. An id that is not in flight is no violation.
    fn credit(&self, from: &Frame) -> Result<(), ProtocolError> {
        let (messages, bytes) = frame::parse_credit(&from.body)?;
        if let Some(delivery) = self.working.iter().find(|delivery| delivery.id == from.id) {
            delivery.credit(messages, bytes);
        }
        Ok(())
    }

    /// Cancels a delivery if possible. An id that is not in flight is no violation.
    fn cancel(&mut self, id: u32) {
        if let Some(delivery) = self.working.iter().find(|delivery| delivery.id == id) {
            delivery.cancel();
        } else if let Some(place) = self.waiting.iter().position(|waiting| waiting.id == id) {
            self.remove(place);
            let now = frame::now();
            let mut out = vec![0; RESULT_HEAD];
            let (flags, span) = (ResultFlags::default(), Span { start: now, end: now });
            frame::close_result(&mut out, id, Status::Cancelled, flags, span);
            self.process.link.send(&out);
        }
    }

    /// Takes out a delivery that waits. If it was the last of its batch, the one before it is now.
    fn remove(&mut self, place: usize) {
        let ends_batch = self.waiting.remove(place).is_some_and(|waiting| !waiting.more);
        if ends_batch && let Some(before) = place.checked_sub(1) {
            self.waiting[before].more = false;
        }
    }

    /// Abandons everything: the engine is gone.
    fn leave(&mut self) {
        self.stopping = true;
        self.process.link.leave();
        self.process.calls.abandon();
        self.waiting.clear();
        self.working.iter().for_each(|delivery| delivery.cancel());
    }
}

/// Why `init` failed, if it did.
fn failure(started: Result<crate::Result<()>, Panic>) -> Option<String> {
    match started {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(chain(&error)),
        Err(panic) => Some(panic.trace),
    }
}

/// A call of the handler, with its deliveries and their payloads.
enum Call {
    One(Arc<HandlerFn>, Arc<Delivery>, Payload),
    Batch(Arc<BatchFn>, Vec<Arc<Delivery>>, Vec<Payload>),
}

impl Call {
    /// The ids of its deliveries.
    fn ids(&self) -> Vec<u32> {
        match self {
            Self::One(_, delivery, _) => vec![delivery.id],
            Self::Batch(_, deliveries, _) => deliveries.iter().map(|delivery| delivery.id).collect(),
        }
    }

    /// Makes the call, and writes the RESULTs.
    async fn run(self, process: Arc<ProcessState>) {
        match self {
            Self::One(handler, delivery, payload) => handle(process, handler, delivery, payload).await,
            Self::Batch(handler, deliveries, payloads) => {
                handle_batch(process, handler, deliveries, payloads).await;
            }
        }
    }
}

/// Handles one delivery, and writes its RESULT.
async fn handle(
    process: Arc<ProcessState>,
    handler: Arc<HandlerFn>,
    delivery: Arc<Delivery>,
    payload: Payload,
) {
    let scope = Scope { process, own: Some(delivery), of_batch: false };
    let start = frame::now();
    let mut work = Guard(handler(Context(scope.clone()), payload, RESULT_HEAD));
    let Some(own) = &scope.own else { return };
    let outcome = tokio::select! {
        biased;
        outcome = &mut work => Some(outcome),
        () = own.cancelled() => None,
    };
    let end = match outcome {
        Some(Ok(answer)) => ended(&scope, answer),
        Some(Err(panic)) => panicked(&scope, &panic),
        None => {
            drop(work);
            cancelled()
        }
    };
    finish(&scope, own, end, false, Span { start, end: frame::now() });
}

/// Handles a batch, and writes its RESULTs.
async fn handle_batch(
    process: Arc<ProcessState>,
    handler: Arc<BatchFn>,
    deliveries: Vec<Arc<Delivery>>,
    payloads: Vec<Payload>,
) {
    let start = frame::now();
    let mut work = Guard(handler(BatchContext::new(&process, &deliveries), payloads, RESULT_HEAD));
    let all_cancelled = async {
        for delivery in &deliveries {
            delivery.cancelled().await;
        }
    };
    let outcome = tokio::select! {
        biased;
        outcome = &mut work => Some(outcome),
        () = all_cancelled => None,
    };
    let span = Span { start, end: frame::now() };
    let of = |own| Scope { process: Arc::clone(&process), own: Some(own), of_batch: false };
    // The log of a request gets only its own error.
    let together = match &deliveries[..] {
        [own] => of(Arc::clone(own)),
        _ => Scope { process: Arc::clone(&process), own: None, of_batch: true },
    };
    let whole = match outcome {
        Some(Ok(Ok(answers))) => {
            for (delivery, answer) in deliveries.iter().zip(answers) {
                let scope = of(Arc::clone(delivery));
                let end = ended(&scope, answer);
                finish(&scope, delivery, end, false, span);
            }
            return;
        }
        Some(Ok(Err(error))) => ended(&together, Err(error)),
        Some(Err(panic)) => panicked(&together, &panic),
        None => {
            drop(work);
            cancelled()
        }
    };
    for delivery in &deliveries {
        finish(&together, delivery, whole.clone(), true, span);
    }
}

/// The status and the RESULT of a delivery, without its head.
type End = (Status, Vec<u8>);

/// The end of a delivery whose handler returned. Logs an error.
fn ended(scope: &Scope, answer: Result<Option<Vec<u8>>>) -> End {
    match answer {
        Ok(Some(out)) => (Status::Answer, out),
        Ok(None) => (Status::None, vec![0; RESULT_HEAD]),
        Err(error) => {
            scope.log(Level::Error, &format!("the handler failed: {}", chain(&error)));
            failed(&error, scope.process.hello.max_frame)
        }
    }
}

/// The end of a delivery whose handler panicked. Logs the panic.
fn panicked(scope: &Scope, panic: &Panic) -> End {
    scope.log(Level::Error, &panic.trace);
    (Status::Error, with_text(&panic.message, scope.process.hello.max_frame))
}

fn cancelled() -> End {
    (Status::Cancelled, vec![0; RESULT_HEAD])
}

/// Writes the RESULT of a delivery.
fn finish(scope: &Scope, own: &Delivery, (status, mut out): End, whole: bool, span: Span) {
    let flags = ResultFlags { early_exit: own.close(), whole };
    frame::close_result(&mut out, own.id, status, flags, span);
    scope.process.link.send(&out);
}

/// The RESULT of a failed handler, without its head.
fn failed(error: &Error, max_frame: usize) -> (Status, Vec<u8>) {
    if let Some(Mismatch::TooLarge { size, .. }) = error.downcast_ref() {
        let out = [&[0; RESULT_HEAD][..], &(*size as u64).to_le_bytes()].concat();
        return (Status::TooLarge, out);
    }
    (Status::Error, with_text(&error.to_string(), max_frame))
}

fn with_text(message: &str, max_frame: usize) -> Vec<u8> {
    let room = max_frame.min(MAX_LOG) - RESULT_HEAD;
    [&[0; RESULT_HEAD][..], frame::fit(message, room).as_bytes()].concat()
}

/// An error with its causes.
fn chain(error: &Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message.push_str(&format!("\ncaused by: {error}"));
        source = error.source();
    }
    message
}
