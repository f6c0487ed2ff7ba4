//! The context of `init` and `handler`.

use crate::{
    Result,
    calls::Calls,
    contract::ContextError,
    database::Database,
    delivery::Delivery,
    form::{self, Output},
    frame::{self, HEADER, WorkerFrame},
    hello::Hello,
    link::{Link, lock},
    logger::{Level, Logger},
    measurement::Measurements,
    metadata::Metadata,
    prediction::Predictions,
    values::{NotKept, Values},
};
use std::{
    any::Any,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

/// Gives user code its logger, shared values, stores, early reply and early exit.
///
/// A clone is cheap and refers to the same request, even after the handler has returned.
#[derive(Clone)]
pub struct Context(pub(crate) Scope);

/// The request, or `init`, that calls belong to.
#[derive(Clone)]
pub(crate) struct Scope {
    pub(crate) process: Arc<ProcessState>,
    pub(crate) own: Option<Arc<Delivery>>,
    /// Whether it belongs to a batch, and so to no single delivery.
    pub(crate) of_batch: bool,
}

/// The state shared by all of a process.
pub(crate) struct ProcessState {
    pub(crate) hello: Hello,
    pub(crate) level: Level,
    pub(crate) link: Link,
    pub(crate) calls: Calls,
    pub(crate) values: Values,
    /// The delivery in flight, where there is one at a time.
    pub(crate) single: Mutex<Option<Arc<Delivery>>>,
}

impl Scope {
    /// The delivery of this scope. For the scope of `init`, this is the delivery in flight where there is one
    /// at a time, since user code may keep the context of `init`.
    fn delivery(&self) -> Option<Arc<Delivery>> {
        self.own.clone().or_else(|| lock(&self.process.single).clone())
    }

    /// The delivery for a method that needs one.
    fn require(&self, method: &'static str) -> Result<Arc<Delivery>, ContextError> {
        self.delivery().ok_or(match self.of_batch {
            true => ContextError::OfItems { method },
            false => ContextError::in_init(method),
        })
    }

    /// The id of the request; `None` in `init`, and for a whole batch.
    pub(crate) fn request(&self) -> Option<Arc<str>> {
        self.delivery().map(|delivery| Arc::clone(&delivery.request))
    }

    /// The id for frames of this scope, even after the answer; 0 outside of a delivery.
    pub(crate) fn number(&self) -> u32 {
        match &self.own {
            Some(own) => own.id,
            None => lock(&self.process.single).as_ref().map_or(0, |delivery| delivery.id),
        }
    }
}

impl Context {
    /// Writes to the node's log, with the request.
    pub fn logger(&self) -> Logger<'_> {
        Logger(&self.0)
    }

    /// The absolute path of a file of the package.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.0.process.hello.base_path.join(relative)
    }

    /// Keeps a value for all later calls of the handler in this process.
    pub fn set<T: Any + Send + Sync>(&self, key: &str, value: T) {
        self.0.process.values.set(key, value);
    }

    /// The value set with [`Context::set`], if it has this type.
    pub fn get<T: Any + Send + Sync>(&self, key: &str) -> Result<Arc<T>, NotKept> {
        self.0.process.values.get(key)
    }

    /// Answers the client now; the workflow continues with the handler's return value. In a node with
    /// `payload: json` the response is a [`serde_json::Value`], elsewhere a message.
    ///
    /// Fails if the client has been answered, if the message is too large, and in `init`.
    pub fn early_reply<Form, Count>(&self, response: impl Output<Form, Count>) -> Result<()> {
        let delivery = self.0.require("early_reply")?;
        let limit = self.0.process.hello.largest();
        let mut out = form::encode(response, HEADER, limit)?.ok_or(form::Mismatch::NoReply)?;
        frame::close(&mut out, WorkerFrame::EarlyReply, delivery.id);
        Ok(delivery.reply(|| self.0.process.link.send(&out))?)
    }

    /// Sends a message of the answer now; the answer goes on. The RPC must answer with a stream: `returns (stream …)` in
    /// the `.proto`. What the handler returns is the last message, and `None` ends the stream without one.
    ///
    /// Waits while the client is slow. Messages after an early reply are dropped. Fails if the RPC has one answer, if the
    /// message is too large, in `init`, and after the handler has returned.
    pub async fn send<Form, Count>(&self, message: impl Output<Form, Count>) -> Result<()> {
        let delivery = self.0.require("send")?;
        if !delivery.streams() {
            return Err(ContextError::OneAnswer.into());
        }
        let limit = self.0.process.hello.largest();
        let mut out = form::encode(message, HEADER, limit)?.ok_or(form::Mismatch::NoMessage)?;
        frame::close(&mut out, WorkerFrame::Message, delivery.id);
        if delivery.wait_for_credit(out.len() - HEADER).await? {
            delivery.send(|| self.0.process.link.send(&out))?;
        }
        Ok(())
    }

    /// Makes this handler's return value the final answer; later nodes do not run.
    ///
    /// Fails in `init`, and after the handler has returned.
    pub fn early_exit(&self) -> Result<()> {
        let delivery = self.0.require("early_exit")?;
        Ok(delivery.exit()?)
    }

    /// The id of the request, as in logs, measurements and the list of requests.
    ///
    /// Fails in `init`.
    pub fn request_id(&self) -> Result<Arc<str>> {
        Ok(Arc::clone(&self.0.require("request_id")?.request))
    }

    /// The time left until the client stops waiting, zero if none is left. `None` if no client waits: in `init`,
    /// after an early reply, and if `krt` does the work again after an engine died.
    pub fn deadline(&self) -> Option<Duration> {
        self.0.delivery()?.deadline()
    }

    /// What the client sent as gRPC metadata or HTTP headers, of the names that `krt.yml` lists. Empty in `init`.
    pub fn metadata(&self) -> Metadata {
        self.0.delivery().map(|delivery| delivery.client()).unwrap_or_default()
    }

    /// The headers that continue the request's trace in another service: `traceparent` and, where there is
    /// one, `tracestate` (W3C trace context). Empty in `init`, and for a request without a trace.
    pub fn trace_headers(&self) -> BTreeMap<String, String> {
        self.0.delivery().map(|delivery| delivery.trace_headers()).unwrap_or_default()
    }

    /// Saves and finds documents.
    pub fn db(&self) -> Database<'_> {
        Database(&self.0)
    }

    /// Saves points of measurements.
    pub fn measurement(&self) -> Measurements<'_> {
        Measurements(&self.0)
    }

    /// Saves predictions, for a classifier's scores.
    pub fn prediction(&self) -> Predictions<'_> {
        Predictions(&self.0)
    }
}
