use super::*;
use crate::version::Memory;
use proptest::prelude::*;

const ANSWER: &str = "p.Answer";
const LIMIT: usize = 8;

fn step(node: &Name) -> Step<'_> {
    Step {
        node,
        last: false,
        replied: false,
        redelivered: false,
        retries_left: 0,
        redeliveries_left: 0,
        answer_type: ANSWER,
        answer_limit: LIMIT,
        streams: false,
        sent: 0,
    }
}

fn node() -> Name {
    Name::parse("model").unwrap()
}

fn payload(type_name: &str, size: usize) -> Payload {
    Payload::pack(&format!("type.googleapis.com/{type_name}"), &vec![7; size])
}

fn message(type_name: &str, size: usize, early_exit: bool) -> HandlerResult {
    HandlerResult::Message { payload: payload(type_name, size), early_exit }
}

/// Describes an outcome, to keep the table below readable.
fn describe(outcome: Outcome) -> String {
    match outcome {
        Outcome::Next(payload) => format!("next {}", payload.type_name()),
        Outcome::Answer(payload) => format!("answer {}", payload.type_name()),
        Outcome::EndStream => "end".to_owned(),
        Outcome::Fail(failure) => format!("fail {failure}"),
        Outcome::Retry { counts } => format!("again {counts}"),
        Outcome::Redeliver => "give back".to_owned(),
        Outcome::Finished => "finished".to_owned(),
        Outcome::FailedInBackground(failure) => format!("background {failure}"),
        Outcome::Dropped => "dropped".to_owned(),
    }
}

#[test]
fn table() {
    let node = node();
    let inner = step(&node);
    let last = Step { last: true, ..inner };
    let replied = Step { replied: true, ..inner };
    let last_replied = Step { last: true, replied: true, ..inner };
    let retried = Step { retries_left: 1, ..inner };
    let kept = Step { redeliveries_left: 1, ..inner };
    let redelivered = Step { redelivered: true, ..inner };
    let kept_redelivered = Step { redeliveries_left: 1, ..redelivered };
    let kept_replied = Step { redeliveries_left: 1, ..replied };
    let error = || HandlerResult::Error("no price".to_owned());
    let died = || HandlerResult::Died("killed by signal 9".to_owned());
    let nothing = |early_exit| HandlerResult::Nothing { early_exit };

    let rows = [
        ("a message goes on", inner, message("p.Inner", 2, false), "next p.Inner"),
        ("its type matters at the end only", inner, message(ANSWER, 99, false), "next p.Answer"),
        ("the last node answers", last, message(ANSWER, LIMIT, false), "answer p.Answer"),
        ("early exit answers", inner, message(ANSWER, 2, true), "answer p.Answer"),
        (
            "early exit with another type",
            inner,
            message("p.Inner", 2, true),
            "fail node 'model' answered with a p.Inner, but the RPC returns p.Answer",
        ),
        (
            "another type",
            last,
            message("p.Inner", 2, false),
            "fail node 'model' answered with a p.Inner, but the RPC returns p.Answer",
        ),
        (
            "too large",
            last,
            message(ANSWER, LIMIT + 1, false),
            "fail the answer of node 'model' has 9 bytes, the limit is 8",
        ),
        (
            "too large for a frame",
            inner,
            HandlerResult::TooLarge { size: 99 },
            "fail the answer of node 'model' has 99 bytes, the limit is 8",
        ),
        ("goes on after a reply", replied, message("p.Inner", 2, false), "next p.Inner"),
        ("the last result after a reply is dropped", last_replied, message("p.Inner", 2, false), "finished"),
        ("early exit after a reply", replied, message(ANSWER, 2, true), "finished"),
        ("nothing", inner, nothing(false), "fail error in 'model': the handler returned no message"),
        (
            "nothing at the end",
            last,
            nothing(false),
            "fail error in 'model': the handler returned no message",
        ),
        ("nothing at the end after a reply", last_replied, nothing(false), "finished"),
        ("nothing with an early exit after a reply", replied, nothing(true), "finished"),
        (
            "nothing with an early exit",
            inner,
            nothing(true),
            "fail error in 'model': the handler returned no message",
        ),
        (
            "nothing in the middle after a reply",
            replied,
            nothing(false),
            "background error in 'model': the handler returned no message",
        ),
        ("an error", inner, error(), "fail error in 'model': no price"),
        (
            "killed for memory",
            inner,
            HandlerResult::OutOfMemory(Memory(128 << 20)),
            "fail node 'model' ran out of memory while it handled the request: its limit is 128Mi",
        ),
        ("killed for memory, and retried", retried, HandlerResult::OutOfMemory(Memory(1)), "again true"),
        ("an error at the end", last, error(), "fail error in 'model': no price"),
        ("an error after a reply", replied, error(), "background error in 'model': no price"),
        ("an error is not retried", retried, error(), "fail error in 'model': no price"),
        ("death", inner, died(), "fail node 'model' died while it handled the request: killed by signal 9"),
        ("death where retries are left", retried, died(), "again true"),
        (
            "death after a reply",
            replied,
            died(),
            "background node 'model' died while it handled the request: killed by signal 9",
        ),
        (
            "death where the broker keeps messages and the client waits",
            kept,
            died(),
            "fail node 'model' died while it handled the request: killed by signal 9",
        ),
        ("death where the broker keeps messages, after a reply", kept_replied, died(), "give back"),
        ("death of a redelivered message, which may be confirmed", kept_redelivered, died(), "give back"),
        (
            "death of a redelivered message for the last time",
            redelivered,
            died(),
            "fail node 'model' died while it handled the request: killed by signal 9",
        ),
        (
            "death where retries are left comes first",
            Step { retries_left: 1, ..kept_replied },
            died(),
            "again true",
        ),
        ("an error where the broker keeps messages", kept, error(), "fail error in 'model': no price"),
        (
            "an error where the broker keeps messages, after a reply",
            kept_replied,
            error(),
            "background error in 'model': no price",
        ),
        ("death before it was touched", inner, HandlerResult::Untouched, "again false"),
        ("cancelled", inner, HandlerResult::Cancelled, "dropped"),
        (
            "too slow",
            inner,
            HandlerResult::TimedOut,
            "fail the handler of node 'model' took longer than the node's timeout",
        ),
    ];
    for (name, step, result, expected) in rows {
        assert_eq!(describe(decide(&step, result)), expected, "{name}");
    }
}

fn results() -> impl Strategy<Value = HandlerResult> {
    prop_oneof![
        (prop_oneof![Just(ANSWER), Just("p.Inner")], 0..2 * LIMIT, any::<bool>())
            .prop_map(|(type_name, size, early_exit)| message(type_name, size, early_exit)),
        any::<bool>().prop_map(|early_exit| HandlerResult::Nothing { early_exit }),
        ".*".prop_map(HandlerResult::Error),
        Just(HandlerResult::TimedOut),
        any::<u64>().prop_map(|size| HandlerResult::TooLarge { size }),
        Just(HandlerResult::Cancelled),
        ".*".prop_map(HandlerResult::Died),
        any::<u64>().prop_map(|bytes| HandlerResult::OutOfMemory(Memory(bytes))),
        Just(HandlerResult::Untouched),
    ]
}

proptest! {
    /// An answered client never gets another answer, and an unanswered one is never forgotten.
    #[test]
    fn every_client_gets_one_answer(
        result in results(),
        last: bool,
        replied: bool,
        redelivered: bool,
        streams: bool,
        sent in 0..3_u32,
        retries_left in 0..3_u16,
        redeliveries_left in 0..3_u16,
    ) {
        let node = node();
        // Only the last node of a stream sends messages of the answer.
        let sent = if streams && last { sent } else { 0 };
        let step = step(&node);
        let step = Step { last, replied, redelivered, streams, sent, retries_left, redeliveries_left, ..step };
        let cancelled = result == HandlerResult::Cancelled;
        let begun = sent > 0 && result != HandlerResult::Untouched;
        match decide(&step, result) {
            Outcome::Answer(payload) => {
                prop_assert!(!replied);
                prop_assert!(check_answer(&step, &payload).is_ok());
            }
            Outcome::EndStream => prop_assert!(streams && !replied),
            Outcome::Fail(_) => prop_assert!(!replied),
            Outcome::Finished | Outcome::FailedInBackground(_) => prop_assert!(replied),
            Outcome::Retry { counts } => prop_assert!(!begun && (!counts || retries_left > 0)),
            Outcome::Redeliver => prop_assert!((replied || redelivered) && redeliveries_left > 0),
            Outcome::Dropped => prop_assert!(cancelled),
            Outcome::Next(_) => prop_assert!(!last),
        }
    }
}

#[test]
fn streams() {
    let node = node();
    let stream = Step { streams: true, ..step(&node) };
    let last = Step { last: true, ..stream };
    let begun = Step { sent: 3, retries_left: 5, redeliveries_left: 5, ..last };
    let nothing = |early_exit| HandlerResult::Nothing { early_exit };
    let died = || HandlerResult::Died("killed by signal 9".to_owned());
    let memory = || HandlerResult::OutOfMemory(Memory(1 << 20));
    for (step, result, expected) in [
        (last, message(ANSWER, 1, false), "answer p.Answer"),
        (begun, message(ANSWER, 1, false), "answer p.Answer"),
        (last, nothing(false), "end"),
        (begun, nothing(false), "end"),
        (stream, nothing(true), "end"),
        (stream, nothing(false), "fail error in 'model': the handler returned no message"),
        (stream, message("p.Other", 1, false), "next p.Other"),
        (Step { replied: true, ..last }, nothing(false), "finished"),
        (begun, HandlerResult::Error("no price".to_owned()), "fail error in 'model': no price"),
        (begun, died(), "fail node 'model' died after 3 messages of the answer: killed by signal 9"),
        (
            begun,
            memory(),
            "fail node 'model' ran out of memory while it handled the request: its limit is 1Mi",
        ),
        (Step { sent: 0, ..begun }, died(), "again true"),
        (
            Step { replied: true, ..begun },
            died(),
            "background node 'model' died after 3 messages of the answer: killed by signal 9",
        ),
    ] {
        assert_eq!(describe(decide(&step, result)), expected);
    }
}

#[test]
fn kinds_keep_their_names() {
    // They stand in headers between engines, in metrics and in records.
    let names = [
        "handler",
        "handler_timeout",
        "died",
        "interrupted",
        "out_of_memory",
        "down",
        "not_serving",
        "wrong_type",
        "too_large",
        "queue_full",
        "deadline",
        "disconnected",
        "lost",
    ];
    assert_eq!(Kind::ALL.map(Kind::as_str), names);
    for kind in Kind::ALL {
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
    }
    assert_eq!((Kind::parse(""), Kind::parse("Handler")), (None, None));
}

#[test]
fn each_failure_has_its_kind() {
    let node = || Name::parse("model").unwrap();
    for (failure, kind) in [
        (Failure::Handler { node: node(), error: String::new() }, Kind::Handler),
        (Failure::HandlerTimeout { node: node() }, Kind::HandlerTimeout),
        (Failure::Died { node: node(), how: String::new() }, Kind::Died),
        (Failure::Interrupted { node: node(), sent: 1, how: String::new() }, Kind::Interrupted),
        (Failure::OutOfMemory { node: node(), limit: Memory(1) }, Kind::OutOfMemory),
        (Failure::Down { node: node() }, Kind::Down),
        (Failure::NoRunner { node: node() }, Kind::Down),
        (Failure::NotServing { state: "starting" }, Kind::NotServing),
        (Failure::WrongType { node: node(), got: String::new(), expected: String::new() }, Kind::WrongType),
        (Failure::TooLargeToSend { sender: String::new(), size: 2, limit: 1 }, Kind::TooLarge),
        (Failure::TooLarge { node: node(), size: 2, limit: 1 }, Kind::TooLarge),
        (Failure::Disconnected, Kind::Disconnected),
        (Failure::Remote { kind: Kind::Died, message: String::new() }, Kind::Died),
        (Failure::QueueFull { limit: 1, unit: "requests" }, Kind::QueueFull),
        (Failure::NoMemory { limit: 1 }, Kind::QueueFull),
        (Failure::Deadline { waited: std::time::Duration::ZERO }, Kind::Deadline),
        (Failure::Lost, Kind::Lost),
    ] {
        assert_eq!(failure.kind(), kind, "{failure}");
    }
}
