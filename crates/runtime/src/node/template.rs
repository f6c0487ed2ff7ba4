//! What workers are forked from: `replicas: {share: fork}` in `krt.yml`.
//!
//! A [`Template`] is a process that has run `init` and the samples of `warmup`, and then forks workers on request. They
//! share its memory until they write to it. Each has a guard of its own, below that of the template, and outlives it.

use super::{
    Launch, Lifeline, Node,
    backoff::Backoff,
    process::{Control, Process},
    worker::{StartFailure, Worker},
};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use krt_model::hint;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use serde::Deserialize;
use std::{
    fmt, io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::UnixStream,
    sync::{Mutex, Notify},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// The most bytes of a template's report.
const MAX_REPORT: usize = 64 << 10;

/// Forks the workers of a node from its template, which starts when the first one is needed.
#[derive(Debug)]
pub(super) struct Forks {
    node: Arc<Node>,
    launch: Arc<Launch>,
    lifeline: Arc<Lifeline>,
    /// Rises when the files have changed, which makes templates outdated.
    generation: AtomicU64,
    current: Mutex<Current>,
    /// Notified when there is another template.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Current {
    template: Option<Arc<Template>>,
    /// The last start that failed.
    failed: Option<(Instant, String)>,
}

/// A process that workers are forked from. Once dropped, it ends: workers that were forked from it hold it.
pub(super) struct Template {
    generation: u64,
    requests: UnixStream,
    control: Arc<Control>,
    ended: Shared<BoxFuture<'static, String>>,
    /// Whether a worker was forked from it.
    useful: AtomicBool,
}

/// What a template reports once it can be forked, or cannot.
#[derive(Deserialize)]
struct Report {
    obstacle: Option<String>,
}

impl Forks {
    /// Returns what forks the workers of a node; `None` if each starts on its own.
    pub(super) fn of(node: &Arc<Node>, launch: &Arc<Launch>, lifeline: &Arc<Lifeline>) -> Option<Arc<Self>> {
        if !node.run.replicas.fork {
            return None;
        }
        let unable = match launch.isolation {
            _ if cfg!(not(target_os = "linux")) => Some("only Linux can fork them"),
            Some(_) => Some("they are isolated from each other"),
            None => None,
        };
        if let Some(reason) = unable {
            tracing::warn!(node = %node.name, "its workers share no memory: {reason}");
            return None;
        }
        Some(Arc::new(Self {
            node: Arc::clone(node),
            launch: Arc::clone(launch),
            lifeline: Arc::clone(lifeline),
            generation: AtomicU64::new(0),
            current: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Forks a worker and waits until it is ready.
    pub(super) async fn start_worker(&self) -> Result<Worker, StartFailure> {
        let begun = std::time::Instant::now();
        Worker::start_forked(&self.node, self.fork().await?, begun).await
    }

    /// Forks a worker. Returns its process, and the engine's end of its socket.
    async fn fork(&self) -> Result<(Process, UnixStream), StartFailure> {
        let template = self.template().await?;
        let fork = async |template: &Arc<Template>| {
            let spec = self.lifeline.spec_of_fork(&self.launch, self.node.run.limits);
            let held = Arc::clone(template) as _;
            let forked = Process::fork(&template.requests, &template.control, held, &spec).await;
            template.useful.fetch_or(forked.is_ok(), Ordering::Relaxed);
            forked
        };
        match fork(&template).await {
            Ok(forked) => return Ok(forked),
            // It may just have died.
            Err(error) => tracing::debug!(node = %self.node.name, "cannot be forked: {error}"),
        }
        self.forget(&template).await;
        let next = self.template().await?;
        fork(&next).await.map_err(StartFailure::Fork)
    }

    /// Makes the next worker start with new files.
    pub(super) fn renew(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Starts another template when the current one dies, so that the next worker need not wait for it.
    pub(super) async fn keep_up(self: Arc<Self>, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let changed = self.changed.notified();
            let template = self.current.lock().await.template.clone();
            tokio::select! {
                () = stop.cancelled() => return,
                // An outdated one ends once its workers have.
                () = changed => {}
                (template, how) = death(template) => {
                    tracing::warn!(
                        node = %self.node.name,
                        "the process that its workers are forked from died: {how}"
                    );
                    self.forget(&template).await;
                    let pause = backoff.died(Instant::now(), template.is_useful());
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.start_again(&mut backoff, pause.wait) => {}
                    }
                }
            }
        }
    }

    /// Starts templates until one can be forked.
    async fn start_again(&self, backoff: &mut Backoff, mut wait: Duration) {
        loop {
            tokio::time::sleep(wait).await;
            let Err(failed) = self.template().await else { return };
            tracing::error!(node = %self.node.name, "does not start: {}", hint::chain(&failed));
            wait = backoff.died(Instant::now(), false).wait;
        }
    }

    /// Ends the template, after its workers.
    pub(super) async fn end(&self) {
        if let Some(template) = self.current.lock().await.template.take() {
            template.control.close();
            template.ended.clone().await;
        }
    }

    /// Returns the template of the current files; starts it if necessary.
    async fn template(&self) -> Result<Arc<Template>, StartFailure> {
        let asked = Instant::now();
        let mut current = self.current.lock().await;
        let generation = self.generation.load(Ordering::Relaxed);
        if let Some(template) = &current.template
            && template.generation == generation
            && !template.has_ended()
        {
            return Ok(Arc::clone(template));
        }
        // Workers that start together fail together.
        if let Some((when, message)) = &current.failed
            && *when > asked
        {
            return Err(StartFailure::Template { message: message.clone() });
        }
        match Template::start(&self.node, &self.launch, &self.lifeline, generation).await {
            Ok(template) => {
                let template = Arc::new(template);
                current.template = Some(Arc::clone(&template));
                self.changed.notify_waiters();
                Ok(template)
            }
            Err(failed) => {
                current.failed = Some((Instant::now(), failed.to_string()));
                Err(failed)
            }
        }
    }

    async fn forget(&self, template: &Arc<Template>) {
        let mut current = self.current.lock().await;
        if current.template.as_ref().is_some_and(|current| Arc::ptr_eq(current, template)) {
            current.template = None;
        }
    }
}

impl Template {
    async fn start(
        node: &Arc<Node>,
        launch: &Launch,
        lifeline: &Lifeline,
        generation: u64,
    ) -> Result<Self, StartFailure> {
        let begun = Instant::now();
        let (requests, theirs) = requests().map_err(StartFailure::Fork)?;
        let (mut worker, control) = Worker::start_template(node, launch, lifeline, theirs).await?;
        let report = tokio::select! {
            report = read_report(&requests) => report,
            exit = worker.ended() => return Err(StartFailure::Ended { how: exit.how }),
        };
        if let Some(reason) = report.map_err(StartFailure::Fork)?.obstacle {
            return Err(StartFailure::Unforkable { reason });
        }
        tracing::debug!(node = %node.name, "can be forked after {} ms", begun.elapsed().as_millis());
        let ended = async move { worker.ended().await.how }.boxed().shared();
        Ok(Self { generation, requests, control, ended, useful: AtomicBool::new(false) })
    }

    fn is_useful(&self) -> bool {
        self.useful.load(Ordering::Relaxed)
    }

    fn has_ended(&self) -> bool {
        self.ended.clone().now_or_never().is_some()
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Waits for a template to die.
async fn death(template: Option<Arc<Template>>) -> (Arc<Template>, String) {
    match template {
        Some(template) => {
            let how = template.ended.clone().await;
            (template, how)
        }
        None => std::future::pending().await,
    }
}

/// No other child has the socket. Only Linux knows the flag, and only there workers are forked.
#[cfg(target_os = "linux")]
const SOCKET_FLAGS: SocketFlags = SocketFlags::CLOEXEC;
#[cfg(not(target_os = "linux"))]
const SOCKET_FLAGS: SocketFlags = SocketFlags::empty();

/// Returns both ends of a template's socket, whose messages keep their bounds.
fn requests() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SOCKET_FLAGS, None)?;
    let ours = std::os::unix::net::UnixStream::from(ours);
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, theirs))
}

async fn read_report(requests: &UnixStream) -> io::Result<Report> {
    let mut report = vec![0; MAX_REPORT];
    loop {
        requests.readable().await?;
        match requests.try_read(&mut report) {
            Ok(count) => return Ok(serde_json::from_slice(&report[..count])?),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
