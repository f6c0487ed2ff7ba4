//! What `init` and `handler` are given.

use crate::{
    Result,
    calls::Calls,
    contract::ContextError,
    database::Database,
    delivery::Delivery,
    form::{self, Give},
    frame::{self, FromHost, HEADER},
    hello::Hello,
    link::{Link, lock},
    logger::{Level, Logger},
    measurement::Measurements,
    prediction::Predictions,
    values::{NotKept, Values},
};
use std::{
    any::Any,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// Gives user code its logger, shared values, stores, and the early ways out of a workflow.
///
/// A clone is cheap and stands for the same request, also after the handler has returned.
#[derive(Clone)]
pub struct Context(pub(crate) Scope);

/// On whose behalf something is asked of the engine.
#[derive(Clone)]
pub(crate) struct Scope {
    pub(crate) world: Arc<World>,
    pub(crate) own: Option<Arc<Delivery>>,
}

/// What all of a process shares.
pub(crate) struct World {
    pub(crate) hello: Hello,
    pub(crate) level: Level,
    pub(crate) link: Link,
    pub(crate) calls: Calls,
    pub(crate) values: Values,
    /// The delivery in work where there is one at a time.
    pub(crate) single: Mutex<Option<Arc<Delivery>>>,
}

impl Scope {
    /// The delivery that code works for. The scope of init stands for the one in work, where there is
    /// one at a time, since user code may keep the context that init was given.
    fn delivery(&self) -> Option<Arc<Delivery>> {
        self.own.clone().or_else(|| lock(&self.world.single).clone())
    }

    /// The id for frames of this scope, answered or not; 0 outside of any.
    pub(crate) fn number(&self) -> u32 {
        match &self.own {
            Some(own) => own.id,
            None => lock(&self.world.single).as_ref().map_or(0, |delivery| delivery.id),
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
        self.0.world.hello.base_path.join(relative)
    }

    /// Keeps a value for every later call of the handler in this process.
    pub fn set<T: Any + Send + Sync>(&self, key: &str, value: T) {
        self.0.world.values.set(key, value);
    }

    /// The value that [`Context::set`] kept, if it is of this type.
    pub fn get<T: Any + Send + Sync>(&self, key: &str) -> Result<Arc<T>, NotKept> {
        self.0.world.values.get(key)
    }

    /// Answers the client now; the workflow goes on with what the handler returns. In a node with
    /// `payload: json` the response is a [`serde_json::Value`], elsewhere a message.
    ///
    /// Fails if the client was answered before, with a message that is too large, and in `init`.
    pub fn early_reply<Form, Count>(&self, response: impl Give<Form, Count>) -> Result<()> {
        let delivery = self.0.delivery().ok_or_else(|| ContextError::in_init("early_reply"))?;
        let limit = self.0.world.hello.largest();
        let mut out = form::encode(response, HEADER, limit)?.ok_or(form::Unfit::NoReply)?;
        frame::close(&mut out, FromHost::EarlyReply, delivery.id);
        Ok(delivery.reply(|| self.0.world.link.send(&out))?)
    }

    /// Makes what this handler returns the final answer; later nodes do not run.
    ///
    /// Fails in `init`, and after the handler has returned.
    pub fn early_exit(&self) -> Result<()> {
        let delivery = self.0.delivery().ok_or_else(|| ContextError::in_init("early_exit"))?;
        Ok(delivery.exit()?)
    }

    /// The headers with which another service goes on with the request's trace: `traceparent` and, where
    /// there is one, `tracestate` (W3C trace context). There are none in `init`, and for a request that
    /// belongs to no trace.
    pub fn trace_headers(&self) -> BTreeMap<String, String> {
        self.0.delivery().map(|delivery| delivery.trace_headers()).unwrap_or_default()
    }

    /// Saves and finds documents.
    pub fn db(&self) -> Database<'_> {
        Database(&self.0)
    }

    /// Saves points of time series.
    pub fn measurement(&self) -> Measurements<'_> {
        Measurements(&self.0)
    }

    /// Saves predictions, for a classifier's figures.
    pub fn prediction(&self) -> Predictions<'_> {
        Predictions(&self.0)
    }
}
