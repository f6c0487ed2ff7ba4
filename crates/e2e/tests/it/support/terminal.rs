//! A pseudo-terminal for commands.

use super::eventually;
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use std::{
    fs::File,
    io::Read as _,
    os::fd::OwnedFd,
    process::{Command, ExitStatus},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

/// A terminal that records its output.
pub(crate) struct Terminal {
    writer: File,
    written: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    /// Opens a terminal wide enough for the lines of these tests.
    pub(crate) fn open() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("the system has terminals");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is ours");
        let name = ptsname(&master, Vec::new()).expect("it has a name").into_string().expect("it is a path");
        let writer = File::options().read(true).write(true).open(name).expect("it is ours");
        let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&writer, size).expect("it is a terminal");
        let written = Arc::default();
        let reader = thread::spawn({
            let written = Arc::clone(&written);
            move || read(master, &written)
        });
        Self { writer, written, reader }
    }

    /// The end for programs to write to.
    pub(crate) fn writer(&self) -> File {
        self.writer.try_clone().expect("there are file descriptors left")
    }

    /// Waits for a text in the output; returns the rest of its line.
    pub(crate) async fn until(&self, text: &str) -> String {
        eventually(text, async || {
            let written = String::from_utf8_lossy(&self.written.lock().expect("nobody panics")).into_owned();
            let (_, rest) = written.split_once(text)?;
            Some(rest.split_once("\r\n")?.0.to_owned())
        })
        .await
    }

    /// The complete output, after the programs have ended.
    pub(crate) fn written(self) -> String {
        drop(self.writer);
        self.reader.join().expect("nobody panics");
        let bytes = self.written.lock().expect("nobody panics").clone();
        String::from_utf8(bytes).expect("it writes UTF-8")
    }
}

/// Reads until no process has it open any more, which the read reports as an error.
fn read(master: OwnedFd, written: &Mutex<Vec<u8>>) {
    let (mut master, mut part) = (File::from(master), [0; 4096]);
    while let Ok(count @ 1..) = master.read(&mut part) {
        written.lock().expect("nobody panics").extend_from_slice(&part[..count]);
    }
}

/// Runs a command on a terminal; returns its exit status and its output.
pub(crate) fn on_terminal(command: &mut Command) -> (ExitStatus, String) {
    let terminal = Terminal::open();
    let mut child = {
        let both = command.stdout(terminal.writer()).stderr(terminal.writer());
        both.spawn().expect("the binary can be executed")
    };
    // `command` would keep the terminal open as long as it exists.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let status = child.wait().expect("it is a child of this process");
    (status, terminal.written())
}
