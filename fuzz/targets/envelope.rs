//! Whatever comes over NATS, it is an envelope or refused, as protobuf's own decoder says, and an envelope that is
//! written is read again, however it is compressed. Compressed bytes are read whole or refused.

#![no_main]

use bytes::Bytes;
use krt_broker::{
    Compression, Envelope, Headers,
    envelope::{Error, Stage},
    fuzzing::{header_map, read_hops, write_hops},
    subject::is_inbox,
};
use krt_compression::Codec;
use krt_model::{message::Timestamp, priority::Priority, request::HopChain};
use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use prost::Message as _;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// How many bytes an envelope may have when it is not compressed.
const LIMIT: usize = 256 << 10;
/// What an envelope takes at most beside its bytes: its stages.
const OVERHEAD: usize = 512 << 10;

/// What protobuf's decoder makes of an envelope.
#[derive(Clone, PartialEq, prost::Message)]
struct KreNatsMessage {
    #[prost(string, tag = "1")]
    tracking_id: String,
    #[prost(message, repeated, tag = "2")]
    tracking: Vec<Tracking>,
    #[prost(string, tag = "3")]
    reply: String,
    #[prost(bytes = "vec", optional, tag = "4")]
    payload: Option<Vec<u8>>,
    /// A text; ours also reads one that is not UTF-8.
    #[prost(bytes = "vec", tag = "5")]
    error: Vec<u8>,
    #[prost(bool, tag = "6")]
    replied: bool,
    #[prost(bool, tag = "7")]
    early_exit: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Tracking {
    #[prost(string, tag = "1")]
    node_name: String,
    #[prost(string, tag = "2")]
    start: String,
    #[prost(string, tag = "3")]
    end: String,
}

fuzz_target!(|bytes: &[u8]| {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let decoded = Envelope::decode(Bytes::copy_from_slice(bytes), LIMIT);
    let taken = ALLOCATOR.peak_usage() - before;
    let packed = Codec::of(bytes).map_or(0, |codec| 2 * LIMIT + codec.decoder_size());
    assert!(taken <= OVERHEAD + 6 * bytes.len() + packed, "{} bytes took {taken}", bytes.len());
    if Codec::of(bytes).is_none() {
        agrees(&decoded, KreNatsMessage::decode(bytes));
    }
    if let Ok(envelope) = decoded {
        is_read_again(&envelope);
    }
    is_whole_or_refused(bytes);
    headers(&String::from_utf8_lossy(bytes));
});

fn agrees(ours: &Result<Envelope, Error>, theirs: Result<KreNatsMessage, prost::DecodeError>) {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!((&ours.tracking_id, &ours.reply), (&theirs.tracking_id, &theirs.reply));
            let names = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>();
            let our_names = names(&mut ours.tracking.iter().map(|stage| stage.node_name.clone()));
            assert_eq!(our_names, names(&mut theirs.tracking.into_iter().map(|of| of.node_name)));
            let payload = ours.payload.as_ref().map(|payload| payload.encoded().to_vec());
            assert_eq!(payload, theirs.payload);
            assert_eq!(ours.error, String::from_utf8_lossy(&theirs.error));
            assert_eq!((ours.replied, ours.early_exit), (theirs.replied, theirs.early_exit));
        }
        (Ok(ours), Err(error)) => panic!("{ours:?} is refused: {error}"),
        (Err(Error::Message(error)), Ok(theirs)) => panic!("{theirs:?} is not: {error}"),
        (Err(_), _) => {}
    }
}

fn is_read_again(envelope: &Envelope) {
    // Times are written to the microsecond.
    let time = |time: Option<Timestamp>| time.map(|time| Timestamp(time.0 / 1000 * 1000));
    let stage = |of: &Stage| Stage { start: time(of.start), end: time(of.end), ..of.clone() };
    let expected = Envelope { tracking: envelope.tracking.iter().map(stage).collect(), ..envelope.clone() };
    // One of them for each input: they take more time than all else.
    let size = envelope.error.len() + envelope.tracking_id.len();
    let compression = Compression::ALL[size % Compression::ALL.len()];
    for limit in [0, usize::MAX] {
        let again = Envelope::decode(envelope.encode(compression, limit), 8 * LIMIT);
        assert_eq!(again.expect("it was written here"), expected, "{compression}, {limit}");
    }
}

fn is_whole_or_refused(plain: &[u8]) {
    let codec = Codec::ALL[plain.len() % Codec::ALL.len()];
    let packed = codec.compress(plain).expect("memory takes everything");
    assert_eq!(codec.decompress(&packed, plain.len()).expect("it is whole"), plain);
    if let Some(less) = plain.len().checked_sub(1) {
        assert!(codec.decompress(&packed, less).is_err(), "{codec:?}");
    }
    // Where it is cut, and what follows it.
    let at = plain.first().map_or(0, |&byte| usize::from(byte)) % packed.len();
    for damaged in [&packed[..at], &packed[..packed.len() - 1], &[&packed[..], b"."].concat()] {
        let read = codec.decompress(damaged, LIMIT);
        assert!(read.is_err(), "{codec:?}: {} of {} bytes are read", damaged.len(), packed.len());
    }
}

fn hops(text: &str) {
    if let Some(chain) = read_hops(text) {
        assert_eq!(read_hops(&write_hops(&chain)), Some(chain).filter(|chain| !chain.is_empty()));
    }
}

fn headers(text: &str) {
    let mut parts = text.split('\0').map(str::to_owned);
    let headers = Headers {
        reply: parts.next(),
        message_id: parts.next(),
        deadline: parts.next().map(|text| Timestamp(text.len() as u64 * 1_000_000)),
        no_client: text.len() % 2 == 1,
        failure: None,
        hops: parts.next().and_then(|text| read_hops(&text)).unwrap_or_default(),
        metadata: parts.next().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default(),
        trace: ["traceparent", "tracestate"].into_iter().zip(parts.by_ref()).collect(),
        priority: parts.next().and_then(|text| Priority::parse(text.as_bytes()).ok()).unwrap_or_default(),
        sequence: parts.next().map(|text| text.len() as u64),
    };
    let read = Headers::read(header_map(&headers).as_ref());
    assert_eq!((read.deadline, read.no_client), (headers.deadline, headers.no_client));
    assert_eq!((read.priority, read.sequence), (headers.priority, headers.sequence));
    assert_eq!(read.metadata, headers.metadata);
    hops(text);
    let kept = read.hops.hops();
    assert_eq!(kept, &headers.hops.hops()[..kept.len()]);
    let all = |chain: &HopChain| chain.hops().len().saturating_add(chain.left_out());
    assert_eq!(all(&read.hops), all(&headers.hops));
    // What no header can hold is left out.
    let same = |read: &Option<String>, sent: &Option<String>| match read {
        Some(read) => assert_eq!(Some(read), sent.as_ref()),
        None => assert!(sent.as_ref().is_none_or(|sent| sent.contains(['\r', '\n']))),
    };
    same(&read.reply, &headers.reply);
    same(&read.message_id, &headers.message_id);
    for (name, value) in &read.trace {
        assert!(headers.trace.contains(&(name, value.clone())));
    }
    if let Some(reply) = headers.reply.filter(|reply| is_inbox(reply)) {
        let word = |word: &str| {
            !word.is_empty() && !word.contains(|of: char| of <= ' ' || of > '~' || of == '*' || of == '>')
        };
        assert!(reply.starts_with("_INBOX.") && reply.split('.').all(word), "{reply:?}");
    }
}
