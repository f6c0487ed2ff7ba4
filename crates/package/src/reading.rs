//! The result of reading a package, as passed between processes.

use crate::archive::Limits;
use crate::problem::Report;
use crate::schema::Encoded;
pub use crate::step::{Step, Steps};
use crate::target::Target;
use crate::transfer;
use krt_model::version::Version;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The place of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageLocation {
    /// Its folder, absolute; for an archive, the folder to unpack to.
    #[serde(with = "transfer::path")]
    pub root: PathBuf,
    /// The archive, if it is one.
    #[serde(with = "transfer::maybe_path")]
    pub archive: Option<PathBuf>,
}

/// An order to read a package.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadRequest {
    /// The package's place.
    pub place: PackageLocation,
    /// Its target.
    pub target: Target,
    /// The limits of an archive.
    pub limits: Limits,
    /// Whether executables may be for another platform.
    pub any_system: bool,
}

/// The result of reading a package, valid or not.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reading {
    #[serde(with = "transfer::report")]
    pub(crate) report: Report,
    pub(crate) version: Option<Version>,
    pub(crate) schema: Option<Encoded>,
}

/// A message of the process that reads a package.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// A step has begun.
    Step(Step),
    /// The package has been read.
    Done(Box<Reading>),
    /// Reading has failed.
    Failed(Failure),
}

/// Why a package could not be read.
#[derive(Debug, Serialize, Deserialize)]
pub enum Failure {
    /// See [`Error::Read`](crate::Error::Read).
    Read(#[serde(with = "transfer::path")] PathBuf, #[serde(with = "transfer::io_error")] std::io::Error),
    /// See [`Error::NoManifest`](crate::Error::NoManifest).
    NoManifest(
        #[serde(with = "transfer::path")] PathBuf,
        #[serde(with = "transfer::maybe_path")] Option<PathBuf>,
    ),
    /// See [`Error::Archive`](crate::Error::Archive).
    Archive(#[serde(with = "transfer::path")] PathBuf, crate::archive::Error),
}

impl Reading {
    /// Whether the compiled files can be decoded, as must be possible where the package runs.
    pub fn is_sound(&self) -> bool {
        self.schema.as_ref().is_none_or(|schema| schema.decode().is_ok())
    }
}

impl Message {
    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("nothing of it has a size that is not known")
    }

    /// Decodes it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

impl ReadRequest {
    /// Encodes it.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("nothing of it has a size that is not known")
    }

    /// Decodes it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}
