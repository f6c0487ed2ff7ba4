//! Checks a server's NATS greeting before the client connects, because the client reads a first line of any
//! length.

use super::{CONNECT_TIMEOUT, MAX_BACKOFF};
use async_nats::{ReconnectToServer, Server, ServerAddr};
use std::{
    hash::{BuildHasher as _, RandomState},
    io,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::TcpStream,
    time::{sleep, timeout},
};

/// Longest first line, which names the servers of a cluster, in bytes.
const MAX_LINE: u64 = 256 << 10;

/// Returns the servers in the order to try: those that greet, then those that are away and may return. Leaves
/// out those with another greeting. Fails if none greets.
pub(super) async fn sort(mut servers: Vec<ServerAddr>) -> io::Result<Vec<ServerAddr>> {
    // Engines should start with different servers.
    let any = usize::try_from(RandomState::new().hash_one(())).unwrap_or_default();
    let turn = any.checked_rem(servers.len()).unwrap_or_default();
    servers.rotate_left(turn);
    let (mut good, mut away) = (Vec::new(), Vec::new());
    let mut reason = io::Error::from(io::ErrorKind::NotFound);
    for server in servers {
        match check(&server).await {
            Ok(()) => good.push(server),
            Err(error) => {
                if error.kind() != io::ErrorKind::InvalidData {
                    away.push(server);
                }
                reason = error;
            }
        }
    }
    if good.is_empty() { Err(reason) } else { Ok([good, away].concat()) }
}

/// Waits until one of the servers greets.
pub(super) async fn choose(mut servers: Vec<Server>) -> Option<ReconnectToServer> {
    servers.sort_by_key(|server| server.failed_attempts);
    loop {
        for server in &servers {
            if check(&server.addr).await.is_ok() {
                return Some(ReconnectToServer { addr: server.addr.clone(), delay: None });
            }
        }
        sleep(MAX_BACKOFF).await;
    }
}

async fn check(server: &ServerAddr) -> io::Result<()> {
    let greeting = async {
        let host = server.host().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, server.port())).await?;
        let mut line = Vec::new();
        BufReader::new(stream.take(MAX_LINE)).read_until(b'\n', &mut line).await?;
        let is_whole = line.starts_with(b"INFO ") && line.ends_with(b"\n");
        let text = "it does not greet as NATS does";
        if is_whole { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, text)) }
    };
    let late = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "it says nothing"));
    timeout(CONNECT_TIMEOUT, greeting).await.unwrap_or_else(late)
}
