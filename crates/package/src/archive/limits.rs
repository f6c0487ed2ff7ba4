//! Limits of an archive.

use serde::{Deserialize, Serialize};

/// The limits of an archive, checked before anything is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The number of files, folders and links.
    pub entries: usize,
    /// The unpacked size, in bytes.
    pub total: u64,
    /// The size of a file, in bytes.
    pub file: u64,
    /// The compression ratio, once the unpacked size exceeds [`Limits::RATIO_EXEMPT`].
    pub ratio: u64,
    /// The length of a path, in bytes.
    pub path: usize,
}

impl Limits {
    /// The unpacked size, in bytes, up to which any ratio is allowed.
    pub const RATIO_EXEMPT: u64 = 64 * 1024 * 1024;
    /// The longest name of a file or folder, in bytes: the limit of common file systems.
    pub(crate) const MAX_NAME: usize = 255;
}

impl Default for Limits {
    /// Room for large models: 100,000 entries, 32 GiB, files of 16 GiB, 200 to 1, paths of 1 KiB.
    fn default() -> Self {
        Self { entries: 100_000, total: 32 << 30, file: 16 << 30, ratio: 200, path: 1024 }
    }
}
