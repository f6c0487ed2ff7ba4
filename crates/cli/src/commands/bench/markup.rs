//! Text in markup.

use std::fmt::Write as _;

/// Text of others, in HTML.
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            letter if krt_model::escape::is_hidden(letter) => {
                let _ = write!(html, "\\u{{{:x}}}", u32::from(letter));
            }
            letter => html.push(letter),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_stays_text() {
        assert_eq!(escape("<a b=\"c\">&\u{202e}ä"), "&lt;a b=&quot;c&quot;&gt;&amp;\\u{202e}ä");
    }
}
