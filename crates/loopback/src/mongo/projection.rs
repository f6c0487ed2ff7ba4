//! Selects the fields of results.

use super::{arguments::to_integer, error::CommandError};
use bson::{Bson, Document};
use std::collections::BTreeMap;

/// Fields to include or to exclude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Projection {
    includes: bool,
    /// Whether to include the `_id`.
    id: bool,
    fields: Fields,
}

type Fields = BTreeMap<String, Node>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// The field itself.
    Whole,
    /// Fields in it.
    Within(Fields),
}

impl Projection {
    /// Parses `{a: 1, "b.c": 1, _id: 0}`, or `{a: 0}`; `None` if it leaves documents unchanged.
    pub(super) fn parse(projection: &Document) -> Result<Option<Self>, CommandError> {
        let (mut includes, mut id, mut fields) = (None, None, Fields::new());
        for (field, value) in projection {
            let given = wanted(field, value)?;
            if field == "_id" {
                id = Some(given);
                continue;
            }
            if *includes.get_or_insert(given) != given {
                let message = format!("`{field}` mixes fields to give with fields to leave out");
                return Err(CommandError::BadValue(message));
            }
            put(&mut fields, field)?;
        }
        let includes = includes.unwrap_or(id == Some(true));
        let id = id.unwrap_or(true);
        Ok((includes || !id || !fields.is_empty()).then_some(Self { includes, id, fields }))
    }

    /// The document with these fields only.
    pub(super) fn apply(&self, mut document: Document) -> Document {
        let id = document.remove("_id").filter(|_| self.id);
        let rest = apply(document, &self.fields, self.includes);
        let mut projected = Document::new();
        projected.extend(id.map(|id| ("_id".to_owned(), id)));
        projected.extend(rest);
        projected
    }
}

fn wanted(field: &str, value: &Bson) -> Result<bool, CommandError> {
    let plain = !field.is_empty() && field.split('.').all(|part| !part.is_empty() && !part.starts_with('$'));
    let given = match value {
        Bson::Boolean(given) => Some(*given),
        Bson::Double(number) => Some(*number != 0.0),
        value => to_integer(value).map(|number| number != 0),
    };
    match given.filter(|_| plain) {
        Some(given) => Ok(given),
        None => Err(CommandError::NotSupported { what: format!("the projection `{field}: {value}`") }),
    }
}

fn put(fields: &mut Fields, field: &str) -> Result<(), CommandError> {
    let collision =
        || CommandError::BadValue(format!("`{field}` collides with another field of the projection"));
    match field.split_once('.') {
        None => match fields.insert(field.to_owned(), Node::Whole) {
            None => Ok(()),
            Some(_) => Err(collision()),
        },
        Some((first, rest)) => {
            match fields.entry(first.to_owned()).or_insert_with(|| Node::Within(Fields::new())) {
                Node::Within(within) => put(within, rest),
                Node::Whole => Err(collision()),
            }
        }
    }
}

fn apply(document: Document, fields: &Fields, includes: bool) -> Document {
    document
        .into_iter()
        .filter_map(|(name, value)| match fields.get(&name) {
            Some(Node::Whole) => includes.then_some((name, value)),
            Some(Node::Within(within)) => Some((name, apply_within(value, within, includes)?)),
            None => (!includes).then_some((name, value)),
        })
        .collect()
}

/// Applies fields to documents, and to those in arrays. Other values have no fields and are left out when
/// including.
fn apply_within(value: Bson, fields: &Fields, includes: bool) -> Option<Bson> {
    match value {
        Bson::Document(document) => Some(Bson::Document(apply(document, fields, includes))),
        Bson::Array(values) => Some(Bson::Array(
            values.into_iter().filter_map(|value| apply_within(value, fields, includes)).collect(),
        )),
        other => (!includes).then_some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn projected_documents() {
        let document = || doc! { "_id": 1, "a": 2, "b": { "c": 3, "d": 4 }, "e": [{ "c": 5, "d": 6 }, 7] };
        let cases = [
            (doc! {}, document()),
            (doc! { "a": 1 }, doc! { "_id": 1, "a": 2 }),
            (doc! { "a": true, "_id": 0 }, doc! { "a": 2 }),
            (doc! { "_id": 1 }, doc! { "_id": 1 }),
            (doc! { "_id": 0, "b": 0, "e": 0 }, doc! { "a": 2 }),
            (doc! { "b.c": 1.0, "e.c": 1_i64 }, doc! { "_id": 1, "b": { "c": 3 }, "e": [{ "c": 5 }] }),
            (doc! { "b.c": 0, "e.c": 0 }, doc! { "_id": 1, "a": 2, "b": { "d": 4 }, "e": [{ "d": 6 }, 7] }),
            (doc! { "a.x": 1 }, doc! { "_id": 1 }),
            (
                doc! { "_id": 1, "a": 0 },
                doc! { "_id": 1, "b": { "c": 3, "d": 4 }, "e": [{ "c": 5, "d": 6 }, 7] },
            ),
        ];
        for (projection, expected) in cases {
            let projected = match Projection::parse(&projection).unwrap() {
                Some(projection) => projection.apply(document()),
                None => document(),
            };
            assert_eq!(projected, expected, "{projection}");
        }
    }

    #[test]
    fn unsupported_projections() {
        for projection in [
            doc! { "a": 1, "b": 0 },
            doc! { "a": 1, "a.b": 1 },
            doc! { "a.b": 1, "a": 1 },
            doc! { "a": { "$slice": 1 } },
            doc! { "a": "$b" },
            doc! { "a.$": 1 },
            doc! { "": 1 },
        ] {
            assert!(Projection::parse(&projection).is_err(), "{projection}");
        }
    }
}
