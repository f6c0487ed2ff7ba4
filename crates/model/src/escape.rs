//! Shows foreign text safely: characters that a terminal obeys, or that a reader cannot see, appear as their
//! codes.
//!
//! Clients, archives and user code choose names, messages and output. A control character in them can move
//! the cursor, repaint a line or type an answer; a line break can start a line that seems to have another
//! author; a bidirectional mark can reorder the text. All of these become `\u{1b}`, `\r`, `\u{202e}`.

use std::{borrow::Cow, fmt};

/// A text in one line: without line breaks and without characters that [`is_hidden`] finds.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a>(pub &'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&line(self.0))
    }
}

/// Escapes a text into one line; see [`Line`].
pub fn line(text: &str) -> Cow<'_, str> {
    replaced(text, |c| is_hidden(c) && c != '\t', |c, shown| shown.extend(c.escape_default()))
}

/// Escapes a text, except for its line breaks.
pub fn lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c| is_hidden(c) && c != '\t' && c != '\n', |c, shown| shown.extend(c.escape_default()))
}

/// Escapes such characters in the strings of a JSON text, whose values do not change.
pub fn json(text: &str) -> Cow<'_, str> {
    replaced(
        text,
        |c| is_hidden(c) && !matches!(c, '\t' | '\n' | '\r'),
        |c, shown| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        },
    )
}

/// Escapes a text, except for colours as `krt` itself writes them: `ESC [`, numbers and `m`. Foreign parts
/// must have been escaped before, with [`lines`] or a similar function.
pub fn coloured(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        shown.push_str(&lines(before));
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(after.len());
        match after[end..].starts_with('m') {
            true => {
                shown.push_str("\x1b[");
                shown.push_str(&after[..=end]);
                rest = &after[end + 1..];
            }
            false => {
                shown.push_str(&lines("\x1b["));
                rest = after;
            }
        }
    }
    shown.push_str(&lines(rest));
    shown
}

/// Returns whether a terminal obeys a character or shows nothing for it: control characters, line and
/// paragraph separators, marks of direction, characters without a width, and tags. Marks that change the
/// preceding character are not included.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

fn replaced(
    text: &str,
    is_replaced: impl Fn(char) -> bool,
    replace: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    // The common case.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let Some(first) = text.find(&is_replaced) else { return Cow::Borrowed(text) };
    let mut shown = String::with_capacity(text.len() + 16);
    shown.push_str(&text[..first]);
    for c in text[first..].chars() {
        if is_replaced(c) { replace(c, &mut shown) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_in_one_line() {
        for (text, expected) in [
            ("naïve ☃ 日本 e\u{301} ❤\u{fe0f}", "naïve ☃ 日本 e\u{301} ❤\u{fe0f}"),
            ("a\tb", "a\tb"),
            ("a\r\nb", "a\\r\\nb"),
            ("\x1b[31mred\x1b]0;title\x07", "\\u{1b}[31mred\\u{1b}]0;title\\u{7}"),
            ("\u{9b}31m\u{7f}\u{85}", "\\u{9b}31m\\u{7f}\\u{85}"),
            ("user\u{202e}gpj.exe", "user\\u{202e}gpj.exe"),
            ("a\u{200b}b\u{2028}\u{feff}", "a\\u{200b}b\\u{2028}\\u{feff}"),
            ("\u{2066}x\u{2069}\u{e0041}", "\\u{2066}x\\u{2069}\\u{e0041}"),
        ] {
            assert_eq!(line(text), expected);
        }
        assert_eq!(format!("{:<6}|", Line("a\n")), "a\\n   |");
        assert_eq!(lines("a\nb\rc\x1b"), "a\nb\\rc\\u{1b}");
    }

    #[test]
    fn texts_in_json() {
        for (text, expected) in [
            (r#"{"a": [1, "naïve"]}"#, r#"{"a": [1, "naïve"]}"#),
            ("{\n\t\"a\":\r\n1}", "{\n\t\"a\":\r\n1}"),
            ("\"\u{1b}[2J\u{7f}\"", r#""\u001b[2J\u007f""#),
            ("\"user\u{202e}gpj\"", r#""user\u202egpj""#),
            // Above the basic plane: two units.
            ("\"\u{e0041}\"", r#""\udb40\udc41""#),
        ] {
            assert_eq!(json(text), expected);
        }
    }

    #[test]
    fn colours_of_krt_stay() {
        for (text, expected) in [
            ("\x1b[1;31merror\x1b[0m: x", "\x1b[1;31merror\x1b[0m: x"),
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("a\x1b]0;x\x07", "a\\u{1b}]0;x\\u{7}"),
            ("a\x1b[", "a\\u{1b}["),
            ("a\x1b[1;\x1b[0mb\u{202e}", "a\\u{1b}[1;\x1b[0mb\\u{202e}"),
        ] {
            assert_eq!(coloured(text), expected);
        }
    }

    proptest! {
        #[test]
        fn no_control_characters_remain(text in ".*", more in "[\\x00-\\x1f\\x7f-\\u{9f}\\u{2000}-\\u{206f}\\u{e0000}-\\u{e01ef}]*") {
            let text = format!("{text}{more}");
            prop_assert!(!line(&text).contains(|c| is_hidden(c) && c != '\t'));
            prop_assert!(!lines(&text).contains(|c| is_hidden(c) && c != '\t' && c != '\n'));
            prop_assert_eq!(lines(&text).matches('\n').count(), text.matches('\n').count());
        }
    }
}
