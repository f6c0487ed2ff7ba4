//! A link: intact, held and cut.

use krt_servers::Link;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// The timeout for expected events.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Long enough to conclude that nothing arrives.
const QUIET_PERIOD: Duration = Duration::from_millis(50);

/// An echo server.
async fn echo() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    port
}

async fn client(link: &Link) -> TcpStream {
    TcpStream::connect(("127.0.0.1", link.port)).await.unwrap()
}

async fn hears(stream: &mut TcpStream, expected: &[u8]) {
    let mut heard = vec![0; expected.len()];
    timeout(TIMEOUT, stream.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, expected);
}

async fn ended(stream: &mut TcpStream) -> bool {
    matches!(timeout(TIMEOUT, stream.read(&mut [0])).await.unwrap(), Ok(0) | Err(_))
}

#[tokio::test]
async fn held_bytes_arrive_after_the_link_is_restored() {
    let link = Link::to(echo().await).await;
    let mut before = client(&link).await;
    before.write_all(b"one").await.unwrap();
    hears(&mut before, b"one").await;

    link.hold();
    let mut meanwhile = client(&link).await;
    for stream in [&mut before, &mut meanwhile] {
        stream.write_all(b"two").await.unwrap();
        timeout(QUIET_PERIOD, stream.read(&mut [0])).await.unwrap_err();
    }

    link.restore();
    hears(&mut before, b"two").await;
    hears(&mut meanwhile, b"two").await;
}

#[tokio::test]
async fn cutting_the_link_ends_connections() {
    let link = Link::to(echo().await).await;
    let mut before = client(&link).await;
    before.write_all(b"one").await.unwrap();
    hears(&mut before, b"one").await;

    link.cut();
    assert!(ended(&mut before).await);
    assert!(ended(&mut client(&link).await).await);

    link.restore();
    let mut after = client(&link).await;
    after.write_all(b"two").await.unwrap();
    hears(&mut after, b"two").await;

    link.hold();
    link.cut();
    assert!(ended(&mut after).await);
}

#[tokio::test]
async fn a_connection_ends_with_either_end() {
    let link = Link::to(echo().await).await;
    let mut stream = client(&link).await;
    stream.write_all(b"one").await.unwrap();
    hears(&mut stream, b"one").await;
    drop(link);
    assert!(ended(&mut stream).await);

    let nobody = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
    let link = Link::to(nobody).await;
    assert!(ended(&mut client(&link).await).await);
}
