//! Counts the packed and unpacked bytes of an archive, and stops at the limits.

use super::error::Error;
use super::limits::Limits;
use flate2::bufread::MultiGzDecoder;
use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

/// The unpacked bytes of an archive.
///
/// Keeps errors from below aside, because the tar reader above may wrap them beyond recognition.
pub(super) struct Meter<R: Read> {
    decoder: MultiGzDecoder<BufReader<CountingReader<R>>>,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    limits: Limits,
    fault: Fault,
}

/// The error that stopped a [`Meter`], if any.
#[derive(Clone, Default)]
pub(super) struct Fault(Rc<RefCell<Option<Error>>>);

impl Fault {
    /// The error that stopped the meter, or else the meaning of its reader's error.
    pub(super) fn explain(&self, error: &io::Error) -> Error {
        self.0.take().unwrap_or_else(|| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::Truncated,
            _ => Error::NotTar,
        })
    }
}

impl<R: Read> Meter<R> {
    /// Starts to read. The first bytes must be gzip's.
    pub(super) fn new(archive: R, limits: &Limits) -> Result<Self, Error> {
        let packed = Rc::new(Cell::new(0));
        let mut reader = BufReader::new(CountingReader { reader: archive, count: Rc::clone(&packed) });
        if !reader.fill_buf().map_err(Error::Read)?.starts_with(&[0x1f, 0x8b]) {
            return Err(Error::NotGzip);
        }
        let decoder = krt_compression::gzip(reader);
        Ok(Self { decoder, packed, unpacked: 0, limits: limits.clone(), fault: Fault::default() })
    }

    pub(super) fn fault(&self) -> Fault {
        self.fault.clone()
    }

    fn check(&self) -> Result<(), Error> {
        let Limits { total, ratio, .. } = self.limits;
        if self.unpacked > total {
            return Err(Error::TooLarge { limit: total });
        }
        if self.unpacked > Limits::RATIO_EXEMPT && self.unpacked / self.packed.get().max(1) > ratio {
            return Err(Error::TooDense { limit: ratio });
        }
        Ok(())
    }

    fn stop(&self, error: Error) -> io::Error {
        self.fault.0.replace(Some(error));
        io::Error::other("stopped")
    }
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer).map_err(|error| self.stop(decoding(&error)))?;
        self.unpacked += read as u64;
        self.check().map_err(|error| self.stop(error))?;
        Ok(read)
    }
}

fn decoding(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Truncated,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            Error::Damaged { reason: error.to_string() }
        }
        kind => Error::Read(kind.into()),
    }
}

/// A counting reader.
struct CountingReader<R> {
    reader: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}
