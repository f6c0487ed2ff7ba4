//! A bounded spool of lines on disk, for the time that the server is unavailable.
//!
//! A file holds up to a MiB of lines; its name has its number and its count of points
//! (`0000000007-512.lines`). When the spool is full, the oldest files make room for new lines.

use bytes::Bytes;
use std::{
    collections::VecDeque,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

/// The size of a full file, in bytes.
const FILE_BYTES: u64 = 1 << 20;

/// A folder of lines.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    /// The most bytes of all files together.
    limit: u64,
    /// Oldest first.
    files: VecDeque<Entry>,
    next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    number: u64,
    points: u64,
    size: u64,
}

impl Spool {
    /// Opens or creates the folder; lines left there wait on.
    pub(super) fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut files = Vec::new();
        for file in fs::read_dir(folder)? {
            let file = file?;
            let name = file.file_name();
            let Some((number, points)) = name.to_str().and_then(parse) else { continue };
            files.push(Entry { number, points, size: file.metadata()?.len() });
        }
        files.sort_by_key(|entry| entry.number);
        let next = files.last().map_or(0, |entry| entry.number + 1);
        Ok(Self { folder: folder.to_owned(), limit, files: files.into(), next })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The number of waiting points.
    pub(super) fn points(&self) -> u64 {
        self.files.iter().map(|entry| entry.points).sum()
    }

    /// Adds lines; returns how many older points were dropped for them.
    pub(super) fn push(&mut self, lines: &[u8], points: u64) -> io::Result<u64> {
        let given_way = self.make_room(lines.len() as u64)?;
        match self.files.back().copied().filter(|last| last.size < FILE_BYTES) {
            Some(last) => self.append(last, lines, points)?,
            None => self.begin(lines, points)?,
        }
        Ok(given_way)
    }

    /// The oldest lines, and their number of points.
    pub(super) fn oldest(&self) -> io::Result<Option<(Bytes, u64)>> {
        let Some(entry) = self.files.front() else { return Ok(None) };
        Ok(Some((fs::read(self.path(*entry))?.into(), entry.points)))
    }

    /// Removes the oldest lines; returns their number of points.
    pub(super) fn remove_oldest(&mut self) -> io::Result<u64> {
        let Some(entry) = self.files.pop_front() else { return Ok(0) };
        fs::remove_file(self.path(entry))?;
        Ok(entry.points)
    }

    fn make_room(&mut self, size: u64) -> io::Result<u64> {
        let mut points = 0;
        while !self.is_empty() && self.size() + size > self.limit {
            points += self.remove_oldest()?;
        }
        Ok(points)
    }

    fn size(&self) -> u64 {
        self.files.iter().map(|entry| entry.size).sum()
    }

    fn begin(&mut self, lines: &[u8], points: u64) -> io::Result<()> {
        let entry = Entry { number: self.next, points, size: lines.len() as u64 };
        let path = self.path(entry);
        if let Err(error) = fs::write(&path, lines) {
            // The last line may be cut off: no file is better than a broken one.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        self.next += 1;
        self.files.push_back(entry);
        Ok(())
    }

    fn append(&mut self, last: Entry, lines: &[u8], points: u64) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().append(true).open(self.path(last))?;
        if let Err(error) = file.write_all(lines) {
            file.set_len(last.size)?;
            return Err(error);
        }
        let longer = Entry { points: last.points + points, size: last.size + lines.len() as u64, ..last };
        fs::rename(self.path(last), self.path(longer))?;
        self.files.pop_back();
        self.files.push_back(longer);
        Ok(())
    }

    fn path(&self, entry: Entry) -> PathBuf {
        self.folder.join(format!("{:010}-{}.lines", entry.number, entry.points))
    }
}

fn parse(name: &str) -> Option<(u64, u64)> {
    let (number, points) = name.strip_suffix(".lines")?.split_once('-')?;
    Some((number.parse().ok()?, points.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn spooled_points_are_read_in_order() {
        let folder = TempDir::new().unwrap();
        let mut spool = Spool::open(folder.path(), 10 << 20).unwrap();
        let large = vec![b'x'; FILE_BYTES as usize];
        for (lines, points) in [(&b"a\n"[..], 1), (b"b\nc\n", 2), (&large, 7), (b"d\n", 1)] {
            assert_eq!(spool.push(lines, points).unwrap(), 0);
        }
        fs::write(folder.path().join("notes.txt"), "not ours").unwrap();
        let mut again = Spool::open(folder.path(), 10 << 20).unwrap();
        assert_eq!(again.points(), 11);
        let (lines, points) = again.oldest().unwrap().unwrap();
        assert_eq!((&lines[..6], points), (&b"a\nb\nc\n"[..], 10));
        assert_eq!(again.remove_oldest().unwrap(), 10);
        assert_eq!(again.oldest().unwrap().unwrap(), (Bytes::from_static(b"d\n"), 1));
        again.remove_oldest().unwrap();
        assert!(again.is_empty() && again.oldest().unwrap().is_none());
        assert!(Spool::open(folder.path(), 1).unwrap().is_empty());
    }

    #[test]
    fn the_oldest_points_are_dropped_first() {
        let folder = TempDir::new().unwrap();
        let mut spool = Spool::open(folder.path(), 3 << 20).unwrap();
        let lines = vec![b'x'; FILE_BYTES as usize];
        let given_way: Vec<_> = (1..=5).map(|points| spool.push(&lines, points).unwrap()).collect();
        assert_eq!(given_way, [0, 0, 0, 1, 2]);
        assert_eq!(spool.points(), 3 + 4 + 5);
        let on_disk: u64 =
            fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert_eq!(on_disk, 3 << 20);
    }
}
