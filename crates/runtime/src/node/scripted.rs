//! Workers played by tests: one node, the worker's end of the node protocol, and guards without processes.
//!
//! Tests run with a paused clock, which moves on when every task waits. A test that waits for the time of a
//! limit therefore takes none.

use super::{
    Lifeline, Node,
    frame::{self, HEADER, kind},
    plain::Plain,
    process::{Guards, Launch},
    stream::WINDOW,
};
use crate::{
    descriptors::Descriptors,
    flow::{Admission, AnswerStream, Deadline, Flow, Limits, RequestHead, Route},
    logs::{Console, Format, Logs},
    traces::Trace,
};
use futures::future::BoxFuture;
use krt_guard::{
    Isolation,
    wire::{self, GuardMessage},
};
use krt_model::{
    log::Level,
    message::{Payload, TYPE_URL_PREFIX},
    metadata::Metadata,
    outcome::Failure,
    priority::Priority,
    version::RunOptions,
};
use krt_remote::Documents;
use krt_store::Store;
use std::{
    fmt, fs, io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, Interest},
    net::UnixStream,
    process::Child,
    sync::mpsc,
    task::JoinHandle,
    time::Instant,
};

const MANIFEST: &str = "\
version: scripted-v1
description: A node whose workers are played by tests.
entrypoint:
  proto: public_input.proto
nodes:
  - name: actor
    src: actor.py
workflows:
  - name: play
    entrypoint: Play
    sequential: [actor]
";
const PROTO: &str = "\
syntax = \"proto3\";
message Line { string text = 1; }
service Entrypoint { rpc Play(Line) returns (Line); }
";

/// Bytes of the largest frame that the node's workers may send.
pub(super) const MAX_FRAME: usize = 1 << 16;

/// A flow with one node.
pub(super) struct Stage {
    pub(super) node: Arc<Node>,
    pub(super) flow: Arc<Flow>,
    route: Arc<Route>,
    _parts: (tempfile::TempDir, krt_store::Writer),
}

/// A client that waits for its answer.
pub(super) type Client = JoinHandle<Result<Payload, Failure>>;

impl Stage {
    /// Sets up a node with these options.
    pub(super) fn new(run: &RunOptions) -> Self {
        Self::with(run, false)
    }

    /// Sets up a node with these options, whose answers are streams.
    pub(super) fn streaming(run: &RunOptions) -> Self {
        Self::with(run, true)
    }

    fn with(run: &RunOptions, streams: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("krt.yml", MANIFEST), ("public_input.proto", PROTO), ("actor.py", "")] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let mut package = krt_package::load(folder.path()).unwrap();
        package.version.nodes[0].run = run.clone();
        let (store, writer) =
            Store::open(&folder.path().join("store"), &krt_store::Options::default()).unwrap();
        let flow = Arc::new(Flow::new(&package.version, Limits::default(), &store));
        flow.admission().open();
        let name = package.version.nodes[0].name.clone();
        let workflow = package.version.workflows[0].name.clone();
        let hello = frame::Hello {
            protocol: frame::PROTOCOL,
            node: name.to_string(),
            version: package.version.name.to_string(),
            version_id: package.version.name.to_string(),
            runtime: "test".to_owned(),
            workflows: vec![workflow.to_string()],
            base_path: String::new(),
            handler_path: String::new(),
            concurrency: run.concurrency,
            max_frame: MAX_FRAME,
            max_message: MAX_FRAME,
            log_level: "DEBUG",
            payload: run.payload.as_str(),
            batch: run.batch.map(frame::HelloBatch::from),
            stream: streams.then_some(WINDOW),
            descriptors: String::new(),
        };
        let node = Node {
            name,
            index: 0,
            run: run.clone(),
            gpu: None,
            gpus: OnceLock::new(),
            streams,
            plain: Plain::new(package.schema.pool.clone()),
            hello,
            flow: Arc::clone(&flow),
            documents: Documents::Embedded(store.clone()),
            store,
            package: Arc::new(package),
            logs: Logs::new(Console::start(Format::Json, io::sink()).unwrap(), Level::Debug),
        };
        let route = Arc::new(Route {
            workflow,
            index: 0,
            sequence: vec![0],
            answer_type: "Line".to_owned(),
            answer_limit: MAX_FRAME,
            streams,
            priority: false,
        });
        Self { node: Arc::new(node), flow, route, _parts: (folder, writer) }
    }

    /// Sends a request, whose client waits for an hour.
    pub(super) fn request(&self, text: &str) -> Client {
        let (flow, route, payload) = (Arc::clone(&self.flow), Arc::clone(&self.route), line(text));
        tokio::spawn(async move {
            let permit = flow.admission().enter(payload.value().len())?;
            let deadline = Deadline::after(Duration::from_secs(3600));
            let head = RequestHead {
                deadline,
                trace: Trace::default(),
                metadata: Metadata::default(),
                priority: Priority::default(),
            };
            let pending = flow.request(permit.into(), &route, payload, head, None);
            let mut messages = pending.whole().await?;
            Ok(messages.remove(0).expect("a unary answer is one message").payload)
        })
    }

    /// Sends a request, whose answer is a stream.
    pub(super) fn stream(&self, text: &str, within: Duration) -> AnswerStream {
        let payload = line(text);
        let permit = self.flow.admission().enter(payload.value().len()).unwrap();
        let deadline = Deadline::after(within);
        let head = RequestHead {
            deadline,
            trace: Trace::default(),
            metadata: Metadata::default(),
            priority: Priority::default(),
        };
        let pending = self.flow.request(permit.into(), &self.route, payload, head, None);
        pending.stream(&self.flow)
    }

    /// Where requests go.
    pub(super) fn route(&self) -> Arc<Route> {
        Arc::clone(&self.route)
    }

    /// The number of workers that take deliveries.
    pub(super) fn workers(&self) -> usize {
        self.flow.queue(0).workers()
    }

    /// Waits until so many requests are in flight, here or at a worker.
    pub(super) async fn in_flight(&self, requests: usize) {
        let admission: &Admission = self.flow.admission();
        while admission.in_flight() != requests {
            tokio::task::yield_now().await;
        }
    }
}

/// A message of the node's type.
pub(super) fn line(text: &str) -> Payload {
    let length = u8::try_from(text.len()).unwrap();
    Payload::pack(&format!("{TYPE_URL_PREFIX}Line"), &[&[10, length], text.as_bytes()].concat())
}

/// A frame from the engine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) kind: u8,
    pub(super) id: u32,
    pub(super) body: Vec<u8>,
}

/// The worker's end of its socket.
#[derive(Debug)]
pub(super) struct Peer {
    socket: UnixStream,
}

impl Peer {
    pub(super) fn new(socket: UnixStream) -> Self {
        Self { socket }
    }

    /// Reads a frame; `None` at the end of the stream.
    pub(super) async fn read(&mut self) -> Option<Received> {
        let mut header = [0; HEADER];
        self.socket.read_exact(&mut header).await.ok()?;
        let [s0, s1, s2, s3, kind, i0, i1, i2, i3] = header;
        let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
        let mut body = vec![0; size - frame::COUNTED];
        self.socket.read_exact(&mut body).await.ok()?;
        Some(Received { kind, id: u32::from_le_bytes([i0, i1, i2, i3]), body })
    }

    /// Reads a frame that must be of this kind. Returns its id.
    pub(super) async fn expect(&mut self, kind: u8) -> u32 {
        let frame = self.read().await.expect("the engine sends another frame");
        assert_eq!(frame.kind, kind, "{frame:?}");
        frame.id
    }

    /// Reads the next DELIVER. Returns its id.
    pub(super) async fn delivery(&mut self) -> u32 {
        self.expect(kind::DELIVER).await
    }

    /// Writes bytes as they are.
    pub(super) async fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Reads HELLO and writes READY.
    pub(super) async fn get_ready(&mut self) {
        self.expect(kind::HELLO).await;
        self.write(&ready(frame::PROTOCOL)).await;
    }

    /// Answers a delivery.
    pub(super) async fn answer(&mut self, id: u32, text: &str) {
        self.write(&answer(id, text)).await;
    }

    /// Answers each delivery with `text`, until STOP or the end of the stream.
    pub(super) async fn serve(&mut self, text: &str) {
        while let Some(frame) = self.read().await {
            match frame.kind {
                kind::DELIVER => self.answer(frame.id, text).await,
                kind::STOP => return,
                _ => {}
            }
        }
    }
}

/// Encodes a frame.
pub(super) fn frame(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(frame::COUNTED + body.len()).unwrap();
    [&size.to_le_bytes()[..], &[kind], &id.to_le_bytes(), body].concat()
}

/// Encodes READY of a worker that knows batches.
pub(super) fn ready_for_batches() -> Vec<u8> {
    frame(kind::READY, 0, format!("{{\"protocol\": {}, \"batch\": true}}", frame::PROTOCOL).as_bytes())
}

/// Encodes READY of a worker that knows streams.
pub(super) fn ready_for_streams() -> Vec<u8> {
    frame(kind::READY, 0, format!("{{\"protocol\": {}, \"stream\": true}}", frame::PROTOCOL).as_bytes())
}

/// Encodes READY.
pub(super) fn ready(protocol: u32) -> Vec<u8> {
    frame(kind::READY, 0, format!("{{\"protocol\": {protocol}}}").as_bytes())
}

/// Encodes a RESULT; `rest` follows its times.
pub(super) fn result(id: u32, status: u8, rest: &[u8]) -> Vec<u8> {
    flagged(id, status, 0, rest)
}

/// Encodes a RESULT with flags; `rest` follows its times.
pub(super) fn flagged(id: u32, status: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
    frame(kind::RESULT, id, &[&[status, flags][..], &[0; 16], rest].concat())
}

/// Encodes a RESULT that is a message.
pub(super) fn answer(id: u32, text: &str) -> Vec<u8> {
    result(id, 0, line(text).encoded())
}

/// The status of a process that a signal has killed, and of one that has exited, as `wait` reports it.
pub(super) const KILLED: i32 = 9;
pub(super) const EXITED: i32 = 0;

/// A worker's process, played by a test.
pub(super) struct Actor {
    /// Counts the processes of a test from 0.
    pub(super) number: usize,
    /// Its end of the socket to the engine.
    pub(super) peer: Peer,
    /// Gets an entry for each SIGTERM.
    pub(super) terms: mpsc::UnboundedReceiver<()>,
}

/// Plays a process until its end, whose status it returns.
type Script = dyn Fn(Actor) -> BoxFuture<'static, i32> + Send + Sync;

/// Guards whose workers follow a script.
#[derive(Clone)]
pub(super) struct Scripts(Arc<Inner>);

struct Inner {
    script: Box<Script>,
    starts: Mutex<Vec<Instant>>,
    ends: Mutex<Vec<(usize, Instant)>>,
}

impl fmt::Debug for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripts")
    }
}

impl Scripts {
    /// Plays each process with this script.
    pub(super) fn new<F>(script: impl Fn(Actor) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = i32> + Send + 'static,
    {
        let script = Box::new(move |actor| Box::pin(script(actor)) as BoxFuture<'static, i32>);
        Self(Arc::new(Inner { script, starts: Mutex::default(), ends: Mutex::default() }))
    }

    /// The state shared by the workers.
    pub(super) fn lifeline(&self) -> Arc<Lifeline> {
        let guards = Box::new(self.clone());
        Arc::new(Lifeline::with_guards(Descriptors::inherited(), guards).unwrap())
    }

    /// When the processes have started.
    pub(super) fn starts(&self) -> Vec<Instant> {
        self.0.starts.lock().unwrap().clone()
    }

    /// The numbers of the processes that have ended, in this order, with the time.
    pub(super) fn ends(&self) -> Vec<(usize, Instant)> {
        self.0.ends.lock().unwrap().clone()
    }

    /// A guard: starts the process, reports its end, and kills it at the end of the engine's stream.
    async fn guard(self, control: UnixStream) -> io::Result<()> {
        let (number, input) = {
            let mut starts = self.0.starts.lock().unwrap();
            starts.push(Instant::now());
            (starts.len() - 1, control.async_io(Interest::READABLE, || wire::receive_descriptors(&control)))
        };
        let input = std::os::unix::net::UnixStream::from(input.await?.remove(0));
        input.set_nonblocking(true)?;
        let (mut orders, mut reports) = control.into_split();
        let size = orders.read_u32_le().await?;
        let mut spec = vec![0; usize::try_from(size).unwrap()];
        orders.read_exact(&mut spec).await?;
        // No process id: the engine must never signal it.
        report(&mut reports, &GuardMessage::Started { pid: 0, guard: 0 }).await?;
        let (term, terms) = mpsc::unbounded_channel();
        let peer = Peer::new(UnixStream::from_std(input)?);
        let mut script = (self.0.script)(Actor { number, peer, terms });
        let status = loop {
            tokio::select! {
                status = &mut script => break status,
                order = orders.read_u8() => match order {
                    Ok(order) => {
                        assert_eq!(order, wire::TERMINATE);
                        let _ = term.send(());
                    }
                    Err(_) => break KILLED,
                },
            }
        };
        drop(script);
        self.0.ends.lock().unwrap().push((number, Instant::now()));
        report(&mut reports, &GuardMessage::Ended { status, out_of_memory: false }).await
    }
}

async fn report(reports: &mut tokio::net::unix::OwnedWriteHalf, message: &GuardMessage) -> io::Result<()> {
    let line = serde_json::to_string(message).unwrap() + "\n";
    reports.write_all(line.as_bytes()).await
}

impl Guards for Scripts {
    fn start(&self, input: OwnedFd, isolation: Option<&Isolation>) -> io::Result<Option<Child>> {
        assert!(isolation.is_none());
        let control = std::os::unix::net::UnixStream::from(input);
        control.set_nonblocking(true)?;
        let guard = self.clone().guard(UnixStream::from_std(control)?);
        tokio::spawn(async move {
            // Fails where the engine has dropped the worker before.
            let _ = guard.await;
        });
        Ok(None)
    }
}

/// The command of a scripted worker, which nothing runs.
pub(super) fn launch() -> Launch {
    Launch {
        program: PathBuf::from("actor"),
        arguments: Vec::new(),
        environment: Vec::new(),
        folder: PathBuf::from("/"),
        isolation: None,
        older: None,
    }
}
