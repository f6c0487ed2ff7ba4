//! The guard: starts the program, waits for it, and ends every process below.
//!
//! It has a single thread until the program runs, and no async runtime: only a process with one thread can
//! leave namespaces, and each worker has a guard.

use crate::{
    Isolation,
    cgroup::Group,
    control::{control, send},
    system::{MEMORY_CHECK_INTERVAL, adopt_orphans, hide_memory, keep_to, kill, memory},
    wire::{GuardMessage, Spec, TERMINATE, receive_input},
};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, kill_process_group, setrlimit, wait,
};
use std::{
    io::{self, Read},
    os::{
        fd::OwnedFd,
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
    /// The engine wants the program to end.
    Terminate,
    /// The engine wants everything to end, or is gone.
    Gone,
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
    let input = receive_input(&control)?;
    let spec = Spec::read(&control)?;
    let (group, program) = match start(&spec, input, isolation) {
        Ok(started) => started,
        Err(message) => return send(&mut control, &message),
    };
    send(&mut control, &GuardMessage::Started { pid: program.as_raw_nonzero().get() })?;
    let (events, coming) = mpsc::channel();
    listen(control.try_clone()?, events.clone())?;
    watch(events)?;
    let ended = supervise(&spec, group.as_ref(), program, &coming);
    send(&mut control, &ended)
}

/// Starts the program within its limits.
fn start(
    spec: &Spec,
    input: OwnedFd,
    isolation: Option<&Isolation>,
) -> Result<(Option<Group>, Pid), GuardMessage> {
    let group =
        spec.groups.as_ref().and_then(|groups| groups.create(&spec.group, spec.memory, spec.cpu).ok());
    let bound = bound(spec, group.as_ref());
    let started = bound.and_then(|()| {
        let mut command = Command::new(&spec.program);
        command
            .args(&spec.arguments)
            .env_clear()
            .envs(spec.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&spec.folder)
            .stdin(Stdio::from(input))
            .process_group(0);
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
        Some(cpu) if !group.is_some_and(Group::limits_cpu) => keep_to(cpu),
        _ => Ok(()),
    }
}

/// Waits until the program has ended or must end, then ends all descendants.
fn supervise(spec: &Spec, group: Option<&Group>, program: Pid, events: &Receiver<Event>) -> GuardMessage {
    let watched = spec.memory.filter(|_| !group.is_some_and(Group::limits_memory));
    let (mut status, mut out_of_memory) = (None, false);
    while status.is_none() {
        match next(events, watched) {
            Ok(Event::Ended(pid, how)) => status = (pid == program).then_some(how),
            Ok(Event::Terminate) => drop(kill_process_group(program, Signal::TERM)),
            Ok(Event::Gone | Event::Empty) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                out_of_memory = watched.is_some_and(|limit| memory(limit) > limit);
                if out_of_memory {
                    break;
                }
            }
        }
    }
    let status = end_all(group, program, events).or(status);
    let out_of_memory = out_of_memory || group.is_some_and(Group::ran_out_of_memory);
    GuardMessage::Ended { status: status.map_or(Signal::KILL.as_raw(), WaitStatus::as_raw), out_of_memory }
}

/// Kills until no descendant is left; returns the program's status if it ended only now.
///
/// A killed process leaves its children to this one, so each round may find more.
fn end_all(group: Option<&Group>, program: Pid, events: &Receiver<Event>) -> Option<WaitStatus> {
    let mut status = None;
    loop {
        group.inspect(|group| group.kill());
        kill(program);
        match events.recv_timeout(KILL_INTERVAL) {
            Ok(Event::Ended(pid, how)) if pid == program => status = Some(how),
            Ok(Event::Empty) | Err(RecvTimeoutError::Disconnected) => return status,
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
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
            if byte == [TERMINATE] && events.send(Event::Terminate).is_err() {
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
