//! A link with a scripted worker at the other end of its socket.

use super::*;
use crate::node::{
    frame::{PROTOCOL, kind},
    scripted::{Client, MAX_FRAME, Peer, Stage, answer, frame, line, ready, result},
};
use krt_model::{
    hint,
    outcome::Failure,
    version::{Batch, Replicas, RunOptions},
};
use tokio::{net::UnixStream, task::JoinHandle};

mod batches;
mod streams;

/// A link, and the worker's end of its socket.
struct Linked {
    stage: Stage,
    link: Arc<Link>,
    peer: Peer,
    known: oneshot::Receiver<frame::Ready>,
    ended: JoinHandle<LinkEnd>,
}

impl Linked {
    /// Connects a link whose worker has not said anything.
    fn open(run: &RunOptions) -> Self {
        Self::on(Stage::new(run))
    }

    fn on(stage: Stage) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (read, write) = ours.into_split();
        let link = Arc::new(Link::new(Arc::clone(&stage.node), write, Role::Worker));
        link.greet();
        let (ready, known) = oneshot::channel();
        let running = Arc::clone(&link);
        let ended = tokio::spawn(async move { running.run(read, ready).await });
        Self { stage, link, peer: Peer::new(theirs), known, ended }
    }

    /// Connects a link whose worker is ready.
    async fn ready(run: &RunOptions) -> Self {
        let mut linked = Self::open(run);
        linked.get_ready().await;
        linked
    }

    async fn get_ready(&mut self) {
        self.peer.get_ready().await;
        (&mut self.known).await.unwrap();
    }

    /// Sends requests, and reads their deliveries.
    async fn requests<const N: usize>(&mut self, texts: [&str; N]) -> [Client; N] {
        let mut clients = Vec::new();
        for text in texts {
            clients.push(self.stage.request(text));
            self.peer.delivery().await;
        }
        clients.try_into().unwrap()
    }

    /// Waits for the link's end, which must come within a minute.
    async fn end(&mut self) -> LinkEnd {
        let ended = tokio::time::timeout(Duration::from_secs(60), &mut self.ended).await;
        ended.expect("the link ends").unwrap()
    }

    /// Waits for the link's end, which must be a violation of the protocol. Returns its message.
    async fn violation(&mut self) -> String {
        match self.end().await {
            LinkEnd::ProtocolError(error) => hint::messages(&error),
            ended => panic!("{ended:?}"),
        }
    }

    /// Ends the worker, as its lifecycle does.
    fn die(&self) {
        self.link.abandon(&ProcessEnd::of("it was killed"));
    }
}

fn concurrent(concurrency: u16) -> RunOptions {
    RunOptions { concurrency, ..RunOptions::default() }
}

fn died(how: &str) -> Failure {
    Failure::Died { node: krt_model::name::Name::parse("actor").unwrap(), how: how.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn hello_comes_first_and_ready_opens_the_queue() {
    let mut linked = Linked::open(&RunOptions::default());
    let hello = linked.peer.read().await.unwrap();
    assert_eq!((hello.kind, hello.id), (kind::HELLO, 0));
    let fields: serde_json::Value = serde_json::from_slice(&hello.body).unwrap();
    assert_eq!(fields["node"], "actor");
    assert_eq!(linked.stage.workers(), 0);
    linked.peer.write(&frame(kind::READY, 0, br#"{"protocol": 1, "sdk": "krt 1", "language": "C"}"#)).await;
    let known = (&mut linked.known).await.unwrap();
    assert_eq!((&*known.sdk, &*known.language), ("krt 1", "C"));
    assert_eq!(linked.stage.workers(), 1);
}

#[tokio::test(start_paused = true)]
async fn invalid_handshakes_end_the_link_before_it_has_a_slot() {
    for (bytes, expected) in [
        (ready(PROTOCOL + 1), "the worker speaks another version of the node protocol"),
        (ready(0), "the worker speaks another version of the node protocol"),
        (frame(kind::READY, 0, b"{}"), "the body of a frame of kind 64 is not the JSON it should be"),
        (answer(1, "x"), "RESULT names delivery 1, which is not in flight"),
        (
            frame(kind::EARLY_REPLY, 1, line("x").encoded()),
            "EARLY_REPLY names delivery 1, which is not in flight",
        ),
        (frame(63, 0, b""), "63"),
        (frame(kind::READY, 0, &vec![b' '; 2 << 20]), "64"),
    ] {
        let mut linked = Linked::open(&RunOptions::default());
        linked.peer.expect(kind::HELLO).await;
        linked.peer.write(&bytes[..bytes.len().min(1 << 10)]).await;
        let violation = linked.violation().await;
        assert!(violation.contains(expected), "{expected}: {violation}");
        assert_eq!(linked.stage.workers(), 0, "{expected}");
        assert!((&mut linked.known).await.is_err(), "{expected}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_ready_is_a_violation() {
    let mut linked = Linked::ready(&RunOptions::default()).await;
    linked.peer.write(&ready(PROTOCOL)).await;
    assert_eq!(linked.violation().await, "a second READY");
}

#[tokio::test(start_paused = true)]
async fn silent_workers_get_no_messages() {
    let mut linked = Linked::open(&RunOptions { retries: 1, ..RunOptions::default() });
    linked.peer.expect(kind::HELLO).await;
    let client = linked.stage.request("early");
    tokio::time::sleep(Duration::from_secs(600)).await;
    // `init` may take as long as it needs.
    assert!(!linked.ended.is_finished());
    assert_eq!((linked.stage.workers(), linked.stage.flow.queue(0).depth()), (0, 1));
    linked.peer.write(&ready(PROTOCOL)).await;
    let id = linked.peer.delivery().await;
    linked.peer.answer(id, "late").await;
    assert_eq!(client.await.unwrap(), Ok(line("late")));
}

#[tokio::test(start_paused = true)]
async fn broken_carries_the_reason() {
    let mut linked = Linked::open(&RunOptions::default());
    linked.peer.write(&frame(kind::BROKEN, 0, b"ImportError: numpy")).await;
    let ended = linked.end().await;
    assert!(matches!(&ended, LinkEnd::Broken(why) if why == "ImportError: numpy"), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn results_in_any_order_reach_their_own_clients() {
    let mut linked = Linked::ready(&concurrent(3)).await;
    let [one, two, three] = linked.requests(["1", "2", "3"]).await;
    for (id, text) in [(2, "second"), (3, "third"), (1, "first")] {
        linked.peer.answer(id, text).await;
    }
    assert_eq!(one.await.unwrap(), Ok(line("first")));
    assert_eq!(two.await.unwrap(), Ok(line("second")));
    assert_eq!(three.await.unwrap(), Ok(line("third")));
    assert!(linked.link.is_idle());
    assert_eq!(linked.link.answered(), 3);
}

#[tokio::test(start_paused = true)]
async fn each_status_of_a_result_has_its_answer() {
    let node = || krt_model::name::Name::parse("actor").unwrap();
    let handler = |error: &str| Failure::Handler { node: node(), error: error.to_owned() };
    let too_large = Failure::TooLarge { node: node(), size: 1 << 20, limit: MAX_FRAME };
    for (status, rest, expected) in [
        (0, line("x").encoded().to_vec(), Ok(line("x"))),
        (1, Vec::new(), Err(handler("the handler returned no message"))),
        (2, b"ValueError: x".to_vec(), Err(handler("ValueError: x"))),
        (3, Vec::new(), Err(Failure::Lost)),
        (4, (1_u64 << 20).to_le_bytes().to_vec(), Err(too_large)),
    ] {
        let mut linked = Linked::ready(&RunOptions::default()).await;
        let [client] = linked.requests(["in"]).await;
        linked.peer.write(&result(1, status, &rest)).await;
        assert_eq!(client.await.unwrap(), expected, "status {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_of_an_unknown_delivery_ends_the_link() {
    for unknown in [0, 2, 3, u32::MAX] {
        let mut linked = Linked::ready(&concurrent(2)).await;
        let [client] = linked.requests(["in"]).await;
        linked.peer.answer(unknown, "x").await;
        let expected = format!("RESULT names delivery {unknown}, which is not in flight");
        assert_eq!(linked.violation().await, expected);
        assert!(!client.is_finished());
        linked.die();
        assert_eq!(client.await.unwrap(), Err(died("it was killed")));
        assert_eq!(linked.stage.workers(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_result_of_a_delivery_ends_the_link() {
    // The first delivery is at the front of the window when it is answered; the second leaves a gap.
    for twice in [1, 2] {
        let mut linked = Linked::ready(&concurrent(2)).await;
        let [one, two] = linked.requests(["1", "2"]).await;
        linked.peer.write(&[answer(twice, "first"), answer(twice, "again")].concat()).await;
        let expected = format!("RESULT names delivery {twice}, which is not in flight");
        assert_eq!(linked.violation().await, expected);
        linked.die();
        let answers = [one.await.unwrap(), two.await.unwrap()];
        let mut expected = [Err(died("it was killed")), Err(died("it was killed"))];
        expected[twice as usize - 1] = Ok(line("first"));
        assert_eq!(answers, expected);
        assert_eq!(linked.link.answered(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_in_pieces_is_one_frame() {
    let mut linked = Linked::ready(&RunOptions::default()).await;
    let [client] = linked.requests(["in"]).await;
    for byte in answer(1, "whole") {
        linked.peer.write(&[byte]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(client.await.unwrap(), Ok(line("whole")));
}

#[tokio::test(start_paused = true)]
async fn truncated_frames_are_no_answer() {
    let whole = answer(1, "whole");
    for cut in [1, HEADER_CUT, whole.len() - 1] {
        let mut linked = Linked::ready(&RunOptions::default()).await;
        let [client] = linked.requests(["in"]).await;
        linked.peer.write(&whole[..cut]).await;
        let Linked { peer, ended, link, .. } = linked;
        drop(peer);
        let ended = ended.await.unwrap();
        assert!(matches!(ended, LinkEnd::Closed), "{ended:?}");
        assert!(!link.is_idle());
        link.abandon(&ProcessEnd::of("it was killed"));
        assert_eq!(client.await.unwrap(), Err(died("it was killed")), "cut after {cut} bytes");
    }
}

/// Within the header of a frame.
const HEADER_CUT: usize = 5;

#[tokio::test(start_paused = true)]
async fn a_disconnected_client_cancels_its_delivery() {
    let mut linked = Linked::ready(&concurrent(2)).await;
    let [one, two] = linked.requests(["1", "2"]).await;
    one.abort();
    assert_eq!(linked.peer.expect(kind::CANCEL).await, 1);
    // Its room is free only when the worker says so.
    let third = linked.stage.request("3");
    linked.stage.in_flight(2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(linked.stage.flow.queue(0).depth(), 1);
    linked.peer.write(&result(1, 3, b"")).await;
    assert_eq!(linked.peer.delivery().await, 3);
    linked.peer.answer(2, "two").await;
    linked.peer.answer(3, "three").await;
    assert_eq!(two.await.unwrap(), Ok(line("two")));
    assert_eq!(third.await.unwrap(), Ok(line("three")));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ignores_cancel_is_stuck() {
    let mut linked = Linked::ready(&RunOptions::default()).await;
    let [client] = linked.requests(["in"]).await;
    client.abort();
    linked.peer.expect(kind::CANCEL).await;
    let begun = tokio::time::Instant::now();
    let ended = linked.end().await;
    assert!(matches!(ended, LinkEnd::Stuck), "{ended:?}");
    assert!((window::GRACE..window::GRACE + 3 * TICK).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn workers_answering_a_cancelled_delivery_in_time_stay() {
    let mut linked = Linked::ready(&RunOptions::default()).await;
    let [client] = linked.requests(["in"]).await;
    client.abort();
    linked.peer.expect(kind::CANCEL).await;
    tokio::time::sleep(window::GRACE - 3 * TICK).await;
    // The result comes too late for anyone, and is no violation.
    linked.peer.answer(1, "late").await;
    tokio::time::sleep(2 * window::GRACE).await;
    assert!(!linked.ended.is_finished());
    let [next] = linked.requests(["next"]).await;
    linked.peer.answer(2, "next").await;
    assert_eq!(next.await.unwrap(), Ok(line("next")));
}

#[tokio::test(start_paused = true)]
async fn a_handler_past_its_timeout_fails_its_request() {
    let timeout = Duration::from_secs(2);
    let mut linked = Linked::ready(&RunOptions { timeout: Some(timeout), ..RunOptions::default() }).await;
    let begun = tokio::time::Instant::now();
    let [slow] = linked.requests(["slow"]).await;
    let ahead = linked.stage.request("ahead");
    assert_eq!(linked.peer.delivery().await, 2);
    let node = linked.stage.node.name.clone();
    assert_eq!(slow.await.unwrap(), Err(Failure::HandlerTimeout { node }));
    assert!((timeout..timeout + 5 * TICK).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(linked.peer.expect(kind::CANCEL).await, 1);
    // The time of the delivery that was sent ahead begins when the worker can start it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    linked.peer.write(&result(1, 3, b"")).await;
    tokio::time::sleep(timeout - 3 * TICK).await;
    linked.peer.answer(2, "ahead").await;
    assert_eq!(ahead.await.unwrap(), Ok(line("ahead")));
    assert!(!linked.ended.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_ignores_its_timeout_is_stuck() {
    let timeout = Duration::from_secs(1);
    let mut linked = Linked::ready(&RunOptions { timeout: Some(timeout), ..RunOptions::default() }).await;
    let begun = tokio::time::Instant::now();
    let [client] = linked.requests(["slow"]).await;
    let ended = linked.end().await;
    assert!(matches!(ended, LinkEnd::Stuck), "{ended:?}");
    let limit = timeout + window::GRACE;
    assert!((limit..limit + 5 * TICK).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    linked.die();
    assert!(matches!(client.await.unwrap(), Err(Failure::HandlerTimeout { .. })));
}

#[tokio::test(start_paused = true)]
async fn only_the_delivery_in_flight_is_blamed_for_a_death() {
    let mut linked = Linked::ready(&RunOptions::default()).await;
    let [guilty, innocent, also] = linked.requests(["1", "2", "3"]).await;
    linked.link.leave();
    let Linked { stage, link, .. } = linked;
    // The next worker of the node, which is up before the first has ended.
    let mut next = Linked::on(stage);
    next.get_ready().await;
    link.abandon(&ProcessEnd::of("it was killed"));
    // The node has no retries, but the others had not been started.
    assert_eq!(guilty.await.unwrap(), Err(died("it was killed")));
    for (id, client) in [(1, innocent), (2, also)] {
        assert_eq!(next.peer.delivery().await, id);
        next.peer.answer(id, "again").await;
        assert_eq!(client.await.unwrap(), Ok(line("again")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_death_costs_each_delivery_in_flight_a_retry() {
    let run = RunOptions { retries: 2, ..concurrent(2) };
    let mut linked = Linked::ready(&run).await;
    let [one, two] = linked.requests(["1", "2"]).await;
    let mut stage = linked.stage;
    linked.link.abandon(&ProcessEnd::of("first"));
    for _ in 0..2 {
        assert_eq!((stage.workers(), stage.flow.queue(0).depth()), (0, 2));
        let mut next = Linked::on(stage);
        next.get_ready().await;
        assert_eq!((next.peer.delivery().await, next.peer.delivery().await), (1, 2));
        assert!(!one.is_finished() && !two.is_finished());
        next.link.abandon(&ProcessEnd::of("again"));
        stage = next.stage;
    }
    assert_eq!(one.await.unwrap(), Err(died("again")));
    assert_eq!(two.await.unwrap(), Err(died("again")));
}

#[tokio::test(start_paused = true)]
async fn a_stop_follows_deliveries_and_ends_with_the_last_answer() {
    let mut linked = Linked::ready(&concurrent(2)).await;
    let [one, two] = linked.requests(["1", "2"]).await;
    linked.link.stop();
    assert_eq!(linked.peer.expect(kind::STOP).await, 0);
    assert_eq!(linked.stage.workers(), 0);
    // A node without workers and retries refuses at once.
    let refused = linked.stage.request("3").await.unwrap();
    assert_eq!(refused, Err(Failure::Down { node: linked.stage.node.name.clone() }));
    linked.peer.answer(2, "two").await;
    linked.peer.answer(1, "one").await;
    assert_eq!(one.await.unwrap(), Ok(line("one")));
    assert_eq!(two.await.unwrap(), Ok(line("two")));
    drop(linked.peer);
    let ended = linked.ended.await.unwrap();
    assert!(matches!(ended, LinkEnd::Closed), "{ended:?}");
    assert!(linked.link.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_single_worker_gets_a_limited_prefetch() {
    let mut linked = Linked::ready(&RunOptions::default()).await;
    let clients: Vec<_> = (0..1 + PREFETCH + 1).map(|_| linked.stage.request("x")).collect();
    for id in 1..=1 + PREFETCH {
        assert_eq!(linked.peer.delivery().await as usize, id);
    }
    assert_eq!(linked.stage.flow.queue(0).depth(), 1);
    for id in 1..=u32::try_from(clients.len()).unwrap() {
        linked.peer.answer(id, "x").await;
    }
    assert_eq!(linked.peer.delivery().await as usize, 2 + PREFETCH);
    for client in clients {
        assert_eq!(client.await.unwrap(), Ok(line("x")));
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_several_workers_gets_no_prefetch() {
    for run in [RunOptions { replicas: Replicas::fixed(2), ..RunOptions::default() }, concurrent(2)] {
        let mut linked = Linked::ready(&run).await;
        let room = usize::from(run.concurrency);
        let _clients: Vec<_> = (0..=room).map(|_| linked.stage.request("x")).collect();
        for _ in 0..room {
            linked.peer.delivery().await;
        }
        assert_eq!(linked.stage.flow.queue(0).depth(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_reply_answers_and_the_work_continues() {
    let mut linked = Linked::ready(&RunOptions::default()).await;
    let [client] = linked.requests(["in"]).await;
    linked.peer.write(&frame(kind::EARLY_REPLY, 1, line("early").encoded())).await;
    assert_eq!(client.await.unwrap(), Ok(line("early")));
    assert!(!linked.link.is_idle());
    linked.peer.write(&result(1, 1, b"")).await;
    linked.stage.in_flight(0).await;
    assert_eq!(linked.link.answered(), 1);
}
