//! Streams: messages before the RESULT, and the credit for them.

use super::*;
use crate::{
    flow::AnswerStream,
    node::{
        scripted::{flagged, ready_for_streams},
        stream::WINDOW,
    },
};

const HOUR: Duration = Duration::from_secs(3600);

/// Connects a link whose worker knows streams.
async fn streaming(run: &RunOptions) -> Linked {
    let mut linked = Linked::on(Stage::streaming(run));
    linked.peer.expect(kind::HELLO).await;
    linked.peer.write(&ready_for_streams()).await;
    (&mut linked.known).await.unwrap();
    linked
}

/// Connects a link, and sends a request whose answer is a stream.
async fn begin(run: &RunOptions) -> (Linked, AnswerStream) {
    let mut linked = streaming(run).await;
    let answer = linked.stage.stream("in", HOUR);
    let delivery = linked.peer.read().await.unwrap();
    assert_eq!((delivery.kind, delivery.id, delivery.body[0]), (kind::DELIVER, 1, flag::STREAM));
    (linked, answer)
}

fn message(text: &str) -> Vec<u8> {
    frame(kind::MESSAGE, 1, line(text).encoded())
}

async fn text(answer: &mut AnswerStream) -> Result<Option<String>, Failure> {
    let next = answer.next().await?;
    Ok(next.map(|message| String::from_utf8(message.payload.value()[2..].to_vec()).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn messages_come_in_order_before_the_end() {
    for (last, expected) in [(answer(1, "c"), Some("c")), (result(1, 1, b""), None)] {
        let (mut linked, mut stream) = begin(&RunOptions::default()).await;
        linked.peer.write(&[message("a"), message("b"), last].concat()).await;
        assert_eq!(text(&mut stream).await.unwrap().as_deref(), Some("a"));
        assert_eq!(text(&mut stream).await.unwrap().as_deref(), Some("b"));
        assert_eq!(text(&mut stream).await.unwrap().as_deref(), expected);
        if expected.is_some() {
            assert_eq!(text(&mut stream).await.unwrap(), None);
        }
        drop(stream);
        linked.stage.in_flight(0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_comes_after_the_messages() {
    let (mut linked, mut stream) = begin(&RunOptions::default()).await;
    linked.peer.write(&[message("a"), result(1, 2, b"no more")].concat()).await;
    assert_eq!(text(&mut stream).await.unwrap().as_deref(), Some("a"));
    let error = text(&mut stream).await.unwrap_err();
    assert_eq!(error.to_string(), "error in 'actor': no more");
}

#[tokio::test(start_paused = true)]
async fn taken_messages_are_credited() {
    let (mut linked, mut stream) = begin(&RunOptions::default()).await;
    let half = WINDOW.messages / 2;
    for _ in 0..half {
        linked.peer.write(&message("a")).await;
        text(&mut stream).await.unwrap().unwrap();
    }
    let credit = linked.peer.read().await.unwrap();
    let bytes = u64::from(half) * line("a").encoded().len() as u64;
    assert_eq!((credit.kind, credit.id), (kind::CREDIT, 1));
    assert_eq!(credit.body, [&half.to_le_bytes()[..], &bytes.to_le_bytes()].concat());
}

#[tokio::test(start_paused = true)]
async fn messages_beyond_the_window_are_violations() {
    let (mut linked, _stream) = begin(&RunOptions::default()).await;
    for _ in 0..=WINDOW.messages {
        linked.peer.write(&message("a")).await;
    }
    assert_eq!(linked.violation().await, "a MESSAGE exceeds what may wait for the client");
}

#[tokio::test(start_paused = true)]
async fn messages_of_other_deliveries_are_violations() {
    let mut unary = Linked::ready(&RunOptions::default()).await;
    let [_client] = unary.requests(["in"]).await;
    unary.peer.write(&message("a")).await;
    assert_eq!(unary.violation().await, "a MESSAGE names a delivery whose answer is not a stream");
    let mut idle = streaming(&RunOptions::default()).await;
    idle.peer.write(&message("a")).await;
    assert_eq!(idle.violation().await, "MESSAGE names delivery 1, which is not in flight");
}

#[tokio::test(start_paused = true)]
async fn a_message_of_another_type_fails_the_request_and_stops_its_handler() {
    let (mut linked, mut stream) = begin(&RunOptions::default()).await;
    let other = Payload::pack("type.googleapis.com/Other", b"");
    linked.peer.write(&[message("a"), frame(kind::MESSAGE, 1, other.encoded()), message("b")].concat()).await;
    assert_eq!(text(&mut stream).await.unwrap().as_deref(), Some("a"));
    let error = text(&mut stream).await.unwrap_err();
    assert_eq!(error.to_string(), "node 'actor' answered with a Other, but the RPC returns Line");
    assert_eq!(linked.peer.expect(kind::CANCEL).await, 1);
    linked.peer.write(&result(1, 3, b"")).await;
    drop(stream);
    linked.stage.in_flight(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_cancels_the_handler() {
    let (mut linked, mut stream) = begin(&RunOptions::default()).await;
    linked.peer.write(&message("a")).await;
    text(&mut stream).await.unwrap();
    drop(stream);
    assert_eq!(linked.peer.expect(kind::CANCEL).await, 1);
    linked.peer.write(&[message("b"), result(1, 3, b"")].concat()).await;
    linked.stage.in_flight(0).await;
    linked.peer.write(&message("c")).await;
    assert_eq!(linked.violation().await, "MESSAGE names delivery 1, which is not in flight");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_stream_that_nobody_takes() {
    let mut linked = streaming(&RunOptions::default()).await;
    let mut stream = linked.stage.stream("in", Duration::from_secs(1));
    linked.peer.delivery().await;
    linked.peer.write(&message("a")).await;
    assert_eq!(linked.peer.expect(kind::CANCEL).await, 1);
    let waited = Duration::from_secs(1);
    assert_eq!(text(&mut stream).await.unwrap_err(), Failure::Deadline { waited });
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_in_a_stream_is_not_replaced() {
    let retried = RunOptions { retries: 3, ..RunOptions::default() };
    let (mut linked, mut stream) = begin(&retried).await;
    linked.peer.write(&message("a")).await;
    assert_eq!(text(&mut stream).await.unwrap().as_deref(), Some("a"));
    linked.die();
    let node = krt_model::name::Name::parse("actor").unwrap();
    let interrupted = Failure::Interrupted { node, sent: 1, how: "it was killed".to_owned() };
    assert_eq!(text(&mut stream).await.unwrap_err(), interrupted);
}

#[tokio::test(start_paused = true)]
async fn messages_after_an_early_reply_are_dropped() {
    let (mut linked, mut stream) = begin(&RunOptions::default()).await;
    let early = frame(kind::EARLY_REPLY, 1, line("b").encoded());
    linked.peer.write(&[message("a"), early, message("c"), flagged(1, 1, 0, b"")].concat()).await;
    assert_eq!(text(&mut stream).await.unwrap().as_deref(), Some("a"));
    assert_eq!(text(&mut stream).await.unwrap().as_deref(), Some("b"));
    assert_eq!(text(&mut stream).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_know_streams_is_refused() {
    let mut linked = Linked::on(Stage::streaming(&RunOptions::default()));
    linked.peer.get_ready().await;
    match linked.end().await {
        LinkEnd::Broken(why) => assert!(why.contains("does not know streams; hint: "), "{why}"),
        ended => panic!("{ended:?}"),
    }
}
