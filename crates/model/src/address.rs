//! Addresses of stores. They contain passwords and tokens, which no log and no error may show.

use std::{convert::Infallible, fmt, str::FromStr};

/// The URL of a server. Its display form has only the scheme and the hosts.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Returns the whole URL, with its secrets.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Returns the user and password: the text between the scheme and the last `@`.
    pub fn credentials(&self) -> Option<&str> {
        let (_, rest) = self.0.split_once("://")?;
        rest.rsplit_once('@').map(|(credentials, _)| credentials)
    }
}

impl From<&str> for Address {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

/// Accepts any text, since an error would show it; the text is checked on connecting.
impl FromStr for Address {
    type Err = Infallible;

    fn from_str(url: &str) -> Result<Self, Infallible> {
        Ok(url.into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match shown(&self.0) {
            Some((scheme, hosts)) => write!(f, "{scheme}://{hosts}"),
            None => f.write_str("…"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// Returns the scheme and the hosts; `None` if they may contain a badly written secret.
fn shown(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let hosts = match rest.rsplit_once('@') {
        Some((credentials, hosts)) => Some(hosts).filter(|_| !credentials.contains(['?', '/', '@'])),
        None => Some(rest),
    }?;
    let hosts = hosts.split(['/', '?']).next()?;
    let is_host = |host: &str| {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !host.ends_with(']') => (name, port),
            _ => (host, "0"),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:%".contains(&byte);
        name.bytes().all(plain) && port.bytes().all(|byte| byte.is_ascii_digit())
    };
    hosts.split(',').all(is_host).then_some((scheme, hosts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let cases = [
            ("mongodb://localhost", "mongodb://localhost"),
            ("mongodb://ada:pw@one:27017,two/admin?tls=true", "mongodb://one:27017,two"),
            ("mongodb+srv://ada:pw@cluster.example.com/", "mongodb+srv://cluster.example.com"),
            ("http://token@[::1]:8086?org=us", "http://[::1]:8086"),
            ("http://[::1]", "http://[::1]"),
            ("http://localhost:8086?token=secret", "http://localhost:8086"),
            // Not percent-encoded, so the end of the secret is unknown.
            ("mongodb://ada:p@w@host", "…"),
            ("mongodb://ada:p/w@host", "…"),
            ("mongodb://ada:p?w@host", "…"),
            ("mongodb://ada:secret", "…"),
            ("mongodb://ada:secret/", "…"),
            ("ada:secret", "…"),
            ("", "…"),
        ];
        for (url, expected) in cases {
            let address = Address::from(url);
            assert_eq!(address.to_string(), expected, "{url}");
            assert_eq!(format!("{address:?}"), format!("Address({expected})"));
            assert_eq!(address.secret(), url);
        }
    }

    #[test]
    fn credentials_end_at_the_last_at_sign() {
        let cases = [
            ("mongodb://ada:pw@one,two/admin", Some("ada:pw")),
            ("nats://token@host", Some("token")),
            ("mongodb://ada:p@w@host", Some("ada:p@w")),
            ("http://@host", Some("")),
            ("http://host", None),
            ("ada:pw@host", None),
        ];
        for (url, expected) in cases {
            assert_eq!(Address::from(url).credentials(), expected, "{url}");
        }
    }
}
