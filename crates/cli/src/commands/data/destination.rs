//! The destination of results: standard output, or a file that appears only when complete.

use crate::{
    error::{Context as _, Result},
    output::{Escape, Results},
};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};
use tempfile::TempPath;

/// The size of the write buffer, bytes.
const BUFFER: usize = 64 << 10;

/// The destination of results. Its errors name it.
#[derive(Debug)]
pub(super) enum Destination {
    Stdout(Results),
    /// A temporary file beside the target, which replaces the target once it is complete.
    File {
        path: PathBuf,
        out: BufWriter<File>,
        /// The temporary file.
        beside: TempPath,
    },
    /// An existing path that is not a plain file, such as `/dev/null` or a pipe.
    Device {
        path: PathBuf,
        out: BufWriter<File>,
    },
}

impl Destination {
    /// Opens a file or standard output. Results on a terminal are escaped.
    pub(super) fn open(path: Option<&Path>, escape: Escape) -> Result<Self> {
        match path {
            None => Ok(Self::Stdout(Results::open(BUFFER, escape))),
            Some(path) => {
                Self::open_file(path).with_context(|| format!("failed to write `{}`", path.display()))
            }
        }
    }

    fn open_file(path: &Path) -> io::Result<Self> {
        // Replace a link's target, not the link.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if path.exists() && !path.is_file() {
            let out = File::options().write(true).open(&path)?;
            return Ok(Self::Device { path, out: BufWriter::with_capacity(BUFFER, out) });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // The library's default would make the file readable by its owner only.
        let new = |path: &Path| File::options().write(true).create_new(true).open(path);
        let made = tempfile::Builder::new().make_in(folder.unwrap_or(Path::new(".")), new)?;
        let (out, beside) = made.into_parts();
        Ok(Self::File { path, out: BufWriter::with_capacity(BUFFER, out), beside })
    }

    /// Flushes the buffer, and moves the file into place.
    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        match self {
            Self::Stdout(_) | Self::Device { .. } => Ok(()),
            Self::File { path, beside, .. } => beside
                .persist(&path)
                .map_err(|error| error.error)
                .with_context(|| format!("failed to write `{}`", path.display())),
        }
    }

    fn out(&mut self) -> &mut dyn Write {
        match self {
            Self::Stdout(out) => out,
            Self::File { out, .. } => out,
            Self::Device { out, .. } => out,
        }
    }

    fn named(&self, error: &io::Error) -> io::Error {
        let name = match self {
            Self::Stdout(_) => "the results".to_owned(),
            Self::File { path, .. } | Self::Device { path, .. } => format!("`{}`", path.display()),
        };
        io::Error::new(error.kind(), format!("failed to write {name}: {error}"))
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out().write(bytes).map_err(|error| self.named(&error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out().flush().map_err(|error| self.named(&error))
    }
}
