//! Why an archive is not unpacked, or a folder not packed.

use super::nested_hint;
use std::io;
use std::path::PathBuf;

/// Why an archive is not unpacked. Names are those in the archive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The first bytes are not those of gzip.
    #[error("it is not a gzip file\nhint: a `.krt` is a gzip'd tar; `krt pack` makes one")]
    NotGzip,
    /// What gzip holds is not a tar.
    #[error("it holds no tar archive, or a damaged one")]
    NotTar,
    /// The end is missing.
    #[error("it is cut off\nhint: copy it again")]
    Truncated,
    /// A checksum or a compressed block is wrong, or something follows the end.
    #[error("it is damaged, or something was added to it: {reason}")]
    Damaged {
        /// What the decoder says.
        reason: String,
    },
    /// Something other than zeros follows the end of the tar.
    #[error("something follows the end of the archive")]
    Trailing,
    /// No manifest at the root.
    #[error("it has no `krt.yml` at its root{}", nested_hint(nested.as_deref()))]
    NoManifest {
        /// A folder in the archive that has one.
        nested: Option<PathBuf>,
    },
    /// A name that leads out of the archive's folder.
    #[error("`{name}` leads out of the package")]
    Outside {
        /// The name.
        name: String,
    },
    /// A name that is not UTF-8, holds a NUL, or is empty.
    #[error("`{name}` is not a file name: names are UTF-8 text")]
    Name {
        /// The name, as far as it can be shown.
        name: String,
    },
    /// A link that leads out of the package, itself or by other links.
    #[error("the link `{name}` to `{target}` leads out of the package")]
    LinkOutside {
        /// The link.
        name: String,
        /// What it points to.
        target: String,
    },
    /// Links that lead to one another, or too many in a row.
    #[error("the link `{name}` leads in a circle")]
    LinkLoop {
        /// The link.
        name: String,
    },
    /// A hard link to what is not a file before it in the archive.
    #[error("the hard link `{name}` points to `{target}`, which is no file before it in the archive")]
    HardLink {
        /// The link.
        name: String,
        /// What it points to.
        target: String,
    },
    /// A device, a pipe, or another kind that a package does not hold.
    #[error("`{name}` is {kind}: a package holds files, folders and links")]
    Special {
        /// Its name.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// Two entries with the same name.
    #[error("`{name}` is in the archive twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// An entry below something that is not a folder.
    #[error("`{name}` lies below `{parent}`, which is not a folder")]
    NotFolder {
        /// The entry.
        name: String,
        /// What it lies below.
        parent: String,
    },
    /// Too many entries.
    #[error("it holds more than {limit} files")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// Too many bytes.
    #[error("it holds more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A file with too many bytes.
    #[error("`{name}` has {size} bytes, a file may have {limit}")]
    FileTooLarge {
        /// The file.
        name: String,
        /// Its size, in bytes.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Unpacks to far more than it is: a bomb.
    #[error("it becomes more than {limit} times larger when it is unpacked")]
    TooDense {
        /// The limit.
        limit: u64,
    },
    /// A path with too many bytes.
    #[error("`{name}…` is longer than {limit} bytes")]
    PathTooLong {
        /// Its beginning.
        name: String,
        /// The limit.
        limit: usize,
    },
    /// The folder to unpack to has something in it.
    #[error("`{}` is not empty\nhint: name a folder that does not exist yet", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The archive cannot be read.
    #[error("cannot read it")]
    Read(#[source] io::Error),
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why a folder is not packed. Names are relative to the folder.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// No manifest, or one that is left out.
    #[error("`{}` has no `krt.yml`, or `.krtignore` leaves it out", path.display())]
    NoManifest {
        /// The folder.
        path: PathBuf,
    },
    /// A link to what is not packed.
    #[error(
        "the link `{name}` points to `{target}`, which is not in the package\nhint: remove it, name it in `.krtignore`, or copy what it points to"
    )]
    Link {
        /// The link.
        name: String,
        /// What it points to.
        target: String,
    },
    /// A pipe, a socket or a device.
    #[error("`{name}` is not a file, a folder or a link\nhint: name it in `.krtignore`")]
    Special {
        /// Its name.
        name: String,
    },
    /// A name that is not UTF-8.
    #[error("`{name}` is not UTF-8\nhint: rename it, or name it in `.krtignore`")]
    Name {
        /// The name, as far as it can be shown.
        name: String,
    },
    /// The folder cannot be walked, or `.krtignore` has an error.
    #[error("cannot list the folder: {0}")]
    Walk(#[from] ignore::Error),
    /// A file changed its size while it was packed.
    #[error("`{name}` changed while it was packed\nhint: stop what writes it, and pack again")]
    Changed {
        /// The file.
        name: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The archive cannot be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
}
