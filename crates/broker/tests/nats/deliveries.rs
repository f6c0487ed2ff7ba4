//! How messages are stored, delivered and acknowledged.

use super::{Fixture, soon, take};
use async_nats::jetstream::{
    consumer::{AckPolicy, pull},
    stream::{RetentionPolicy, StorageType},
};
use bytes::Bytes;
use futures::StreamExt as _;
use krt_broker::{Headers, Message, stream::Limits};
use std::{sync::mpsc, time::Duration};

#[tokio::test]
async fn marks_decide_about_the_next_delivery() {
    let Some(fixture) = Fixture::start("marks_decide_about_the_next_delivery").await else { return };
    let limits = Limits { tries: 2, ..Limits::default() };
    let mut intake = fixture.intake(1, limits).await.unwrap();
    fixture.store("acked");
    let (text, acker) = take(&mut intake).await;
    let standing =
        |acker: &krt_broker::Acker| (acker.tries(), acker.redeliveries_left(), acker.is_exhausted());
    assert_eq!((&*text, standing(&acker)), ("acked", (1, 1, false)));
    acker.ack();

    fixture.store("given back");
    let (text, acker) = take(&mut intake).await;
    assert_eq!((&*text, standing(&acker)), ("given back", (1, 1, false)));
    acker.nak();
    let (text, acker) = take(&mut intake).await;
    assert_eq!((&*text, standing(&acker)), ("given back", (2, 0, false)));
    drop(acker);
    let (text, acker) = take(&mut intake).await;
    assert_eq!((&*text, standing(&acker)), ("given back", (3, 0, true)));
    acker.ack();

    // Nothing is left of both.
    fixture.store("last");
    let (text, acker) = take(&mut intake).await;
    assert_eq!((&*text, acker.tries()), ("last", 1));
    // An answer over core NATS acknowledges the message that led to it.
    fixture.sender.send(Message { subject: "_INBOX.a".to_owned(), ..fixture.message("") }, Some(acker));
    fixture.sender.flushed().await;
    soon("an empty stream", async {
        while fixture.stream().await.cached_info().state.messages > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Another consumer, which does not report progress, gets its message again and again meanwhile.
#[tokio::test]
async fn a_message_in_progress_is_not_redelivered() {
    let Some(fixture) = Fixture::start("a_message_in_progress_is_not_redelivered").await else { return };
    let limits = Limits { ack_wait: Duration::from_secs(2), ..Limits::default() };
    let mut intake = fixture.intake(2, limits).await.unwrap();
    let config = pull::Config {
        ack_wait: limits.ack_wait,
        ack_policy: AckPolicy::Explicit,
        ..pull::Config::default()
    };
    let other = fixture.stream().await.create_consumer(config).await.unwrap();
    fixture.store("slow");
    let (_, acker) = take(&mut intake).await;
    let redelivered = async {
        let mut messages = other.messages().await.unwrap();
        while messages.next().await.unwrap().unwrap().info().unwrap().delivered < 3 {}
    };
    tokio::select! {
        () = soon("a redelivery", redelivered) => {}
        again = intake.next() => panic!("it came again: {again:?}"),
    }
    assert_eq!(acker.tries(), 1);
}

/// A room of four is full after four messages; each that ends makes room for one.
#[tokio::test]
async fn no_more_messages_are_taken_than_there_is_room_for() {
    let Some(fixture) = Fixture::start("no_more_messages_are_taken_than_there_is_room_for").await else {
        return;
    };
    let mut intake = fixture.intake(4, Limits::default()).await.unwrap();
    for _ in 0..9 {
        fixture.store("work");
    }
    fixture.sender.flushed().await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(take(&mut intake).await.1);
    }
    let ackers = async || {
        let info = fixture.stream().await.consumer_info("v1-etl").await.unwrap();
        (info.num_ack_pending, info.num_pending)
    };
    assert_eq!(ackers().await, (4, 5));
    while let Some(acker) = held.pop() {
        acker.ack();
        if held.len() < 4 && ackers().await.1 > 0 {
            held.push(take(&mut intake).await.1);
        }
        assert!(ackers().await.0 <= 4);
    }
    assert_eq!(ackers().await.1, 0);
}

/// A closed intake waits for its messages in flight; one whose connection is closed has none.
#[tokio::test]
async fn the_end_of_an_intake() {
    let Some(fixture) = Fixture::start("the_end_of_an_intake").await else { return };
    let mut intake = fixture.intake(2, Limits::default()).await.unwrap();
    fixture.store("one");
    let (_, acker) = take(&mut intake).await;
    soon("the close", intake.close()).await;
    assert!(futures::poll!(Box::pin(intake.next())).is_pending());
    acker.ack();
    assert!(soon("the end", intake.next()).await.is_none());

    let mut intake = fixture.intake(2, Limits::default()).await.unwrap();
    fixture.store("two");
    let (_, acker) = take(&mut intake).await;
    soon("the close", fixture.connection.close()).await;
    assert!(soon("the end", intake.next()).await.is_none());
    drop(acker);
}

#[tokio::test]
async fn a_message_is_stored_when_its_stream_appears() {
    let Some(fixture) = Fixture::start("a_message_is_stored_when_its_stream_appears").await else { return };
    let (unsent, lost) = mpsc::channel();
    let mut attempts = fixture.subscribe("shop-v1-Buy.etl").await;
    fixture.sender.store(
        fixture.message("early"),
        None,
        Some(Box::new(move |why| unsent.send(why).unwrap())),
    );
    let attempt = soon("the first attempt", attempts.next()).await.unwrap();
    drop(attempts);
    let full = r#"{"error":{"code":503,"err_code":10077,"description":"full"}}"#;
    fixture.context.client().publish(attempt.reply.unwrap(), full.into()).await.unwrap();
    let mut intake = fixture.intake(1, Limits::default()).await.unwrap();
    let (text, acker) = take(&mut intake).await;
    assert_eq!(text, "early");
    acker.ack();
    fixture.sender.flushed().await;
    assert_eq!(lost.try_iter().collect::<Vec<_>>(), Vec::<String>::new());
}

#[tokio::test]
async fn streams_keep_unfinished_messages_on_disk_and_know_duplicates() {
    let Some(fixture) = Fixture::start("streams_keep_unfinished_messages_on_disk_and_know_duplicates").await
    else {
        return;
    };
    fixture.prepare().await;
    let stream = fixture.stream().await;
    let config = &stream.cached_info().config;
    assert_eq!((config.retention, config.storage), (RetentionPolicy::Interest, StorageType::File));
    assert_eq!(config.duplicate_window, Duration::from_secs(120));
    let dead = fixture.context.get_stream("DEAD-shop-v1").await.unwrap();
    let config = &dead.cached_info().config;
    assert_eq!((config.retention, config.storage), (RetentionPolicy::Limits, StorageType::File));
    assert_eq!(config.max_age, Duration::from_secs(30 * 24 * 3600));
    let consumer = stream.consumer_info("v1-etl").await.unwrap().config;
    assert_eq!((&*consumer.filter_subject, consumer.max_ack_pending), ("shop-v1-Buy.etl", 100_000));
    assert_eq!(consumer.ack_wait, Limits::default().ack_wait);

    let message_id = Some("one".to_owned());
    let headers = Headers { message_id, ..Headers::default() };
    for _ in 0..2 {
        fixture.sender.store(Message { headers: headers.clone(), ..fixture.message("once") }, None, None);
    }
    fixture.sender.flushed().await;
    assert_eq!(fixture.stream().await.cached_info().state.messages, 1);
}

/// The server counts headers, too. What it counts beside them is the same for any number.
#[tokio::test]
async fn the_size_of_a_message_is_at_least_what_the_server_counts() {
    let Some(fixture) = Fixture::start("the_size_of_a_message_is_at_least_what_the_server_counts").await
    else {
        return;
    };
    let mut received = fixture.subscribe("sizes").await;
    let reply = Some("_INBOX.abc".repeat(20));
    let one = Headers { reply: reply.clone(), ..Headers::default() };
    let two = Headers { reply, message_id: Some("id".to_owned()), ..Headers::default() };
    let mut beside = Vec::new();
    for (headers, body) in [(Headers::default(), 3000), (one, 0), (two.clone(), 0), (two, 3000)] {
        let body = Bytes::from(vec![b'x'; body]);
        let message = Message { subject: "sizes".to_owned(), reply: None, headers, body };
        let size = message.size();
        fixture.sender.send(message, None);
        let message = soon("the message", received.next()).await.unwrap();
        beside.push(size.checked_sub(message.length - "sizes".len()).unwrap());
    }
    assert_eq!(beside[1..], [beside[1]; 3]);
    assert!(beside[0] < 80 && beside[1] < 80, "{beside:?}");
}
