//! `backup.json`: the files of a backup, and their checksums.

use crate::error::{Context as _, Result, bail, ensure};
use krt_registry::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

/// The manifest's file name.
pub(super) const FILE: &str = "backup.json";
/// The newest format that this program supports.
const FORMAT: u32 = 1;
/// The maximum size of `backup.json`, bytes.
const MAX_BYTES: u64 = 64 << 20;

/// The kind of data folder in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::commands) enum Kind {
    /// The data folder of `krt serve`.
    Server,
    /// The data folder of `krt run`.
    Package,
}

/// The content of `backup.json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::commands) struct Manifest {
    format: u32,
    /// The kind of data folder.
    pub(in crate::commands) kind: Kind,
    /// The version of `krt` that created the backup.
    krt: String,
    /// The time of the backup, RFC 3339.
    made: String,
    files: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Relative to the backup's folder.
    path: String,
    bytes: u64,
    /// Lowercase hexadecimal.
    sha256: String,
}

impl Manifest {
    /// Builds the manifest of all files in a folder.
    pub(super) fn of(folder: &Path, kind: Kind) -> Result<Self> {
        let mut files = Vec::new();
        collect(folder, folder, &mut files)?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let krt = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self { format: FORMAT, kind, krt, made: Timestamp::now().to_string(), files })
    }

    /// Writes the manifest into a backup's folder.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(FILE))?;
        serde_json::to_writer_pretty(&mut file, self)?;
        Ok(file.sync_all()?)
    }

    /// Loads the manifest of a backup.
    pub(in crate::commands) fn load(backup: &Path) -> Result<Self> {
        let path = backup.join(FILE);
        let shown = path.display();
        let file = File::open(&path)
            .with_context(|| format!("`{}` is not a backup: cannot read `{FILE}`", backup.display()))?;
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text).with_context(|| format!("cannot read `{shown}`"))?;
        let manifest: Self =
            serde_json::from_str(&text).with_context(|| format!("`{shown}` does not describe a backup"))?;
        ensure!(
            manifest.format <= FORMAT,
            "`{shown}` has the format {}, this program knows formats up to {FORMAT}", manifest.format;
            hint: "use a newer krt"
        );
        for entry in &manifest.files {
            let inside = Path::new(&entry.path).components().all(|part| matches!(part, Component::Normal(_)));
            ensure!(
                inside && !entry.path.is_empty(),
                "`{shown}` names `{}`, which is not in the backup",
                entry.path
            );
        }
        Ok(manifest)
    }

    /// Copies all files of a backup to another folder. Fails if a file has changed since the backup.
    pub(in crate::commands) fn copy(&self, backup: &Path, into: &Path) -> Result<()> {
        for entry in &self.files {
            let (from, to) = (backup.join(&entry.path), into.join(&entry.path));
            let copied = copy(&from, &to).with_context(|| format!("cannot restore `{}`", from.display()))?;
            if copied != (entry.bytes, entry.sha256.clone()) {
                bail!(
                    "`{}` is not as it was when the backup was made", from.display();
                    hint: "use another backup"
                );
            }
        }
        Ok(())
    }

    /// The packages of a server's versions, relative to the backup's folder.
    pub(in crate::commands) fn packages(&self) -> impl Iterator<Item = &Path> {
        let paths = self.files.iter().map(|entry| Path::new(&entry.path));
        paths.filter(|path| path.file_name().is_some_and(|name| name == "package.krt"))
    }

    /// The total size of all files, bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|entry| entry.bytes).sum()
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<Entry>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
            continue;
        }
        let file = File::open(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let (bytes, sha256) = pass(&file, io::sink())?;
        // The manifest lists these files, so sync them to disk before it is written.
        file.sync_all()?;
        let relative = path.strip_prefix(root).unwrap_or(&path);
        files.push(Entry { path: relative.to_string_lossy().into_owned(), bytes, sha256 });
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(u64, String)> {
    let folder: PathBuf = to.parent().map(Path::to_owned).unwrap_or_default();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let copied = pass(File::open(from)?, &target)?;
    target.sync_all()?;
    Ok(copied)
}

/// Copies bytes; returns their number and checksum.
fn pass(mut from: impl Read, mut to: impl Write) -> Result<(u64, String)> {
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            let digest = hash.finalize();
            return Ok((bytes, digest.iter().map(|byte| format!("{byte:02x}")).collect()));
        }
        hash.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        bytes += read as u64;
    }
}
