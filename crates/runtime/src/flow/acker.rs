//! Acknowledgement of the messages that a broker keeps until their work is done.

use std::{any::Any, fmt};

/// Acknowledges one message. Dropped unmarked, it gives the message back.
pub trait Acknowledge: Any + Send + Sync + fmt::Debug {
    /// Returns whether the message was delivered before.
    fn is_redelivered(&self) -> bool;

    /// Returns how many more times the message would be redelivered.
    fn redeliveries_left(&self) -> u16;

    /// Acknowledges the message, which is never redelivered.
    fn ack(self: Box<Self>);

    /// Gives the message back for another receiver, without a pause.
    fn nak(self: Box<Self>);

    /// Moves the message to the dead letters, with the reason, and then acknowledges it.
    fn dead_letter(self: Box<Self>, reason: &str);
}

/// The acknowledgement that a message carries.
pub type Acker = Box<dyn Acknowledge>;
