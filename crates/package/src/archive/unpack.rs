//! Unpacks an archive to a folder: all of it, or nothing.

use super::NestedManifest;
use super::error::Error;
use super::layout::{Kind, Layout};
use super::limits::Limits;
use super::member::{Content, Extensions, Member};
use super::meter::{Fault, Meter};
use super::staging::Staging;
use crate::manifest::FILE_NAMES;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use tar::{Archive, Entry};

/// Unpacks the archive at `path`; see [`unpack`].
pub fn unpack_file(path: &Path, into: &Path, limits: &Limits) -> Result<(), Error> {
    unpack(File::open(path).map_err(Error::Read)?, into, limits)
}

/// Unpacks an archive to the folder `into`, which must be empty or missing; its parent must exist.
///
/// It appears at once, when complete. Set-user-id bits, owners and times are dropped.
pub fn unpack(archive: impl Read, into: &Path, limits: &Limits) -> Result<(), Error> {
    refuse_occupied(into)?;
    let beside = match into.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let write = |source| Error::Write { path: into.to_owned(), source };
    let staging = Staging::beside(beside).map_err(write)?;
    let root = staging.path().join("package");
    fs::create_dir(&root).map_err(write)?;
    Unpacking { root: root.clone(), limits, layout: Layout::default() }.run(archive)?;
    fs::rename(&root, into).map_err(write)
}

fn refuse_occupied(path: &Path) -> Result<(), Error> {
    match fs::read_dir(path) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(Error::Occupied { path: path.to_owned() }),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Write { path: path.to_owned(), source }),
    }
}

/// An archive being unpacked.
struct Unpacking<'a> {
    root: PathBuf,
    limits: &'a Limits,
    layout: Layout,
}

impl Unpacking<'_> {
    fn run(mut self, archive: impl Read) -> Result<(), Error> {
        let meter = Meter::new(archive, self.limits)?;
        let fault = meter.fault();
        let mut archive = Archive::new(meter);
        self.members(&mut archive, &fault)?;
        drain(archive.into_inner(), &fault)?;
        for (name, target) in self.layout.links()? {
            let path = self.root.join(name);
            symlink(target, &path).map_err(|source| Error::Write { path, source })?;
        }
        self.require_manifest()
    }

    fn members<R: Read>(&mut self, archive: &mut Archive<R>, fault: &Fault) -> Result<(), Error> {
        let entries = archive.entries().map_err(|error| fault.explain(&error))?.raw(true);
        let mut extensions = Extensions::default();
        for entry in entries {
            let mut entry = entry.map_err(|error| fault.explain(&error))?;
            if extensions.take(&mut entry, fault)? {
                continue;
            }
            let member = Member::of(&entry, std::mem::take(&mut extensions), self.limits)?;
            if !member.name.is_empty() && !member.is_apple_double() {
                self.write(member, &mut entry, fault)?;
            }
        }
        Ok(())
    }

    fn write<R: Read>(
        &mut self,
        member: Member,
        entry: &mut Entry<'_, R>,
        fault: &Fault,
    ) -> Result<(), Error> {
        let path = self.root.join(&member.name);
        let write = |source| Error::Write { path: path.clone(), source };
        match member.content {
            Content::Folder => {
                self.claim(&member.name, Kind::Folder)?;
                match fs::create_dir(&path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                    made => made.map_err(write),
                }
            }
            Content::File { size, executable } => {
                self.claim(&member.name, Kind::File)?;
                let mode = if executable { 0o755 } else { 0o644 };
                let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
                copy(entry, file.map_err(write)?, size, &path, fault)
            }
            Content::Link { target } => self.claim(&member.name, Kind::Link(target)),
            Content::HardLink { target } => {
                if self.layout.kind(&target) != Some(&Kind::File) {
                    return Err(Error::HardLink { name: member.name, target });
                }
                self.claim(&member.name, Kind::File)?;
                fs::hard_link(self.root.join(target), &path).map_err(write)
            }
        }
    }

    /// Claims a name and creates its parent folders.
    fn claim(&mut self, name: &str, kind: Kind) -> Result<(), Error> {
        for parent in self.layout.claim(name, kind, self.limits)? {
            let path = self.root.join(parent);
            fs::create_dir(&path).map_err(|source| Error::Write { path, source })?;
        }
        Ok(())
    }

    fn require_manifest(&self) -> Result<(), Error> {
        if FILE_NAMES.iter().any(|name| self.root.join(name).is_file()) {
            return Ok(());
        }
        Err(Error::NoManifest { nested: self.layout.nested(&FILE_NAMES).map(NestedManifest) })
    }
}

/// Writes a file's content, exactly `size` bytes.
fn copy(mut from: impl Read, mut to: File, size: u64, path: &Path, fault: &Fault) -> Result<(), Error> {
    let mut buffer = vec![0; 64 * 1024];
    let mut left = size;
    while left > 0 {
        let read = from.read(&mut buffer).map_err(|error| fault.explain(&error))?;
        if read == 0 {
            return Err(Error::Truncated);
        }
        io::Write::write_all(&mut to, &buffer[..read])
            .map_err(|source| Error::Write { path: path.to_owned(), source })?;
        left = left.saturating_sub(read as u64);
    }
    Ok(())
}

/// Reads to the very end, to gzip's checksum: only zeros may follow a tar.
fn drain(mut rest: impl Read, fault: &Fault) -> Result<(), Error> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match rest.read(&mut buffer).map_err(|error| fault.explain(&error))? {
            0 => return Ok(()),
            read if buffer[..read].iter().any(|&byte| byte != 0) => return Err(Error::Trailing),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
