//! `.krt` files: a gzip'd tar with `krt.yml` at its root.
//!
//! [`pack()`] makes the same bytes of the same content, whatever the order, time or owner of the
//! files. [`unpack()`] takes archives from anybody: what would write outside of its folder, fill the
//! disk, or leave something half done is refused, and nothing of it remains.

mod contents;
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

/// How the names begin of files that are being packed, beside the archive that is to be.
const PACKING: &str = ".krt-pack-";
/// How the names begin of folders in which archives are unpacked, beside the folder that is to be.
const UNPACKING: &str = ".krt-unpack-";

/// Sets the x bit of a file for everybody who may read it, if nobody has it.
pub(crate) fn set_executable(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o111 != 0 {
        return Ok(());
    }
    fs::set_permissions(path, PermissionsExt::from_mode(mode | (mode & 0o444) >> 2))
}

/// What to say when a manifest is one folder too deep.
pub(crate) fn nested_hint(nested: Option<&Path>) -> String {
    nested.map(|folder| format!("\nhint: there is one in `{}`", folder.display())).unwrap_or_default()
}

#[cfg(test)]
mod tests;
