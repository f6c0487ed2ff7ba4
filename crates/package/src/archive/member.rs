//! One entry of a tar: its headers and extensions for long names, as a validated [`Member`].

use super::error::Error;
use super::limits::Limits;
use super::meter::Fault;
use std::borrow::Cow;
use std::io::{self, Read};
use tar::{Entry, EntryType, PaxExtensions};

/// The largest extended header, in bytes.
const MAX_EXTENSION: u64 = 64 * 1024;

/// An entry of an archive, whose name stays inside.
#[derive(Debug)]
pub(super) struct Member {
    /// Its path, relative to the root, without `.` and `..`; empty for the root itself.
    pub(super) name: String,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Folder,
    File {
        size: u64,
        executable: bool,
    },
    /// A symbolic link.
    Link {
        target: String,
    },
    /// Another name of an earlier file.
    HardLink {
        target: String,
    },
}

/// The preceding entries that describe an entry.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Extensions {
    /// Takes an entry that only describes the next one; returns `false` for a member itself.
    pub(super) fn take<R: Read>(&mut self, entry: &mut Entry<'_, R>, fault: &Fault) -> Result<bool, Error> {
        match entry.header().entry_type() {
            EntryType::GNULongName => self.name = Some(text(entry, fault)?),
            EntryType::GNULongLink => self.link = Some(text(entry, fault)?),
            EntryType::XHeader => self.pax(&extension(entry, fault)?)?,
            EntryType::XGlobalHeader => drop(extension(entry, fault)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn pax(&mut self, records: &[u8]) -> Result<(), Error> {
        for record in PaxExtensions::new(records) {
            let record = record.map_err(|_| Error::NotTar)?;
            let value = record.value_bytes();
            match record.key().map_err(|_| Error::NotTar)? {
                "path" => self.name = Some(value.to_vec()),
                "linkpath" => self.link = Some(value.to_vec()),
                "size" => self.size = Some(number(value).ok_or(Error::NotTar)?),
                key if key.starts_with("GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Member {
    /// Builds a member from an entry and its extensions.
    pub(super) fn of<R: Read>(
        entry: &Entry<'_, R>,
        extensions: Extensions,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let header = entry.header();
        let raw = extensions.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let name = path(&raw, limits)?;
        let size = header.entry_size().map_err(|_| Error::NotTar)?;
        // Readers disagree on which of two sizes applies, and so could see different archives.
        if extensions.size.is_some_and(|said| said != size) {
            return Err(Error::NotTar);
        }
        let link = || extensions.link.or_else(|| header.link_name_bytes().map(Cow::into_owned));
        let content = match header.entry_type() {
            _ if extensions.sparse => return Err(special(name, "a sparse file")),
            EntryType::Directory => Content::Folder,
            EntryType::Regular | EntryType::Continuous if raw.ends_with(b"/") => Content::Folder,
            EntryType::Regular | EntryType::Continuous => {
                let mode = header.mode().map_err(|_| Error::NotTar)?;
                Content::File { size: within(&name, size, limits)?, executable: mode & 0o111 != 0 }
            }
            EntryType::Symlink => Content::Link { target: target(link().unwrap_or_default())? },
            EntryType::Link => Content::HardLink { target: path(&link().unwrap_or_default(), limits)? },
            other => return Err(special(name, kind(other))),
        };
        if name.is_empty() && !matches!(content, Content::Folder) {
            return Err(Error::Name { name });
        }
        Ok(Self { name, content })
    }

    /// Whether macOS added it to store another file's attributes.
    pub(super) fn is_apple_double(&self) -> bool {
        let file = self.name.rsplit('/').next().unwrap_or_default();
        file.starts_with("._") || self.name.split('/').next() == Some("__MACOSX")
    }
}

fn within(name: &str, size: u64, limits: &Limits) -> Result<u64, Error> {
    if size > limits.file {
        return Err(Error::FileTooLarge { name: name.to_owned(), size, limit: limits.file });
    }
    Ok(size)
}

/// A name as a path that stays inside.
fn path(raw: &[u8], limits: &Limits) -> Result<String, Error> {
    let shown = || String::from_utf8_lossy(&raw[..raw.len().min(60)]).into_owned();
    if raw.len() > limits.path {
        return Err(Error::PathTooLong { name: shown(), limit: limits.path });
    }
    let name = std::str::from_utf8(raw).map_err(|_| Error::Name { name: shown() })?;
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if name.starts_with('/') || parts.contains(&"..") {
        return Err(Error::Outside { name: name.to_owned() });
    }
    if name.is_empty() || name.contains('\0') {
        return Err(Error::Name { name: shown() });
    }
    if parts.iter().any(|part| part.len() > Limits::MAX_NAME) {
        return Err(Error::PathTooLong { name: shown(), limit: Limits::MAX_NAME });
    }
    Ok(parts.join("/"))
}

/// The target of a symbolic link; the layout checks where it leads.
fn target(raw: Vec<u8>) -> Result<String, Error> {
    match String::from_utf8(raw) {
        Ok(target) if !target.is_empty() && !target.contains('\0') => Ok(target),
        Ok(name) => Err(Error::Name { name }),
        Err(error) => Err(Error::Name { name: String::from_utf8_lossy(error.as_bytes()).into_owned() }),
    }
}

fn special(name: String, kind: &'static str) -> Error {
    Error::Special { name, kind: kind.into() }
}

fn kind(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Block | EntryType::Char => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file",
        _ => "of a kind that is not known",
    }
}

/// The content of a GNU long name, which ends with a NUL.
fn text<R: Read>(entry: &mut Entry<'_, R>, fault: &Fault) -> Result<Vec<u8>, Error> {
    let mut text = extension(entry, fault)?;
    if text.last() == Some(&0) {
        text.pop();
    }
    Ok(text)
}

fn extension<R: Read>(entry: &mut Entry<'_, R>, fault: &Fault) -> Result<Vec<u8>, Error> {
    let size = entry.header().entry_size().map_err(|_| Error::NotTar)?;
    if size > MAX_EXTENSION {
        return Err(Error::PathTooLong { name: String::new(), limit: MAX_EXTENSION as usize });
    }
    let mut content = Vec::new();
    let read = entry.read_to_end(&mut content).map_err(|error| fault.explain(&error))?;
    if read as u64 != size {
        return Err(fault.explain(&io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(content)
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
