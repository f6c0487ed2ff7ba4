//! Messages with a head of five bytes, flags and a length: those of gRPC, and of streams in the Connect protocol.

use super::{
    body::Frames,
    read::{MessageInfo, Reader, RequestBody},
};
use crate::flow::Permit;
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body::Frame;
use tonic::Status;

/// Bytes before a message: its flags, and its length.
const PREFIX: usize = 5;
/// Largest message that shares a buffer with its prefix, in bytes.
const SHARED_BUFFER: usize = 16 << 10;

/// Reads the head of a request's message.
pub(super) async fn announced<B: RequestBody>(reader: &mut Reader<B>) -> Result<MessageInfo, Status> {
    let prefix = reader.prefix::<PREFIX>().await?;
    let [flag, size @ ..] = prefix.ok_or_else(|| Status::internal("the request has no message"))?;
    let compressed = match flag {
        0 => false,
        1 => true,
        flag => {
            return Err(Status::internal(format!("the request's message has the unknown flag {flag}")));
        }
    };
    Ok(MessageInfo { size: Some(u32::from_be_bytes(size) as usize), compressed })
}

/// Reads a request's message after its head. Nothing may follow.
pub(super) async fn read<B: RequestBody>(
    reader: &mut Reader<B>,
    announced: MessageInfo,
    permit: &Permit,
) -> Result<Bytes, Status> {
    let size = announced.size.unwrap_or_default();
    let message = reader.take(size, permit).await?;
    if message.len() < size {
        let there = message.len();
        return Err(Status::internal(format!("the request's message has {there} bytes of {size}")));
    }
    if !reader.is_at_end().await? {
        return Err(Status::unimplemented("the RPC takes one message"));
    }
    Ok(message)
}

/// Adds a message with its head to a body.
pub(super) fn frame(flags: u8, message: Bytes, body: &mut Frames) {
    let length = u32::try_from(message.len()).expect("answers are held to a limit far below 4 GiB");
    let small = message.len() <= SHARED_BUFFER;
    let mut head = BytesMut::with_capacity(PREFIX + if small { message.len() } else { 0 });
    head.put_u8(flags);
    head.put_u32(length);
    if small {
        head.put_slice(&message);
        body.push_back(Frame::data(head.freeze()));
    } else {
        body.extend([Frame::data(head.freeze()), Frame::data(message)]);
    }
}
