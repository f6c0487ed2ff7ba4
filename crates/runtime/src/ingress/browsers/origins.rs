//! The origins whose pages may call the service.

use http::Uri;
use std::str::FromStr;

/// An allowed origin, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// `*`: pages of every origin, without the user's cookies.
    All,
    /// Scheme, host and port, as browsers write them.
    Origin(String),
}

/// All allowed origins.
#[derive(Debug, Clone, Default)]
pub struct Origins(Vec<Allowed>);

impl Origins {
    /// Returns whether all origins are allowed.
    pub(super) fn all(&self) -> bool {
        self.0.contains(&Allowed::All)
    }

    /// Returns the entry that allows an origin: its own name before `*`.
    pub(super) fn find(&self, origin: &str) -> Option<&Allowed> {
        let is_named = |allowed: &&Allowed| matches!(allowed, Allowed::Origin(named) if named == origin);
        self.0.iter().find(is_named).or_else(|| self.0.iter().find(|allowed| **allowed == Allowed::All))
    }
}

impl FromIterator<Allowed> for Origins {
    fn from_iter<I: IntoIterator<Item = Allowed>>(allowed: I) -> Self {
        Self(allowed.into_iter().collect())
    }
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::All);
        }
        let wrong =
            || format!("`{text}` must be `*`, or a scheme and a host, such as https://app.example.com");
        let parts = text.parse::<Uri>().map_err(|_| wrong())?.into_parts();
        let (Some(scheme), Some(host)) = (parts.scheme, parts.authority) else { return Err(wrong()) };
        let is_bare = parts.path_and_query.is_none_or(|path| path == "/");
        if !is_bare || host.as_str().contains(['@', '*']) {
            return Err(wrong());
        }
        let usual = match scheme.as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => "",
        };
        let host = host.as_str().to_ascii_lowercase();
        // Browsers leave out a scheme's default port.
        let host = host.strip_suffix(usual).unwrap_or(&host);
        Ok(Self::Origin(format!("{scheme}://{host}")))
    }
}
