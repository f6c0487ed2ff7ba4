use super::*;
use bson::{Bson, Document, RawDocumentBuf, doc};
use proptest::{collection::vec, prelude::*};

#[test]
fn values_are_read() {
    let cases = [
        ("1", Bson::Int32(1)),
        ("-1", Bson::Int32(-1)),
        ("2147483648", Bson::Int64(1 << 31)),
        ("-9223372036854775808", Bson::Int64(i64::MIN)),
        ("18446744073709551615", Bson::Double(18446744073709551615.0)),
        ("1.0", Bson::Double(1.0)),
        ("0.1", Bson::Double(0.1)),
        ("null", Bson::Null),
        ("[1, [true]]", Bson::Array(vec![Bson::Int32(1), Bson::Array(vec![true.into()])])),
        (r#"{"$numberLong": "5"}"#, Bson::Int64(5)),
        (r#"{"$numberInt": "5"}"#, Bson::Int32(5)),
        (r#"{"$numberDouble": "-Infinity"}"#, Bson::Double(f64::NEG_INFINITY)),
        (r#"{"$numberDouble": "1"}"#, Bson::Double(1.0)),
        (r#"{"$date": "1970-01-01T00:00:01.5Z"}"#, Bson::DateTime(bson::DateTime::from_millis(1500))),
        (r#"{"$date": {"$numberLong": "-1"}}"#, Bson::DateTime(bson::DateTime::from_millis(-1))),
        (r#"{"$symbol": "s"}"#, Bson::Symbol("s".into())),
        (r#"{"$minKey": 1}"#, Bson::MinKey),
        (r#"{"$code": "f"}"#, Bson::JavaScriptCode("f".into())),
        (r#"{"$gt": 1}"#, Bson::Document(doc! { "$gt": 1 })),
        (r#"{"$regex": "a", "$options": "i"}"#, Bson::Document(doc! { "$regex": "a", "$options": "i" })),
        (r#"{"a": 1, "$oid": "x"}"#, Bson::Document(doc! { "a": 1, "$oid": "x" })),
        (
            r#"{"$timestamp": {"t": 4294967295, "i": 1}}"#,
            Bson::Timestamp(bson::Timestamp { time: u32::MAX, increment: 1 }),
        ),
        (
            r#"{"$binary": {"base64": "AQI=", "subType": "00"}}"#,
            Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1, 2] }),
        ),
    ];
    for (text, value) in cases {
        assert_eq!(parse_document(&format!("{{\"v\": {text}}}")), Ok(doc! { "v": value }), "{text}");
    }
}

#[test]
fn errors_name_the_field_and_the_location() {
    let cases = [
        ("", "not a document: EOF while parsing a value, line 1, column 0"),
        ("[1]", "not a document: expected an object, line 0, column 0"),
        ("{\"a\": 1} x", "not a document: trailing characters, line 1, column 10"),
        ("{\"a\": tru}", "not a document: expected ident, line 1, column 10"),
        (
            r#"{"a": {"b": [1, {"$oid": "x"}]}}"#,
            "the field `a.b[1]` is wrong: `$oid` is not 24 hexadecimal digits, line 1, column 29",
        ),
        (
            r#"{"a": {"$date": true}}"#,
            "the field `a` is wrong: `$date` is not a time as in `2024-01-31T12:00:00Z` or milliseconds \
             since 1970, line 1, column 21",
        ),
        (
            r#"{"a": {"$oid": "000000000000000000000000", "b": 1}}"#,
            "the field `a` is wrong: `b` cannot be combined with `$oid`, line 1, column 50",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(parse_document(text).unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn deep_text_is_refused() {
    let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert!(parse_document(&deep).is_err());
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse_document(&deep).is_err());
}

fn value() -> impl Strategy<Value = Bson> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>()
            .prop_filter("an Int32 when read again", |n| i32::try_from(*n).is_err())
            .prop_map(Bson::Int64),
        any::<f64>().prop_filter("not equal to itself", |n| !n.is_nan()).prop_map(Bson::Double),
        ".*".prop_map(Bson::String),
        any::<bool>().prop_map(Bson::Boolean),
        Just(Bson::Null),
        any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(bytes.into())),
        any::<i64>().prop_map(|millis| Bson::DateTime(bson::DateTime::from_millis(millis))),
        vec(any::<u8>(), 0..20).prop_map(|bytes| {
            Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes })
        }),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Bson::Array),
            vec(("[^\0$][^\0]{0,4}", inner), 0..5)
                .prop_map(|fields| Bson::Document(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn documents_round_trip(fields in vec(("[^\0$][^\0]{0,4}", value()), 0..5)) {
        let document: Document = fields.into_iter().collect();
        let text = to_json(&RawDocumentBuf::try_from(&document).unwrap());
        prop_assert_eq!(parse_document(&text), Ok(document), "{}", text);
    }

    #[test]
    fn hostile_text_never_panics(text in "[\\[\\]{}\":,$a-z0-9 .eE+-]{0,60}") {
        let _ = parse_document(&text);
        let _ = parse_document(&format!("{{\"a\":{text}}}"));
    }
}
