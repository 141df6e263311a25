//! The reader: bounds-checked primitives over borrowed bytes, and the only place that indexes input.

use crate::error::{Error, ErrorKind};

/// A position in borrowed input. A length that lies is an end-of-input error, never an allocation.
#[derive(Debug)]
pub struct Reader<'a> {
    data: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// Bytes read so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }

    /// The byte at an offset.
    pub fn byte_at(&self, offset: usize) -> Option<u8> {
        self.data.get(offset).copied()
    }

    /// Bytes in all.
    #[inline]
    pub fn size(&self) -> usize {
        self.data.len()
    }

    /// Bytes left.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.data.len() - self.position
    }

    /// The next opcode.
    #[inline]
    pub fn opcode(&mut self) -> Result<u8, Error> {
        match self.data.get(self.position) {
            Some(&byte) => {
                self.position += 1;
                Ok(byte)
            }
            None => Err(ErrorKind::EndOfInput.into()),
        }
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        match self.data.get(self.position..).and_then(|rest| rest.get(..count)) {
            Some(bytes) => {
                self.position += count;
                Ok(bytes)
            }
            None => Err(ErrorKind::Truncated.into()),
        }
    }

    /// The next `N` bytes.
    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        match self.data.get(self.position..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => {
                self.position += N;
                Ok(*bytes)
            }
            None => Err(ErrorKind::Truncated.into()),
        }
    }

    /// An unsigned byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Two bytes, little-endian.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes, little-endian.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Four bytes, little-endian, signed.
    #[inline]
    pub fn i32(&mut self) -> Result<i32, Error> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    /// Eight bytes, little-endian.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// An eight-byte float, big-endian.
    #[inline]
    pub fn f64(&mut self) -> Result<f64, Error> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    /// A payload with a one-byte length.
    #[inline]
    pub fn counted1(&mut self) -> Result<&'a [u8], Error> {
        let count = self.u8()?;
        self.take(count.into())
    }

    /// A payload with an unsigned four-byte length.
    #[inline]
    pub fn counted4(&mut self) -> Result<&'a [u8], Error> {
        let count = self.u32()?;
        self.take(usize::try_from(count).map_err(|_| ErrorKind::Truncated)?)
    }

    /// A payload with a signed four-byte length.
    pub fn counted4_signed(&mut self) -> Result<&'a [u8], Error> {
        let count = self.i32()?;
        self.take(usize::try_from(count).map_err(|_| ErrorKind::NegativeLength)?)
    }

    /// A payload with an eight-byte length.
    pub fn counted8(&mut self) -> Result<&'a [u8], Error> {
        let count = self.u64()?;
        self.take(usize::try_from(count).map_err(|_| ErrorKind::Truncated)?)
    }

    /// The rest of the line, without its newline.
    pub fn line(&mut self) -> Result<&'a [u8], Error> {
        let rest = self.data.get(self.position..).unwrap_or_default();
        match rest.iter().position(|&byte| byte == b'\n') {
            Some(end) => {
                self.position += end + 1;
                Ok(&rest[..end])
            }
            None => Err(ErrorKind::Truncated.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lying_length_is_an_end_of_input_error() {
        let mut reader = Reader::new(b"\xff\xff\xff\xff\xff\xff\xff\x7fabc");
        assert!(matches!(reader.counted8().unwrap_err().kind(), ErrorKind::Truncated));
        let mut reader = Reader::new(b"\xfe\xff\xff\xffabc");
        assert!(matches!(reader.counted4_signed().unwrap_err().kind(), ErrorKind::NegativeLength));
    }

    #[test]
    fn a_line_ends_at_its_newline() {
        let mut reader = Reader::new(b"one\ntwo");
        assert_eq!(reader.line().unwrap(), b"one");
        assert!(matches!(reader.line().unwrap_err().kind(), ErrorKind::Truncated));
        assert_eq!(reader.remaining(), 3);
    }
}
