//! Matches of queries: a table that any implementation can replay, and a simple reference implementation.
//!
//! `filter.json` is a list of groups in Extended JSON: documents, and queries with the `_id`s of the matching
//! documents, or with a part of the error. Groups marked `ours` differ from MongoDB on purpose.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bson::{Bson, Document, RawDocumentBuf, doc};
use krt_store::{Filter, parse_document};
use proptest::{collection::vec, prelude::*};

fn groups() -> Vec<Document> {
    let text = include_str!("filter.json");
    let document = parse_document(&format!("{{\"groups\": {text}}}")).unwrap();
    document.get_array("groups").unwrap().iter().map(|group| group.as_document().unwrap().clone()).collect()
}

fn documents<'a>(group: &'a Document, name: &str) -> impl Iterator<Item = &'a Document> {
    group.get_array(name).unwrap().iter().map(|document| document.as_document().unwrap())
}

fn matches(filter: &Filter, document: &Document) -> bool {
    filter.matches(&RawDocumentBuf::try_from(document).unwrap())
}

#[test]
fn the_cases_of_the_table() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for group in groups() {
        for case in documents(&group, "cases") {
            cases += 1;
            let query = case.get_document("query").unwrap();
            let outcome = Filter::parse(query).map(|filter| {
                let found = documents(&group, "documents").filter(|document| matches(&filter, document));
                found.map(|document| document["_id"].clone()).collect::<Vec<_>>()
            });
            match (case.get("matches"), case.get("error"), outcome) {
                (Some(expected), None, Ok(found)) if *expected == Bson::Array(found.clone()) => {}
                (None, Some(Bson::String(part)), Err(error)) if error.to_string().contains(part.as_str()) => {
                }
                (_, _, outcome) => wrong.push(format!("{query}\n  {outcome:?}\n  {case}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 200);
}

#[test]
fn a_deep_query_is_refused() {
    let deep = |levels| (0..levels).fold(doc! { "a": 1 }, |inner, _| doc! { "$and": [inner] });
    Filter::parse(&deep(40)).unwrap();
    assert!(Filter::parse(&deep(1000)).unwrap_err().to_string().contains("nested deeper"));
    let not = (0..1000).fold(doc! { "$gt": 1 }, |inner, _| doc! { "$not": inner });
    assert!(Filter::parse(&doc! { "a": not }).is_err());
}

/// A slow and simple implementation of the manual, on decoded values.
mod reference {
    use super::*;
    use std::cmp::Ordering;

    pub(super) fn matches(query: &Document, document: &Document) -> bool {
        query.iter().all(|(name, value)| match (name.as_str(), value) {
            ("$and", Bson::Array(all)) => all.iter().all(|one| matches(one.as_document().unwrap(), document)),
            ("$or", Bson::Array(any)) => any.iter().any(|one| matches(one.as_document().unwrap(), document)),
            ("$nor", Bson::Array(any)) => {
                !any.iter().any(|one| matches(one.as_document().unwrap(), document))
            }
            (path, value) => {
                let parts: Vec<_> = path.split('.').collect();
                field(value, &reached(&Bson::Document(document.clone()), &parts))
            }
        })
    }

    fn field(value: &Bson, reached: &[Reached]) -> bool {
        match value {
            Bson::Document(operators) if operators.keys().any(|name| name.starts_with('$')) => {
                operators.iter().all(|(name, wanted)| operator(name, wanted, reached))
            }
            value => operator("$eq", value, reached),
        }
    }

    fn operator(name: &str, wanted: &Bson, reached: &[Reached]) -> bool {
        let found = || reached.iter().filter_map(|(value, _)| value.as_ref());
        let any = |test: &dyn Fn(&Bson) -> bool| {
            expanded(reached).iter().any(|value| value.as_ref().is_some_and(test))
        };
        match name {
            "$eq" if *wanted == Bson::Null => {
                expanded(reached).iter().any(|value| value.clone().unwrap_or(Bson::Null) == Bson::Null)
            }
            "$eq" => any(&|value| kind(value) == kind(wanted) && order(value, wanted).is_eq()),
            "$ne" => !operator("$eq", wanted, reached),
            "$gt" => any(&|value| kind(value) == kind(wanted) && order(value, wanted).is_gt()),
            "$lte" if *wanted == Bson::Null => operator("$eq", wanted, reached),
            "$lte" => any(&|value| kind(value) == kind(wanted) && order(value, wanted).is_le()),
            "$in" => wanted.as_array().unwrap().iter().any(|one| operator("$eq", one, reached)),
            "$nin" => !operator("$in", wanted, reached),
            "$exists" => found().next().is_some() == wanted.as_bool().unwrap(),
            "$not" => !field(wanted, reached),
            "$all" => {
                let all = wanted.as_array().unwrap();
                !all.is_empty() && all.iter().all(|one| operator("$eq", one, reached))
            }
            "$size" => {
                let size = wanted.as_i32().unwrap() as usize;
                found().any(|value| value.as_array().is_some_and(|array| array.len() == size))
            }
            "$elemMatch" => found().filter_map(Bson::as_array).flatten().any(|element| {
                match (wanted.as_document().unwrap(), element) {
                    (query, _) if query.keys().any(|name| name.starts_with('$')) => single(query, element),
                    (query, Bson::Document(document)) => matches(query, document),
                    (query, Bson::Array(array)) => matches(query, &numbered(array)),
                    _ => false,
                }
            }),
            other => panic!("{other}"),
        }
    }

    /// A single element: an array in an array is not expanded, except by operators for arrays.
    fn single(operators: &Document, element: &Bson) -> bool {
        operators.iter().all(|(name, wanted)| match name.as_str() {
            "$ne" => !single(&doc! { "$eq": wanted }, element),
            "$nin" => !single(&doc! { "$in": wanted }, element),
            "$not" => !single(wanted.as_document().unwrap(), element),
            "$in" => wanted.as_array().unwrap().iter().any(|one| single(&doc! { "$eq": one }, element)),
            "$all" => {
                let all = wanted.as_array().unwrap();
                !all.is_empty() && all.iter().all(|one| single(&doc! { "$eq": one }, element))
            }
            "$eq" => kind(element) == kind(wanted) && order(element, wanted).is_eq(),
            "$gt" => kind(element) == kind(wanted) && order(element, wanted).is_gt(),
            "$lte" => kind(element) == kind(wanted) && order(element, wanted).is_le(),
            _ => operator(name, wanted, &[(Some(element.clone()), true)]),
        })
    }

    fn numbered(array: &[Bson]) -> Document {
        array.iter().enumerate().map(|(index, value)| (index.to_string(), value.clone())).collect()
    }

    /// The value at a path, and whether it is an array element selected by position, whose own elements do
    /// not count.
    type Reached = (Option<Bson>, bool);

    /// The values at a path, with arrays at its end whole.
    fn reached(value: &Bson, parts: &[&str]) -> Vec<Reached> {
        let [first, rest @ ..] = parts else { return vec![(Some(value.clone()), false)] };
        match value {
            Bson::Document(document) => match document.get(first) {
                Some(Bson::Array(array)) if !rest.is_empty() => through(array, rest),
                Some(inner) => reached(inner, rest),
                None => vec![(None, false)],
            },
            _ => vec![(None, false)],
        }
    }

    fn through(array: &[Bson], parts: &[&str]) -> Vec<Reached> {
        let mut all = Vec::new();
        for (index, element) in array.iter().enumerate() {
            if element.as_document().is_some() {
                all.extend(reached(element, parts));
            }
            if parts[0] != index.to_string() {
                continue;
            }
            match (element, &parts[1..]) {
                (element, []) => all.push((Some(element.clone()), true)),
                (Bson::Array(inner), rest) => all.extend(through(inner, rest)),
                (Bson::Document(_), rest) => all.extend(reached(element, rest)),
                _ => {}
            }
        }
        all
    }

    /// Values, with arrays also as their elements.
    fn expanded(reached: &[Reached]) -> Vec<Option<Bson>> {
        let mut all = Vec::new();
        for (value, by_position) in reached {
            if let (Some(Bson::Array(array)), false) = (value, by_position) {
                all.extend(array.iter().cloned().map(Some));
            }
            all.push(value.clone());
        }
        all
    }

    fn kind(value: &Bson) -> u8 {
        match value {
            Bson::Null => 1,
            Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => 2,
            Bson::String(_) => 3,
            Bson::Document(_) => 4,
            Bson::Array(_) => 5,
            Bson::Boolean(_) => 6,
            other => panic!("{other}"),
        }
    }

    fn order(one: &Bson, other: &Bson) -> Ordering {
        let number = |value: &Bson| match value {
            Bson::Int32(number) => f64::from(*number),
            Bson::Int64(number) => *number as f64,
            Bson::Double(number) => *number,
            other => panic!("{other}"),
        };
        kind(one).cmp(&kind(other)).then_with(|| match (one, other) {
            (Bson::Null, _) => Ordering::Equal,
            (Bson::String(one), Bson::String(other)) => one.cmp(other),
            (Bson::Boolean(one), Bson::Boolean(other)) => one.cmp(other),
            (Bson::Array(one), Bson::Array(other)) => {
                let pairs = one.iter().zip(other).map(|(one, other)| order(one, other));
                pairs.fold(Ordering::Equal, Ordering::then).then(one.len().cmp(&other.len()))
            }
            (Bson::Document(one), Bson::Document(other)) => {
                let pairs = one.iter().zip(other).map(|((name, value), (other_name, other))| {
                    kind(value).cmp(&kind(other)).then(name.cmp(other_name)).then_with(|| order(value, other))
                });
                pairs.fold(Ordering::Equal, Ordering::then).then(one.len().cmp(&other.len()))
            }
            (one, other) => number(one).partial_cmp(&number(other)).unwrap(),
        })
    }
}

/// Few names and values, so that queries often match.
fn scalar() -> impl Strategy<Value = Bson> {
    prop_oneof![
        (0..3_i32).prop_map(Bson::Int32),
        (0..3_i64).prop_map(Bson::Int64),
        prop_oneof![Just(0.0), Just(1.0), Just(1.5)].prop_map(Bson::Double),
        "[xy]?".prop_map(Bson::String),
        any::<bool>().prop_map(Bson::Boolean),
        Just(Bson::Null),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[ab]", 1 => "[01]"]
}

fn value() -> impl Strategy<Value = Bson> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Bson::Array),
            vec((name(), inner), 0..3).prop_map(|fields| Bson::Document(fields.into_iter().collect())),
        ]
    })
}

fn document() -> impl Strategy<Value = Document> {
    vec((name(), value()), 0..3).prop_map(|fields| fields.into_iter().collect())
}

fn path() -> impl Strategy<Value = String> {
    vec(name(), 1..4).prop_map(|parts| parts.join("."))
}

fn operators() -> impl Strategy<Value = Document> {
    let list = vec(value(), 0..3).prop_map(Bson::Array);
    let leaf = prop_oneof![
        ("\\$(eq|ne|gt|lte)", value()),
        ("\\$(in|nin|all)", list),
        ("\\$exists", any::<bool>().prop_map(Bson::Boolean)),
        ("\\$size", (0..3_i32).prop_map(Bson::Int32)),
    ];
    let leaf = leaf.prop_map(|(name, value)| doc! { name: value });
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| doc! { "$not": inner }),
            inner.clone().prop_map(|inner| doc! { "$elemMatch": inner }),
            (path(), inner.clone()).prop_map(|(path, inner)| doc! { "$elemMatch": { path: inner } }),
            (inner.clone(), inner).prop_map(|(mut one, other)| {
                one.extend(other);
                one
            }),
        ]
    })
}

fn query() -> impl Strategy<Value = Document> {
    let leaf = prop_oneof![
        (path(), value()).prop_map(|(path, value)| doc! { path: value }),
        (path(), operators()).prop_map(|(path, operators)| doc! { path: operators }),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        ("\\$(and|or|nor)", vec(inner, 1..3)).prop_map(|(name, queries)| doc! { name: queries })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn agrees_with_the_reference(query in query(), documents in vec(document(), 1..8)) {
        let filter = Filter::parse(&query).unwrap();
        for document in documents {
            prop_assert_eq!(
                matches(&filter, &document),
                reference::matches(&query, &document),
                "{} on {}", query, document
            );
        }
    }

    #[test]
    fn any_document_can_be_a_query(query in document(), on in document()) {
        if let Ok(filter) = Filter::parse(&query) {
            matches(&filter, &on);
        }
    }
}
