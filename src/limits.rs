//! The limits: every bound that decoding keeps, each with its source, and the budget that counts down.

use crate::error::{Error, ErrorKind};

/// The name of one limit, as Python's `Limits` spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Bytes,
    Memory,
    Work,
    Depth,
    KeyDepth,
    Probes,
    IntBits,
    IntDigits,
    DecimalDigits,
    DecimalExponent,
    NameBytes,
    MemoIndex,
    OutputBytes,
}

impl Limit {
    /// The field of `Limits`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "max_bytes",
            Self::Memory => "max_memory",
            Self::Work => "max_work",
            Self::Depth => "max_depth",
            Self::KeyDepth => "max_key_depth",
            Self::Probes => "max_probes",
            Self::IntBits => "max_int_bits",
            Self::IntDigits => "max_int_digits",
            Self::DecimalDigits => "max_decimal_digits",
            Self::DecimalExponent => "max_decimal_exponent",
            Self::NameBytes => "max_name_bytes",
            Self::MemoIndex => "memo_index",
            Self::OutputBytes => "max_output_bytes",
        }
    }
}

/// Bounds on one decoding. `u64::MAX` switches a bound off.
///
/// Stack, marks, memo entries and items need no bound of their own: each costs at least one byte of
/// input, and what they hold is charged to `memory`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of input.
    pub bytes: u64,
    /// Bytes that containers and copies may take, besides [`Limits::MEMORY_PER_BYTE`] for each byte of input.
    pub memory: u64,
    /// Steps besides [`Limits::WORK_PER_BYTE`] for each byte of input: nodes hashed, items copied,
    /// and slow constructors by their cost. A step is about 25 ns.
    pub work: u64,
    /// Containers inside containers, as they are built.
    pub depth: u64,
    /// Tuples and frozensets inside a key or a set member. CPython hashes them by recursion in C.
    pub key_depth: u64,
    /// Table slots looked at for each key of a container, on average, once it has over 256 keys.
    pub probes: u64,
    /// Bits of an integer written in binary.
    pub int_bits: u64,
    /// Digits of an integer written as text. CVE-2020-10735.
    pub int_digits: u64,
    /// Digits of a Decimal or Fraction.
    pub decimal_digits: u64,
    /// Absolute exponent of a Decimal: `int()` of a larger one is the bomb, later, in the app.
    pub decimal_exponent: u64,
    /// Bytes of a module and a name together.
    pub name_bytes: u64,
    /// Bytes of JSON or pickle written, besides [`Limits::OUTPUT_PER_BYTE`] for each byte of input.
    pub output_bytes: u64,
}

impl Limits {
    /// Added to `memory` for each byte of input: an honest pickle stays below 40, a million
    /// one-byte empty sets would take 232.
    pub const MEMORY_PER_BYTE: u64 = 40;
    /// Added to `work` for each byte of input.
    pub const WORK_PER_BYTE: u64 = 4;
    /// Added to `output_bytes` for each byte of input.
    pub const OUTPUT_PER_BYTE: u64 = 16;
    /// No bound at all. Only for input that you wrote yourself.
    pub const NONE: Self = Self {
        bytes: u64::MAX,
        memory: u64::MAX,
        work: u64::MAX,
        depth: u64::MAX,
        key_depth: u64::MAX,
        probes: u64::MAX,
        int_bits: u64::MAX,
        int_digits: u64::MAX,
        decimal_digits: u64::MAX,
        decimal_exponent: u64::MAX,
        name_bytes: u64::MAX,
        output_bytes: u64::MAX,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            memory: 64 << 20,
            work: 1_000_000,
            depth: 1_000,
            key_depth: 100,
            probes: 16,
            int_bits: 65_536,
            int_digits: 4_300,
            decimal_digits: 4_300,
            decimal_exponent: 100_000,
            name_bytes: 256,
            output_bytes: 1 << 20,
        }
    }
}

/// What is left of the limits while one pickle is decoded.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    memory: u64,
    work: u64,
}

impl Budget {
    /// The full budget for `size` bytes of input.
    pub fn new(limits: Limits, size: usize) -> Result<Self, Error> {
        let size = size as u64;
        check(size, limits.bytes, Limit::Bytes)?;
        Ok(Self {
            limits,
            memory: limits.memory.saturating_add(size.saturating_mul(Limits::MEMORY_PER_BYTE)),
            work: limits.work.saturating_add(size.saturating_mul(Limits::WORK_PER_BYTE)),
        })
    }

    /// The limits behind it.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Spends bytes of memory.
    #[inline]
    pub fn memory(&mut self, bytes: usize) -> Result<(), Error> {
        match self.memory.checked_sub(bytes as u64) {
            Some(left) => {
                self.memory = left;
                Ok(())
            }
            None => Err(ErrorKind::Limit(Limit::Memory).into()),
        }
    }

    /// Spends steps of work.
    #[inline]
    pub fn work(&mut self, steps: usize) -> Result<(), Error> {
        match self.work.checked_sub(steps as u64) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => Err(ErrorKind::Limit(Limit::Work).into()),
        }
    }

    /// Compares a depth of nesting with its bound.
    #[inline]
    pub fn depth(&self, depth: u16) -> Result<u16, Error> {
        check(depth.into(), self.limits.depth, Limit::Depth)?;
        Ok(depth)
    }
}

/// An error unless `found` is within `bound`.
#[inline]
pub fn check(found: u64, bound: u64, limit: Limit) -> Result<(), Error> {
    if found <= bound { Ok(()) } else { Err(ErrorKind::Limit(limit).into()) }
}
