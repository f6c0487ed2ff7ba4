//! Shows the output of tests on a terminal, line by line, with control characters escaped.

use crate::{output, terminal};
use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::Command,
};

/// The maximum length of a line, bytes; a longer one is split.
const MAX_LINE: u64 = 64 << 10;
/// How long remaining child processes may still write after the program's end.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// Runs a program with this process's own output; on a terminal, the output passes through this process. Ends
/// the program on drop.
pub(super) async fn run(mut command: Command) -> io::Result<ExitStatus> {
    if output::is_terminal() {
        command.stdout(Stdio::piped());
    }
    if terminal::is_terminal() {
        command.stderr(Stdio::piped());
    }
    let mut child = command.stdin(Stdio::null()).kill_on_drop(true).spawn()?;
    let out = pass(child.stdout.take(), |line| drop(output::print(line)));
    let errors = pass(child.stderr.take(), terminal::print_line);
    let passed = async { tokio::join!(out, errors) };
    tokio::pin!(passed);
    let status = tokio::select! {
        _ = &mut passed => return child.wait().await,
        status = child.wait() => status,
    };
    // It may have left processes that keep its output open.
    let _ = tokio::time::timeout(OUTPUT_GRACE, passed).await;
    status
}

async fn pass(from: Option<impl AsyncRead + Unpin>, print: impl Fn(&str)) {
    let Some(from) = from else { return };
    let (mut from, mut line) = (BufReader::new(from), Vec::new());
    while let Ok(1..) = (&mut from).take(MAX_LINE).read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        print(text.trim_end_matches(['\r', '\n']));
        line.clear();
    }
}
