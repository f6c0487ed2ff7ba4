//! An alternative target for points.

use crate::point::Point;
use std::fmt;

/// Takes measured points. Its methods run on the thread that also writes logs, and so must not block.
pub trait Sink: fmt::Debug + Send {
    /// Takes a point, whose tags have unique names.
    fn take(&mut self, point: &Point<'_>);

    /// Sends the taken points: called once per interval, and at the end.
    fn send(&mut self);
}
