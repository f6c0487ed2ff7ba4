//! Takes over what the engine passes to this process: a socket as standard input, and the lifeline.

use rustix::process::{Signal, getpgrp, kill_process_group};
use std::{
    env,
    fs::File,
    io::{self, Read as _},
    os::unix::net::UnixStream,
    thread,
};

/// Why there is no connection to the engine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("this is a node, which krt starts itself; hint: `krt run` its package")]
    NoEngine,
    #[error("cannot take the engine's socket from standard input: {0}")]
    System(#[from] io::Error),
}

/// The engine's socket. Afterwards standard input is empty for user code.
pub(crate) fn socket() -> Result<UnixStream, Error> {
    if env::var_os("KRT_NODE_PROTOCOL").is_none() {
        return Err(Error::NoEngine);
    }
    if let Ok(number) = env::var("KRT_LIFELINE") {
        hold(File::open(format!("/dev/fd/{number}"))?)?;
    }
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(io::Error::from)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?).map_err(io::Error::from)?;
    Ok(UnixStream::from(socket))
}

/// Ends the process group once the engine is gone: nothing is ever written to the pipe, so a read returns
/// only then.
fn hold(mut lifeline: File) -> io::Result<()> {
    let wait = move || {
        while lifeline.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
        // Cannot fail for the process's own group, and there would be no remedy.
        let _ = kill_process_group(getpgrp(), Signal::KILL);
    };
    thread::Builder::new().name("lifeline".to_owned()).stack_size(64 << 10).spawn(wait).map(drop)
}
