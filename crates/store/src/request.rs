//! Request records, and their encoding while they wait for the writer and in the database.

use crate::bytes::{Cursor, put_long, put_short, put_signed, put_varint};
use bson::{Bson, Document, RawDocument, rawdoc};
use std::{borrow::Cow, iter};

/// The longest error, in bytes; a longer one is cut.
const MAX_ERROR: usize = 64 << 10;
/// The most hops and documents of a request that are read.
const MAX_PARTS: usize = 1 << 16;

/// A request at an ingress, from its client's view, and its hops.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request<'a> {
    /// Its id.
    pub id: Cow<'a, str>,
    /// The version of the solution.
    pub version: Cow<'a, str>,
    /// The workflow.
    pub workflow: Cow<'a, str>,
    /// When it arrived, in nanoseconds since the Unix epoch.
    pub start: i64,
    /// How long its client waited, in nanoseconds.
    pub elapsed: u64,
    /// How it ended for its client.
    pub ending: Ending,
    /// The error that its client got instead of an answer.
    pub error: Option<Cow<'a, str>>,
    /// The size of its message, in bytes.
    pub request_bytes: usize,
    /// The size of its answer, if it has one, in bytes.
    pub answer_bytes: Option<usize>,
    /// Whether it was answered before its workflow ended.
    pub early: bool,
    /// The calls of handlers.
    pub hops: Vec<Hop<'a>>,
    /// The first documents that its handlers saved.
    pub saved: Vec<Saved<'a>>,
    /// The number of documents saved in total.
    pub saves: usize,
}

/// How a request ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Ending {
    /// It was answered.
    Answered = 0,
    /// It failed.
    Failed = 1,
    /// The client left.
    Left = 2,
    /// It is in flight; such a request is never stored.
    #[default]
    InFlight = 3,
}

/// One call of a handler. Times are in nanoseconds since the request arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop<'a> {
    /// The node.
    pub node: Cow<'a, str>,
    /// Its index in the workflow, from 0.
    pub position: usize,
    /// When its message was ready.
    pub posted: i64,
    /// When the handler was called.
    pub start: i64,
    /// When it returned.
    pub end: i64,
    /// Time to encode the message for the worker, in nanoseconds.
    pub encode: u64,
    /// Time to decode the worker's message, in nanoseconds.
    pub decode: u64,
    /// How it ended.
    pub ending: HopEnding,
}

/// How a call of a handler ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum HopEnding {
    /// The handler returned.
    Returned = 0,
    /// The handler raised an error.
    Raised = 1,
    /// The worker died.
    Died = 2,
    /// The handler ran longer than its node's timeout.
    TimedOut = 3,
    /// Cancelled, because the client left or its deadline passed.
    Cancelled = 4,
    /// The worker exceeded its memory limit.
    OutOfMemory = 5,
}

/// A document that a handler saved, possibly a prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved<'a> {
    /// The node.
    pub node: Cow<'a, str>,
    /// The collection.
    pub collection: Cow<'a, str>,
    /// The document's `_id`.
    pub id: Bson,
}

impl Ending {
    fn from_number(number: u8) -> Option<Self> {
        [Self::Answered, Self::Failed, Self::Left, Self::InFlight]
            .into_iter()
            .find(|ending| *ending as u8 == number)
    }

    /// The ending as a bit of a set.
    pub(crate) fn bit(self) -> i64 {
        1 << self as u8
    }
}

impl HopEnding {
    const ALL: [Self; 6] =
        [Self::Returned, Self::Raised, Self::Died, Self::TimedOut, Self::Cancelled, Self::OutOfMemory];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| *ending as u8 == number)
    }
}

impl Request<'_> {
    /// An owned copy.
    pub fn into_owned(self) -> Request<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Request {
            id: own(self.id),
            version: own(self.version),
            workflow: own(self.workflow),
            start: self.start,
            elapsed: self.elapsed,
            ending: self.ending,
            error: self.error.map(own),
            request_bytes: self.request_bytes,
            answer_bytes: self.answer_bytes,
            early: self.early,
            hops: self.hops.into_iter().map(|hop| Hop { node: own(hop.node), ..hop }).collect(),
            saved: self
                .saved
                .into_iter()
                .map(|saved| Saved { node: own(saved.node), collection: own(saved.collection), id: saved.id })
                .collect(),
            saves: self.saves,
        }
    }
}

/// The searchable head of a stored request; its record stays encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) start: i64,
    pub(crate) elapsed: u64,
    pub(crate) ending: Ending,
    pub(crate) id: &'a str,
    pub(crate) version: &'a str,
    pub(crate) workflow: &'a str,
    record: Cursor<'a>,
}

/// Appends a request: its length in 32 bits, its head, its record.
pub(crate) fn put_request(out: &mut Vec<u8>, request: &Request<'_>) {
    let place = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&request.start.to_le_bytes());
    put_varint(out, request.elapsed);
    out.push(request.ending as u8);
    for text in [&request.id, &request.version, &request.workflow] {
        put_short(out, text.as_bytes());
    }
    put_course(out, request);
    let size = u32::try_from(out.len() - place - 4).expect("texts and lists of a request are bounded");
    out[place..place + 4].copy_from_slice(&size.to_le_bytes());
}

fn put_course(out: &mut Vec<u8>, request: &Request<'_>) {
    let error = request.error.as_deref().unwrap_or_default();
    put_long(out, &error.as_bytes()[..error.floor_char_boundary(MAX_ERROR)]);
    out.push(request.early.into());
    put_varint(out, request.request_bytes as u64);
    // 0 stands for `None`.
    put_varint(out, request.answer_bytes.map_or(0, |bytes| bytes as u64 + 1));
    put_varint(out, request.hops.len().min(MAX_PARTS) as u64);
    for hop in request.hops.iter().take(MAX_PARTS) {
        put_short(out, hop.node.as_bytes());
        put_varint(out, hop.position as u64);
        put_signed(out, hop.posted);
        put_signed(out, hop.start.wrapping_sub(hop.posted));
        put_signed(out, hop.end.wrapping_sub(hop.start));
        put_varint(out, hop.encode);
        put_varint(out, hop.decode);
        out.push(hop.ending as u8);
    }
    put_varint(out, request.saves as u64);
    put_varint(out, request.saved.len().min(MAX_PARTS) as u64);
    for saved in request.saved.iter().take(MAX_PARTS) {
        put_short(out, saved.node.as_bytes());
        put_short(out, saved.collection.as_bytes());
        let id = rawdoc! { "": bson::RawBson::try_from(saved.id.clone()).unwrap_or(bson::RawBson::Null) };
        put_long(out, id.as_bytes());
    }
}

/// Iterates over encoded requests: the head and all bytes of each. Ends at bytes that are not valid.
pub(crate) fn requests(bytes: &[u8]) -> impl Iterator<Item = (Head<'_>, &[u8])> {
    let (mut cursor, mut rest) = (Cursor::new(bytes), bytes);
    iter::from_fn(move || {
        let head = read_head(&mut cursor)?;
        let (request, left) = rest.split_at(rest.len() - cursor.len());
        rest = left;
        Some((head, request))
    })
}

/// Decodes the head of the next request, and skips its record.
fn read_head<'a>(cursor: &mut Cursor<'a>) -> Option<Head<'a>> {
    let mut cursor = Cursor::new(cursor.long()?);
    Some(Head {
        start: cursor.i64()?,
        elapsed: cursor.varint()?,
        ending: Ending::from_number(cursor.u8()?)?,
        id: cursor.short_text()?,
        version: cursor.short_text()?,
        workflow: cursor.short_text()?,
        record: cursor,
    })
}

impl<'a> Head<'a> {
    /// Decodes the whole request.
    pub(crate) fn whole(self) -> Option<Request<'a>> {
        let mut cursor = self.record;
        let size = |cursor: &mut Cursor<'_>| usize::try_from(cursor.varint()?).ok();
        let error = Some(cursor.long_text()?).filter(|error| !error.is_empty());
        let early = cursor.u8()? != 0;
        let request_bytes = size(&mut cursor)?;
        let answer_bytes = size(&mut cursor)?.checked_sub(1);
        let hops = (0..cursor.count(MAX_PARTS)?).map(|_| read_hop(&mut cursor)).collect::<Option<_>>()?;
        let saves = size(&mut cursor)?;
        let saved = (0..cursor.count(MAX_PARTS)?).map(|_| read_saved(&mut cursor)).collect::<Option<_>>()?;
        Some(Request {
            id: self.id.into(),
            version: self.version.into(),
            workflow: self.workflow.into(),
            start: self.start,
            elapsed: self.elapsed,
            ending: self.ending,
            error: error.map(Cow::Borrowed),
            request_bytes,
            answer_bytes,
            early,
            hops,
            saved,
            saves,
        })
    }
}

fn read_hop<'a>(cursor: &mut Cursor<'a>) -> Option<Hop<'a>> {
    let node = cursor.short_text()?.into();
    let position = usize::try_from(cursor.varint()?).ok()?;
    let posted = cursor.signed()?;
    let start = posted.wrapping_add(cursor.signed()?);
    let end = start.wrapping_add(cursor.signed()?);
    let (encode, decode) = (cursor.varint()?, cursor.varint()?);
    Some(Hop {
        node,
        position,
        posted,
        start,
        end,
        encode,
        decode,
        ending: HopEnding::from_number(cursor.u8()?)?,
    })
}

fn read_saved<'a>(cursor: &mut Cursor<'a>) -> Option<Saved<'a>> {
    let (node, collection) = (cursor.short_text()?.into(), cursor.short_text()?.into());
    let id = Document::try_from(RawDocument::from_bytes(cursor.long()?).ok()?).ok()?.remove("")?;
    Some(Saved { node, collection, id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, option, prelude::*};

    fn text() -> impl Strategy<Value = Cow<'static, str>> {
        ".{0,20}".prop_map(Cow::Owned)
    }

    prop_compose! {
        fn hop()(node in text(), position in 0..100_usize, posted: i64, start: i64, end: i64, encode: u64,
                 decode: u64, ending in 0..HopEnding::ALL.len()) -> Hop<'static> {
            let ending = HopEnding::ALL[ending];
            Hop { node, position, posted, start, end, encode, decode, ending }
        }
    }

    prop_compose! {
        fn saved()(node in text(), collection in text(), id: i64, named in ".{0,5}", number: bool) -> Saved<'static> {
            Saved { node, collection, id: if number { Bson::Int64(id) } else { Bson::String(named) } }
        }
    }

    prop_compose! {
        fn request()(
            names in [text(), text(), text()], start: i64, elapsed: u64, ending in 0..4_u8,
            error in option::of("x.{0,50}"), sizes in (0..1_usize << 40, option::of(0..1_usize << 40)), early: bool,
            hops in vec(hop(), 0..5), saved in vec(saved(), 0..3), saves in 0..1000_usize
        ) -> Request<'static> {
            let [id, version, workflow] = names;
            let (request_bytes, answer_bytes) = sizes;
            let ending = Ending::from_number(ending).unwrap();
            let error = error.map(Cow::Owned);
            Request { id, version, workflow, start, elapsed, ending, error, request_bytes, answer_bytes, early,
                hops, saved, saves }
        }
    }

    proptest! {
        #[test]
        fn requests_come_back(requests in vec(request(), 0..4)) {
            let mut bytes = Vec::new();
            requests.iter().for_each(|request| put_request(&mut bytes, request));
            let mut read = super::requests(&bytes);
            let mut size = 0;
            for request in requests {
                let (head, all) = read.next().unwrap();
                size += all.len();
                prop_assert_eq!((head.id, head.elapsed), (&*request.id, request.elapsed));
                prop_assert_eq!(head.whole().unwrap().into_owned(), request);
            }
            prop_assert!(read.next().is_none());
            prop_assert_eq!(size, bytes.len());
        }

        #[test]
        fn damage_is_no_request(request in request(), bytes in vec(any::<u8>(), 0..200), at: prop::sample::Index) {
            let mut whole = Vec::new();
            put_request(&mut whole, &request);
            whole.truncate(at.index(whole.len()));
            prop_assert!(requests(&whole).next().is_none());
            for (head, _) in requests(&bytes) {
                _ = head.whole();
            }
        }
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let mut bytes = Vec::new();
        let error = Some("é".repeat(MAX_ERROR).into());
        put_request(&mut bytes, &Request { error, ..Request::default() });
        let (head, _) = requests(&bytes).next().unwrap();
        assert_eq!(head.whole().unwrap().error.unwrap(), "é".repeat(MAX_ERROR / 2));
    }
}
