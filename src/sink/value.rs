//! The value sink: a compact tree without Python objects, which finishes into JSON text or
//! `serde_pickle::Value`. Values refer to each other by number, so that nothing is dropped by recursion.

use std::borrow::Cow;
use std::cell::Cell;
use std::convert::Infallible;
use std::mem::take;
use std::num::NonZero;

use num_bigint::BigInt;

mod distinct;
mod tree;

use crate::error::{Error, ErrorKind, reserve};
use crate::limits::Limit;
use crate::machine::{Scratch, emptied};
use crate::sink::{Clock, Day, Factory, How, Ip, KnownValue, Made, Path, Sink, SmallDecimal, View};
use crate::sink::{decimal_hash_cost, fraction_hash_cost};
use crate::tree::DictKind;

pub(crate) use distinct::{entries, members};

/// A handle to a value, in one word: a float as it is; in the place of the negative NaNs a kind, and
/// either the value itself or where it is. It is kept inverted: no word has all its bits set, so that an
/// optional handle takes one word, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(NonZero<u64>);

/// Bits of a handle below its kind.
const PAYLOAD: u32 = 46;
/// Bits of a length in a handle of text or bytes; the offset in the input is above it.
const LENGTH: u32 = 16;
/// The words that are no floats start here.
const BOXED: u64 = 0xFFF8 << 48;

/// The kinds of handles.
mod kind {
    use super::{BOXED, PAYLOAD};

    const FIRST: u64 = BOXED >> PAYLOAD;
    pub const NONE: u64 = FIRST + 1;
    pub const BOOL: u64 = FIRST + 2;
    /// An integer that fits.
    pub const INT: u64 = FIRST + 3;
    /// A part of the input; text that is ASCII has its own kind.
    pub const ASCII: u64 = FIRST + 4;
    pub const TEXT: u64 = FIRST + 5;
    pub const BYTES: u64 = FIRST + 6;
    /// The containers: the number of the word that tells where their items are.
    pub const LIST: u64 = FIRST + 7;
    pub const TUPLE: u64 = FIRST + 8;
    pub const SET: u64 = FIRST + 9;
    pub const FROZENSET: u64 = FIRST + 10;
    pub const DICT: u64 = FIRST + 11;
    /// The number of a node.
    pub const NODE: u64 = FIRST + 12;
    /// A part of the input, again: the text of a Decimal.
    pub const DECIMAL: u64 = FIRST + 13;
}

impl NodeId {
    const NONE: Self = Self::new(kind::NONE, 0);
    /// All empty tuples are one.
    const EMPTY_TUPLE: Self = Self::new(kind::TUPLE, u64::MAX >> (64 - PAYLOAD));

    const fn new(kind: u64, payload: u64) -> Self {
        Self::of(kind << PAYLOAD | payload)
    }

    #[inline(always)]
    const fn of(word: u64) -> Self {
        match NonZero::new(!word) {
            Some(inverted) => Self(inverted),
            None => Self(NonZero::<u64>::MIN),
        }
    }

    #[inline(always)]
    fn word(self) -> u64 {
        !self.0.get()
    }

    #[inline(always)]
    fn kind(self) -> u64 {
        self.word() >> PAYLOAD
    }

    #[inline(always)]
    fn payload(self) -> usize {
        (self.word() & (u64::MAX >> (64 - PAYLOAD))) as usize
    }

    /// The integer in it.
    #[inline(always)]
    fn int(self) -> i64 {
        (self.word() << (64 - PAYLOAD)) as i64 >> (64 - PAYLOAD)
    }

    /// Equal for the same value only.
    pub fn number(self) -> u64 {
        self.word()
    }
}

/// What a handle stands for.
#[derive(Debug)]
pub enum Node<'v> {
    None,
    Bool(bool),
    Int(i64),
    BigInt(&'v BigInt),
    Float(f64),
    Text(&'v str),
    /// UTF-8 with lone surrogates.
    Surrogates(&'v [u8]),
    Bytes(&'v [u8]),
    ByteArray(&'v [u8]),
    Tuple(&'v [NodeId]),
    FrozenSet(&'v [NodeId]),
    List(&'v [NodeId]),
    Set(&'v [NodeId]),
    Deque(&'v [NodeId], Option<usize>),
    /// Keys and values alternate; the last value of a key counts.
    Dict(DictKind, &'v [NodeId]),
    /// Its text, and whether it is a signalling NaN.
    Decimal(&'v str, bool),
    Known(&'v Known),
    Stub(&'v Stub),
}

/// A known value whose parts are no items.
#[derive(Debug)]
pub enum Known {
    Complex(f64, f64),
    Range([NodeId; 3]),
    Date(Day),
    /// The zone is None where there is none.
    Time(Clock, NodeId),
    DateTime(Day, Clock, NodeId),
    TimeDelta {
        days: i32,
        seconds: i32,
        microseconds: i32,
    },
    /// Microseconds, and a name or None.
    Timezone(i64, NodeId),
    ZoneInfo(Box<str>),
    Fraction(NodeId, NodeId),
    Uuid(Box<(u128, Option<i64>)>),
    IpInt(Ip, Box<u128>),
    IpText(Ip, NodeId),
    Path(Path, Box<[NodeId]>),
    /// Fields, and a dict of the further ones or None.
    StructTime(NodeId, NodeId),
    Array(char, NodeId),
}

/// What stands for an instance that the policy does not know.
#[derive(Debug)]
pub struct Stub {
    pub name: Box<str>,
    pub args: Option<NodeId>,
    pub state: Option<NodeId>,
    pub items: Vec<NodeId>,
}

/// What does not fit into a handle.
#[derive(Debug)]
enum Held<'a> {
    Int(i64),
    BigInt(Box<BigInt>),
    Nan(f64),
    /// Valid UTF-8.
    Text(Cow<'a, [u8]>),
    Surrogates(Cow<'a, [u8]>),
    Bytes(Cow<'a, [u8]>),
    ByteArray(Cow<'a, [u8]>),
    /// A list of all that was ever in it.
    Deque(NodeId, Option<usize>),
    Dict(DictKind, NodeId),
    /// Its text, and whether it is a signalling NaN.
    Decimal(NodeId, bool),
    Known(Known),
    Stub(Box<Stub>),
}

/// Builds a tree in a few vectors.
#[derive(Debug, Default)]
pub struct ValueSink<'a> {
    input: &'a [u8],
    /// A word for each container that tells where its items are, and the items. Those of one container
    /// stand together: start and count, or [`GROWN`] and an entry of `grown`.
    words: Vec<NodeId>,
    /// The items of containers that grew behind others.
    grown: Vec<Vec<NodeId>>,
    nodes: Vec<Held<'a>>,
    scratch: Option<Scratch>,
    lenient: bool,
    checking: bool,
}

impl Drop for ValueSink<'_> {
    fn drop(&mut self) {
        let Some(scratch) = self.scratch.take() else { return };
        let (mut words, mut nodes) = (take(&mut self.words), emptied(take(&mut self.nodes)));
        words.clear();
        words.shrink_to(Tables::KEPT);
        nodes.shrink_to(Tables::KEPT);
        // A thread that ends keeps nothing.
        let _ = TABLES.try_with(|tables| tables.set(Some(Tables { words, nodes, scratch })));
    }
}

/// In place of a start.
const GROWN: u32 = u32::MAX;

/// Words that are reserved at first: one for each four bytes of input, which sessions need, up to this many.
const RESERVED: usize = 1 << 16;

/// Tables that the sinks of a thread hand to the next, so that small pickles don't pay for new ones.
struct Tables {
    words: Vec<NodeId>,
    nodes: Vec<Held<'static>>,
    scratch: Scratch,
}

thread_local! {
    static TABLES: Cell<Option<Tables>> = const { Cell::new(None) };
}

impl Tables {
    /// What is kept of each, in entries.
    const KEPT: usize = 1 << 12;
}

type Id = Made<NodeId, Infallible>;

fn too_many() -> Error {
    ErrorKind::Limit(Limit::Memory).into()
}

impl<'a> ValueSink<'a> {
    /// A sink that goes on with a stub where the policy would refuse a name: for looking only.
    pub fn lenient() -> Self {
        let mut sink = Self::default();
        sink.lenient = true;
        sink
    }

    /// A sink that takes persistent ids and out-of-band buffers for granted: for checking what was written.
    pub fn checking() -> Self {
        let mut sink = Self::default();
        sink.checking = true;
        sink
    }

    /// What a handle of this sink stands for.
    pub fn node(&self, id: NodeId) -> Node<'_> {
        match id.kind() {
            kind::NONE => Node::None,
            kind::BOOL => Node::Bool(id.payload() != 0),
            kind::INT => Node::Int(id.int()),
            kind::ASCII | kind::TEXT => Node::Text(text(self.input_of(id))),
            kind::BYTES => Node::Bytes(self.input_of(id)),
            kind::DECIMAL => Node::Decimal(text(self.input_of(id)), false),
            kind::LIST => Node::List(self.held(id)),
            kind::TUPLE => Node::Tuple(self.held(id)),
            kind::SET => Node::Set(self.held(id)),
            kind::FROZENSET => Node::FrozenSet(self.held(id)),
            kind::DICT => Node::Dict(DictKind::Plain, self.held(id)),
            kind::NODE => match &self.nodes[id.payload()] {
                Held::Int(value) => Node::Int(*value),
                Held::BigInt(value) => Node::BigInt(value),
                Held::Nan(value) => Node::Float(*value),
                Held::Text(raw) => Node::Text(text(raw)),
                Held::Surrogates(raw) => Node::Surrogates(raw),
                Held::Bytes(raw) => Node::Bytes(raw),
                Held::ByteArray(raw) => Node::ByteArray(raw),
                Held::Deque(list, bound) => {
                    let items = self.held(*list);
                    let surplus = bound.map_or(0, |bound| items.len().saturating_sub(bound));
                    Node::Deque(&items[surplus..], *bound)
                }
                Held::Dict(kind, dict) => Node::Dict(*kind, self.held(*dict)),
                Held::Decimal(text, signalling) => Node::Decimal(self.text_of(*text), *signalling),
                Held::Known(known) => Node::Known(known),
                Held::Stub(stub) => Node::Stub(stub),
            },
            _ => Node::Float(f64::from_bits(id.word())),
        }
    }

    /// UTF-8 of text, if it is some without surrogates.
    #[inline]
    fn utf8_of(&self, id: NodeId) -> Option<&[u8]> {
        match id.kind() {
            kind::ASCII | kind::TEXT => Some(self.input_of(id)),
            kind::NODE => match &self.nodes[id.payload()] {
                Held::Text(raw) => Some(raw),
                _ => None,
            },
            _ => None,
        }
    }

    /// The part of the input that a handle of text or bytes tells.
    #[inline]
    fn input_of(&self, id: NodeId) -> &'a [u8] {
        let (offset, size) = (id.payload() >> LENGTH, id.payload() & ((1 << LENGTH) - 1));
        self.input.get(offset..offset + size).unwrap_or_default()
    }

    /// A handle to a part of the input, if it is one that a handle can tell.
    #[inline(always)]
    fn part(&self, kind: u64, raw: &[u8]) -> Option<NodeId> {
        let offset = raw.as_ptr().addr().wrapping_sub(self.input.as_ptr().addr());
        let fits = offset < 1 << (PAYLOAD - LENGTH) && raw.len() < 1 << LENGTH;
        // What starts elsewhere may seem to start in the input only if it ends behind it.
        (fits && offset + raw.len() <= self.input.len())
            .then(|| NodeId::new(kind, (offset << LENGTH | raw.len()) as u64))
    }

    #[inline]
    fn hold(&mut self, held: Held<'a>) -> Id {
        reserve(&mut self.nodes)?;
        self.nodes.push(held);
        Ok(NodeId::new(kind::NODE, (self.nodes.len() - 1) as u64))
    }

    // ---- containers

    /// A container without items.
    #[inline]
    fn container(&mut self, kind: u64) -> Id {
        reserve(&mut self.words)?;
        self.words.push(NodeId::of(0));
        Ok(NodeId::new(kind, (self.words.len() - 1) as u64))
    }

    #[inline]
    fn container_of(&mut self, kind: u64, items: impl ExactSizeIterator<Item = NodeId>) -> Id {
        let made = self.container(kind)?;
        self.append(made, items.len(), |words| words.extend(items))?;
        Ok(made)
    }

    /// Where the items of a container are.
    #[inline]
    fn extent(&self, id: NodeId) -> (u32, u32) {
        match self.words.get(id.payload()) {
            Some(word) => ((word.word() >> 32) as u32, word.word() as u32),
            // The empty tuple.
            None => (0, 0),
        }
    }

    #[inline]
    fn held(&self, id: NodeId) -> &[NodeId] {
        let (start, count) = self.extent(id);
        match start {
            GROWN => &self.grown[count as usize],
            _ => &self.words[start as usize..][..count as usize],
        }
    }

    /// Adds `count` items to a container.
    #[inline]
    fn append(&mut self, id: NodeId, count: usize, fill: impl FnOnce(&mut Vec<NodeId>)) -> Made<(), Infallible> {
        let (mut start, held) = self.extent(id);
        if held == 0 && start != GROWN {
            start = u32::try_from(self.words.len()).ok().filter(|end| *end < GROWN).ok_or_else(too_many)?;
        } else if start == GROWN || start as usize + held as usize != self.words.len() {
            return self.append_behind(id, count, fill);
        }
        self.words.try_reserve(count).map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
        fill(&mut self.words);
        let held = u32::try_from(self.words.len() - start as usize).map_err(|_| too_many())?;
        self.words[id.payload()] = NodeId::of(u64::from(start) << 32 | u64::from(held));
        Ok(())
    }

    /// Other words stand behind the items by now.
    #[cold]
    fn append_behind(&mut self, id: NodeId, count: usize, fill: impl FnOnce(&mut Vec<NodeId>)) -> Made<(), Infallible> {
        let (start, mut index) = self.extent(id);
        if start != GROWN {
            let mut own = Vec::new();
            own.try_reserve(2 * self.held(id).len() + count).map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
            own.extend_from_slice(self.held(id));
            reserve(&mut self.grown)?;
            index = u32::try_from(self.grown.len()).map_err(|_| too_many())?;
            self.grown.push(own);
            self.words[id.payload()] = NodeId::of(u64::from(GROWN) << 32 | u64::from(index));
        }
        let own = &mut self.grown[index as usize];
        own.try_reserve(count).map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
        fill(own);
        Ok(())
    }

    /// The items of an array out of its bytes, in one of `array`'s machine formats.
    fn array_items(&mut self, format: u8, bytes: NodeId) -> Made<Vec<NodeId>, Infallible> {
        let Node::Bytes(raw) = self.node(bytes) else { return Ok(Vec::new()) };
        let (raw, big_endian) = (raw.to_vec(), format > 1 && format % 2 == 1);
        let width = match format {
            0 | 1 => 1,
            2..=5 | 18 | 19 => 2,
            6..=9 | 14 | 15 | 20 | 21 => 4,
            _ => 8,
        };
        let mut nodes = Vec::with_capacity(raw.len() / width);
        let mut units = Vec::new();
        for item in raw.chunks_exact(width) {
            // Little-endian, with its sign to the left.
            let signed = matches!(format, 1 | 4 | 5 | 8 | 9 | 12 | 13);
            let mut wide = [0; 8];
            for (target, byte) in wide.iter_mut().zip(item) {
                *target = *byte;
            }
            if big_endian {
                wide[..width].reverse();
            }
            if signed && wide[width - 1] >= 0x80 {
                wide[width..].fill(0xFF);
            }
            let bits = i64::from_le_bytes(wide);
            nodes.push(match format {
                14 | 15 => self.float(f32::from_bits(bits as u32).into())?,
                16 | 17 => self.float(f64::from_bits(bits as u64))?,
                18 | 19 => {
                    units.push(bits as u16);
                    continue;
                }
                20 | 21 => match char::from_u32(bits as u32) {
                    Some(character) => self.text(Cow::Owned(character.to_string()))?,
                    None => self.none()?,
                },
                10 | 11 if bits < 0 => self.hold(Held::BigInt(Box::new((bits as u64).into())))?,
                _ => self.int(bits)?,
            });
        }
        for character in char::decode_utf16(units).flatten() {
            nodes.push(self.text(Cow::Owned(character.to_string()))?);
        }
        Ok(nodes)
    }
}

impl<'a> Sink<'a> for ValueSink<'a> {
    type Value = NodeId;
    type Error = Infallible;
    const LATE: bool = true;

    fn begin(&mut self, input: &'a [u8]) {
        if self.input.is_empty() {
            self.input = input;
            if let Ok(Some(Tables { words, nodes, scratch })) = TABLES.try_with(Cell::take) {
                (self.words, self.nodes, self.scratch) = (words, emptied(nodes), Some(scratch));
            }
            // Without this much memory it goes on with less.
            let _ = self.words.try_reserve((input.len() / 4).min(RESERVED));
        }
    }
    fn lend(&mut self) -> Scratch {
        self.scratch.take().unwrap_or_default()
    }
    fn give_back(&mut self, scratch: Scratch) {
        self.scratch = Some(scratch);
    }
    fn global(&mut self, _module: &str, _name: &str, _offset: usize, _allowed: bool) -> bool {
        self.lenient
    }
    #[inline]
    fn none(&mut self) -> Id {
        Ok(NodeId::NONE)
    }
    #[inline]
    fn bool(&mut self, value: bool) -> Id {
        Ok(NodeId::new(kind::BOOL, value.into()))
    }
    #[inline(always)]
    fn int(&mut self, value: i64) -> Id {
        let made = NodeId::new(kind::INT, value as u64 & (u64::MAX >> (64 - PAYLOAD)));
        if made.int() == value { Ok(made) } else { self.hold(Held::Int(value)) }
    }
    fn big_int(&mut self, bytes: &[u8]) -> Id {
        let value = BigInt::from_signed_bytes_le(bytes);
        match i64::try_from(&value) {
            Ok(small) => self.int(small),
            Err(_) => self.hold(Held::BigInt(Box::new(value))),
        }
    }
    fn int_text(&mut self, digits: &str) -> Id {
        match digits.parse() {
            Ok(value) => self.hold(Held::BigInt(Box::new(value))),
            Err(_) => Err(ErrorKind::Invalid("integer").into()),
        }
    }
    #[inline]
    fn float(&mut self, value: f64) -> Id {
        // NaNs are told apart by their handles alone, as Python does by identity.
        if value.is_nan() { self.hold_nan(value) } else { Ok(NodeId::of(value.to_bits())) }
    }
    fn text(&mut self, text: Cow<'a, str>) -> Id {
        let raw = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        match self.part(kind::TEXT, &raw) {
            Some(part) => Ok(part),
            None => self.hold(Held::Text(raw)),
        }
    }
    fn text_surrogates(&mut self, text: Cow<'a, [u8]>) -> Id {
        if !is_wtf8(&text) {
            return Err(ErrorKind::Invalid("text: not UTF-8").into());
        }
        self.hold(Held::Surrogates(text))
    }
    #[inline(always)]
    fn utf8(&mut self, raw: &'a [u8]) -> Id {
        match self.part(kind::ASCII, raw) {
            Some(part) if is_ascii(raw) => Ok(part),
            _ => self.checked_utf8(raw),
        }
    }
    fn text_coded(&mut self, raw: Cow<'a, [u8]>, encoding: &str, _errors: &str) -> Id {
        let text = match encoding.to_ascii_lowercase().as_str() {
            "latin1" | "latin-1" | "iso-8859-1" => Some(raw.iter().copied().map(char::from).collect()),
            "ascii" if !raw.is_ascii() => None,
            _ => String::from_utf8(raw.into_owned()).ok(),
        };
        match text {
            Some(text) => self.text(Cow::Owned(text)),
            None => Err(ErrorKind::Invalid("text in the given encoding").into()),
        }
    }
    #[inline]
    fn bytes(&mut self, bytes: Cow<'a, [u8]>) -> Id {
        match self.part(kind::BYTES, &bytes) {
            Some(part) => Ok(part),
            None => self.hold(Held::Bytes(bytes)),
        }
    }
    fn bytearray(&mut self, bytes: Cow<'a, [u8]>) -> Id {
        self.hold(Held::ByteArray(bytes))
    }
    #[inline]
    fn tuple<I: ExactSizeIterator<Item = NodeId>>(&mut self, items: I) -> Id {
        if items.len() == 0 { Ok(NodeId::EMPTY_TUPLE) } else { self.container_of(kind::TUPLE, items) }
    }
    #[inline]
    fn list<I: ExactSizeIterator<Item = NodeId>>(&mut self, items: I) -> Id {
        self.container_of(kind::LIST, items)
    }
    fn frozenset<I: ExactSizeIterator<Item = NodeId>>(&mut self, items: I) -> Id {
        let items: Vec<_> = items.collect();
        let members = members(self, &items).unwrap_or(items);
        self.container_of(kind::FROZENSET, members.into_iter())
    }
    #[inline]
    fn set(&mut self) -> Id {
        self.container(kind::SET)
    }
    #[inline]
    fn dict(&mut self) -> Id {
        self.container(kind::DICT)
    }
    fn known(&mut self, value: KnownValue<'_, NodeId>) -> Id {
        let or_none = |id: Option<&NodeId>| id.copied().unwrap_or(NodeId::NONE);
        let known = match value {
            KnownValue::Complex(real, imaginary) => Known::Complex(real, imaginary),
            KnownValue::Range(bounds) => Known::Range(bounds.map(|bound| *bound)),
            KnownValue::Date(day) => Known::Date(day),
            KnownValue::Time(clock, zone) => Known::Time(clock, or_none(zone)),
            KnownValue::DateTime(day, clock, zone) => Known::DateTime(day, clock, or_none(zone)),
            KnownValue::TimeDelta { days, seconds, microseconds } => Known::TimeDelta { days, seconds, microseconds },
            KnownValue::Timezone(offset, name) => Known::Timezone(offset, or_none(name)),
            KnownValue::ZoneInfo(key, _) => Known::ZoneInfo(key.into()),
            KnownValue::Decimal(text) => {
                let digits = self.utf8_of(*text).unwrap_or_default();
                // No other value has an S in it.
                let signalling = digits.iter().any(|byte| byte.eq_ignore_ascii_case(&b's'));
                return self.hold(Held::Decimal(*text, signalling));
            }
            KnownValue::PlainDecimal(text, _) => return self.hold(Held::Decimal(*text, false)),
            KnownValue::Fraction(numerator, denominator) => Known::Fraction(*numerator, *denominator),
            KnownValue::Uuid(int, safe) => Known::Uuid((int, safe).into()),
            KnownValue::IpInt(ip, int) => Known::IpInt(ip, int.into()),
            KnownValue::IpText(ip, text) => Known::IpText(ip, *text),
            KnownValue::Path(path, parts) => Known::Path(path, parts.into()),
            KnownValue::StructTime(fields, extra) => Known::StructTime(*fields, or_none(extra)),
            KnownValue::ArrayItems(code, items) => Known::Array(code, *items),
            KnownValue::ArrayBytes(code, format, bytes) => {
                let items = self.array_items(format, *bytes)?;
                Known::Array(code, self.list(items.into_iter())?)
            }
            KnownValue::Deque(bound) => {
                let list = self.container(kind::LIST)?;
                return self.hold(Held::Deque(list, bound));
            }
            KnownValue::OrderedDict => return self.dict_of(DictKind::Ordered),
            KnownValue::DefaultDict(factory) => return self.dict_of(DictKind::Default(factory)),
            KnownValue::Counter => return self.dict_of(DictKind::Counter),
            KnownValue::Namespace => return self.dict_of(DictKind::Namespace),
        };
        self.hold(Held::Known(known))
    }
    #[inline]
    fn decimal(&mut self, text: &'a [u8], _: SmallDecimal) -> Id {
        match self.part(kind::DECIMAL, text) {
            Some(part) => Ok(part),
            None => {
                let text = self.utf8(text)?;
                self.hold(Held::Decimal(text, false))
            }
        }
    }
    #[inline]
    fn extend<I: ExactSizeIterator<Item = NodeId>>(&mut self, target: &NodeId, items: I) -> Made<(), Infallible> {
        let list = self.filled(*target);
        if list.kind() == kind::LIST {
            self.append(list, items.len(), |words| words.extend(items))
        } else {
            self.extend_stub(*target, items)
        }
    }
    #[inline]
    fn insert<I: ExactSizeIterator<Item = NodeId>>(&mut self, target: &NodeId, items: I) -> Made<(), Infallible> {
        let dict = self.filled(*target);
        if dict.kind() == kind::DICT {
            self.append(dict, items.len(), |words| words.extend(items))
        } else {
            self.extend_stub(*target, items)
        }
    }
    #[inline]
    fn is_dict(&self, value: &NodeId) -> bool {
        value.kind() == kind::DICT || matches!(self.view(value), View::Dict)
    }
    #[inline]
    fn is_empty_dict(&self, dict: &NodeId) -> bool {
        matches!(self.extent(self.filled(*dict)), (start, 0) if start != GROWN)
    }
    #[inline]
    fn is_list(&self, value: &NodeId) -> bool {
        value.kind() == kind::LIST
    }
    #[inline]
    fn add<I: ExactSizeIterator<Item = NodeId>>(&mut self, target: &NodeId, items: I) -> Made<(), Infallible> {
        let set = self.filled(*target);
        if set.kind() == kind::SET {
            self.append(set, items.len(), |words| words.extend(items))
        } else {
            self.extend_stub(*target, items)
        }
    }
    fn clear(&mut self, target: &NodeId) -> Made<(), Infallible> {
        let dict = self.filled(*target);
        if dict.kind() == kind::DICT {
            self.words[dict.payload()] = NodeId::of(0);
        }
        Ok(())
    }
    fn build(&mut self, target: &NodeId, state: &NodeId) -> Made<(), Infallible> {
        let dict = self.filled(*target);
        if dict.kind() == kind::DICT {
            let entries = self.entries(state);
            return self.append(dict, entries.len(), |words| words.extend(entries));
        }
        if let Some(stub) = self.stub_mut(*target) {
            stub.state = Some(*state);
        }
        Ok(())
    }
    #[inline]
    fn view<'v>(&'v self, value: &'v NodeId) -> View<'v> {
        match value.kind() {
            kind::NONE => View::None,
            kind::BOOL => View::Bool(value.payload() != 0),
            kind::INT => View::Int(value.int()),
            kind::ASCII | kind::TEXT => View::Text(text(self.input_of(*value))),
            kind::BYTES => View::Bytes(self.input_of(*value)),
            kind::DECIMAL => View::Other,
            kind::LIST => View::List,
            kind::TUPLE => View::Tuple,
            kind::SET => View::Set,
            kind::FROZENSET => View::FrozenSet,
            kind::DICT => View::Dict,
            kind::NODE => self.view_of_node(*value),
            _ => View::Float(f64::from_bits(value.word())),
        }
    }
    #[inline]
    fn is_text(&self, value: &NodeId) -> bool {
        match value.kind() {
            kind::ASCII | kind::TEXT | kind::BYTES => true,
            kind::NODE => {
                matches!(self.nodes[value.payload()], Held::Text(_) | Held::Surrogates(_) | Held::Bytes(_))
            }
            _ => false,
        }
    }
    fn wtf8(&self, value: &NodeId) -> Option<Vec<u8>> {
        match self.node(*value) {
            Node::Text(text) => Some(text.as_bytes().to_vec()),
            Node::Surrogates(raw) => Some(raw.to_vec()),
            _ => None,
        }
    }
    #[inline]
    fn len(&self, container: &NodeId) -> usize {
        match container.kind() {
            kind::DICT => self.held(*container).len() / 2,
            kind::LIST | kind::TUPLE | kind::SET | kind::FROZENSET => self.held(*container).len(),
            kind::ASCII | kind::TEXT => container.payload() & ((1 << LENGTH) - 1),
            kind::NODE | kind::DECIMAL => self.len_of_node(*container),
            _ => 0,
        }
    }
    #[inline]
    fn item(&self, tuple: &NodeId, index: usize) -> Option<NodeId> {
        if tuple.kind() == kind::TUPLE { self.held(*tuple).get(index).copied() } else { None }
    }
    fn items(&self, container: &NodeId) -> Vec<NodeId> {
        match self.node(*container) {
            Node::Tuple(items)
            | Node::FrozenSet(items)
            | Node::List(items)
            | Node::Set(items)
            | Node::Deque(items, _) => items.to_vec(),
            _ => Vec::new(),
        }
    }
    fn latin1(&mut self, text: &NodeId) -> Made<Option<NodeId>, Infallible> {
        let bytes = match self.node(*text) {
            Node::Text(text) => crate::latin1::encode(text.as_bytes()),
            Node::Surrogates(_) => None,
            _ => return Ok(None),
        };
        match bytes {
            Some(bytes) => self.hold(Held::Bytes(Cow::Owned(bytes.into_vec()))).map(Some),
            None => Err(ErrorKind::Invalid("text: not latin1").into()),
        }
    }
    fn get(&self, dict: &NodeId, key: &str) -> Option<NodeId> {
        let Node::Dict(_, entries) = self.node(*dict) else { return None };
        let is_it = |pair: &&[NodeId]| self.utf8_of(pair[0]) == Some(key.as_bytes());
        entries.chunks_exact(2).rev().find(is_it).map(|pair| pair[1])
    }
    fn entries(&self, dict: &NodeId) -> Vec<NodeId> {
        match self.node(*dict) {
            Node::Dict(_, entries) => entries.to_vec(),
            _ => Vec::new(),
        }
    }
    fn u128(&self, value: &NodeId) -> Option<u128> {
        match self.node(*value) {
            Node::Int(value) => u128::try_from(value).ok(),
            Node::BigInt(value) => u128::try_from(value).ok(),
            _ => None,
        }
    }
    #[inline]
    fn identity(&self, value: &NodeId) -> usize {
        value.word() as usize
    }
    fn hash(&mut self, key: &NodeId) -> Made<Option<i64>, Infallible> {
        // As CPython hashes numbers: modulo a Mersenne prime. Other keys are left to Python's own tables.
        const MODULUS: i64 = (1 << 61) - 1;
        Ok(match self.node(*key) {
            Node::Bool(value) => Some(value.into()),
            Node::Int(value) => Some(value % MODULUS),
            Node::BigInt(value) => i64::try_from(value % MODULUS).ok(),
            _ => None,
        })
    }
    fn stub(&mut self, name: &str, args: Option<&NodeId>) -> Id {
        self.hold(Held::Stub(Box::new(Stub { name: name.into(), args: args.copied(), state: None, items: Vec::new() })))
    }
    fn builtin(&mut self, factory: Factory) -> Id {
        self.stub(&format!("builtins.{}", factory.name()), None)
    }
    fn construct(&mut self, _: u32, _: How, args: &NodeId, _: Option<&NodeId>) -> Id {
        self.stub("registered", Some(args))
    }
    fn native(&mut self, _: u32, args: &[NodeId]) -> Id {
        match args {
            [plain, ..] => Ok(*plain),
            [] => self.none(),
        }
    }
    fn persistent(&mut self, _: &NodeId) -> Id {
        if self.checking { self.none() } else { Err(ErrorKind::PersistentId.into()) }
    }
    fn buffer(&mut self) -> Id {
        if self.checking { self.bytes(Cow::Borrowed(&[])) } else { Err(ErrorKind::NoBuffer.into()) }
    }
    fn readonly(&mut self, buffer: &NodeId) -> Id {
        match self.node(*buffer) {
            Node::Bytes(_) | Node::ByteArray(_) => Ok(*buffer),
            _ => Err(ErrorKind::Invalid("buffer").into()),
        }
    }
}

impl<'a> ValueSink<'a> {
    #[inline(never)]
    fn checked_utf8(&mut self, raw: &'a [u8]) -> Id {
        match std::str::from_utf8(raw) {
            Ok(text) => self.text(Cow::Borrowed(text)),
            Err(_) => self.text_surrogates(Cow::Borrowed(raw)),
        }
    }

    #[cold]
    fn hold_nan(&mut self, value: f64) -> Id {
        self.hold(Held::Nan(value))
    }

    fn dict_of(&mut self, kind: DictKind) -> Id {
        let dict = self.container(kind::DICT)?;
        self.hold(Held::Dict(kind, dict))
    }

    /// The list or dict that holds the items of a value; most hold their own.
    #[inline]
    fn filled(&self, id: NodeId) -> NodeId {
        match id.kind() {
            kind::NODE => match &self.nodes[id.payload()] {
                Held::Deque(inner, _) | Held::Dict(_, inner) => *inner,
                _ => id,
            },
            _ => id,
        }
    }

    fn extend_stub(&mut self, id: NodeId, items: impl Iterator<Item = NodeId>) -> Made<(), Infallible> {
        if let Some(stub) = self.stub_mut(id) {
            stub.items.extend(items);
        }
        Ok(())
    }

    fn stub_mut(&mut self, id: NodeId) -> Option<&mut Stub> {
        match self.nodes.get_mut(id.payload()) {
            Some(Held::Stub(stub)) if id.kind() == kind::NODE => Some(stub),
            _ => None,
        }
    }

    fn view_of_node(&self, id: NodeId) -> View<'_> {
        match &self.nodes[id.payload()] {
            Held::Int(value) => View::Int(*value),
            Held::BigInt(value) => View::BigInt(value.bits()),
            Held::Nan(value) => View::Float(*value),
            Held::Text(raw) => View::Text(text(raw)),
            Held::Surrogates(_) => View::Surrogates,
            Held::Bytes(raw) => View::Bytes(raw),
            Held::ByteArray(_) => View::ByteArray,
            Held::Deque(..) => View::Deque,
            Held::Dict(DictKind::Default(_), _) => View::DefaultDict,
            Held::Dict(DictKind::Namespace, _) => View::Namespace,
            Held::Dict(..) => View::Dict,
            Held::Known(Known::TimeDelta { days, seconds, microseconds }) => {
                View::TimeDelta { days: *days, seconds: *seconds, microseconds: *microseconds }
            }
            Held::Known(Known::Timezone(..) | Known::ZoneInfo(_)) => View::Zone,
            Held::Known(Known::Array(..)) | Held::Decimal(_, true) => View::Unhashable,
            Held::Decimal(..) | Held::Known(_) => View::Other,
            Held::Stub(_) => View::Stub,
        }
    }

    fn len_of_node(&self, id: NodeId) -> usize {
        match self.node(id) {
            Node::Text(text) => text.len(),
            Node::Deque(items, _) => items.len(),
            Node::Dict(_, entries) => entries.len() / 2,
            Node::Decimal(text, _) => {
                let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
                let whole = number.trim_start_matches(['+', '-']).split('.').next().unwrap_or_default().len() as i64;
                decimal_hash_cost(exponent.parse::<i64>().unwrap_or(0).saturating_add(whole - 1), number.len())
            }
            Node::Known(Known::Fraction(numerator, denominator)) => {
                let bits = |id| match self.node(id) {
                    Node::BigInt(value) => value.bits(),
                    _ => 63,
                };
                fraction_hash_cost(bits(*numerator) + bits(*denominator))
            }
            _ => 0,
        }
    }

    /// Text without surrogates; empty for what is none.
    pub(crate) fn text_of(&self, id: NodeId) -> &str {
        text(self.utf8_of(id).unwrap_or_default())
    }
}

/// Text whose bytes were checked when its handle was made.
#[inline]
fn text(raw: &[u8]) -> &str {
    std::str::from_utf8(raw).unwrap_or_default()
}

/// Short text is most of what a session holds, and the standard library is made for long one.
#[inline]
fn is_ascii(raw: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    if raw.len() > 64 {
        return raw.is_ascii();
    }
    let bits = match (raw.last_chunk(), raw.first_chunk(), raw.last_chunk()) {
        (Some(last), ..) => {
            let chunks = raw.as_chunks().0.iter();
            chunks.fold(u64::from_le_bytes(*last), |bits, chunk| bits | u64::from_le_bytes(*chunk))
        }
        (_, Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first) | u32::from_le_bytes(*last)),
        _ => raw.iter().fold(0, |bits, byte| bits | u64::from(*byte)),
    };
    bits & HIGH == 0
}

/// Whether it is UTF-8, but for surrogates that stand alone.
fn is_wtf8(mut raw: &[u8]) -> bool {
    loop {
        match std::str::from_utf8(raw) {
            Ok(_) => return true,
            Err(error) => {
                raw = &raw[error.valid_up_to()..];
                match raw {
                    [0xED, 0xA0..=0xBF, 0x80..=0xBF, rest @ ..] => raw = rest,
                    _ => return false,
                }
            }
        }
    }
}
