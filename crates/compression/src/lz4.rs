//! LZ4's frames (<https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md>), from end to end.
//!
//! The decoder that is used takes the end of its input for the end of a frame, and the end of the first frame
//! for that of all, so what a frame is made of is walked over first.

use lz4_flex::frame::FrameDecoder;
use std::io::{self, Read};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Flags in the first byte behind the magic ones.
const BLOCK_CHECKSUM: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const DICTIONARY: u8 = 1;
/// A block that is not compressed has this bit in its size.
const UNCOMPRESSED: u32 = 1 << 31;

/// All frames, decompressed.
pub(super) struct Frames<'p> {
    packed: &'p [u8],
    frame: Option<FrameDecoder<&'p [u8]>>,
}

impl<'p> Frames<'p> {
    pub(super) fn new(packed: &'p [u8]) -> Self {
        Self { packed, frame: None }
    }
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                match frame.read(buffer)? {
                    0 => self.frame = None,
                    read => return Ok(read),
                }
            }
            if self.packed.is_empty() {
                return Ok(0);
            }
            self.frame = Some(FrameDecoder::new(take_frame(&mut self.packed)?));
        }
    }
}

/// Takes a whole frame off the front.
fn take_frame<'p>(packed: &mut &'p [u8]) -> io::Result<&'p [u8]> {
    let start = *packed;
    if take(packed, MAGIC.len())? != MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not an LZ4 frame"));
    }
    let flags = take(packed, 2)?[0];
    let size = |flag: u8, bytes: usize| if flags & flag == 0 { 0 } else { bytes };
    take(packed, size(CONTENT_SIZE, 8) + size(DICTIONARY, 4) + 1)?;
    loop {
        let block = take(packed, 4)?.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        if block == 0 {
            break;
        }
        take(packed, (block & !UNCOMPRESSED) as usize + size(BLOCK_CHECKSUM, 4))?;
    }
    take(packed, size(CONTENT_CHECKSUM, 4))?;
    Ok(&start[..start.len() - packed.len()])
}

fn take<'p>(packed: &mut &'p [u8], count: usize) -> io::Result<&'p [u8]> {
    packed.split_off(..count).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
