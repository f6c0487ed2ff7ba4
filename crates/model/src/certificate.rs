//! What to do about a server's certificate that is refused.

/// What to do where TLS with a server fails, by the words of the TLS library; `authority` is the option that names another
/// authority. `None`: the words are of something else.
pub fn hint(reason: &str, authority: &str) -> Option<String> {
    let has = |words: &[&str]| words.iter().any(|words| reason.contains(words));
    if has(&["not valid for name"]) {
        Some("connect by a name that its certificate is for".to_owned())
    } else if has(&["certificate expired", "CertExpired"]) {
        Some("renew its certificate".to_owned())
    } else if has(&["not valid yet", "CertNotValidYet"]) {
        Some("check the clock of this machine: its certificate is valid later".to_owned())
    } else if has(&["InvalidContentType", "corrupt message", "WRONG_VERSION"]) {
        Some("check the address: there is no TLS on this port".to_owned())
    } else if has(&["certificate", "UnknownIssuer"]) {
        Some(format!("name the authority that signed its certificate with {authority}"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_hint() {
        for (reason, expected) in [
            (
                "invalid peer certificate: certificate not valid for name \"localhost\"",
                Some("connect by a name that its certificate is for"),
            ),
            (
                "invalid peer certificate: certificate expired: verification time 9 (UNIX)",
                Some("renew its certificate"),
            ),
            (
                "invalid peer certificate: certificate not valid yet: verification time 9 (UNIX)",
                Some("check the clock of this machine: its certificate is valid later"),
            ),
            (
                "invalid peer certificate: UnknownIssuer",
                Some("name the authority that signed its certificate with --ca"),
            ),
            (
                "received corrupt message of type InvalidContentType",
                Some("check the address: there is no TLS on this port"),
            ),
            ("connection refused", None),
        ] {
            assert_eq!(hint(reason, "--ca").as_deref(), expected, "{reason}");
        }
    }
}
