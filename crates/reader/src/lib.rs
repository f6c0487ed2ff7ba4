//! Reads packages in a process of their own.
//!
//! A package is untrusted, and compiling its `.proto` files may exhaust stack, memory or time. So this
//! program starts itself once more ([`COMMAND`]), with limits, and that process unpacks, reads and compiles
//! the package. It sends back the result, or dies, which becomes an error with the reason.
//!
//! - [`load`], [`check`], [`check_at`]: the methods of [`Loader`], run in such a process.
//! - [`CancelHandle`]: ends the process of a package that is no longer wanted.
//! - [`run`]: the main function of that process.

mod child;
mod frame;
mod limits;
mod parent;

pub use child::run;
pub use parent::{CancelHandle, CancelOnDrop};

use krt_package::{Checked, Error, Loader, Package, reading::PackageLocation};
use std::path::Path;

/// The subcommand of this program that reads a package; it must call [`run`].
pub const COMMAND: &str = "read-package";

/// Loads a package to run it here.
pub fn load(path: &Path, cancel: &CancelHandle) -> Result<Package, Error> {
    Loader::default().load_by(path, |order| parent::read(order, cancel))
}

/// Finds all problems of a package.
pub fn check(loader: &Loader, path: &Path) -> Result<Checked, Error> {
    loader.check_by(path, |order| parent::read(order, &CancelHandle::default()))
}

/// Finds all problems of a package in a given place, and leaves the unpacked files there.
pub fn check_at(place: PackageLocation, cancel: &CancelHandle) -> Result<Checked, Error> {
    Loader::default().check_at(place, |order| parent::read(order, cancel))
}
