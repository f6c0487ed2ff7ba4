//! Clients that follow no protocol: bytes over TCP, and single frames of HTTP/2 (RFC 9113).

use crate::support::TIMEOUT;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

/// The HTTP/2 connection preface.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a server that accepts bytes may take for some of them.
const PAUSE: Duration = Duration::from_millis(500);

/// Frame types.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Frame flags.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A connection.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    /// Connects with a small receive buffer for data that stays unread.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("there is room for a socket");
        socket.set_recv_buffer_size(4096).expect("it is no more than is allowed");
        let connected = tokio::time::timeout(TIMEOUT, socket.connect(address)).await;
        Self(connected.expect("it connects in time").expect("something listens there"))
    }

    /// Connects and sends the HTTP/2 preface, with no window for answers.
    pub(crate) async fn http2(address: SocketAddr) -> Self {
        let mut raw = Self::connect(address).await;
        // SETTINGS_INITIAL_WINDOW_SIZE (4) is 0.
        let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
        assert!(raw.send(&[PREFACE, &settings].concat()).await, "the server takes what begins HTTP/2");
        raw
    }

    /// Sends all bytes; returns whether the server accepted them.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(tokio::time::timeout(TIMEOUT, self.0.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Sends as many of the bytes as the server accepts without a pause.
    pub(crate) async fn pour(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(64 << 10) {
            match tokio::time::timeout(PAUSE, self.0.write_all(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    /// Waits for `count` frames of a type.
    pub(crate) async fn frames(&mut self, kind: u8, count: usize) {
        let mut found = 0;
        let reading = async {
            while found < count {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.expect("the connection is open");
                let length = u64::from(u32::from_be_bytes([0, head[0], head[1], head[2]]));
                let mut payload = (&mut self.0).take(length);
                tokio::io::copy(&mut payload, &mut tokio::io::sink()).await.expect("the connection is open");
                found += usize::from(head[3] == kind);
            }
        };
        tokio::time::timeout(TIMEOUT, reading).await.expect("the frames come");
    }

    /// Waits until data has arrived, and leaves it unread.
    pub(crate) async fn begun(&self) {
        let come = tokio::time::timeout(TIMEOUT, self.0.peek(&mut [0])).await;
        assert!(matches!(come, Ok(Ok(1))), "an answer comes");
    }

    /// Waits until the server closes the connection; returns the data before that.
    #[track_caller]
    pub(crate) fn closed(mut self, what: &str) -> impl Future<Output = Vec<u8>> {
        let caller = std::panic::Location::caller();
        async move {
            let mut read = Vec::new();
            // Any kind of close will do.
            let ended = tokio::time::timeout(TIMEOUT, self.0.read_to_end(&mut read)).await;
            assert!(ended.is_ok(), "{caller}: {what}: the server does not close the connection");
            read
        }
    }
}

/// Builds a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames are small").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Builds a header block without compression (RFC 7541, section 6.2.2).
pub(crate) fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|&length| length < 127).expect("it is short"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The header block of a call.
pub(crate) fn call(path: &str) -> Vec<u8> {
    block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ])
}

/// A complete call with a message of one text field.
pub(crate) fn unary(stream: u32, path: &str, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("it is short");
    let message = [&[0, 0, 0, 0, length + 2, 10, length], text.as_bytes()].concat();
    [frame(HEADERS, END_HEADERS, stream, &call(path)), frame(DATA, END_STREAM, stream, &message)].concat()
}
