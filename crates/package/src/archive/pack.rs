//! From a folder to an archive, always with the same bytes for the same content.

use super::contents::{Contents, Item};
use super::error::PackError;
use flate2::{Compression, GzBuilder};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// How far packing has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The file that is being packed, relative to the folder.
    pub file: &'a str,
    /// The bytes of files packed so far.
    pub bytes: u64,
    /// The bytes of all files.
    pub total: u64,
}

/// What was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// How many files.
    pub files: usize,
    /// How many bytes they have.
    pub bytes: u64,
}

/// Packs a folder to the file `out`, which appears or is replaced when it is whole; see [`pack`].
pub fn pack_file(
    folder: &Path,
    out: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Packed, PackError> {
    let contents = Contents::of(folder, Some(out))?;
    let beside = match out.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(super::PACKING)
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(beside)
        .map_err(PackError::Write)?;
    let packed = write(folder, &contents, BufWriter::new(file.as_file_mut()), progress)?;
    file.persist(out).map_err(|error| PackError::Write(error.error))?;
    Ok(packed)
}

/// Packs a folder, without what its `.krtignore` names.
///
/// Always left out: `.git`, `.krt`, `__pycache__`, virtual environments, and archives at the root.
/// Links are kept if they stay inside. Names are in order, times zero, owners nobody, and modes 644 or 755.
pub fn pack(
    folder: &Path,
    out: impl Write,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Packed, PackError> {
    write(folder, &Contents::of(folder, None)?, out, progress)
}

fn write(
    folder: &Path,
    contents: &Contents,
    out: impl Write,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Packed, PackError> {
    let (files, total) = contents.size();
    // Neither a time nor a name nor the system goes into the header of gzip: 255 is "unknown".
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::default());
    let mut archive = Builder::new(gzip);
    let mut bytes = 0;
    for (name, item) in &contents.items {
        append(&mut archive, folder, name, item, &mut |read| {
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
    folder: &Path,
    name: &str,
    item: &Item,
    read: &mut dyn FnMut(usize),
) -> Result<(), PackError> {
    match item {
        Item::Folder => archive
            .append_data(&mut header(EntryType::Directory, 0, 0o755), format!("{name}/"), io::empty())
            .map_err(PackError::Write),
        Item::Link { target } => archive
            .append_link(&mut header(EntryType::Symlink, 0, 0o777), name, target)
            .map_err(PackError::Write),
        Item::File { size, executable } => {
            let mode = if *executable { 0o755 } else { 0o644 };
            let path = folder.join(name);
            let file = File::open(&path).map_err(|source| PackError::Read { path: path.clone(), source })?;
            let mut content = Exactly { file, left: *size, fault: None, read };
            let written =
                archive.append_data(&mut header(EntryType::Regular, *size, mode), name, &mut content);
            match (content.fault, written) {
                (Some(Fault::Changed), _) => Err(PackError::Changed { name: name.to_owned() }),
                (Some(Fault::Read(source)), _) => Err(PackError::Read { path, source }),
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

/// A file that must have as many bytes as its header was told.
struct Exactly<'a> {
    file: File,
    left: u64,
    fault: Option<Fault>,
    read: &'a mut dyn FnMut(usize),
}

enum Fault {
    Changed,
    Read(io::Error),
}

impl Exactly<'_> {
    fn stop(&mut self, fault: Fault) -> io::Error {
        self.fault = Some(fault);
        io::Error::other("stopped")
    }
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(self.stop(Fault::Read(error))),
            Ok(read) => read,
        };
        let ended = read == 0 && !buffer.is_empty();
        if read as u64 > self.left || ended && self.left > 0 {
            return Err(self.stop(Fault::Changed));
        }
        self.left -= read as u64;
        (self.read)(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
