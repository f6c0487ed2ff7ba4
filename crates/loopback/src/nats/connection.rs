//! One client's connection, from its greeting to its end.

use super::{
    Accounts,
    interest::Interest,
    operation::{self, Message, Operation, ProtocolError},
    outbox::{Next, Outbox},
    subject,
};
use bytes::BytesMut;
use serde::Deserialize;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Instant, interval_at, timeout},
};

/// The timeout for a client's `CONNECT`.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(5);
/// The interval of pings; a client that misses two is disconnected.
const PING_INTERVAL: Duration = Duration::from_secs(60);
/// The timeout of a write to a client.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The bytes read at a time.
const READ_BYTES: usize = 32 << 10;

/// The fields of a client's `CONNECT`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Client {
    verbose: bool,
    pedantic: bool,
    echo: Option<bool>,
    headers: bool,
    no_responders: bool,
    auth_token: Option<String>,
    /// Clients may send a token as the name of a user without a password.
    user: Option<String>,
}

struct Connection {
    id: u64,
    client: Client,
    interest: Arc<Interest>,
    outbox: Arc<Outbox>,
    questions: u8,
}

/// Serves a client until either side closes the connection.
pub(super) async fn serve(socket: TcpStream, id: u64, accounts: Arc<Accounts>) {
    let _ = socket.set_nodelay(true);
    let (read, write) = socket.into_split();
    let outbox = Arc::new(Outbox::new(accounts.pending_limit()));
    outbox.line(accounts.info(id));
    let serve_client = async {
        match serve_client(read, id, &accounts, &outbox).await {
            Ok(()) => outbox.end(),
            Err(violation) => outbox.close(violation),
        }
        std::future::pending::<()>().await;
    };
    // The connection ends with its writer, which every end reaches.
    tokio::select! {
        () = serve_client => {}
        _ = write_all(write, &outbox) => {}
    }
}

async fn write_all(mut socket: OwnedWriteHalf, outbox: &Outbox) -> io::Result<()> {
    loop {
        match outbox.next().await {
            Next::Parts(parts) => {
                let mut gathered = BytesMut::with_capacity(parts.iter().map(bytes::Bytes::len).sum());
                parts.iter().for_each(|part| gathered.extend_from_slice(part));
                timeout(WRITE_TIMEOUT, socket.write_all(&gathered)).await??;
            }
            Next::ProtocolError(violation) => {
                timeout(WRITE_TIMEOUT, socket.write_all(format!("-ERR '{violation}'\r\n").as_bytes()))
                    .await??;
                return socket.shutdown().await;
            }
            Next::End => return socket.shutdown().await,
        }
    }
}

/// Ends the client's subscriptions on drop, however the connection ends.
struct Membership {
    id: u64,
    interest: Arc<Interest>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.interest.remove(self.id);
    }
}

async fn serve_client(
    mut socket: OwnedReadHalf,
    id: u64,
    accounts: &Accounts,
    outbox: &Arc<Outbox>,
) -> Result<(), ProtocolError> {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let signing_in = timeout(SIGN_IN_TIMEOUT, sign_in(&mut socket, &mut buffer, accounts, outbox));
    let Some((client, interest)) = signing_in.await.map_err(|_| ProtocolError::Silent)?? else {
        return Ok(());
    };
    outbox.understands_headers(client.headers);
    let _joined = Membership { id, interest: Arc::clone(&interest) };
    let max_payload = accounts.max_payload();
    let mut connection = Connection { id, client, interest, outbox: Arc::clone(outbox), questions: 0 };
    connection.acknowledge();
    let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    loop {
        while let Some(operation) = operation::take(&mut buffer, max_payload)? {
            connection.act(operation)?;
        }
        buffer.reserve(READ_BYTES);
        tokio::select! {
            read = socket.read_buf(&mut buffer) => match read {
                Ok(0) | Err(_) => return Ok(()),
                Ok(_) => {}
            },
            _ = ping.tick() => connection.ping()?,
        }
    }
}

/// Waits for the client's `CONNECT`; `None` when it has left.
async fn sign_in(
    socket: &mut OwnedReadHalf,
    buffer: &mut BytesMut,
    accounts: &Accounts,
    outbox: &Outbox,
) -> Result<Option<(Client, Arc<Interest>)>, ProtocolError> {
    loop {
        match operation::take(buffer, 0)? {
            Some(Operation::Connect(options)) => {
                let client: Client =
                    serde_json::from_slice(&options).map_err(|_| ProtocolError::Malformed)?;
                let token = client.auth_token.as_ref().or(client.user.as_ref());
                let interest =
                    token.and_then(|token| accounts.find(token)).ok_or(ProtocolError::Unauthorized)?;
                return Ok(Some((client, interest)));
            }
            Some(Operation::Ping) => outbox.line("PONG\r\n"),
            Some(Operation::Pong) => {}
            Some(_) => return Err(ProtocolError::Unauthorized),
            None => {
                if socket.read_buf(buffer).await.unwrap_or(0) == 0 {
                    return Ok(None);
                }
            }
        }
    }
}

impl Connection {
    fn act(&mut self, operation: Operation) -> Result<(), ProtocolError> {
        match operation {
            Operation::Ping => {
                self.outbox.line("PONG\r\n");
                return Ok(());
            }
            Operation::Pong => {
                self.questions = 0;
                return Ok(());
            }
            Operation::Connect(options) => {
                self.client = serde_json::from_slice(&options).map_err(|_| ProtocolError::Malformed)?;
                self.outbox.understands_headers(self.client.headers);
            }
            Operation::Subscribe { subject, group, id } => {
                if !subject::is_valid(&subject) {
                    self.outbox.line("-ERR 'Invalid Subject'\r\n");
                    return Ok(());
                }
                self.interest.subscribe(self.id, subject, group, id, &self.outbox);
            }
            Operation::Unsubscribe { id, after } => self.interest.unsubscribe(self.id, &id, after),
            Operation::Publish(message) if message.headers > 0 && !self.client.headers => {
                return Err(ProtocolError::NoHeaders);
            }
            Operation::Publish(message) => {
                self.publish(&message);
                return Ok(());
            }
        }
        self.acknowledge();
        Ok(())
    }

    fn publish(&self, message: &Message) {
        self.acknowledge();
        if self.client.pedantic
            && !(subject::is_valid(&message.subject) && subject::is_literal(&message.subject))
        {
            self.outbox.line("-ERR 'Invalid Publish Subject'\r\n");
        }
        let except = (self.client.echo == Some(false)).then_some(self.id);
        let taken = self.interest.publish(message, except);
        if let Some(reply) = &message.reply
            && !taken
            && self.client.no_responders
            && self.client.headers
        {
            self.interest.no_responders(self.id, reply);
        }
    }

    /// Confirms each line to a client in verbose mode.
    fn acknowledge(&self) {
        if self.client.verbose {
            self.outbox.line("+OK\r\n");
        }
    }

    fn ping(&mut self) -> Result<(), ProtocolError> {
        if self.questions >= 2 {
            return Err(ProtocolError::Stale);
        }
        self.questions += 1;
        self.outbox.line("PING\r\n");
        Ok(())
    }
}
