//! A request of this ingress, seen from its client.

use super::{
    Flow,
    answer::Messages,
    record::End,
    request::{Deadline, Request},
};
use krt_model::{outcome::Failure, request::Ending};
use std::{future::poll_fn, sync::Arc, time::Instant};

/// The answer that a client of this ingress waits for. Dropped before the answer, it says that the client left, and
/// stops the work.
#[derive(Debug)]
#[must_use = "dropping it stops the work"]
pub struct PendingAnswer<'a> {
    flow: &'a Flow,
    request: Arc<Request>,
    deadline: Deadline,
    begun: Instant,
    closed: bool,
}

impl<'a> PendingAnswer<'a> {
    pub(super) fn new(flow: &'a Flow, request: Arc<Request>, deadline: Deadline, begun: Instant) -> Self {
        Self { flow, request, deadline, begun, closed: false }
    }

    /// The request's id.
    pub fn id(&self) -> &Arc<str> {
        &self.request.id
    }

    /// Waits for the whole answer, until the deadline.
    pub async fn whole(mut self) -> Result<Messages, Failure> {
        let ended = poll_fn(|context| self.request.poll_answer(context));
        let answer = match tokio::time::timeout_at(self.deadline.at.into(), ended).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Deadline { waited: self.deadline.within }),
        };
        self.close(match &answer {
            Ok(messages) => End::Answered(messages.iter().map(|message| message.value().len()).sum()),
            Err(failure) => End::failed(failure),
        });
        if let Err(failure) = &answer {
            self.flow.metrics.failure(self.request.route.index, failure);
        }
        answer
    }

    /// Closes the request for its client. Work that nobody waits for stops, unless it goes on after an early reply.
    fn close(&mut self, end: End) {
        self.closed = true;
        let ending = match &end {
            End::Answered(_) => Ending::Answered,
            End::Failed(_) => Ending::Failed,
            End::Left => Ending::Left,
        };
        self.flow.metrics.request(self.request.route.index, ending, self.begun.elapsed());
        self.request.close(end);
        if !self.request.replied() {
            self.flow.stop(&self.request);
        }
    }
}

impl Drop for PendingAnswer<'_> {
    fn drop(&mut self) {
        if !self.closed {
            self.close(End::Left);
        }
    }
}
