//! A running `krt`.

use super::{
    PATIENCE,
    grpc::Client,
    http::Http,
    lines::Lines,
    processes::{self, Found},
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

/// A `krt` of which nothing is known yet. Dropped, it and all its processes are killed.
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

/// A `krt` that has ended, and what it left.
pub(crate) struct Ended {
    /// Its exit code; `None` is a signal.
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

    /// The processes that are up: the engine's and the hosts'.
    pub(crate) fn processes(&self) -> Vec<Found> {
        processes::marked(scratch::VARIABLE, self.scratch.path())
    }

    /// The processes of a node.
    pub(crate) fn hosts(&self, node: &str) -> Vec<i32> {
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

    /// Waits until it has ended and all its processes have.
    pub(crate) async fn end(mut self) -> Ended {
        let status = match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status.expect("it is a child of this process"),
            Err(_) => panic!("it does not end:\n{}", self.lines.text()),
        };
        processes::gone(scratch::VARIABLE, self.scratch.path()).await;
        self.lines.end().await;
        Ended {
            code: status.code(),
            lines: self.lines.clone(),
            data: self.data.clone(),
            _folder: Arc::clone(&self.folder),
        }
    }

    /// Asks it to end, which it must do well.
    pub(crate) async fn stop(self) -> Ended {
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
    /// A gRPC client with a connection of its own.
    pub(crate) fn client(&self) -> Client {
        self.client.connect_anew()
    }

    /// A client for plain HTTP/1.1.
    pub(crate) fn http(&self) -> Http {
        Http::one(self.address)
    }

    /// A client for plain HTTP/2, without TLS.
    pub(crate) fn h2c(&self) -> Http {
        Http::two(self.address)
    }

    /// Calls an RPC, with JSON for the messages.
    pub(crate) async fn call(&self, rpc: &str, request: Value) -> Result<Value, Status> {
        self.client.call(rpc, request).await
    }

    /// The same, saying how long to wait for the answer.
    pub(crate) async fn call_within(
        &self,
        deadline: Duration,
        rpc: &str,
        request: Value,
    ) -> Result<Value, Status> {
        self.client.call_within(deadline, rpc, request).await
    }

    /// Asks it to end, which it must do well.
    pub(crate) async fn stop(self) -> Ended {
        self.process.stop().await
    }

    /// Waits until it has ended, for another reason.
    pub(crate) async fn end(self) -> Ended {
        self.process.end().await
    }
}

impl Ended {
    /// The folder where it kept its data.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Reads what it stored.
    pub(crate) fn reader(&self) -> Reader {
        Reader::open(&self.data).expect("it has left a store")
    }
}
