//! Objects that encode another value: `{"$date": …}` and the like.

use bson::{
    Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp, Uuid,
    oid::ObjectId, spec::BinarySubtype,
};

/// The value that an object encodes; most objects are plain.
pub(super) fn value(mut object: Document) -> Result<Bson, String> {
    let Some(name) = object.keys().next().filter(|name| is_extended(name)).cloned() else {
        return Ok(Bson::Document(object));
    };
    if name == "$code" || name == "$scope" {
        return code(object);
    }
    let value = object.remove(&name).unwrap_or(Bson::Null);
    if let Some(other) = object.keys().next() {
        return Err(format!("`{other}` cannot be combined with `{name}`"));
    }
    convert(&name, value).ok_or_else(|| format!("`{name}` is not {}", expected(&name)))
}

fn is_extended(name: &str) -> bool {
    name.starts_with('$') && !expected(name).is_empty()
}

/// The expected value inside such an object.
fn expected(name: &str) -> &'static str {
    match name {
        "$oid" => "24 hexadecimal digits",
        "$symbol" => "a text",
        "$numberInt" => "a text with a 32-bit integer",
        "$numberLong" => "a text with a 64-bit integer",
        "$numberDouble" => "a text with a number, `Infinity`, `-Infinity` or `NaN`",
        "$numberDecimal" => "a text with a decimal number of at most 34 digits",
        "$binary" => "an object with the texts `base64` and `subType`",
        "$uuid" => "a text with a UUID",
        "$code" | "$scope" => "a text, with a document beside it",
        "$timestamp" => "an object with the integers `t` and `i`",
        "$regularExpression" => "an object with the texts `pattern` and `options`",
        "$date" => "a time as in `2024-01-31T12:00:00Z` or milliseconds since 1970",
        "$minKey" | "$maxKey" => "1",
        "$undefined" => "true",
        "$dbPointer" => "supported: save the collection and the `_id` as fields of their own",
        _ => "",
    }
}

fn convert(name: &str, value: Bson) -> Option<Bson> {
    match (name, value) {
        ("$oid", Bson::String(text)) => ObjectId::parse_str(text).ok().map(Bson::ObjectId),
        ("$symbol", Bson::String(text)) => Some(Bson::Symbol(text)),
        ("$numberInt", Bson::String(text)) => text.parse().ok().map(Bson::Int32),
        ("$numberLong", Bson::String(text)) => text.parse().ok().map(Bson::Int64),
        ("$numberDouble", Bson::String(text)) => double(&text).map(Bson::Double),
        ("$numberDecimal", Bson::String(text)) => text.parse::<Decimal128>().ok().map(Bson::Decimal128),
        ("$uuid", Bson::String(text)) => {
            Uuid::parse_str(text).ok().map(|uuid| Bson::Binary(Binary::from_uuid(uuid)))
        }
        ("$date", value) => date(value).map(Bson::DateTime),
        ("$minKey", Bson::Int32(1)) => Some(Bson::MinKey),
        ("$maxKey", Bson::Int32(1)) => Some(Bson::MaxKey),
        ("$undefined", Bson::Boolean(true)) => Some(Bson::Undefined),
        ("$binary", Bson::Document(parts)) => binary(&parts).map(Bson::Binary),
        ("$timestamp", Bson::Document(parts)) => timestamp(&parts).map(Bson::Timestamp),
        ("$regularExpression", Bson::Document(parts)) => regex(&parts).map(Bson::RegularExpression),
        _ => None,
    }
}

fn double(text: &str) -> Option<f64> {
    match text {
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust parses more words than these.
        number => number.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

fn date(value: Bson) -> Option<DateTime> {
    match value {
        Bson::String(text) => DateTime::parse_rfc3339_str(text).ok(),
        Bson::Int64(millis) => Some(DateTime::from_millis(millis)),
        Bson::Int32(millis) => Some(DateTime::from_millis(millis.into())),
        _ => None,
    }
}

fn binary(parts: &Document) -> Option<Binary> {
    let (base64, subtype) = (text(parts, "base64")?, text(parts, "subType")?);
    let subtype = BinarySubtype::from(u8::from_str_radix(subtype, 16).ok()?);
    (parts.len() == 2).then(|| Binary::from_base64(base64, subtype).ok()).flatten()
}

fn timestamp(parts: &Document) -> Option<Timestamp> {
    let number = |name| match parts.get(name)? {
        Bson::Int32(number) => u32::try_from(*number).ok(),
        Bson::Int64(number) => u32::try_from(*number).ok(),
        _ => None,
    };
    let (time, increment) = (number("t")?, number("i")?);
    (parts.len() == 2).then_some(Timestamp { time, increment })
}

fn regex(parts: &Document) -> Option<Regex> {
    let (pattern, options) = (text(parts, "pattern")?, text(parts, "options")?);
    let mut options: Vec<char> = options.chars().collect();
    options.sort_unstable();
    let options: String = options.into_iter().collect();
    let (pattern, options) = (pattern.to_owned().try_into().ok()?, options.try_into().ok()?);
    (parts.len() == 2).then_some(Regex { pattern, options })
}

fn code(mut object: Document) -> Result<Bson, String> {
    let (code, scope, count) = (object.remove("$code"), object.remove("$scope"), object.len());
    match (code, scope, count) {
        (Some(Bson::String(code)), None, 0) => Ok(Bson::JavaScriptCode(code)),
        (Some(Bson::String(code)), Some(Bson::Document(scope)), 0) => {
            Ok(Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope }))
        }
        _ => Err(format!("`$code` is not {}", expected("$code"))),
    }
}

fn text<'a>(parts: &'a Document, name: &str) -> Option<&'a str> {
    parts.get(name)?.as_str()
}
