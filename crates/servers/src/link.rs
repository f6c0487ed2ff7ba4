//! A relay of TCP connections between clients and a server, for tests that break connections.

use std::io;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// The state of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    Held,
    Cut,
}

/// A link to a server: clients connect to its port instead of the server's. Stops on drop.
#[derive(Debug)]
pub struct Link {
    /// The link's port on 127.0.0.1.
    pub port: u16,
    state: watch::Sender<State>,
    relay: JoinHandle<()>,
}

impl Link {
    /// Creates a link to `port` on 127.0.0.1. The server may start later, and may go away.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (state, seen) = watch::channel(State::Whole);
        let own = listener.local_addr().unwrap().port();
        Self { port: own, state, relay: tokio::spawn(relay(listener, port, seen)) }
    }

    /// Breaks all connections, and each new one, like a server that goes away: both ends notice at once.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Holds back all data, like a network that loses all packets: neither end notices.
    pub fn hold(&self) {
        self.state.send_replace(State::Held);
    }

    /// Restores the link: held data continues, and new connections work.
    pub fn restore(&self) {
        self.state.send_replace(State::Whole);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

async fn relay(listener: TcpListener, port: u16, mut state: watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // A new connection ends here while the link is cut.
                Ok((client, _)) if *state.borrow() != State::Cut => {
                    connections.spawn(connect(client, port, state.clone()));
                }
                _ => {}
            },
            changed = state.changed() => {
                if changed.is_err() {
                    return;
                }
                if *state.borrow_and_update() == State::Cut {
                    connections.shutdown().await;
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Relays one connection until an end closes it.
async fn connect(client: TcpStream, port: u16, mut state: watch::Receiver<State>) -> io::Result<()> {
    whole(&mut state).await?;
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // When one end closes, so does the other: NATS has no half-open connections.
    tokio::select! {
        ended = pass(from_client, to_server, state.clone()) => ended,
        ended = pass(from_server, to_client, state) => ended,
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).await?;
        // Data, or an end, read while the link is held reaches the other side once it is restored.
        whole(&mut state).await?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count]).await?;
    }
}

async fn whole(state: &mut watch::Receiver<State>) -> io::Result<()> {
    let gone = |_| io::Error::from(io::ErrorKind::ConnectionAborted);
    state.wait_for(|state| *state == State::Whole).await.map(drop).map_err(gone)
}
