//! Edge cases that random generation would rarely produce: a type and a text.

const ALL: &str = "reference.All";
const OLD: &str = "reference.Old";
const TIMESTAMP: &str = "google.protobuf.Timestamp";
const DURATION: &str = "google.protobuf.Duration";
const MASK: &str = "google.protobuf.FieldMask";
const ANY: &str = "google.protobuf.Any";
const VALUE: &str = "google.protobuf.Value";
const STRUCT: &str = "google.protobuf.Struct";
const LIST: &str = "google.protobuf.ListValue";

/// Both sides parse the same message, or both refuse the text.
#[rustfmt::skip]
pub(crate) const SAME: &[(&str, &str)] = &[
    // The text as a whole.
    (ALL, ""), (ALL, " "), (ALL, "null"), (ALL, "\"{}\""), (ALL, "5"), (ALL, "{} {}"), (ALL, "{,}"), (ALL, "{\"bool\": true,}"),
    (ALL, " {\n} "), (ALL, "\u{feff}{}"), (ALL, "{'bool_': true}"), (ALL, "{\"bool_\": TRUE}"), (ALL, "// x\n{}"), (ALL, "{\"string_\": \"\n\"}"),
    // Names.
    (ALL, r#"{"int32": 1}"#), (ALL, r#"{"int32_": 1}"#), (ALL, r#"{"INT32_": 1}"#), (ALL, r#"{"inItself": {}, "maybe_long": 1}"#),
    (ALL, r#"{"in_itself": {"in_itself": {}}}"#), (ALL, r#"{"another-name": "a"}"#), (ALL, r#"{"named": "a"}"#), (ALL, r#"{"anotherName": "a"}"#),
    (ALL, r#"{"\u0062ool_": true}"#), (ALL, r#"{"int32_": 1, "int32_": 1}"#), (ALL, r#"{"int32_": 1, "int32_": null}"#), (ALL, r#"{"unknown": null}"#),
    (ALL, r#"{"": 1}"#), (ALL, r#"{"[reference.extra]": "a"}"#), (ALL, r#"{"1": 1}"#),
    // Whole numbers.
    (ALL, r#"{"int32_": 2147483647}"#), (ALL, r#"{"int32_": 2147483648}"#), (ALL, r#"{"int32_": -2147483648}"#), (ALL, r#"{"int32_": -2147483649}"#),
    (ALL, r#"{"uint32_": 4294967295}"#), (ALL, r#"{"uint32_": 4294967296}"#), (ALL, r#"{"uint32_": -1}"#), (ALL, r#"{"uint64_": "18446744073709551615"}"#),
    (ALL, r#"{"uint64_": 18446744073709551616}"#), (ALL, r#"{"int64_": "-9223372036854775808"}"#), (ALL, r#"{"int64_": 9223372036854775808}"#),
    (ALL, r#"{"int32_": 1.0}"#), (ALL, r#"{"int32_": 1e3}"#), (ALL, r#"{"int32_": 1.5}"#), (ALL, r#"{"int32_": "1e3"}"#), (ALL, r#"{"int32_": "1.5"}"#),
    (ALL, r#"{"int32_": "1.0"}"#), (ALL, r#"{"int32_": ""}"#), (ALL, r#"{"int32_": " 1"}"#), (ALL, r#"{"int32_": "1 "}"#), (ALL, r#"{"int32_": "0x1"}"#),
    (ALL, r#"{"int32_": "+1"}"#), (ALL, r#"{"int32_": "007"}"#), (ALL, r#"{"int32_": 01}"#), (ALL, r#"{"int32_": +1}"#), (ALL, r#"{"int32_": -0}"#),
    (ALL, r#"{"int32_": true}"#), (ALL, r#"{"int32_": []}"#), (ALL, r#"{"int32_": {}}"#), (ALL, r#"{"int64_": 1e18}"#), (ALL, r#"{"int64_": 1e19}"#),
    (ALL, r#"{"int64_": 1e400}"#), (ALL, r#"{"int64_": "1e400"}"#), (ALL, r#"{"int64_": "NaN"}"#), (ALL, r#"{"fixed64_": "1e19"}"#), (ALL, r#"{"int32_": null}"#),
    // Floating-point numbers.
    (ALL, r#"{"double_": -0.0}"#), (ALL, r#"{"float_": -0.0}"#), (ALL, r#"{"double_": "-0"}"#), (ALL, r#"{"double_": 0.0, "float_": 0}"#), (ALL, r#"{"double_": 1e400}"#),
    (ALL, r#"{"double_": -1e400}"#), (ALL, r#"{"double_": NaN}"#), (ALL, r#"{"double_": Infinity}"#), (ALL, r#"{"double_": "nan"}"#), (ALL, r#"{"double_": ""}"#),
    (ALL, r#"{"double_": "abc"}"#), (ALL, r#"{"float_": 3.5e38}"#), (ALL, r#"{"float_": -1e39}"#), (ALL, r#"{"float_": 1e-50}"#), (ALL, r#"{"double_": 1e-400}"#),
    (ALL, r#"{"double_": 0.1, "float_": 0.1}"#), (ALL, r#"{"double_": 123456789012345678901234567890}"#), (ALL, r#"{"double_": 9007199254740993}"#),
    (ALL, r#"{"double_": 2.4703282292062327208e-324}"#), (ALL, r#"{"double_": 8.41e21}"#), (ALL, r#"{"double_": 1.7976931348623158e308}"#), (ALL, r#"{"maybe_double": 0}"#),
    (ALL, r#"{"double_": 1.7976931348623159e308}"#), (ALL, r#"{"doubles": ["NaN", "-Infinity", -0.0]}"#), (ALL, r#"{"double_": "1,5"}"#), (ALL, r#"{"double_": "0x10"}"#),
    // Booleans, texts, bytes.
    (ALL, r#"{"bool_": "true"}"#), (ALL, r#"{"bool_": 1}"#), (ALL, r#"{"bool_": 0}"#), (ALL, r#"{"maybe_bool": false}"#), (ALL, r#"{"string_": 1}"#),
    (ALL, r#"{"string_": null}"#), (ALL, r#"{"string_": "\ud800"}"#), (ALL, r#"{"string_": "\udc00\ud800"}"#), (ALL, r#"{"string_": "\ud83d\ude00"}"#),
    (ALL, r#"{"string_": "\u0000"}"#), (ALL, r#"{"string_": "\q"}"#), (ALL, r#"{"string_": "\u12"}"#), (ALL, r#"{"maybe_string": ""}"#),
    (ALL, r#"{"bytes_": "AQI"}"#), (ALL, r#"{"bytes_": "AQI="}"#), (ALL, r#"{"bytes_": "-_-_"}"#), (ALL, r#"{"bytes_": "+/+/"}"#), (ALL, r#"{"bytes_": "-/8"}"#),
    (ALL, r#"{"bytes_": "A"}"#), (ALL, r#"{"bytes_": "AA\nAA"}"#), (ALL, r#"{"bytes_": "AB"}"#), (ALL, r#"{"bytes_": 1}"#), (ALL, r#"{"maybe_bytes": ""}"#),
    // Enums.
    (ALL, r#"{"kind": "ONE"}"#), (ALL, r#"{"kind": "ALSO_ONE"}"#), (ALL, r#"{"kind": "one"}"#), (ALL, r#"{"kind": 7}"#), (ALL, r#"{"kind": "7"}"#), (ALL, r#"{"kind": ""}"#),
    (ALL, r#"{"kind": 2147483648}"#), (ALL, r#"{"kind": 1.0}"#), (ALL, r#"{"kind": null}"#), (ALL, r#"{"maybe_kind": "ZERO"}"#), (ALL, r#"{"kind": []}"#), (ALL, r#"{"kinds": ["ONE", 9, "NONE"]}"#),
    (OLD, r#"{"closed": 4, "closeds": ["FIRST", 4]}"#), (OLD, r#"{"closed": 5}"#), (OLD, r#"{"closed": "FIFTH"}"#), (OLD, r#"{"byName": {"a": "SOME", "b": "NONE"}}"#), (OLD, r#"{"byName": {"a": 9}}"#),
    // Lists, maps, null.
    (ALL, r#"{"ints": null, "alls": null, "byString": null, "inItself": null}"#), (ALL, r#"{"ints": [1, null]}"#), (ALL, r#"{"alls": [null]}"#), (ALL, r#"{"ints": 1}"#),
    (ALL, r#"{"ints": {}}"#), (ALL, r#"{"ints": [[1]]}"#), (ALL, r#"{"ints": []}"#), (ALL, r#"{"unpacked": [1, 2]}"#), (ALL, r#"{"timestamps": [null]}"#), (ALL, r#"{"wrappedLongs": [null]}"#),
    (ALL, r#"{"values": [null, 1]}"#), (ALL, r#"{"byString": []}"#), (ALL, r#"{"byString": {"a": null}}"#), (ALL, r#"{"byString": {"a": "1", "a": "2"}}"#), (ALL, r#"{"byInt64": {"1": null}}"#),
    (ALL, r#"{"valuesByName": {"a": null}}"#), (ALL, r#"{"byInt32": {"1": 1, "-1": 2}}"#), (ALL, r#"{"byInt32": {"1.0": 1}}"#), (ALL, r#"{"byInt32": {"1.5": 1}}"#), (ALL, r#"{"byInt32": {"": 1}}"#),
    (ALL, r#"{"byInt32": {"x": 1}}"#), (ALL, r#"{"byInt32": {"2147483648": 1}}"#), (ALL, r#"{"byUint32": {"-1": ""}}"#), (ALL, r#"{"byBool": {"true": "a", "false": "b"}}"#),
    (ALL, r#"{"byBool": {"True": "a"}}"#), (ALL, r#"{"byBool": {"1": "a"}}"#), (ALL, r#"{"byFixed64": {"1": "1970-01-01T00:00:00Z"}}"#), (ALL, r#"{"byFixed64": {"1": null}}"#),
    // Oneofs.
    (ALL, r#"{"oneString": "", "oneLong": 1}"#), (ALL, r#"{"oneString": "", "oneLong": null}"#), (ALL, r#"{"oneString": null, "oneLong": null}"#), (ALL, r#"{"oneString": "", "otherBool": false}"#),
    (ALL, r#"{"oneNull": null}"#), (ALL, r#"{"oneValue": null}"#), (ALL, r#"{"oneNull": "NULL_VALUE"}"#), (ALL, r#"{"oneAll": {}}"#), (ALL, r#"{"oneDouble": 0}"#), (ALL, r#"{"null": null}"#),
    (ALL, r#"{"one_string": "a", "oneString": "a"}"#),
    // Times.
    (TIMESTAMP, r#""0001-01-01T00:00:00Z""#), (TIMESTAMP, r#""9999-12-31T23:59:59.999999999Z""#), (TIMESTAMP, r#""0000-12-31T23:59:59Z""#), (TIMESTAMP, r#""10000-01-01T00:00:00Z""#),
    (TIMESTAMP, r#""0001-01-01T00:00:00+00:01""#), (TIMESTAMP, r#""9999-12-31T23:59:59-00:01""#), (TIMESTAMP, r#""1970-01-01T00:00:00.000000001Z""#), (TIMESTAMP, r#""1970-01-01T00:00:00.1234567891Z""#),
    (TIMESTAMP, r#""1970-01-01T00:00:00""#), (TIMESTAMP, r#""1970-01-01t00:00:00Z""#), (TIMESTAMP, r#""1970-01-01T00:00:00z""#), (TIMESTAMP, r#""1970-01-01T23:59:60Z""#), (TIMESTAMP, r#""2023-02-29T00:00:00Z""#),
    (TIMESTAMP, r#""1970-01-01T01:00:00+01:00""#), (TIMESTAMP, r#""1970-01-01T00:00:00+0100""#), (TIMESTAMP, r#""1970-01-01 00:00:00Z""#), (TIMESTAMP, "0"), (TIMESTAMP, "null"), (TIMESTAMP, "{}"), (TIMESTAMP, "\"\""),
    (DURATION, r#""315576000000s""#), (DURATION, r#""-315576000000s""#), (DURATION, r#""315576000001s""#), (DURATION, r#""0.000000001s""#), (DURATION, r#""-0.5s""#), (DURATION, r#""1.5""#), (DURATION, r#""s""#),
    (DURATION, r#""1S""#), (DURATION, "1"), (DURATION, r#""abcs""#), (DURATION, r#""1.5.5s""#), (DURATION, r#""""#),
    (MASK, r#""""#), (MASK, r#""fooBar,a.b""#), (MASK, r#""foo_bar""#), (MASK, "[]"), (MASK, r#""a,,b""#), (MASK, r#""Foo""#),
    // Free-form data.
    (VALUE, "null"), (VALUE, "1"), (VALUE, "\"a\""), (VALUE, "true"), (VALUE, "[]"), (VALUE, "{}"), (VALUE, r#"{"a": [null, {"b": -0.0}]}"#), (STRUCT, "null"), (STRUCT, "[]"), (STRUCT, r#"{"a": 1, "a": 2}"#),
    (LIST, "{}"), (LIST, "null"), (LIST, "[null, [], {}]"), (ALL, r#"{"struct": null, "list": null, "value": null}"#), (ALL, r#"{"struct": {}, "list": []}"#),
    // Any.
    (ANY, "{}"), (ANY, r#"{"@type": ""}"#), (ANY, r#"{"value": "1s"}"#), (ANY, r#"{"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}"#),
    (ANY, r#"{"value": "1s", "@type": "type.googleapis.com/google.protobuf.Duration"}"#), (ANY, r#"{"@type": "type.googleapis.com/google.protobuf.Duration"}"#), (ANY, r#"{"@type": 5}"#),
    (ANY, r#"{"@type": "type.googleapis.com/none.None"}"#), (ANY, r#"{"@type": "google.protobuf.Duration", "value": "1s"}"#), (ANY, r#"{"@type": "x/reference.All", "int32_": 1, "alls": [{}]}"#),
    (ANY, r#"{"@type": "x/reference.All", "value": {"a": 1}}"#), (ANY, r#"{"@type": "x/reference.All", "@type": "x/reference.All"}"#), (ANY, r#"{"@type": "x/google.protobuf.Empty"}"#),
    (ANY, r#"{"@type": "x/google.protobuf.Any", "value": {"@type": "x/google.protobuf.Int64Value", "value": "1"}}"#), (ANY, r#"{"@type": "x/google.protobuf.Value", "value": null}"#),
    (ANY, r#"{"@type": "x/google.protobuf.Int32Value", "value": null}"#), (ANY, "null"), (ANY, "[]"), (ANY, r#"{"@type": "x/reference.Old", "[reference.extra]": "a"}"#),
    (ALL, r#"{"any": {}, "anys": [{}, {"@type": "x/google.protobuf.Struct", "value": {}}]}"#), (ALL, r#"{"anys": [null]}"#),
    // Wrappers.
    (ALL, r#"{"wrappedLong": 0, "wrappedString": "", "wrappedBool": false, "wrappedBytes": ""}"#), (ALL, r#"{"wrappedLong": null}"#), (ALL, r#"{"wrappedLong": {"value": 1}}"#),
    (ALL, r#"{"wrappedDouble": "NaN", "wrappedFloat": -0.0}"#), (ALL, r#"{"wrappedUint": -1}"#), ("google.protobuf.Int64Value", "\"5\""), ("google.protobuf.Int64Value", "null"),
    // proto2.
    (OLD, r#"{"number": 7, "real": 1.5}"#), (OLD, r#"{"part": {"text": "a", "inner": {"part": {}}}}"#), (OLD, r#"{"Part": {}}"#), (OLD, r#"{"parts": [{"long": "1"}, {}]}"#),
    (OLD, r#"{"[reference.extra]": "a", "[reference.extras]": [1, 2], "[reference.more]": {"number": 0}}"#), (OLD, r#"{"[reference.none]": 1}"#), (OLD, r#"{"[reference.extra]": 5}"#),
    (OLD, r#"{"extra": "a"}"#), (OLD, r#"{"packed": [1, 2], "text": null}"#),
];

/// Intentional differences, as in `docs/json.md`: the message that we parse, formatted again, or `None` if we
/// refuse the text.
#[rustfmt::skip]
pub(crate) const DIFFERENT: &[(&str, &str, Option<&str>)] = &[
    // Only an object is a message, not another empty value.
    (ALL, "[]", None),
    (ALL, "\"\"", None),
    (ALL, r#"{"inItself": []}"#, None),
    // A null list of values, on which Python fails.
    (ALL, r#"{"values": null}"#, Some("{}")),
    // Both spellings of one field; Python uses the later one.
    (ALL, r#"{"inItself": {}, "in_itself": {"bool_": true}}"#, None),
    (ALL, r#"{"maybeLong": 1, "maybe_long": null}"#, None),
    // A oneof whose first member has null as value.
    (ALL, r#"{"oneNull": null, "oneLong": 1}"#, None),
    (ALL, r#"{"oneValue": null, "oneLong": 1}"#, None),
    // Two map keys that are the same number.
    (ALL, r#"{"byInt32": {"1": 1, "01": 2}}"#, None),
    (ALL, r#"{"byInt32": {"1": 1, "1.0": 2}}"#, None),
    // Numbers are parsed exactly, or refused.
    (ALL, r#"{"int64_": 9007199254740993.0}"#, Some(r#"{"int64":"9007199254740993"}"#)),
    (ALL, r#"{"int64_": "9007199254740993e0"}"#, Some(r#"{"int64":"9007199254740993"}"#)),
    (ALL, r#"{"uint64_": 18446744073709551615.0}"#, Some(r#"{"uint64":"18446744073709551615"}"#)),
    (ALL, r#"{"double_": -0}"#, Some(r#"{"double":-0.0}"#)),
    (ALL, r#"{"double_": "1e400"}"#, None),
    (ALL, r#"{"float_": "1e39"}"#, None),
    (ALL, r#"{"float_": 1000000000000000000000000000000000000000}"#, None),
    (ALL, r#"{"float_": 3.4028235e38}"#, Some(r#"{"float":3.4028235e+38}"#)),
    (VALUE, "NaN", None),
    (VALUE, "1e400", None),
    // Quoted numbers follow JSON, with an optional sign and leading zeros at most.
    (ALL, r#"{"int32_": "1_000"}"#, None),
    (ALL, r#"{"int32_": "\n1"}"#, None),
    (ALL, r#"{"int32_": "١"}"#, None),
    (ALL, r#"{"double_": " 1"}"#, None),
    (ALL, r#"{"double_": "1_0"}"#, None),
    (ALL, r#"{"double_": "inf"}"#, None),
    (ALL, r#"{"double_": "infinity"}"#, None),
    (ALL, r#"{"double_": "-nan"}"#, None),
    (ALL, r#"{"double_": true}"#, None),
    // Invalid enum values.
    (ALL, r#"{"kind": 1.5}"#, None),
    (ALL, r#"{"kind": true}"#, None),
    // Python uses the lower 32 bits.
    (ALL, r#"{"kind": 4294967296}"#, None),
    // Invalid Base64.
    (ALL, r#"{"bytes_": "*"}"#, None),
    (ALL, r#"{"bytes_": "AA.AA"}"#, None),
    (ALL, r#"{"bytes_": "AA===="}"#, None),
    // Times follow RFC 3339 and the definition of durations.
    (TIMESTAMP, r#""1970-1-1T0:0:0Z""#, None),
    (TIMESTAMP, r#""1970-01-01T00:00:00.Z""#, None),
    (TIMESTAMP, r#""1970-01-01T00:00:00+1:0""#, None),
    (TIMESTAMP, r#""1970-01-02T00:00:00+24:00""#, None),
    (DURATION, r#""1.0000000001s""#, None),
    (DURATION, r#""1.s""#, None),
    (DURATION, r#""+1s""#, None),
    (DURATION, r#"" 1s""#, None),
    // Further members besides the value of an Any.
    (ANY, r#"{"@type": "x/google.protobuf.Duration", "value": "1s", "more": 1}"#, None),
    // The empty message of an Any in Go's format.
    (ANY, r#"{"@type": "x/google.protobuf.Empty", "value": {}}"#, Some(r#"{"@type":"x/google.protobuf.Empty"}"#)),
    // Deeper than parsers of its bytes allow.
    (STRUCT, concat!(
        r#"{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":"#,
        r#"{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":1"#,
        "}}}}}}}}}}}}}}}}}}}}", "}}}}}}}}}}}}}}}}}"), None),
];
