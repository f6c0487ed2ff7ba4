//! Where points go instead of the database.

use crate::point::Point;
use std::fmt;

/// Takes the points that are measured. Its methods run on the thread that also writes logs, and so must
/// not wait for anybody.
pub trait Sink: fmt::Debug + Send {
    /// Takes a point; of its tags none has a name twice.
    fn take(&mut self, point: &Point<'_>);

    /// Sends on what was taken: called once an interval, and at the end.
    fn send(&mut self);
}
