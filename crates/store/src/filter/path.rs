//! Resolves a dotted path to values.
//!
//! A path leads through an array to every document in it, and, where its next part is a number, to the
//! element at that index. An array at its end stands for itself and usually for its elements.

use bson::{RawArray, RawBsonRef, RawDocument};

/// A field's name, with dots.
#[derive(Debug, Clone)]
pub(super) struct Path(Box<[Part]>);

#[derive(Debug, Clone)]
struct Part {
    name: Box<str>,
    /// The array index that the name means.
    index: Option<usize>,
}

/// The meaning of an array at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaf {
    /// The array itself.
    Whole,
    /// The array and each of its elements.
    Elements,
}

type Visit<'v> = &'v mut dyn FnMut(Option<RawBsonRef<'_>>) -> bool;

impl Path {
    pub(super) fn parse(text: &str) -> Self {
        Self(text.split('.').map(Part::parse).collect())
    }

    /// Whether `visit` accepts any value at the path; a missing one is `None`.
    pub(super) fn any(&self, document: &RawDocument, leaf: Leaf, visit: Visit<'_>) -> bool {
        in_document(document, &self.0, leaf, visit)
    }
}

impl Part {
    fn parse(name: &str) -> Self {
        let canonical =
            name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
        Self { name: name.into(), index: name.parse().ok().filter(|_| canonical) }
    }
}

fn in_document(document: &RawDocument, parts: &[Part], leaf: Leaf, visit: Visit<'_>) -> bool {
    let Some((first, rest)) = parts.split_first() else { return false };
    match field(document, &first.name) {
        Some(RawBsonRef::Array(array)) if rest.is_empty() => at_end(array, leaf, visit),
        Some(RawBsonRef::Array(array)) => in_array(array, rest, leaf, visit),
        Some(value) if rest.is_empty() => visit(Some(value)),
        Some(RawBsonRef::Document(document)) => in_document(document, rest, leaf, visit),
        Some(_) | None => visit(None),
    }
}

fn at_end(array: &RawArray, leaf: Leaf, visit: Visit<'_>) -> bool {
    let elements = leaf == Leaf::Elements;
    elements && super::elements(array).any(|element| visit(Some(element)))
        || visit(Some(RawBsonRef::Array(array)))
}

fn in_array(array: &RawArray, parts: &[Part], leaf: Leaf, visit: Visit<'_>) -> bool {
    let Some((first, rest)) = parts.split_first() else { return false };
    super::elements(array).enumerate().any(|(index, element)| {
        let here = first.index == Some(index);
        match element {
            RawBsonRef::Document(document) => {
                in_document(document, parts, leaf, visit)
                    || here && rest.is_empty() && visit(Some(element))
                    || here && !rest.is_empty() && in_document(document, rest, leaf, visit)
            }
            // An array at an index is not searched.
            _ if here && rest.is_empty() => visit(Some(element)),
            RawBsonRef::Array(nested) if here => in_array(nested, rest, leaf, visit),
            _ => false,
        }
    })
}

/// A field by name; reads only the names before it.
fn field<'a>(document: &'a RawDocument, name: &str) -> Option<RawBsonRef<'a>> {
    let found = document.iter_elements().map_while(Result::ok).find(|element| element.key().as_str() == name);
    found?.value().ok()
}

/// A document, or an array as the document of its indexes, which it is in BSON.
pub(super) fn as_document(value: RawBsonRef<'_>) -> Option<&RawDocument> {
    match value {
        RawBsonRef::Document(document) => Some(document),
        RawBsonRef::Array(array) => RawDocument::from_bytes(array.as_bytes()).ok(),
        _ => None,
    }
}
