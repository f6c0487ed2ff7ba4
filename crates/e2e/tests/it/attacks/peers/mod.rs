//! Hostile servers that the engine connects to, and hostile clients of those servers.
//!
//! Bound: none can crash the engine, make it hold more than `--max-bytes` and 64 MiB, or keep it from its
//! other work. A start may fail, with an error that names the server.

mod certificates;
mod clients;
mod influx;
mod jetstream;
mod mongo;
mod nats;
mod openid;

use super::{peak_is_within, peak_of};
use crate::support::Krt;
use std::{
    io::Write as _,
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// The engine's memory limit for requests.
const MAX_BYTES: u64 = 64 << 20;

/// A server that runs a script on each connection. Stops on drop.
struct Peer {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    ends: AtomicBool,
}

impl Peer {
    fn start(script: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (port, shared) = (listener.local_addr().unwrap().port(), Arc::<Shared>::default());
        let (script, known) = (Arc::new(script), Arc::clone(&shared));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if known.ends.load(Ordering::SeqCst) {
                    return;
                }
                known.connections.fetch_add(1, Ordering::SeqCst);
                let script = Arc::clone(&script);
                // An error means that the other end has closed.
                thread::spawn(move || script(stream).ok());
            }
        });
        Self { port, shared }
    }

    /// The number of connections so far.
    fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Wakes the accepting thread; fails if it has ended.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// The bytes that a network of 10 Gbit/s transfers between two pauses.
const BURST: usize = 5 << 20;
const PAUSE: Duration = Duration::from_millis(4);

/// Repeats the bytes up to a total, or until the other end closes, at the speed of a 10 Gbit/s network.
fn flood(stream: &mut TcpStream, bytes: &[u8], total: usize) -> std::io::Result<()> {
    for sent in (0..total).step_by(bytes.len()) {
        stream.write_all(bytes)?;
        if (sent + bytes.len()) % BURST < bytes.len() {
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// Keeps a connection open until the other end closes it.
fn stay_silent(mut stream: TcpStream) -> std::io::Result<()> {
    std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
}

/// Asserts that a start fails with the expected words, within the memory bound.
async fn start_fails(what: &str, krt: Krt, words: &str) {
    let process = krt.flag("--max-bytes", MAX_BYTES.to_string()).spawn();
    let (pid, lines) = (process.pid(), process.lines.clone());
    let watching = tokio::spawn(async move {
        let mut most = 0;
        while let Some(peak) = peak_of(pid) {
            most = peak;
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        most
    });
    let ended = process.end().await;
    let said = lines.last_message();
    assert_eq!(ended.code, Some(1), "{what}: {}", lines.text());
    assert!(said.contains(words), "{what}: {said}");
    peak_is_within(what, watching.await.unwrap(), MAX_BYTES);
}

/// The polling interval for a peak that is lost when its process ends.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
