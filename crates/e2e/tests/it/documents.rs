//! `ctx.db`, down to the data on disk (docs/reference/krt-v1.md#documents).

use crate::{
    context::value,
    script::{self, raised, send},
    support::{Krt, assert_status, service::Exited},
};
use bson::{Bson, Document, doc};
use futures::TryStreamExt as _;
use krt_store::FindLimits;
use serde_json::json;
use tonic::Code;

/// All documents of a collection, as stored.
pub(crate) async fn saved(ended: &Exited, collection: &str) -> Vec<Document> {
    let found = ended.reader().find(collection, &doc! {}, FindLimits::default()).unwrap();
    let documents = found.and_then(async |raw| Ok(Document::try_from(raw).unwrap()));
    documents.try_collect().await.unwrap()
}

#[tokio::test]
async fn documents_are_found_as_they_were_saved() {
    let service = Krt::run("context").start().await;
    let found = value(&service, "save_document").await;
    let keys = ["bytes", "date", "inner", "large", "list", "nothing", "real", "text", "whole", "yes"];
    assert_eq!(found, json!({ "differing": [], "keys": keys }));
    let ended = service.stop().await;
    let things = saved(&ended, "things").await;
    let [thing] = &things[..] else { panic!("{things:?}") };
    assert_eq!(thing.get("large"), Some(&Bson::Int64((1 << 53) + 1)));
    assert!(matches!(thing.get("whole"), Some(Bson::Int32(7) | Bson::Int64(7))), "{thing}");
    assert_eq!(thing.get("real"), Some(&Bson::Double(7.0)));
    assert_eq!(thing.get_datetime("date").unwrap().timestamp_millis(), 1_709_209_815_250);
    assert_eq!(thing.get_binary_generic("bytes").unwrap(), b"\x00\xff");
    assert_eq!(thing.get("nothing"), Some(&Bson::Null));
}

#[tokio::test]
async fn find_understands_queries_and_save_works_in_init() {
    let service = Krt::run("context").start().await;
    assert_eq!(value(&service, "find_documents").await, json!([3, 3, 0, 5, 1]));
    service.stop().await;
}

#[tokio::test]
async fn documents_outlive_the_service() {
    let folder = tempfile::tempdir().unwrap();
    for starts in 1..=2 {
        let service = Krt::run("context").data(folder.path()).start().await;
        assert_eq!(value(&service, "find_documents").await[4], json!(starts));
        service.stop().await;
    }
}

#[tokio::test]
async fn wrong_arguments_have_the_messages_of_krt_v1() {
    let service = Krt::run("context").start().await;
    let rows = [
        ("ctx.db.save('', {})", "[ctx.db.save] invalid 'collection'='', must be a nonempty string"),
        ("ctx.db.save(7, {})", "[ctx.db.save] invalid 'collection'='7', must be a nonempty string"),
        ("ctx.db.save(None, {})", "[ctx.db.save] invalid 'collection'='None', must be a nonempty string"),
        ("ctx.db.save('c', [1])", "[ctx.db.save] invalid 'data'='[1]', must be a dict"),
        (
            "ctx.db.save('c', {'a': {'b': {1}}})",
            "`a.b` is a `builtins.set`, which cannot be stored; hint: make it a list",
        ),
        ("ctx.db.find('', {'a': 1})", "[ctx.db.find] invalid 'collection'='', must be a nonempty string"),
        ("ctx.db.find('c', {})", "[ctx.db.find] invalid 'query'='{}', must be a nonempty dict"),
        ("ctx.db.find('c', None)", "[ctx.db.find] invalid 'query'='None', must be a nonempty dict"),
        ("ctx.db.find('c', 'text')", "[ctx.db.find] invalid 'query'='text', must be a nonempty dict"),
    ];
    for (call, message) in rows {
        let answer = service.call("Alone", json!({ "act": "wrong", "text": call })).await;
        assert_status(answer, Code::Internal, &format!("error in 'first': {message}"));
    }
    let query = json!({ "act": "wrong", "text": "ctx.db.find('c', {'a': {'$nope': 1}})" });
    let status = service.call("Alone", query).await.unwrap_err();
    let start = "error in 'first': [ctx.db.find] error getting data from MongoDB: ";
    assert!(status.message().starts_with(start) && status.message().contains("$nope"), "{status}");
    let ended = service.stop().await;
    assert_eq!(saved(&ended, "c").await, [], "nothing was saved by a call that failed");
}

#[tokio::test]
async fn every_kind_of_value_round_trips() {
    let service = script::start().await;
    let code = r"
        import uuid
        from collections import OrderedDict
        from decimal import Decimal
        day = datetime(2024, 2, 29, 12, 30, 15, 250999)
        two_hours_east = timezone(timedelta(hours=2))
        rows = [
            (True, True), (1, 1), (1.0, 1.0), (-0.0, -0.0), (5e-324, 5e-324), (0.1, 0.1), (1e22, 1e22),
            (2**31, 2**31), (2**63 - 1, 2**63 - 1), (-2**63, -2**63),
            (float('inf'), float('inf')), (float('-inf'), float('-inf')), (float('nan'), float('nan')),
            ('', ''), ('naïve ☃ \U0001f600 \x00', 'naïve ☃ \U0001f600 \x00'), ('$oid', '$oid'), (None, None),
            (b'', b''), (bytearray(b'\x00\xff'), b'\x00\xff'), (memoryview(b'm'), b'm'),
            ([], []), ({}, {}), ((1, (2,)), [1, [2]]), ({'': 1, 'a.b': 2, '$c': 3}, {'': 1, 'a.b': 2, '$c': 3}),
            (OrderedDict(z=1, a=2), {'z': 1, 'a': 2}),
            (day, datetime(2024, 2, 29, 12, 30, 15, 250000)),
            (day.replace(tzinfo=timezone.utc), datetime(2024, 2, 29, 12, 30, 15, 250000)),
            (day.replace(tzinfo=two_hours_east), datetime(2024, 2, 29, 10, 30, 15, 250000)),
            (datetime(1, 1, 1), datetime(1, 1, 1)), (datetime(1969, 12, 31), datetime(1969, 12, 31)),
            (datetime(9999, 12, 31), datetime(9999, 12, 31)), (day.date(), datetime(2024, 2, 29)),
            (Decimal('1.10'), Decimal('1.10')), (uuid.UUID(int=7), uuid.UUID(int=7)),
        ]
        await ctx.db.save('kinds', {'rows': [given for given, _ in rows]})
        [found] = await ctx.db.find('kinds', {'rows': {'$exists': True}})
        both = zip(found['rows'], (expected for _, expected in rows), strict=True)
        return [f'{got!r} for {expected!r}' for got, expected in both if repr(got) != repr(expected)]
    ";
    assert_eq!(script::value(&service, code).await, json!([]));
    service.stop().await;
}

#[tokio::test]
async fn unsupported_values_name_their_field() {
    let service = script::start().await;
    let worker = service.workers("first");
    let deep = "(lambda f: f(f, 101))(lambda f, n: {'d': f(f, n - 1)} if n else 1)";
    let kind = |path: &str, kind: &str, hint: &str| {
        format!("`{path}` is a `{kind}`, which cannot be stored; hint: {hint}")
    };
    let fields = "store its fields, or its text";
    let large = "more than 64 bits hold; hint: store it as text or a float";
    let deepest = format!("`{}` is nested more than 100 levels deep", ["d"; 100].join("."));
    let rows = [
        ("{'a': {'b': {1}}}", kind("a.b", "builtins.set", "make it a list")),
        ("{'a': [0, {'b': object()}]}", kind("a[1].b", "builtins.object", fields)),
        ("{'a': timedelta(1)}", kind("a", "datetime.timedelta", fields)),
        ("{'a': 1j}", kind("a", "builtins.complex", fields)),
        (
            "{'a': data}",
            kind("a", "google.protobuf.any_pb2.Any", "use google.protobuf.json_format.MessageToDict"),
        ),
        ("{'a': 2**63}", format!("`a` is 9.223e+18, {large}")),
        ("{'a': [-2**63 - 1]}", format!("`a[0]` is -9.223e+18, {large}")),
        ("{'a': '\\ud800'}", "`a` is no valid text: surrogates not allowed".to_owned()),
        ("{7: 1}", "a key at the top is 7, a `int`; hint: make it a text".to_owned()),
        ("{'a': {None: 1}}", "a key in `a` is None, a `NoneType`; hint: make it a text".to_owned()),
        ("{'a': {'b\\0': 1}}", "the key 'a.b\\x00' has a null character".to_owned()),
        (deep, deepest),
    ];
    for (document, expected) in rows {
        let (error, text) = raised(&service, &format!("ctx.db.save('c', {document})")).await;
        assert_eq!((&*error, &*text), ("DocumentError", &*expected), "{document}");
    }
    assert_eq!(service.workers("first"), worker);
    let ended = service.stop().await;
    assert_eq!(saved(&ended, "c").await, []);
}

/// Dicts that resemble Extended JSON reach the engine unchanged.
#[tokio::test]
async fn malformed_ids_and_dates_name_their_field() {
    let service = script::start().await;
    let host = service.workers("first");
    let rows = [
        ("{'a': {'b': {'$oid': 'junk'}}}", "a.b", "`$oid` is not 24 hexadecimal digits"),
        ("{'a': [1, {'$oid': 7}]}", "a[1]", "`$oid` is not 24 hexadecimal digits"),
        ("{'$oid': 'junk'}", "", "`$oid` is not 24 hexadecimal digits"),
        ("{'a': {'$date': 'tomorrow'}}", "a", "`$date` is not a time as in `2024-01-31T12:00:00Z` or "),
        ("{'a': {'$numberLong': '1', 'b': 2}}", "a", "`b` cannot be combined with `$numberLong`"),
    ];
    for (document, field, reason) in rows {
        let (error, text) = raised(&service, &format!("ctx.db.save('c', {document})")).await;
        let what = match field {
            "" => "not a document: ".to_owned(),
            field => format!("the field `{field}` is wrong: "),
        };
        let start = format!("[ctx.db.save] error saving the document: {what}{reason}");
        assert!(error == "DatabaseError" && text.starts_with(&start), "{document}: {error} {text}");
    }
    assert_eq!(service.workers("first"), host, "no process was ended");
    let ended = service.stop().await;
    assert_eq!(saved(&ended, "c").await, []);
    assert!(!ended.lines.text().contains("broke the node protocol"), "{}", ended.lines.text());
}

#[tokio::test]
async fn failed_saves_raise_an_error() {
    let service = script::start().await;
    let twice = "
        await ctx.db.save('people', {'_id': 'ada', 'n': 1})
        return await raised_by(ctx.db.save('people', {'_id': 'ada', 'n': 2}))
    ";
    let refused = script::value(&service, twice).await;
    assert_eq!(refused[0], "DatabaseError");
    let text = refused[1].as_str().unwrap().to_owned();
    assert!(text.starts_with("[ctx.db.save] error saving the document: ") && text.contains("_id"), "{text}");
    let uncaught = send(&service, "One", &["await ctx.db.save('people', {'_id': 'ada'})"]).await;
    assert_status(uncaught, Code::Internal, &format!("error in 'first': {text}"));
    for collection in ["a$b", "system.users", "a\\0"] {
        let (error, text) = raised(&service, &format!("ctx.db.save('{collection}', {{}})")).await;
        assert_eq!(error, "DatabaseError", "{text}");
        assert!(text.contains("cannot name a collection"), "{text}");
    }
    let ended = service.stop().await;
    assert_eq!(saved(&ended, "people").await, [doc! { "_id": "ada", "n": 1 }]);
}

#[tokio::test]
async fn found_documents_can_be_found_again() {
    let service = script::start().await;
    let code = "
        collection = ' of any name ☃ '
        saves = [ctx.db.save(collection, {'n': n}) for n in range(300)]
        await asyncio.gather(*saves)
        finds = [ctx.db.find(collection, {'n': n}) for n in range(300)]
        found = [document for [document] in await asyncio.gather(*finds)]
        again = [await ctx.db.find(collection, {'_id': document['_id']}) for document in found[:5]]
        none = await ctx.db.find('nobody saved here', {'n': 1})
        return [[d['n'] for d in found] == list(range(300)), again == [[d] for d in found[:5]], none,
                isinstance(found[0]['_id'], str), len(await ctx.db.find(collection, {'n': {'$gte': 0}}))]
    ";
    assert_eq!(script::value(&service, code).await, json!([true, true, [], true, 300]));
    service.stop().await;
}

#[tokio::test]
async fn searches_with_too_many_results_fail() {
    let service = script::start().await;
    let code = "
        for _ in range(9):
            await ctx.db.save('large', {'text': 'x' * (15 << 20)})
        await ctx.db.save('large', {'text': 'small'})
        found = await ctx.db.find('large', {'text': 'small'})
        return [len(found), *await raised_by(ctx.db.find('large', {'text': {'$exists': True}}))]
    ";
    let message = "[ctx.db.find] error getting data from MongoDB: the documents found have more than 128 MiB; \
                   hint: look for fewer at a time";
    assert_eq!(script::value(&service, code).await, json!([1, "DatabaseError", message]));
    service.stop().await;
}
