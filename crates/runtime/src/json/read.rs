//! Converts JSON to the bytes of a message, without a message object in between.

pub(super) mod scalar;
mod well_known;

use super::{
    fault::{Fault, FaultPath, Result, cut},
    out::{Out, Table, unescaped},
    scan::{Scanner, Token},
    shape::{Cardinality, Shape, WellKnown, takes_null},
    structure,
    wire::MAX_DEPTH,
};
use prost::encoding::WireType;
use prost_reflect::{Kind, MessageDescriptor, OneofDescriptor};
use std::borrow::Cow;

/// Reads a text.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    scan: Scanner<'t>,
    /// Levels of nested messages still allowed.
    left: usize,
}

/// The parts of a message seen so far.
#[derive(Debug, Default)]
struct Seen {
    fields: Vec<u32>,
    groups: Vec<(OneofDescriptor, String)>,
}

/// The key of a map's entry; numbers have several spellings.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key<'t> {
    Whole(u64),
    Text(Cow<'t, str>),
}

impl<'t> Key<'t> {
    fn of(whole: Option<u64>, name: Cow<'t, str>) -> Self {
        whole.map_or(Self::Text(name), Self::Whole)
    }
}

/// The key of an `Any` that is not a field.
const TYPE: &str = "@type";
/// Some writers give it an empty `value` in an `Any`, like a type whose JSON is not an object of fields.
const EMPTY: &str = "google.protobuf.Empty";

impl<'t> Reader<'t> {
    pub(super) fn new(scan: Scanner<'t>) -> Self {
        Self { scan, left: MAX_DEPTH }
    }

    /// Returns the current line and byte.
    pub(super) fn place(&self) -> (usize, usize) {
        self.scan.place()
    }

    /// Reads the whole text as one message.
    pub(super) fn whole(&mut self, kind: &MessageDescriptor, out: &mut Out) -> Result<()> {
        self.message(kind, out)?;
        self.scan.end()
    }

    /// Reads the whole text as a `Struct` whose numbers keep their digits.
    pub(super) fn whole_struct(&mut self, out: &mut Out) -> Result<()> {
        structure::read_exactly(&mut self.scan, out)?;
        self.scan.end()
    }

    /// Returns the memory that strings with escapes need besides the output.
    pub(super) fn escapes(&self) -> usize {
        self.scan.escapes()
    }

    fn message(&mut self, kind: &MessageDescriptor, out: &mut Out) -> Result<()> {
        self.nested(|reader| match WellKnown::of(kind) {
            Some(known) => reader.well_known(known, kind, out),
            None => reader.fields(kind, out, false),
        })
    }

    /// Reads one level deeper.
    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.left = self.left.checked_sub(1).ok_or(Fault::Deep { limit: MAX_DEPTH })?;
        read(self)?;
        self.left += 1;
        Ok(())
    }

    /// Reads an object of a message's fields; in an `Any`, it also contains the type.
    fn fields(&mut self, kind: &MessageDescriptor, out: &mut Out, any: bool) -> Result<()> {
        self.require(Token::Object, "an object")?;
        let mut members = self.scan.object()?;
        let mut seen = Seen::default();
        while let Some(name) = self.scan.key(&mut members)? {
            if any && name == TYPE {
                self.scan.skip()?;
                continue;
            }
            if any && name == "value" && kind.full_name() == EMPTY {
                self.fields(kind, out, false).in_field(&name)?;
                continue;
            }
            self.named(kind, &name, &mut seen, out)?;
        }
        Ok(())
    }

    fn named(&mut self, kind: &MessageDescriptor, name: &str, seen: &mut Seen, out: &mut Out) -> Result<()> {
        let field = kind.get_field_by_json_name(name).or_else(|| kind.get_field_by_name(name));
        let Some(field) = field else {
            let extension = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
            let extension = extension.and_then(|name| kind.get_extension_by_full_name(name));
            let Some(extension) = extension else {
                let message = kind.full_name().to_owned();
                return Err(Fault::UnknownField { message, name: cut(name) }.into());
            };
            let shape = Shape::from(&extension);
            seen.once(shape.number, name)?;
            return self.field(&shape, out).in_field(name);
        };
        let shape = Shape::from(&field);
        seen.once(shape.number, name)?;
        let sent = self.scan.peek()? != Token::Null || takes_null(&shape.kind);
        if let Some(group) = field.containing_oneof().filter(|group| sent && !group.is_synthetic()) {
            seen.one_of(group, name)?;
        }
        self.field(&shape, out).in_field(name)
    }

    fn field(&mut self, shape: &Shape, out: &mut Out) -> Result<()> {
        let null = self.scan.peek()? == Token::Null;
        match shape.cardinality {
            Cardinality::One { presence } if !null || takes_null(&shape.kind) => {
                self.one(shape, presence, out)
            }
            Cardinality::List { packed } if !null => self.items(shape, packed, out),
            Cardinality::Map if !null => self.entries(shape, out),
            _ => self.scan.null(),
        }
    }

    fn one(&mut self, shape: &Shape, presence: bool, out: &mut Out) -> Result<()> {
        let start = out.len();
        let default = self.value(shape, out)?;
        if default && !presence {
            out.truncate(start);
        }
        Ok(())
    }

    /// Writes a value with its key. Returns whether it is the type's default.
    fn value(&mut self, shape: &Shape, out: &mut Out) -> Result<bool> {
        match &shape.kind {
            Kind::Message(kind) if shape.group => {
                out.key(shape.number, WireType::StartGroup)?;
                self.message(kind, out)?;
                out.key(shape.number, WireType::EndGroup)?;
                Ok(false)
            }
            Kind::Message(kind) => {
                out.key(shape.number, WireType::LengthDelimited)?;
                out.with_length(|out| self.message(kind, out)).map(|()| false)
            }
            kind => {
                out.key(shape.number, kind.wire_type())?;
                self.scalar(kind, out)
            }
        }
    }

    fn items(&mut self, shape: &Shape, packed: bool, out: &mut Out) -> Result<()> {
        self.require(Token::List, "a list")?;
        if !packed {
            return self.each(shape, |reader| reader.value(shape, out).map(drop));
        }
        let start = out.len();
        out.key(shape.number, WireType::LengthDelimited)?;
        let content = out.len();
        out.with_length(|out| self.each(shape, |reader| reader.scalar(&shape.kind, out).map(drop)))?;
        if out.len() == content + 1 {
            out.truncate(start);
        }
        Ok(())
    }

    fn each(&mut self, shape: &Shape, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let mut members = self.scan.list()?;
        let mut index = 0;
        while self.scan.item(&mut members)? {
            self.refuse_null(&shape.kind).and_then(|()| item(self)).in_item(index)?;
            index += 1;
        }
        Ok(())
    }

    fn entries(&mut self, shape: &Shape, out: &mut Out) -> Result<()> {
        let Kind::Message(entry) = &shape.kind else { return Err(Fault::Malformed.into()) };
        let key_kind = entry.map_entry_key_field().kind();
        let value = Shape::from(&entry.map_entry_value_field());
        self.require(Token::Object, "an object")?;
        let mut members = self.scan.object()?;
        let mut seen = Table::new();
        while let Some(name) = self.scan.key(&mut members)? {
            let mut whole = None;
            out.key(shape.number, WireType::LengthDelimited)?;
            let written = out.with_length(|out| {
                out.key(1, key_kind.wire_type())?;
                whole = scalar::map_key(&key_kind, &name, out)?;
                self.refuse_null(&value.kind)?;
                self.nested(|reader| reader.value(&value, out).map(drop))
            });
            written.in_field(&name)?;
            if seen.get(&Key::of(whole, Cow::Borrowed(&*name))).is_some() {
                return Err(Fault::Twice { name: cut(&name) }.into());
            }
            let elsewhere = unescaped(&name);
            seen.insert(&mut out.held, Key::of(whole, name), (), elsewhere)?;
        }
        seen.end(&mut out.held);
        Ok(())
    }

    fn refuse_null(&mut self, kind: &Kind) -> Result<()> {
        match self.scan.peek()? {
            Token::Null if !takes_null(kind) => Err(Fault::Null.into()),
            _ => Ok(()),
        }
    }

    /// Fails if the next value is not of a kind.
    fn require(&mut self, token: Token, expected: &'static str) -> Result<()> {
        if self.scan.peek()? == token { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn require_text(&mut self, expected: &'static str) -> Result<Cow<'t, str>> {
        self.require(Token::Text, expected)?;
        self.scan.text()
    }

    fn unexpected(&self, expected: &'static str) -> Box<super::fault::PathFault> {
        Fault::Expected { expected, found: self.scan.shown() }.into()
    }
}

impl Seen {
    fn once(&mut self, field: u32, name: &str) -> Result<()> {
        if self.fields.contains(&field) {
            return Err(Fault::Twice { name: cut(name) }.into());
        }
        self.fields.push(field);
        Ok(())
    }

    fn one_of(&mut self, group: OneofDescriptor, name: &str) -> Result<()> {
        if let Some((_, first)) = self.groups.iter().find(|(known, _)| *known == group) {
            return Err(Fault::OneOf { first: first.clone(), second: name.to_owned() }.into());
        }
        self.groups.push((group, name.to_owned()));
        Ok(())
    }
}
