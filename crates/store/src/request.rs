//! The encoding of request records, while they wait for the writer and in the database.

use crate::bytes::{Cursor, put_long, put_short, put_signed, put_varint};
use bson::{Document, RawDocument, rawdoc};
use krt_model::{
    name::Name,
    request::{Cached, Ending, Hop, HopEnding, RequestRecord, Saved, StreamedAnswer},
};
use std::iter;

/// The longest error, in bytes; a longer one is cut.
const MAX_ERROR: usize = 64 << 10;
/// The bit of an early reply, in a byte whose next bits say how a cache answered.
const EARLY: u8 = 1;
/// The most hops and documents of a request that are read.
const MAX_PARTS: usize = 1 << 16;

/// The ending as a bit of a set.
pub(crate) fn bit(ending: Ending) -> i64 {
    1 << ending as u8
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

fn ending(number: u8) -> Option<Ending> {
    Ending::ALL.into_iter().find(|ending| *ending as u8 == number)
}

/// The byte of an early reply and of a cache's answer.
fn put_flags(out: &mut Vec<u8>, request: &RequestRecord) {
    let early = if request.early { EARLY } else { 0 };
    out.push(early | request.cached.map_or(0, |cached| (cached as u8) << 1));
}

fn read_flags(flags: u8) -> (bool, Option<Cached>) {
    let cached = Cached::ALL.into_iter().find(|cached| *cached as u8 == flags >> 1);
    (flags & EARLY != 0, cached)
}

fn hop_ending(number: u8) -> Option<HopEnding> {
    HopEnding::ALL.into_iter().find(|ending| *ending as u8 == number)
}

/// Appends a request: its length in 32 bits, its head, its record.
pub(crate) fn put_request(out: &mut Vec<u8>, request: &RequestRecord) {
    let place = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&request.start.to_le_bytes());
    put_varint(out, request.elapsed);
    out.push(request.ending as u8);
    for text in [&request.id, request.version.as_str(), request.workflow.as_str()] {
        put_short(out, text.as_bytes());
    }
    put_course(out, request);
    let size = u32::try_from(out.len() - place - 4).expect("texts and lists of a request are bounded");
    out[place..place + 4].copy_from_slice(&size.to_le_bytes());
}

fn put_course(out: &mut Vec<u8>, request: &RequestRecord) {
    let error = request.error.as_deref().unwrap_or_default();
    put_long(out, &error.as_bytes()[..error.floor_char_boundary(MAX_ERROR)]);
    put_flags(out, request);
    put_varint(out, request.request_bytes as u64);
    // 0 stands for `None`.
    put_varint(out, request.answer_bytes.map_or(0, |bytes| bytes as u64 + 1));
    put_varint(out, request.hops.len().min(MAX_PARTS) as u64);
    for hop in request.hops.iter().take(MAX_PARTS) {
        put_short(out, hop.node.as_str().as_bytes());
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
        put_short(out, saved.node.as_str().as_bytes());
        put_short(out, saved.collection.as_bytes());
        let id = rawdoc! { "": bson::RawBson::try_from(saved.id.clone()).unwrap_or(bson::RawBson::Null) };
        put_long(out, id.as_bytes());
    }
    // Only requests over NATS have the first, and only streams the rest.
    if request.hops_left_out > 0 || request.stream.is_some() {
        put_varint(out, request.hops_left_out as u64);
    }
    if let Some(StreamedAnswer { messages, first }) = request.stream {
        put_varint(out, messages);
        // 0 stands for `None`.
        put_varint(out, first.map_or(0, |first| first.saturating_add(1)));
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
        ending: ending(cursor.u8()?)?,
        id: cursor.short_text()?,
        version: cursor.short_text()?,
        workflow: cursor.short_text()?,
        record: cursor,
    })
}

impl Head<'_> {
    /// Decodes the whole request.
    pub(crate) fn decode(self) -> Option<RequestRecord> {
        let mut cursor = self.record;
        let size = |cursor: &mut Cursor<'_>| usize::try_from(cursor.varint()?).ok();
        let error = Some(cursor.long_text()?).filter(|error| !error.is_empty());
        let (early, cached) = read_flags(cursor.u8()?);
        let request_bytes = size(&mut cursor)?;
        let answer_bytes = size(&mut cursor)?.checked_sub(1);
        let hops = (0..cursor.count(MAX_PARTS)?).map(|_| read_hop(&mut cursor)).collect::<Option<_>>()?;
        let saves = size(&mut cursor)?;
        let saved = (0..cursor.count(MAX_PARTS)?).map(|_| read_saved(&mut cursor)).collect::<Option<_>>()?;
        let hops_left_out = if cursor.is_empty() { 0 } else { size(&mut cursor)? };
        let stream = if cursor.is_empty() { None } else { Some(read_stream(&mut cursor)?) };
        Some(RequestRecord {
            id: self.id.into(),
            version: Name::parse(self.version).ok()?,
            workflow: Name::parse(self.workflow).ok()?,
            start: self.start,
            elapsed: self.elapsed,
            ending: self.ending,
            error: error.map(str::to_owned),
            request_bytes,
            answer_bytes,
            stream,
            early,
            cached,
            hops,
            hops_left_out,
            saved,
            saves,
        })
    }
}

fn read_stream(cursor: &mut Cursor<'_>) -> Option<StreamedAnswer> {
    Some(StreamedAnswer { messages: cursor.varint()?, first: cursor.varint()?.checked_sub(1) })
}

fn read_hop(cursor: &mut Cursor<'_>) -> Option<Hop> {
    let node = Name::parse(cursor.short_text()?).ok()?;
    let position = usize::try_from(cursor.varint()?).ok()?;
    let posted = cursor.signed()?;
    let start = posted.wrapping_add(cursor.signed()?);
    let end = start.wrapping_add(cursor.signed()?);
    let (encode, decode) = (cursor.varint()?, cursor.varint()?);
    Some(Hop { node, position, posted, start, end, encode, decode, ending: hop_ending(cursor.u8()?)? })
}

fn read_saved(cursor: &mut Cursor<'_>) -> Option<Saved> {
    let node = Name::parse(cursor.short_text()?).ok()?;
    let collection = cursor.short_text()?.to_owned();
    let id = Document::try_from(RawDocument::from_bytes(cursor.long()?).ok()?).ok()?.remove("")?;
    Some(Saved { node, collection, id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::Bson;
    use proptest::{collection::vec, option, prelude::*, sample::select};

    fn name() -> impl Strategy<Value = Name> {
        "[a-z0-9]([-a-z0-9]{0,17}[a-z0-9])?".prop_map(|text| Name::parse(&text).unwrap())
    }

    fn one() -> RequestRecord {
        let name = || Name::parse("v1").unwrap();
        RequestRecord::new("1".into(), name(), name(), 0)
    }

    prop_compose! {
        fn hop()(node in name(), position in 0..100_usize, posted: i64, start: i64, end: i64, encode: u64,
                 decode: u64, ending in 0..HopEnding::ALL.len()) -> Hop {
            let ending = HopEnding::ALL[ending];
            Hop { node, position, posted, start, end, encode, decode, ending }
        }
    }

    prop_compose! {
        fn saved()(node in name(), collection in ".{0,20}", id: i64, named in ".{0,5}", number: bool) -> Saved {
            Saved { node, collection, id: if number { Bson::Int64(id) } else { Bson::String(named) } }
        }
    }

    prop_compose! {
        fn request()(
            id in ".{0,20}", names in [name(), name()], start: i64, elapsed: u64, ending in 0..Ending::ALL.len(),
            error in option::of("x.{0,50}"), sizes in (0..1_usize << 40, option::of(0..1_usize << 40)), early: bool,
            hops in vec(hop(), 0..5), hops_left_out in 0..1000_usize, saved in vec(saved(), 0..3), saves in 0..1000_usize,
            stream in option::of((any::<u64>(), option::of(0..u64::MAX))), cached in option::of(select(&Cached::ALL))
        ) -> RequestRecord {
            let [version, workflow] = names;
            let (request_bytes, answer_bytes) = sizes;
            let (id, ending) = (id.into(), Ending::ALL[ending]);
            let stream = stream.map(|(messages, first)| StreamedAnswer { messages, first });
            RequestRecord { id, version, workflow, start, elapsed, ending, error, request_bytes, answer_bytes, stream,
                early, cached, hops, hops_left_out, saved, saves }
        }
    }

    proptest! {
        #[test]
        fn requests_round_trip(requests in vec(request(), 0..4)) {
            let mut bytes = Vec::new();
            requests.iter().for_each(|request| put_request(&mut bytes, request));
            let mut read = super::requests(&bytes);
            let mut size = 0;
            for request in requests {
                let (head, all) = read.next().unwrap();
                size += all.len();
                prop_assert_eq!((head.id, head.elapsed), (&*request.id, request.elapsed));
                prop_assert_eq!(head.decode().unwrap(), request);
            }
            prop_assert!(read.next().is_none());
            prop_assert_eq!(size, bytes.len());
        }

        #[test]
        fn damaged_requests_are_ignored(request in request(), bytes in vec(any::<u8>(), 0..200), at: prop::sample::Index) {
            let mut whole = Vec::new();
            put_request(&mut whole, &request);
            whole.truncate(at.index(whole.len()));
            prop_assert!(requests(&whole).next().is_none());
            for (head, _) in requests(&bytes) {
                _ = head.decode();
            }
        }
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let mut bytes = Vec::new();
        let error = Some("é".repeat(MAX_ERROR));
        put_request(&mut bytes, &RequestRecord { error, ..one() });
        let (head, _) = requests(&bytes).next().unwrap();
        assert_eq!(head.decode().unwrap().error.unwrap(), "é".repeat(MAX_ERROR / 2));
    }
}
