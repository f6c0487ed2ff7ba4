//! Errors of remote stores.

use crate::Address;
use krt_model::certificate;
use std::{io, path::PathBuf};

/// What to do where MongoDB cannot be reached.
fn hint(error: &mongodb::error::Error) -> String {
    let usual = || "is it up, and are the user and the password right?".to_owned();
    certificate::hint(&error.to_string(), "`tlsCAFile=FILE` in the URL").unwrap_or_else(usual)
}

/// Why a remote store cannot serve a request.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum Error {
    /// Any store refuses it, or the embedded one failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] krt_store::Error),
    /// The URL is not valid.
    #[error("`{address}` is not a URL of {store}: {reason}")]
    Address {
        /// The URL, without secrets.
        address: Address,
        /// The kind of store.
        store: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// MongoDB was not reached when it was first asked.
    #[error("cannot use MongoDB at `{address}`")]
    #[diagnostic(help("{}", hint(.source)))]
    Connect {
        /// Its address.
        address: Address,
        /// The driver's error.
        source: mongodb::error::Error,
    },
    /// MongoDB refused, or became unreachable.
    #[error("MongoDB at `{address}` failed")]
    Mongo {
        /// Its address.
        address: Address,
        /// The driver's error.
        source: mongodb::error::Error,
    },
    /// InfluxDB refused, or could not be reached.
    #[error("InfluxDB at `{address}` failed: {reason}")]
    #[diagnostic(help("is it up, and may the user delete the database?"))]
    Influx {
        /// Its address.
        address: Address,
        /// What it said, or why it could not.
        reason: String,
    },
    /// The folder for waiting measurements cannot be used.
    #[error("cannot use the folder `{}`", path.display())]
    Spool {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The system's certificates cannot be read.
    #[error("cannot read the certificates that the system trusts")]
    Certificates(#[source] io::Error),
}

impl Error {
    /// Whether the server is the reason, rather than this machine or the request.
    pub fn is_elsewhere(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Mongo { .. } | Self::Influx { .. } => true,
            Self::Store(_) | Self::Address { .. } | Self::Spool { .. } | Self::Certificates(_) => false,
        }
    }
}
