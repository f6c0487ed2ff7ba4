//! Masks credentials in text that is shown or stored.

use regex::{Captures, Regex};
use std::sync::LazyLock;

/// A scheme, and the user part before the last `@` of its authority.
static USER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)\b([a-z][a-z0-9+.-]*://)([^\s/?#"'<>`]*)@"#).expect("the pattern is valid")
});

/// The text with the credentials in its addresses replaced by `****`.
///
/// Keeps a user without a password in SSH addresses (`git+ssh://git@host/`): it is a name there, and a token
/// elsewhere. Keeps variables (`${TOKEN}`) too, which are not secret themselves.
pub(crate) fn mask(text: &str) -> String {
    USER.replace_all(text, |found: &Captures<'_>| {
        let (scheme, user) = (&found[1], &found[2]);
        match is_public(scheme, user) {
            true => found[0].to_owned(),
            false => format!("{scheme}****@"),
        }
    })
    .into_owned()
}

fn is_public(scheme: &str, user: &str) -> bool {
    let name_only = scheme.to_ascii_lowercase().ends_with("ssh://") && !user.contains(':');
    name_only || user.is_empty() || user.split(':').all(is_variable)
}

fn is_variable(text: &str) -> bool {
    text.strip_prefix("${").and_then(|text| text.strip_suffix('}')).is_some_and(|name| !name.contains('$'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_credentials_are_hidden() {
        for (text, masked) in [
            ("https://user:secret@host/simple", "https://****@host/simple"),
            ("--index-url https://token@host:8443/x six", "--index-url https://****@host:8443/x six"),
            ("https://u:p@a/ and http://u:p@b/", "https://****@a/ and http://****@b/"),
            ("'https://u:p@ss@host/'", "'https://****@host/'"),
            ("git+https://u:p@host/r.git@v1", "git+https://****@host/r.git@v1"),
            ("HTTPS://U:P@HOST", "HTTPS://****@HOST"),
            ("git+ssh://git@host/r.git", "git+ssh://git@host/r.git"),
            ("git+ssh://git:p@host/r.git", "git+ssh://****@host/r.git"),
            ("https://${USER}:${TOKEN}@host/", "https://${USER}:${TOKEN}@host/"),
            ("https://${USER}:secret@host/", "https://****@host/"),
            ("https://host/path@v1", "https://host/path@v1"),
            ("someone@example.org", "someone@example.org"),
        ] {
            assert_eq!(mask(text), masked, "{text}");
        }
    }

    proptest! {
        #[test]
        fn passwords_are_always_hidden(user in "[a-z]{1,8}", password in "[A-Z0-9!$%&*+,;=~_.@-]{4,20}") {
            let shown = mask(&format!("ERROR: https://{user}:{password}@host.example/simple/ is gone"));
            prop_assert_eq!(shown, "ERROR: https://****@host.example/simple/ is gone");
        }
    }
}
