//! The guard: starts the program, waits for it, and ends every process below.
//!
//! It has a single thread until the program runs, and no async runtime: only a process with one thread can
//! leave namespaces, and each worker has a guard.

use crate::{
    Isolation,
    cgroup::Group,
    control::{control, send},
    system::{
        Guards, MEMORY_CHECK_INTERVAL, adopt_orphans, hide_memory, keep_to, kill, memory, started_below,
    },
    wire::{GuardMessage, KEEP, Spec, TERMINATE, receive_descriptors},
};
use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, kill_process_group, setrlimit, wait},
};
use std::{
    collections::BTreeMap,
    io::{self, Read},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

/// The interval of killing processes that were started during the previous kill.
const KILL_INTERVAL: Duration = Duration::from_millis(2);

/// An event for the guard.
enum Event {
    /// A descendant has ended.
    Ended(Pid, WaitStatus),
    /// No descendant is left.
    Empty,
    /// Another guard outlives the program.
    Keep(u32),
    /// The engine wants the program to end.
    Terminate,
    /// The engine wants everything to end, or is gone.
    Gone,
}

/// Guards that outlive the program, and when each was started. The program is the parent of those that it has forked, so one
/// may end unseen, and its id may belong to another process later.
#[derive(Debug, Default)]
struct Kept {
    guards: Guards,
    started: BTreeMap<u32, u64>,
}

impl Kept {
    fn guards(&self) -> &Guards {
        &self.guards
    }

    fn is_empty(&self) -> bool {
        self.guards.is_empty()
    }

    /// Keeps a guard, unless it has ended already.
    fn add(&mut self, guard: u32) {
        if let Some(started) = started_below(guard) {
            self.guards.insert(guard);
            self.started.insert(guard, started);
        }
    }

    /// Forgets those that have ended.
    fn check(&mut self) {
        let Self { guards, started } = self;
        guards.retain(|&guard| started_below(guard) == started.get(&guard).copied());
    }

    fn forget(&mut self, pid: Pid) {
        if let Ok(guard) = u32::try_from(pid.as_raw_nonzero().get()) {
            self.guards.remove(&guard);
        }
    }

    fn clear(&mut self) {
        self.guards.clear();
    }
}

/// Guards one program, as specified over the socket at standard input.
pub fn run() -> io::Result<()> {
    adopt_orphans()?;
    guard(None)
}

/// Guards as process 1 of the namespaces that [`Isolation::enter`] created.
pub fn inner(isolation: &Isolation) -> io::Result<()> {
    let mut control = control()?;
    if let Err(error) = isolation.finish() {
        return send(&mut control, &GuardMessage::failed("the worker cannot be isolated", &error));
    }
    guard(Some(isolation))
}

fn guard(isolation: Option<&Isolation>) -> io::Result<()> {
    // This process holds the version's configuration, and its socket has authority.
    hide_memory()?;
    let mut control = control()?;
    let inputs = receive_descriptors(&control)?;
    let spec = Spec::read(&control)?;
    match start(&spec, inputs, isolation) {
        Ok((group, program)) => watch_over(&spec, group.as_ref(), program, control),
        Err(message) => send(&mut control, &message),
    }
}

/// Guards a worker that was forked from another one, in a process that was forked with it: the worker is its child. The
/// socket at standard input is like that of other guards.
pub fn forked(program: i32) -> io::Result<()> {
    adopt_orphans()?;
    hide_memory()?;
    let mut control = control()?;
    let program = Pid::from_raw(program).ok_or(io::ErrorKind::InvalidInput)?;
    let spec = Spec::read(&control)?;
    match bound_forked(&spec, program) {
        Ok(group) => watch_over(&spec, group.as_ref(), program, control),
        // The worker ends with its own socket, which the engine closes then.
        Err(error) => send(&mut control, &GuardMessage::failed("its limits cannot be set", &error)),
    }
}

/// Sets the limits of a worker that was forked. It has those on files from the other worker.
fn bound_forked(spec: &Spec, program: Pid) -> io::Result<Option<Group>> {
    let Some(groups) = &spec.groups else {
        return spec.cpu.map_or(Ok(()), |cpu| keep_to(cpu, Some(program))).map(|()| None);
    };
    groups.join_guards()?;
    let group = groups.create(&spec.group, spec.memory, spec.cpu).ok();
    if let Some(group) = &group {
        group.add(program)?;
    }
    match spec.cpu {
        Some(cpu) if !group.as_ref().is_some_and(Group::limits_cpu) => keep_to(cpu, Some(program))?,
        _ => {}
    }
    Ok(group)
}

/// Watches over a program from its start to its end.
fn watch_over(spec: &Spec, group: Option<&Group>, program: Pid, mut control: UnixStream) -> io::Result<()> {
    let pid = program.as_raw_nonzero().get();
    send(&mut control, &GuardMessage::Started { pid, guard: std::process::id() })?;
    let (events, coming) = mpsc::channel();
    listen(control.try_clone()?, events.clone())?;
    watch(events)?;
    let mut kept = Kept::default();
    let ended = supervise(spec, group, program, &coming, &mut kept);
    send(&mut control, &ended)?;
    outlive(program, &coming, &mut kept);
    Ok(())
}

/// Starts the program within its limits.
fn start(
    spec: &Spec,
    inputs: Vec<OwnedFd>,
    isolation: Option<&Isolation>,
) -> Result<(Option<Group>, Pid), GuardMessage> {
    let group =
        spec.groups.as_ref().and_then(|groups| groups.create(&spec.group, spec.memory, spec.cpu).ok());
    let bound = bound(spec, group.as_ref());
    let started = bound.and_then(|()| {
        let mut inputs = inputs.into_iter();
        let input = inputs.next().ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut command = Command::new(&spec.program);
        command
            .args(&spec.arguments)
            .env_clear()
            .envs(spec.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&spec.folder)
            .stdin(Stdio::from(input))
            .process_group(0);
        let forks = inputs.next();
        if let (Some(name), Some(forks)) = (&spec.forks, &forks) {
            fcntl_setfd(forks, FdFlags::empty())?;
            command.env(name, forks.as_raw_fd().to_string());
        }
        isolation.into_iter().for_each(|isolation| isolation.give_up_rights(&mut command));
        command.spawn()
    });
    if let Some(group) = &group {
        group.leave().map_err(|error| {
            // Kills everything started so far; this process is in the group, too.
            group.kill();
            GuardMessage::failed("its control group cannot be left", &error)
        })?;
    }
    let child = started.map_err(|error| GuardMessage::failed("", &error))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    Ok((group, pid.ok_or_else(|| GuardMessage::failed("", &io::ErrorKind::InvalidData.into()))?))
}

/// Sets the limits that the next process inherits.
fn bound(spec: &Spec, group: Option<&Group>) -> io::Result<()> {
    let [soft, hard] = spec.files;
    setrlimit(Resource::Nofile, Rlimit { current: soft, maximum: hard })?;
    // A core dump holds the configuration and clients' data.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    if let Some(group) = group {
        group.enter()?;
    }
    match spec.cpu {
        // The affinity of a program that forks would be that of all its forks.
        Some(cpu) if !group.is_some_and(Group::limits_cpu) && spec.forks.is_none() => keep_to(cpu, None),
        _ => Ok(()),
    }
}

/// Waits until the program has ended or must end, then ends all descendants.
fn supervise(
    spec: &Spec,
    group: Option<&Group>,
    program: Pid,
    events: &Receiver<Event>,
    kept: &mut Kept,
) -> GuardMessage {
    let watched = spec.memory.filter(|_| !group.is_some_and(Group::limits_memory));
    let (mut status, mut out_of_memory) = (None, false);
    while status.is_none() {
        match next(events, watched) {
            Ok(Event::Ended(pid, how)) => {
                kept.forget(pid);
                status = (pid == program).then_some(how);
            }
            Ok(Event::Keep(guard)) => kept.add(guard),
            Ok(Event::Terminate) => drop(kill_process_group(program, Signal::TERM)),
            Ok(Event::Gone | Event::Empty) | Err(RecvTimeoutError::Disconnected) => {
                kept.clear();
                break;
            }
            Err(RecvTimeoutError::Timeout) => {
                out_of_memory = watched.is_some_and(|limit| memory(limit, kept.guards()) > limit);
                if out_of_memory {
                    break;
                }
            }
        }
    }
    let status = end_all(group, program, events, kept).or(status);
    let out_of_memory = out_of_memory || group.is_some_and(Group::ran_out_of_memory);
    GuardMessage::Ended { status: status.map_or(Signal::KILL.as_raw(), WaitStatus::as_raw), out_of_memory }
}

/// Kills until no descendant is left but the guards that are kept; returns the program's status if it ended only now.
///
/// A killed process leaves its children to this one, so each round may find more.
fn end_all(
    group: Option<&Group>,
    program: Pid,
    events: &Receiver<Event>,
    kept: &mut Kept,
) -> Option<WaitStatus> {
    let mut status = None;
    loop {
        kept.check();
        group.inspect(|group| group.kill());
        let are_any = kill(program, kept.guards());
        match events.recv_timeout(KILL_INTERVAL) {
            Ok(Event::Ended(pid, how)) if pid == program => status = Some(how),
            Ok(Event::Ended(pid, _)) => kept.forget(pid),
            Ok(Event::Keep(guard)) => kept.add(guard),
            Ok(Event::Gone) => kept.clear(),
            Ok(Event::Empty) | Err(RecvTimeoutError::Disconnected) => return status,
            Err(RecvTimeoutError::Timeout) if !are_any && !kept.is_empty() => return status,
            Ok(Event::Terminate) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Waits for the guards that outlive the program, whose orphans come here.
fn outlive(program: Pid, events: &Receiver<Event>, kept: &mut Kept) {
    if kept.is_empty() {
        return;
    }
    while !kept.is_empty() {
        match events.recv() {
            Ok(Event::Ended(pid, _)) => {
                kept.forget(pid);
                kill(program, kept.guards());
            }
            Ok(Event::Keep(_) | Event::Terminate) => {}
            Ok(Event::Gone | Event::Empty) | Err(_) => kept.clear(),
        }
    }
    end_all(None, program, events, kept);
}

fn next(events: &Receiver<Event>, watched: Option<u64>) -> Result<Event, RecvTimeoutError> {
    match watched {
        Some(_) => events.recv_timeout(MEMORY_CHECK_INTERVAL),
        None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}

/// Reads the engine's commands.
fn listen(mut control: UnixStream, events: Sender<Event>) -> io::Result<()> {
    let read_messages = move || {
        let mut byte = [0];
        while let Ok(1) = control.read(&mut byte) {
            let event = match byte[0] {
                TERMINATE => Event::Terminate,
                KEEP => {
                    let mut guard = [0; 4];
                    if control.read_exact(&mut guard).is_err() {
                        break;
                    }
                    Event::Keep(u32::from_le_bytes(guard))
                }
                _ => continue,
            };
            if events.send(event).is_err() {
                return;
            }
        }
        // Fails when the program ended first.
        let _ = events.send(Event::Gone);
    };
    thread::Builder::new().spawn(read_messages).map(drop)
}

/// Reaps every descendant that ends, including orphans.
fn watch(events: Sender<Event>) -> io::Result<()> {
    let wait = move || {
        while let Ok(ended) = wait(WaitOptions::empty()) {
            if let Some((pid, status)) = ended
                && events.send(Event::Ended(pid, status)).is_err()
            {
                return;
            }
        }
        // Without children, no more can follow.
        let _ = events.send(Event::Empty);
    };
    thread::Builder::new().spawn(wait).map(drop)
}
