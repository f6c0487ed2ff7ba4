//! The inputs and outputs of handlers: messages, or plain data.

use crate::{
    Context, Error, Result,
    batch::{self, BatchFn, BatchHandler},
};
use bytes::Bytes;
use prost::{Message, Name, encoding};
use serde_json::Value;
use std::{marker::PhantomData, pin::Pin, sync::Arc};

const PREFIX: &str = "type.googleapis.com/";
const ANY: &str = "google.protobuf.Any";

/// A `google.protobuf.Any` whose value is not copied.
#[derive(Clone, PartialEq, Message)]
pub struct Packed {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// The payload of a DELIVER.
pub enum Payload {
    /// A message.
    Message(Packed),
    /// JSON.
    Plain(Bytes),
}

impl Payload {
    /// Parses the payload of a DELIVER.
    pub(crate) fn read(bytes: Bytes, plain: bool) -> Result<Self, prost::DecodeError> {
        match plain {
            true => Ok(Self::Plain(bytes)),
            false => Packed::decode(bytes).map(Self::Message),
        }
    }
}

/// Why data does not fit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Mismatch {
    #[error(
        "the message is a `{found}`, the handler takes a `{wanted}`; hint: compare the node before, or the RPC's request"
    )]
    OtherType { found: String, wanted: String },
    #[error("the message, a `{name}`, does not parse: {source}")]
    Message { name: String, source: prost::DecodeError },
    #[error("the data do not parse: {0}")]
    Plain(#[from] serde_json::Error),
    #[error("the node's payload is not what its handler takes")]
    OtherPayload,
    #[error("[ctx.early_reply] there is no message to reply with; hint: build one of the `.proto`")]
    NoReply,
    #[error("[ctx.send] there is no message to send; hint: build one of the `.proto`")]
    NoMessage,
    #[error(
        "the handler returned a list of length {found} for a batch of {count}; hint: return one for each message, in their order"
    )]
    OtherLength { found: usize, count: usize },
    #[error("the answer, {name}, has {size} bytes, more than the limit of {limit} bytes")]
    TooLarge { name: String, size: usize, limit: usize },
}

/// Marks handlers of messages.
pub enum Messages {}

/// Marks handlers of plain data: their node has `payload: json`.
pub enum Plain {}

/// Marks outputs that are always an answer.
pub enum One {}

/// Marks outputs that may be absent.
pub enum Maybe {}

/// The name of a form of data in `krt.yml`.
pub trait Form: Send + Sync + 'static {
    /// The value of `payload`.
    const PAYLOAD: &'static str;
}

impl Form for Messages {
    const PAYLOAD: &'static str = "protobuf";
}

impl Form for Plain {
    const PAYLOAD: &'static str = "json";
}

/// The input of a handler: a prost message with its name, a [`prost_types::Any`] for any message, or a
/// [`Value`].
#[diagnostic::on_unimplemented(
    message = "a handler cannot take a `{Self}`",
    note = "it takes a message of prost's that implements `prost::Name`, a `prost_types::Any`, or a `serde_json::Value`"
)]
pub trait Input<F>: Sized {
    /// Converts a payload.
    #[doc(hidden)]
    fn take(payload: Payload) -> Result<Self>;
}

impl<M: Message + Name + Default> Input<Messages> for M {
    fn take(payload: Payload) -> Result<Self> {
        let Payload::Message(packed) = payload else { return Err(Mismatch::OtherPayload.into()) };
        let wanted = M::full_name();
        let parsed = if wanted == ANY {
            M::decode(packed.encode_to_vec().as_slice())
        } else {
            let found = packed.type_url.rsplit('/').next().unwrap_or_default();
            if found != wanted {
                return Err(Mismatch::OtherType { found: found.to_owned(), wanted }.into());
            }
            M::decode(packed.value)
        };
        Ok(parsed.map_err(|source| Mismatch::Message { name: wanted, source })?)
    }
}

impl Input<Plain> for Value {
    fn take(payload: Payload) -> Result<Self> {
        let Payload::Plain(json) = payload else { return Err(Mismatch::OtherPayload.into()) };
        Ok(serde_json::from_slice(&json).map_err(Mismatch::Plain)?)
    }
}

/// The output of a handler: a prost message with its name, or a [`Value`]; an `Option` of one where the
/// request may have had an early reply.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return a `{Self}`",
    note = "it returns a message of prost's that implements `prost::Name`, a `serde_json::Value`, or an `Option` of one"
)]
pub trait Output<F, Count> {
    /// Appends the output; returns whether there is any.
    #[doc(hidden)]
    fn give(self, out: &mut Vec<u8>, limit: usize) -> Result<bool>;
}

impl<M: Message + Name> Output<Messages, One> for M {
    fn give(self, out: &mut Vec<u8>, limit: usize) -> Result<bool> {
        let name = M::full_name();
        let size = self.encoded_len();
        if size > limit {
            return Err(Mismatch::TooLarge { name: format!("a `{name}`"), size, limit }.into());
        }
        out.reserve(size + PREFIX.len() + name.len() + 24);
        if name != ANY {
            encoding::encode_key(1, encoding::WireType::LengthDelimited, out);
            encoding::encode_varint((PREFIX.len() + name.len()) as u64, out);
            out.extend_from_slice(PREFIX.as_bytes());
            out.extend_from_slice(name.as_bytes());
            encoding::encode_key(2, encoding::WireType::LengthDelimited, out);
            encoding::encode_varint(size as u64, out);
        }
        self.encode_raw(out);
        Ok(true)
    }
}

impl Output<Plain, One> for Value {
    fn give(self, out: &mut Vec<u8>, limit: usize) -> Result<bool> {
        let before = out.len();
        serde_json::to_writer(&mut *out, &self)?;
        match out.len() - before {
            size if size > limit => Err(Mismatch::TooLarge { name: "JSON".to_owned(), size, limit }.into()),
            _ => Ok(true),
        }
    }
}

impl<F, T: Output<F, One>> Output<F, Maybe> for Option<T> {
    fn give(self, out: &mut Vec<u8>, limit: usize) -> Result<bool> {
        self.map_or(Ok(false), |value| value.give(out, limit))
    }
}

/// Encodes an answer after room for a head; `None` without an answer.
pub(crate) fn encode<F, Count>(
    answer: impl Output<F, Count>,
    head: usize,
    limit: usize,
) -> Result<Option<Vec<u8>>> {
    let mut out = vec![0; head];
    Ok(answer.give(&mut out, limit)?.then_some(out))
}

/// An `init`: `async fn(Context) -> Result<()>`.
pub trait Init: Send + 'static {
    /// Calls `init`.
    #[doc(hidden)]
    fn call(self, ctx: Context) -> impl Future<Output = Result<()>> + Send + 'static;
}

impl<I, Fut, E> Init for I
where
    I: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Error> + 'static,
{
    async fn call(self, ctx: Context) -> Result<()> {
        self(ctx).await.map_err(Into::into)
    }
}

/// A handler: `async fn(Context, In) -> Result<Out>`. [`Input`] lists the types of `In`, [`Output`] those of
/// `Out`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler",
    note = "write `async fn handler(ctx: Context, request: In) -> Result<Out>`, with messages of prost's for In and Out"
)]
pub trait Handler<Kind>: Send + Sync + 'static {
    /// Its value of `payload` in `krt.yml`.
    #[doc(hidden)]
    const PAYLOAD: &'static str;

    /// Handles one message.
    #[doc(hidden)]
    fn call(
        &self,
        ctx: Context,
        payload: Payload,
        head: usize,
    ) -> impl Future<Output = Result<Option<Vec<u8>>>> + Send + 'static;
}

impl<H, Fut, In, Out, E, F, Count> Handler<(In, Out, E, F, Count)> for H
where
    H: Fn(Context, In) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Out, E>> + Send + 'static,
    In: Input<F> + 'static,
    Out: Output<F, Count> + 'static,
    E: Into<Error> + 'static,
    F: Form,
{
    const PAYLOAD: &'static str = F::PAYLOAD;

    fn call(
        &self,
        ctx: Context,
        payload: Payload,
        head: usize,
    ) -> impl Future<Output = Result<Option<Vec<u8>>>> + Send + 'static {
        let limit = ctx.0.process.hello.largest();
        let work = In::take(payload).map(|data| self(ctx, data));
        async move { encode(work?.await.map_err(Into::into)?, head, limit) }
    }
}

/// A future of user code.
pub(crate) type Work<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// The two functions of a node.
pub(crate) struct Node {
    pub(crate) init: Box<dyn FnOnce(Context) -> Work<()> + Send>,
    pub(crate) handler: HandlerKind,
    pub(crate) payload: &'static str,
}

/// What a handler gets.
#[derive(Clone)]
pub(crate) enum HandlerKind {
    /// One message.
    Each(Arc<HandlerFn>),
    /// A batch.
    Batches(Arc<BatchFn>),
}

/// Handles a message; the result is a frame, after room for its head.
pub(crate) type HandlerFn = dyn Fn(Context, Payload, usize) -> Work<Option<Vec<u8>>> + Send + Sync;

impl Node {
    pub(crate) fn new<Kind: 'static>(init: impl Init, handler: impl Handler<Kind>) -> Self {
        fn payload<Kind, H: Handler<Kind>>(_: &H, _: PhantomData<Kind>) -> &'static str {
            H::PAYLOAD
        }
        let payload = payload(&handler, PhantomData::<Kind>);
        // Also catches a panic before the first await.
        let handler = Arc::new(handler);
        let handler: Arc<HandlerFn> = Arc::new(move |ctx, data, head| {
            let handler = Arc::clone(&handler);
            Box::pin(async move { handler.call(ctx, data, head).await })
        });
        Self::with(init, HandlerKind::Each(handler), payload)
    }

    /// A node whose handler gets batches.
    pub(crate) fn of_batches<Kind: 'static>(init: impl Init, handler: impl BatchHandler<Kind>) -> Self {
        let (handler, payload) = batch::erase(handler);
        Self::with(init, HandlerKind::Batches(handler), payload)
    }

    fn with(init: impl Init, handler: HandlerKind, payload: &'static str) -> Self {
        Self { init: Box::new(|ctx| Box::pin(async { init.call(ctx).await })), handler, payload }
    }
}
