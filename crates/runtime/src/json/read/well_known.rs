//! Messages with their own JSON.

use super::{
    super::{
        fault::{Fault, FaultPath, Result, cut},
        mask,
        out::Out,
        scan::Token,
        shape::{Shape, WellKnown},
        structure,
        time::{self, SecondsNanos},
    },
    Reader, TYPE,
};
use prost::encoding::WireType;
use prost_reflect::MessageDescriptor;
use std::borrow::Cow;

impl<'t> Reader<'t> {
    pub(super) fn well_known(
        &mut self,
        known: WellKnown,
        kind: &MessageDescriptor,
        out: &mut Out,
    ) -> Result<()> {
        match known {
            WellKnown::Any => self.any(kind, out),
            WellKnown::Duration => self.timestamp("a duration such as \"1.5s\"", time::parse_duration, out),
            WellKnown::Timestamp => {
                self.timestamp("a time such as \"2024-01-31T12:00:00Z\"", time::parse_timestamp, out)
            }
            WellKnown::FieldMask => self.field_mask(out),
            WellKnown::Struct => structure::read_struct(&mut self.scan, &mut self.left, out),
            WellKnown::List => structure::read_list(&mut self.scan, &mut self.left, out),
            WellKnown::Value => structure::read_value(&mut self.scan, &mut self.left, out),
            WellKnown::Wrapper => match kind.get_field(1) {
                Some(value) => self.one(&Shape::from(&value), false, out),
                None => Err(Fault::Malformed.into()),
            },
        }
    }

    fn timestamp(
        &mut self,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<SecondsNanos>,
        out: &mut Out,
    ) -> Result<()> {
        let before = self.scan;
        let text = self.require_text(expected)?;
        let timestamp = parse(&text).ok_or_else(|| Fault::Expected { expected, found: before.shown() })?;
        for (number, value) in [(1, timestamp.seconds), (2, i64::from(timestamp.nanos))] {
            if value != 0 {
                out.key(number, WireType::Varint)?;
                out.varint(value as u64)?;
            }
        }
        Ok(())
    }

    fn field_mask(&mut self, out: &mut Out) -> Result<()> {
        const EXPECTED: &str = "paths such as \"name,address.zipCode\"";
        let before = self.scan;
        let text = self.require_text(EXPECTED)?;
        if text.is_empty() {
            return Ok(());
        }
        // Each capital of a path gains an underscore.
        let kept = 3 * text.len();
        out.held.take(kept)?;
        for path in text.split(',') {
            let path = mask::to_path(path)
                .ok_or_else(|| Fault::Expected { expected: EXPECTED, found: before.shown() })?;
            out.key(1, WireType::LengthDelimited)?;
            out.put_bytes(path.as_bytes())?;
        }
        out.held.release(kept);
        Ok(())
    }

    /// Reads an `Any`. The type may follow its value, so it is searched first.
    fn any(&mut self, kind: &MessageDescriptor, out: &mut Out) -> Result<()> {
        self.require(Token::Object, "an object")?;
        let start = self.scan;
        let Some(url) = self.any_type()? else { return Ok(()) };
        let name = url.rsplit('/').next().unwrap_or_default();
        let inner = kind.parent_pool().get_message_by_name(name);
        let inner = inner.ok_or_else(|| Fault::UnknownType { url: cut(&url) })?;
        out.key(1, WireType::LengthDelimited)?;
        out.put_bytes(url.as_bytes())?;
        self.scan = start;
        let value = out.len();
        out.key(2, WireType::LengthDelimited)?;
        let content = out.len();
        out.with_length(|out| match WellKnown::of(&inner) {
            Some(_) => self.any_value(&inner, out),
            None => self.fields(&inner, out, true),
        })?;
        if out.len() == content + 1 {
            out.truncate(value);
        }
        Ok(())
    }

    /// Returns the type URL of an `Any`, and moves past its end; `None` if the object is empty.
    fn any_type(&mut self) -> Result<Option<Cow<'t, str>>> {
        let mut members = self.scan.object()?;
        let (mut url, mut empty) = (None, true);
        while let Some(name) = self.scan.key(&mut members)? {
            empty = false;
            if name != TYPE {
                self.scan.skip()?;
            } else if url.is_some() {
                return Err(Fault::Twice { name: cut(&name) }.into());
            } else {
                url = Some(self.require_text("the URL of a type").in_field(TYPE)?);
            }
        }
        if url.is_none() && !empty { Err(Fault::NoType.into()) } else { Ok(url) }
    }

    /// Reads `{"@type": …, "value": …}`, of a message whose JSON is not an object of fields.
    fn any_value(&mut self, inner: &MessageDescriptor, out: &mut Out) -> Result<()> {
        let mut members = self.scan.object()?;
        let mut there = false;
        while let Some(name) = self.scan.key(&mut members)? {
            match &*name {
                TYPE => drop(self.scan.skip()?),
                "value" if there => return Err(Fault::Twice { name: cut(&name) }.into()),
                "value" => {
                    there = true;
                    self.message(inner, out).in_field("value")?;
                }
                _ => {
                    let message = format!("an Any of {}", inner.full_name());
                    return Err(Fault::UnknownField { message, name: cut(&name) }.into());
                }
            }
        }
        if there { Ok(()) } else { Err(Fault::NoValue { name: inner.full_name().to_owned() }.into()) }
    }
}
