//! The errors: what can be wrong with a pickle, where, and every message about it.

use std::fmt;

use crate::limits::Limit;
use crate::opcode;

/// What callers branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Not a pickle, or a damaged one.
    Malformed,
    /// The input ended where an opcode was due.
    Truncated,
    /// It names, or uses, something that the policy does not allow.
    Forbidden,
    /// A limit was reached.
    Limit,
    /// An opcode that is never carried out.
    Unsupported,
    /// The system has no more memory; not a fault of the pickle.
    Memory,
    /// A fault of ours.
    Internal,
}

/// What is wrong. No variant holds payload bytes; names of globals are escaped and cut.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    #[error("the input ended where an opcode was due")]
    EndOfInput,
    #[error("pickle data was truncated")]
    Truncated,
    #[error("unknown opcode 0x{0:02x}")]
    UnknownOpcode(u8),
    #[error("unsupported pickle protocol: {0}")]
    UnsupportedProtocol(u8),
    #[error("the stack is empty, or a mark is in the way")]
    StackUnderflow,
    #[error("could not find MARK")]
    NoMark,
    #[error("no value was memoized under that index")]
    NoMemo,
    #[error("negative length")]
    NegativeLength,
    #[error("invalid {0}")]
    Invalid(&'static str),
    #[error("{0}")]
    Misplaced(&'static str),
    #[error("an odd number of items for a dict")]
    OddItems,
    #[error("unhashable value as a key or a set member")]
    Unhashable,
    #[error("{name} is not allowed{hint}")]
    ForbiddenGlobal { name: Box<str>, hint: Box<str> },
    #[error("{name} is allowed, but not in this use ({reason})")]
    ForbiddenUse { name: Box<str>, reason: &'static str },
    #[error("persistent IDs in protocol 0 must be ASCII strings")]
    PersistentIdText,
    #[error("{name} can't be pickled, and has no form in JSON")]
    Unwritable { name: Box<str> },
    #[error("{name} itself was stored as a value; only what it makes can be read")]
    GlobalAsValue { name: Box<str> },
    #[error("{} was exceeded", .0.name())]
    Limit(Limit),
    #[error("the extension registry is never used")]
    ExtensionCode,
    #[error("a persistent id, and no persistent_load was given")]
    PersistentId,
    #[error("an out-of-band buffer, and none (or no more) was given")]
    NoBuffer,
    #[error("a cycle can't be written in this format")]
    Cycle,
    #[error("an object that looks like a tag, and is none of this format's")]
    UnknownTag,
    #[error("invalid JSON: {0}")]
    Json(&'static str),
    #[error("JSON was truncated")]
    EndOfJson,
    #[error("out of memory")]
    OutOfMemory,
    #[error("internal error: {0}; please report it")]
    Internal(Box<str>),
}

impl ErrorKind {
    /// The category that callers branch on.
    pub fn category(&self) -> Category {
        match self {
            Self::EndOfInput => Category::Truncated,
            Self::ForbiddenGlobal { .. }
            | Self::ForbiddenUse { .. }
            | Self::GlobalAsValue { .. }
            | Self::Unwritable { .. } => Category::Forbidden,
            Self::Limit(_) => Category::Limit,
            Self::ExtensionCode | Self::PersistentId | Self::NoBuffer => Category::Unsupported,
            Self::OutOfMemory => Category::Memory,
            Self::Internal(_) => Category::Internal,
            _ => Category::Malformed,
        }
    }

    /// Whether it is about one value, so that the rest of the pickle may still be read.
    pub fn is_about_one_value(&self) -> bool {
        match self {
            Self::ForbiddenGlobal { .. }
            | Self::ForbiddenUse { .. }
            | Self::GlobalAsValue { .. }
            | Self::ExtensionCode
            | Self::PersistentId
            | Self::NoBuffer
            | Self::UnknownTag
            | Self::Invalid(_)
            | Self::Misplaced(_) => true,
            Self::Limit(limit) => matches!(
                limit,
                Limit::IntBits | Limit::IntDigits | Limit::DecimalDigits | Limit::DecimalExponent | Limit::NameBytes
            ),
            _ => false,
        }
    }

    /// A stable word for this kind.
    pub fn word(&self) -> &'static str {
        match self {
            Self::EndOfInput => "end_of_input",
            Self::Truncated => "truncated",
            Self::UnknownOpcode(_) => "unknown_opcode",
            Self::UnsupportedProtocol(_) => "unsupported_protocol",
            Self::StackUnderflow => "stack_underflow",
            Self::NoMark => "no_mark",
            Self::NoMemo => "no_memo",
            Self::NegativeLength => "negative_length",
            Self::Invalid(_) => "invalid_value",
            Self::Misplaced(_) => "misplaced",
            Self::OddItems => "odd_items",
            Self::Unhashable => "unhashable",
            Self::ForbiddenGlobal { .. } => "forbidden_global",
            Self::ForbiddenUse { .. } => "forbidden_use",
            Self::GlobalAsValue { .. } => "global_as_value",
            Self::Limit(_) => "limit",
            Self::ExtensionCode => "extension_code",
            Self::PersistentId => "persistent_id",
            Self::PersistentIdText => "invalid_value",
            Self::Unwritable { .. } => "unwritable",
            Self::NoBuffer => "no_buffer",
            Self::Cycle => "cycle",
            Self::UnknownTag => "unknown_tag",
            Self::Json(_) => "json",
            Self::EndOfJson => "truncated",
            Self::OutOfMemory => "out_of_memory",
            Self::Internal(_) => "internal",
        }
    }

    /// The global that it is about, escaped and cut.
    pub fn global(&self) -> Option<&str> {
        match self {
            Self::ForbiddenGlobal { name, .. }
            | Self::ForbiddenUse { name, .. }
            | Self::GlobalAsValue { name }
            | Self::Unwritable { name } => Some(name),
            _ => None,
        }
    }
}

/// An error, with where it was found. One word in size.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    offset: Option<usize>,
    opcode: Option<&'static str>,
}

impl Error {
    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The byte offset of the opcode at which it was found.
    pub fn offset(&self) -> usize {
        self.0.offset.unwrap_or(0)
    }

    /// The name of the opcode at which it was found.
    pub fn opcode(&self) -> Option<&'static str> {
        self.0.opcode
    }

    /// States where it was found, unless that is known already.
    pub fn at(mut self, offset: usize, byte: Option<u8>) -> Self {
        if self.0.offset.is_none() {
            self.0.offset = Some(offset);
            self.0.opcode = byte.and_then(opcode::info).map(|row| row.name);
        }
        self
    }
}

impl From<ErrorKind> for Error {
    #[cold]
    fn from(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, offset: None, opcode: None }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.kind)?;
        if matches!(self.0.kind, ErrorKind::PersistentIdText) {
            // CPython tests this message to the letter.
            return Ok(());
        }
        match (self.0.opcode, self.0.offset) {
            (Some(opcode), Some(offset)) => write!(f, " (at byte {offset}, {opcode})"),
            (None, Some(offset)) => write!(f, " (at byte {offset})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Why decoding stopped: the pickle is at fault, or the sink failed, whose error travels untouched.
///
/// One word, so that the machine's results are handed back in registers.
#[derive(Debug)]
pub struct Failure<E>(Box<Cause<E>>);

/// What is behind a [`Failure`].
#[derive(Debug)]
pub enum Cause<E> {
    /// The pickle is at fault.
    Pickle(Error),
    /// The sink failed.
    Sink(E),
}

impl<E> Failure<E> {
    /// The sink failed.
    #[cold]
    pub fn sink(error: E) -> Self {
        Self(Box::new(Cause::Sink(error)))
    }

    /// What is behind it.
    pub fn cause(self) -> Cause<E> {
        *self.0
    }

    /// The error, if the pickle is at fault.
    pub fn pickle(&self) -> Option<&Error> {
        match &*self.0 {
            Cause::Pickle(error) => Some(error),
            Cause::Sink(_) => None,
        }
    }

    /// States where it was found, if the pickle is at fault.
    #[cold]
    pub fn at(self, offset: usize, byte: Option<u8>) -> Self {
        match self.cause() {
            Cause::Pickle(error) => error.at(offset, byte).into(),
            Cause::Sink(error) => Self::sink(error),
        }
    }
}

impl<E> From<Error> for Failure<E> {
    #[cold]
    fn from(error: Error) -> Self {
        Self(Box::new(Cause::Pickle(error)))
    }
}

impl<E> From<ErrorKind> for Failure<E> {
    #[cold]
    fn from(kind: ErrorKind) -> Self {
        Error::from(kind).into()
    }
}

/// Makes room for one more item, or says that there is no memory for it; Rust itself would abort.
#[inline(always)]
pub(crate) fn reserve<T>(items: &mut Vec<T>) -> Result<(), Error> {
    reserve_for(items, 1)
}

/// The same for `count` more.
#[inline(always)]
pub(crate) fn reserve_for<T>(items: &mut Vec<T>, count: usize) -> Result<(), Error> {
    if items.capacity().wrapping_sub(items.len()) < count { grow(items, count) } else { Ok(()) }
}

#[cold]
#[inline(never)]
fn grow<T>(items: &mut Vec<T>, count: usize) -> Result<(), Error> {
    items.try_reserve(count).map_err(|_| ErrorKind::OutOfMemory.into())
}
