//! A relay of TCP connections between clients and a server, for tests that break what is between them.

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

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    Held,
    Cut,
}

/// A link to a server: clients connect to its port instead of the server's. It ends when it is dropped.
#[derive(Debug)]
pub struct Link {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    state: watch::Sender<State>,
    relay: JoinHandle<()>,
}

impl Link {
    /// A link to the server on `port` of 127.0.0.1. The server need not be there yet, nor stay.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (state, seen) = watch::channel(State::Whole);
        let own = listener.local_addr().unwrap().port();
        Self { port: own, state, relay: tokio::spawn(relay(listener, port, seen)) }
    }

    /// Breaks the connections, and each new one, as a server does that goes: both ends see it at once.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Holds back whatever is sent, as a network does that loses all packets: nobody sees an end.
    pub fn hold(&self) {
        self.state.send_replace(State::Held);
    }

    /// Makes it whole: what was held back goes on its way, and new connections are made.
    pub fn mend(&self) {
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
                // A connection that comes while the link is cut ends here.
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

/// One connection, until an end closes it.
async fn connect(client: TcpStream, port: u16, mut state: watch::Receiver<State>) -> io::Result<()> {
    whole(&mut state).await?;
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // An end that closes takes the other with it, as NATS knows no half of a connection.
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
        // What is read while the link is held, an end too, is seen by the other side when it is mended.
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
