//! "Did you mean": the known word nearest to an unknown one.

/// The similarity, from 0 to 1, that a suggestion needs.
const MIN_SIMILARITY: f64 = 0.75;

/// A longer word is not a typo, and a comparison takes quadratic time.
const MAX_LENGTH: usize = 64;

/// Up to this many words are all listed.
const MAX_LISTED: usize = 16;

/// The most words compared.
const MAX_COMPARED: usize = 500;

/// The word in `known` nearest to `word`, if it is similar enough.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_LENGTH {
        return None;
    }
    let lower = word.to_lowercase();
    known
        .into_iter()
        .take(MAX_COMPARED)
        .filter(|candidate| candidate.len() <= MAX_LENGTH)
        .map(|candidate| (similarity(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= MIN_SIMILARITY)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The hint for an unknown word: the nearest known one, or all if they are few.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(word, known.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let mut different: Vec<&str> = Vec::new();
    for word in known.into_iter().take(MAX_LISTED + 1) {
        if !different.contains(&word) {
            different.push(word);
        }
    }
    match different.as_slice() {
        [] => None,
        [only] => Some(format!("there is only `{only}`")),
        few if few.len() <= MAX_LISTED => Some(format!("there are {}", list(few))),
        _ => None,
    }
}

/// "`a`, `b` and `c`".
pub fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// The similarity by edit distance, or by Jaro-Winkler, which favours a common prefix, if that is greater.
fn similarity(a: &str, b: &str) -> f64 {
    let slips = strsim::normalized_damerau_levenshtein(a, b);
    let jaro = strsim::jaro_winkler(a, b);
    if jaro > 0.9 { jaro.max(slips) } else { slips }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_are_recognised() {
        let keys = ["version", "description", "entrypoint", "config", "nodes", "workflows"];
        for (word, expected) in [
            ("verison", Some("version")),
            ("node", Some("nodes")),
            ("Nodes", Some("nodes")),
            ("workflow", Some("workflows")),
            ("entry-point", Some("entrypoint")),
            ("x", None),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word}");
        }
        assert_eq!(nearest(&"n".repeat(100_000), keys), None);
    }

    #[test]
    fn all_names_are_listed_without_a_close_match() {
        assert_eq!(hint("zebra", ["a", "b", "c"]).as_deref(), Some("there are `a`, `b` and `c`"));
        assert_eq!(hint("zebra", ["a", "a"]).as_deref(), Some("there is only `a`"));
        assert_eq!(hint("gret", ["greet"]).as_deref(), Some("did you mean `greet`?"));
        assert_eq!(hint("zebra", []), None);
    }
}
