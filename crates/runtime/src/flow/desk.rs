//! A node's desk: its queue, and the hosts that take from it.

use super::request::{Delivery, Request};
use krt_model::name::Name;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use tokio::sync::watch;

/// Whoever runs a node's user code.
pub trait Host: Send + Sync + std::fmt::Debug {
    /// Takes a delivery, which ends in [`super::Flow::finish`]; gives it back when it is gone.
    fn deliver(&self, delivery: Delivery) -> Result<Taken, Delivery>;

    /// Stops the work for a request, if it is here.
    fn cancel(&self, request: &Request);
}

/// What a host did with a delivery that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is in work: its room is used until [`Desk::freed`].
    InWork,
    /// It needed no work, and no room.
    Done,
}

/// Names a host's seat at a desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatId(u64);

/// A node's queue and its hosts.
#[derive(Debug)]
pub struct Desk {
    node: Name,
    waits: bool,
    /// Told whenever a host joins or leaves.
    changed: watch::Sender<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Delivery>,
    seats: Vec<Seat>,
    last_seat: u64,
}

#[derive(Debug)]
struct Seat {
    id: SeatId,
    room: usize,
    host: Arc<dyn Host>,
}

impl State {
    /// The host with the most room, if one has any; its room shrinks by one.
    fn take_room(&mut self) -> Option<(SeatId, Arc<dyn Host>)> {
        let seat = self.seats.iter_mut().filter(|seat| seat.room > 0).max_by_key(|seat| seat.room)?;
        seat.room -= 1;
        Some((seat.id, Arc::clone(&seat.host)))
    }

    /// The oldest delivery that somebody still waits for, with a host that has room for it.
    fn match_next(&mut self) -> Option<(SeatId, Arc<dyn Host>, Delivery)> {
        while self.queue.front().is_some_and(|delivery| delivery.request.left()) {
            self.queue.pop_front();
        }
        self.queue.front()?;
        let (seat, host) = self.take_room()?;
        self.queue.pop_front().map(|delivery| (seat, host, delivery))
    }

    fn give_room(&mut self, seat: SeatId) {
        if let Some(seat) = self.seats.iter_mut().find(|other| other.id == seat) {
            seat.room += 1;
        }
    }
}

impl Desk {
    /// `waits`: whether deliveries wait for a host while none is up, or come back at once.
    pub(super) fn new(node: Name, waits: bool, changed: watch::Sender<()>) -> Self {
        Self { node, waits, changed, state: Mutex::default() }
    }

    /// The node's name.
    pub fn node(&self) -> &Name {
        &self.node
    }

    /// How many deliveries wait for a host.
    pub fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// How many hosts are up.
    pub fn hosts(&self) -> usize {
        self.lock().seats.len()
    }

    /// A host takes a seat, with room for that many deliveries at a time.
    ///
    /// `seat` is set before the first delivery comes.
    pub fn join(&self, host: Arc<dyn Host>, room: usize, seat: &OnceLock<SeatId>) {
        let mut state = self.lock();
        state.last_seat += 1;
        let id = *seat.get_or_init(|| SeatId(state.last_seat));
        state.seats.push(Seat { id, room, host });
        drop(state);
        self.changed.send_replace(());
        self.serve();
    }

    /// A host leaves its seat: it gets no more deliveries. Returns how many hosts are left.
    pub fn leave(&self, seat: SeatId) -> usize {
        let mut state = self.lock();
        state.seats.retain(|other| other.id != seat);
        let left = state.seats.len();
        drop(state);
        self.changed.send_replace(());
        self.serve();
        left
    }

    /// A host has room for one more.
    pub fn freed(&self, seat: SeatId) {
        let mut state = self.lock();
        state.give_room(seat);
        if state.queue.is_empty() {
            return;
        }
        drop(state);
        self.serve();
    }

    /// Gives a delivery to a host, or queues it.
    ///
    /// It comes back when no host is up and this desk's deliveries do not wait for one.
    pub(super) fn post(&self, delivery: Delivery) -> Result<(), Delivery> {
        let mut delivery = delivery;
        loop {
            let mut state = self.lock();
            if delivery.request.left() {
                return Ok(());
            }
            if state.seats.is_empty() && !self.waits {
                return Err(delivery);
            }
            let host = if state.queue.is_empty() { state.take_room() } else { None };
            let Some((seat, host)) = host else {
                state.queue.push_back(delivery);
                return Ok(());
            };
            drop(state);
            match host.deliver(delivery) {
                Ok(Taken::InWork) => return Ok(()),
                Ok(Taken::Done) => {
                    self.freed(seat);
                    return Ok(());
                }
                Err(back) => delivery = back,
            }
        }
    }

    /// Takes out what waits, when no host is up and this desk's deliveries do not wait for one.
    pub(super) fn clear(&self) -> VecDeque<Delivery> {
        let mut state = self.lock();
        if self.waits || !state.seats.is_empty() {
            return VecDeque::new();
        }
        std::mem::take(&mut state.queue)
    }

    /// Takes out what waits and is to be given back to the broker.
    pub(super) fn take_back(&self) -> VecDeque<Delivery> {
        let mut state = self.lock();
        let (back, stay) = std::mem::take(&mut state.queue)
            .into_iter()
            .partition(|delivery: &Delivery| delivery.receipt.is_some());
        state.queue = stay;
        back
    }

    /// Whether a delivery for the node is taken here: a host is up, or it would wait for one.
    pub fn takes(&self) -> bool {
        self.waits || self.hosts() > 0
    }

    /// Stops the work for a request, wherever at this desk it is.
    pub(super) fn cancel(&self, request: &Request) {
        let mut state = self.lock();
        state.queue.retain(|delivery| !std::ptr::eq(&*delivery.request, request));
        let hosts: Vec<_> = state.seats.iter().map(|seat| Arc::clone(&seat.host)).collect();
        drop(state);
        for host in hosts {
            host.cancel(request);
        }
    }

    /// Gives waiting deliveries to hosts while there are both.
    fn serve(&self) {
        loop {
            let next = self.lock().match_next();
            let Some((seat, host, delivery)) = next else { return };
            match host.deliver(delivery) {
                Ok(Taken::InWork) => {}
                Ok(Taken::Done) => self.lock().give_room(seat),
                Err(delivery) => self.lock().queue.push_front(delivery),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
