//! How much an archive may hold.

/// What an archive may hold at most. More is refused before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Files, folders and links.
    pub entries: usize,
    /// Bytes, unpacked.
    pub total: u64,
    /// Bytes of one file.
    pub file: u64,
    /// How many times larger it may become, once it is larger than [`Limits::RATIO_FREE`].
    pub ratio: u64,
    /// Bytes of a path.
    pub path: usize,
}

impl Limits {
    /// Up to here, in bytes, an archive may be as dense as it likes.
    pub const RATIO_FREE: u64 = 64 * 1024 * 1024;
    /// The longest name of a file or folder, in bytes: what common file systems take.
    pub(crate) const NAME: usize = 255;
}

impl Default for Limits {
    /// Room for large models: 100,000 entries, 32 GiB, files of 16 GiB, 200 to 1, paths of 1 KiB.
    fn default() -> Self {
        Self { entries: 100_000, total: 32 << 30, file: 16 << 30, ratio: 200, path: 1024 }
    }
}
