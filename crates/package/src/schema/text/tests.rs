use super::*;
use proptest::prelude::*;

fn utf16(text: &str, mark: bool, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let mark = mark.then_some(0xfeff);
    mark.into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
}

#[test]
fn files_accepted_by_protoc_are_read() {
    for (bytes, expected) in [
        (&b"syntax = \"proto3\";"[..], "syntax = \"proto3\";"),
        (b"\xef\xbb\xbfsyntax = \"proto3\";", "syntax = \"proto3\";"),
        (b"// caf\xe9 \xc3\xa9\nmessage M {}", "// café é\nmessage M {}"),
        (b"/* \xe9\n\" \xff */ message M {} // \xe9", "/* é\n\" ÿ */ message M {} // é"),
        ("message M { string \"é // \\\" x\" }".as_bytes(), "message M { string \"é // \\\" x\" }"),
        (b"", ""),
    ] {
        let read = read(bytes);
        assert_eq!((read.text.as_str(), read.refusal), (expected, None));
    }
}

#[test]
fn files_rejected_by_protoc_are_refused_with_a_location() {
    for (bytes, span, message) in [
        (b"// \xe9\nmessage M\xe9 {}".to_vec(), 15..17, "byte 0xe9 is not UTF-8 text"),
        (b"option x = \"\xe9\"; // \xe9".to_vec(), 12..14, "byte 0xe9 is not UTF-8 text"),
        (b"option x = \"// \xe9\";".to_vec(), 15..17, "byte 0xe9 is not UTF-8 text"),
        (b"option x = '\\'// \xe9';".to_vec(), 17..19, "byte 0xe9 is not UTF-8 text"),
        (utf16("syntax", true, u16::to_le_bytes), 0..0, "the file is UTF-16 text"),
        (utf16("syntax", true, u16::to_be_bytes), 0..0, "the file is UTF-16 text"),
        (utf16("syntax", false, u16::to_le_bytes), 0..0, "the file is UTF-16 text"),
        (utf16("syntax", false, u16::to_be_bytes), 0..0, "the file is UTF-16 text"),
    ] {
        let refusal = read(&bytes).refusal.expect("it is refused");
        assert_eq!((refusal.span, refusal.message.as_str()), (span, message));
    }
}

#[test]
fn nesting_of_brackets_is_limited() {
    let nested =
        |depth: usize| format!("// {}\nx {}{}", "{".repeat(99), "{".repeat(depth), "}".repeat(depth));
    assert_eq!(read(nested(64).as_bytes()).refusal, None);
    let refusal = read(nested(65).as_bytes()).refusal.expect("it is refused");
    let place = nested(65).len() - 65 - 1;
    assert_eq!(refusal.span, place..place + 1);
    assert_eq!(refusal.message, "messages or options are nested deeper than 64");
    for open in ["[", "<", "(", "{[<("] {
        assert!(read(open.repeat(65).as_bytes()).refusal.is_some(), "{open}");
    }
    let wide = "message A { map<string, int32> m = 1 [deprecated = true]; }".repeat(100);
    assert_eq!(read(wide.as_bytes()).refusal, None);
}

#[test]
fn editions_are_refused_at_their_declaration() {
    for (text, named) in [
        ("edition = \"2023\";", Some((0, "edition 2023:"))),
        ("// edition\n/* a */ edition='2024' ;", Some((19, "edition 2024:"))),
        ("\u{feff}\n edition /* now */ = \"2023\";", Some((2, "edition 2023:"))),
        ("edition", Some((0, "edition:"))),
        ("syntax = \"proto3\"; message edition {}", None),
        ("edition_2023 = 1;", None),
        ("// edition = \"2023\";\nmessage M {}", None),
        ("\"edition\" = \"2023\";", None),
        ("edition.M x = 1;", None),
    ] {
        let refusal = read(text.as_bytes()).refusal;
        assert_eq!(refusal.as_ref().map(|refusal| refusal.span.start), named.map(|named| named.0), "{text}");
        if let (Some(refusal), Some((_, message))) = (refusal, named) {
            assert!(refusal.message.contains(message), "{}", refusal.message);
        }
    }
}

proptest! {
    #[test]
    fn tokens_have_no_gaps(bytes in prop::collection::vec(prop::sample::select(&b"/*\"'\\\na\xe9 "[..]), 0..40)) {
        let mut end = 0;
        for (span, _) in Pieces::of(&bytes) {
            prop_assert!(span.start == end && span.end > span.start && span.end <= bytes.len());
            end = span.end;
        }
        prop_assert_eq!(end, bytes.len());
    }

    #[test]
    fn spans_lie_within_the_text(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let read = read(&bytes);
        if let Some(refusal) = read.refusal {
            prop_assert!(read.text.get(refusal.span).is_some());
        }
    }
}
