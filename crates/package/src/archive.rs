//! `.krt` files: a gzip'd tar with `krt.yml` at its root.
//!
//! [`pack()`] produces the same bytes for the same content, whatever the order, time or owner of the files.
//! [`unpack()`] takes untrusted archives: it refuses one that would write outside of its folder or fill the
//! disk, and then leaves nothing behind.

mod error;
mod layout;
mod limits;
mod member;
mod meter;
mod pack;
mod staging;
mod unpack;

pub use error::{Error, PackError};
pub use limits::Limits;
pub use pack::{Packed, Progress, pack, pack_file};
pub use unpack::{unpack, unpack_file};

use crate::transfer;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Makes a file executable for all its readers, if it is executable for none.
pub(crate) fn set_executable(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o111 != 0 {
        return Ok(());
    }
    fs::set_permissions(path, PermissionsExt::from_mode(mode | (mode & 0o444) >> 2))
}

/// A folder with a manifest, one folder too deep.
#[derive(Debug, Serialize, Deserialize)]
pub struct NestedManifest(#[serde(with = "transfer::path")] pub PathBuf);

/// The hint where the manifest is missing.
impl fmt::Display for NestedManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is one in `{}`", self.0.display())
    }
}

#[cfg(test)]
mod tests;
