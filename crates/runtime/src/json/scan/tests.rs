use super::*;
use proptest::prelude::*;

fn pass(text: &[u8]) -> Result<String> {
    let mut scan = Scanner::new(text)?;
    let value = scan.skip()?.to_owned();
    scan.end().map(|()| value)
}

#[test]
fn texts_are_unescaped() {
    let text = |text: &'static str| Scanner::new(text.as_bytes()).unwrap().text().map(Cow::into_owned);
    for (json, expected) in [
        (r#""""#, ""),
        (r#""é\u00e9\n\"\\\/\b\f\r\t""#, "éé\n\"\\/\u{8}\u{c}\r\t"),
        (r#""\ud83d\ude00 \u0000""#, "😀 \0"),
    ] {
        assert_eq!(text(json).unwrap(), expected);
    }
    for (json, expected) in [
        (r#""\ud83d""#, "lone surrogate"),
        (r#""\ud83d\n""#, "lone surrogate"),
        (r#""\ud83d\u0041""#, "lone surrogate"),
        (r#""\ude00""#, "lone surrogate"),
        (r#""\u12é4""#, "four hexadecimal digits"),
        (r#""\u+123""#, "four hexadecimal digits"),
        (r#""\x""#, "unknown escape"),
        ("\"\n\"", "control character"),
        (r#""a"#, "EOF within a text"),
        (r#""\"#, "unknown escape"),
    ] {
        let fault = text(json).unwrap_err().fault.to_string();
        assert!(fault.contains(expected), "{json}: {fault}");
    }
}

#[test]
fn errors_have_a_location() {
    for (json, expected) in [
        ("{\n  \"a\": 1,\n}", "trailing comma at line 3 column 1"),
        ("{\"a\" 1}", "expected `:` at line 1 column 6"),
        ("{a: 1}", "key must be a string at line 1 column 2"),
        ("[1 2]", "expected `,` or `]` at line 1 column 4"),
        ("[1", "EOF within an object or a list at line 1 column 3"),
        ("01", "trailing characters at line 1 column 2"),
        ("1.", "expected a digit at line 1 column 3"),
        ("NaN", "expected a value at line 1 column 1"),
        ("", "EOF while a value is expected at line 1 column 1"),
    ] {
        assert_eq!(pass(json.as_bytes()).unwrap_err().fault.to_string(), expected, "{json}");
    }
    assert_eq!(pass(b"\"\xff\"").unwrap_err().fault, Fault::NotUtf8);
    let deep = "[".repeat(100_000);
    assert_eq!(pass(deep.as_bytes()).unwrap_err().fault, Fault::Deep { limit: MAX_DEPTH });
}

proptest! {
    /// serde_json decides what is JSON, on texts that are nearly JSON.
    #[test]
    fn serde_json_accepts_the_same_texts(
        text in r#"( |\n)?(\{"[ab\\u0-9"]{0,6}" ?: ?|\[|-?0?[0-9]{0,3}(\.[0-9]{0,2})?([eE][+-]?[0-9]{0,1})?|true|nul?l|"[a\\ntu0-9]{0,5}"|,|\]|\}){1,6}"#,
    ) {
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text);
        // A raw value keeps lone surrogates, and numbers beyond any double.
        match (pass(text.as_bytes()), theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs.get()),
            (Err(fault), Ok(_)) => prop_assert!(fault.fault.to_string().starts_with("lone surrogate"), "{text}"),
            (Ok(_), Err(error)) => prop_assert!(false, "{text}: {error}"),
            (Err(_), Err(_)) => {}
        }
    }
}
