//! Subjects: words separated by dots. `*` matches one word, `>` all that follow.

/// Whether a subject is valid in a subscription.
pub(super) fn is_valid(subject: &str) -> bool {
    let words = subject.split('.').count();
    let fits = |(index, word): (usize, &str)| !word.is_empty() && (word != ">" || index + 1 == words);
    subject.split('.').enumerate().all(fits)
}

/// Whether a subject has no wildcards.
pub(super) fn is_literal(subject: &str) -> bool {
    !subject.split('.').any(|word| matches!(word, "*" | ">"))
}

pub(super) fn matches(pattern: &str, subject: &str) -> bool {
    let mut words = subject.split('.');
    for part in pattern.split('.') {
        match (part, words.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (part, Some(word)) if part == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_and_subjects() {
        for (pattern, subject, covered) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a", "a.b", false),
            ("a.b", "a", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("*.b", "a.b", true),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
            ("a.*.>", "a.b.c.d", true),
            ("a.*.>", "a.b", false),
        ] {
            assert_eq!(matches(pattern, subject), covered, "{pattern} {subject}");
        }
    }

    #[test]
    fn valid_subscriptions() {
        for subject in ["a", "a.b", "*", ">", "a.*.c", "a.>", "a*", "_INBOX.x.1"] {
            assert!(is_valid(subject), "{subject}");
        }
        for subject in ["", ".", "a.", ".a", "a..b", ">.a", "a.>.b"] {
            assert!(!is_valid(subject), "{subject}");
        }
        assert!(is_literal("a.b*") && !is_literal("a.*") && !is_literal(">"));
    }

    proptest! {
        #[test]
        fn a_literal_covers_only_itself(one in "[ab]{1,2}(\\.[ab]{1,2}){0,2}", two in "[ab]{1,2}(\\.[ab]{1,2}){0,2}") {
            prop_assert_eq!(matches(&one, &two), one == two);
            prop_assert!(matches(">", &one));
        }
    }
}
