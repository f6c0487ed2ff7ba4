//! One host: a process, its link, and the task that sees both through to their end.

use super::{
    Lifeline, Node, frame,
    link::{Ended, Link},
    output,
    process::{Process, describe},
};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};

/// How long a process may take to end after its socket has closed, with nothing left to answer.
const GOODBYE: Duration = Duration::from_secs(2);
/// The same, while clients wait to hear of the end.
const LINGER: Duration = Duration::from_millis(50);
/// How long output that is still in the pipes is waited for, after the process has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A host that is ready.
#[derive(Debug)]
pub(super) struct Host {
    link: Arc<Link>,
    task: JoinHandle<Exit>,
}

/// How a host ended.
#[derive(Debug)]
pub(super) struct Exit {
    /// In words.
    pub(super) how: String,
    /// Whether it had answered something.
    pub(super) useful: bool,
}

/// Why a host did not become ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The process could not be started.
    #[error("`{program}` cannot be started")]
    Spawn {
        /// What should have been started.
        program: String,
        /// Why it was not.
        #[source]
        source: io::Error,
    },
    /// User code failed: an import, or `init`. The words are the host's, with the traceback.
    #[error("{words}")]
    Broken {
        /// The host's words.
        words: String,
    },
    /// The process ended before it was ready.
    #[error("its process ended before it was ready: {how}")]
    Ended {
        /// How.
        how: String,
    },
}

impl Host {
    /// Starts a host and waits until its `init` has ended.
    pub(super) async fn start(node: &Arc<Node>, lifeline: &Lifeline) -> Result<Self, Failed> {
        let begun = Instant::now();
        let (mut process, socket) = Process::start(node, lifeline)
            .map_err(|source| Failed::Spawn { program: node.launch.program.display().to_string(), source })?;
        let (read, write) = socket.into_split();
        let link = Arc::new(Link::new(Arc::clone(node), write));
        link.greet();

        let mut outputs = JoinSet::new();
        let (stdout, stderr) = process.take_outputs();
        stdout.map(|output| outputs.spawn(output::read(Arc::clone(node), output)));
        stderr.map(|output| outputs.spawn(output::read(Arc::clone(node), output)));

        let (ready, known) = oneshot::channel();
        let (broken, words) = oneshot::channel();
        let life = Life { node: Arc::clone(node), link: Arc::clone(&link), process, outputs };
        let mut host = Self { link, task: tokio::spawn(node.logs.around(life.run(read, ready, broken))) };
        match known.await {
            Ok(frame::Ready { sdk, language, .. }) => {
                let elapsed = begun.elapsed().as_millis();
                tracing::debug!(node = %node.name, "ready after {elapsed} ms ({language}, sdk {sdk})");
                Ok(host)
            }
            Err(_) => Err(match words.await {
                Ok(words) => Failed::Broken { words },
                Err(_) => Failed::Ended { how: host.ended().await.how },
            }),
        }
    }

    /// Takes no more deliveries, and asks the host to end when it has finished those it has.
    pub(super) fn stop(&self) {
        self.link.stop();
    }

    /// Waits until the host has ended and all it had is judged.
    pub(super) async fn ended(&mut self) -> Exit {
        match (&mut self.task).await {
            Ok(exit) => exit,
            Err(error) => Exit { how: format!("its task ended: {error}"), useful: false },
        }
    }

    /// Ends the host at once.
    pub(super) async fn kill(mut self) {
        self.link.leave();
        self.task.abort();
        let _ = (&mut self.task).await;
        self.link.abandon("the service was stopped");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A host's life, from its start to its end.
struct Life {
    node: Arc<Node>,
    link: Arc<Link>,
    process: Process,
    outputs: JoinSet<()>,
}

impl Life {
    async fn run(
        mut self,
        socket: tokio::net::unix::OwnedReadHalf,
        ready: oneshot::Sender<frame::Ready>,
        broken: oneshot::Sender<String>,
    ) -> Exit {
        // The process's end is seen apart from its socket's, which a child of the host may hold open.
        let ended = {
            let talk = self.link.run(socket, ready);
            tokio::pin!(talk);
            tokio::select! {
                biased;
                ended = &mut talk => ended,
                _ = self.process.ended() => {
                    // What the host wrote last is still in the socket.
                    tokio::time::timeout(LINGER, talk).await.unwrap_or(Ended::Closed)
                }
            }
        };
        self.link.leave();
        if matches!(ended, Ended::Closed) {
            let patience = if self.link.is_idle() { GOODBYE } else { LINGER };
            let _ = tokio::time::timeout(patience, self.process.ended()).await;
        }
        let status = self.process.kill().await;
        let how = match &ended {
            Ended::Closed | Ended::Broken(_) => describe(status),
            Ended::Breach(breach) => format!("it broke the node protocol: {}", crate::errors::chain(breach)),
            Ended::Stuck => "it did not stop working for a request that nobody waits for".to_owned(),
        };
        self.link.abandon(&how);
        let outputs = std::mem::take(&mut self.outputs);
        let _ = tokio::time::timeout(LAST_WORDS, outputs.join_all()).await;
        if let Ended::Broken(words) = ended {
            let _ = broken.send(words);
        }
        tracing::debug!(node = %self.node.name, "its process ended: {how}");
        Exit { how, useful: self.link.answered() > 0 }
    }
}
