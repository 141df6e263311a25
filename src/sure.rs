//! Which pickles can be read for certain, told from their opcodes without decoding them: small and plain ones.

use crate::limits::Limits;
use crate::opcode::op;

/// More than the memory that one byte of a plain pickle can cost: it may make a dict and its table.
const MEMORY: u64 = 256;
/// More than the work that one byte of it can cost: one part of a key is walked and hashed.
const WORK: u64 = 64;
/// So many keys of chosen hashes cost nothing, wherever they land.
const FEW: usize = 64;
/// Slots for each key that no honest table reaches.
const PROBES: u64 = 8;
/// The bits of the longest LONG1.
const LONG1_BITS: u64 = 255 * 8;

/// Whether loading takes a pickle that stock pickle has just written, under any policy: it names nothing,
/// calls nothing, and has too little of anything to reach a limit. False where that is not certain.
///
/// A key was a key in the writer's own dict, so that it has a hash.
pub fn surely_read(data: &[u8], limits: &Limits) -> bool {
    let size = data.len() as u64;
    let room = size <= limits.bytes && size * MEMORY <= limits.memory && size * WORK <= limits.work;
    if !room || limits.probes < PROBES || limits.int_bits < LONG1_BITS {
        return false;
    }
    let (mut hashed, mut fetched, mut containers, mut filled, mut tuples) = (0, 0, 0_usize, 0, 0);
    let mut at = 0;
    // By constants, not by a table: the processor guesses the opcode, and goes on before it is read.
    while let Some(&[byte, count, ..]) = data.get(at..) {
        let size = match byte {
            op::SHORT_BINUNICODE | op::SHORT_BINBYTES => 2 + usize::from(count),
            op::MEMOIZE | op::MARK => 1,
            op::BINPUT | op::PROTO => 2,
            op::LONG_BINPUT => 5,
            op::FRAME => 9,
            op::BINUNICODE | op::BINBYTES => match data.get(at + 1..).and_then(|rest| rest.first_chunk()) {
                Some(count) => 5 + u32::from_le_bytes(*count) as usize,
                None => return false,
            },
            op::BINGET | op::LONG_BINGET => {
                fetched += 1;
                if byte == op::BINGET { 2 } else { 5 }
            }
            op::SETITEM | op::SETITEMS | op::APPEND | op::APPENDS => {
                filled += 1;
                1
            }
            op::EMPTY_DICT | op::EMPTY_LIST => {
                containers += 1;
                1
            }
            op::EMPTY_TUPLE | op::TUPLE1 | op::TUPLE2 | op::TUPLE3 | op::TUPLE => {
                tuples += 1;
                1
            }
            op::NONE | op::NEWTRUE | op::NEWFALSE => {
                hashed += 1;
                1
            }
            op::BININT1 | op::BININT2 | op::BININT | op::BINFLOAT => {
                hashed += 1;
                match byte {
                    op::BININT1 => 2,
                    op::BININT2 => 3,
                    op::BININT => 5,
                    _ => 9,
                }
            }
            op::LONG1 => {
                hashed += 1;
                2 + usize::from(count)
            }
            _ => return false,
        };
        at += size;
    }
    if data.get(at..) != Some(&[op::STOP]) {
        return false;
    }
    // In what is shared, each step can make everything one level deeper, and all of it grows by that.
    let depth = match fetched {
        0 => containers + tuples,
        _ => (containers + filled + 1) * (containers + filled + 1),
    };
    let deep = depth as u64 > limits.depth || tuples as u64 > limits.key_depth;
    hashed <= FEW && !deep && (fetched == 0 || tuples == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_plain_pickle_is_sure_and_one_that_names_something_is_not() {
        let limits = Limits::default();
        assert!(surely_read(b"\x80\x04}\x94(\x8c\x01a\x94K\x01\x8c\x01b\x94]\x94u.", &limits));
        assert!(!surely_read(b"\x80\x04\x8c\x02os\x8c\x06system\x93.", &limits));
        assert!(!surely_read(b"cos\nsystem\n.", &limits));
        assert!(!surely_read(b"", &limits));
        assert!(!surely_read(b"\x8c\xffa", &limits));
        assert!(!surely_read(b"\x8c", &limits));
        assert!(!surely_read(b"X\x01", &limits));
    }

    #[test]
    fn what_comes_near_a_limit_is_not_sure() {
        let with = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits
        };
        let nested = b"]]]]aaa.";
        assert!(surely_read(nested, &with(|limits| limits.depth = 4)));
        assert!(!surely_read(nested, &with(|limits| limits.depth = 3)));
        assert!(!surely_read(nested, &with(|limits| limits.bytes = 7)));
        assert!(!surely_read(nested, &with(|limits| limits.memory = 1_000)));
        assert!(!surely_read(nested, &with(|limits| limits.work = 100)));
        assert!(!surely_read(b"\x8a\xff", &with(|limits| limits.int_bits = 100)));
        assert!(!surely_read(b"))\x86\x85.", &with(|limits| limits.key_depth = 3)));
    }

    #[test]
    fn what_is_shared_counts_by_its_square() {
        let shared = b"](]q\x00h\x00h\x00e.";
        assert!(surely_read(shared, &Limits { depth: 16, ..Limits::default() }));
        assert!(!surely_read(shared, &Limits { depth: 15, ..Limits::default() }));
        assert!(!surely_read(b")\x85q\x00h\x00\x86.", &Limits::default()));
    }
}
