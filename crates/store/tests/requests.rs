//! Request records: stored unchanged, found like by a plain search, and kept within limits.

use bson::Bson;
use krt_model::{
    name::Name,
    request::{Ending, Hop, HopEnding, RequestRecord, Saved},
};
use krt_store::{Options, Reader, RequestFilter, RequestOrder, Retention, Store};
use proptest::{collection::vec, option, prelude::*};
use std::{
    cmp::Reverse,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use uuid::Uuid;

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(since.as_nanos()).expect("it is before 2262")
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("the tests use good names")
}

fn request(id: &str, start: i64, elapsed: u64) -> RequestRecord {
    let hop = |node: &'static str, position: usize, start: i64| Hop {
        node: name(node),
        position,
        posted: start,
        start: start + 10_000,
        end: start + 800_000,
        encode: 0,
        decode: 300,
        ending: HopEnding::Returned,
    };
    RequestRecord {
        elapsed,
        ending: Ending::Answered,
        request_bytes: 100,
        answer_bytes: Some(20),
        stream: None,
        hops: vec![hop("etl", 0, 20_000), hop("model", 1, 900_000), hop("output", 2, 2_000_000)],
        ..RequestRecord::new(id.into(), name("v1"), name("classify"), start)
    }
}

/// Waits for a change in the background.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        thread::yield_now();
    }
}

/// A store without limits, with these request records.
fn store(folder: &TempDir, requests: &[RequestRecord]) -> Reader {
    let retention = Retention { age: None, size: None, ..Retention::default() };
    let (store, writer) = Store::open(folder.path(), &Options { retention, ..Options::default() })
        .expect("nobody else has it open");
    for request in requests {
        store.request(request);
    }
    writer.close();
    assert_eq!(store.counters().requests_written, requests.len() as u64);
    store.reader().clone()
}

prop_compose! {
    fn any_request()(start in 0..20_i64, elapsed in 0..20_u64, version in 0..2_u8, workflow in 0..2_u8,
                     ending in 0..3_usize, error in "x.{0,9}") -> RequestRecord {
        let ending = [Ending::Answered, Ending::Failed, Ending::Left][ending];
        RequestRecord {
            version: name(&format!("v{version}")),
            workflow: name(&format!("w{workflow}")),
            ending,
            error: (ending == Ending::Failed).then_some(error),
            saved: vec![Saved { node: name("model"), collection: "c".into(), id: Bson::Int64(start) }],
            saves: 1,
            ..request("", start * 60_000_000_000, elapsed)
        }
    }
}

prop_compose! {
    fn any_filter()(version in option::of(0..3_u8), workflow in option::of(0..3_u8), ending in option::of(0..3_usize))
        -> RequestFilter {
        RequestFilter {
            version: version.map(|number| format!("v{number}")),
            workflow: workflow.map(|number| format!("w{number}")),
            ending: ending.map(|ending| [Ending::Answered, Ending::Failed, Ending::Left][ending]),
            after: None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    /// All pages together equal the sorted list.
    #[test]
    fn pages_equal_a_plain_search(
        mut requests in vec(any_request(), 0..300), filter in any_filter(), slowest: bool, limit in 1..100_usize
    ) {
        for (number, request) in requests.iter_mut().enumerate() {
            request.id = format!("{number:03}").into();
        }
        let folder = TempDir::new().unwrap();
        let reader = store(&folder, &requests);
        let order = if slowest { RequestOrder::Slowest } else { RequestOrder::Latest };
        let mut wanted: Vec<_> = requests.iter().filter(|request| filter.fits(order, request)).cloned().collect();
        wanted.sort_by_key(|request| Reverse(order.key(request)));
        let (mut filter, mut found) = (filter, Vec::new());
        loop {
            let page = reader.requests(&filter, order, limit).unwrap();
            prop_assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            filter.after = Some(order.key(last));
            found.extend(page);
        }
        prop_assert_eq!(found, wanted);
        prop_assert_eq!(reader.count_requests().unwrap(), requests.len());
        for request in &requests {
            let found = reader.request(&request.id).unwrap();
            prop_assert_eq!(found.as_ref(), Some(request));
        }
        prop_assert_eq!(reader.request("300").unwrap(), None);
    }
}

#[test]
fn requests_are_found_by_time_ordered_ids() {
    let folder = TempDir::new().unwrap();
    let requests: Vec<_> = (0..5000).map(|_| request(&Uuid::now_v7().to_string(), now(), 1)).collect();
    let reader = store(&folder, &requests);
    for wanted in requests.iter().step_by(97) {
        assert_eq!(reader.request(&wanted.id).unwrap().as_ref(), Some(wanted));
    }
    assert_eq!(reader.request(&Uuid::now_v7().to_string()).unwrap(), None);

    // The clock was set back an hour: new ids have an earlier time.
    let folder = TempDir::new().unwrap();
    let id = Uuid::now_v7().to_string();
    let reader = store(&folder, &[request(&id, now() - 3_600_000_000_000, 1)]);
    assert!(reader.request(&id).unwrap().is_some());
    assert_eq!(reader.request("").unwrap(), None);
}

#[tokio::test]
async fn failed_and_slow_requests_are_kept_longer() {
    let folder = TempDir::new().unwrap();
    let retention = Retention { requests: 1 << 20, ..Retention::default() };
    let options = Options { retention, buffer: 64 << 20, ..Options::default() };
    let (store, writer) = Store::open(folder.path(), &options).unwrap();
    let count = 100_000;
    let id = |number: usize| format!("{number:06}");
    for number in 0..count {
        let (ending, elapsed) = match number {
            1000 => (Ending::Failed, 5),
            2000 => (Ending::Answered, 1_000_000),
            _ => (Ending::Answered, 10),
        };
        store.request(&RequestRecord { ending, ..request(&id(number), now(), elapsed) });
    }
    let reader = store.reader();
    store.flush().await.unwrap();
    // The excess is deleted in small steps, between commits.
    until("the crowd is small", || reader.count_requests().unwrap() <= count / 10);
    assert!(reader.request(&id(1000)).unwrap().is_some(), "it failed");
    assert!(reader.request(&id(3000)).unwrap().is_none(), "it is one of many");
    assert!(reader.request(&id(count - 1)).unwrap().is_some(), "it is one of the last");
    let slowest = reader.requests(&RequestFilter::default(), RequestOrder::Slowest, 1).unwrap();
    assert_eq!(*slowest[0].id, id(2000));
    writer.close();
}

#[test]
fn old_requests_are_deleted() {
    let folder = TempDir::new().unwrap();
    let old = now() - 3_600_000_000_000;
    store(&folder, &[request("1", old, 1), request("2", old + 1, 1)]);
    let retention = Retention { age: Some(Duration::from_secs(60)), ..Retention::default() };
    let (store, writer) = Store::open(folder.path(), &Options { retention, ..Options::default() }).unwrap();
    until("they are gone", || store.reader().count_requests().unwrap() == 0);
    writer.close();
}

#[test]
fn a_store_of_an_older_program_gets_requests() {
    let folder = TempDir::new().unwrap();
    store(&folder, &[]);
    let file = folder.path().join("telemetry.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch("DROP TABLE request").unwrap();
    let reader = store(&folder, &[request("1", 5, 1)]);
    assert_eq!(reader.request("1").unwrap().unwrap().start, 5);
}

#[test]
fn damaged_rows_do_not_end_the_search() {
    let folder = TempDir::new().unwrap();
    store(&folder, &[request("1", 1, 1)]);
    let file = folder.path().join("telemetry.db");
    let damage = "UPDATE request SET data = x'ff00ff'";
    rusqlite::Connection::open(&file).unwrap().execute_batch(damage).unwrap();
    let reader = store(&folder, &[request("2", 2, 1)]);
    let found = reader.requests(&RequestFilter::default(), RequestOrder::Latest, 10).unwrap();
    assert_eq!(found.iter().map(|request| &*request.id).collect::<Vec<_>>(), ["2"]);
    assert_eq!(reader.request("1").unwrap(), None);
}
