//! Decodes a file in the encodings that YAML readers accept.
//!
//! A byte order mark selects UTF-8 or UTF-16 (YAML 1.2, 5.2); without one it is UTF-8. Editors and
//! PowerShell's `>` may write UTF-16, which other tools for KRT v1 read, and so do we.

use crate::problem::{Problem, Source};

const UTF_8: &[u8] = b"\xef\xbb\xbf";
const UTF_16_LE: &[u8] = b"\xff\xfe";
const UTF_16_BE: &[u8] = b"\xfe\xff";

/// The hint for text in another encoding.
const HINT: &str = "save it with the encoding UTF-8";

/// The text of a file without its byte order mark, or the problem with as much of the text as is readable.
pub(crate) fn decode(file: &str, bytes: &[u8]) -> (Source, Option<Problem>) {
    if let Some(rest) = bytes.strip_prefix(UTF_16_LE).filter(|rest| !rest.starts_with(b"\0\0")) {
        return wide(file, rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(UTF_16_BE) {
        return wide(file, rest, u16::from_be_bytes);
    }
    let bytes = bytes.strip_prefix(UTF_8).unwrap_or(bytes);
    let source = Source::new(file, String::from_utf8_lossy(bytes));
    let problem = if bytes.iter().take(4).any(|byte| *byte == 0) {
        Some(Problem::error(file, "the file is UTF-16 or UTF-32 text without the mark of UTF-16").hint(HINT))
    } else {
        std::str::from_utf8(bytes).err().map(|error| {
            let good = error.valid_up_to();
            source.error(&(good..good), "the file is not UTF-8 text").hint(HINT)
        })
    };
    (source, problem)
}

fn wide(file: &str, bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (Source, Option<Problem>) {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(pairs.iter().copied().map(unit)).collect();
    match text {
        Ok(text) if rest.is_empty() => (Source::new(file, text), None),
        _ => {
            let problem = Problem::error(file, "the file begins as UTF-16 text and is not").hint(HINT);
            (Source::new(file, ""), Some(problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        std::iter::once('\u{feff}')
            .chain(text.chars())
            .collect::<String>()
            .encode_utf16()
            .flat_map(bytes)
            .collect()
    }

    #[test]
    fn encodings() {
        let text = "version: ünö\r\n😀";
        for bytes in [
            text.as_bytes().to_vec(),
            [UTF_8, text.as_bytes()].concat(),
            utf_16(text, u16::to_le_bytes),
            utf_16(text, u16::to_be_bytes),
        ] {
            let (source, problem) = decode("krt.yml", &bytes);
            assert_eq!((source.text(), problem), (text, None));
        }
        let cut = &utf_16(text, u16::to_le_bytes)[..7];
        let lone = [UTF_16_LE, b"\x3d\xd8a\0"].concat();
        for (bytes, expected) in [
            (
                &b"a: b\xff"[..],
                "krt.yml:1:5: the file is not UTF-8 text; hint: save it with the encoding UTF-8",
            ),
            (
                cut,
                "krt.yml: the file begins as UTF-16 text and is not; hint: save it with the encoding UTF-8",
            ),
            (
                &lone,
                "krt.yml: the file begins as UTF-16 text and is not; hint: save it with the encoding UTF-8",
            ),
            (
                b"v\0e\0r\0",
                "krt.yml: the file is UTF-16 or UTF-32 text without the mark of UTF-16; hint: save it with the encoding UTF-8",
            ),
            (
                b"\xff\xfe\0\0v\0\0\0",
                "krt.yml: the file is UTF-16 or UTF-32 text without the mark of UTF-16; hint: save it with the encoding UTF-8",
            ),
        ] {
            assert_eq!(decode("krt.yml", bytes).1.unwrap().to_string(), expected);
        }
    }
}
