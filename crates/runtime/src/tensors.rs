//! Inferences of the Open Inference Protocol v2: converts tensors to messages and back.
//!
//! The binary form of the protocol stands between: a [`RawTensor`] has the bytes of its elements. What a client sends
//! as JSON or as fields of protobuf becomes that form, and of it the message. Answers take the same way back.
//!
//! - `raw`: a tensor. `element`: one element, as a number and in a message.
//! - `request`, `response`: an inference, apart from its form. `rest`: JSON, with or without binary data. `grpc`: the
//!   messages of the gRPC service.
//! - `encode`: tensors to a message. `decode`: a message to tensors.
//! - `error`: why a request is refused.
//!
//! Sizes and shapes that clients say are never believed: memory is taken for bytes that are there.

mod decode;
mod element;
mod encode;
mod error;
pub mod grpc;
mod raw;
mod request;
mod response;
pub mod rest;

pub use decode::decode;
pub use encode::encode;
pub use error::{Error, TensorFault};
pub use raw::RawTensor;
pub use request::{Form, InferRequest, Output};
pub use response::InferResponse;

use krt_package::open_inference::Layout;

/// The tensors of a model.
#[derive(Debug, Clone, Copy)]
pub struct Signature<'m> {
    /// Those of a request.
    pub inputs: &'m Layout,
    /// Those of an answer.
    pub outputs: &'m Layout,
}

#[cfg(test)]
mod tests;
