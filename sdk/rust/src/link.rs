//! The write side of the connection: whole frames, from any thread, in order.

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{SendFlags, send},
};
use std::os::unix::net::UnixStream;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// No signal where the engine is gone. Outside of Linux the flag may not exist; Rust's runtime ignores the signal.
#[cfg(target_os = "linux")]
const FLAGS: SendFlags = SendFlags::NOSIGNAL;
#[cfg(not(target_os = "linux"))]
const FLAGS: SendFlags = SendFlags::empty();

/// Writes frames. Waits while the engine is slow; writes nothing once the engine is gone.
pub(crate) struct Link {
    stream: UnixStream,
    turn: Mutex<()>,
    gone: AtomicBool,
}

impl Link {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, turn: Mutex::new(()), gone: AtomicBool::new(false) }
    }

    /// Writes a whole frame.
    pub(crate) fn send(&self, frame: &[u8]) {
        let _turn = lock(&self.turn);
        let mut rest = frame;
        while !rest.is_empty() && !self.is_gone() {
            match send(&self.stream, rest, FLAGS) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(),
                Err(_) => self.leave(),
            }
        }
    }

    /// Waits until the engine can take more.
    fn wait(&self) {
        let mut ready = [PollFd::new(&self.stream, PollFlags::OUT)];
        if poll(&mut ready, None).is_err_and(|error| error != Errno::INTR) {
            self.leave();
        }
    }

    /// Marks the engine as gone.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

/// Locks a value that no panic can leave half-changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
