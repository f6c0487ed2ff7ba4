//! Loads packages from disk in processes of their own.

use crate::blocking;
use krt_package::{Error, Package};
use krt_reader::CancelHandle;
use std::path::PathBuf;

/// Loads a package; dropping the future ends the process.
pub(super) async fn load(path: PathBuf) -> Result<Package, Error> {
    let cancel = CancelHandle::default();
    let _leaves = cancel.on_drop();
    blocking::run(move || krt_reader::load(&path, &cancel)).await
}
