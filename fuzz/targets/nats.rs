//! Whatever a client of the NATS server sends, it is read the same in pieces of any size, and what was read is read
//! again when it is written. Patterns cover what a plainer comparison says.
//!
//! The first byte says how large the pieces are.

#![no_main]

use krt_loopback::nats::fuzzing::{matches, read};
use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The largest payload, bytes.
const MAX_PAYLOAD: usize = 16 << 10;
const PIECES: [usize; 4] = [16, 50, 1000, 20_000];
/// What a reader takes beside what it reads: a line, and a payload that was announced.
const OVERHEAD: usize = 128 << 10;

fuzz_target!(|bytes: &[u8]| {
    let Some((&options, bytes)) = bytes.split_first() else { return };
    let piece = PIECES[usize::from(options) % PIECES.len()];
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let whole = read(bytes, bytes.len().max(1), MAX_PAYLOAD);
    let taken = ALLOCATOR.peak_usage() - before;
    assert!(taken <= OVERHEAD + 32 * bytes.len(), "{} bytes took {taken}", bytes.len());
    assert_eq!(read(bytes, piece, MAX_PAYLOAD), whole, "in pieces of {piece}");
    let written = whole.operations.concat();
    let again = read(&written, written.len().max(1), MAX_PAYLOAD);
    assert_eq!((again.operations, again.violation), (whole.operations, None));
    if let Some((pattern, subject)) = std::str::from_utf8(bytes).ok().and_then(|text| text.split_once('\n'))
        && let Some(covered) = matches(pattern, subject)
    {
        let (pattern, subject): (Vec<_>, Vec<_>) =
            (pattern.split('.').collect(), subject.split('.').collect());
        assert_eq!(covered, covers(&pattern, &subject), "{pattern:?}, {subject:?}");
    }
});

fn covers(pattern: &[&str], subject: &[&str]) -> bool {
    match (pattern, subject) {
        ([], []) => true,
        ([">"], [_, ..]) => true,
        (["*", pattern @ ..], [_, subject @ ..]) => covers(pattern, subject),
        ([part, pattern @ ..], [word, subject @ ..]) => part == word && covers(pattern, subject),
        _ => false,
    }
}
