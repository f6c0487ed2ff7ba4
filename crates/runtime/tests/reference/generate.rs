//! Generates texts that are mostly valid messages of a type: every kind of field, in both spellings, with its
//! edge values.

use fastrand::Rng;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

pub(crate) struct Generator {
    random: Rng,
    /// The number of messages that may still begin.
    left: usize,
    /// One value in this many is invalid.
    rarity: u32,
    /// Whether an `Any` may hold a message.
    pub(crate) anys: bool,
}

const DOUBLES: &[&str] = &[
    "0",
    "-0.0",
    "0.0",
    "1",
    "-1.5",
    "1e3",
    "-1E-3",
    "\"NaN\"",
    "\"Infinity\"",
    "\"-Infinity\"",
    "\"1.5\"",
    "\"1e3\"",
    "\"-0.0\"",
    "1.7976931348623157e308",
    "5e-324",
    "0.1",
    "9007199254740993",
    "123456789.123456789",
    "2.2250738585072011e-308",
    "18446744073709551616",
    "\"+1.5\"",
    "\".5\"",
    "\"5.\"",
];
const FLOATS: &[&str] = &[
    "0",
    "-0.0",
    "1",
    "0.1",
    "-1.5",
    "16777217",
    "1e-45",
    "3.4028234663852886e38",
    "\"NaN\"",
    "\"-Infinity\"",
    "\"0.1\"",
    "1.17549435e-38",
    "1e20",
];
const SMALL: &[&str] =
    &["0", "1", "7", "1.0", "1e2", "\"12\"", "\"1e2\"", "\"1.0\"", "2147483647", "12.0e1", "-0"];
const NEGATIVE: &[&str] = &["-1", "-2147483648", "\"-7\"", "-1.0"];
const LARGE: &[&str] = &["9007199254740993", "\"9223372036854775807\"", "4294967296", "9223372036854775807"];
const TEXTS: &[&str] = &[
    "\"\"",
    "\"a\"",
    "\"é\\u00e9\\ud83d\\ude00\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\"",
    "\"1\"",
    "\"null\"",
    "\"\u{2028}\u{7f}<&>\"",
];
const BYTES: &[&str] =
    &["\"\"", "\"AAE=\"", "\"AAE\"", "\"-_8=\"", "\"+/8\"", "\"AB==\"", "\"AAECAwQFBgcICQ==\"", "\"AA E=\""];
const TIMES: &[&str] = &[
    "\"1970-01-01T00:00:00Z\"",
    "\"0001-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:59.999999999Z\"",
    "\"2024-02-29T12:30:15.25+05:30\"",
    "\"1969-12-31T23:59:59.000001-00:00\"",
];
const SPANS: &[&str] =
    &["\"0s\"", "\"1.5s\"", "\"-0.000000001s\"", "\"315576000000s\"", "\"-3.100s\"", "\"007s\""];
const MASKS: &[&str] = &["\"\"", "\"a\"", "\"fooBar,a.bC\"", "\"a,,b\"", "\"Ab\""];
const FREE: &[&str] = &[
    "null",
    "true",
    "1",
    "-1.5",
    "1e300",
    "9007199254740993",
    "\"text\"",
    "[]",
    "{}",
    "[1, [null], {\"a\": []}]",
    "{\"a\": {\"b\": [1.0, \"x\", null]}, \"c\": false}",
    "-0.0",
];
const WRONG: &[&str] = &[
    "null",
    "true",
    "\"x\"",
    "5",
    "-1",
    "1.5",
    "[]",
    "{}",
    "[null]",
    "\"\"",
    "2147483648",
    "4294967296",
    "9223372036854775808",
    "18446744073709551616",
    "1e400",
    "NaN",
    "{\"a\": 1}",
    "\"1970-01-01\"",
    "\"-1\"",
];

/// The seed of a run: `KRT_JSON_SEED`, or any. A test prints it, so that a failed run can be repeated.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("KRT_JSON_SEED").ok().map(|seed| seed.parse().unwrap());
    seed.unwrap_or_else(|| fastrand::u64(..1 << 32))
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            left: 6,
            rarity: if seed.is_multiple_of(3) { 15 } else { u32::MAX },
            anys: true,
        }
    }

    /// Generates the text of a message.
    pub(crate) fn message(&mut self, kind: &MessageDescriptor) -> String {
        if let Some(text) = self.well_known(kind) {
            return text;
        }
        let fields: Vec<_> = kind.fields().collect();
        let count = if self.left == 0 || fields.is_empty() { 0 } else { self.random.usize(0..5) };
        self.left = self.left.saturating_sub(1);
        let mut members: Vec<String> = Vec::new();
        let (mut used, mut groups) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let field = &fields[self.random.usize(..fields.len())];
            let group = field.containing_oneof().map(|group| group.full_name().to_owned());
            if used.contains(&field.number()) || group.as_ref().is_some_and(|group| groups.contains(group)) {
                continue;
            }
            used.push(field.number());
            groups.extend(group);
            members.push(format!("{:?}: {}", self.name(field), self.field(field)));
        }
        members.extend(self.extension(kind));
        format!("{{{}}}", members.join(", "))
    }

    fn name(&mut self, field: &FieldDescriptor) -> String {
        if self.wrong() {
            return "no such".to_owned();
        }
        if self.random.bool() { field.json_name().to_owned() } else { field.name().to_owned() }
    }

    fn extension(&mut self, kind: &MessageDescriptor) -> Option<String> {
        let extensions: Vec<_> = kind.extensions().collect();
        if extensions.is_empty() || self.left == 0 || self.random.bool() {
            return None;
        }
        let extension = &extensions[self.random.usize(..extensions.len())];
        let value = self.value(&extension.kind());
        let value = if extension.is_list() { format!("[{value}]") } else { value };
        Some(format!("\"[{}]\": {value}", extension.full_name()))
    }

    fn field(&mut self, field: &FieldDescriptor) -> String {
        // Python fails on null for a list of values: see `DIFFERENT`.
        if field.name() != "values" && self.random.u32(0..20) == 0 {
            return "null".to_owned();
        }
        match field.kind() {
            Kind::Message(entry) if field.is_map() => self.map(&entry),
            kind if field.is_list() => {
                let items: Vec<_> = (0..self.random.usize(0..4)).map(|_| self.value(&kind)).collect();
                format!("[{}]", items.join(","))
            }
            kind => self.value(&kind),
        }
    }

    fn map(&mut self, entry: &MessageDescriptor) -> String {
        let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let keys: &[&str] = match key {
            Kind::Bool => &["true", "false"],
            Kind::String => &["", "a", "é", "1", "a\\n"],
            Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => &["0", "7", "1e2", "4294967295"],
            _ => &["0", "-7", "7.0", "2147483647", "-2147483648"],
        };
        let from = self.random.usize(..keys.len());
        let entries = keys[from..].iter().take(self.random.usize(0..3));
        let entries: Vec<_> = entries.map(|key| format!("\"{key}\": {}", self.value(&value))).collect();
        format!("{{{}}}", entries.join(","))
    }

    fn value(&mut self, kind: &Kind) -> String {
        if self.wrong() {
            let wrong = self.pick(WRONG);
            // Where the sides differ intentionally, generate nothing.
            let different: &[&str] = match kind {
                Kind::Message(kind) if matches!(kind.name(), "DoubleValue" | "FloatValue") => {
                    &["[]", "\"\"", "NaN", "1e400", "true"]
                }
                Kind::Message(_) => &["[]", "\"\"", "NaN", "1e400"],
                Kind::Double | Kind::Float => &["true"],
                Kind::Enum(_) => &["true", "1.5", "4294967296", "18446744073709551616"],
                _ => &[],
            };
            if !different.contains(&&*wrong) {
                return wrong;
            }
        }
        match kind {
            Kind::Double if self.random.bool() => self.double(),
            Kind::Double => self.pick(DOUBLES),
            Kind::Float => self.pick(FLOATS),
            Kind::Bool => self.pick(&["true", "false"]),
            Kind::String => self.pick(TEXTS),
            Kind::Bytes => self.pick(BYTES),
            Kind::Enum(kind) if kind.full_name() == "google.protobuf.NullValue" => {
                self.pick(&["\"NULL_VALUE\"", "0"])
            }
            Kind::Enum(kind) if kind.name() == "OfMap" => self.pick(&["\"NONE\"", "\"SOME\"", "1"]),
            Kind::Enum(kind) if kind.name() == "Closed" => self.pick(&["\"FIRST\"", "4", "\"3\""]),
            Kind::Enum(_) => self.pick(&[
                "\"ZERO\"",
                "\"ONE\"",
                "\"ALSO_ONE\"",
                "\"MINUS\"",
                "1",
                "-1",
                "5",
                "1.0",
                "\"1\"",
                "\"-7\"",
            ]),
            Kind::Message(kind) => self.message(kind),
            Kind::Uint32 | Kind::Fixed32 => self.pick(SMALL),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => self.pick(&[SMALL, NEGATIVE].concat()),
            Kind::Uint64 | Kind::Fixed64 => self.pick(&[SMALL, LARGE].concat()),
            _ => self.pick(&[SMALL, NEGATIVE, LARGE].concat()),
        }
    }

    /// Any finite double, in its shortest representation.
    fn double(&mut self) -> String {
        let double = f64::from_bits(self.random.u64(..));
        if double.is_finite() { format!("{double:e}") } else { "0.5".to_owned() }
    }

    fn well_known(&mut self, kind: &MessageDescriptor) -> Option<String> {
        let value = kind.get_field(1).map(|field| field.kind());
        Some(match kind.full_name().strip_prefix("google.protobuf.")? {
            "Timestamp" => self.pick(TIMES),
            "Duration" => self.pick(SPANS),
            "FieldMask" => self.pick(MASKS),
            "Struct" => self.pick(&["{}", "{\"a\": 1, \"b\": [null, {\"c\": \"d\"}]}"]),
            "ListValue" => self.pick(&["[]", "[1, null, \"a\", [true], {}]"]),
            "Value" => self.pick(FREE),
            "Empty" => "{}".to_owned(),
            "Any" => self.any(kind),
            _ => self.value(&value?),
        })
    }

    fn any(&mut self, kind: &MessageDescriptor) -> String {
        if self.left == 0 || !self.anys {
            return "{}".to_owned();
        }
        let names = [
            "Duration",
            "Timestamp",
            "Struct",
            "Value",
            "Int64Value",
            "BytesValue",
            "Any",
            "FieldMask",
            "ListValue",
        ];
        if self.random.bool() {
            let name = format!("google.protobuf.{}", self.random.choice(names).unwrap());
            let inner = kind.parent_pool().get_message_by_name(&name).unwrap();
            self.left -= 1;
            return format!(
                r#"{{"value": {}, "@type": "type.googleapis.com/{name}"}}"#,
                self.message(&inner)
            );
        }
        let name = self.random.choice(["reference.All", "reference.Old", "google.protobuf.Empty"]).unwrap();
        let inner = kind.parent_pool().get_message_by_name(name).unwrap();
        let fields = self.message(&inner);
        let rest = fields[1..].trim_start();
        let comma = if rest == "}" { "" } else { ", " };
        format!(r#"{{"@type": "example.com/x/{name}"{comma}{rest}"#)
    }

    fn wrong(&mut self) -> bool {
        self.rarity != u32::MAX && self.random.u32(..self.rarity) == 0
    }

    fn pick(&mut self, from: &[&str]) -> String {
        from[self.random.usize(..from.len())].to_owned()
    }
}
