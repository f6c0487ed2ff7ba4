//! Code shared by tests of the binary: runs it, creates packages, and stops services.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The timeout of a test.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long a service may take to stop before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The `krt` command, without variables from the environment. All tests share Python environments in the
/// target folder.
pub(crate) fn krt() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_krt"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KRT_") {
            command.env_remove(name);
        }
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    command.env("KRT_CACHE", target.join("test-cache")).env_remove("COLUMNS");
    command
}

/// The outcome of a command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end, with `input` on standard input.
pub(crate) fn run_with(mut command: Command, input: &str) -> CommandOutput {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    // Fails if the command does not read all of it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    CommandOutput {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs `krt` with arguments to its end.
pub(crate) fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> CommandOutput {
    let mut command = krt();
    command.args(arguments);
    run_with(command, "")
}

/// A folder of files, removed on drop.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// Writes files, and creates the folders above them.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, content) in files {
            folder.write(name, content);
        }
        folder
    }

    /// A package with one Python node, `main`, behind the RPC `Greet`.
    pub(crate) fn greeter(main: &str) -> Self {
        Self::new(&[("krt.yml", MANIFEST), ("public_input.proto", PROTO), ("src/main.py", main)])
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

const MANIFEST: &str = "\
version: greeter-v1
description: Greets people by name.
entrypoint:
  proto: public_input.proto
  image: konstellation/kre-entrypoint:latest
nodes:
  - name: greeter
    image: konstellation/kre-py:latest
    src: src/main.py
workflows:
  - name: greeting
    entrypoint: Greet
    sequential:
      - greeter
";

const PROTO: &str = "\
syntax = \"proto3\";
package greeter;
service Entrypoint {
  rpc Greet(GreetRequest) returns (Greeting);
}
message GreetRequest {
  string name = 1;
}
message Greeting {
  string text = 1;
}
";

/// A running `krt run`, stopped on drop.
pub(crate) struct Service {
    child: Child,
    lines: Receiver<String>,
    records: Vec<Value>,
    address: SocketAddr,
    _data: TempDir,
}

impl Service {
    /// Starts a package on a free port with JSON logs, and waits until it listens.
    pub(crate) fn start(path: &Path, arguments: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut command = krt();
        command.arg("run").arg(path).args(["--listen", "127.0.0.1:0", "--log-format", "json", "--data"]);
        command.arg(data.path()).args(arguments);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = lines(child.stderr.take().unwrap());
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut service = Self { child, lines, records: Vec::new(), address: unknown, _data: data };
        let listening = service.wait_for(|record| message(record).starts_with("listening on "));
        let address = message(&listening).rsplit(' ').next().unwrap();
        service.address = address.parse().unwrap();
        service
    }

    /// The service's address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the first record since the start that matches.
    pub(crate) fn wait_for(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(record) = self.records.iter().find(|record| is_it(record)) {
            return record.clone();
        }
        let deadline = Instant::now() + TIMEOUT;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            let Ok(record) = serde_json::from_str::<Value>(&line) else {
                panic!("a line that is no record: {line}");
            };
            self.records.push(record.clone());
            if is_it(&record) {
                return record;
            }
        }
        panic!("the record did not come; there were {:#?}", self.records);
    }

    /// Stops it; returns its exit status and all its records.
    pub(crate) fn stop(mut self) -> (ExitStatus, Vec<Value>) {
        let status = end(&mut self.child);
        let rest = self.lines.iter().map(|line| serde_json::from_str(&line).unwrap());
        let records = self.records.drain(..).chain(rest).collect();
        (status, records)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A record's message.
pub(crate) fn message(record: &Value) -> &str {
    record["message"].as_str().unwrap_or_default()
}

/// The lines of a child, read by a thread so that the child never blocks.
pub(crate) fn lines(stderr: ChildStderr) -> Receiver<String> {
    let (tell, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Sends a signal to a child that was not reaped.
pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    // Fails if the child has ended, which is fine.
    let _ = kill_process(pid, signal);
}

/// Stops a child; kills it if that takes too long.
fn end(child: &mut Child) -> ExitStatus {
    if let Some(status) = child.try_wait().unwrap() {
        return status;
    }
    signal(child, Signal::TERM);
    let deadline = Instant::now() + STOP_TIMEOUT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap()
}
