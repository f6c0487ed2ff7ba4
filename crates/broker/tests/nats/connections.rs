//! Connections: who is refused, and why.

use super::{options, soon};
use krt_broker::{Connection, Error, connection::Options};
use krt_servers::{NatsAuth, NatsOptions, NatsServer, NatsTls};
use std::fs;

#[tokio::test]
async fn refusals_say_why() {
    let auth = NatsAuth::Password { user: "ada".to_owned(), password: "s3cret".to_owned() };
    let with_password = NatsOptions { auth, ..NatsOptions::default() };
    let with_tls = NatsOptions { tls: NatsTls::Server, ..NatsOptions::default() };
    let Some(mut server) = NatsServer::start("refusals_say_why", with_password) else { return };
    let Some(tls) = NatsServer::start("refusals_say_why", with_tls) else { return };
    let open = async |options: &Options| soon("an answer", Connection::open(options)).await;
    let url = server.url().replace("nats://", "nats://ada:wrong@");
    let refused = open(&options(&url)).await.unwrap_err();
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    // Its authority is unknown.
    let refused = open(&options(&tls.url())).await.unwrap_err();
    assert!(matches!(refused, Error::Tls { .. }), "{refused}");
    open(&Options { ca: Some(tls.ca_file()), ..options(&tls.url()) }).await.unwrap();
    server.stop();
    let refused = open(&options(&server.url())).await.unwrap_err();
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
}

#[tokio::test]
async fn a_file_may_have_more_than_the_seed() {
    let nkey = NatsOptions { auth: NatsAuth::Nkey, ..NatsOptions::default() };
    let Some(server) = NatsServer::start("a_file_may_have_more_than_the_seed", nkey) else { return };
    let file = server.nkey_file();
    let seed = fs::read_to_string(&file).unwrap();
    let others = format!("SUITABLE FOR THE TESTS\n{}\n\n  {seed}\n", "x".repeat(58));
    fs::write(&file, others).unwrap();
    let options = Options { nkey: Some(file), ..options(&server.url()) };
    soon("the connection", Connection::open(&options)).await.unwrap();
}

/// Another client's messages arrive until the connection is closed; what was queued is sent.
#[tokio::test]
async fn a_closed_connection_ends_its_listeners() {
    let Some(server) = NatsServer::start("a_closed_connection_ends_its_listeners", NatsOptions::default())
    else {
        return;
    };
    let connection = Connection::open(&options(&server.url())).await.unwrap();
    let mut listener = krt_broker::Listener::open(&connection, "word".to_owned()).await.unwrap();
    assert!(connection.is_up() && *connection.watch().borrow());
    soon("the close", connection.close()).await;
    assert!(soon("the end", listener.next()).await.is_none());
    soon("the end", async {
        while connection.is_up() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
