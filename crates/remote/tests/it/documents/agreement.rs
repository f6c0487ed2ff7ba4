//! `find` answers the same on SQLite and on MongoDB, for generated documents and queries.

use super::{embedded, find, mongo};
use bson::{Bson, Document, doc};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
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

/// No array lies in another one: the server of the tests stores none.
fn value() -> impl Strategy<Value = Bson> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        let document = vec(("[ab]", inner), 0..3)
            .prop_map(|fields| Bson::Document(fields.into_iter().collect()))
            .boxed();
        let element = prop_oneof![scalar(), document.clone()];
        prop_oneof![document, vec(element, 0..3).prop_map(Bson::Array)]
    })
}

fn document() -> impl Strategy<Value = Document> {
    vec(("[ab]", value()), 0..3).prop_map(|fields| fields.into_iter().collect())
}

fn path() -> impl Strategy<Value = String> {
    vec(prop_oneof![4 => "[ab]", 1 => "[01]"], 0..2)
        .prop_flat_map(|rest| ("[ab]", Just(rest)))
        .prop_map(|(first, rest)| [vec![first], rest].concat().join("."))
}

fn operators() -> impl Strategy<Value = Document> {
    let list = vec(value(), 0..3).prop_map(Bson::Array);
    let leaf = prop_oneof![
        ("\\$(eq|ne)", value()),
        ("\\$(gt|gte|lt|lte)", scalar()),
        ("\\$(in|nin|all)", list),
        ("\\$exists", any::<bool>().prop_map(Bson::Boolean)),
        ("\\$size", (0..3_i32).prop_map(Bson::Int32)),
        ("\\$regex", "[xy]?".prop_map(Bson::String)),
    ];
    let leaf = leaf.prop_map(|(name, value)| doc! { name: value });
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| doc! { "$not": inner }),
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

#[test]
fn find_answers_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(remote) = runtime.block_on(mongo("find_answers_the_same")) else { return };
    let embedded = embedded();
    let case = Cell::new(0);
    let cases = (vec(document(), 1..8), vec(query(), 1..12));
    let ran = TestRunner::new(ProptestConfig::with_cases(300)).run(&cases, |(documents, queries)| {
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
                prop_assert_eq!(here, there, "{}", query);
            }
            Ok(())
        })
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}
