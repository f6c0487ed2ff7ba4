//! Consumers that another runner, or krt, left.

use super::{Fixture, soon, take};
use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, PushConsumer, pull, push},
    stream,
};
use futures::StreamExt as _;
use krt_broker::{
    Error,
    stream::{Limits, prepare_external},
};

impl Fixture {
    /// Creates the consumer of the stage as another runner does, which gets messages pushed.
    async fn other_runner(&self) -> PushConsumer {
        let config = push::Config {
            durable_name: Some("v1-etl".to_owned()),
            deliver_subject: self.context.client().new_inbox(),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            filter_subject: "shop-v1-Buy.etl".to_owned(),
            ..push::Config::default()
        };
        self.stream().await.create_consumer(config).await.unwrap()
    }

    /// Returns the consumers of the workflow's stream, and whether they get messages pushed.
    async fn consumers(&self) -> Vec<(String, bool)> {
        let stream = self.stream().await;
        let found = stream.consumers().map(Result::unwrap);
        found.map(|info| (info.name, info.config.deliver_subject.is_some())).collect().await
    }
}

#[tokio::test]
async fn krt_continues_where_another_runner_stopped() {
    let Some(fixture) = Fixture::start("krt_continues_where_another_runner_stopped").await else { return };
    prepare_external(&fixture.connection, &fixture.stage, Limits::default()).await.unwrap();
    let other = fixture.other_runner().await;
    // It keeps what the other runner has handled.
    fixture.stream().await.create_consumer(pull::Config::default()).await.unwrap();
    for body in ["one", "two", "three"] {
        fixture.store(body);
        fixture.sender.flushed().await;
    }
    let mut pushed = other.messages().await.unwrap();
    for _ in 0..2 {
        let message = soon("a message", pushed.next()).await.unwrap().unwrap();
        message.double_ack().await.unwrap();
    }
    let refused = fixture.intake(1, Limits::default()).await.unwrap_err();
    assert!(matches!(refused, Error::InUse { .. }), "{refused}");
    assert_eq!(
        refused.to_string(),
        "the consumer `v1-etl` cannot be used: another runner takes its messages"
    );
    drop(pushed);
    let mut intake = soon("the other runner is gone", async {
        loop {
            if let Ok(intake) = fixture.intake(1, Limits::default()).await {
                return intake;
            }
        }
    })
    .await;
    let consumers = fixture.consumers().await;
    assert!(consumers.contains(&("v1-etl".to_owned(), false)) && consumers.len() == 2, "{consumers:?}");
    assert_eq!(take(&mut intake).await.0, "three");
}

#[tokio::test]
async fn a_consumer_of_krt_makes_way_for_another_runner_once_it_is_unused() {
    let Some(fixture) =
        Fixture::start("a_consumer_of_krt_makes_way_for_another_runner_once_it_is_unused").await
    else {
        return;
    };
    let prepare = async || {
        prepare_external(&fixture.connection, &fixture.stage, Limits::default()).await.unwrap();
        fixture.consumers().await
    };
    let ours = [("v1-etl".to_owned(), false)];
    fixture.prepare().await;
    let mut intake = fixture.intake(1, Limits::default()).await.unwrap();
    assert!(futures::poll!(Box::pin(intake.next())).is_pending());
    let waits = async || fixture.stream().await.consumer_info("v1-etl").await.unwrap().num_waiting;
    soon("a request for messages", async {
        while waits().await == 0 {
            let _ = futures::poll!(Box::pin(intake.next()));
        }
    })
    .await;
    assert_eq!(prepare().await, ours, "it is used");
    soon("the end of the intake", intake.close()).await;
    drop(intake);
    soon("no request for messages", async { while waits().await > 0 {} }).await;
    assert_eq!(prepare().await, []);

    fixture.other_runner().await;
    assert_eq!(prepare().await, [("v1-etl".to_owned(), true)], "it is the other runner's");
}

#[tokio::test]
async fn a_consumer_that_is_deleted_is_created_again() {
    let Some(fixture) = Fixture::start("a_consumer_that_is_deleted_is_created_again").await else { return };
    let mut intake = fixture.intake(1, Limits::default()).await.unwrap();
    let stream = fixture.stream().await;
    let waits = async {
        while stream.consumer_info("v1-etl").await.unwrap().num_waiting == 0 {}
        stream.delete_consumer("v1-etl").await.unwrap();
        while stream.consumer_info("v1-etl").await.is_err() {}
        fixture.store("later");
    };
    let (taken, ()) = soon("the message", async { tokio::join!(take(&mut intake), waits) }).await;
    assert_eq!(taken.0, "later");
}

#[tokio::test]
async fn a_stream_that_cannot_be_made_is_reported() {
    let Some(fixture) = Fixture::start("a_stream_that_cannot_be_made_is_reported").await else { return };
    let subjects = vec!["shop-v1-Buy.>".to_owned()];
    let config = stream::Config { name: "other".to_owned(), subjects, ..stream::Config::default() };
    fixture.context.create_stream(config).await.unwrap();
    let refused = fixture.intake(1, Limits::default()).await.unwrap_err();
    assert!(matches!(refused, Error::JetStream { done: "made", .. }), "{refused}");
}
