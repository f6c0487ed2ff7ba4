use super::*;
use crate::point::Value;
use proptest::{collection::vec, prelude::*};

type Fields = Vec<(String, Value<'static>)>;

fn build(points: &[(i64, Fields)]) -> Builder {
    let mut builder = Builder::default();
    add(&mut builder, points);
    builder
}

fn add(builder: &mut Builder, points: &[(i64, Fields)]) {
    for (time, fields) in points {
        builder.start(*time);
        for (position, (name, value)) in fields.iter().enumerate() {
            builder.field(position, name, value);
        }
    }
}

/// The points of a chunk with their fields by name; of two fields with the same name the first is kept.
fn points(chunk: &Chunk<'_>) -> Vec<(i64, Vec<(String, String)>)> {
    let row = |index: usize| {
        let fields = chunk
            .columns
            .iter()
            .filter_map(|(name, values)| Some((name.to_string(), format!("{:?}", values[index].as_ref()?))));
        let mut fields: Vec<_> = fields.collect();
        fields.sort();
        fields
    };
    chunk.times.iter().enumerate().map(|(index, &time)| (time, row(index))).collect()
}

fn expected(points: &[(i64, Fields)]) -> Vec<(i64, Vec<(String, String)>)> {
    let row = |fields: &Fields| {
        let mut kept: Vec<(String, String)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (name, value) in fields {
            if seen.insert((name, std::mem::discriminant(value))) {
                kept.push((name.clone(), format!("{value:?}")));
            }
        }
        kept.sort();
        kept
    };
    points.iter().map(|(time, fields)| (*time, row(fields))).collect()
}

fn value() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        "[a-c]{0,2}".prop_map(|text| Value::Text(text.into())),
        ".{0,20}".prop_map(|text| Value::Text(text.into())),
        any::<u128>().prop_map(|bits| Value::Text(uuid(bits).into())),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        (0..10_000_000_000_i64).prop_map(|nanos| Value::Float(nanos as f64 / 1e6)),
        any::<bool>().prop_map(Value::Bool),
    ]
}

fn uuid(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn fields() -> impl Strategy<Value = Fields> {
    vec(("[a-e]", value()), 0..6)
}

/// Points that differ, and points that are all alike, as most real ones are.
fn any_points() -> impl Strategy<Value = Vec<(i64, Fields)>> {
    let alike = (vec(value(), 1..5), vec(any::<i64>(), 1..50)).prop_map(|(values, times)| {
        let named = |(index, value): (usize, &Value<'static>)| (format!("f{index}"), value.clone());
        let fields: Fields = values.iter().enumerate().map(named).collect();
        times.into_iter().map(|time| (time, fields.clone())).collect()
    });
    prop_oneof![vec((any::<i64>(), fields()), 0..40), alike]
}

proptest! {
    #[test]
    fn points_round_trip(points_in in any_points()) {
        let bytes = build(&points_in).encode();
        let chunk = decode(&bytes, |_| true).unwrap();
        prop_assert_eq!(points(&chunk), expected(&points_in));
    }

    #[test]
    fn numbers_are_those_of_their_field(points_in in any_points()) {
        let bytes = build(&points_in).encode();
        let chunk = decode(&bytes, |_| true).unwrap();
        for field in ["a", "b", "f0", "f1"] {
            let columns = chunk.columns.iter().filter(|(name, _)| *name == field);
            let cells = columns.flat_map(|(_, values)| chunk.times.iter().zip(values));
            let of = |(&time, value): (&i64, &Option<Value<'_>>)| Some((time, value.as_ref()?.number()?.to_bits()));
            let expected: Vec<_> = cells.filter_map(of).collect();
            let found = numbers(&bytes, field).unwrap();
            let found: Vec<_> = found.into_iter().map(|(time, number)| (time, number.to_bits())).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn numeric_fields_are_those_with_numbers(points_in in any_points()) {
        let bytes = build(&points_in).encode();
        let chunk = decode(&bytes, |_| true).unwrap();
        let has_numbers = |values: &[Option<Value<'_>>]| values.iter().flatten().any(|value| value.number().is_some());
        let expected = chunk.columns.iter().filter(|(_, values)| has_numbers(values)).map(|(name, _)| *name);
        prop_assert_eq!(numeric_fields(&bytes).unwrap(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_builder_is_used_again(first in any_points(), second in any_points()) {
        let mut builder = build(&first);
        builder.clear();
        add(&mut builder, &second);
        prop_assert_eq!(points(&decode(&builder.encode(), |_| true).unwrap()), expected(&second));
    }

    #[test]
    fn damage_never_panics(points_in in any_points(), at: prop::sample::Index, to: u8, cut: prop::sample::Index) {
        let mut bytes = build(&points_in).encode();
        let index = at.index(bytes.len());
        bytes[index] = to;
        let _ = (decode(&bytes, |_| true), numbers(&bytes, "a"), numeric_fields(&bytes));
        let _ = decode(&bytes[..cut.index(bytes.len())], |_| true);
    }

    #[test]
    fn noise_never_panics(mut bytes in vec(any::<u8>(), 0..200)) {
        bytes.insert(0, FORMAT);
        let _ = decode(&bytes, |_| true);
    }
}

#[test]
fn measurements_of_the_engine_are_small() {
    let mut builder = Builder::default();
    for index in 0..1000_i64 {
        builder.start(1_700_000_000_000_000_000 + index * 50_000);
        let id = uuid((0x018b_cfe5_6800 << 80) | u128::from(index.unsigned_abs()).pow(7));
        builder.field(0, "tracking_id", &id.as_str().into());
        builder.field(1, "node_from", &"entrypoint".into());
        builder.field(2, "elapsed_ms", &((500_000 + index * 1000) as f64 / 1e6).into());
        builder.field(3, "waiting_ms", &((index * 137) as f64 / 1e6).into());
    }
    let size = builder.encode().len();
    assert!(size < 1000 * 22, "{size} bytes");
}

#[test]
fn unwanted_fields_are_skipped() {
    let mut builder = Builder::default();
    builder.start(1);
    builder.field(0, "a", &"text".into());
    builder.field(1, "b", &2.5.into());
    let bytes = builder.encode();
    let chunk = decode(&bytes, |name| name == "b").unwrap();
    assert_eq!(chunk.columns, [("b", vec![Some(Value::Float(2.5))])]);
}

#[test]
fn a_chunk_is_full_in_time() {
    let mut rows = Builder::default();
    while !rows.is_full() {
        rows.start(0);
        rows.field(0, "a", &1_i64.into());
    }
    assert_eq!(rows.len(), MAX_ROWS);
    assert!(decode(&rows.encode(), |_| true).is_some());

    let mut columns = Builder::default();
    for row in 0.. {
        if columns.is_full() {
            break;
        }
        columns.start(0);
        (0..255).for_each(|field| columns.field(field, &format!("{row}-{field}"), &true.into()));
    }
    let bytes = columns.encode();
    assert!(decode(&bytes, |_| true).is_some_and(|chunk| chunk.columns.len() <= MAX_COLUMNS));
}
