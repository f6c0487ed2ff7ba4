//! Regular expressions with MongoDB's semantics, within linear time.

use bson::RawBsonRef;
use regex::{Regex, RegexBuilder};
use regex_syntax::ast::{self, AssertionKind, Ast, ClassPerlKind, Visitor};

/// The memory limit of a compiled expression, in bytes.
const SIZE_LIMIT: usize = 1 << 20;
/// The deepest nesting of groups.
const NEST_LIMIT: u32 = 100;
/// The longest expression, in bytes (MongoDB's limit).
const LENGTH_LIMIT: usize = 32_764;

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    /// The original text, which equals a stored expression with the same text.
    pattern: Box<str>,
    options: Box<str>,
}

impl Pattern {
    /// Compiles an expression with MongoDB's options `i`, `m`, `s`, `u` and `x`.
    pub(super) fn parse(pattern: &str, options: &str) -> Result<Self, String> {
        if let Some(option) = options.chars().find(|option| !"imsux".contains(*option)) {
            return Err(format!("unknown option `{option}`"));
        }
        if pattern.contains('\0') {
            return Err("it holds a NUL".to_owned());
        }
        if pattern.len() > LENGTH_LIMIT {
            return Err(format!("it takes {} bytes, at most {LENGTH_LIMIT} are allowed", pattern.len()));
        }
        let has = |option| options.contains(option);
        let regex = RegexBuilder::new(&translate(pattern, has('x'), has('m'))?)
            .case_insensitive(has('i'))
            .multi_line(has('m'))
            .dot_matches_new_line(has('s'))
            .ignore_whitespace(has('x'))
            .size_limit(SIZE_LIMIT)
            .nest_limit(NEST_LIMIT)
            .build()
            .map_err(|error| last_line(&error.to_string()))?;
        Ok(Self { regex, pattern: pattern.into(), options: options.into() })
    }

    /// Whether a text matches, or an expression is the same.
    pub(super) fn matches(&self, value: RawBsonRef<'_>) -> bool {
        match value {
            RawBsonRef::String(text) | RawBsonRef::Symbol(text) => self.regex.is_match(text),
            RawBsonRef::RegularExpression(other) => {
                *self.pattern == *other.pattern.as_str() && *self.options == *other.options.as_str()
            }
            _ => false,
        }
    }
}

/// An error's message without the drawing above it.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Rewrites what differs in MongoDB: `\d`, `\w`, `\s`, `\b` are ASCII there, and `$` outside multi-line mode
/// also matches before a last newline.
fn translate(pattern: &str, extended: bool, multi_line: bool) -> Result<String, String> {
    let ast = ast::parse::ParserBuilder::new()
        .ignore_whitespace(extended)
        .nest_limit(NEST_LIMIT)
        .build()
        .parse(pattern)
        .map_err(|error| error.kind().to_string())?;
    let edits = ast::visit(&ast, Edits { list: Vec::new(), multi_line }).unwrap_or_default();
    let (mut out, mut from) = (String::with_capacity(pattern.len()), 0);
    for (start, end, text) in edits {
        out.push_str(&pattern[from..start]);
        out.push_str(text);
        from = end;
    }
    out.push_str(&pattern[from..]);
    Ok(out)
}

/// Collects edits: start, end, and the new text.
struct Edits {
    list: Vec<(usize, usize, &'static str)>,
    multi_line: bool,
}

impl Edits {
    fn add(&mut self, span: &ast::Span, text: &'static str) {
        self.list.push((span.start.offset, span.end.offset, text));
    }

    fn class(&mut self, class: &ast::ClassPerl) {
        let text = match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => "[0-9]",
            (ClassPerlKind::Digit, true) => "[^0-9]",
            (ClassPerlKind::Space, false) => r"[\t\n\v\f\r\x20]",
            (ClassPerlKind::Space, true) => r"[^\t\n\v\f\r\x20]",
            (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
        };
        self.add(&class.span, text);
    }
}

impl Visitor for Edits {
    type Output = Vec<(usize, usize, &'static str)>;
    type Err = std::convert::Infallible;

    fn finish(self) -> Result<Self::Output, Self::Err> {
        Ok(self.list)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        match ast {
            Ast::ClassPerl(class) => self.class(class),
            // An inline flag, as in `(?m)`, applies from there on.
            Ast::Flags(flags) => {
                self.multi_line |= flags.flags.flag_state(ast::Flag::MultiLine) == Some(true);
            }
            Ast::Group(group) => {
                let flags = group.flags();
                self.multi_line |=
                    flags.and_then(|flags| flags.flag_state(ast::Flag::MultiLine)) == Some(true);
            }
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::WordBoundary => self.add(&assertion.span, r"(?-u:\b)"),
                AssertionKind::EndLine if !self.multi_line => self.add(&assertion.span, r"(?:\n?\z)"),
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), Self::Err> {
        if let ast::ClassSetItem::Perl(class) = item {
            self.class(class);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, options: &str, text: &str) -> bool {
        Pattern::parse(pattern, options).unwrap().matches(RawBsonRef::String(text))
    }

    #[test]
    fn patterns_match_like_mongodb() {
        let cases = [
            ("^a.c$", "", "abc", true),
            ("^a.c$", "", "abc\n", true),
            ("^a.c$", "", "abc\n\n", false),
            ("a$", "m", "a\nb", true),
            ("(?m)a$", "", "a\nb", true),
            ("a$", "", "a\nb", false),
            (r"^\d$", "", "٣", false),
            (r"^\D$", "", "٣", true),
            (r"^[\d]$", "", "3", true),
            (r"^[^\w]$", "", "é", true),
            (r"a\b", "", "aé", true),
            (r"^\s$", "", " ", true),
            (r"^\s$", "", "\u{a0}", false),
            ("É", "i", "é", true),
            ("a b # c", "x", "ab", true),
            ("a.b", "", "a\nb", false),
            ("a.b", "s", "a\nb", true),
            ("abc", "", "xabcx", true),
            ("", "", "", true),
        ];
        for (pattern, options, text, expected) in cases {
            assert_eq!(matches(pattern, options, text), expected, "/{pattern}/{options} on {text:?}");
        }
    }

    #[test]
    fn unsupported_patterns_are_refused() {
        let cases = [
            ("(", "", "unclosed group"),
            ("a", "g", "unknown option `g`"),
            ("(?=a)", "", "look-around, including look-ahead and look-behind, is not supported"),
            (r"(a)\1", "", "backreferences are not supported"),
            ("a{1000}{1000}{1000}", "", "Compiled regex exceeds size limit of 1048576 bytes."),
            ("a\0", "", "it holds a NUL"),
        ];
        for (pattern, options, reason) in cases {
            assert_eq!(Pattern::parse(pattern, options).unwrap_err(), reason, "{pattern}");
        }
        assert!(Pattern::parse(&"(".repeat(1000), "").is_err());
        assert!(Pattern::parse(&"a".repeat(LENGTH_LIMIT + 1), "").is_err());
    }
}
