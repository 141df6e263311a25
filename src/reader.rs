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

    /// The integer of BININT1, BININT2, BININT, or of a LONG1 of up to eight bytes; none if it is a longer one
    /// or the input ends soon. One way for all of them, without a branch: which one comes next is hard to foretell.
    #[inline(always)]
    pub fn int(&mut self, byte: u8) -> Option<i64> {
        // BININT, BININT1, a gap, BININT2, LONG1.
        const WIDTHS: [u8; 8] = [4, 1, 0, 2, 0, 0, 0, 0];
        const SIGNED: [u64; 8] = [1, 0, 0, 0, 1, 0, 0, 0];
        let code = byte.wrapping_sub(op::BININT);
        let kind = usize::from(code & 3 | code >> 4 & 4);
        let next: &[u8; 9] = self.rest.first_chunk()?;
        let long = kind >> 2;
        let [count, ..] = *next;
        let width = u64::from(WIDTHS[kind] | count.wrapping_mul(long as u8));
        if width.wrapping_sub(1) >= 8 {
            return None;
        }
        let [short, wide] = [next.first_chunk()?, next.last_chunk()?].map(|word| u64::from_le_bytes(*word));
        let word = short ^ (short ^ wide) & (long as u64).wrapping_neg();
        let bits = width.wrapping_mul(8);
        let sign = SIGNED[kind] << (bits.wrapping_sub(1) & 63);
        let value = (word & (u64::MAX >> (64_u64.wrapping_sub(bits) & 63)) ^ sign).wrapping_sub(sign);
        self.rest = self.rest.get(long + width as usize..)?;
        Some(value as i64)
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

    /// The number that is the rest of the line, if it is one of a few decimal digits and nothing else; none
    /// leaves the line alone.
    #[inline]
    pub fn index(&mut self) -> Option<u64> {
        let mut index = 0;
        for (digits, &byte) in self.rest.iter().take(9).enumerate() {
            match byte {
                b'0'..=b'9' => index = index * 10 + u64::from(byte - b'0'),
                b'\n' if digits > 0 => {
                    self.rest = self.rest.get(digits + 1..)?;
                    return Some(index);
                }
                _ => return None,
            }
        }
        None
    }

    /// The integer that is the rest of the line, if it is one of 64 bits as Python writes it, and behind it is an
    /// L if that is `long`; none leaves the line alone.
    #[inline]
    pub fn integer(&mut self, long: bool) -> Option<i64> {
        let (negative, digits) = match self.rest {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        // A zero begins no longer number: 00 and 01 are no numbers at all.
        if !matches!(digits.first()?, b'1'..=b'9') {
            return None;
        }
        let mut value = 0_u64;
        for (count, &byte) in digits.iter().take(20).enumerate() {
            let end = match (byte, digits.get(count + 1)) {
                (b'0'..=b'9', _) if count < 19 => {
                    value = value * 10 + u64::from(byte - b'0');
                    continue;
                }
                (b'\n', _) => count + 1,
                (b'L', Some(b'\n')) if long => count + 2,
                _ => return None,
            };
            let value = i64::try_from(value).ok()?;
            self.rest = digits.get(end..)?;
            return Some(if negative { -value } else { value });
        }
        None
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

/// A decimal integer over 64 bits, of up to 128, as two's complement, little-endian.
pub fn wide(text: &str) -> Option<[u8; 17]> {
    const HALF: usize = 19; // digits that a word has room for
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (high, low) = digits.split_at_checked(digits.len().checked_sub(HALF)?)?;
    let high: u128 = high.parse().ok()?;
    let low: u64 = low.parse().ok()?;
    let value = high.checked_mul(10_u128.pow(HALF as u32))?.checked_add(low.into())?;
    let mut bytes = [0; 17];
    if digits.len() == text.len() {
        bytes[..16].copy_from_slice(&value.to_le_bytes());
    } else {
        bytes[..16].copy_from_slice(&i128::try_from(value).ok()?.wrapping_neg().to_le_bytes());
        bytes[16] = 0xFF;
    }
    Some(bytes)
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
    fn integers_of_all_widths_are_read_in_one_way() {
        let read = |byte, raw: &[u8]| {
            let padded = [raw, &[0x55; 9]].concat();
            let mut reader = Reader::new(&padded);
            reader.int(byte).map(|value| (value, reader.position()))
        };
        assert_eq!(read(op::BININT1, b"\xff"), Some((255, 1)));
        assert_eq!(read(op::BININT2, b"\xff\xff"), Some((65_535, 2)));
        assert_eq!(read(op::BININT, b"\xff\xff\xff\xff"), Some((-1, 4)));
        assert_eq!(read(op::BININT, b"\xff\xff\xff\x7f"), Some((i64::from(i32::MAX), 4)));
        for value in [1, -1, 127, -128, 255, 1 << 40, -(1 << 40), i64::MAX, i64::MIN] {
            for width in 1..=8_u8 {
                let raw = value.to_le_bytes();
                let raw = &raw[..width.into()];
                let counted = [&[width], raw].concat();
                assert_eq!(read(op::LONG1, &counted), Some((signed(raw), counted.len())));
            }
        }
        assert_eq!(read(op::LONG1, b"\0"), None);
        assert_eq!(read(op::LONG1, b"\x09"), None);
        assert_eq!(Reader::new(b"\xff").int(op::BININT1), None);
    }

    #[test]
    fn a_lying_length_is_an_end_of_input_error() {
        let mut reader = Reader::new(b"\xff\xff\xff\xff\xff\xff\xff\x7fabc");
        assert!(matches!(reader.counted8().unwrap_err().kind(), ErrorKind::Truncated));
        let mut reader = Reader::new(b"\xfe\xff\xff\xffabc");
        assert!(matches!(reader.counted4_signed().unwrap_err().kind(), ErrorKind::NegativeLength));
    }

    #[test]
    fn short_integers_of_text_are_read_and_all_else_is_left() {
        let read = |line: &[u8], long| {
            let mut reader = Reader::new(line);
            let value = reader.integer(long);
            (value, reader.position())
        };
        assert_eq!(read(b"12\nx", false), (Some(12), 3));
        assert_eq!(read(b"-12L\nx", true), (Some(-12), 5));
        assert_eq!(read(b"9223372036854775807\n", false), (Some(i64::MAX), 20));
        assert_eq!(read(b"-9223372036854775807L\n", true), (Some(-i64::MAX), 22));
        for other in [&b"12L\n"[..], b"0\n", b"01\n", b"-\n", b"", b"12", b"1_0\n", b"+1\n"] {
            assert_eq!(read(other, false), (None, 0));
        }
        for other in [&b"9223372036854775808\n"[..], b"10000000000000000000\n", b"99999999999999999999\n"] {
            assert_eq!(read(other, false), (None, 0));
        }
        let index = |line: &[u8]| Reader::new(line).index();
        assert_eq!((index(b"0\n"), index(b"12345678\n")), (Some(0), Some(12_345_678)));
        for other in [&b""[..], b"\n", b"1", b"-1\n", b"123456789\n"] {
            assert_eq!(index(other), None);
        }
    }

    #[test]
    fn a_wide_integer_of_text_is_the_one_that_a_library_reads() {
        for digits in ["9", "18446744073709551616", "10000000000000000000", "340282366920938463463374607431768211455"] {
            for text in (0..=digits.len()).flat_map(|end| [digits[..end].to_owned(), format!("-{}", &digits[..end])]) {
                let expected = text.parse::<num_bigint::BigInt>().ok();
                match wide(&text).map(|raw| num_bigint::BigInt::from_signed_bytes_le(&raw)) {
                    Some(value) => assert_eq!(Some(value), expected),
                    None => assert!(text.len() < 22 || text.len() > 39, "{text}"),
                }
            }
        }
        assert_eq!(wide("340282366920938463463374607431768211456"), None);
        assert_eq!(wide("-340282366920938463463374607431768211455"), None);
    }

    #[test]
    fn a_line_ends_at_its_newline() {
        let mut reader = Reader::new(b"one\ntwo");
        assert_eq!(reader.line().unwrap(), b"one");
        assert!(matches!(reader.line().unwrap_err().kind(), ErrorKind::Truncated));
        assert_eq!(reader.remaining(), 3);
    }
}
