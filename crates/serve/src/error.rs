//! Why the API's backend cannot answer.

use krt_registry::{Fault, Noun};

/// Why the backend cannot answer.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// An error of the registry.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Registry(#[from] krt_registry::Error),
    /// An error of the store.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] krt_store::Error),
    /// An error of the remote store.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Remote(#[from] krt_remote::Error),
    /// An error of NATS.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Nats(#[from] krt_runtime::nats::ServerError),
    /// The package cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Package(#[from] krt_package::Error),
}

impl Error {
    /// A noun with this name does not exist.
    pub(crate) fn missing(noun: Noun, name: &str) -> Self {
        krt_registry::Error::Missing { noun, name: name.to_owned() }.into()
    }

    /// Whether a server elsewhere is the reason: MongoDB, InfluxDB or NATS.
    pub(crate) fn is_elsewhere(&self) -> bool {
        match self {
            Self::Nats(_) => true,
            Self::Remote(error) => error.is_elsewhere(),
            Self::Registry(_) | Self::Store(_) | Self::Package(_) => false,
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Registry(error) => error.fault(),
            Self::Store(error) => of_store(error),
            Self::Remote(_) | Self::Nats(_) | Self::Package(_) => Fault::Operator,
        }
    }
}

fn of_store(error: &krt_store::Error) -> Fault {
    match error.fault() {
        krt_store::Fault::Caller => Fault::Invalid,
        krt_store::Fault::Operator => Fault::Operator,
    }
}
