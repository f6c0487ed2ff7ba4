//! The calls of handlers so far, as a header's value.
//!
//! `NODE:POSITION:ENDING:POSTED:WAITED:TOOK:ENCODE:DECODE`, with commas between calls. Times are in nanoseconds: `POSTED`
//! since the request arrived, `WAITED` from then until the call, `TOOK` until its end. `+COUNT` at the end counts the
//! calls that are left out.

use krt_model::{
    name::Name,
    request::{Hop, HopChain, HopEnding},
};
use std::str::FromStr;

/// Longest value, in bytes: [`HopChain::MAX`] calls of usual length, and little beside the largest message of any
/// server.
const MAX_BYTES: usize = 4 << 10;
/// Longest count, in bytes.
const MAX_COUNT: usize = ",+18446744073709551615".len();

/// Writes the calls; counts those that find no room.
pub(crate) fn write(chain: &HopChain) -> String {
    let mut out = String::new();
    let mut left_out = chain.left_out();
    for (index, hop) in chain.hops().iter().enumerate() {
        let text = text(hop);
        if out.len() + 1 + text.len() + MAX_COUNT > MAX_BYTES {
            left_out = left_out.saturating_add(chain.hops().len() - index);
            break;
        }
        if index > 0 {
            out.push(',');
        }
        out += &text;
    }
    if left_out > 0 {
        let comma = if out.is_empty() { "" } else { "," };
        out += &format!("{comma}+{left_out}");
    }
    out
}

fn text(hop: &Hop) -> String {
    let Hop { node, position, posted, start, end, encode, decode, ending } = hop;
    let (waited, took) = (start.wrapping_sub(*posted), end.wrapping_sub(*start));
    format!("{node}:{position}:{}:{posted}:{waited}:{took}:{encode}:{decode}", ending.as_str())
}

/// Reads the calls; `None` if the value is damaged or longer than any that [`write()`] makes.
pub(crate) fn read(value: &str) -> Option<HopChain> {
    if value.len() > MAX_BYTES {
        return None;
    }
    let mut chain = HopChain::default();
    let mut parts = value.split(',').peekable();
    while let Some(part) = parts.next() {
        match part.strip_prefix('+') {
            Some(count) if parts.peek().is_none() => {
                chain.leave_out(number(count).filter(|&count| count > 0)?);
            }
            Some(_) => return None,
            None => chain.push(hop(part)?),
        }
    }
    Some(chain)
}

fn hop(text: &str) -> Option<Hop> {
    let mut fields = text.split(':');
    let node = Name::parse(fields.next()?).ok()?;
    let position = number(fields.next()?)?;
    let ending = HopEnding::parse(fields.next()?)?;
    let posted: i64 = number(fields.next()?)?;
    let start = posted.wrapping_add(number(fields.next()?)?);
    let end = start.wrapping_add(number(fields.next()?)?);
    let (encode, decode) = (number(fields.next()?)?, number(fields.next()?)?);
    let hop = Hop { node, position, posted, start, end, encode, decode, ending };
    fields.next().is_none().then_some(hop)
}

/// Reads a number as it is written here, without a sign in front of positive ones.
fn number<N: FromStr>(text: &str) -> Option<N> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    prop_compose! {
        fn any_hop()(node in "[a-z0-9]([-a-z0-9]{0,17}[a-z0-9])?", position: usize, posted: i64, start: i64, end: i64,
                     encode: u64, decode: u64, ending in 0..HopEnding::ALL.len()) -> Hop {
            let (node, ending) = (Name::parse(&node).unwrap(), HopEnding::ALL[ending]);
            Hop { node, position, posted, start, end, encode, decode, ending }
        }
    }

    prop_compose! {
        fn usual_hop()(node in "[a-z]{1,19}", position in 0..20_usize, posted in 0..1_i64 << 36, waited in 0..1_i64 << 36,
                       took in 0..1_i64 << 36, encode in 0..1_u64 << 24, decode in 0..1_u64 << 24,
                       ending in 0..HopEnding::ALL.len()) -> Hop {
            let (node, ending) = (Name::parse(&node).unwrap(), HopEnding::ALL[ending]);
            let start = posted + waited;
            Hop { node, position, posted, start, end: start + took, encode, decode, ending }
        }
    }

    fn chain(hops: Vec<Hop>, left_out: usize) -> HopChain {
        let mut chain = HopChain::default();
        hops.into_iter().for_each(|hop| chain.push(hop));
        chain.leave_out(left_out);
        chain
    }

    fn one() -> Hop {
        let node = Name::parse("etl").unwrap();
        let ending = HopEnding::TimedOut;
        Hop { node, position: 1, posted: -5, start: 10, end: 40, encode: 2, decode: 3, ending }
    }

    #[test]
    fn hops_have_one_form() {
        let text = "etl:1:timed_out:-5:15:30:2:3,etl:1:timed_out:-5:15:30:2:3,+7";
        let two = chain(vec![one(), one()], 7);
        assert_eq!(write(&two), text);
        assert_eq!(read(text), Some(two));
        assert_eq!(read("+7"), Some(chain(Vec::new(), 7)));
    }

    #[test]
    fn damaged_hops_are_refused() {
        let long = vec![write(&chain(vec![one()], 0)); 200].join(",");
        for text in [
            "",
            ",",
            "+",
            "+-1",
            "++1",
            "+0",
            "+1,+1",
            "etl:1:ok:0:1:2:3",
            "etl:1:ok:0:1:2:3:4:5",
            "etl:1:ok:0:1:2:3:4,",
            "etl:1:ok:0:1:2:-3:4",
            "etl:-1:ok:0:1:2:3:4",
            "etl:1:ok:+0:1:2:3:4",
            "etl:1:late:0:1:2:3:4",
            "ETL:1:ok:0:1:2:3:4",
            "etl:1:ok:9223372036854775808:1:2:3:4",
            &long,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn values_at_the_limit_are_read() {
        let count = |zeros| read(&format!("+{}1", "0".repeat(zeros)));
        assert_eq!(count(MAX_BYTES - 2), Some(chain(Vec::new(), 1)));
        assert_eq!(count(MAX_BYTES - 1), None);
    }

    #[test]
    fn more_hops_than_the_limit_are_counted() {
        let text = vec![write(&chain(vec![one()], 0)); HopChain::MAX + 3].join(",");
        assert_eq!(read(&text), Some(chain(vec![one(); HopChain::MAX], 3)));
    }

    proptest! {
        #[test]
        fn any_hops_round_trip_as_far_as_there_is_room(hops in vec(any_hop(), 0..40), left_out in 0..1000_usize) {
            let whole = chain(hops, left_out);
            let value = write(&whole);
            prop_assert!(value.len() <= MAX_BYTES);
            if whole.is_empty() {
                return Ok(());
            }
            let again = read(&value).unwrap();
            let kept = again.hops().len();
            prop_assert_eq!(again.hops(), &whole.hops()[..kept]);
            prop_assert_eq!(kept + again.left_out(), whole.hops().len() + whole.left_out());
        }

        #[test]
        fn usual_hops_have_room(hops in vec(usual_hop(), 1..=HopChain::MAX), left_out: usize) {
            let whole = chain(hops, left_out);
            prop_assert_eq!(read(&write(&whole)), Some(whole));
        }

        #[test]
        fn cut_hops_are_shorter_or_refused(hops in vec(any_hop(), 1..5), at: prop::sample::Index) {
            let value = write(&chain(hops.clone(), 0));
            if let Some(cut) = read(&value[..at.index(value.len())]) {
                prop_assert!(cut.hops().len() <= hops.len());
            }
        }

        #[test]
        fn whatever_is_read_is_written_and_read_again(value in "([a-z]{1,3}:[0-9]{1,2}:(ok|died):-?[0-9]{1,3}(:[0-9]{1,3}){4},?|[+:,0-9a-z]{0,9}){0,6}") {
            if let Some(chain) = read(&value) {
                prop_assert_eq!(read(&write(&chain)), Some(chain));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(value in ".{0,100}") {
            _ = read(&value);
        }
    }
}
