//! The batches that a worker has.
//!
//! A batch has the id of its first delivery. It ends with the last RESULT of its deliveries.

use crate::flow::Delivery;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// The batches of which RESULTs are missing, by id.
#[derive(Debug, Default)]
pub(super) struct OpenBatches(HashMap<u32, OpenBatch>);

#[derive(Debug)]
struct OpenBatch {
    size: u16,
    /// How many RESULTs are missing.
    missing: u16,
    sent: Instant,
    /// Whether a RESULT said that the batch failed as a whole.
    whole: bool,
    /// The deliveries to handle again, as the batch failed as a whole.
    failed: Vec<Delivery>,
}

/// A batch after its last RESULT.
#[derive(Debug)]
pub(super) struct EndedBatch {
    /// How many deliveries it had.
    pub(super) size: u16,
    /// The time from sending it to its last RESULT; `None` if it failed as a whole.
    pub(super) took: Option<Duration>,
    /// The deliveries to handle again.
    pub(super) failed: Vec<Delivery>,
}

impl OpenBatches {
    /// Adds a batch of `size` deliveries.
    pub(super) fn open(&mut self, id: u32, size: u16) {
        let batch = OpenBatch { size, missing: size, sent: Instant::now(), whole: false, failed: Vec::new() };
        self.0.insert(id, batch);
    }

    /// Returns the number of deliveries that a batch was sent with; 1 if there is no such batch.
    pub(super) fn size(&self, id: u32) -> u16 {
        self.0.get(&id).map_or(1, |batch| batch.size)
    }

    /// Keeps a delivery until its batch, which failed as a whole, has ended.
    pub(super) fn insert(&mut self, id: u32, delivery: Delivery) {
        if let Some(batch) = self.0.get_mut(&id) {
            batch.failed.push(delivery);
        }
    }

    /// Returns the size of a batch of which no RESULT has come.
    pub(super) fn unanswered(&self, id: u32) -> Option<u16> {
        self.0.get(&id).filter(|batch| batch.missing == batch.size).map(|batch| batch.size)
    }

    /// Notes a RESULT; `whole`: it says that the batch failed as a whole. Returns the batch with its last RESULT.
    pub(super) fn answered(&mut self, id: u32, whole: bool) -> Option<EndedBatch> {
        let batch = self.0.get_mut(&id)?;
        batch.missing -= 1;
        batch.whole |= whole;
        if batch.missing > 0 {
            return None;
        }
        let OpenBatch { size, sent, whole, failed, .. } = self.0.remove(&id)?;
        Some(EndedBatch { size, took: (!whole).then(|| sent.elapsed()), failed })
    }

    /// Takes out the deliveries that wait for the end of their batch, with the id of that batch.
    pub(super) fn drain(&mut self) -> Vec<(u32, Delivery)> {
        let failed = |(id, batch): (&u32, &mut OpenBatch)| {
            let id = *id;
            std::mem::take(&mut batch.failed).into_iter().map(move |delivery| (id, delivery))
        };
        self.0.iter_mut().flat_map(failed).collect()
    }
}
