//! The sink: what the machine builds into, and what the machine promises to it.

pub mod globals;
pub mod null;
pub mod salvage;
pub mod value;

use std::borrow::Cow;

use crate::error::{Error, Failure};
use crate::machine::Scratch;

/// What a sink method gives back.
pub type Made<T, E> = Result<T, Failure<E>>;

/// What is behind a value, as far as the machine needs to know. Borrowed, cheap, never a copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum View<'v> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer that does not fit `Int`, with its bits.
    BigInt(u64),
    Float(f64),
    Text(&'v str),
    /// Text with lone surrogates.
    Surrogates,
    Bytes(&'v [u8]),
    ByteArray,
    /// Another known value that has no hash.
    Unhashable,
    Tuple,
    FrozenSet,
    List,
    Set,
    /// A dict, OrderedDict or Counter.
    Dict,
    DefaultDict,
    Deque,
    Namespace,
    TimeDelta {
        days: i32,
        seconds: i32,
        microseconds: i32,
    },
    /// A tzinfo.
    Zone,
    Stub,
    /// What the app's own code built, or gave for a persistent id.
    Object,
    /// A hashable known value that the machine never looks into.
    Other,
    /// The sink keeps no contents: checks that need them are left out.
    Opaque,
}

/// The builtin types that a defaultdict may have as its factory, or a class as its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factory {
    Int,
    List,
    Set,
    Dict,
    Str,
    Float,
    Tuple,
    /// Only as a base.
    Bytes,
}

impl Factory {
    /// Those that a defaultdict may have.
    pub const OF_DEFAULTDICT: [Self; 7] =
        [Self::Int, Self::List, Self::Set, Self::Dict, Self::Str, Self::Float, Self::Tuple];

    /// Its Python name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::List => "list",
            Self::Set => "set",
            Self::Dict => "dict",
            Self::Str => "str",
            Self::Float => "float",
            Self::Tuple => "tuple",
            Self::Bytes => "bytes",
        }
    }
}

/// The classes of `ipaddress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ip {
    V4Address,
    V6Address,
    V4Network,
    V6Network,
    V4Interface,
    V6Interface,
}

/// The classes of `pathlib`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    PurePosix,
    PureWindows,
    /// A path of the file system itself, which the reading system may not have.
    Posix,
    Windows,
}

/// A clock time of day; every field is in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub microsecond: u32,
    pub fold: bool,
}

/// A calendar date between the years 1 and 9999; every field is in range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    pub year: u16,
    pub month: u8,
    pub day: u8,
}

/// A known value, its fields checked one by one by the machine.
#[derive(Debug)]
pub enum KnownValue<'v, V> {
    Complex(f64, f64),
    /// Three integers; the step is not zero.
    Range([&'v V; 3]),
    Date(Day),
    Time(Clock, Option<&'v V>),
    DateTime(Day, Clock, Option<&'v V>),
    /// Normalized as Python does it.
    TimeDelta {
        days: i32,
        seconds: i32,
        microseconds: i32,
    },
    /// An offset of less than a day, in microseconds, and its name.
    Timezone(i64, Option<&'v V>),
    /// A key made of plain path segments, and whether it comes from the cache.
    ZoneInfo(&'v str, bool),
    /// In Decimal's own grammar, within the limits.
    Decimal(&'v V),
    /// The same, with neither exponent nor letters, and which one it is if it is short.
    PlainDecimal(&'v V, Option<SmallDecimal>),
    /// Two integers; the denominator is not zero.
    Fraction(&'v V, &'v V),
    Uuid(u128, Option<i64>),
    OrderedDict,
    DefaultDict(Option<Factory>),
    Counter,
    Deque(Option<usize>),
    Namespace,
    IpInt(Ip, u128),
    /// Text of 64 bytes at most.
    IpText(Ip, &'v V),
    /// Texts.
    Path(Path, &'v [V]),
    /// 9 to 11 plain fields, and a dict of the further ones.
    StructTime(&'v V, Option<&'v V>),
    /// A type code and a list, or machine format and bytes.
    ArrayItems(char, &'v V),
    ArrayBytes(char, u8, &'v V),
}

/// A Decimal of up to 19 digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SmallDecimal {
    pub negative: bool,
    pub coefficient: u64,
    pub exponent: isize,
}

impl SmallDecimal {
    /// Whether Python writes it without an exponent.
    #[inline]
    pub fn is_plain(self) -> bool {
        // Five zeros may follow the point.
        let digits_before = self.exponent.unsigned_abs().saturating_sub(6) as u32;
        (-19..=0).contains(&self.exponent) && self.coefficient.max(1) >= 10_u64.pow(digits_before)
    }
}

/// How a registered class is asked to make an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// `cls(*args)`: REDUCE, and INST or OBJ with arguments.
    Call,
    /// `cls.__new__(cls, *args, **kwargs)`: NEWOBJ, NEWOBJ_EX, and INST or OBJ without arguments.
    New,
    /// `copyreg._reconstructor(cls, base, *args)`; the base is `object` where none is named.
    Rebuild(Option<Factory>),
}

/// The keys of pairs that stand on the machine's stack.
pub trait Keys<V> {
    /// The keys in order, none for what is no value.
    fn iter<'s>(&'s self) -> impl DoubleEndedIterator<Item = Option<&'s V>> + ExactSizeIterator
    where
        V: 's;
}

/// Builds what the machine decodes.
///
/// The machine promises: every value that it hands in was made by this sink; lengths were compared
/// with the input, fields with their ranges, and the budget was spent, before a method is called;
/// names reach [`Sink::stub`] as escaped text only. A method may fail, and its error travels untouched.
pub trait Sink<'a> {
    /// A handle to a value. A clone shares the value, and never copies it.
    type Value: Clone;
    /// The sink's own error.
    type Error;
    /// Bytes that a leaf takes, where the sink does not share the common ones.
    const LEAF: usize = 0;
    /// Whether every view is opaque.
    const OPAQUE: bool = false;
    /// Whether a framework's own builders are called.
    const NATIVE: bool = false;
    /// Whether decoding may go on behind a refused value.
    const SALVAGE: bool = false;
    /// Whether text that is a key is of use: see [`Sink::key`].
    const KEYS: bool = false;
    /// Whether short text that is memoized is made again when something fetches it, and not kept.
    const LATE: bool = false;

    /// Told of the input before anything is made of it.
    #[inline]
    fn begin(&mut self, _input: &'a [u8]) {}

    fn none(&mut self) -> Made<Self::Value, Self::Error>;
    fn bool(&mut self, value: bool) -> Made<Self::Value, Self::Error>;
    fn int(&mut self, value: i64) -> Made<Self::Value, Self::Error>;
    /// Two's complement, little-endian.
    fn big_int(&mut self, bytes: &[u8]) -> Made<Self::Value, Self::Error>;
    /// Decimal digits with an optional sign.
    fn int_text(&mut self, digits: &str) -> Made<Self::Value, Self::Error>;
    fn float(&mut self, value: f64) -> Made<Self::Value, Self::Error>;
    fn text(&mut self, text: Cow<'a, str>) -> Made<Self::Value, Self::Error>;
    /// UTF-8 in which surrogates may stand alone. Not valid UTF-8: the sink says so.
    fn text_surrogates(&mut self, text: Cow<'a, [u8]>) -> Made<Self::Value, Self::Error>;
    /// Text from UTF-8 in which surrogates may stand alone.
    #[inline]
    fn utf8(&mut self, raw: &'a [u8]) -> Made<Self::Value, Self::Error> {
        match std::str::from_utf8(raw) {
            Ok(text) => self.text(Cow::Borrowed(text)),
            Err(_) => self.text_surrogates(Cow::Borrowed(raw)),
        }
    }
    /// Text as [`Sink::utf8`] makes it, that is probably the key of a dict. Keys come again and again.
    #[inline]
    fn key(&mut self, raw: &'a [u8]) -> Made<Self::Value, Self::Error> {
        self.utf8(raw)
    }
    /// Text out of raw-unicode-escape, if the sink can do that itself. None: it is wrong, or has to be decoded.
    #[inline]
    fn raw_unicode_escape(&mut self, _raw: &[u8]) -> Made<Option<Self::Value>, Self::Error> {
        Ok(None)
    }
    /// The bytes that text stands for, each character one of them; none of what is no text.
    fn latin1(&mut self, text: &Self::Value) -> Made<Option<Self::Value>, Self::Error>;
    /// A Python 2 str under the caller's own encoding.
    fn text_coded(&mut self, raw: Cow<'a, [u8]>, encoding: &str, errors: &str) -> Made<Self::Value, Self::Error>;
    fn bytes(&mut self, bytes: Cow<'a, [u8]>) -> Made<Self::Value, Self::Error>;
    fn bytearray(&mut self, bytes: Cow<'a, [u8]>) -> Made<Self::Value, Self::Error>;

    fn tuple<I: ExactSizeIterator<Item = Self::Value>>(&mut self, items: I) -> Made<Self::Value, Self::Error>;
    fn list<I: ExactSizeIterator<Item = Self::Value>>(&mut self, items: I) -> Made<Self::Value, Self::Error>;
    fn frozenset<I: ExactSizeIterator<Item = Self::Value>>(&mut self, items: I) -> Made<Self::Value, Self::Error>;
    fn set(&mut self) -> Made<Self::Value, Self::Error>;
    fn dict(&mut self) -> Made<Self::Value, Self::Error>;
    /// A known value type.
    fn known(&mut self, value: KnownValue<'_, Self::Value>) -> Made<Self::Value, Self::Error>;

    /// A Decimal, which this text says: digits, a sign and a point only.
    fn decimal(&mut self, text: &'a [u8], number: SmallDecimal) -> Made<Self::Value, Self::Error> {
        let text = self.utf8(text)?;
        self.known(KnownValue::PlainDecimal(&text, Some(number)))
    }

    /// A datetime.
    #[inline]
    fn datetime(&mut self, day: Day, clock: Clock, zone: Option<&Self::Value>) -> Made<Self::Value, Self::Error> {
        self.known(KnownValue::DateTime(day, clock, zone))
    }

    /// Appends to a list, a deque, a stub or an object.
    fn extend<I: ExactSizeIterator<Item = Self::Value>>(
        &mut self,
        target: &Self::Value,
        items: I,
    ) -> Made<(), Self::Error>;
    /// Sets keys of a dict of any kind, a stub or an object; keys and values alternate.
    fn insert<I: ExactSizeIterator<Item = Self::Value>>(
        &mut self,
        target: &Self::Value,
        items: I,
    ) -> Made<(), Self::Error>;
    /// Whether another dict was made of just these keys, all of them text.
    #[inline]
    fn knows(&mut self, _keys: &impl Keys<Self::Value>) -> bool {
        false
    }
    /// Sets keys of an empty dict, which the sink has just said that it knows; keys and values alternate.
    #[inline]
    fn fill<I: ExactSizeIterator<Item = Self::Value>>(
        &mut self,
        dict: &Self::Value,
        items: I,
    ) -> Made<(), Self::Error> {
        self.insert(dict, items)
    }
    /// Adds to a set, a stub or an object.
    fn add<I: ExactSizeIterator<Item = Self::Value>>(
        &mut self,
        target: &Self::Value,
        items: I,
    ) -> Made<(), Self::Error>;
    /// Removes all keys of a dict.
    fn clear(&mut self, target: &Self::Value) -> Made<(), Self::Error>;
    /// Gives a namespace its attributes, or a stub or an object its state.
    fn build(&mut self, target: &Self::Value, state: &Self::Value) -> Made<(), Self::Error>;

    /// What is behind a value.
    fn view<'v>(&'v self, value: &'v Self::Value) -> View<'v>;
    /// A dict and nothing else: cheaper than a view.
    #[inline]
    fn is_dict(&self, value: &Self::Value) -> bool {
        matches!(self.view(value), View::Dict)
    }
    /// Whether an int and nothing else has 64 bits at most.
    #[inline]
    fn is_small(&self, value: &Self::Value) -> bool {
        matches!(self.view(value), View::Int(_))
    }
    /// Whether a dict and nothing else has no keys yet.
    #[inline]
    fn is_empty_dict(&self, dict: &Self::Value) -> bool {
        self.len(dict) == 0
    }
    /// A list and nothing else: cheaper than a view.
    #[inline]
    fn is_list(&self, value: &Self::Value) -> bool {
        matches!(self.view(value), View::List)
    }
    /// An empty tuple: cheaper than a view.
    #[inline]
    fn is_empty_tuple(&self, value: &Self::Value) -> bool {
        self.view(value) == View::Tuple && self.len(value) == 0
    }
    /// A tzinfo: cheaper than a view.
    #[inline]
    fn is_zone(&self, value: &Self::Value) -> bool {
        self.view(value) == View::Zone
    }
    /// Text or bytes, whose hash nobody can choose: cheaper than a view.
    fn is_text(&self, value: &Self::Value) -> bool {
        matches!(self.view(value), View::Text(_) | View::Surrogates | View::Bytes(_))
    }
    /// UTF-8 of a text, in which surrogates may stand alone.
    fn wtf8(&self, value: &Self::Value) -> Option<Vec<u8>> {
        match self.view(value) {
            View::Text(text) => Some(text.as_bytes().to_vec()),
            _ => None,
        }
    }
    /// How many items or entries a container has; of a key, what its hash costs besides, in steps.
    fn len(&self, container: &Self::Value) -> usize;
    /// One item of a tuple, below its length.
    fn item(&self, tuple: &Self::Value, index: usize) -> Option<Self::Value>;
    /// The items of a tuple, list, set or frozenset.
    fn items(&self, container: &Self::Value) -> Vec<Self::Value>;
    /// The value that a dict has under a text key.
    fn get(&self, dict: &Self::Value, key: &str) -> Option<Self::Value>;
    /// The keys and values of a dict, alternating.
    fn entries(&self, dict: &Self::Value) -> Vec<Self::Value>;
    /// An integer as 128 unsigned bits, if it is one.
    fn u128(&self, value: &Self::Value) -> Option<u128>;
    /// Equal for equal handles only; what the identity of containers is told by.
    fn identity(&self, value: &Self::Value) -> usize;
    /// The hash that the sink's own dicts and sets use; `None` where the sink has no hash tables.
    fn hash(&mut self, key: &Self::Value) -> Made<Option<i64>, Self::Error>;

    /// An inert stand-in for what the policy does not know: the escaped name, and the arguments.
    fn stub(&mut self, name: &str, args: Option<&Self::Value>) -> Made<Self::Value, Self::Error>;
    /// A builtin type, as an argument of an app's class.
    fn builtin(&mut self, factory: Factory) -> Made<Self::Value, Self::Error>;
    /// An instance by the app's class or function of that number.
    fn construct(
        &mut self,
        index: u32,
        how: How,
        args: &Self::Value,
        kwargs: Option<&Self::Value>,
    ) -> Made<Self::Value, Self::Error>;
    /// The number of what stands for a registered name: the policy's own, or what the caller has for it.
    fn registered(&mut self, index: u32, _module: &str, _name: &str) -> Made<u32, Self::Error> {
        Ok(index)
    }
    /// A framework's own value in place of a plain one, by the builder of that number.
    fn native(&mut self, index: u32, args: &[Self::Value]) -> Made<Self::Value, Self::Error>;
    /// What the caller's resolver gives for a persistent id.
    fn persistent(&mut self, id: &Self::Value) -> Made<Self::Value, Self::Error>;
    /// The caller's next out-of-band buffer.
    fn buffer(&mut self) -> Made<Self::Value, Self::Error>;
    /// The same buffer, read-only.
    fn readonly(&mut self, buffer: &Self::Value) -> Made<Self::Value, Self::Error>;

    /// Told of an error that is about one value alone, and of what led to it: gives a stand-in to go
    /// on with, or the error back. Only asked if `SALVAGE` is set.
    fn refused(&mut self, error: Error, _causes: &[Self::Value]) -> Made<Self::Value, Self::Error> {
        Err(error.into())
    }
    /// Told that a value that is there already holds a refused one. Only if `SALVAGE` is set.
    fn spoiled(&mut self, _value: &Self::Value, _refused: &Self::Value) {}

    /// Tables of an earlier pickle, to be used again.
    fn lend(&mut self) -> Scratch {
        Scratch::default()
    }
    /// Takes tables back, to lend them to the next pickle.
    fn give_back(&mut self, _scratch: Scratch) {}

    /// Told of each opcode before it is carried out.
    #[inline]
    fn opcode(&mut self, _byte: u8) {}
    /// Told of each global that the bytes name, and whether the policy allows it. True: go on with
    /// a stub in place of what is not allowed.
    #[inline]
    fn global(&mut self, _module: &str, _name: &str, _offset: usize, _allowed: bool) -> bool {
        false
    }
}

/// The steps that CPython takes to hash a Decimal of so many digits: far from one, it computes a
/// power of ten. Up to 76 digits are held in the object itself, and cost the same.
pub(crate) fn decimal_hash_cost(adjusted_exponent: i64, digits: usize) -> usize {
    let power = if adjusted_exponent.abs() > 40 { 1_400 } else { 20 };
    power + if digits > 76 { digits / 2 } else { 0 }
}

/// The steps that CPython takes to hash a Fraction of so many bits.
pub(crate) fn fraction_hash_cost(bits: u64) -> usize {
    80 + bits as usize / 16
}
