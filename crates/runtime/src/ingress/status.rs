//! The one place that turns failures into statuses: gRPC, HTTP and the Connect protocol.

use crate::traces::Fault;
use bytes::Bytes;
use http::StatusCode;
use krt_model::{
    hint,
    outcome::{Failure, Kind},
};
use std::borrow::Cow;
use tonic::{Code, Status};

/// Longest error text in a gRPC header, in encoded bytes. Many clients take no more than 8 KiB of headers in
/// total.
const MAX_GRPC_TEXT: usize = 7 << 10;
/// The least room for the text beside a status's details, bytes.
const MIN_TEXT: usize = 1 << 10;
/// The most that it takes in JSON, before it is escaped, bytes.
const MAX_JSON_TEXT: usize = 64 << 10;

/// Returns the status for a failure (docs/reference/krt-v1.md#entrypoint).
pub(super) fn of_failure(failure: &Failure) -> Status {
    let code = match failure.kind() {
        Kind::Handler | Kind::Died | Kind::WrongType | Kind::Lost => Code::Internal,
        Kind::Deadline | Kind::HandlerTimeout => Code::DeadlineExceeded,
        Kind::QueueFull | Kind::TooLarge | Kind::OutOfMemory => Code::ResourceExhausted,
        Kind::Down | Kind::NotServing | Kind::Disconnected | Kind::Interrupted => Code::Unavailable,
    };
    Status::new(code, hint::line(failure))
}

/// Returns a status whose text says what to do.
pub(super) fn with_hint(code: Code, message: impl Into<String>, hint: &str) -> Status {
    Status::new(code, hint::on_one_line(message, &[hint]))
}

/// Returns the code's name in the Connect protocol.
pub(super) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "canceled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

/// Converts the status of a call for its trace.
pub(super) fn fault(status: &Status) -> Fault<'_> {
    Fault { code: status.code() as i32, name: name(status.code()), message: status.message() }
}

/// A status that fits into gRPC's headers: its text is cut, and its details are left out where they leave it no room.
pub(super) fn for_grpc(status: &Status) -> Cow<'_, Status> {
    let details = in_base64(status.details().len());
    let (kept, room) = match MAX_GRPC_TEXT.checked_sub(details) {
        Some(room) if room >= MIN_TEXT => (status.details(), room),
        _ => (&[][..], MAX_GRPC_TEXT),
    };
    let text = shorten(status, room, encoded);
    if text.is_none() && kept.len() == status.details().len() {
        return Cow::Borrowed(status);
    }
    let text = text.unwrap_or_else(|| status.message().to_owned());
    Cow::Owned(Status::with_details(status.code(), text, Bytes::copy_from_slice(kept)))
}

/// How many bytes `grpc-status-details-bin` takes, of so many.
fn in_base64(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Returns a status's text, shortened for JSON.
pub(super) fn for_json(status: &Status) -> Cow<'_, str> {
    shorten(status, MAX_JSON_TEXT, char::len_utf8).map_or(Cow::Borrowed(status.message()), Cow::Owned)
}

/// Returns a status for JSON: with its text within that limit.
pub(super) fn bounded(status: &Status) -> Status {
    Status::new(status.code(), for_json(status).into_owned())
}

/// Cuts the text of a status if it is too long. The full text is logged, unless the client is at fault.
fn shorten(status: &Status, most: usize, size: fn(char) -> usize) -> Option<String> {
    let text = status.message();
    let cut = cut(text, most, size)?;
    match http(status.code()).is_client_error() {
        true => tracing::debug!("the text of an error was cut for its client; it is: {text}"),
        false => tracing::error!("the text of an error was cut for its client; it is: {text}"),
    }
    Some(cut)
}

/// Cuts a text of more than `most` bytes between two characters, and adds a mark.
fn cut(text: &str, most: usize, size: fn(char) -> usize) -> Option<String> {
    if text.len() <= most / 3 || text.chars().map(size).sum::<usize>() <= most {
        return None;
    }
    let mark = format!("... (cut: it has {} bytes, see the log)", text.len());
    let mut room = most.saturating_sub(mark.chars().map(size).sum());
    let fits = |&(_, letter): &(usize, char)| match room.checked_sub(size(letter)) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let kept = text.char_indices().take_while(fits).last();
    let end = kept.map_or(0, |(at, letter)| at + letter.len_utf8());
    Some(format!("{}{mark}", &text[..end]))
}

/// Returns the bytes of a character in `grpc-message` (gRPC over HTTP/2, "Responses"), or an upper bound.
fn encoded(letter: char) -> usize {
    match letter {
        ' ' | '"' | '#' | '%' | '<' | '>' | '`' | '?' | '{' | '}' => 3,
        letter if letter.is_ascii_graphic() => 1,
        letter => 3 * letter.len_utf8(),
    }
}

/// Returns the HTTP status of a code (Connect protocol, "Error codes").
pub(super) fn http(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => StatusCode::from_u16(499).expect("499 is within the range of statuses"),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_texts_stay() {
        for text in ["", "short", &"x".repeat(MAX_GRPC_TEXT), &"é".repeat(MAX_GRPC_TEXT / 6)] {
            let status = Status::internal(text);
            assert_eq!((for_grpc(&status).message(), &*for_json(&status)), (text, text));
        }
        assert_eq!(for_json(&Status::internal("é".repeat(MAX_JSON_TEXT / 2))).len(), MAX_JSON_TEXT);
    }

    #[test]
    fn long_texts_are_cut_between_characters_with_a_mark() {
        let text = "é".repeat(100_000);
        for cut in [for_grpc(&Status::internal(&text)).message(), &for_json(&Status::internal(&text))] {
            let kept = cut.strip_suffix("... (cut: it has 200000 bytes, see the log)").expect("it is marked");
            assert!(!kept.is_empty() && kept.chars().all(|letter| letter == 'é'));
        }
    }

    proptest! {
        #[test]
        fn statuses_fit_into_grpc_headers(text in prop_oneof!["\\PC{1,4000}", "[ -~]{1,9000}", "\\p{Any}{1,4000}"], times in 1..4_usize, details in 0..9000_usize) {
            let details = Bytes::from(vec![7; details]);
            let status = Status::with_details(Code::Internal, text.repeat(times), details);
            let headers = for_grpc(&status).into_owned().into_http::<()>().into_parts().0.headers;
            let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
            prop_assert!(size <= 7 * 1024 + 256, "{size}");
            prop_assert!(for_json(&status).len() <= MAX_JSON_TEXT);
        }
    }
}
