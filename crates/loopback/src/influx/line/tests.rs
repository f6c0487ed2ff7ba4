use super::*;
use proptest::prelude::*;

fn one(body: &str) -> Result<Line<'_>, String> {
    let mut all = lines(body.as_bytes(), Precision::Nanoseconds);
    let first = all.next().expect("there is a line").map_err(|error| error.to_string());
    assert!(all.next().is_none(), "{body:?} is one line");
    first
}

fn line<'a>(
    measurement: &str,
    tags: &[(&str, &str)],
    fields: &[(&str, Value<'a>)],
    time: Option<i64>,
) -> Line<'a> {
    let owned = |text: &str| text.to_owned();
    Line {
        measurement: owned(measurement),
        tags: tags.iter().map(|(name, value)| (owned(name), owned(value))).collect(),
        fields: fields.iter().map(|(name, value)| (owned(name), value.clone())).collect(),
        time,
    }
}

#[test]
fn points() {
    let f = [("f", Value::Int(1))];
    let cases = [
        ("m f=1i", line("m", &[], &f, None)),
        ("  m,a=b   f=1i   -7  ", line("m", &[("a", "b")], &f, Some(-7))),
        ("m f=1i 12\r", line("m", &[], &f, Some(12))),
        (r"a\ b\,c=d,t\ 1=x\,y\=z f=1i", line("a b,c=d", &[("t 1", "x,y=z")], &f, None)),
        (r"a\=b,t=x=y f=1i", line(r"a\=b", &[("t", "x=y")], &f, None)),
        (r"m,path=C:\dir f=1i", line("m", &[("path", r"C:\dir")], &f, None)),
        (r#"m f="say \"a\\b\" \n, = ""#, line("m", &[], &[("f", r#"say "a\b" \n, = "#.into())], None)),
        ("m f=\"a\nb\" 1", line("m", &[], &[("f", "a\nb".into())], Some(1))),
        ("m f=\"\"", line("m", &[], &[("f", "".into())], None)),
        (r"m f\,\=\ g=2u", line("m", &[], &[("f,= g", Value::Int(2))], None)),
        ("m \"f\"=1", line("m", &[], &[("\"f\"", Value::Float(1.0))], None)),
        ("m f=1,g=t,f=F", line("m", &[], &[("g", true.into()), ("f", false.into())], None)),
        ("é,t=日本 f=-1.5e-3", line("é", &[("t", "日本")], &[("f", Value::Float(-0.0015))], None)),
        ("m f=-9223372036854775808i", line("m", &[], &[("f", Value::Int(i64::MIN))], None)),
    ];
    for (body, expected) in cases {
        assert_eq!(one(body).as_ref(), Ok(&expected), "{body}");
    }
}

/// Names are compared with each other: without a bound, a line of 20 MB would take hours.
#[test]
fn tags_and_fields_are_bounded() {
    let named = |count: usize, value: &str| {
        (0..count).map(|index| format!("n{index}={value}")).collect::<Vec<_>>().join(",")
    };
    let counted = |body: String| {
        one(&body).map(|line| line.fields.len() + line.tags.len()).map_err(|error| reason(&error))
    };
    assert_eq!(counted(format!("m,{} f=1", named(255, "a"))), Ok(256));
    assert_eq!(counted(format!("m {}", named(255, "1"))), Ok(255));
    assert_eq!(counted(format!("m {}", named(255, "1").repeat(3).replace("1n", "1,n"))), Ok(255));
    assert_eq!(counted(format!("m,{} f=1", named(256, "a"))), Err("more than 255 tags".to_owned()));
    assert_eq!(counted(format!("m {}", named(1_000_000, "1"))), Err("more than 255 fields".to_owned()));
}

/// Returns the reason in an error, without the line.
fn reason(error: &str) -> String {
    error.rsplit_once("': ").map_or(error, |(_, reason)| reason).to_owned()
}

#[test]
fn invalid_points() {
    let cases = [
        ("m", "missing fields"),
        ("m ", "missing fields"),
        ("m,a=b", "missing fields"),
        (",a=b f=1", "missing measurement"),
        ("m, f=1", "missing tag key"),
        ("m,=b f=1", "missing tag key"),
        ("m,a f=1", "missing tag value"),
        ("m,a= f=1", "missing tag value"),
        ("m,a=b,a=c f=1", "duplicate tags"),
        ("m =1", "missing field key"),
        ("m f=1,", "missing field key"),
        ("m f", "missing field value"),
        ("m f=", "missing field value"),
        ("m f=,g=1", "missing field value"),
        ("m f=\"a", "unbalanced quotes"),
        ("m f=\"a\"b", "missing field value"),
        ("m f=1.5i", "invalid number"),
        ("m f=9223372036854775808i", "invalid number"),
        ("m f=18446744073709551615u", "invalid number"),
        ("m f=-1u", "invalid number"),
        ("m f=1e400", "invalid number"),
        ("m f=1x", "invalid number"),
        ("m f=-inf", "invalid number"),
        ("m f=NaN", "invalid boolean"),
        ("m f=inf", "invalid boolean"),
        ("m f=yes", "invalid boolean"),
        ("m f=tRUE", "invalid boolean"),
        ("m f=1 x", "bad timestamp"),
        ("m f=1 1.5", "bad timestamp"),
        ("m f=1 1 2", "bad timestamp"),
        ("m f=1 +1", "bad timestamp"),
        ("m f=1 9223372036854775808", "time outside range"),
    ];
    for (body, reason) in cases {
        let error = one(body).unwrap_err();
        assert_eq!(error, format!("unable to parse '{}': {reason}", body.trim_start()), "{body}");
    }
    let parsed =
        lines(b"m,t=\xff f=1\nm f=1", Precision::Seconds).map(|line| line.is_ok()).collect::<Vec<_>>();
    assert_eq!(parsed, [false, true]);
}

#[test]
fn lines_of_a_body() {
    let body = "# a comment = \"with a quotation mark\n\n  \nm f=\"x\ny\"\r\n \tm f=bad\n#\nm f=2 3\n";
    let read: Vec<_> = lines(body.as_bytes(), Precision::Seconds).collect();
    assert_eq!(read.len(), 3, "{read:?}");
    assert_eq!(read[0], Ok(line("m", &[], &[("f", "x\ny".into())], None)));
    assert!(read[1].is_err());
    assert_eq!(read[2], Ok(line("m", &[], &[("f", Value::Float(2.0))], Some(3_000_000_000))));
    let time = |precision| lines(b"m f=1 -2", precision).next().unwrap().unwrap().time;
    assert_eq!(time(Precision::Hours), Some(-7_200_000_000_000));
    let late = i64::MAX.to_string();
    let body = format!("m f=1 {late}");
    assert!(lines(body.as_bytes(), Precision::Microseconds).next().unwrap().is_err());
}

/// Formats a point by the reference.
fn write(point: &Line<'_>) -> String {
    let escape = |text: &str, escaped: &str| {
        text.chars().fold(String::new(), |text, char| match escaped.contains(char) {
            true => format!("{text}\\{char}"),
            false => format!("{text}{char}"),
        })
    };
    let mut out = escape(&point.measurement, ", ");
    for (name, value) in &point.tags {
        out += &format!(",{}={}", escape(name, ",= "), escape(value, ",= "));
    }
    for (index, (name, value)) in point.fields.iter().enumerate() {
        let value = match value {
            Value::Text(text) => format!("\"{}\"", escape(text, "\"\\")),
            Value::Int(number) => format!("{number}i"),
            Value::Float(number) => format!("{number:?}"),
            Value::Bool(truth) => truth.to_string(),
        };
        out += &format!("{}{}={value}", if index == 0 { ' ' } else { ',' }, escape(name, ",= "));
    }
    out + &point.time.map_or(String::new(), |time| format!(" {time}"))
}

/// A name: any text without line breaks, with a backslash only where the protocol can express it.
fn name() -> impl Strategy<Value = String> {
    "[a-z,= \"\u{e9}#\t']{0,6}[a-z]|[a-z]\\\\[a-z]"
}

fn field() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::Float),
        any::<bool>().prop_map(Value::Bool),
        "(?s).{0,20}".prop_map(|text| Value::Text(text.into())),
        "[\"\\\\,= \na]{0,8}".prop_map(|text| Value::Text(text.into())),
    ]
}

fn point() -> impl Strategy<Value = Line<'static>> {
    let tags = proptest::collection::btree_map(name(), name(), 0..4);
    let fields = proptest::collection::btree_map(name(), field(), 1..5);
    // A line that starts with a hash is a comment, and leading blanks are skipped.
    let measurement = name().prop_map(|name| format!("m{name}"));
    (measurement, tags, fields, any::<Option<i64>>()).prop_map(|(measurement, tags, fields, time)| Line {
        measurement,
        tags: tags.into_iter().collect(),
        fields: fields.into_iter().collect(),
        time,
    })
}

proptest! {
    #[test]
    fn points_round_trip(points in proptest::collection::vec(point(), 1..5)) {
        let body: Vec<_> = points.iter().map(write).collect();
        let body = body.join("\n");
        let read: Vec<_> = lines(body.as_bytes(), Precision::Nanoseconds).collect();
        let expected: Vec<_> = points.into_iter().map(Ok).collect();
        prop_assert_eq!(read, expected, "{}", body);
    }

    #[test]
    fn any_bytes_are_read_to_their_end(body: Vec<u8>, text in "[a-z,= \"\\\\\n#0-9i]{0,60}") {
        let _ = lines(&body, Precision::Hours).count();
        let _ = lines(text.as_bytes(), Precision::Seconds).count();
    }
}
