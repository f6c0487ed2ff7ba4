//! The unanswered deliveries of a worker.

use super::stream::Stream;
use crate::flow::{Acker, Delivery, OpenRecord, Request, Saving, now};
use krt_model::{message::Timestamp, name::Name};
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::Instant;

/// How long a worker may keep working on a delivery that was given up, before it is killed.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// Ended deliveries remembered for the logs and measurements of background tasks.
const MAX_REMEMBERED: usize = 1024;

/// Deliveries in the order sent; the first `concurrency` of them are in flight.
#[derive(Debug)]
pub(super) struct Window {
    concurrency: usize,
    /// The id of the first entry.
    first: u32,
    entries: VecDeque<Option<Entry>>,
    /// The latest to be answered or given up, newest last.
    ended: VecDeque<(u32, Subject)>,
}

/// The request that a worker's log line, measurement or document belongs to.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    request: Arc<str>,
    workflow: Name,
    record: Option<Weak<OpenRecord>>,
    /// Whether it is a sample of `warmup`, which has no effects.
    sample: bool,
}

#[derive(Debug)]
struct Entry {
    /// The id of the first delivery of its batch; its own id if it is in none.
    batch: u32,
    /// `None` if no client waits: only the worker's RESULT is outstanding.
    delivery: Option<Delivery>,
    /// When the worker could have started it.
    since: Option<Instant>,
    /// When it was cancelled.
    cancelled: Option<Instant>,
    /// Its answer's stream, if its answer is one.
    stream: Option<Arc<Stream>>,
}

/// An unanswered delivery of a worker that died.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// The delivery.
    pub(super) delivery: Delivery,
    /// Whether the worker may have started it.
    pub(super) in_flight: bool,
    /// The id of the first delivery of its batch; its own id if it is in none.
    pub(super) batch: u32,
}

/// A worker answered a delivery that it does not have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown;

impl Window {
    pub(super) fn new(concurrency: usize) -> Self {
        Self { concurrency, first: 1, entries: VecDeque::new(), ended: VecDeque::new() }
    }

    /// Returns the id of the next delivery.
    pub(super) fn next_id(&self) -> u32 {
        self.id(self.entries.len())
    }

    /// Adds a delivery, under [`Window::next_id`].
    pub(super) fn push(&mut self, delivery: Delivery) {
        let since = (self.in_flight() < self.concurrency).then(Instant::now);
        self.entries.push_back(Some(Entry {
            batch: self.next_id(),
            delivery: Some(delivery),
            since,
            cancelled: None,
            stream: None,
        }));
    }

    /// Adds a delivery whose answer is a stream, under [`Window::next_id`].
    pub(super) fn push_with_stream(&mut self, delivery: Delivery, stream: Arc<Stream>) {
        self.push(delivery);
        if let Some(Some(entry)) = self.entries.back_mut() {
            entry.stream = Some(stream);
        }
    }

    /// Adds a delivery of a batch, under [`Window::next_id`]. The whole batch is in flight.
    pub(super) fn push_of_batch(&mut self, batch: u32, delivery: Delivery) {
        let since = Some(Instant::now());
        let entry = Entry { batch, delivery: Some(delivery), since, cancelled: None, stream: None };
        self.entries.push_back(Some(entry));
    }

    /// Adds a sample, for whose answer nobody waits, under [`Window::next_id`].
    pub(super) fn push_sample(&mut self, batch: u32, subject: Subject, stream: Option<Arc<Stream>>) {
        let id = self.next_id();
        let entry = Entry { batch, delivery: None, since: Some(Instant::now()), cancelled: None, stream };
        self.entries.push_back(Some(entry));
        self.remember(id, subject);
    }

    /// Returns the id of the first delivery of an unanswered delivery's batch, or its own if it is in none.
    pub(super) fn batch_of(&self, id: u32) -> Option<u32> {
        let entry = self.entries.get(self.index(id))?.as_ref()?;
        Some(entry.batch)
    }

    /// Returns the delivery of an id, if a client still waits for it.
    pub(super) fn get(&self, id: u32) -> Result<Option<&Delivery>, Unknown> {
        match self.entries.get(self.index(id)) {
            Some(Some(entry)) => Ok(entry.delivery.as_ref()),
            _ => Err(Unknown),
        }
    }

    /// Returns the stream of an unanswered delivery; `None` if its answer is no stream.
    pub(super) fn stream(&self, id: u32) -> Result<Option<&Arc<Stream>>, Unknown> {
        match self.entries.get(self.index(id)) {
            Some(Some(entry)) => Ok(entry.stream.as_ref()),
            _ => Err(Unknown),
        }
    }

    /// Counts a message that the handler of an unanswered delivery has sent. Returns the delivery's acker at the first
    /// one: the client has a part of the answer, so nothing may handle the delivery again.
    pub(super) fn note_sent(&mut self, id: u32) -> Option<Acker> {
        let index = self.index(id);
        let Some(Some(Entry { delivery: Some(delivery), .. })) = self.entries.get_mut(index) else {
            return None;
        };
        delivery.sent = delivery.sent.saturating_add(1);
        delivery.acker.take()
    }

    /// Gives up a delivery whose answer has failed, while its handler works. Returns it, so that it can be failed.
    pub(super) fn fail(&mut self, id: u32) -> Option<Delivery> {
        self.give_up(self.index(id))
    }

    /// Returns the request of an id; `None` if the id was never used or its end is long past.
    pub(super) fn subject(&self, id: u32) -> Option<Subject> {
        if let Ok(Some(delivery)) = self.get(id) {
            return Some(Subject::of(delivery));
        }
        let (_, subject) = self.ended.iter().rev().find(|(ended, _)| *ended == id)?;
        Some(subject.clone())
    }

    /// Takes out an answered delivery, if a client still waits for it.
    pub(super) fn answered(&mut self, id: u32) -> Result<Option<Delivery>, Unknown> {
        let index = self.index(id);
        let entry = self.entries.get_mut(index).and_then(Option::take).ok_or(Unknown)?;
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        // A delivery that was cancelled before its start frees no place for the next.
        if entry.since.is_some()
            && let Some(next) = self.entries.iter_mut().flatten().find(|entry| entry.since.is_none())
        {
            next.since = Some(Instant::now());
        }
        if let Some(delivery) = &entry.delivery {
            self.remember(id, Subject::of(delivery));
        }
        Ok(entry.delivery)
    }

    /// Gives up the delivery of a request. Returns it with its id, so that the worker can stop it.
    pub(super) fn cancel(&mut self, request: &Request) -> Option<(u32, Delivery)> {
        let waits = |entry: &Option<Entry>| {
            let delivery = entry.as_ref().and_then(|entry| entry.delivery.as_ref());
            delivery.is_some_and(|delivery| std::ptr::eq(&*delivery.request, request))
        };
        let index = self.entries.iter().position(waits)?;
        Some((self.id(index), self.give_up(index)?))
    }

    /// Gives up the deliveries in flight for longer than `timeout`.
    pub(super) fn overdue(&mut self, now: Instant, timeout: Duration) -> Vec<(u32, Delivery)> {
        let late = |entry: &&Option<Entry>| {
            let since = entry.as_ref().and_then(|entry| entry.since);
            since.is_some_and(|since| now.saturating_duration_since(since) > timeout)
        };
        let late: Vec<_> = (0..self.entries.len()).filter(|&index| late(&&self.entries[index])).collect();
        late.into_iter().filter_map(|index| Some((self.id(index), self.give_up(index)?))).collect()
    }

    /// Returns whether the worker has worked on a delivery that was given up for longer than [`GRACE`]. In a batch,
    /// nobody may wait for any other delivery, either.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        let wanted = |batch| {
            self.entries.iter().flatten().any(|entry| entry.batch == batch && entry.delivery.is_some())
        };
        self.entries.iter().flatten().any(|entry| {
            let given_up = entry.cancelled.zip(entry.since).map(|(cancelled, since)| cancelled.max(since));
            let long_ago = given_up.is_some_and(|since| now.saturating_duration_since(since) > GRACE);
            long_ago && !wanted(entry.batch)
        })
    }

    /// Returns whether all deliveries are answered.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes out all deliveries that are left.
    pub(super) fn drain(&mut self) -> Vec<Unanswered> {
        let entries = std::mem::take(&mut self.entries);
        let unanswered = |mut entry: Entry| {
            let delivery = entry.take_delivery()?;
            Some(Unanswered { in_flight: entry.since.is_some(), batch: entry.batch, delivery })
        };
        entries.into_iter().flatten().filter_map(unanswered).collect()
    }

    fn in_flight(&self) -> usize {
        self.entries.iter().flatten().filter(|entry| entry.since.is_some()).count()
    }

    fn give_up(&mut self, index: usize) -> Option<Delivery> {
        let entry = self.entries.get_mut(index)?.as_mut()?;
        // A delivery that was given up before keeps its time: it decides when the worker is stuck.
        let delivery = entry.take_delivery()?;
        entry.cancelled = Some(Instant::now());
        self.remember(self.id(index), Subject::of(&delivery));
        Some(delivery)
    }

    fn remember(&mut self, id: u32, subject: Subject) {
        if self.ended.len() == MAX_REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back((id, subject));
    }

    fn index(&self, id: u32) -> usize {
        id.wrapping_sub(self.first) as usize
    }

    fn id(&self, index: usize) -> u32 {
        self.first.wrapping_add(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

impl Entry {
    /// Takes out the delivery, which then says when the worker may have begun with it.
    fn take_delivery(&mut self) -> Option<Delivery> {
        let mut delivery = self.delivery.take()?;
        let since = self.since.map(|since| u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX));
        delivery.called = since.map(|nanos| Timestamp(now().0.saturating_sub(nanos)));
        Some(delivery)
    }
}

impl Subject {
    fn of(delivery: &Delivery) -> Self {
        let request = &delivery.request;
        Self {
            request: Arc::clone(&request.id),
            workflow: request.route.workflow.clone(),
            record: request.record.as_ref().map(Arc::downgrade),
            sample: false,
        }
    }

    /// The subject of a sample of `warmup`.
    pub(super) fn of_sample(line: usize, workflow: Name) -> Self {
        Self { request: format!("warmup-{line}").into(), workflow, record: None, sample: true }
    }

    /// Whether it is a sample of `warmup`, which has no effects.
    pub(super) fn is_sample(&self) -> bool {
        self.sample
    }

    /// The id of the request.
    pub(super) fn request(&self) -> &Arc<str> {
        &self.request
    }

    /// Its workflow.
    pub(super) fn workflow(&self) -> &Name {
        &self.workflow
    }

    /// Keeps its record open for a document, if it was received here and has not ended: a background task may
    /// outlive it.
    pub(super) fn saving(&self) -> Option<Saving> {
        self.record.as_ref()?.upgrade()?.saving()
    }
}

#[cfg(test)]
mod tests;
