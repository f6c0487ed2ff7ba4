//! The command line's error: what happened, why, and what to do.
//!
//! `?` and [`Context`] take the errors that the lists below name, and those of this crate that [`from!`] names beside
//! them. Errors with hints stand apart from the others, since a conversion that does not ask for the hints loses them.

use krt_model::hint;
use miette::Diagnostic;
use std::{error::Error as StdError, fmt};

/// The result of a command.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command fails. Displays its outermost message.
#[derive(Debug)]
pub(crate) struct Error {
    /// The message, with its causes.
    error: anyhow::Error,
    /// What to do, from the outermost message's hint.
    hints: Vec<String>,
}

impl Error {
    /// An error with a message.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self { error: anyhow::Error::msg(message.to_string()), hints: Vec::new() }
    }

    /// An error that has no hints.
    pub(crate) fn plain(error: impl StdError + Send + Sync + 'static) -> Self {
        Self { error: anyhow::Error::new(error), hints: Vec::new() }
    }

    /// An error with its hints.
    pub(crate) fn hinted(error: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self { hints: hint::hints(&error), error: anyhow::Error::new(error) }
    }

    /// Adds a message, whose cause the error becomes.
    pub(crate) fn context(self, message: impl fmt::Display) -> Self {
        Self { error: self.error.context(message.to_string()), hints: self.hints }
    }

    /// Adds a hint before the others.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.insert(0, hint.to_string());
        self
    }

    /// The hints.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The message and its causes; omits causes that an error's message already contains.
    pub(crate) fn messages(&self) -> String {
        let mut text = String::new();
        for cause in self.causes() {
            let cause = cause.to_string();
            if text.is_empty() {
                text = cause;
            } else if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        text
    }

    /// The messages and hints, on one line.
    pub(crate) fn line(&self) -> String {
        hint::on_one_line(self.messages(), &self.hints)
    }

    /// The error and its causes, from the outermost.
    pub(crate) fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        self.error.chain()
    }

    /// The innermost cause.
    pub(crate) fn root_cause(&self) -> &(dyn StdError + 'static) {
        self.error.root_cause()
    }

    /// Whether it is an error of a type, below any context.
    pub(crate) fn is<E: StdError + Send + Sync + 'static>(&self) -> bool {
        self.error.is::<E>()
    }

    /// The error of a type, below any context.
    pub(crate) fn downcast_ref<E: StdError + Send + Sync + 'static>(&self) -> Option<&E> {
        self.error.downcast_ref()
    }

    /// The error of a type.
    pub(crate) fn downcast<E: StdError + Send + Sync + 'static>(self) -> Result<E> {
        let hints = self.hints;
        self.error.downcast().map_err(|error| Self { error, hints })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// Implements [`From`] for other errors: `hinted` or `plain`.
macro_rules! from {
    ($convert:ident: $($error:ty),* $(,)?) => {
        $(impl From<$error> for $crate::error::Error {
            fn from(error: $error) -> Self {
                Self::$convert(error)
            }
        })*
    };
}

from! { hinted:
    krt_broker::Error,
    krt_environment::BuildError,
    krt_environment::Error,
    krt_package::Error,
    krt_package::archive::Error,
    krt_package::archive::PackError,
    krt_package::edit::Error,
    krt_registry::Error,
    krt_remote::Error,
    krt_runtime::Error,
    krt_runtime::gpus::Error,
    krt_runtime::nats::ServerError,
    krt_serve::Error,
    krt_store::Error,
    krt_store::PointError,
}

from! { plain:
    csv::Error,
    http::Error,
    hyper::Error,
    krt_model::name::Error,
    notify::Error,
    prost::DecodeError,
    rustix::io::Errno,
    serde_json::Error,
    std::env::JoinPathsError,
    std::io::Error,
    std::num::ParseIntError,
    std::string::FromUtf8Error,
    tokio::sync::oneshot::error::RecvError,
    tokio::task::JoinError,
    tokio::time::error::Elapsed,
    tokio_rustls::rustls::Error,
    tokio_rustls::rustls::pki_types::pem::Error,
    tonic::transport::Error,
    tracing::dispatcher::SetGlobalDefaultError,
}

/// Adds messages and hints to errors.
pub(crate) trait Context<T> {
    /// Adds a message.
    fn context(self, message: impl fmt::Display) -> Result<T>;

    /// Adds a message that is made only for an error.
    fn with_context<M: fmt::Display>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, message: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().context(message))
    }

    fn with_context<M: fmt::Display>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| error.into().context(message()))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, message: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Error::new(message))
    }

    fn with_context<M: fmt::Display>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.ok_or_else(|| Error::new(message()))
    }
}

/// Adds hints to errors.
pub(crate) trait Hint<T> {
    /// Adds a hint.
    fn hint(self, hint: impl fmt::Display) -> Result<T>;

    /// Adds a hint that is made only for an error.
    fn with_hint<H: fmt::Display>(self, hint: impl FnOnce() -> H) -> Result<T>;
}

impl<T> Hint<T> for Result<T> {
    fn hint(self, hint: impl fmt::Display) -> Self {
        self.map_err(|error| error.hint(hint))
    }

    fn with_hint<H: fmt::Display>(self, hint: impl FnOnce() -> H) -> Self {
        self.map_err(|error| error.hint(hint()))
    }
}

/// An error with a message, and a hint if one follows: `error!("{a} failed"; hint: "use {b}")`.
macro_rules! error {
    ($message:literal $(, $value:expr)*; hint: $hint:literal $(, $more:expr)* $(,)?) => {
        $crate::error::Error::new(format_args!($message $(, $value)*)).hint(format_args!($hint $(, $more)*))
    };
    ($message:literal $(, $value:expr)* $(,)?) => {
        $crate::error::Error::new(format_args!($message $(, $value)*))
    };
}

/// Returns an [`error!`].
macro_rules! bail {
    ($($error:tt)*) => {
        return Err($crate::error::error!($($error)*))
    };
}

/// Returns an [`error!`] unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($error:tt)*) => {
        if !$condition {
            return Err($crate::error::error!($($error)*));
        }
    };
}

pub(crate) use {bail, ensure, error, from};

#[cfg(test)]
mod tests {
    use super::*;

    fn read() -> Result<()> {
        let kind = std::io::ErrorKind::NotFound;
        Err(std::io::Error::new(kind, "no such file"))
            .context("cannot read `a`")
            .with_hint(|| "look at it")?;
        Ok(())
    }

    #[test]
    fn hints_come_from_the_outermost() {
        let error = read().context("cannot start").hint("try again").unwrap_err();
        assert_eq!(error.to_string(), "cannot start");
        assert_eq!(
            error.line(),
            "cannot start: cannot read `a`: no such file; hint: try again; hint: look at it"
        );
        assert_eq!(error!("{}", "it failed").line(), "it failed");
        assert_eq!(error!("{} failed", 1; hint: "use {}", 2).line(), "1 failed; hint: use 2");
    }

    #[test]
    fn hints_of_other_crates_are_kept() {
        let path = std::path::PathBuf::from("data");
        let error = Error::from(krt_store::Error::InUse { path }).context("cannot start");
        assert_eq!(
            error.line(),
            "cannot start: the data folder `data` is in use by another process; \
             hint: stop it, or choose another folder"
        );
        assert!(error.is::<krt_store::Error>());
    }
}
