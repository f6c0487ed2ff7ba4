//! Frames between the two processes: a length of four bytes, and as many bytes.

use std::io::{self, Read, Write};

/// The next frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Whole(Vec<u8>),
    /// It exceeds the limit.
    TooLong,
    /// The stream ended, possibly inside a frame.
    End,
}

pub(crate) fn write(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads the next frame; the buffer grows with the bytes received.
pub(crate) fn read(from: &mut impl Read, most: u32) -> Frame {
    let mut length = [0; 4];
    if from.read_exact(&mut length).is_err() {
        return Frame::End;
    }
    let length = u32::from_le_bytes(length);
    if length > most {
        return Frame::TooLong;
    }
    let mut bytes = Vec::new();
    match from.take(length.into()).read_to_end(&mut bytes) {
        Ok(read) if read == length as usize => Frame::Whole(bytes),
        _ => Frame::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_whole_or_nothing() {
        let mut bytes = Vec::new();
        write(&mut bytes, b"one").unwrap();
        write(&mut bytes, b"").unwrap();
        let mut from = bytes.as_slice();
        assert_eq!(read(&mut from, 3), Frame::Whole(b"one".to_vec()));
        assert_eq!(read(&mut from, 3), Frame::Whole(Vec::new()));
        assert_eq!(read(&mut from, 3), Frame::End);
        assert_eq!(read(&mut bytes.as_slice(), 2), Frame::TooLong);
        assert_eq!(read(&mut &bytes[..6], 3), Frame::End);
        assert_eq!(read(&mut &bytes[..2], 3), Frame::End);
    }
}
