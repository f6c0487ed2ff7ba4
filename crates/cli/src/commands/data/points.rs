//! Reads points page by page.

use super::{
    printer::Records,
    record::{Cell, Record},
};
use crate::error::Result;
use krt_store::{Order, PointFilter, Reader, StoredPoint};
use std::vec;

/// The number of points read at once.
const PAGE: usize = 4096;

/// Reads points in order of time, with a few thousand in memory.
#[derive(Debug)]
pub(super) struct Points<'a> {
    reader: &'a Reader,
    filter: PointFilter,
    order: Order,
    page: usize,
    waiting: vec::IntoIter<StoredPoint>,
    done: bool,
}

impl<'a> Points<'a> {
    /// Reads the points that match. The caller is expected to take hardly more than `limit`.
    pub(super) fn new(reader: &'a Reader, filter: PointFilter, order: Order, limit: usize) -> Self {
        let page = limit.saturating_add(1).clamp(2, PAGE);
        Self { reader, filter, order, page, waiting: Vec::new().into_iter(), done: false }
    }

    /// The points as records.
    pub(super) fn records(self) -> Records<'a> {
        Box::new(self.map(|point| point.map(record)))
    }

    /// Reads the next page.
    ///
    /// Each page starts at the time where the previous one ends. Since there may be more points with that
    /// time, they are left for the next page; if all points have the same time, the page grows.
    fn read(&mut self) -> Result<(), krt_store::Error> {
        let mut points = self.reader.points(&self.filter, self.order, self.page)?;
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            self.done = true;
            return Ok(());
        };
        let last = last.time;
        if points.len() < self.page {
            self.done = true;
        } else if first.time == last {
            self.page = self.page.saturating_mul(2);
            return Ok(());
        } else {
            points.retain(|point| point.time != last);
            self.page = PAGE;
            match self.order {
                Order::OldestFirst => self.filter.from = Some(last),
                Order::NewestFirst => self.filter.to = Some(last.saturating_add(1)),
            }
        }
        self.waiting = points.into_iter();
        Ok(())
    }
}

impl Iterator for Points<'_> {
    type Item = Result<StoredPoint>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(point) = self.waiting.next() {
                return Some(Ok(point));
            }
            if self.done {
                return None;
            }
            if let Err(error) = self.read() {
                self.done = true;
                return Some(Err(error.into()));
            }
        }
    }
}

fn record(point: StoredPoint) -> Record {
    let tags = point.tags.iter().map(|(name, value)| (name.clone(), value.as_str()));
    Record::default()
        .with("time", Cell::Time(point.time))
        .with_group("tags", tags)
        .with_group("fields", point.fields)
}
