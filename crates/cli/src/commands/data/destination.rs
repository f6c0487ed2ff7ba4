//! Where results go: standard output, or a file that is whole or not there.

use anyhow::Context as _;
use std::{
    fs::File,
    io::{self, BufWriter, StdoutLock, Write},
    path::{Path, PathBuf},
};
use tempfile::TempPath;

/// Bytes that are written together.
const BUFFER: usize = 64 << 10;

/// Where results go. Its errors name it.
#[derive(Debug)]
pub(super) enum Destination {
    Stdout(BufWriter<StdoutLock<'static>>),
    /// Written beside the file, which it takes the place of once it is whole.
    File {
        path: PathBuf,
        out: BufWriter<File>,
        /// Where it is written, until then.
        beside: TempPath,
    },
    /// What is there already and is no plain file, as `/dev/null` or a pipe.
    Device {
        path: PathBuf,
        out: BufWriter<File>,
    },
}

impl Destination {
    /// Opens a file, or standard output.
    pub(super) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        match path {
            None => Ok(Self::Stdout(BufWriter::with_capacity(BUFFER, io::stdout().lock()))),
            Some(path) => {
                Self::open_file(path).with_context(|| format!("failed to write `{}`", path.display()))
            }
        }
    }

    fn open_file(path: &Path) -> io::Result<Self> {
        // What a link leads to is replaced, not the link.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if path.exists() && !path.is_file() {
            let out = File::options().write(true).open(&path)?;
            return Ok(Self::Device { path, out: BufWriter::with_capacity(BUFFER, out) });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Not the library's own way, which would keep the file from others than its owner.
        let new = |path: &Path| File::options().write(true).create_new(true).open(path);
        let made = tempfile::Builder::new().make_in(folder.unwrap_or(Path::new(".")), new)?;
        let (out, beside) = made.into_parts();
        Ok(Self::File { path, out: BufWriter::with_capacity(BUFFER, out), beside })
    }

    /// Writes what waits, and puts the file in its place.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
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
