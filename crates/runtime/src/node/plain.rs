//! `payload: json`: a node whose handler gets and returns plain data.
//!
//! Between nodes it travels as a `google.protobuf.Struct`; at the ends of a workflow it is what
//! proto3 JSON makes of the RPC's types. Nothing else in the engine knows of it.

use crate::json;
use krt_model::message::{Payload, TYPE_URL_PREFIX};
use prost_reflect::{DescriptorPool, prost::Message as _};
use prost_types::{ListValue, Struct, Value as StructValue, value::Kind};
use serde_json::{Map, Number, Value};

const STRUCT: &str = "google.protobuf.Struct";
/// The largest whole number that, like all below it, is a double, which is what a `Struct` holds.
const EXACT: u64 = 1 << 53;

/// Turns messages into plain data and back.
#[derive(Debug)]
pub struct Plain(DescriptorPool);

/// Why a message is no plain data, or plain data no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum Misfit {
    /// No `.proto` of the package has the type.
    #[error("no `.proto` of the package describes the message `{name}`, which plain data is to be made of")]
    Unknown {
        /// The full name of the type.
        name: String,
    },
    /// What came to the node is not what its type says, or cannot be written as JSON.
    #[error("what came is no plain data")]
    Input(#[source] json::Error),
    /// What came to the node is no `Struct`.
    #[error("what came is not a {STRUCT}")]
    Struct(#[source] prost::DecodeError),
    /// What the handler returned does not fit the RPC's type.
    #[error("what the handler returned does not fit")]
    Output(#[source] json::Error),
    /// What the handler returned is no JSON.
    #[error("what the handler returned is no JSON")]
    Json(#[source] serde_json::Error),
    /// What the handler returned for the next node has no names.
    #[error("what the handler returned for the next node must be a map of names to values, not {found}")]
    NoMap {
        /// Its kind, with an article.
        found: &'static str,
    },
    /// A number that a double does not hold.
    #[error(
        "field `{at}`: {number} is not exactly a double, which is what the next node would get; hint: pass it as text"
    )]
    Number {
        /// The field, such as `items[2].price`.
        at: String,
        /// The number.
        number: Number,
    },
    /// NaN or an infinity, which JSON does not have.
    #[error("field `{at}`: JSON has no {number}")]
    NotFinite {
        /// The field, such as `items[2].price`.
        at: String,
        /// The number.
        number: f64,
    },
}

impl Plain {
    /// Knows the messages of a package.
    pub fn new(pool: DescriptorPool) -> Self {
        Self(pool)
    }

    /// A message, as JSON for the handler.
    pub(super) fn to_json(&self, payload: &Payload) -> Result<Vec<u8>, Misfit> {
        if payload.type_name() == STRUCT {
            let fields = Struct::decode(payload.value().clone()).map_err(Misfit::Struct)?;
            let fields = map(&fields, &mut Path::default())?;
            return serde_json::to_vec(&fields).map_err(Misfit::Json);
        }
        let kind = self.find(payload.type_name())?;
        json::write(&kind, payload.value()).map(Into::into).map_err(Misfit::Input)
    }

    /// What a handler returned, as a message of the type that the RPC returns.
    pub(super) fn to_answer(&self, text: &[u8], type_name: &str) -> Result<Payload, Misfit> {
        let kind = self.find(type_name)?;
        let message = json::parse(&kind, text).map_err(Misfit::Output)?;
        Ok(Payload::pack(&format!("{TYPE_URL_PREFIX}{type_name}"), &message))
    }

    /// What a handler returned, for the next node.
    pub(super) fn to_struct(text: &[u8]) -> Result<Payload, Misfit> {
        let fields = match serde_json::from_slice(text).map_err(Misfit::Json)? {
            Value::Object(fields) => fields,
            other => return Err(Misfit::NoMap { found: kind_of(&other) }),
        };
        let fields = structure(&fields, &mut Path::default())?;
        Ok(Payload::pack(&format!("{TYPE_URL_PREFIX}{STRUCT}"), &fields.encode_to_vec()))
    }

    fn find(&self, type_name: &str) -> Result<prost_reflect::MessageDescriptor, Misfit> {
        let found = self.0.get_message_by_name(type_name);
        found.ok_or_else(|| Misfit::Unknown { name: type_name.to_owned() })
    }
}

/// The way to a value: `items[2].price`.
#[derive(Default)]
struct Path<'a>(Vec<Segment<'a>>);

enum Segment<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    fn within<T>(&mut self, segment: Segment<'a>, step: impl FnOnce(&mut Self) -> T) -> T {
        self.0.push(segment);
        let result = step(self);
        self.0.pop();
        result
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Name(name) if position == 0 => f.write_str(name)?,
                Segment::Name(name) => write!(f, ".{name}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn structure<'a>(fields: &'a Map<String, Value>, path: &mut Path<'a>) -> Result<Struct, Misfit> {
    let entry = |(name, value): (&'a String, &'a Value)| {
        let value = path.within(Segment::Name(name), |path| struct_value(value, path))?;
        Ok((name.clone(), value))
    };
    Ok(Struct { fields: fields.iter().map(entry).collect::<Result<_, _>>()? })
}

fn struct_value<'a>(value: &'a Value, path: &mut Path<'a>) -> Result<StructValue, Misfit> {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(double(number, path)?),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => {
            let item = |(index, item)| path.within(Segment::Index(index), |path| struct_value(item, path));
            Kind::ListValue(ListValue {
                values: items.iter().enumerate().map(item).collect::<Result<_, _>>()?,
            })
        }
        Value::Object(fields) => Kind::StructValue(structure(fields, path)?),
    };
    Ok(StructValue { kind: Some(kind) })
}

fn double(number: &Number, path: &Path<'_>) -> Result<f64, Misfit> {
    let whole = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    match number.as_f64() {
        Some(double) if whole.is_none_or(|whole| whole <= EXACT) => Ok(double),
        _ => Err(Misfit::Number { at: path.to_string(), number: number.clone() }),
    }
}

fn map<'a>(fields: &'a Struct, path: &mut Path<'a>) -> Result<Value, Misfit> {
    let entry = |(name, value): (&'a String, &'a StructValue)| {
        let value = path.within(Segment::Name(name), |path| json_value(value, path))?;
        Ok((name.clone(), value))
    };
    fields.fields.iter().map(entry).collect::<Result<_, _>>().map(Value::Object)
}

fn json_value<'a>(value: &'a StructValue, path: &mut Path<'a>) -> Result<Value, Misfit> {
    Ok(match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(*value),
        Some(Kind::NumberValue(number)) => Value::Number(shortest(*number, path)?),
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::ListValue(list)) => {
            let item = |(index, item)| path.within(Segment::Index(index), |path| json_value(item, path));
            Value::Array(list.values.iter().enumerate().map(item).collect::<Result<_, _>>()?)
        }
        Some(Kind::StructValue(fields)) => map(fields, path)?,
    })
}

/// A whole number where it is one, so that `5` stays `5` on its way between nodes.
fn shortest(double: f64, path: &Path<'_>) -> Result<Number, Misfit> {
    if double.fract() == 0.0 && double.abs() <= EXACT as f64 {
        return Ok(Number::from(double as i64));
    }
    Number::from_f64(double).ok_or_else(|| Misfit::NotFinite { at: path.to_string(), number: double })
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests;
