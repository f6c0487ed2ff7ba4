//! Messages with their own JSON.

use super::{
    super::{
        fault::{Fault, FaultPath, Result, cut},
        mask,
        out::{CountedList, CountedMemory, Table, append, elsewhere},
        shape::{Shape, WellKnown},
        structure::{DynamicValue, is_whole, utf8},
        time::SecondsNanos,
        wire::Wire,
    },
    Writer, content, each,
    run::records,
    scalar::Scalar,
};
use bytes::Bytes;
use prost_reflect::MessageDescriptor;
use std::borrow::Cow;

impl Writer<'_> {
    /// Writes the bytes of a `Struct`, which needs no descriptor.
    pub(in super::super) fn whole_struct(mut self, bytes: &[u8]) -> Result<Bytes> {
        self.structure(bytes)?;
        self.out.finish()
    }

    pub(super) fn well_known(
        &mut self,
        known: WellKnown,
        kind: &MessageDescriptor,
        bytes: &[u8],
    ) -> Result<()> {
        match known {
            WellKnown::Any => self.any(kind, bytes),
            WellKnown::Duration => self.timestamp("Duration", bytes, SecondsNanos::to_duration),
            WellKnown::Timestamp => self.timestamp("Timestamp", bytes, SecondsNanos::to_timestamp),
            WellKnown::FieldMask => self.field_mask(bytes),
            WellKnown::Struct => self.structure(bytes),
            WellKnown::List => self.free_list(bytes),
            WellKnown::Value => self.free(bytes),
            WellKnown::Wrapper => {
                let field = kind.get_field(1).ok_or(Fault::Malformed)?;
                let kind = Shape::from(&field).kind;
                let mut value = Scalar::default_of(&kind);
                each(bytes, |number, wire| {
                    if number == 1
                        && let Some(found) = Scalar::parse(&kind, wire)?
                    {
                        value = found;
                    }
                    Ok(())
                })?;
                self.scalar(&kind, value)
            }
        }
    }

    fn timestamp(
        &mut self,
        kind: &'static str,
        bytes: &[u8],
        text: impl FnOnce(SecondsNanos) -> Option<String>,
    ) -> Result<()> {
        let (mut seconds, mut nanos) = (0, 0);
        each(bytes, |number, wire| {
            match (number, wire) {
                (1, Wire::Varint(value)) => seconds = value as i64,
                (2, Wire::Varint(value)) => nanos = value as i32,
                (1 | 2, _) => return Err(Fault::WireType.into()),
                _ => {}
            }
            Ok(())
        })?;
        let text = text(SecondsNanos { seconds, nanos });
        self.out.text(&text.ok_or(Fault::Time { kind, seconds, nanos: nanos.into() })?)?;
        Ok(())
    }

    fn field_mask(&mut self, bytes: &[u8]) -> Result<()> {
        // For all paths in one text, and for each path's entry.
        let mut kept = bytes.len();
        self.out.held().take(kept)?;
        let mut paths = CountedList::new();
        each(bytes, |number, wire| {
            if number == 1 {
                let path = utf8(content(wire)?)?;
                let path = mask::to_camel(path).ok_or_else(|| Fault::Mask { path: cut(path) })?;
                let elsewhere = elsewhere(path.len());
                self.out.held().take(elsewhere)?;
                kept += elsewhere;
                paths.push(self.out.held(), path)?;
            }
            Ok(())
        })?;
        let text = paths.items().join(",");
        self.out.text(&text)?;
        paths.end(self.out.held());
        self.out.held().release(kept);
        Ok(())
    }

    fn any(&mut self, kind: &MessageDescriptor, bytes: &[u8]) -> Result<()> {
        let (mut url, mut value): (&str, &[u8]) = ("", &[]);
        let mut kept = records(kind, bytes, self.out.held())?;
        for record in kept.items() {
            match record.number {
                1 => url = utf8(content(record.wire)?)?,
                2 => value = content(record.wire)?,
                _ => {}
            }
        }
        kept.end(self.out.held());
        self.out.open(b'{')?;
        if !(url.is_empty() && value.is_empty()) {
            let name = url.rsplit('/').next().unwrap_or_default();
            let inner = kind.parent_pool().get_message_by_name(name);
            let inner = inner.ok_or_else(|| Fault::UnknownType { url: cut(url) })?;
            self.out.key("@type")?;
            self.out.text(url)?;
            if WellKnown::of(&inner).is_some() {
                self.out.key("value")?;
                self.message(&inner, value).in_field("value")?;
            } else {
                self.fields(&inner, value)?;
            }
        }
        self.out.close(b'}')?;
        Ok(())
    }

    /// Writes an object with its members in wire order: a dict keeps its author's order.
    fn structure(&mut self, bytes: &[u8]) -> Result<()> {
        let mut members: CountedList<(&str, Cow<'_, [u8]>)> = CountedList::new();
        let mut places = Table::new();
        let held = self.out.held();
        each(bytes, |number, wire| {
            if number == 1 {
                let (name, value) = member(content(wire)?, held)?;
                match places.get(&name) {
                    Some(&place) => members.items()[place] = (name, value),
                    None => {
                        places.insert(held, name, members.items().len(), 0)?;
                        members.push(held, (name, value))?;
                    }
                }
            }
            Ok(())
        })?;
        self.out.open(b'{')?;
        places.end(self.out.held());
        for (name, value) in members.items() {
            self.out.key(name)?;
            self.free(value).in_field(name)?;
        }
        members.end(self.out.held());
        self.out.close(b'}')?;
        Ok(())
    }

    fn free_list(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.open(b'[')?;
        let mut index = 0;
        each(bytes, |number, wire| {
            if number == 1 {
                self.out.item()?;
                self.free(content(wire)?).in_item(index)?;
                index += 1;
            }
            Ok(())
        })?;
        self.out.close(b']')?;
        Ok(())
    }

    fn free(&mut self, bytes: &[u8]) -> Result<()> {
        match DynamicValue::parse(bytes, self.out.held())? {
            DynamicValue::Null => self.out.raw("null")?,
            DynamicValue::Bool(value) => self.out.raw(value)?,
            DynamicValue::Text(value) => self.out.text(value)?,
            DynamicValue::Number(_, Some(text)) if self.format.exact => self.out.raw(text)?,
            DynamicValue::Number(value, _) if is_whole(value) => self.out.raw(value as i64)?,
            DynamicValue::Number(value, _) if value.is_finite() => self.out.float(value)?,
            DynamicValue::Number(value, _) => {
                return Err(Fault::NotFinite { number: value.to_string() }.into());
            }
            DynamicValue::Struct(content) => self.nested(|writer| writer.structure(&content))?,
            DynamicValue::List(content) => self.nested(|writer| writer.free_list(&content))?,
        }
        Ok(())
    }
}

/// Returns the name and value of a `Struct`'s entry.
fn member<'m>(entry: &'m [u8], held: &mut CountedMemory) -> Result<(&'m str, Cow<'m, [u8]>)> {
    let (mut name, mut value) = ("", Cow::Borrowed(&[][..]));
    each(entry, |number, wire| {
        match number {
            1 => name = utf8(content(wire)?)?,
            2 if value.is_empty() => value = Cow::Borrowed(content(wire)?),
            2 => append(&mut value, content(wire)?, held)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, value))
}
