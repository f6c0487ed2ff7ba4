//! The authentication of requests.

/// The authentication of requests.
#[derive(Debug, Clone)]
pub(crate) enum AuthSource {
    /// No authentication.
    Anonymous,
    /// The token that `krt login` stored.
    Login(String),
    /// The token from the environment.
    Variable(String),
    /// A session, as in a browser.
    Session {
        /// The cookie.
        cookie: String,
        /// The CSRF token, required by requests that change something.
        csrf: String,
    },
}

impl AuthSource {
    /// Its headers.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Anonymous => Vec::new(),
            Self::Login(token) | Self::Variable(token) => vec![("authorization", format!("Bearer {token}"))],
            Self::Session { cookie, csrf } => {
                vec![("cookie", cookie.clone()), ("x-csrf-token", csrf.clone())]
            }
        }
    }
}
