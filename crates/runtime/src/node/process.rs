//! A worker's process: its start, its end, and the reason for its end.

use super::older::Older;
use crate::descriptors::Descriptors;
use krt_guard::{
    Isolation,
    cgroup::Groups,
    wire::{self, GuardMessage, Spec},
};
use krt_model::{
    outcome::HandlerResult,
    version::{Limits, Memory},
};
use rustix::{
    net::sockopt::set_socket_send_buffer_size,
    process::{Pid, Signal, kill_process, kill_process_group},
};
use std::{
    fmt, io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf, pipe},
    },
    process::{Child, Command},
};

/// How long a guard may take to kill its processes.
const GUARD_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest line of what [`run_isolated`] runs, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// Bytes in transit in one direction of a worker's socket.
const SOCKET_BUFFER: usize = 1 << 20;

/// Makes the C library of a template ask for large pages, where the system has them on request: a fork copies a table of all
/// pages, and with small ones that takes most of its time. The user's own settings win.
const LARGE_PAGES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");

/// The variable with the descriptor of a template's socket for forks.
const FORKS: &str = "KRT_FORKS";

/// Makes a worker's C library keep the memory of large messages for the next one. Returning and reallocating
/// it takes a third of the time of a 1 MiB message through a Python node. The user's own settings win.
const ALLOCATOR: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "8388608"), ("MALLOC_TRIM_THRESHOLD_", "33554432")];

/// The command of a node's worker.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program: an interpreter, or the node's own executable.
    pub program: PathBuf,
    /// The arguments.
    pub arguments: Vec<PathBuf>,
    /// All environment variables.
    pub environment: Vec<(String, String)>,
    /// The working directory: the package's root.
    pub folder: PathBuf,
    /// Restrictions, if workers are isolated.
    pub isolation: Option<Isolation>,
    /// Services for the process, if its executable was built with an older runner.
    pub older: Option<Arc<Older>>,
}

impl Launch {
    /// Sets variables, in place of those of the same names.
    pub(super) fn set(&mut self, variables: Vec<(String, String)>) {
        self.environment.retain(|(name, _)| variables.iter().all(|(set, _)| set != name));
        self.environment.extend(variables);
    }
}

/// State shared by all workers of an engine.
///
/// It holds the read end of a pipe to which nothing is written: end of file tells workers that the engine is
/// gone. Only the engine's process holds the write end, which the kernel closes with it.
#[derive(Debug)]
pub struct Lifeline {
    read: OwnedFd,
    _write: OwnedFd,
    descriptors: Descriptors,
    groups: Option<Groups>,
    guards: Box<dyn Guards>,
    started: AtomicU64,
}

/// Starts the guards of workers: processes, or parts of a test.
pub(super) trait Guards: fmt::Debug + Send + Sync {
    /// Starts a guard, with `input` as its standard input. Returns its process, if it is one.
    fn start(&self, input: OwnedFd, isolation: Option<&Isolation>) -> io::Result<Option<Child>>;
}

/// Starts guards as processes of this program.
#[derive(Debug)]
struct OwnProgram;

impl Guards for OwnProgram {
    fn start(&self, input: OwnedFd, isolation: Option<&Isolation>) -> io::Result<Option<Child>> {
        let mut command = Command::new(krt_guard::program()?);
        command.arg0("krt").arg("worker").env_clear();
        if let Some(isolation) = isolation {
            command.arg("--isolate").arg(serde_json::to_string(isolation)?);
        }
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Once it has started, dropping the command closes this side's copy of `input`, which would hide the
        // guard's death.
        command.process_group(0).spawn().map(Some)
    }
}

impl Lifeline {
    /// Creates the pipe. Every process started from now on inherits the read end. Workers get the descriptor
    /// limit in `descriptors`, with which the engine itself was started.
    pub fn new(descriptors: Descriptors) -> io::Result<Self> {
        Self::with_guards(descriptors, Box::new(OwnProgram))
    }

    pub(super) fn with_guards(descriptors: Descriptors, guards: Box<dyn Guards>) -> io::Result<Self> {
        use rustix::io::{FdFlags, fcntl_setfd};
        let (read, write) = io::pipe()?;
        let (read, write) = (OwnedFd::from(read), OwnedFd::from(write));
        fcntl_setfd(&read, FdFlags::empty())?;
        // Workers reopen it, also as other users; none may open the write end. Elsewhere pipes have no modes.
        #[cfg(target_os = "linux")]
        rustix::fs::fchmod(&read, rustix::fs::Mode::from_raw_mode(0o444))?;
        let groups = Groups::find();
        Ok(Self { read, _write: write, descriptors, groups, guards, started: AtomicU64::new(0) })
    }

    /// Duplicates the descriptor of the read end.
    fn share(&self) -> io::Result<OwnedFd> {
        self.read.try_clone()
    }

    fn number(&self) -> i32 {
        use std::os::fd::AsRawFd;
        self.read.as_raw_fd()
    }

    /// Returns the limits that the guard of a fork enforces.
    pub(super) fn spec_of_fork(&self, launch: &Launch, limits: Limits) -> Spec {
        Spec { environment: Vec::new(), arguments: Vec::new(), ..self.spec(launch, limits, Vec::new()) }
    }

    /// Returns what a guard must start.
    fn spec(&self, launch: &Launch, limits: Limits, variables: Vec<(String, String)>) -> Spec {
        let has_rights = launch.isolation.as_ref().is_none_or(|isolation| isolation.user.is_some());
        Spec {
            program: launch.program.clone(),
            arguments: launch.arguments.clone(),
            environment: environment(launch, variables),
            folder: launch.folder.clone(),
            memory: limits.memory.map(|memory| memory.0),
            cpu: limits.cpu,
            files: self.descriptors.of_worker(limits.files),
            // A worker that runs as the engine's user could change its own group.
            groups: self.groups.clone().filter(|_| has_rights),
            group: self.started.fetch_add(1, Ordering::Relaxed).to_string(),
            forks: None,
        }
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.groups.iter().for_each(Groups::remove);
    }
}

/// A running worker, the leader of its own process group, and its guard, which is its parent.
///
/// If dropped, the guard kills the worker and every process that the worker started.
#[derive(Debug)]
pub(super) struct Process {
    /// The guard's process, unless it is part of a test.
    guard: Option<GuardProcess>,
    messages: Lines<BufReader<OwnedReadHalf>>,
    control: Arc<Control>,
    /// The worker's process id, unless the worker is isolated.
    worker: Option<Pid>,
    /// The worker's control group, if any.
    group: Option<(Groups, String)>,
    limits: Limits,
    end: Option<ProcessEnd>,
    /// What it was forked from, which ends once this is dropped.
    origin: Option<Arc<dyn fmt::Debug + Send + Sync>>,
}

/// The process of a guard.
#[derive(Debug)]
enum GuardProcess {
    /// A child of this process.
    Child(Child),
    /// That of a worker which was forked: its parent is the guard of what it was forked from.
    Forked {
        pid: u32,
        /// The worker's standard output and error, until they are taken.
        outputs: Option<(pipe::Receiver, pipe::Receiver)>,
    },
}

/// What a process prints.
pub(super) type Output = Box<dyn AsyncRead + Send + Unpin>;

/// The writing side of the socket to a guard. Once dropped, the guard kills everything.
#[derive(Debug)]
pub(super) struct Control(OwnedWriteHalf);

impl Control {
    /// Makes the guard kill everything.
    pub(super) fn close(&self) {
        // Fails if the guard has ended.
        let stream: &UnixStream = self.0.as_ref();
        let _ = rustix::net::shutdown(stream, rustix::net::Shutdown::Write);
    }

    /// Asks the guard not to kill another one below it when its program ends.
    fn keep(&self, guard: u32) {
        // Fails if the guard has ended, and what is below it, too.
        let _ = self.0.try_write(&wire::keep(guard));
    }
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessEnd {
    /// The description.
    pub(super) how: String,
    /// Whether the exit status was 0.
    is_well: bool,
    /// The memory limit, if the worker exceeded it.
    pub(super) out_of_memory: Option<Memory>,
}

impl ProcessEnd {
    pub(super) fn of(how: impl Into<String>) -> Self {
        Self { how: how.into(), is_well: false, out_of_memory: None }
    }

    /// Adds what happened before.
    pub(super) fn after(mut self, what: &str) -> Self {
        self.how = format!("{}, after {what}", self.how);
        self
    }

    /// Returns the result of a message that was in flight.
    pub(super) fn result(&self) -> HandlerResult {
        match self.out_of_memory {
            Some(limit) => HandlerResult::OutOfMemory(limit),
            None => HandlerResult::Died(self.how.clone()),
        }
    }
}

impl Process {
    /// Starts a worker. Returns the engine's end of its socket as well. `forks`: the worker's end of the socket over which
    /// it is asked for forks.
    pub(super) async fn start(
        launch: &Launch,
        limits: Limits,
        lifeline: &Lifeline,
        forks: Option<OwnedFd>,
    ) -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = pair()?;
        let variables = [
            ("KRT_NODE_PROTOCOL", super::frame::PROTOCOL.to_string()),
            ("KRT_LIFELINE", lifeline.number().to_string()),
        ];
        let (name, value) = LARGE_PAGES;
        let is_set = launch.environment.iter().any(|(set, _)| set == name);
        let large_pages = (forks.is_some() && !is_set).then(|| (name, value.to_owned()));
        let variables = variables.into_iter().chain(large_pages);
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).collect();
        let mut spec = lifeline.spec(launch, limits, variables);
        spec.forks = forks.as_ref().map(|_| FORKS.to_owned());
        let inputs = std::iter::once(OwnedFd::from(theirs)).chain(forks).collect();
        let process = Self::spawn(lifeline, &spec, inputs, limits, launch.isolation.as_ref()).await?;
        Ok((process, UnixStream::from_std(ours)?))
    }

    /// Forks a worker from another process: `requests` is the socket to that, `of_origin` the one to its guard. Returns the
    /// engine's end of the worker's socket as well.
    pub(super) async fn fork(
        requests: &UnixStream,
        of_origin: &Control,
        origin: Arc<dyn fmt::Debug + Send + Sync>,
        spec: &Spec,
    ) -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = pair()?;
        let (control, guards) = std::os::unix::net::UnixStream::pair()?;
        let (stdout, of_stdout) = io::pipe()?;
        let (stderr, of_stderr) = io::pipe()?;
        let program = std::fs::File::open(krt_guard::program()?)?;
        let descriptors =
            [theirs.as_fd(), guards.as_fd(), of_stdout.as_fd(), of_stderr.as_fd(), program.as_fd()];
        wire::send_descriptors(requests, &descriptors)?;
        // The end of the guard is the end of these.
        drop((theirs, guards, of_stdout, of_stderr));
        let receiver = |output: io::PipeReader| pipe::Receiver::from_owned_fd(output.into());
        let outputs = Some((receiver(stdout)?, receiver(stderr)?));
        let limits = Limits { memory: spec.memory.map(Memory), ..Limits::default() };
        let guard = Some(GuardProcess::Forked { pid: 0, outputs });
        let mut process = Self::begin(control, guard, spec, limits, None).await?;
        process.origin = Some(origin);
        if let Some(guard) = process.guard() {
            of_origin.keep(guard);
        }
        Ok((process, UnixStream::from_std(ours)?))
    }

    /// Starts an executable built with an older runner, with these variables.
    pub(super) async fn start_older(
        launch: &Launch,
        limits: Limits,
        lifeline: &Lifeline,
        variables: &[(&'static str, String)],
    ) -> io::Result<Self> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let spec = lifeline.spec(launch, limits, variables);
        Self::spawn(lifeline, &spec, vec![lifeline.share()?], limits, launch.isolation.as_ref()).await
    }

    async fn spawn(
        lifeline: &Lifeline,
        spec: &Spec,
        inputs: Vec<OwnedFd>,
        limits: Limits,
        isolation: Option<&Isolation>,
    ) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let guard = lifeline.guards.start(theirs.into(), isolation)?;
        let descriptors: Vec<BorrowedFd<'_>> = inputs.iter().map(|input| input.as_fd()).collect();
        wire::send_descriptors(&ours, &descriptors)?;
        drop(inputs);
        Self::begin(ours, guard.map(GuardProcess::Child), spec, limits, isolation).await
    }

    /// Sends a guard what it needs, and waits until its program has started.
    async fn begin(
        ours: std::os::unix::net::UnixStream,
        guard: Option<GuardProcess>,
        spec: &Spec,
        limits: Limits,
        isolation: Option<&Isolation>,
    ) -> io::Result<Self> {
        ours.set_nonblocking(true)?;
        let (messages, mut control) = UnixStream::from_std(ours)?.into_split();
        let messages = BufReader::new(messages).lines();
        let sent = control.write_all(&spec.encode()?).await;
        let group = spec.groups.clone().map(|groups| (groups, spec.group.clone()));
        let control = Arc::new(Control(control));
        let mut process =
            Self { guard, messages, control, worker: None, group, limits, end: None, origin: None };
        match process.recv().await {
            Some(GuardMessage::Started { pid, guard }) => {
                process.worker = Pid::from_raw(pid).filter(|_| isolation.is_none());
                if let Some(GuardProcess::Forked { pid, .. }) = &mut process.guard {
                    *pid = guard;
                }
            }
            Some(GuardMessage::Failed { errno: Some(errno), .. }) => {
                return Err(io::Error::from_raw_os_error(errno));
            }
            Some(GuardMessage::Failed { words, .. }) => return Err(io::Error::other(words)),
            Some(GuardMessage::Ended { .. }) | None => {
                return Err(sent.err().unwrap_or_else(|| io::Error::other("its guard ended")));
            }
        }
        Ok(process)
    }

    async fn recv(&mut self) -> Option<GuardMessage> {
        let line = self.messages.next_line().await.ok().flatten()?;
        serde_json::from_str(&line).ok()
    }

    /// Returns the id of the guard's process.
    pub(super) fn guard(&self) -> Option<u32> {
        match self.guard.as_ref()? {
            GuardProcess::Child(child) => child.id(),
            GuardProcess::Forked { pid, .. } => Some(*pid),
        }
    }

    /// Returns the writing side of the socket to the guard.
    pub(super) fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// Whether it shares memory with other workers.
    pub(super) fn shares(&self) -> bool {
        self.origin.is_some()
    }

    /// Takes the process's standard output and error.
    pub(super) fn take_outputs(&mut self) -> (Option<Output>, Option<Output>) {
        fn boxed(output: Option<impl AsyncRead + Send + Unpin + 'static>) -> Option<Output> {
            output.map(|output| Box::new(output) as Output)
        }
        match &mut self.guard {
            Some(GuardProcess::Child(child)) => (boxed(child.stdout.take()), boxed(child.stderr.take())),
            Some(GuardProcess::Forked { outputs, .. }) => {
                let (stdout, stderr) = outputs.take().unzip();
                (boxed(stdout), boxed(stderr))
            }
            None => (None, None),
        }
    }

    /// Waits for the process to end, and for the guard to kill its descendants.
    pub(super) async fn ended(&mut self) -> ProcessEnd {
        if self.end.is_none() {
            let messages = self.recv().await;
            self.end = Some(self.interpret(messages.as_ref()));
        }
        self.end.clone().unwrap_or_else(|| ProcessEnd::of("its end is unknown"))
    }

    fn interpret(&self, messages: Option<&GuardMessage>) -> ProcessEnd {
        match messages {
            Some(GuardMessage::Ended { out_of_memory: true, .. }) if let Some(limit) = self.limits.memory => {
                ProcessEnd {
                    how: format!(
                        "killed for memory: with the processes that it started it took more than {limit}"
                    ),
                    is_well: false,
                    out_of_memory: Some(limit),
                }
            }
            Some(GuardMessage::Ended { status, .. }) => {
                let status = ExitStatus::from_raw(*status);
                ProcessEnd { is_well: status.success(), ..ProcessEnd::of(describe(status)) }
            }
            _ => {
                self.kill_what_is_left();
                ProcessEnd::of("its guard was killed")
            }
        }
    }

    /// Makes the guard kill everything, and waits for the process.
    pub(super) async fn kill(&mut self) -> ProcessEnd {
        // The guard reads end of file.
        self.control.close();
        let ended = tokio::time::timeout(GUARD_TIMEOUT, self.ended()).await;
        if ended.is_err() {
            // A signal may have stopped the guard.
            self.kill_guard();
        }
        match ended {
            Ok(end) => end,
            Err(_) => self.ended().await,
        }
    }

    fn kill_guard(&mut self) {
        // Fails if the guard has ended.
        match &mut self.guard {
            Some(GuardProcess::Child(child)) => drop(child.start_kill()),
            Some(GuardProcess::Forked { pid, .. }) => {
                let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
                let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
            }
            None => {}
        }
    }

    /// Sends SIGTERM to the worker's group, through the guard.
    pub(super) fn terminate(&self) {
        // Fails if the guard has ended.
        let _ = self.control.0.try_write(&[wire::TERMINATE]);
    }

    /// Kills what can be found without the guard: the worker's control group, or its process group.
    fn kill_what_is_left(&self) {
        self.group.iter().for_each(|(groups, name)| groups.kill(name));
        if let Some(worker) = self.worker {
            // Fails if the group is empty.
            let _ = kill_process_group(worker, Signal::KILL);
        }
    }
}

/// Runs `krt` with these arguments and variables in isolation, to its end, and passes on the lines of its output.
/// Fails if it cannot be isolated, or exits with another status than 0.
///
/// If dropped, its guard kills it and every process that it started.
pub async fn run_isolated(
    arguments: Vec<PathBuf>,
    environment: Vec<(String, String)>,
    isolation: Isolation,
    lifeline: &Lifeline,
    on_line: &(dyn Fn(&str) + Send + Sync),
) -> io::Result<()> {
    let launch = Launch {
        program: krt_guard::program()?,
        arguments,
        environment,
        folder: PathBuf::from("/"),
        isolation: Some(isolation),
        older: None,
    };
    let mut process = Process::start_older(&launch, Limits::default(), lifeline, &[]).await?;
    let (output, errors) = process.take_outputs();
    let (end, (), ()) =
        tokio::join!(process.ended(), read_lines(output, on_line), read_lines(errors, on_line));
    if end.is_well { Ok(()) } else { Err(io::Error::other(end.how)) }
}

/// Passes on the lines of an output until it ends. Longer lines than [`MAX_LINE`] come in parts.
async fn read_lines(output: Option<impl AsyncRead + Unpin>, on_line: &(dyn Fn(&str) + Send + Sync)) {
    let Some(output) = output else { return };
    let (mut lines, mut line) = (BufReader::new(output), Vec::new());
    while let Ok(1..) = (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line).await {
        on_line(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

/// Returns a worker's variables: for its C library, of its launch, and further ones.
fn environment(launch: &Launch, variables: Vec<(String, String)>) -> Vec<(String, String)> {
    let is_set = |name: &str| launch.environment.iter().any(|(set, _)| set == name);
    let allocator = ALLOCATOR.into_iter().filter(|(name, _)| !is_set(name));
    let allocator = allocator.map(|(name, value)| (name.to_owned(), value.to_owned()));
    allocator.chain(launch.environment.iter().cloned()).chain(variables).collect()
}

/// Returns both ends of a socket. With this buffer, a 1 MiB message takes only a few switches between the two
/// processes.
fn pair() -> io::Result<(std::os::unix::net::UnixStream, std::os::unix::net::UnixStream)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    for end in [&ours, &theirs] {
        // The system lowers it to its own maximum.
        set_socket_send_buffer_size(end, SOCKET_BUFFER)?;
    }
    Ok((ours, theirs))
}

/// Describes how a process ended.
fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => match Signal::from_named_raw(signal).and_then(signal_name) {
            Some(name) => format!("killed by signal {signal} ({name})"),
            None => format!("killed by signal {signal}"),
        },
        (None, Some(code)) => format!("it exited with status {code}"),
        (None, None) => "its end is unknown".to_owned(),
    }
}

fn signal_name(signal: Signal) -> Option<&'static str> {
    Some(match signal {
        Signal::KILL => "SIGKILL",
        Signal::SEGV => "SIGSEGV, a crash in native code",
        Signal::ABORT => "SIGABRT",
        Signal::TERM => "SIGTERM",
        Signal::BUS => "SIGBUS, a crash in native code",
        Signal::ILL => "SIGILL, a crash in native code",
        Signal::FPE => "SIGFPE, a crash in native code",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
