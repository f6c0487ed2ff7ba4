//! The effective fields of a message: the last of each `oneof`, and those of one number together.

use super::{
    super::{
        fault::{Fault, Result},
        out::{CountedList, CountedMemory, append},
        wire::{self, Wire},
    },
    content,
    scalar::Scalar,
};
use prost_reflect::{Kind, MessageDescriptor, OneofDescriptor};
use std::borrow::Cow;

/// A field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'m> {
    pub(super) number: u32,
    pub(super) wire: Wire<'m>,
}

/// Returns the fields in a message's bytes, sorted by number; fields of one number keep their order.
pub(super) fn records<'m>(
    kind: &MessageDescriptor,
    mut bytes: &'m [u8],
    held: &mut CountedMemory,
) -> Result<CountedList<Record<'m>>> {
    let mut records = CountedList::new();
    let mut groups = Groups::default();
    let mut sorted = true;
    while let Some((number, wire)) = wire::take(&mut bytes)? {
        match records.items().last().map(|record: &Record<'_>| record.number) {
            Some(last) if last == number => {}
            last => {
                sorted &= last.is_none_or(|last| last < number);
                groups.changed(kind, number, records.items().len());
            }
        }
        records.push(held, Record { number, wire })?;
    }
    groups.settle(records.items());
    if !sorted {
        // A stable sort allocates the same amount again.
        held.take(records.bytes())?;
        records.items().sort_by_key(|record| record.number);
        held.release(records.bytes());
    }
    Ok(records)
}

/// For each `oneof`, its last field, and the index of the record from which it counts.
#[derive(Debug, Default)]
struct Groups(Vec<Group>);

#[derive(Debug)]
struct Group {
    group: OneofDescriptor,
    number: u32,
    since: usize,
    replaced: bool,
}

impl Groups {
    fn changed(&mut self, kind: &MessageDescriptor, number: u32, since: usize) {
        let group = kind.get_field(number).and_then(|field| field.containing_oneof());
        let Some(group) = group.filter(|group| !group.is_synthetic()) else { return };
        match self.0.iter_mut().find(|known| known.group == group) {
            Some(known) if known.number == number => {}
            Some(known) => {
                known.number = number;
                known.since = since;
                known.replaced = true;
            }
            None => self.0.push(Group { group, number, since, replaced: false }),
        }
    }

    /// Drops the replaced fields.
    fn settle(self, records: &mut Vec<Record<'_>>) {
        let replaced: Vec<(Vec<u32>, usize)> = (self.0.into_iter().filter(|group| group.replaced))
            .map(|group| (group.group.fields().map(|field| field.number()).collect(), group.since))
            .collect();
        if replaced.is_empty() {
            return;
        }
        let mut position = 0;
        records.retain(|record| {
            let is_old =
                |(numbers, since): &(Vec<u32>, usize)| position < *since && numbers.contains(&record.number);
            let old = replaced.iter().any(is_old);
            position += 1;
            !old
        });
    }
}

/// The key of a map, ordered as keys are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key<'m> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Text(&'m str),
}

impl<'m> Key<'m> {
    /// Returns its JSON text.
    pub(super) fn text(self) -> Cow<'m, str> {
        match self {
            Self::Bool(key) => key.to_string().into(),
            Self::Signed(key) => key.to_string().into(),
            Self::Unsigned(key) => key.to_string().into(),
            Self::Text(key) => key.into(),
        }
    }
}

/// The value of a map's entry.
#[derive(Debug)]
pub(super) enum Value<'m> {
    Scalar(Scalar<'m>),
    Message(Cow<'m, [u8]>),
}

/// Parses the key and value of a map's entry; the value is `None` if a closed enum does not have it.
pub(super) fn entry<'m>(
    key_kind: &Kind,
    value_kind: &Kind,
    wire: Wire<'m>,
    held: &mut CountedMemory,
) -> Result<(Key<'m>, Option<Value<'m>>)> {
    let mut bytes = content(wire)?;
    let (mut key, mut scalar) = (Some(Scalar::default_of(key_kind)), Some(Scalar::default_of(value_kind)));
    let mut message: Cow<'m, [u8]> = Cow::Borrowed(&[]);
    while let Some((number, wire)) = wire::take(&mut bytes)? {
        match (number, value_kind) {
            (1, _) => key = Scalar::parse(key_kind, wire)?,
            (2, Kind::Message(_)) if message.is_empty() => message = Cow::Borrowed(content(wire)?),
            (2, Kind::Message(_)) => append(&mut message, content(wire)?, held)?,
            (2, kind) => scalar = Scalar::parse(kind, wire)?,
            _ => {}
        }
    }
    let key = match key {
        Some(Scalar::Bool(key)) => Key::Bool(key),
        Some(Scalar::Small(key) | Scalar::Signed(key)) => Key::Signed(key),
        Some(Scalar::Unsigned(key)) => Key::Unsigned(key),
        Some(Scalar::Text(key)) => Key::Text(key),
        _ => return Err(Fault::WireType.into()),
    };
    let value = match value_kind {
        Kind::Message(_) => Some(Value::Message(message)),
        _ => scalar.map(Value::Scalar),
    };
    Ok((key, value))
}
