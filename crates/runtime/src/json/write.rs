//! Converts the bytes of a message to JSON, without a message object in between.

mod layout;
mod run;
pub(super) mod scalar;
mod well_known;

use super::{
    Format,
    fault::{Fault, FaultPath, Result},
    out::{CountedList, Out},
    shape::{Cardinality, Shape, WellKnown},
    wire::{self, MAX_DEPTH, Wire},
};
use bytes::Bytes;
use layout::Layout;
use prost_reflect::{Kind, MessageDescriptor};
use run::{Record, records};
use scalar::Scalar;
use std::collections::BTreeMap;

/// Writes a text.
#[derive(Debug)]
pub(super) struct Writer<'f> {
    format: &'f Format,
    out: Layout,
    /// Levels of nested messages still allowed.
    left: usize,
}

/// A list that is being written.
#[derive(Debug)]
struct List<'n> {
    name: &'n str,
    items: usize,
}

impl<'f> Writer<'f> {
    pub(super) fn new(format: &'f Format, out: Out) -> Self {
        Self { format, out: Layout::new(format.indent, out), left: MAX_DEPTH }
    }

    /// Writes one message as the whole text.
    pub(super) fn whole(mut self, kind: &MessageDescriptor, bytes: &[u8]) -> Result<Bytes> {
        self.message(kind, bytes)?;
        self.out.finish()
    }

    fn message(&mut self, kind: &MessageDescriptor, bytes: &[u8]) -> Result<()> {
        self.nested(|writer| match WellKnown::of(kind) {
            Some(known) => writer.well_known(known, kind, bytes),
            None => {
                writer.out.open(b'{')?;
                writer.fields(kind, bytes)?;
                writer.out.close(b'}')?;
                Ok(())
            }
        })
    }

    fn nested(&mut self, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.left = self.left.checked_sub(1).ok_or(Fault::Deep { limit: MAX_DEPTH })?;
        write(self)?;
        self.left += 1;
        Ok(())
    }

    /// Writes the fields of a message into an open object, in the order of their numbers.
    fn fields(&mut self, kind: &MessageDescriptor, bytes: &[u8]) -> Result<()> {
        let mut kept = records(kind, bytes, self.out.held())?;
        self.runs(kind, kept.items())?;
        kept.end(self.out.held());
        Ok(())
    }

    fn runs(&mut self, kind: &MessageDescriptor, records: &[Record<'_>]) -> Result<()> {
        let runs = records.chunk_by(|one, other| one.number == other.number);
        if self.format.defaults {
            let runs: BTreeMap<u32, &[Record<'_>]> = runs.map(|run| (run[0].number, run)).collect();
            for field in kind.fields() {
                let run = runs.get(&field.number()).copied().unwrap_or_default();
                let name = if self.format.proto_names { field.name() } else { field.json_name() };
                self.field(name, &Shape::from(&field), run)?;
            }
            for (number, run) in runs {
                self.extension(kind, number, run)?;
            }
            return Ok(());
        }
        for run in runs {
            match kind.get_field(run[0].number) {
                Some(field) => {
                    let name = if self.format.proto_names { field.name() } else { field.json_name() };
                    self.field(name, &Shape::from(&field), run)?;
                }
                None => self.extension(kind, run[0].number, run)?,
            }
        }
        Ok(())
    }

    fn extension(&mut self, kind: &MessageDescriptor, number: u32, run: &[Record<'_>]) -> Result<()> {
        match kind.get_extension(number) {
            Some(extension) => {
                let name = format!("[{}]", extension.full_name());
                self.field(&name, &Shape::from(&extension), run)
            }
            None => Ok(()),
        }
    }

    fn field(&mut self, name: &str, shape: &Shape, run: &[Record<'_>]) -> Result<()> {
        let written = match (shape.cardinality, &shape.kind) {
            (Cardinality::Map, Kind::Message(entry)) => self.map(name, entry, run),
            (Cardinality::List { .. }, kind) => self.list(name, kind, run),
            (Cardinality::One { .. }, Kind::Message(kind)) => match run {
                [] => Ok(()),
                [one] => self.part(name, kind, one.wire),
                // A message sent in parts means their concatenation.
                parts => self.parts(name, kind, parts),
            },
            (Cardinality::One { presence }, kind) => self.one(name, kind, presence, run),
            (Cardinality::Map, _) => Err(Fault::Malformed.into()),
        };
        written.in_field(name)
    }

    fn part(&mut self, name: &str, kind: &MessageDescriptor, wire: Wire<'_>) -> Result<()> {
        self.out.key(name)?;
        self.inner(kind, wire)
    }

    fn parts(&mut self, name: &str, kind: &MessageDescriptor, parts: &[Record<'_>]) -> Result<()> {
        let mut whole = CountedList::new();
        for part in parts {
            whole.extend(self.out.held(), content(part.wire)?)?;
        }
        self.out.key(name)?;
        self.message(kind, whole.items())?;
        whole.end(self.out.held());
        Ok(())
    }

    fn one(&mut self, name: &str, kind: &Kind, presence: bool, run: &[Record<'_>]) -> Result<()> {
        let value = match run.last() {
            Some(last) => Scalar::parse(kind, last.wire)?,
            None => None,
        };
        let value = match value {
            Some(value) if presence || self.format.defaults || !value.is_default() => value,
            None if !presence && self.format.defaults => Scalar::default_of(kind),
            _ => return Ok(()),
        };
        self.out.key(name)?;
        self.scalar(kind, value)
    }

    /// Writes a list, which is there with its first item: packed records may be empty, and values of a closed enum unknown.
    fn list(&mut self, name: &str, kind: &Kind, run: &[Record<'_>]) -> Result<()> {
        let mut list = List { name, items: 0 };
        for record in run {
            self.items(&mut list, kind, record.wire)?;
        }
        if list.items == 0 {
            if !self.format.defaults {
                return Ok(());
            }
            self.out.key(name)?;
            self.out.open(b'[')?;
        }
        self.out.close(b']')?;
        Ok(())
    }

    /// Writes one item, or several packed ones.
    fn items(&mut self, list: &mut List<'_>, kind: &Kind, wire: Wire<'_>) -> Result<()> {
        match (kind, wire) {
            (Kind::Message(message), wire) => {
                self.item(list, |writer| writer.inner(message, wire))?;
            }
            (kind, Wire::Bytes(mut packed)) if !matches!(kind, Kind::String | Kind::Bytes) => {
                while let Some(wire) = scalar::unpack(kind, &mut packed)? {
                    self.scalar_item(list, kind, wire)?;
                }
            }
            (kind, wire) => self.scalar_item(list, kind, wire)?,
        }
        Ok(())
    }

    fn scalar_item(&mut self, list: &mut List<'_>, kind: &Kind, wire: Wire<'_>) -> Result<()> {
        match Scalar::parse(kind, wire).map_err(Box::from).in_item(list.items)? {
            Some(value) => self.item(list, |writer| writer.scalar(kind, value)),
            None => Ok(()),
        }
    }

    fn item(&mut self, list: &mut List<'_>, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if list.items == 0 {
            self.out.key(list.name)?;
            self.out.open(b'[')?;
        }
        self.out.item()?;
        write(self).in_item(list.items)?;
        list.items += 1;
        Ok(())
    }

    /// Writes the entries of a map in the order of their keys; of duplicate keys, the later entry wins.
    fn map(&mut self, name: &str, entry: &MessageDescriptor, run: &[Record<'_>]) -> Result<()> {
        let key_kind = entry.map_entry_key_field().kind();
        let value_kind = entry.map_entry_value_field().kind();
        // A node of the tree is at least five elevenths full.
        let kept = run.len() * (size_of::<(run::Key<'_>, run::Value<'_>)>() * 11 / 5 + 32);
        self.out.held().take(kept)?;
        let mut entries = BTreeMap::new();
        for record in run {
            let (key, value) = run::entry(&key_kind, &value_kind, record.wire, self.out.held())?;
            if let Some(value) = value {
                entries.insert(key, value);
            }
        }
        if entries.is_empty() && !self.format.defaults {
            self.out.held().release(kept);
            return Ok(());
        }
        self.out.key(name)?;
        self.out.open(b'{')?;
        for (key, value) in entries {
            let key = key.text();
            self.out.key(&key)?;
            let written = match (&value_kind, value) {
                (Kind::Message(kind), run::Value::Message(bytes)) => {
                    self.nested(|writer| writer.message(kind, &bytes))
                }
                (kind, run::Value::Scalar(value)) => self.scalar(kind, value),
                _ => Err(Fault::Malformed.into()),
            };
            written.in_field(&key)?;
        }
        self.out.held().release(kept);
        self.out.close(b'}')?;
        Ok(())
    }

    fn inner(&mut self, kind: &MessageDescriptor, wire: Wire<'_>) -> Result<()> {
        self.message(kind, content(wire)?)
    }
}

/// Returns the bytes of a nested message.
fn content(wire: Wire<'_>) -> Result<&[u8]> {
    match wire {
        Wire::Bytes(content) | Wire::Group(content) => Ok(content),
        _ => Err(Fault::WireType.into()),
    }
}

/// Calls `field` for each field of a message with its own JSON, in wire order.
fn each<'m>(mut bytes: &'m [u8], mut field: impl FnMut(u32, Wire<'m>) -> Result<()>) -> Result<()> {
    while let Some((number, wire)) = wire::take(&mut bytes)? {
        field(number, wire)?;
    }
    Ok(())
}
