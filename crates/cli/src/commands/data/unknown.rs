//! Errors for names that are not in the store.

use krt_package::suggest;

/// The most names that an error lists.
const MAX_LISTED: usize = 8;

/// An unknown name.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{lack} `{name}`")]
#[diagnostic(help("{}", hint(name, known)))]
pub(super) struct Unknown {
    /// The beginning of the message, up to the name.
    lack: String,
    /// The name as typed.
    name: String,
    /// The existing names.
    known: Vec<String>,
}

crate::error::from! { hinted: Unknown }

/// Fails if `known` lacks a name.
pub(super) fn check(lack: &str, name: &str, known: Vec<String>) -> Result<(), Unknown> {
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    Err(Unknown { lack: lack.to_owned(), name: name.to_owned(), known })
}

fn hint(name: &str, known: &[String]) -> String {
    if let Some(near) = suggest::nearest(name, known.iter().map(String::as_str)) {
        return format!("did you mean `{near}`?");
    }
    let quoted: Vec<_> = known.iter().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    match known.len() {
        0 => "there are none yet".to_owned(),
        1 => format!("there is only {}", quoted.concat()),
        few if few <= MAX_LISTED => format!("there are {}", quoted.join(", ")),
        many => format!("there are {many}, among them {}", quoted.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints() {
        let known: Vec<_> = ["node_elapsed_time", "accuracy"].map(str::to_owned).into();
        for (name, expected) in [
            ("node_elapsed", "did you mean `node_elapsed_time`?"),
            ("Accuracy", "did you mean `accuracy`?"),
            ("zebra", "there are `node_elapsed_time`, `accuracy`"),
        ] {
            assert_eq!(hint(name, &known), expected);
        }
        assert_eq!(hint("x", &[]), "there are none yet");
        assert_eq!(hint("xyz", &known[..1]), "there is only `node_elapsed_time`");
        let many: Vec<_> = (100..110).map(|n| n.to_string()).collect();
        assert!(hint("xyz", &many).starts_with("there are 10, among them `100`, "));
    }
}
