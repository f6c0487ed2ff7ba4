//! Batches, with a scripted worker.

use super::*;
use crate::node::scripted::{flagged, ready_for_batches};

/// A delivery of a batch: its id and its text.
type Item = (u32, String);

fn batches(isolate: bool) -> RunOptions {
    RunOptions { batch: Some(Batch { max: 4, isolate }), ..RunOptions::default() }
}

/// The error of the scripted handler.
fn handler(error: &str) -> Failure {
    Failure::Handler { node: krt_model::name::Name::parse("actor").unwrap(), error: error.to_owned() }
}

impl Linked {
    /// Connects a worker that knows batches. It has handled one, so that the node has learnt a time.
    async fn batching(run: &RunOptions) -> Self {
        let mut linked = Self::open(run);
        linked.get_ready_for_batches().await;
        let client = linked.stage.request("first");
        let [(id, _)] = &linked.batch().await[..] else { panic!("the first batch is one message") };
        linked.peer.answer(*id, "first").await;
        assert_eq!(client.await.unwrap(), Ok(line("first")));
        linked
    }

    async fn get_ready_for_batches(&mut self) {
        self.peer.expect(kind::HELLO).await;
        self.peer.write(&ready_for_batches()).await;
        (&mut self.known).await.unwrap();
    }

    /// Reads a whole batch.
    async fn batch(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            let frame = self.peer.read().await.expect("the engine sends a batch");
            assert_eq!(frame.kind, kind::DELIVER, "{frame:?}");
            let before = 6 + usize::from(frame.body[3]) + usize::from(frame.body[4]);
            let message = Payload::parse(Bytes::copy_from_slice(&frame.body[before..])).unwrap();
            items.push((frame.id, String::from_utf8(message.value()[2..].to_vec()).unwrap()));
            if frame.body[0] & flag::MORE == 0 {
                return items;
            }
        }
    }

    /// Makes requests while the worker is busy with another, then frees it. They wait together.
    async fn requests_at_once<const N: usize>(&mut self, texts: [&str; N]) -> [Client; N] {
        let busy = self.stage.request("busy");
        let [(id, _)] = self.batch().await.try_into().unwrap();
        let mut clients = Vec::new();
        for (text, waiting) in texts.into_iter().zip(1..) {
            clients.push(self.stage.request(text));
            self.waiting(waiting).await;
        }
        self.peer.answer(id, "free").await;
        assert_eq!(busy.await.unwrap(), Ok(line("free")));
        clients.try_into().unwrap()
    }

    /// Waits until so many deliveries wait for a worker.
    async fn waiting(&self, deliveries: usize) {
        while self.stage.flow.queue(0).depth() != deliveries {
            tokio::task::yield_now().await;
        }
    }

    /// Answers each item of a batch with its own text.
    async fn echo(&mut self, batch: &[Item]) {
        for (id, text) in batch {
            self.peer.answer(*id, text).await;
        }
    }

    /// Fails a batch as a whole.
    async fn fail(&mut self, batch: &[Item], error: &str) {
        for (id, _) in batch {
            self.peer.write(&flagged(*id, 2, 2, error.as_bytes())).await;
        }
    }
}

fn texts(batch: &[Item]) -> Vec<&str> {
    batch.iter().map(|(_, text)| text.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn workers_that_do_not_know_batches_are_refused() {
    let mut linked = Linked::open(&batches(true));
    let hello = linked.peer.read().await.unwrap();
    let fields: serde_json::Value = serde_json::from_slice(&hello.body).unwrap();
    assert_eq!(fields["batch"], serde_json::json!({"max": 4}));
    linked.peer.write(&frame(kind::READY, 0, br#"{"protocol": 1, "sdk": "krt-c 1"}"#)).await;
    let LinkEnd::Broken(why) = linked.end().await else { panic!("the worker is refused") };
    assert!(why.starts_with("its SDK (krt-c 1) does not know batches"), "{why}");
    assert_eq!(linked.stage.workers(), 0);
}

#[tokio::test(start_paused = true)]
async fn hello_has_no_batch_where_there_is_none() {
    let mut linked = Linked::open(&RunOptions::default());
    let hello = linked.peer.read().await.unwrap();
    assert!(!String::from_utf8(hello.body).unwrap().contains("batch"));
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_the_next_batch() {
    let mut linked = Linked::batching(&batches(true)).await;
    let clients = linked.requests_at_once(["1", "2", "3", "4", "5"]).await;
    let batch = linked.batch().await;
    assert_eq!(texts(&batch), ["1", "2", "3", "4"]);
    // The place is free with the last RESULT only.
    for (id, text) in batch.iter().rev() {
        assert_eq!(linked.stage.flow.queue(0).depth(), 1);
        linked.peer.answer(*id, text).await;
    }
    let rest = linked.batch().await;
    assert_eq!(texts(&rest), ["5"]);
    linked.echo(&rest).await;
    for (client, text) in clients.into_iter().zip(["1", "2", "3", "4", "5"]) {
        assert_eq!(client.await.unwrap(), Ok(line(text)));
    }
    assert!(linked.link.is_idle());
}

/// A worker whose only client so far sends its next message at once after each answer.
async fn with_returning_clients() -> Linked {
    let mut linked = Linked::batching(&batches(true)).await;
    for _ in 0..50 {
        linked.stage.flow.queue(0).learn(1, Duration::from_millis(40));
        linked.stage.flow.queue(0).learn(4, Duration::from_millis(41));
    }
    for _ in 0..6 {
        let client = linked.stage.request("again");
        let batch = linked.batch().await;
        linked.echo(&batch).await;
        assert_eq!(client.await.unwrap(), Ok(line("again")));
    }
    linked
}

#[tokio::test(start_paused = true)]
async fn the_next_messages_of_a_batchs_clients_are_one_batch() {
    let mut linked = with_returning_clients().await;
    let clients = linked.requests_at_once(["1", "2", "3"]).await;
    for (texts_before, texts_after) in [(["1", "2", "3"], &["4", "5", "6"][..]), (["4", "5", "6"], &["7"])] {
        let batch = linked.batch().await;
        assert_eq!(texts(&batch), texts_before);
        linked.echo(&batch).await;
        while !linked.link.is_idle() {
            tokio::task::yield_now().await;
        }
        for text in texts_after {
            linked.stage.request(text);
        }
    }
    // Two clients have left: the worker does not wait for them for long.
    let begun = tokio::time::Instant::now();
    assert_eq!(texts(&linked.batch().await), ["7"]);
    assert!(begun.elapsed() <= Duration::from_millis(11), "{:?}", begun.elapsed());
    for client in clients {
        assert!(client.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_pauses_can_stop() {
    let mut linked = with_returning_clients().await;
    let [one, two] = linked.requests_at_once(["1", "2"]).await;
    let batch = linked.batch().await;
    linked.echo(&batch).await;
    assert_eq!((one.await.unwrap(), two.await.unwrap()), (Ok(line("1")), Ok(line("2"))));
    let waits = linked.stage.request("3");
    linked.stage.in_flight(1).await;
    assert_eq!(linked.stage.flow.queue(0).depth(), 1, "the worker pauses");
    linked.link.stop();
    linked.die();
    assert_eq!(waits.await.unwrap(), Err(Failure::Down { node: linked.link.node().name.clone() }));
}

#[tokio::test(start_paused = true)]
async fn an_item_has_its_own_error() {
    let mut linked = Linked::batching(&batches(true)).await;
    let [one, two] = linked.requests_at_once(["1", "2"]).await;
    let batch = linked.batch().await;
    linked.peer.write(&result(batch[0].0, 2, b"no")).await;
    linked.peer.answer(batch[1].0, "yes").await;
    assert_eq!(one.await.unwrap(), Err(handler("no")));
    assert_eq!(two.await.unwrap(), Ok(line("yes")));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_as_a_whole_is_halved_until_one_is_left() {
    let mut linked = Linked::batching(&batches(true)).await;
    let clients = linked.requests_at_once(["1", "2", "bad", "4"]).await;
    let mut calls = Vec::new();
    loop {
        let batch = linked.batch().await;
        calls.push(texts(&batch).join(" "));
        match texts(&batch).contains(&"bad") {
            true => linked.fail(&batch, "poison").await,
            false => linked.echo(&batch).await,
        }
        if batch.len() == 1 && batch[0].1 == "4" {
            break;
        }
    }
    assert_eq!(calls, ["1 2 bad 4", "1 2", "bad 4", "bad", "4"]);
    for (client, text) in clients.into_iter().zip(["1", "2", "bad", "4"]) {
        let expected = if text == "bad" { Err(handler("poison")) } else { Ok(line(text)) };
        assert_eq!(client.await.unwrap(), expected);
    }
    assert!(linked.link.is_idle());
}

#[tokio::test(start_paused = true)]
async fn without_isolation_all_fail() {
    let mut linked = Linked::batching(&batches(false)).await;
    let clients = linked.requests_at_once(["1", "2"]).await;
    let batch = linked.batch().await;
    linked.fail(&batch, "poison").await;
    for client in clients {
        assert_eq!(client.await.unwrap(), Err(handler("poison")));
    }
    let clients = linked.requests_at_once(["1", "2"]).await;
    assert_eq!(linked.batch().await.len(), 2);
    linked.die();
    for client in clients {
        assert_eq!(client.await.unwrap(), Err(died("it was killed")));
    }
}

#[tokio::test(start_paused = true)]
async fn halves_wait_for_the_next_worker() {
    let mut linked = Linked::batching(&batches(true)).await;
    let [good, bad] = linked.requests_at_once(["good", "bad"]).await;
    assert_eq!(texts(&linked.batch().await), ["good", "bad"]);
    linked.die();
    assert_eq!(linked.stage.flow.queue(0).depth(), 2);
    let mut linked = Linked::on(linked.stage);
    linked.get_ready_for_batches().await;
    let half = linked.batch().await;
    assert_eq!(texts(&half), ["good"]);
    linked.echo(&half).await;
    assert_eq!(good.await.unwrap(), Ok(line("good")));
    assert_eq!(texts(&linked.batch().await), ["bad"]);
    linked.die();
    assert_eq!(bad.await.unwrap(), Err(died("it was killed")));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_between_results_keeps_those_it_sent() {
    let mut linked = Linked::batching(&batches(true)).await;
    let [one, two, three] = linked.requests_at_once(["1", "2", "3"]).await;
    let batch = linked.batch().await;
    linked.peer.answer(batch[0].0, "1").await;
    assert_eq!(one.await.unwrap(), Ok(line("1")));
    linked.peer.write(&flagged(batch[1].0, 2, 2, b"poison")).await;
    while linked.link.answered() != 4 {
        tokio::task::yield_now().await;
    }
    linked.die();
    let mut linked = Linked::on(linked.stage);
    linked.get_ready_for_batches().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let half = linked.batch().await;
        linked.echo(&half).await;
        seen.push(half[0].1.clone());
    }
    seen.sort();
    assert_eq!(seen, ["2", "3"]);
    assert_eq!(two.await.unwrap(), Ok(line("2")));
    assert_eq!(three.await.unwrap(), Ok(line("3")));
}

#[tokio::test(start_paused = true)]
async fn a_batch_past_the_timeout_is_halved() {
    let timeout = Duration::from_secs(2);
    let run = RunOptions { timeout: Some(timeout), ..batches(true) };
    let mut linked = Linked::batching(&run).await;
    let [one, two] = linked.requests_at_once(["1", "2"]).await;
    let batch = linked.batch().await;
    assert_eq!(batch.len(), 2);
    for _ in 0..2 {
        linked.peer.expect(kind::CANCEL).await;
    }
    assert_eq!(linked.stage.flow.queue(0).depth(), 2);
    for (id, _) in &batch {
        linked.peer.write(&result(*id, 3, b"")).await;
    }
    let half = linked.batch().await;
    assert_eq!(texts(&half), ["1"]);
    linked.echo(&half).await;
    assert_eq!(one.await.unwrap(), Ok(line("1")));
    assert_eq!(texts(&linked.batch().await), ["2"]);
    linked.peer.expect(kind::CANCEL).await;
    let node = krt_model::name::Name::parse("actor").unwrap();
    assert_eq!(two.await.unwrap(), Err(Failure::HandlerTimeout { node }));
}

#[tokio::test(start_paused = true)]
async fn a_half_whose_client_has_left_is_not_handled_again() {
    let mut linked = Linked::batching(&batches(true)).await;
    let [one, two] = linked.requests_at_once(["1", "2"]).await;
    linked.batch().await;
    linked.die();
    one.abort();
    linked.waiting(1).await;
    let mut linked = Linked::on(linked.stage);
    linked.get_ready_for_batches().await;
    let half = linked.batch().await;
    assert_eq!(texts(&half), ["2"]);
    linked.echo(&half).await;
    assert_eq!(two.await.unwrap(), Ok(line("2")));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_leaves_its_batch_does_not_end_the_worker() {
    let mut linked = Linked::batching(&batches(true)).await;
    let [one, two] = linked.requests_at_once(["1", "2"]).await;
    let batch = linked.batch().await;
    one.abort();
    assert_eq!(linked.peer.expect(kind::CANCEL).await, batch[0].0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!linked.ended.is_finished());
    two.abort();
    assert_eq!(linked.peer.expect(kind::CANCEL).await, batch[1].0);
    assert!(matches!(linked.end().await, LinkEnd::Stuck));
}
