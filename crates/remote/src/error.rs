//! What can go wrong with a remote store.

use crate::Address;
use std::{io, path::PathBuf};

/// Why a remote store cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What every store refuses, or the embedded one's own failure.
    #[error(transparent)]
    Store(#[from] krt_store::Error),
    /// The URL leads nowhere.
    #[error("`{address}` is no address of {store}: {reason}")]
    Address {
        /// The URL, without secrets.
        address: Address,
        /// The kind of store.
        store: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// MongoDB was not reached when it was first asked.
    #[error("cannot use MongoDB at `{address}`\nhint: is it up, and are the user and the password right?")]
    Connect {
        /// Where it should be.
        address: Address,
        /// What the driver said.
        source: mongodb::error::Error,
    },
    /// MongoDB refused, or could not be reached any more.
    #[error("MongoDB at `{address}` failed")]
    Mongo {
        /// Where it is.
        address: Address,
        /// What it said.
        source: mongodb::error::Error,
    },
    /// The folder in which measurements wait cannot be used.
    #[error("cannot use the folder `{}`", path.display())]
    Spool {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system's certificates cannot be read.
    #[error("cannot read the certificates that the system trusts")]
    Certificates(#[source] io::Error),
}
