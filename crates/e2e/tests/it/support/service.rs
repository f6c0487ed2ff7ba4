//! A running `krt`.

use super::{
    TIMEOUT, eventually,
    grpc::Client,
    http::Http,
    lines::Lines,
    processes::{self, ProcessInfo},
    scratch::{self, Scratch},
};
use krt_servers::NatsServer;
use krt_store::Reader;
use rustix::process::Signal;
use serde_json::Value;
use std::{
    net::SocketAddr,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::process::Child;
use tonic::Status;

/// A started `krt` in an unknown state. Drop kills it and all its processes.
pub(crate) struct Process {
    child: Child,
    pid: i32,
    pub(crate) lines: Lines,
    data: PathBuf,
    folder: Arc<TempDir>,
    pub(crate) scratch: Scratch,
    _broker: Option<NatsServer>,
}

/// A `krt` that serves.
pub(crate) struct Service {
    process: Process,
    pub(crate) address: SocketAddr,
    client: Client,
}

/// A `krt` that has exited, and its data.
pub(crate) struct Exited {
    /// The exit code; `None` for a signal.
    pub(crate) code: Option<i32>,
    pub(crate) lines: Lines,
    data: PathBuf,
    _folder: Arc<TempDir>,
}

impl Process {
    pub(super) fn new(
        child: Child,
        lines: Lines,
        data: PathBuf,
        folder: TempDir,
        scratch: Scratch,
        broker: Option<NatsServer>,
    ) -> Self {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).expect("it was just started");
        Self { child, pid, lines, data, folder: Arc::new(folder), scratch, _broker: broker }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// The running processes: the engine and the workers.
    pub(crate) fn processes(&self) -> Vec<ProcessInfo> {
        let mut found = processes::marked(scratch::VARIABLE, self.scratch.path());
        // Workers of a team's server inherit no mark, but their packages are in its data folder.
        found.extend(
            processes::based(&self.data)
                .into_iter()
                .filter(|other| !found.contains(other))
                .collect::<Vec<_>>(),
        );
        found
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The processes of a node.
    pub(crate) fn workers(&self, node: &str) -> Vec<i32> {
        let found = self.processes().into_iter();
        found.filter(|found| found.node.as_deref() == Some(node)).map(|found| found.pid).collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        processes::signal(self.pid, signal);
    }

    /// Waits until it serves.
    pub(super) async fn serve(self, package: &Path) -> Service {
        let listening = self.lines.wait("a port", |record| record.message.starts_with("listening on "));
        let record = listening.await;
        let address = record.message["listening on ".len()..].parse().expect("the record names an address");
        Service { process: self, address, client: Client::new(package, address) }
    }

    /// Waits until it and all its processes have ended.
    pub(crate) async fn end(mut self) -> Exited {
        let status = match tokio::time::timeout(TIMEOUT, self.child.wait()).await {
            Ok(status) => status.expect("it is a child of this process"),
            Err(_) => panic!("it does not end:\n{}", self.lines.text()),
        };
        processes::gone(scratch::VARIABLE, self.scratch.path()).await;
        eventually("all workers end", async || processes::based(&self.data).is_empty().then_some(())).await;
        self.lines.end().await;
        Exited {
            code: status.code(),
            lines: self.lines.clone(),
            data: self.data.clone(),
            _folder: Arc::clone(&self.folder),
        }
    }

    /// Stops it, which must succeed.
    pub(crate) async fn stop(self) -> Exited {
        self.signal(Signal::TERM);
        let ended = self.end().await;
        assert_eq!(ended.code, Some(0), "it did not end well:\n{}", ended.lines.text());
        ended
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for found in self.processes() {
            processes::signal(found.pid, Signal::KILL);
        }
    }
}

impl Deref for Service {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Service {
    /// A gRPC client with a separate connection.
    pub(crate) fn client(&self) -> Client {
        self.client.reconnected()
    }

    /// A client for plain HTTP/1.1.
    pub(crate) fn http(&self) -> Http {
        Http::one(self.address)
    }

    /// A client for plain HTTP/2, without TLS.
    pub(crate) fn h2c(&self) -> Http {
        Http::two(self.address)
    }

    /// Calls an RPC, with messages as JSON.
    pub(crate) async fn call(&self, rpc: &str, request: Value) -> Result<Value, Status> {
        self.client.call(rpc, request).await
    }

    /// Calls an RPC with a deadline.
    pub(crate) async fn call_within(
        &self,
        deadline: Duration,
        rpc: &str,
        request: Value,
    ) -> Result<Value, Status> {
        self.client.call_within(deadline, rpc, request).await
    }

    /// Stops it, which must succeed.
    pub(crate) async fn stop(self) -> Exited {
        self.process.stop().await
    }

    /// Waits until it has exited for another reason.
    pub(crate) async fn end(self) -> Exited {
        self.process.end().await
    }
}

impl Exited {
    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Opens its store.
    pub(crate) fn reader(&self) -> Reader {
        Reader::open(&self.data).expect("it has left a store")
    }
}
