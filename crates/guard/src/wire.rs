//! The protocol between the engine and a guard, over a socket that is the guard's standard input.
//!
//! The engine sends one byte that carries the program's standard input, then a [`Spec`], and later orders:
//! [`TERMINATE`] asks the program to end, [`keep`] names a guard that outlives the program, and the end of the
//! stream kills everything. The guard answers with lines of JSON, each a [`GuardMessage`].
//!
//! A program may fork others ([`Spec::forks`]), each with a guard of its own. The byte then carries the program's end of a
//! second socket, too, over which the engine asks for forks. The guard of a fork gets no byte: its program runs.

use crate::cgroup;
use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recvmsg, sendmsg,
    },
};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, IoSlice, IoSliceMut, Read},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

/// Asks the program's process group to end.
pub const TERMINATE: u8 = b't';

/// Begins the order of [`keep`].
pub(crate) const KEEP: u8 = b'k';

/// Returns the order not to kill a guard below, nor what is below it, when the program ends.
pub fn keep(guard: u32) -> [u8; 5] {
    let [a, b, c, d] = guard.to_le_bytes();
    [KEEP, a, b, c, d]
}

/// The most descriptors that a byte carries.
const MAX_DESCRIPTORS: usize = 5;

/// The largest [`Spec`], in bytes. The system's limit on environments is lower.
const MAX_SPEC: usize = 64 << 20;

/// The program to start, with its limits.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Spec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<PathBuf>,
    /// Its complete environment.
    pub environment: Vec<(String, String)>,
    /// Its working directory.
    pub folder: PathBuf,
    /// The memory limit of it and all its descendants, in bytes.
    pub memory: Option<u64>,
    /// The processor limit of them, in thousandths of a processor.
    pub cpu: Option<u32>,
    /// The limit of open files of each: soft and hard; `None` is no limit.
    pub files: [Option<u64>; 2],
    /// The parent of their control group.
    pub groups: Option<cgroup::Groups>,
    /// The name of that group, unique among the engine's workers.
    pub group: String,
    /// The variable that names the descriptor of its socket for forks, if it has one.
    pub forks: Option<String>,
}

/// A message of the guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardMessage {
    /// The program has started.
    Started {
        /// Its process id, which leads a process group.
        pid: i32,
        /// The guard's process id.
        guard: u32,
    },
    /// The program cannot be started.
    Failed {
        /// The system's error number, if there is one.
        errno: Option<i32>,
        /// The message.
        words: String,
    },
    /// The program and all its descendants have ended.
    Ended {
        /// The system's wait status.
        status: i32,
        /// Whether it was killed for exceeding its memory limit.
        out_of_memory: bool,
    },
}

impl GuardMessage {
    /// A failure with its error.
    pub(crate) fn failed(what: &str, error: &io::Error) -> Self {
        let words = if what.is_empty() { error.to_string() } else { format!("{what}: {error}") };
        Self::Failed { errno: error.raw_os_error().filter(|_| what.is_empty()), words }
    }
}

impl Spec {
    /// Encodes it, to be written after the first byte.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let body = serde_json::to_vec(self)?;
        let length = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok([&length.to_le_bytes()[..], &body].concat())
    }

    pub(crate) fn read(mut from: impl Read) -> io::Result<Self> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| io::ErrorKind::InvalidData)?;
        if length > MAX_SPEC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        Ok(serde_json::from_slice(&body)?)
    }
}

/// Linux's flags: no signal where the engine is gone, and no descriptor for children. Elsewhere Rust's runtime ignores
/// the signal, and [`receive_descriptors`] sets the descriptor's own flag.
#[cfg(target_os = "linux")]
const FLAGS: (SendFlags, RecvFlags) = (SendFlags::NOSIGNAL, RecvFlags::CMSG_CLOEXEC);
#[cfg(not(target_os = "linux"))]
const FLAGS: (SendFlags, RecvFlags) = (SendFlags::empty(), RecvFlags::empty());

/// Sends a byte, with at most 5 descriptors: the program's standard input and, if it forks, its socket for that, or what a
/// fork needs.
pub fn send_descriptors(socket: impl AsFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    sendmsg(socket, &[IoSlice::new(&[0])], &mut ancillary, FLAGS.0)?;
    Ok(())
}

/// Receives what [`send_descriptors`] sent: at least one.
pub fn receive_descriptors(control: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(control, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, FLAGS.1)?;
    let mut received = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            received.extend(descriptors);
        }
    }
    if received.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    received.iter().try_for_each(|descriptor| fcntl_setfd(descriptor, FdFlags::CLOEXEC))?;
    Ok(received)
}
