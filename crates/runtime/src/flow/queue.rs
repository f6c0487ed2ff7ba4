//! A node's queue and the workers that take from it.

use super::{
    batch::{Batcher, Curve, Pause},
    load::{Meter, QueueLoad},
    priority,
    request::{Delivery, DeliveryEnd, Request},
};
use krt_model::name::Name;
use std::{
    collections::VecDeque,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Notify, watch};

/// Runs a node's user code.
pub trait Worker: Send + Sync + std::fmt::Debug {
    /// The one place that the worker serves, or `None` for every place. A process of an older runner serves
    /// one: it gets its messages' destination when it starts.
    fn place(&self) -> Option<StageIndex> {
        None
    }

    /// Takes a delivery, which ends in [`super::Flow::finish`]. Returns the delivery if the worker has gone.
    fn deliver(&self, delivery: Delivery) -> Result<Accepted, Delivery>;

    /// Takes deliveries that its handler gets in one call; together they occupy one place. Returns them if the
    /// worker has gone. Only the workers of a node with batches get any.
    fn deliver_batch(&self, batch: Vec<Delivery>) -> Result<Accepted, Vec<Delivery>> {
        unreachable!("a node without batches got one of {}: {self:?}", batch.len())
    }

    /// Stops the work for a request, if the worker has it.
    fn cancel(&self, request: &Request);
}

/// A worker's response to a delivery that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is in flight and occupies room until [`NodeQueue::freed`].
    InFlight,
    /// It needed no work and no room.
    Done,
}

/// The index of a workflow and a position in its sequence.
pub type StageIndex = (usize, usize);

/// Identifies a worker's slot at a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotId(u64);

/// What deliveries wait for while no worker is up; those of other nodes return at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    /// For a worker that starts again: the node has retries.
    pub(super) restart: bool,
    /// For a worker that they wake: the node may sleep.
    pub(super) wake: bool,
}

impl Patience {
    fn waits(self) -> bool {
        self.restart || self.wake
    }
}

/// A node's queue and its workers.
#[derive(Debug)]
pub struct NodeQueue {
    node: Name,
    /// What deliveries wait for while no worker is up.
    patience: Patience,
    /// The places of the node's workers, if each serves only one.
    places: Vec<StageIndex>,
    /// Decides on batches, if the node's handler gets them.
    batcher: Option<Batcher>,
    /// Changes when a worker joins or leaves.
    changed: watch::Sender<()>,
    /// How many workers there should be.
    wanted: AtomicUsize,
    /// Whether no worker is up because none is needed: the next delivery starts one.
    asleep: AtomicBool,
    /// A delivery waits, and no worker is up.
    wake: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of their ranks.
    queue: VecDeque<Delivery>,
    /// The deliveries that have waited.
    arrived: u64,
    /// The parts of batches that failed as a whole. They come first, and each stays apart from other messages.
    again: VecDeque<Vec<Delivery>>,
    slots: Vec<WorkerSlot>,
    /// The workers that pause before their next batch. Their room is still taken.
    pausing: Vec<(SlotId, Pause)>,
    last_slot: u64,
    /// Measures the load, if the number of workers follows it.
    meter: Option<Meter>,
}

/// The locked state. Its meter notes the changes at the end.
struct Locked<'a>(MutexGuard<'a, State>);

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.0
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let state = &mut *self.0;
        let Some(meter) = &mut state.meter else { return };
        let waiting = state.queue.len() + state.again.iter().map(Vec::len).sum::<usize>();
        meter.note(Instant::now(), waiting, state.slots.iter().map(|slot| slot.taken).sum());
    }
}

#[derive(Debug)]
struct WorkerSlot {
    id: SlotId,
    room: usize,
    /// The calls that it runs.
    taken: usize,
    place: Option<StageIndex>,
    worker: Arc<dyn Worker>,
}

impl WorkerSlot {
    fn take(&mut self) {
        self.room -= 1;
        self.taken += 1;
    }

    fn takes(&self, place: StageIndex) -> bool {
        self.place.is_none_or(|own| own == place)
    }
}

impl State {
    /// Queues a delivery behind those of its priority, and behind those of lower priority that have waited long.
    fn enqueue(&mut self, delivery: Delivery) {
        self.arrived += 1;
        let rank = priority::rank(self.arrived, delivery.request.priority);
        delivery.request.rank.store(rank, Ordering::Relaxed);
        let ranks = self.queue.iter().map(|waiting| waiting.request.rank.load(Ordering::Relaxed));
        let place = priority::place(ranks, rank);
        self.queue.insert(place, delivery);
    }

    /// Takes room from the worker with the most room for a place, if any has room.
    fn reserve_slot(&mut self, place: StageIndex) -> Option<(SlotId, Arc<dyn Worker>)> {
        let free = |slot: &&mut WorkerSlot| slot.room > 0 && slot.takes(place);
        let slot = self.slots.iter_mut().filter(free).max_by_key(|slot| slot.room)?;
        slot.take();
        Some((slot.id, Arc::clone(&slot.worker)))
    }

    /// Takes room for a batch from the worker with the most room, if any has room.
    fn match_batch(&mut self, batcher: &Batcher) -> Option<(SlotId, Arc<dyn Worker>, Batch)> {
        let free: usize = self.slots.iter().map(|slot| slot.room).sum();
        if free == 0 {
            return None;
        }
        let batch = self.next_part(batcher).or_else(|| {
            let deliveries = take_batch(&mut self.queue, batcher, free);
            (!deliveries.is_empty()).then_some(Batch { deliveries, again: false })
        })?;
        let slot = self.slots.iter_mut().max_by_key(|slot| slot.room)?;
        slot.take();
        Some((slot.id, Arc::clone(&slot.worker), batch))
    }

    /// Takes the next part of a batch that failed as a whole, or the beginning of it if all would take too long.
    fn next_part(&mut self, batcher: &Batcher) -> Option<Batch> {
        while let Some(part) = self.again.pop_front() {
            let mut part = part.into();
            let deliveries = take_batch(&mut part, batcher, 1);
            if !part.is_empty() {
                self.again.push_front(part.into());
            }
            if !deliveries.is_empty() {
                return Some(Batch { deliveries, again: true });
            }
        }
        None
    }

    /// Puts back a batch whose worker has gone.
    fn put_back(&mut self, batch: Batch) {
        if batch.again {
            self.again.push_front(batch.deliveries);
        } else {
            batch.deliveries.into_iter().rev().for_each(|delivery| self.queue.push_front(delivery));
        }
    }

    /// Returns whether a worker for a place is up.
    fn has_worker(&self, place: StageIndex) -> bool {
        self.slots.iter().any(|slot| slot.takes(place))
    }

    /// Takes the oldest delivery whose client has not left and for which a worker has room.
    fn match_next(&mut self) -> Option<(SlotId, Arc<dyn Worker>, Delivery)> {
        while self.queue.front().is_some_and(|delivery| delivery.request.left())
            && let Some(unwanted) = self.queue.pop_front()
        {
            unwanted.close(DeliveryEnd::Done);
        }
        if !self.slots.iter().any(|slot| slot.room > 0) {
            return None;
        }
        // If workers serve every place, this is the first delivery.
        let fits = |delivery: &Delivery| {
            let place = stage_of(delivery);
            self.slots.iter().any(|slot| slot.room > 0 && slot.takes(place))
        };
        let next = self.queue.iter().position(fits)?;
        let delivery = self.queue.remove(next)?;
        let (slot, worker) = self.reserve_slot(stage_of(&delivery))?;
        Some((slot, worker, delivery))
    }

    /// Ends pauses. Returns whether any ended.
    fn end_pauses(&mut self, ends: impl Fn(SlotId, Pause) -> bool) -> bool {
        let ended: Vec<_> = self.pausing.extract_if(.., |(slot, pause)| ends(*slot, *pause)).collect();
        ended.iter().for_each(|(slot, _)| self.release_slot(*slot));
        !ended.is_empty()
    }

    fn release_slot(&mut self, slot: SlotId) {
        let Some(slot) = self.slots.iter_mut().find(|other| other.id == slot) else { return };
        slot.room += 1;
        slot.taken -= 1;
        if let Some(meter) = &mut self.meter {
            meter.ended();
        }
    }
}

/// Deliveries for one call of a handler.
#[derive(Debug)]
struct Batch {
    deliveries: Vec<Delivery>,
    /// Whether it is part of a batch that failed as a whole.
    again: bool,
}

/// Takes the next batch out of waiting deliveries, and closes those whose clients have left.
fn take_batch(waiting: &mut VecDeque<Delivery>, batcher: &Batcher, workers: usize) -> Vec<Delivery> {
    if waiting.is_empty() {
        return Vec::new();
    }
    let (left, stay): (VecDeque<_>, VecDeque<_>) =
        std::mem::take(waiting).into_iter().partition(|delivery| delivery.request.left());
    left.into_iter().for_each(|delivery| delivery.close(DeliveryEnd::Done));
    let chosen = batcher.choose(stay.iter(), workers);
    let mut stay: Vec<_> = stay.into_iter().map(Some).collect();
    let batch = chosen.into_iter().filter_map(|index| stay[index].take()).collect();
    *waiting = stay.into_iter().flatten().collect();
    batch
}

/// Returns the place of a delivery in its workflow.
fn stage_of(delivery: &Delivery) -> StageIndex {
    (delivery.request.route.index, delivery.position)
}

impl NodeQueue {
    /// Creates a queue. `places`: the places of the node's workers, if each serves only one. `meter`: measures the load.
    pub(super) fn new(
        node: Name,
        patience: Patience,
        places: Vec<StageIndex>,
        batcher: Option<Batcher>,
        meter: Option<Meter>,
        changed: watch::Sender<()>,
    ) -> Self {
        Self {
            node,
            patience,
            places,
            batcher,
            changed,
            wanted: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            wake: Notify::new(),
            state: Mutex::new(State { meter, ..State::default() }),
        }
    }

    /// The node's name.
    pub fn node(&self) -> &Name {
        &self.node
    }

    /// The places of the node's workers, if each serves only one.
    pub fn places(&self) -> &[StageIndex] {
        &self.places
    }

    /// Returns the number of deliveries that wait for a worker.
    pub fn depth(&self) -> usize {
        let state = self.lock();
        state.queue.len() + state.again.iter().map(Vec::len).sum::<usize>()
    }

    /// Learns how long a batch took that did not fail as a whole.
    pub fn learn(&self, size: u16, took: Duration) {
        if let Some(batcher) = &self.batcher {
            batcher.learn(size, took);
        }
    }

    /// Returns what the node has learnt of its batches; `None` if its handler gets one message at a time.
    pub fn batches(&self) -> Option<Curve> {
        self.batcher.as_ref().map(Batcher::curve)
    }

    /// Returns the number of workers that are up; if each serves one place, the number at the place with the
    /// fewest.
    pub fn workers(&self) -> usize {
        let state = self.lock();
        let at = |place: &StageIndex| state.slots.iter().filter(|slot| slot.takes(*place)).count();
        self.places.iter().map(at).min().unwrap_or(state.slots.len())
    }

    /// Returns how many workers there should be; 0 if the node runs in another engine, or sleeps.
    pub fn wanted(&self) -> usize {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Sets how many workers there should be.
    pub fn set_wanted(&self, workers: usize) {
        self.wanted.store(workers, Ordering::Relaxed);
    }

    /// Returns whether no worker is up because none is needed: the next delivery starts one.
    pub fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Acquire)
    }

    /// Sets whether the node sleeps.
    pub fn set_asleep(&self, asleep: bool) {
        if self.asleep.swap(asleep, Ordering::AcqRel) != asleep {
            self.changed.send_replace(());
        }
    }

    /// Waits until a delivery waits for a node that sleeps.
    pub async fn wanted_awake(&self) {
        loop {
            let wake = self.wake.notified();
            if self.needs_waking() {
                return;
            }
            wake.await;
        }
    }

    fn needs_waking(&self) -> bool {
        let state = self.lock();
        state.slots.is_empty() && !(state.queue.is_empty() && state.again.is_empty())
    }

    /// Returns what was measured of the load; `None` if the number of workers does not follow it.
    pub fn load(&self) -> Option<QueueLoad> {
        self.lock().meter.as_mut().map(|meter| meter.read(Instant::now()))
    }

    /// Adds a worker with `room` for that many deliveries at a time.
    ///
    /// Sets `slot` before the first delivery.
    pub fn join(&self, worker: Arc<dyn Worker>, room: usize, slot: &OnceLock<SlotId>) {
        let mut state = self.lock();
        state.last_slot += 1;
        let id = *slot.get_or_init(|| SlotId(state.last_slot));
        state.slots.push(WorkerSlot { id, room, taken: 0, place: worker.place(), worker });
        drop(state);
        self.changed.send_replace(());
        self.serve();
    }

    /// Removes a worker, which gets no more deliveries. Returns the number of workers left.
    pub fn leave(&self, slot: SlotId) -> usize {
        let mut state = self.lock();
        state.slots.retain(|other| other.id != slot);
        state.pausing.retain(|(other, _)| *other != slot);
        let left = state.slots.len();
        drop(state);
        self.changed.send_replace(());
        self.serve();
        left
    }

    /// Frees room for one delivery at a worker.
    pub fn freed(&self, slot: SlotId) {
        let mut state = self.lock();
        state.release_slot(slot);
        if state.queue.is_empty() && state.again.is_empty() {
            return;
        }
        drop(state);
        self.serve();
    }

    /// Notes that a worker answers a batch of `size`.
    pub fn answered(&self, size: u16) {
        if let Some(batcher) = &self.batcher {
            batcher.answered(size);
        }
    }

    /// Frees a worker's room after a batch of `size`.
    ///
    /// If its clients are likely to send their next messages at once, the worker first pauses: its room is free when
    /// these messages wait, or with [`NodeQueue::paused`]. Returns after which time at the latest.
    pub fn batch_ended(&self, slot: SlotId, size: u16) -> Option<Duration> {
        let mut state = self.lock();
        let takes_more = state.again.is_empty() && state.slots.iter().any(|other| other.id == slot);
        let batcher = self.batcher.as_ref().filter(|_| takes_more);
        let Some(pause) = batcher.and_then(|batcher| batcher.pause(size, state.queue.iter())) else {
            drop(state);
            self.freed(slot);
            return None;
        };
        state.pausing.push((slot, pause));
        Some(pause.longest)
    }

    /// Ends the pauses of a worker, unless they ended before.
    pub fn paused(&self, slot: SlotId) {
        let ended = self.lock().end_pauses(|other, _| other == slot);
        if ended {
            self.serve();
        }
    }

    /// Gives a delivery to a worker, or queues it.
    ///
    /// Returns the delivery if no worker is up and this queue's deliveries do not wait for one.
    pub(super) fn post(&self, delivery: Delivery) -> Result<(), Delivery> {
        if let Some(batcher) = &self.batcher {
            return self.post_for_batch(batcher, delivery);
        }
        let mut delivery = delivery;
        if let Some(meter) = &mut self.lock().meter {
            meter.arrived();
        }
        loop {
            let mut state = self.lock();
            if delivery.request.left() {
                drop(state);
                delivery.close(DeliveryEnd::Done);
                return Ok(());
            }
            let place = stage_of(&delivery);
            if !state.has_worker(place) && !self.patience.waits() {
                return Err(delivery);
            }
            let waits_behind = |waiting: &Delivery| self.places.is_empty() || stage_of(waiting) == place;
            let worker = if state.queue.iter().any(waits_behind) { None } else { state.reserve_slot(place) };
            let Some((slot, worker)) = worker else {
                state.enqueue(delivery);
                self.wake_for(&state);
                return Ok(());
            };
            drop(state);
            match worker.deliver(delivery) {
                Ok(Accepted::InFlight) => return Ok(()),
                Ok(Accepted::Done) => {
                    self.freed(slot);
                    return Ok(());
                }
                Err(back) => delivery = back,
            }
        }
    }

    /// Queues a delivery for a batch, and gives a batch to a worker that has room.
    fn post_for_batch(&self, batcher: &Batcher, delivery: Delivery) -> Result<(), Delivery> {
        let mut state = self.lock();
        if delivery.request.left() {
            drop(state);
            delivery.close(DeliveryEnd::Done);
            return Ok(());
        }
        if state.slots.is_empty() && !self.patience.waits() {
            return Err(delivery);
        }
        batcher.arrived();
        if let Some(meter) = &mut state.meter {
            meter.arrived();
        }
        let waiting = state.queue.len() + 1;
        state.end_pauses(|_, pause| waiting >= pause.until || !batcher.can_wait(&delivery, pause));
        state.enqueue(delivery);
        self.wake_for(&state);
        drop(state);
        self.serve();
        Ok(())
    }

    /// Wakes the node for a delivery that waits, if it sleeps.
    fn wake_for(&self, state: &State) {
        if state.slots.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Takes back deliveries of a batch that failed as a whole. Each half becomes a batch of its own, before the
    /// messages that wait; if no worker is up, the halves wait for one.
    pub(super) fn again(&self, batch: Vec<Delivery>) {
        let mut first = batch;
        let second = first.split_off(first.len().div_ceil(2));
        self.lock().again.extend([first, second].into_iter().filter(|half| !half.is_empty()));
        self.serve();
    }

    /// Takes out the deliveries for which no worker is up, unless this queue's deliveries wait for one.
    pub(super) fn clear(&self) -> VecDeque<Delivery> {
        let mut state = self.lock();
        if self.patience.waits() {
            return VecDeque::new();
        }
        let queue = std::mem::take(&mut state.queue);
        let (stay, down) = queue.into_iter().partition(|delivery| state.has_worker(stage_of(delivery)));
        state.queue = stay;
        down
    }

    /// Takes out all deliveries, if no worker is up.
    pub(super) fn clear_all(&self) -> Vec<Delivery> {
        let mut state = self.lock();
        if !state.slots.is_empty() {
            return Vec::new();
        }
        let again = std::mem::take(&mut state.again).into_iter().flatten();
        again.chain(std::mem::take(&mut state.queue)).collect()
    }

    /// Takes out the parts of batches that failed as a whole, if no worker is up. In a queue whose deliveries wait for
    /// a worker, those that no broker keeps stay.
    pub(super) fn clear_parts(&self) -> Vec<Delivery> {
        let mut state = self.lock();
        if !state.slots.is_empty() {
            return Vec::new();
        }
        let goes = |delivery: &Delivery| delivery.acker.is_some() || !self.patience.waits();
        let mut gone = Vec::new();
        for part in std::mem::take(&mut state.again) {
            let (back, stay): (Vec<_>, Vec<_>) = part.into_iter().partition(goes);
            gone.extend(back);
            if !stay.is_empty() {
                state.again.push_back(stay);
            }
        }
        gone
    }

    /// Takes out the deliveries that can go back to the broker.
    pub(super) fn take_back(&self) -> VecDeque<Delivery> {
        let mut state = self.lock();
        let kept_by_broker = |delivery: &Delivery| delivery.acker.is_some();
        let (mut back, stay): (VecDeque<_>, _) =
            std::mem::take(&mut state.queue).into_iter().partition(kept_by_broker);
        state.queue = stay;
        for part in &mut state.again {
            let (of_part, stay): (Vec<_>, _) = std::mem::take(part).into_iter().partition(kept_by_broker);
            *part = stay;
            back.extend(of_part);
        }
        back
    }

    /// Returns whether the queue takes a delivery: a worker is up, or the delivery would wait for one that starts again,
    /// or wake one.
    pub fn takes(&self) -> bool {
        self.patience.restart || self.is_asleep() || self.workers() > 0
    }

    /// Stops the work for a request, queued or at a worker.
    pub(super) fn cancel(&self, request: &Request) {
        let mut state = self.lock();
        // It has at most one message.
        let queued = state.queue.iter().position(|delivery| std::ptr::eq(&*delivery.request, request));
        let queued = queued.and_then(|index| state.queue.remove(index)).or_else(|| {
            let mut parts = state.again.iter_mut();
            parts.find_map(|part| {
                let index = part.iter().position(|delivery| std::ptr::eq(&*delivery.request, request))?;
                Some(part.remove(index))
            })
        });
        let workers: Vec<_> = state.slots.iter().map(|slot| Arc::clone(&slot.worker)).collect();
        drop(state);
        if let Some(delivery) = queued {
            delivery.close(DeliveryEnd::Done);
        }
        for worker in workers {
            worker.cancel(request);
        }
    }

    /// Gives waiting deliveries to workers that have room.
    fn serve(&self) {
        if let Some(batcher) = &self.batcher {
            return self.serve_batches(batcher);
        }
        loop {
            let next = self.lock().match_next();
            let Some((slot, worker, delivery)) = next else { return };
            match worker.deliver(delivery) {
                Ok(Accepted::InFlight) => {}
                Ok(Accepted::Done) => self.lock().release_slot(slot),
                Err(delivery) => self.lock().queue.push_front(delivery),
            }
        }
    }

    /// Gives batches to workers that have room.
    fn serve_batches(&self, batcher: &Batcher) {
        loop {
            let next = self.lock().match_batch(batcher);
            let Some((slot, worker, Batch { deliveries, again })) = next else { return };
            match worker.deliver_batch(deliveries) {
                Ok(Accepted::InFlight) => {}
                Ok(Accepted::Done) => self.lock().release_slot(slot),
                Err(deliveries) => self.lock().put_back(Batch { deliveries, again }),
            }
        }
    }

    fn lock(&self) -> Locked<'_> {
        Locked(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
