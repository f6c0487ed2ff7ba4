//! Validates documents by MongoDB's rules.

use crate::error::DocumentError;
use bson::{Bson, Document, oid::ObjectId};

/// The largest document, in bytes (MongoDB: "BSON Document Size").
pub const MAX_SIZE: usize = 16 << 20;
/// The deepest nesting of documents and arrays (MongoDB: "Nested Depth for BSON Documents").
pub const MAX_DEPTH: usize = 100;

/// A valid document.
#[derive(Debug)]
pub struct ValidDocument {
    /// Its `_id`.
    pub id: Bson,
    /// The whole document, as BSON.
    pub data: Vec<u8>,
}

/// Validates and encodes a document, with an `_id` as its first field.
pub fn check_document(mut document: Document) -> Result<ValidDocument, DocumentError> {
    let id = document.remove("_id").unwrap_or_else(|| Bson::ObjectId(ObjectId::new()));
    if let Some(kind) = forbidden_id(&id) {
        return Err(DocumentError::Id { kind });
    }
    let mut ordered = Document::new();
    ordered.insert("_id", id);
    ordered.extend(document);
    check_fields(&ordered, "", 1)?;
    let data = ordered.to_vec().map_err(|error| DocumentError::Encode { reason: error.to_string() })?;
    if data.len() > MAX_SIZE {
        return Err(DocumentError::TooLarge { size: data.len(), max: MAX_SIZE });
    }
    let id = ordered.remove("_id").unwrap_or(Bson::Null);
    Ok(ValidDocument { id, data })
}

/// Validates the name of a collection.
pub fn check_collection(name: &str) -> Result<(), DocumentError> {
    if name.is_empty() {
        return Err(DocumentError::NoCollection);
    }
    if name.contains(['$', '\0']) || name.starts_with("system.") {
        return Err(DocumentError::Collection { name: name.to_owned() });
    }
    Ok(())
}

fn forbidden_id(id: &Bson) -> Option<&'static str> {
    match id {
        Bson::Array(_) => Some("an array"),
        Bson::RegularExpression(_) => Some("a regular expression"),
        Bson::Undefined => Some("undefined"),
        _ => None,
    }
}

fn check_fields(document: &Document, path: &str, depth: usize) -> Result<(), DocumentError> {
    for (name, value) in document {
        if name.contains('\0') {
            return Err(DocumentError::FieldName { field: join(path, name).escape_default().to_string() });
        }
        if matches!(value, Bson::Document(_) | Bson::Array(_) | Bson::JavaScriptCodeWithScope(_)) {
            check_nested(value, &join(path, name), depth + 1)?;
        }
    }
    Ok(())
}

fn check_nested(value: &Bson, path: &str, depth: usize) -> Result<(), DocumentError> {
    if depth > MAX_DEPTH {
        return Err(DocumentError::TooDeep { field: path.to_owned(), max: MAX_DEPTH });
    }
    match value {
        Bson::Document(document) => check_fields(document, path, depth),
        Bson::JavaScriptCodeWithScope(code) => check_fields(&code.scope, path, depth),
        Bson::Array(values) => values
            .iter()
            .enumerate()
            .filter(|(_, value)| matches!(value, Bson::Document(_) | Bson::Array(_)))
            .try_for_each(|(index, value)| check_nested(value, &join(path, &index.to_string()), depth + 1)),
        _ => Ok(()),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{RawDocument, doc};

    #[test]
    fn ids_are_generated_and_come_first() {
        let checked = check_document(doc! { "a": 1 }).unwrap();
        let raw = RawDocument::from_bytes(&checked.data).unwrap();
        let names: Vec<_> = raw.iter().map(|field| field.unwrap().0.as_str().to_owned()).collect();
        assert_eq!(names, ["_id", "a"]);
        assert!(matches!(checked.id, Bson::ObjectId(_)));

        let checked = check_document(doc! { "a": 1, "_id": "x" }).unwrap();
        assert_eq!(checked.id, Bson::String("x".into()));
        assert_eq!(
            Document::try_from(RawDocument::from_bytes(&checked.data).unwrap()).unwrap(),
            doc! { "_id": "x", "a": 1 }
        );
    }

    #[test]
    fn unsupported_documents_are_refused() {
        let nested = |levels| (0..levels).fold(doc! { "x": 1 }, |inner, _| doc! { "d": inner });
        check_document(nested(MAX_DEPTH - 1)).unwrap();
        let error = check_document(nested(MAX_DEPTH)).unwrap_err();
        assert!(
            matches!(&error, DocumentError::TooDeep { field, .. } if field.starts_with("d.d.")),
            "{error}"
        );

        let array = (0..MAX_DEPTH).fold(Bson::Null, |inner, _| Bson::Array(vec![inner]));
        assert!(matches!(check_document(doc! { "a": array }), Err(DocumentError::TooDeep { .. })));

        let error = check_document(doc! { "a": { "b\0c": 1 } }).unwrap_err();
        assert_eq!(error.to_string(), "the field `a.b\\u{0}c` has a NUL in its name");

        let error = check_document(doc! { "_id": [1] }).unwrap_err();
        assert_eq!(error, DocumentError::Id { kind: "an array" });

        let error = check_document(doc! { "a": "x".repeat(MAX_SIZE) }).unwrap_err();
        assert!(matches!(error, DocumentError::TooLarge { .. }));
    }

    #[test]
    fn names_of_collections() {
        for good in ["a", "classificationMetrics", "with space", "a.b", "é"] {
            check_collection(good).unwrap();
        }
        for bad in ["", "a$b", "system.users", "a\0"] {
            assert!(check_collection(bad).is_err(), "{bad:?}");
        }
    }
}
