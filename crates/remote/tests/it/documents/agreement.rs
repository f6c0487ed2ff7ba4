//! `find` gives the same results on SQLite and on MongoDB, for generated documents and queries.

use super::{embedded, find, mongo};
use bson::{Bson, Document, doc};
use proptest::{collection::vec, option, prelude::*, test_runner::TestRunner};
use std::cell::Cell;

/// Few names and values, so that queries often match.
fn scalar() -> impl Strategy<Value = Bson> {
    prop_oneof![
        (0..3_i32).prop_map(Bson::Int32),
        (0..3_i64).prop_map(Bson::Int64),
        prop_oneof![Just(0.0), Just(1.0), Just(1.5)].prop_map(Bson::Double),
        "[xy]?".prop_map(Bson::String),
        any::<bool>().prop_map(Bson::Boolean),
        (0..2_i64).prop_map(|millis| Bson::DateTime(bson::DateTime::from_millis(millis))),
        Just(Bson::Null),
    ]
}

/// Nested documents; only `l` is an array, without arrays in it: the tests' server does not support nested
/// arrays.
fn document() -> impl Strategy<Value = Document> {
    let fields = |value| vec(("[ab]", value), 0..3).prop_map(|fields| fields.into_iter().collect());
    let leaf = fields(scalar().boxed()).prop_map(Bson::Document);
    let value = leaf.prop_recursive(2, 6, 2, move |inner| {
        fields(prop_oneof![2 => scalar(), 1 => inner].boxed()).prop_map(Bson::Document)
    });
    let value = prop_oneof![2 => scalar(), 1 => value].boxed();
    let list = option::of(vec(value.clone(), 0..3));
    (fields(value), list).prop_map(|(mut document, list): (Document, _)| {
        document.extend(list.map(|list| ("l".to_owned(), Bson::Array(list))));
        document
    })
}

/// A single operator for a field: of several, the tests' server evaluates only the first if the field is
/// missing.
fn operator() -> impl Strategy<Value = Document> {
    let list = || vec(scalar(), 0..3).prop_map(Bson::Array);
    let one = prop_oneof![
        ("\\$(eq|ne|gt|gte|lt|lte)", scalar()),
        ("\\$(in|nin|all)", list()),
        ("\\$exists", any::<bool>().prop_map(Bson::Boolean)),
        ("\\$size", (0..3_i32).prop_map(Bson::Int32)),
        ("\\$regex", "[xy]?".prop_map(Bson::String)),
    ];
    let one = one.prop_map(|(name, value)| doc! { name: value });
    prop_oneof![3 => one.clone(), 1 => one.prop_map(|inner| doc! { "$not": inner })]
}

/// A condition on an array's elements. Excludes conditions on absence, for which the tests' server differs
/// from MongoDB.
fn inside() -> impl Strategy<Value = Document> {
    let wanted = scalar().prop_filter("nothing is not there", |value| *value != Bson::Null);
    ("l\\.([ab]|[01])", "\\$(eq|gt|lt)", wanted)
        .prop_map(|(path, operator, value)| doc! { path: { operator: value } })
}

fn query() -> impl Strategy<Value = Document> {
    let path = || "[ab](\\.[ab]){0,2}|l";
    let leaf = prop_oneof![
        (path(), scalar()).prop_map(|(path, value)| doc! { path: value }),
        (path(), operator()).prop_map(|(path, operator)| doc! { path: operator }),
        inside(),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        ("\\$(and|or|nor)", vec(inner, 1..3)).prop_map(|(name, queries)| doc! { name: queries })
    })
}

#[test]
fn both_stores_find_the_same_documents() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(remote) = runtime.block_on(mongo("both_stores_find_the_same_documents")) else { return };
    let embedded = embedded();
    let (case, matches) = (Cell::new(0), Cell::new(0));
    let cases = (vec(document(), 1..8), vec(query(), 1..12));
    let ran = TestRunner::new(ProptestConfig::with_cases(100)).run(&cases, |(documents, queries)| {
        let collection = format!("case-{}", case.replace(case.get() + 1));
        runtime.block_on(async {
            for (index, document) in documents.iter().enumerate() {
                let mut document = document.clone();
                document.insert("_id", index as i32);
                embedded.documents.save(&collection, document.clone()).await.unwrap();
                remote.documents.save(&collection, document).await.unwrap();
            }
            for query in queries {
                let here = find(&embedded.documents, &collection, query.clone()).await;
                let there = find(&remote.documents, &collection, query.clone()).await;
                matches.set(matches.get() + usize::from(!here.is_empty()));
                prop_assert_eq!(here, there, "{}", query);
            }
            Ok(())
        })
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
    assert!(matches.get() > 100, "queries that matched anything: {}", matches.get());
}
