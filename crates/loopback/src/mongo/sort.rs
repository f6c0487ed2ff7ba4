//! The order of results.

use super::{arguments::to_integer, cursors::DocumentStream, error::CommandError};
use bson::{Document, RawBson, RawBsonRef, RawDocumentBuf};
use futures::TryStreamExt as _;
use std::{cmp::Ordering, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The memory limit of one sort, in MiB.
const LIMIT: usize = 64;
/// The memory limit of all sorts, in KiB.
pub(super) const BUDGET: usize = 128 << 10;

/// The order that a client requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sort {
    /// The order of saving.
    Natural {
        /// Newest first.
        newest_first: bool,
    },
    /// By fields, the most significant first.
    Fields(Vec<Key>),
}

/// A field to sort by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    path: Vec<String>,
    descending: bool,
}

/// Sorted documents with their share of the memory.
#[derive(Debug)]
pub(super) struct Sorted {
    pub(super) documents: Vec<RawDocumentBuf>,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl Sort {
    /// Parses `{a: 1, "b.c": -1}`, or `{$natural: -1}`.
    pub(super) fn parse(sort: &Document) -> Result<Self, CommandError> {
        if let (Some(value), 1) = (sort.get("$natural"), sort.len()) {
            return Ok(Self::Natural { newest_first: is_descending("$natural", value)? });
        }
        let keys: Result<Vec<_>, _> = sort
            .iter()
            .map(|(field, value)| {
                if field.starts_with('$') || field.split('.').any(str::is_empty) {
                    return Err(CommandError::BadValue(format!("cannot sort by `{field}`")));
                }
                let path = field.split('.').map(str::to_owned).collect();
                Ok(Key { path, descending: is_descending(field, value)? })
            })
            .collect();
        let keys = keys?;
        Ok(if keys.is_empty() { Self::Natural { newest_first: false } } else { Self::Fields(keys) })
    }
}

fn is_descending(field: &str, value: &bson::Bson) -> Result<bool, CommandError> {
    match to_integer(value) {
        Some(1) => Ok(false),
        Some(-1) => Ok(true),
        _ => Err(CommandError::BadValue(format!("the order of `{field}` is {value}; it is 1 or -1"))),
    }
}

/// Reads a search to its end and sorts it, stable by the order of saving.
pub(super) async fn sorted(
    mut found: DocumentStream,
    keys: &[Key],
    budget: &Arc<Semaphore>,
) -> Result<Sorted, CommandError> {
    let (mut rows, mut bytes, mut permit) = (Vec::new(), 0, None);
    while let Some(document) = found.try_next().await? {
        let row = Row { keys: keys.iter().map(|key| key.of(&document)).collect(), document };
        bytes += row.document.as_bytes().len();
        let share = u32::try_from(row.document.as_bytes().len() / 1024 + 1).unwrap_or(u32::MAX);
        let full = CommandError::Sort { limit: LIMIT };
        let more = Arc::clone(budget).try_acquire_many_owned(share);
        match (more, &mut permit) {
            _ if bytes > LIMIT << 20 => return Err(full),
            (Err(_), _) => return Err(full),
            (Ok(more), Some(permit)) => OwnedSemaphorePermit::merge(permit, more),
            (Ok(more), permit) => *permit = Some(more),
        }
        rows.push(row);
    }
    let keys = keys.to_vec();
    let sort = move || {
        rows.sort_by(|one, other| one.compare(other, &keys));
        rows.into_iter().map(|row| row.document).collect()
    };
    let documents = tokio::task::spawn_blocking(sort).await.map_err(krt_store::Error::Interrupted)?;
    Ok(Sorted { documents, permit })
}

struct Row {
    keys: Vec<RawBson>,
    document: RawDocumentBuf,
}

impl Row {
    fn compare(&self, other: &Self, keys: &[Key]) -> Ordering {
        let both = self.keys.iter().zip(&other.keys).zip(keys);
        both.map(|((one, other), key)| {
            key.order(krt_store::filter::compare(one.as_raw_bson_ref(), other.as_raw_bson_ref()))
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
    }
}

impl Key {
    fn order(&self, order: Ordering) -> Ordering {
        if self.descending { order.reverse() } else { order }
    }

    /// The sort value of a document: for an array, its first element in this order.
    fn of(&self, document: &RawDocumentBuf) -> RawBson {
        let mut values = Vec::new();
        collect(RawBsonRef::Document(document), &self.path, &mut values);
        let first =
            values.into_iter().min_by(|&one, &other| self.order(krt_store::filter::compare(one, other)));
        first.unwrap_or(RawBsonRef::Null).into()
    }
}

fn collect<'a>(value: RawBsonRef<'a>, path: &[String], values: &mut Vec<RawBsonRef<'a>>) {
    match (value, path) {
        (RawBsonRef::Array(array), []) => {
            let before = values.len();
            values.extend(array.into_iter().map_while(Result::ok));
            if values.len() == before {
                // An empty array sorts before null.
                values.push(RawBsonRef::Undefined);
            }
        }
        (value, []) => values.push(value),
        (RawBsonRef::Document(document), [name, rest @ ..]) => match document.get(name) {
            Ok(Some(value)) => collect(value, rest, values),
            _ => values.push(RawBsonRef::Null),
        },
        (RawBsonRef::Array(array), [name, rest @ ..]) => {
            for (index, element) in array.into_iter().map_while(Result::ok).enumerate() {
                if name.parse() == Ok(index) {
                    collect(element, rest, values);
                } else if matches!(element, RawBsonRef::Document(_)) {
                    collect(element, path, values);
                }
            }
        }
        _ => values.push(RawBsonRef::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;
    use futures::{StreamExt as _, stream};

    async fn order(sort: Document, documents: Vec<Document>) -> Vec<i32> {
        let Sort::Fields(keys) = Sort::parse(&sort).unwrap() else { panic!("{sort} sorts by fields") };
        let raw = documents.iter().map(|document| Ok(RawDocumentBuf::try_from(document).unwrap()));
        let found = stream::iter(raw.collect::<Vec<_>>()).boxed();
        let sorted = sorted(found, &keys, &Arc::new(Semaphore::new(BUDGET))).await.unwrap();
        sorted.documents.iter().map(|document| document.get_i32("_id").unwrap()).collect()
    }

    #[tokio::test]
    async fn orders() {
        let mixed = || {
            vec![
                doc! { "_id": 0, "a": "x" },
                doc! { "_id": 1, "a": 2 },
                doc! { "_id": 2 },
                doc! { "_id": 3, "a": [] },
                doc! { "_id": 4, "a": [1, 9] },
                doc! { "_id": 5, "a": 2.0 },
            ]
        };
        assert_eq!(order(doc! { "a": 1 }, mixed()).await, [3, 2, 4, 1, 5, 0]);
        assert_eq!(order(doc! { "a": -1 }, mixed()).await, [0, 4, 1, 5, 2, 3]);
        assert_eq!(order(doc! { "a": 1, "_id": -1_i64 }, mixed()).await, [3, 2, 4, 5, 1, 0]);
        let nested = vec![
            doc! { "_id": 0, "a": { "b": 3 } },
            doc! { "_id": 1, "a": [{ "b": 1 }, { "b": 5 }] },
            doc! { "_id": 2, "a": { "b": [2] } },
        ];
        assert_eq!(order(doc! { "a.b": 1.0 }, nested).await, [1, 2, 0]);
    }

    #[test]
    fn invalid_orders() {
        for sort in
            [doc! { "a": 2 }, doc! { "a": "up" }, doc! { "": 1 }, doc! { "a..b": 1 }, doc! { "$a": 1 }]
        {
            assert!(Sort::parse(&sort).is_err(), "{sort}");
        }
        assert_eq!(Sort::parse(&doc! { "$natural": -1 }).unwrap(), Sort::Natural { newest_first: true });
        assert_eq!(Sort::parse(&doc! {}).unwrap(), Sort::Natural { newest_first: false });
    }
}
