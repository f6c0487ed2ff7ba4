//! Dead letters.

use super::{Fixture, name, soon, take};
use async_nats::HeaderMap;
use krt_broker::{Headers, Message, Namespace, dead::DeadLetters, stream::Limits};
use std::time::{SystemTime, UNIX_EPOCH};

impl Fixture {
    async fn dead(&self) -> DeadLetters {
        DeadLetters::open(&self.connection, &Namespace::of_runtime("shop"), &name("v1")).await.unwrap()
    }

    /// Writes a dead letter, as any client can.
    async fn write(&self, headers: HeaderMap, body: &'static str) -> u64 {
        let stored =
            self.context.publish_with_headers("DEAD-shop-v1.buying.etl", headers, body.into()).await.unwrap();
        stored.await.unwrap().sequence
    }
}

#[tokio::test]
async fn a_message_that_is_given_up_is_kept_and_can_be_retried_once() {
    let Some(fixture) = Fixture::start("a_message_that_is_given_up_is_kept_and_can_be_retried_once").await
    else {
        return;
    };
    fixture.prepare().await;
    let dead = fixture.dead().await;
    let mut intake = fixture.intake(1, Limits::default()).await.unwrap();
    let metadata = serde_json::from_str(r#"{"x-tenant":["a"]}"#).unwrap();
    let headers = Headers { metadata, reply: Some("_INBOX.a".to_owned()), ..Headers::default() };
    fixture.sender.store(Message { headers: headers.clone(), ..fixture.message("work") }, None, None);
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    take(&mut intake).await.1.dead_letter(&format!("no shelf\n{}", "x".repeat(400)));
    fixture.sender.flushed().await;

    let letters = dead.list().await.unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((&*letter.workflow, &*letter.node, letter.tries, letter.size), ("buying", "etl", 1, 4));
    assert_eq!(letter.reason, format!("no shelf {}…", "x".repeat(291)));
    assert!((before..before + 60).contains(&(letter.time.0 / 1_000_000_000)), "{letter:?}");
    let (same, body) = dead.get(letter.id).await.unwrap().unwrap();
    assert_eq!((&same, &*body), (letter, &b"work"[..]));
    assert_eq!(dead.get(letter.id + 1).await.unwrap(), None);

    assert!(!dead.retry(letter.id + 1).await.unwrap());
    assert!(dead.retry(letter.id).await.unwrap());
    let again = soon("the message", intake.next()).await.unwrap();
    assert_eq!((&*again.body, again.headers.no_client), (&b"work"[..], true));
    assert_eq!((again.headers.metadata, again.headers.reply), (headers.metadata, None));
    assert_eq!(again.headers.message_id, Some(format!("retry-DEAD-shop-v1-{}", letter.id)));
    assert_eq!((dead.list().await.unwrap(), dead.retry(letter.id).await.unwrap()), (Vec::new(), false));
}

#[tokio::test]
async fn dead_letters_are_listed_in_order_and_removed_one_by_one() {
    let Some(fixture) = Fixture::start("dead_letters_are_listed_in_order_and_removed_one_by_one").await
    else {
        return;
    };
    fixture.prepare().await;
    let dead = fixture.dead().await;
    assert_eq!(dead.list().await.unwrap(), []);
    // More than the server sends at a time.
    for number in 1..=1001 {
        let mut headers = HeaderMap::new();
        headers.insert("Krt-Reason", if number == 3 { "y".repeat(2000) } else { "x".to_owned() });
        headers.insert("Krt-Tries", number.to_string());
        assert_eq!(fixture.write(headers, "work").await, number);
    }
    let numbers = async || {
        dead.list().await.unwrap().iter().map(|letter| (letter.id, letter.tries)).collect::<Vec<_>>()
    };
    assert_eq!(numbers().await, (1..=1001).map(|number| (number, number)).collect::<Vec<_>>());
    assert_eq!(dead.list().await.unwrap()[2].reason, "y".repeat(1024));
    assert!(dead.drop_one(2).await.unwrap());
    assert!(!dead.drop_one(2).await.unwrap());
    let rest = numbers().await;
    assert_eq!((rest.len(), &rest[..2]), (1000, &[(1, 1), (3, 3)][..]));
}

/// Other clients may write dead letters, and must not publish with the engine's rights.
#[tokio::test]
async fn only_subjects_of_the_version_are_retried() {
    let Some(fixture) = Fixture::start("only_subjects_of_the_version_are_retried").await else { return };
    fixture.prepare().await;
    let dead = fixture.dead().await;
    let mut headers = HeaderMap::new();
    headers.insert("Krt-Subject", "$JS.API.STREAM.DELETE.shop-v1-Buy");
    let id = fixture.write(headers, "{}").await;
    let error = dead.retry(id).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "a message in `DEAD-shop-v1` cannot be retried: its subject `$JS.API.STREAM.DELETE.shop-v1-Buy` belongs to \
         no node of the version"
    );
    assert_eq!(dead.list().await.unwrap().len(), 1);
    fixture.stream().await;
}
