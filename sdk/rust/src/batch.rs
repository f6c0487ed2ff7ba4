//! Batches: several messages in one call of a handler.

use crate::{
    Context, Error, Result,
    context::{ProcessState, Scope},
    delivery::Delivery,
    form::{Form, Input, Mismatch, Output, Payload, Work, encode},
};
use std::{marker::PhantomData, ops::Deref, sync::Arc};

/// The context of a batch, in a node with `batch` in `krt.yml`.
///
/// As a [`Context`] it belongs to the node: values, paths and stores work as usual, and its logger writes without a
/// request. What belongs to one request is on the contexts of [`BatchContext::items`]; early reply, early exit
/// and the request id of the batch fail, and it has no deadline, no metadata and no trace headers.
#[derive(Clone)]
pub struct BatchContext {
    node: Context,
    items: Vec<Context>,
}

impl BatchContext {
    pub(crate) fn new(process: &Arc<ProcessState>, deliveries: &[Arc<Delivery>]) -> Self {
        let context = |own, of_batch| Context(Scope { process: Arc::clone(process), own, of_batch });
        let items = deliveries.iter().map(|delivery| context(Some(Arc::clone(delivery)), false));
        Self { node: context(None, true), items: items.collect() }
    }

    /// The contexts of the items, in the order of the handler's messages: each has the logger, the stores and the
    /// early reply of its own request.
    pub fn items(&self) -> &[Context] {
        &self.items
    }
}

impl Deref for BatchContext {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.node
    }
}

/// The results of a batch: for each item, the frame of its answer after room for its head, or its own error.
pub(crate) type Answers = Vec<Result<Option<Vec<u8>>>>;

/// Handles a batch.
pub(crate) type BatchFn = dyn Fn(BatchContext, Vec<Payload>, usize) -> Work<Answers> + Send + Sync;

/// A handler of batches: `async fn(BatchContext, Vec<In>) -> Result<Vec<Result<Out>>>`, with one result for each
/// message, in their order. [`Input`] lists the types of `In`, [`Output`] those of `Out`.
///
/// An error in the list fails its own request. If the handler fails, panics, or returns a list of another length, the
/// batch fails as a whole. A message that `In` cannot be made from fails alone, and is not in the list.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler of batches",
    note = "write `async fn handler(ctx: BatchContext, requests: Vec<In>) -> Result<Vec<Result<Out>>>`, with messages of prost's for In and Out"
)]
pub trait BatchHandler<Kind>: Send + Sync + 'static {
    /// Its value of `payload` in `krt.yml`.
    #[doc(hidden)]
    const PAYLOAD: &'static str;

    /// Handles one batch.
    #[doc(hidden)]
    fn call(
        &self,
        ctx: BatchContext,
        payloads: Vec<Payload>,
        head: usize,
    ) -> impl Future<Output = Result<Vec<Result<Option<Vec<u8>>>>>> + Send + 'static;
}

impl<H, Fut, In, Out, Own, E, F, Count> BatchHandler<(In, Out, Own, E, F, Count)> for H
where
    H: Fn(BatchContext, Vec<In>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<Result<Out, Own>>, E>> + Send + 'static,
    In: Input<F> + 'static,
    Out: Output<F, Count> + 'static,
    Own: Into<Error> + 'static,
    E: Into<Error> + 'static,
    F: Form,
{
    const PAYLOAD: &'static str = F::PAYLOAD;

    fn call(
        &self,
        ctx: BatchContext,
        payloads: Vec<Payload>,
        head: usize,
    ) -> impl Future<Output = Result<Vec<Result<Option<Vec<u8>>>>>> + Send + 'static {
        let limit = ctx.0.process.hello.largest();
        let BatchContext { node, items } = ctx;
        let (mut wrong, mut data, mut contexts) = (Vec::new(), Vec::new(), Vec::new());
        for (item, payload) in items.into_iter().zip(payloads) {
            match In::take(payload) {
                Ok(message) => {
                    data.push(message);
                    contexts.push(item);
                    wrong.push(None);
                }
                Err(error) => wrong.push(Some(error)),
            }
        }
        let count = data.len();
        let work = (count > 0).then(|| self(BatchContext { node, items: contexts }, data));
        async move {
            let answers = match work {
                Some(work) => work.await.map_err(Into::into)?,
                None => Vec::new(),
            };
            if answers.len() != count {
                return Err(Mismatch::OtherLength { found: answers.len(), count }.into());
            }
            let mut answers = answers.into_iter();
            let mut end = |wrong: Option<Error>| match wrong {
                Some(error) => Err(error),
                None => {
                    let answer = answers.next().expect("the list has an answer for each message");
                    encode(answer.map_err(Into::into)?, head, limit)
                }
            };
            Ok(wrong.into_iter().map(&mut end).collect())
        }
    }
}

/// Erases the type of a handler of batches.
pub(crate) fn erase<Kind: 'static>(handler: impl BatchHandler<Kind>) -> (Arc<BatchFn>, &'static str) {
    fn payload<Kind, H: BatchHandler<Kind>>(_: &H, _: PhantomData<Kind>) -> &'static str {
        H::PAYLOAD
    }
    let payload = payload(&handler, PhantomData::<Kind>);
    let handler = Arc::new(handler);
    let call = move |ctx: BatchContext, payloads: Vec<Payload>, head: usize| -> Work<Answers> {
        let handler = Arc::clone(&handler);
        // Also catches a panic before the first await.
        Box::pin(async move { handler.call(ctx, payloads, head).await })
    };
    (Arc::new(call), payload)
}
