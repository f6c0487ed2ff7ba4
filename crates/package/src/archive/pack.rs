//! Packs a folder to an archive, with the same bytes for the same content.

use super::error::PackError;
use crate::contents::{Contents, Fault, Item, PACKING_PREFIX};
use crate::manifest::FILE_NAMES;
use flate2::{Compression, GzBuilder};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// The progress of packing.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The current file, relative to the folder.
    pub file: &'a str,
    /// The bytes of files packed so far.
    pub bytes: u64,
    /// The bytes of all files.
    pub total: u64,
}

/// The result of packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// The number of files.
    pub files: usize,
    /// Their total size, in bytes.
    pub bytes: u64,
}

/// Packs a folder to the file `out`, which is created or replaced once complete; see [`pack`].
pub fn pack_file(
    folder: &Path,
    out: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Packed, PackError> {
    let contents = contents(folder, Some(out))?;
    let beside = match out.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(PACKING_PREFIX)
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(beside)
        .map_err(PackError::Write)?;
    let packed = write(&contents, BufWriter::new(file.as_file_mut()), progress)?;
    file.persist(out).map_err(|error| PackError::Write(error.error))?;
    Ok(packed)
}

/// Packs a folder, without the files that its `.krtignore` names.
///
/// Always leaves out `.git`, `.krt`, `.dvc`, `__pycache__`, virtual environments, and archives at the root.
/// Replaces links by their targets, so that a package does not depend on links. Names are sorted, times zero,
/// owners nobody, and modes 644 or 755.
pub fn pack(
    folder: &Path,
    out: impl Write,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Packed, PackError> {
    write(&contents(folder, None)?, out, progress)
}

/// Lists the files to pack, if all of them can be packed.
fn contents(folder: &Path, except: Option<&Path>) -> Result<Contents, PackError> {
    let read = |source| PackError::Read { path: folder.to_owned(), source };
    let mut contents = Contents::list_except(folder, except).map_err(read)?;
    for fault in std::mem::take(&mut contents.faults) {
        refuse(fault)?;
    }
    match FILE_NAMES.iter().any(|name| matches!(contents.items.get(*name), Some(Item::File { .. }))) {
        true => Ok(contents),
        false => Err(PackError::NoManifest { path: folder.to_owned() }),
    }
}

/// Refuses a folder with a fault. A dangling link is accepted: it holds no file.
fn refuse(fault: Fault) -> Result<(), PackError> {
    Err(match fault {
        Fault::Dangling(_) => return Ok(()),
        Fault::Outside(link) => PackError::Link { name: link.name, target: link.target },
        Fault::Loop(link) => PackError::LinkLoop { name: link.name, target: link.target },
        Fault::Special { name } => PackError::Special { name },
        Fault::Name { name } => PackError::Name { name },
        Fault::Many { name } => PackError::Many { name },
        Fault::Ignore(error) => PackError::Walk(error),
        Fault::Read { path, source } => PackError::Read { path, source },
    })
}

fn write(
    contents: &Contents,
    out: impl Write,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Packed, PackError> {
    let (files, total) = contents.size();
    // The gzip header has no time, name or system: 255 is "unknown".
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::default());
    let mut archive = Builder::new(gzip);
    let mut bytes = 0;
    for (name, item) in &contents.items {
        append(&mut archive, name, item, &mut |read| {
            bytes += read as u64;
            progress(Progress { file: name, bytes, total });
        })?;
    }
    let gzip = archive.into_inner().map_err(PackError::Write)?;
    gzip.finish().and_then(|mut out| out.flush()).map_err(PackError::Write)?;
    Ok(Packed { files, bytes: total })
}

fn append(
    archive: &mut Builder<impl Write>,
    name: &str,
    item: &Item,
    read: &mut dyn FnMut(usize),
) -> Result<(), PackError> {
    match item {
        Item::Folder => archive
            .append_data(&mut header(EntryType::Directory, 0, 0o755), format!("{name}/"), io::empty())
            .map_err(PackError::Write),
        Item::File { from, size, executable } => {
            let mode = if *executable { 0o755 } else { 0o644 };
            let path = from.clone();
            let file = File::open(from).map_err(|source| PackError::Read { path: path.clone(), source })?;
            let mut content = ExactReader { file, left: *size, fault: None, read };
            let written =
                archive.append_data(&mut header(EntryType::Regular, *size, mode), name, &mut content);
            match (content.fault, written) {
                (Some(ReadFault::Changed), _) => Err(PackError::Changed { name: name.to_owned() }),
                (Some(ReadFault::Read(source)), _) => Err(PackError::Read { path, source }),
                (None, written) => written.map_err(PackError::Write),
            }
        }
    }
}

fn header(kind: EntryType, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// A file that must have exactly the size in its header.
struct ExactReader<'a> {
    file: File,
    left: u64,
    fault: Option<ReadFault>,
    read: &'a mut dyn FnMut(usize),
}

enum ReadFault {
    Changed,
    Read(io::Error),
}

impl ExactReader<'_> {
    fn stop(&mut self, fault: ReadFault) -> io::Error {
        self.fault = Some(fault);
        io::Error::other("stopped")
    }
}

impl Read for ExactReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(self.stop(ReadFault::Read(error))),
            Ok(read) => read,
        };
        let ended = read == 0 && !buffer.is_empty();
        if read as u64 > self.left || ended && self.left > 0 {
            return Err(self.stop(ReadFault::Changed));
        }
        self.left -= read as u64;
        (self.read)(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
