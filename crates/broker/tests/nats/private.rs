//! The stream of one process of an older runner.

use super::{Fixture, soon};
use async_nats::jetstream::{
    consumer::{pull, push},
    stream::{RetentionPolicy, StorageType},
};
use futures::StreamExt as _;
use krt_broker::PrivateStream;
use std::time::Duration;

#[tokio::test]
async fn a_stream_is_taken_while_a_consumer_of_its_subject_waits() {
    let Some(fixture) = Fixture::start("a_stream_is_taken_while_a_consumer_of_its_subject_waits").await
    else {
        return;
    };
    let private = PrivateStream::create(&fixture.connection, "one").await.unwrap();
    let stream = fixture.context.get_stream("one").await.unwrap();
    let config = &stream.cached_info().config;
    assert_eq!(
        (config.subjects.as_slice(), config.retention),
        (&["one.*".to_owned()][..], RetentionPolicy::Interest)
    );
    assert_eq!((config.storage, config.max_age), (StorageType::File, Duration::from_secs(24 * 3600)));
    assert!(!private.is_taken("one.a").await);

    let filter_subject = "one.a".to_owned();
    let config = pull::Config { filter_subject: filter_subject.clone(), ..pull::Config::default() };
    let consumer = stream.create_consumer(config).await.unwrap();
    assert!(!private.is_taken("one.a").await, "it does not wait");
    let mut messages = consumer.messages().await.unwrap();
    assert!(futures::poll!(messages.next()).is_pending());
    soon("the consumer waits", async { while !private.is_taken("one.a").await {} }).await;
    assert!(!private.is_taken("one.b").await, "the consumer is another subject's");
    private.remove().await;
    assert!(fixture.context.get_stream("one").await.is_err());
}

#[tokio::test]
async fn a_pushed_consumer_takes_messages_once_it_is_bound() {
    let Some(fixture) = Fixture::start("a_pushed_consumer_takes_messages_once_it_is_bound").await else {
        return;
    };
    let private = PrivateStream::create(&fixture.connection, "one").await.unwrap();
    let stream = fixture.context.get_stream("one").await.unwrap();
    // Without a filter, it takes every subject.
    let deliver_subject = fixture.context.client().new_inbox();
    let config = push::Config { deliver_subject, ..push::Config::default() };
    let consumer = stream.create_consumer(config).await.unwrap();
    assert!(!private.is_taken("one.a").await);
    let _messages = consumer.messages().await.unwrap();
    soon("the consumer is bound", async { while !private.is_taken("one.a").await {} }).await;
}
