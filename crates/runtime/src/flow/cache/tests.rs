use super::*;
use crate::metrics::Metrics;
use futures::{FutureExt as _, future::join_all, poll};
use krt_model::version::Memory;
use proptest::prelude::*;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
};

const TTL: Duration = Duration::from_secs(60);

fn cache(max: usize) -> Arc<AnswerCache> {
    AnswerCache::new(&Cache { ttl: TTL, max: Memory(max as u64) }, Metrics::cache_for_tests())
}

fn key(number: u8) -> CacheKey {
    CacheKey::new([number; 32])
}

fn answer(size: usize) -> Payload {
    Payload::pack("t.M", &vec![b'x'; size])
}

fn flight(cache: &Arc<AnswerCache>, number: u8) -> Flight {
    match cache.find(key(number)) {
        Found::Flight(flight) => flight,
        Found::Answer(answer) => panic!("{answer:?} is kept"),
    }
}

fn is_kept(cache: &Arc<AnswerCache>, number: u8) -> bool {
    matches!(cache.find(key(number)), Found::Answer(_))
}

/// Runs a request whose handlers give this answer.
async fn run(cache: &Arc<AnswerCache>, number: u8, size: usize) {
    let flight = flight(cache, number);
    assert!(matches!(flight.answer(async || Ok(answer(size))).await, Ok(FlightAnswer::Own(_))));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_its_time_however_often_it_is_used() {
    let cache = cache(1 << 20);
    run(&cache, 1, 3).await;
    tokio::time::advance(TTL - Duration::from_millis(1)).await;
    assert!(is_kept(&cache, 1));
    assert!(!is_kept(&cache, 2));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!is_kept(&cache, 1));
    assert_eq!(cache.pool.used(), 0);
}

#[tokio::test]
async fn of_equal_requests_one_runs() {
    let (cache, runs) = (cache(1 << 20), Cell::new(0));
    let (go, wait) = tokio::sync::oneshot::channel::<()>();
    let (wait, runs) = (RefCell::new(Some(wait)), &runs);
    let flights: Vec<_> = (0..50).map(|_| flight(&cache, 1)).collect();
    let requests = flights.iter().map(|flight| {
        let wait = &wait;
        flight.answer(async move || {
            runs.set(runs.get() + 1);
            let wait = wait.borrow_mut().take().unwrap();
            wait.await.unwrap();
            Ok(answer(3))
        })
    });
    let mut all = Box::pin(join_all(requests));
    assert!(poll!(&mut all).is_pending());
    go.send(()).unwrap();
    let answers = all.as_mut().await;
    drop(all);
    let own = answers.iter().filter(|answer| matches!(answer, Ok(FlightAnswer::Own(_)))).count();
    let shared = answers.iter().filter(|answer| matches!(answer, Ok(FlightAnswer::Shared(_)))).count();
    assert_eq!((own, shared, runs.get()), (1, 49, 1));
    drop(flights);
    assert!(is_kept(&cache, 1) && cache.lock().flights.is_empty());
}

#[tokio::test]
async fn the_next_request_runs_when_one_fails_or_leaves() {
    let cache = cache(1 << 20);
    let (leaves, fails, goes_on) = (flight(&cache, 1), flight(&cache, 1), flight(&cache, 1));
    let mut leaves = Box::pin(leaves.answer(futures::future::pending));
    assert!(poll!(&mut leaves).is_pending());
    let mut fails = Box::pin(fails.answer(async || Err(Failure::Lost)));
    assert!(poll!(&mut fails).is_pending());
    let mut goes_on = Box::pin(goes_on.answer(async || Ok(answer(3))));
    assert!(poll!(&mut goes_on).is_pending());
    drop(leaves);
    assert!(matches!(fails.await, Err(Failure::Lost)));
    assert!(!cache.lock().kept.contains_key(&key(1)));
    assert!(matches!(goes_on.await, Ok(FlightAnswer::Own(_))));
    assert!(is_kept(&cache, 1));
}

#[tokio::test]
async fn requests_that_leave_end_the_flight() {
    let cache = cache(1 << 20);
    let (one, other) = (flight(&cache, 1), flight(&cache, 1));
    drop(one);
    assert_eq!(cache.lock().flights.len(), 1);
    drop(other);
    assert!(cache.lock().flights.is_empty());
}

#[tokio::test]
async fn forgotten_answers_do_not_come_back() {
    let cache = cache(1 << 20);
    run(&cache, 1, 3).await;
    let old = flight(&cache, 2);
    cache.clear();
    assert!(!is_kept(&cache, 1));
    let new = flight(&cache, 2);
    assert!(old.answer(async || Ok(answer(3))).await.is_ok());
    drop(old);
    assert_eq!((cache.lock().flights.len(), cache.pool.used()), (1, 0));
    assert!(matches!(new.answer(async || Ok(answer(3))).await, Ok(FlightAnswer::Own(_))));
    drop(new);
    assert!(is_kept(&cache, 2));
}

#[test]
fn an_answer_that_a_client_reads_counts_when_it_has_left() {
    let cache = cache(2 * (AnswerCache::OVERHEAD + 1024));
    let run = |number| run(&cache, number, 1000).now_or_never().unwrap();
    run(1);
    let Found::Answer(reading) = cache.find(key(1)) else { panic!("it is kept") };
    run(2);
    run(3);
    assert!(!is_kept(&cache, 1) && is_kept(&cache, 3));
    assert!(!is_kept(&cache, 2), "two and the one that is read do not fit");
    drop(reading);
    run(2);
    assert!(is_kept(&cache, 2) && is_kept(&cache, 3));
}

/// A cache with the same order, without its memory.
#[derive(Default)]
struct Model {
    kept: VecDeque<(u8, usize)>,
}

impl Model {
    fn find(&mut self, number: u8) -> bool {
        let Some(place) = self.kept.iter().position(|(other, _)| *other == number) else { return false };
        let found = self.kept.remove(place).unwrap();
        self.kept.push_back(found);
        true
    }

    fn keep(&mut self, number: u8, size: usize, max: usize) {
        if size > max {
            return;
        }
        while self.used() + size > max {
            self.kept.pop_front();
        }
        self.kept.push_back((number, size));
    }

    fn used(&self) -> usize {
        self.kept.iter().map(|(_, size)| size).sum()
    }
}

proptest! {
    #[test]
    fn the_memory_is_bounded_and_the_least_recently_used_leaves(
        requests in proptest::collection::vec((0..12_u8, 0..9_000_usize), 0..200)
    ) {
        const MAX: usize = 32 << 10;
        let (cache, mut model) = (cache(MAX), Model::default());
        for (number, size) in requests {
            let known = model.find(number);
            prop_assert_eq!(is_kept(&cache, number), known);
            if !known {
                run(&cache, number, size).now_or_never().unwrap();
                model.keep(number, answer(size).encoded().len() + AnswerCache::OVERHEAD, MAX);
            }
            prop_assert!(cache.pool.used() <= MAX);
            prop_assert_eq!(cache.pool.used(), model.used());
            prop_assert_eq!(cache.lock().kept.len(), model.kept.len());
        }
    }
}
