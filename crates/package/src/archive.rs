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

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Makes a file executable for all its readers, if it is executable for none.
pub(crate) fn set_executable(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o111 != 0 {
        return Ok(());
    }
    fs::set_permissions(path, PermissionsExt::from_mode(mode | (mode & 0o444) >> 2))
}

/// The hint when a manifest is one folder too deep.
pub(crate) fn nested_hint(nested: Option<&Path>) -> String {
    nested.map(|folder| format!("\nhint: there is one in `{}`", folder.display())).unwrap_or_default()
}

#[cfg(test)]
mod tests;
