use super::*;
use crate::connection;
use krt_model::address::Address;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// One client's connection to a scripted server.
pub(super) struct Peer {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    /// Lines that nothing has waited for.
    unread: Vec<String>,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { lines: BufReader::new(reader).lines(), writer, unread: Vec::new() }
    }

    pub(super) async fn write(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).await.unwrap();
    }

    /// Answers pings until a line begins with `start`; returns the rest of that line.
    pub(super) async fn wait(&mut self, start: &str) -> String {
        loop {
            if let Some(index) = self.unread.iter().position(|line| line.starts_with(start)) {
                return self.unread.remove(index)[start.len()..].to_owned();
            }
            let line = self.lines.next_line().await.unwrap().expect("the client is connected");
            if line == "PING" {
                self.write("PONG\r\n").await;
            }
            self.unread.push(line);
        }
    }
}

/// Connects a client to a scripted server.
pub(super) async fn connect() -> (Connection, Peer) {
    const GREETING: &str = "INFO {\"server_id\":\"A\",\"version\":\"2.10.0\",\"proto\":1,\"host\":\"127.0.0.1\",\
                            \"port\":4222,\"headers\":true,\"max_payload\":1048576}\r\n";
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let accept = async {
        loop {
            let mut peer = Peer::new(listener.accept().await.unwrap().0);
            peer.write(GREETING).await;
            // Other connections only read the greeting.
            if peer.lines.next_line().await.unwrap().is_some_and(|line| line.starts_with("CONNECT ")) {
                peer.wait("PING").await;
                return peer;
            }
        }
    };
    let options = connection::Options {
        servers: Address::from(&*format!("nats://{address}")),
        name: "test".to_owned(),
        credentials: None,
        nkey: None,
        ca: None,
        certificate: None,
    };
    let (connection, peer) = tokio::join!(Connection::open(&options), accept);
    (connection.unwrap(), peer)
}

impl Peer {
    /// Waits until a client ends a subscription, has it do something else, and sends it another message of that
    /// subscription. Handles the end only then, as the client can tell by a message to itself.
    pub(super) async fn send_before_the_end(&mut self, subscription: &str, message: &str) {
        self.wait(&format!("UNSUB {subscription}")).await;
        self.write("PING\r\n").await;
        self.wait("PONG").await;
        self.write(message).await;
        let own = self.wait("SUB ").await;
        let (inbox, id) = own.split_once(' ').unwrap();
        self.wait(&format!("PUB {inbox} 0")).await;
        self.write(&format!("MSG {inbox} {id} 0\r\n\r\n")).await;
    }
}

#[tokio::test]
async fn messages_in_transit_arrive_after_a_queue_is_closed() {
    let (connection, mut peer) = connect().await;
    let subscriber = connection.client().queue_subscribe("work", "group".to_owned()).await.unwrap();
    let id = peer.wait("SUB work group ").await;
    let mut intake = Intake::Queue(Queue { subscriber, connection });
    let message = format!("MSG work {id} 2\r\nhi\r\n");
    tokio::join!(intake.close(), peer.send_before_the_end(&id, &message));
    assert_eq!(intake.next().await.map(|incoming| incoming.body), Some(Bytes::from("hi")));
    assert!(intake.next().await.is_none());
}

#[tokio::test]
async fn a_connection_ends_with_its_last_handle() {
    let (connection, mut peer) = connect().await;
    // The watchdog begins.
    tokio::task::yield_now().await;
    drop(connection);
    let ended = async {
        while let Ok(Some(line)) = peer.lines.next_line().await {
            if line == "PING" && peer.writer.write_all(b"PONG\r\n").await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
}
