//! The reader: bounds-checked primitives over borrowed bytes, and the only place that indexes input.

use crate::error::{Error, ErrorKind};
use crate::opcode::op;

/// A position in borrowed input. A length that lies is an end-of-input error, never an allocation.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    data: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, rest: data }
    }

    /// The same input, from an offset on.
    pub fn from(&self, offset: usize) -> Self {
        Self { data: self.data, rest: self.data.get(offset..).unwrap_or_default() }
    }

    /// The same input, at a rest of it.
    #[inline(always)]
    pub fn at_rest(&self, rest: &'a [u8]) -> Self {
        Self { data: self.data, rest }
    }

    /// Bytes read so far.
    #[inline(always)]
    pub fn position(&self) -> usize {
        self.data.len().wrapping_sub(self.rest.len())
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
        self.rest.len()
    }

    /// What comes next.
    #[inline(always)]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The byte that comes next.
    #[inline(always)]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next opcode.
    #[inline(always)]
    pub fn opcode(&mut self) -> Result<u8, Error> {
        match self.rest {
            [byte, rest @ ..] => {
                self.rest = rest;
                Ok(*byte)
            }
            [] => Err(ErrorKind::EndOfInput.into()),
        }
    }

    /// The next `count` bytes.
    #[inline(always)]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Error> {
        match self.rest.split_at_checked(count) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(ErrorKind::Truncated.into()),
        }
    }

    /// The next `N` bytes.
    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(ErrorKind::Truncated.into()),
        }
    }

    /// An unsigned byte.
    #[inline(always)]
    pub fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Two bytes, little-endian.
    #[inline(always)]
    pub fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes, little-endian.
    #[inline(always)]
    pub fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Four bytes, little-endian, signed.
    #[inline(always)]
    pub fn i32(&mut self) -> Result<i32, Error> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    /// The integer of BININT1, BININT2 or BININT. One way for all three: which of them comes next is
    /// hard to foretell.
    #[inline(always)]
    pub fn int(&mut self, byte: u8) -> Result<i64, Error> {
        // BININT, BININT1, a gap, BININT2; only the widest has a sign.
        const WIDTHS: [usize; 4] = [4, 1, 0, 2];
        const SIGNS: [u64; 4] = [1 << 31, 0, 0, 0];
        let kind = usize::from(byte.wrapping_sub(op::BININT)) & 3;
        let width = WIDTHS[kind];
        match self.rest.first_chunk() {
            Some(word) => {
                let value = u64::from(u32::from_le_bytes(*word)) & ((1 << (8 * width)) - 1);
                self.rest = &self.rest[width..];
                Ok((value ^ SIGNS[kind]).wrapping_sub(SIGNS[kind]) as i64)
            }
            None => Ok(match byte {
                op::BININT1 => self.u8()?.into(),
                op::BININT2 => self.u16()?.into(),
                _ => self.i32()?.into(),
            }),
        }
    }

    /// Eight bytes, little-endian.
    #[inline(always)]
    pub fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// An eight-byte float, big-endian.
    #[inline(always)]
    pub fn f64(&mut self) -> Result<f64, Error> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    /// A payload with a one-byte length.
    #[inline(always)]
    pub fn counted1(&mut self) -> Result<&'a [u8], Error> {
        let count = self.u8()?;
        self.take(count.into())
    }

    /// A payload with an unsigned four-byte length.
    #[inline(always)]
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
        match memchr::memchr(b'\n', self.rest) {
            Some(end) => {
                let (line, rest) = self.rest.split_at(end);
                self.rest = &rest[1..];
                Ok(line)
            }
            None => Err(ErrorKind::Truncated.into()),
        }
    }
}

/// An integer of up to eight bytes: two's complement, little-endian.
#[inline(always)]
pub fn signed(raw: &[u8]) -> i64 {
    if let Some(word) = raw.first_chunk() {
        return i64::from_le_bytes(*word);
    }
    let fill = if raw.last().is_some_and(|&high| high >= 0x80) { 0xFF } else { 0 };
    let mut word = [fill; 8];
    word[..raw.len()].copy_from_slice(raw);
    i64::from_le_bytes(word)
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
