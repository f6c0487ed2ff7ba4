//! Decodes text from other tools, which may use other encodings than UTF-8.

/// A text, and whether its bytes were plain UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The text, without a byte order mark.
    pub text: String,
    /// Whether it was UTF-8 without a byte order mark.
    pub is_plain: bool,
}

/// The bytes are not text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} (line {line})")]
pub struct NotText {
    /// The error.
    pub what: &'static str,
    /// The first invalid line, from 1.
    pub line: usize,
}

/// Decodes UTF-8, or the encoding of a byte order mark: UTF-8, UTF-16 or UTF-32.
pub fn decode(bytes: &[u8]) -> Result<Decoded, NotText> {
    let marked = |text| Decoded { text, is_plain: false };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest).map(marked),
        [0xff, 0xfe, 0, 0, rest @ ..] => utf32(rest, u32::from_le_bytes).map(marked),
        [0, 0, 0xfe, 0xff, rest @ ..] => utf32(rest, u32::from_be_bytes).map(marked),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes).map(marked),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes).map(marked),
        plain => utf8(plain).map(|text| Decoded { text, is_plain: true }),
    }
}

/// Decodes JSON: like [`decode`], and also UTF-16 and UTF-32 without a byte order mark, recognised by the
/// zeros in the first characters (RFC 4627, section 3).
pub fn decode_json(bytes: &[u8]) -> Result<String, NotText> {
    match bytes {
        [0, 0, 0, 1..=0xff, ..] => utf32(bytes, u32::from_be_bytes),
        [1..=0x7f, 0, 0, 0, ..] => utf32(bytes, u32::from_le_bytes),
        [0, 1..=0xff, ..] => utf16(bytes, u16::from_be_bytes),
        [1..=0x7f, 0, ..] => utf16(bytes, u16::from_le_bytes),
        _ => decode(bytes).map(|decoded| decoded.text),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, NotText> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            Err(NotText { what: "is not UTF-8", line })
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, NotText> {
    let (units, rest) = bytes.as_chunks::<2>();
    let text = char::decode_utf16(units.iter().map(|bytes| unit(*bytes))).map(Result::ok);
    whole(text, rest, "is not the UTF-16 that its first bytes say")
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Result<String, NotText> {
    let (units, rest) = bytes.as_chunks::<4>();
    let text = units.iter().map(|bytes| char::from_u32(unit(*bytes)));
    whole(text, rest, "is not the UTF-32 that its first bytes say")
}

/// Collects all characters; fails on an invalid one, or if bytes are left.
fn whole(
    characters: impl Iterator<Item = Option<char>>,
    rest: &[u8],
    what: &'static str,
) -> Result<String, NotText> {
    let mut text = String::new();
    let line = |text: &str| text.matches('\n').count() + 1;
    for character in characters {
        match character {
            Some(character) => text.push(character),
            None => return Err(NotText { what, line: line(&text) }),
        }
    }
    if rest.is_empty() { Ok(text) } else { Err(NotText { what, line: line(&text) }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(text: &str, encoding: &str) -> Vec<u8> {
        let units16 = || text.encode_utf16();
        let units32 = || text.chars().map(u32::from);
        match encoding {
            "utf-16-le" => units16().flat_map(u16::to_le_bytes).collect(),
            "utf-16-be" => units16().flat_map(u16::to_be_bytes).collect(),
            "utf-32-le" => units32().flat_map(u32::to_le_bytes).collect(),
            "utf-32-be" => units32().flat_map(u32::to_be_bytes).collect(),
            _ => text.as_bytes().to_vec(),
        }
    }

    const ALL: [&str; 5] = ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"];

    proptest! {
        #[test]
        fn a_byte_order_mark_determines_the_encoding(text in "\\PC*") {
            prop_assume!(!text.starts_with('\0') && !text.starts_with('\u{feff}'));
            for encoding in ALL {
                let bytes = encoded(&format!("\u{feff}{text}"), encoding);
                prop_assert_eq!(decode(&bytes), Ok(Decoded { text: text.clone(), is_plain: false }));
            }
            prop_assert_eq!(decode(text.as_bytes()), Ok(Decoded { text: text.clone(), is_plain: true }));
        }

        #[test]
        fn the_encoding_of_json_is_detected(text in "[\"{\\[0-9a-z ][a-zäé\u{1f600}]{1,20}") {
            for encoding in ALL {
                prop_assert_eq!(decode_json(&encoded(&text, encoding)), Ok(text.clone()));
            }
        }

        #[test]
        fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (decode(&bytes), decode_json(&bytes));
        }
    }

    #[test]
    fn invalid_text_has_a_line() {
        for (bytes, line) in
            [(&b"a\nb\xe4\nc"[..], 2), (b"\xff", 1), (b"\xff\xfea\0\n\0b", 2), (b"\xff\xfe\n\0\0\xd8x\0", 2)]
        {
            assert_eq!(decode(bytes).unwrap_err().line, line, "{bytes:?}");
        }
        assert_eq!(decode(b"\xe4").unwrap_err().to_string(), "is not UTF-8 (line 1)");
    }
}
