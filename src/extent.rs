//! Where one pickle ends: opcodes and their arguments are told apart, and none is carried out.

use crate::opcode::{self, Argument, op};

/// What a look at the first bytes of a pickle tells about its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// It ends before this offset, with STOP; or with what is no opcode, behind which nothing is read.
    End(usize),
    /// The opcode at `at` is not there as a whole: at least `missing` more bytes are needed.
    Bytes { at: usize, missing: usize },
    /// The opcode at `at` lacks the end of its line.
    Line { at: usize },
}

/// Looks for the end from the opcode at `at` on.
pub fn extent(data: &[u8], mut at: usize) -> Extent {
    loop {
        let Some(&byte) = data.get(at) else {
            return Extent::Bytes { at, missing: at.saturating_sub(data.len()) + 1 };
        };
        let Some(row) = opcode::info(byte) else {
            return Extent::End(at + 1);
        };
        let rest = &data[at + 1..];
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
                    return Extent::End(at + 5);
                }
                size => usize::from(width).saturating_add(size.unwrap_or(0)),
            },
            Argument::Line | Argument::TwoLines => {
                let lines = if row.argument == Argument::Line { 1 } else { 2 };
                match rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(lines - 1) {
                    Some((end, _)) => end + 1,
                    None => return Extent::Line { at },
                }
            }
        };
        if size > rest.len() {
            return Extent::Bytes { at, missing: size - rest.len() };
        }
        at += 1 + if byte == op::FRAME { 8 } else { size };
        if byte == op::STOP {
            return Extent::End(at);
        }
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
        assert_eq!(extent(b"X\x02\x00\x00\x00...N.", 0), Extent::End(8));
        assert_eq!(extent(b"cos\nsystem.\n.N", 0), Extent::End(13));
        assert_eq!(extent(b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N.N.", 0), Extent::End(13));
    }

    #[test]
    fn what_is_missing_is_told_opcode_by_opcode() {
        assert_eq!(extent(b"", 0), Extent::Bytes { at: 0, missing: 1 });
        assert_eq!(extent(b"N", 0), Extent::Bytes { at: 1, missing: 1 });
        assert_eq!(extent(b"NX\x02", 0), Extent::Bytes { at: 1, missing: 3 });
        assert_eq!(extent(b"NX\x02\x00\x00\x00a", 1), Extent::Bytes { at: 1, missing: 1 });
        assert_eq!(extent(b"cos\nsys", 0), Extent::Line { at: 0 });
        assert_eq!(extent(b"\x95\x04\x00\x00\x00\x00\x00\x00\x00N.", 0), Extent::Bytes { at: 0, missing: 2 });
    }

    #[test]
    fn what_is_no_opcode_and_a_negative_length_end_it() {
        assert_eq!(extent(b"N\xff.", 0), Extent::End(2));
        assert_eq!(extent(b"T\xff\xff\xff\xffabc.", 0), Extent::End(5));
    }
}
