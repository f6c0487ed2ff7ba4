//! Reads and writes the compact binary forms: rows in memory, chunks in the database.

/// Reads from the front of a byte slice. Every method returns `None` where the bytes end too early.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn f64(&mut self) -> Option<f64> {
        self.array().map(f64::from_le_bytes)
    }

    /// Bytes after their 16-bit length.
    pub(crate) fn short(&mut self) -> Option<&'a [u8]> {
        let size = self.u16()?;
        self.take(size.into())
    }

    /// Bytes after their 32-bit length.
    pub(crate) fn long(&mut self) -> Option<&'a [u8]> {
        let size = self.u32()?;
        self.take(size.try_into().ok()?)
    }

    /// Text after its 16-bit length in bytes.
    pub(crate) fn short_text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.short()?).ok()
    }

    /// Text after its 32-bit length in bytes.
    pub(crate) fn long_text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.long()?).ok()
    }

    /// An unsigned LEB128 number.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A count of the items that follow, at most `max`.
    pub(crate) fn count(&mut self, max: usize) -> Option<usize> {
        usize::try_from(self.varint()?).ok().filter(|&count| count <= max)
    }

    /// A signed number, as written by [`put_signed`].
    pub(crate) fn signed(&mut self) -> Option<i64> {
        let folded = self.varint()?;
        Some((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }
}

/// Appends an unsigned LEB128 number: a small one takes one byte.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number: one near zero takes one byte.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, (value << 1 ^ value >> 63).cast_unsigned());
}

/// Appends bytes after their 16-bit length; longer ones are cut.
pub(crate) fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    let size = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&bytes[..size.into()]);
}

/// Appends bytes after their 32-bit length; longer ones are cut.
pub(crate) fn put_long(out: &mut Vec<u8>, bytes: &[u8]) {
    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&bytes[..size as usize]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_round_trip(signed: i64, unsigned: u64) {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, signed);
            put_varint(&mut bytes, unsigned);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.signed(), Some(signed));
            prop_assert_eq!(cursor.varint(), Some(unsigned));
            prop_assert!(cursor.is_empty());
        }
    }

    #[test]
    fn unterminated_numbers_are_refused() {
        assert_eq!(Cursor::new(&[0xff; 40]).varint(), None);
        assert_eq!(Cursor::new(&[0x80]).varint(), None);
    }
}
