//! Converts Poetry's version constraints to the specifiers of PEP 440.

use pep440_rs::{Version, VersionSpecifier};
use std::str::FromStr;

/// The specifiers for a constraint such as `^1.2`, `~1.2`, `1.*`, `>=1,<2` or `1.2.3`, joined by commas;
/// empty for any version. `None`: not a constraint, or an alternative (`||`), which PEP 440 cannot express.
pub(super) fn specifiers(constraint: &str) -> Option<String> {
    if constraint.contains('|') {
        return None;
    }
    let spaced = ["<=", ">=", "==", "!=", "~=", "<", ">", "^", "~"]
        .iter()
        .fold(constraint.to_owned(), |text, sign| text.replace(&format!("{sign} "), sign));
    let parts = spaced.split([',', ' ']).filter(|part| !part.is_empty());
    let translated: Vec<String> = parts.map(one).collect::<Option<_>>()?;
    Some(translated.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(","))
}

fn one(part: &str) -> Option<String> {
    if part == "*" {
        return Some(String::new());
    }
    if let Some(version) = part.strip_prefix('^') {
        return range(version, caret);
    }
    if let Some(version) = part.strip_prefix('~').filter(|rest| !rest.starts_with('=')) {
        return range(version, tilde);
    }
    let sign = part.find(|letter: char| letter.is_ascii_alphanumeric()).unwrap_or(part.len());
    let (sign, version) = part.split_at(sign);
    let version = version.strip_prefix('v').unwrap_or(version);
    Version::from_str(version.trim_end_matches(".*")).ok()?;
    let specifier = match sign {
        "" | "=" => format!("=={version}"),
        "==" | "!=" | "~=" | ">=" | "<=" | ">" | "<" => format!("{sign}{version}"),
        _ => return None,
    };
    // Not every operator fits every version: `~=1` and `>=1.*` are invalid.
    VersionSpecifier::from_str(&specifier).ok().map(|_| specifier)
}

/// The range from a version up to, but excluding, the one that `next` returns.
fn range(text: &str, next: impl Fn(&[u64]) -> Vec<u64>) -> Option<String> {
    let version = Version::from_str(text.trim_end_matches(".*")).ok()?;
    let end = Version::new(next(version.release())).with_epoch(version.epoch());
    Some(format!(">={version},<{end}"))
}

/// The next version that differs in the leftmost nonzero number.
fn caret(release: &[u64]) -> Vec<u64> {
    let kept = release.iter().position(|&number| number != 0).unwrap_or(release.len() - 1);
    raised(release, kept)
}

/// The next version that differs in the second number, or in the first if there is no other.
fn tilde(release: &[u64]) -> Vec<u64> {
    raised(release, usize::from(release.len() > 1))
}

fn raised(release: &[u64], index: usize) -> Vec<u64> {
    let mut next: Vec<u64> = release.iter().take(index + 1).copied().collect();
    next[index] += 1;
    next.resize(release.len().max(2), 0);
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use pep440_rs::VersionSpecifiers;
    use proptest::prelude::*;

    #[test]
    fn constraints_become_specifiers() {
        for (constraint, expected) in [
            ("*", ""),
            ("^1.2.3", ">=1.2.3,<2.0.0"),
            ("^1.2", ">=1.2,<2.0"),
            ("^1", ">=1,<2.0"),
            ("^0.2.3", ">=0.2.3,<0.3.0"),
            ("^0.0.3", ">=0.0.3,<0.0.4"),
            ("^0.0", ">=0.0,<0.1"),
            ("^0", ">=0,<1.0"),
            ("^1.0b1", ">=1.0b1,<2.0"),
            ("~1.2.3", ">=1.2.3,<1.3.0"),
            ("~1.2", ">=1.2,<1.3"),
            ("~1", ">=1,<2.0"),
            ("~=1.2", "~=1.2"),
            ("1.2.*", "==1.2.*"),
            ("1.2.3", "==1.2.3"),
            (">=1.0,<2", ">=1.0,<2"),
            (">= 1.0, < 2", ">=1.0,<2"),
            (">=1.0 <2", ">=1.0,<2"),
            ("!=1.5", "!=1.5"),
        ] {
            assert_eq!(specifiers(constraint).as_deref(), Some(expected), "{constraint}");
        }
        for bad in ["^1.0 || ^2.0", "latest", "^", "=>1", "1.2,x", "~=0", ">=1.*"] {
            assert_eq!(specifiers(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn carets_exclude_the_next_major_version(major in 1u64..50, minor in 0u64..50, patch in 0u64..50) {
            let range = VersionSpecifiers::from_str(&specifiers(&format!("^{major}.{minor}.{patch}")).unwrap()).unwrap();
            prop_assert!(range.contains(&Version::new([major, minor, patch])));
            prop_assert!(range.contains(&Version::new([major, minor + 1, 0])));
            prop_assert!(!range.contains(&Version::new([major + 1, 0, 0])));
        }

        #[test]
        fn accepted_constraints_are_valid(constraint in "[\\^~<>=!*.0-9, ]{1,12}") {
            if let Some(text) = specifiers(&constraint) {
                prop_assert!(VersionSpecifiers::from_str(&text).is_ok(), "{} -> {}", constraint, text);
            }
        }
    }
}
