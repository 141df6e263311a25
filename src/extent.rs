//! Where one pickle ends: opcodes and their arguments are told apart, and none is carried out.

use crate::opcode::{self, Argument, op};

/// What a look at the first bytes of a pickle tells about its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// It ends before this offset, with STOP; or with what is no opcode, behind which nothing is read.
    End(usize),
    /// At least so many more bytes are needed.
    Bytes(usize),
    /// The rest of a line is needed.
    Line,
}

/// A look at a pickle from opcode to opcode, which goes on when there are more bytes.
#[derive(Debug, Default)]
pub struct Scan {
    at: usize,
    framed: usize,
}

/// Looks at a whole pickle.
pub fn extent(data: &[u8]) -> Extent {
    Scan::default().extent(data)
}

impl Scan {
    /// How many bytes decoding needs: a frame may be longer than what is in it.
    pub fn needed(&self) -> usize {
        self.at.max(self.framed)
    }

    /// Goes on with the first opcode that was not there as a whole. `data` starts with the same bytes as before.
    pub fn extent(&mut self, data: &[u8]) -> Extent {
        loop {
            self.pass(data);
            let at = self.at;
            let Some(&byte) = data.get(at) else {
                return Extent::Bytes(at.saturating_sub(data.len()) + 1);
            };
            let Some(row) = opcode::info(byte) else {
                self.at = at + 1;
                return Extent::End(self.at);
            };
            let rest = &data[at + 1..];
            // What follows at least: but for STOP, another opcode.
            let mut next = usize::from(!matches!(byte, op::STOP | op::FRAME));
            let size = match row.argument {
                Argument::None => 0,
                Argument::Uint(width) => {
                    // Where a frame starts, all of it is needed.
                    let frame = if byte == op::FRAME { length(rest, width) } else { Some(0) };
                    usize::from(width).saturating_add(frame.unwrap_or(0))
                }
                Argument::Int4 => 4,
                Argument::Float8 => 8,
                Argument::Counted(width) => match length(rest, width) {
                    // Negative: the machine refuses it, and reads no further.
                    Some(size) if size > i32::MAX as usize && matches!(byte, op::BINSTRING | op::LONG4) => {
                        self.at = at + 5;
                        return Extent::End(self.at);
                    }
                    Some(size) => usize::from(width).saturating_add(size),
                    None => {
                        next = 0;
                        width.into()
                    }
                },
                Argument::Line | Argument::TwoLines => {
                    let lines = if row.argument == Argument::Line { 1 } else { 2 };
                    match rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(lines - 1) {
                        Some((end, _)) => end + 1,
                        None => return Extent::Line,
                    }
                }
            };
            if size > rest.len() {
                return Extent::Bytes((size - rest.len()).saturating_add(next));
            }
            if byte == op::FRAME {
                self.framed = self.framed.max(at + 1 + size);
            }
            self.at += 1 + if byte == op::FRAME { 8 } else { size };
            if byte == op::STOP {
                return Extent::End(self.at);
            }
        }
    }

    /// Passes by the common opcodes that are there as a whole, as far as there is more behind them. Their sizes are
    /// constants, so that the processor goes on with the size that it guesses.
    fn pass(&mut self, data: &[u8]) {
        let mut at = self.at;
        while let Some(&[byte, count, ..]) = data.get(at..) {
            let size = match byte {
                op::SHORT_BINUNICODE | op::SHORT_BINBYTES | op::LONG1 => 2 + usize::from(count),
                op::MEMOIZE | op::MARK | op::NONE | op::NEWTRUE | op::NEWFALSE | op::REDUCE => 1,
                op::SETITEM | op::SETITEMS | op::APPEND | op::APPENDS => 1,
                op::EMPTY_DICT | op::EMPTY_LIST | op::TUPLE1 | op::TUPLE2 | op::TUPLE3 | op::TUPLE => 1,
                op::BINPUT | op::BINGET | op::BININT1 => 2,
                op::BININT2 => 3,
                op::BININT | op::LONG_BINPUT | op::LONG_BINGET => 5,
                op::BINFLOAT => 9,
                op::BINUNICODE => match data.get(at + 1..).and_then(|rest| rest.first_chunk()) {
                    Some(count) => (u32::from_le_bytes(*count) as usize).saturating_add(5),
                    None => break,
                },
                _ => break,
            };
            if size > data.len() - at {
                break;
            }
            at += size;
        }
        self.at = at;
    }
}

/// A length of `width` bytes, little-endian; none if it is not there.
fn length(rest: &[u8], width: u8) -> Option<usize> {
    let bytes = rest.get(..width.into())?;
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    usize::try_from(u64::from_le_bytes(wide)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pickle_ends_with_its_first_stop_that_is_no_argument() {
        assert_eq!(extent(b"X\x02\x00\x00\x00...N."), Extent::End(8));
        assert_eq!(extent(b"cos\nsystem.\n.N"), Extent::End(13));
        assert_eq!(extent(b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N.N."), Extent::End(13));
    }

    #[test]
    fn what_is_missing_is_told_opcode_by_opcode() {
        assert_eq!(extent(b""), Extent::Bytes(1));
        assert_eq!(extent(b"N"), Extent::Bytes(1));
        assert_eq!(extent(b"K"), Extent::Bytes(2));
        assert_eq!(extent(b"NX\x02"), Extent::Bytes(3));
        assert_eq!(extent(b"NX\x02\x00\x00\x00a"), Extent::Bytes(2));
        assert_eq!(extent(b"cos\nsys"), Extent::Line);
        assert_eq!(extent(b"\x95\x04\x00\x00\x00\x00\x00\x00\x00N."), Extent::Bytes(2));
    }

    #[test]
    fn what_is_no_opcode_and_a_negative_length_end_it() {
        assert_eq!(extent(b"N\xff."), Extent::End(2));
        assert_eq!(extent(b"T\xff\xff\xff\xffabc."), Extent::End(5));
    }
}
