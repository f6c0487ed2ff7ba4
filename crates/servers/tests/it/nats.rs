//! The NATS server from a client's view.

use async_nats::{
    Client, ConnectOptions,
    jetstream::{self, stream},
};
use krt_servers::{NatsAuth, NatsOptions, NatsServer, NatsTls};
use std::{
    io::{BufRead as _, BufReader},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

type Connected = Result<Client, async_nats::ConnectError>;

/// Waits for an event with a timeout.
async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(30), event).await;
    waited.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

async fn connect(server: &NatsServer, options: ConnectOptions) -> Connected {
    soon("the connection", options.connect(server.url())).await
}

async fn speaks(client: Connected) {
    let client = client.unwrap();
    let mut inbox = client.subscribe("subject").await.unwrap();
    client.publish("subject", "word".into()).await.unwrap();
    let message = soon("the message", futures::StreamExt::next(&mut inbox)).await.unwrap();
    assert_eq!(message.payload, "word");
}

fn refused(client: Connected) {
    let refused = client.unwrap_err();
    assert_eq!(refused.kind(), async_nats::ConnectErrorKind::AuthorizationViolation, "{refused}");
}

fn with(auth: NatsAuth) -> NatsOptions {
    NatsOptions { auth, jetstream: true, ..NatsOptions::default() }
}

#[tokio::test]
async fn the_message_limit_is_configurable() {
    for max_payload in [None, Some(1000), Some(8 << 20)] {
        let options = NatsOptions { max_payload, ..NatsOptions::default() };
        let Some(server) = NatsServer::start("the_message_limit_is_configurable", options) else {
            return;
        };
        let client = connect(&server, ConnectOptions::new()).await;
        let info = client.as_ref().unwrap().server_info();
        assert_eq!(info.max_payload, max_payload.unwrap_or(1 << 20));
        // Otherwise a client would bypass a link.
        assert!(info.connect_urls.is_empty(), "{:?}", info.connect_urls);
        assert!(!info.jetstream);
        speaks(client).await;
    }
}

#[tokio::test]
async fn streams_and_the_port_survive_a_restart() {
    let options = NatsOptions { jetstream: true, ..NatsOptions::default() };
    let Some(mut server) = NatsServer::start("streams_and_the_port_survive_a_restart", options) else {
        return;
    };
    let port = server.port;
    let context = jetstream(&server).await;
    let config =
        stream::Config { name: "s".to_owned(), subjects: vec!["s.*".to_owned()], ..Default::default() };
    context.create_stream(config).await.unwrap();
    for (turn, end) in [NatsServer::kill, NatsServer::stop].into_iter().enumerate() {
        jetstream(&server).await.publish("s.a", "kept".into()).await.unwrap().await.unwrap();
        end(&mut server);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        server.start_again();
        assert_eq!(server.port, port);
        let stream = jetstream(&server).await.get_stream("s").await.unwrap();
        assert_eq!(stream.cached_info().state.messages, turn as u64 + 1);
    }
}

async fn jetstream(server: &NatsServer) -> jetstream::Context {
    jetstream::new(connect(server, ConnectOptions::new()).await.unwrap())
}

#[tokio::test]
async fn a_password_is_required() {
    let auth = NatsAuth::Password { user: "ada".to_owned(), password: "se\"cret".to_owned() };
    let Some(server) = NatsServer::start("a_password_is_required", with(auth)) else { return };
    let login =
        |password: &str| ConnectOptions::with_user_and_password("ada".to_owned(), password.to_owned());
    speaks(connect(&server, login("se\"cret")).await).await;
    refused(connect(&server, login("guessed")).await);
    refused(connect(&server, ConnectOptions::new()).await);
}

#[tokio::test]
async fn a_token_is_required() {
    let Some(server) = NatsServer::start("a_token_is_required", with(NatsAuth::Token("s3cret".to_owned())))
    else {
        return;
    };
    speaks(connect(&server, ConnectOptions::with_token("s3cret".to_owned())).await).await;
    refused(connect(&server, ConnectOptions::with_token("guessed".to_owned())).await);
    refused(connect(&server, ConnectOptions::new()).await);
}

#[tokio::test]
async fn a_key_is_required() {
    let Some(server) = NatsServer::start("a_key_is_required", with(NatsAuth::Nkey)) else { return };
    let seed = std::fs::read_to_string(server.nkey_file()).unwrap();
    speaks(connect(&server, ConnectOptions::with_nkey(seed)).await).await;
    let other = nkeys::KeyPair::new_user().seed().unwrap();
    refused(connect(&server, ConnectOptions::with_nkey(other)).await);
}

#[tokio::test]
async fn credentials_are_required() {
    let name = "credentials_are_required";
    let Some(server) = NatsServer::start(name, with(NatsAuth::Credentials)) else { return };
    let Some(other) = NatsServer::start(name, with(NatsAuth::Credentials)) else { return };
    let mine = ConnectOptions::with_credentials_file(server.credentials_file()).await.unwrap();
    let client = connect(&server, mine).await.unwrap();
    // The account has JetStream, too.
    let config = stream::Config { name: "s".to_owned(), ..Default::default() };
    jetstream::new(client.clone()).create_stream(config).await.unwrap();
    speaks(Ok(client)).await;
    let theirs = ConnectOptions::with_credentials_file(other.credentials_file()).await.unwrap();
    refused(connect(&server, theirs).await);
    refused(connect(&server, ConnectOptions::new()).await);
}

#[tokio::test]
async fn certificates_are_presented_and_required() {
    for tls in [NatsTls::Server, NatsTls::Mutual] {
        let options = NatsOptions { tls, ..NatsOptions::default() };
        let Some(server) = NatsServer::start("certificates_are_presented_and_required", options) else {
            return;
        };
        let trusting = ConnectOptions::new().add_root_certificates(server.ca_file());
        let (certificate, key) = server.client_certificate();
        speaks(connect(&server, trusting.clone().add_client_certificate(certificate, key)).await).await;
        connect(&server, ConnectOptions::new()).await.expect_err("nobody vouches for the server");
        match tls {
            NatsTls::Mutual => drop(connect(&server, trusting).await.expect_err("no certificate is shown")),
            _ => speaks(connect(&server, trusting).await).await,
        }
    }
}

/// Not a test: the process that [`the_server_ends_with_a_killed_test`] kills.
#[test]
#[ignore = "waits to be killed"]
fn holds_a_server() {
    let server = NatsServer::start("holds_a_server", NatsOptions::default()).unwrap();
    eprintln!("port={}", server.port);
    std::thread::park();
}

#[test]
fn the_server_ends_with_a_killed_test() {
    if NatsServer::start("the_server_ends_with_a_killed_test", NatsOptions::default()).is_none() {
        return;
    }
    let mut test = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "nats::holds_a_server", "--ignored", "--nocapture"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(test.stderr.take().unwrap()).lines();
    let port = said.map_while(Result::ok).find_map(|line| line.strip_prefix("port=")?.parse::<u16>().ok());
    let port = port.unwrap();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    test.kill().unwrap();
    test.wait().unwrap();
    let killed = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(killed.elapsed() < Duration::from_secs(30), "the server outlives its test");
        std::thread::sleep(Duration::from_millis(5));
    }
}
