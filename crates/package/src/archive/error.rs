//! Why an archive cannot be unpacked, or a folder cannot be packed.

use super::NestedManifest;
use crate::transfer;
use krt_model::escape::Line;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

/// Why an archive cannot be unpacked. Names are those in the archive.
#[derive(Debug, thiserror::Error, miette::Diagnostic, Serialize, Deserialize)]
pub enum Error {
    /// It does not start with gzip's magic bytes.
    #[error("it is not a gzip file")]
    #[diagnostic(help("a `.krt` is a gzip'd tar; `krt pack` makes one"))]
    NotGzip,
    /// The gzip content is not a tar.
    #[error("it holds no tar archive, or a damaged one")]
    NotTar,
    /// It is truncated.
    #[error("it is cut off")]
    #[diagnostic(help("copy it again"))]
    Truncated,
    /// A checksum or compressed block is wrong, or data follows the end.
    #[error("it is damaged, or something was added to it: {reason}")]
    Damaged {
        /// The decoder's error.
        reason: String,
    },
    /// Nonzero bytes follow the end of the tar.
    #[error("something follows the end of the archive")]
    Trailing,
    /// It has no manifest at its root.
    #[error("it has no `krt.yml` at its root")]
    NoManifest {
        /// A folder in the archive with a manifest.
        #[help]
        nested: Option<NestedManifest>,
    },
    /// A name leads out of the archive's folder.
    #[error("`{name}` leads out of the package", name = Line(name))]
    Outside {
        /// The name.
        name: String,
    },
    /// A name is empty, has a NUL, or is not UTF-8.
    #[error("`{name}` is not a file name: names are UTF-8 text", name = Line(name))]
    Name {
        /// The name, made printable.
        name: String,
    },
    /// A link leads out of the package, directly or through other links.
    #[error("the link `{name}` to `{target}` leads out of the package", name = Line(name), target = Line(target))]
    LinkOutside {
        /// The link.
        name: String,
        /// Its target.
        target: String,
    },
    /// Links form a cycle, or a chain that is too long.
    #[error("the link `{name}` forms a cycle", name = Line(name))]
    LinkLoop {
        /// The link.
        name: String,
    },
    /// A hard link points to no earlier file of the archive.
    #[error("the hard link `{name}` points to `{target}`, which is not an earlier file of the archive", name = Line(name), target = Line(target))]
    HardLink {
        /// The link.
        name: String,
        /// Its target.
        target: String,
    },
    /// An entry is a device, a pipe, or of another unsupported kind.
    #[error("`{name}` is {kind}: a package holds files, folders and links", name = Line(name))]
    Special {
        /// Its name.
        name: String,
        /// Its kind.
        kind: Cow<'static, str>,
    },
    /// Two entries have the same name.
    #[error("`{name}` is in the archive twice", name = Line(name))]
    Duplicate {
        /// The name.
        name: String,
    },
    /// An entry is below something that is not a folder.
    #[error("`{name}` lies below `{parent}`, which is not a folder", name = Line(name), parent = Line(parent))]
    NotFolder {
        /// The entry.
        name: String,
        /// The entry above it.
        parent: String,
    },
    /// It has too many entries.
    #[error("it holds more than {limit} files")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// It has too many bytes.
    #[error("it holds more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A file is too large.
    #[error("`{name}` has {size} bytes, a file may have {limit}", name = Line(name))]
    FileTooLarge {
        /// The file.
        name: String,
        /// Its size, in bytes.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Its compression ratio is too high: a zip bomb.
    #[error("it becomes more than {limit} times larger when it is unpacked")]
    TooDense {
        /// The limit.
        limit: u64,
    },
    /// A path is too long.
    #[error("`{name}…` is longer than {limit} bytes", name = Line(name))]
    PathTooLong {
        /// Its beginning.
        name: String,
        /// The limit.
        limit: usize,
    },
    /// The target folder is not empty.
    #[error("`{}` is not empty", Line(&path.display().to_string()))]
    #[diagnostic(help("name a folder that does not exist yet"))]
    Occupied {
        /// The folder.
        #[serde(with = "transfer::path")]
        path: PathBuf,
    },
    /// The archive cannot be read.
    #[error("cannot read it")]
    Read(
        #[source]
        #[serde(with = "transfer::io_error")]
        io::Error,
    ),
    /// A file cannot be written.
    #[error("cannot write `{}`", Line(&path.display().to_string()))]
    Write {
        /// The file.
        #[serde(with = "transfer::path")]
        path: PathBuf,
        /// The cause.
        #[source]
        #[serde(with = "transfer::io_error")]
        source: io::Error,
    },
}

/// Why a folder cannot be packed. Names are relative to the folder.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum PackError {
    /// The manifest is missing or ignored.
    #[error("`{}` has no `krt.yml`, or `.krtignore` leaves it out", Line(&path.display().to_string()))]
    NoManifest {
        /// The folder.
        path: PathBuf,
    },
    /// A link leads out of the folder.
    #[error("the link `{name}` to `{target}` leads out of the package", name = Line(name), target = Line(target))]
    #[diagnostic(help("copy what it points to into the package, remove it, or name it in `.krtignore`"))]
    Link {
        /// The link.
        name: String,
        /// Its target.
        target: String,
    },
    /// A link leads to itself, through other links or a folder that contains it.
    #[error("the link `{name}` to `{target}` forms a cycle", name = Line(name), target = Line(target))]
    #[diagnostic(help("remove it, or name it in `.krtignore`"))]
    LinkLoop {
        /// The link.
        name: String,
        /// Its target.
        target: String,
    },
    /// Links lead to more files than a package may have.
    #[error("links lead to more files than a package may have, the first too many is `{name}`", name = Line(name))]
    #[diagnostic(help("let each folder be linked once"))]
    Many {
        /// The first one beyond the limit.
        name: String,
    },
    /// An entry is a pipe, a socket or a device.
    #[error("`{name}` is not a file, a folder or a link", name = Line(name))]
    #[diagnostic(help("name it in `.krtignore`"))]
    Special {
        /// Its name.
        name: String,
    },
    /// A name is not UTF-8.
    #[error("`{name}` is not UTF-8", name = Line(name))]
    #[diagnostic(help("rename it, or name it in `.krtignore`"))]
    Name {
        /// The name, made printable.
        name: String,
    },
    /// The folder cannot be walked, or `.krtignore` has an error.
    #[error("cannot list the folder: {0}")]
    Walk(#[from] ignore::Error),
    /// A file changed its size while being packed.
    #[error("`{name}` changed while it was packed", name = Line(name))]
    #[diagnostic(help("stop what writes it, and pack again"))]
    Changed {
        /// The file.
        name: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", Line(&path.display().to_string()))]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The archive cannot be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
}
