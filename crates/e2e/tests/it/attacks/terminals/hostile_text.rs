//! A text that tries to control a terminal, and checks that it does not.

/// The text, between marks: repaints and renames the terminal, hides and reorders text, and begins a new
/// line.
pub(super) const HOSTILE: &str = "<\r\x1b[2J\x1b[8m\x1b]0;owned\x07\x1b_x\x1b\\\u{9b}31m\u{8}\u{7f}\u{85}\u{202e}\u{2066}\u{200b}\
                       \u{200d}\u{2028}\u{feff}\u{e0041}>";

/// The text as a literal in Python and YAML.
pub(super) fn literal() -> String {
    HOSTILE.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect()
}

/// Asserts that the output has no control sequences except colours, and those with which `krt` redraws a
/// line.
#[track_caller]
pub(super) fn assert_calm(place: &str, written: &str) {
    let mut left = written.replace("\r\n", "\n");
    for own in ["\r\x1b[2K", "\x1b[2K", "\x1b[1A", "\x1b[1B", "\x1b[?25l", "\x1b[?25h"] {
        left = left.replace(own, "");
    }
    let mut calm = String::new();
    let mut rest = left.as_str();
    while let Some((before, after)) = rest.split_once("\x1b[") {
        calm.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(after.len());
        let colour = &after[..end];
        // The sequences of `krt` itself, none of which hides text.
        let is_own = after[end..].starts_with('m') && !["8", "5", "7"].contains(&colour);
        assert!(is_own, "{place}: ESC [{colour} in {written:?}");
        rest = &after[end + 1..];
    }
    calm.push_str(rest);
    let obeyed = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    if let Some(found) = calm.chars().find(|&c| obeyed(c)) {
        panic!("{place}: {found:?} in {written:?}");
    }
}

/// Asserts the same, and that the text is shown.
#[track_caller]
pub(super) fn assert_shown(place: &str, written: &str) {
    assert_calm(place, written);
    let shown = ["\\u{1b}", "\\u001b", "\\u{202e}", "␛"].iter().any(|escape| written.contains(escape));
    assert!(shown, "{place} does not show the text: {written:?}");
}
