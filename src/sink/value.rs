//! The value sink: a compact tree without Python objects, which finishes into JSON text or
//! `serde_pickle::Value`. Nodes refer to each other by number, so that nothing is dropped by recursion.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

use num_bigint::BigInt;

mod tree;

use crate::error::{ErrorKind, reserve};
use crate::sink::{Clock, Day, Factory, How, Ip, KnownValue, Made, Path, Sink, View};
use crate::sink::{decimal_hash_cost, fraction_hash_cost};
use crate::tree::DictKind;

/// The number of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(u32);

impl NodeId {
    /// The number itself.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// One value of the tree.
#[derive(Debug)]
pub enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    BigInt(Box<BigInt>),
    Float(f64),
    Text(Cow<'a, str>),
    /// UTF-8 with lone surrogates.
    Surrogates(Cow<'a, [u8]>),
    Bytes(Cow<'a, [u8]>),
    ByteArray(Cow<'a, [u8]>),
    Tuple(Box<[NodeId]>),
    FrozenSet(Box<[NodeId]>),
    List(Vec<NodeId>),
    Set(Vec<NodeId>),
    Deque(Vec<NodeId>, Option<Box<usize>>),
    /// Keys and values alternate; the last value of a key counts.
    Dict(DictKind, Vec<NodeId>),
    Complex(f64, f64),
    Range([NodeId; 3]),
    Date(Day),
    Time(Clock, Option<NodeId>),
    DateTime(Day, Clock, Option<NodeId>),
    TimeDelta {
        days: i32,
        seconds: i32,
        microseconds: i32,
    },
    Timezone(i64, Option<NodeId>),
    ZoneInfo(Box<str>),
    Decimal(Box<str>),
    Fraction(NodeId, NodeId),
    Uuid(Box<(u128, Option<i64>)>),
    IpInt(Ip, Box<u128>),
    IpText(Ip, Box<str>),
    Path(Path, Box<[NodeId]>),
    /// Fields, and a dict of the further ones.
    StructTime(NodeId, Option<NodeId>),
    Array(char, NodeId),
    Stub(Box<Stub>),
}

/// What stands for an instance that the policy does not know.
#[derive(Debug)]
pub struct Stub {
    pub name: Box<str>,
    pub args: Option<NodeId>,
    pub state: Option<NodeId>,
    pub items: Vec<NodeId>,
}

/// Builds a tree of nodes in one vector.
#[derive(Debug, Default)]
pub struct ValueSink<'a> {
    nodes: Vec<Node<'a>>,
    lenient: bool,
    checking: bool,
}

type Id = Made<NodeId, Infallible>;

impl<'a> ValueSink<'a> {
    /// A sink that goes on with a stub where the policy would refuse a name: for looking only.
    pub fn lenient() -> Self {
        Self { lenient: true, ..Self::default() }
    }

    /// A sink that takes persistent ids and out-of-band buffers for granted: for checking what was written.
    pub fn checking() -> Self {
        Self { checking: true, ..Self::default() }
    }

    /// The node of that number.
    pub fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id.0 as usize]
    }

    fn push(&mut self, node: Node<'a>) -> Id {
        let id = u32::try_from(self.nodes.len()).map_err(|_| ErrorKind::Limit(crate::limits::Limit::Memory))?;
        reserve(&mut self.nodes)?;
        self.nodes.push(node);
        Ok(NodeId(id))
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
                10 | 11 if bits < 0 => self.push(Node::BigInt(Box::new((bits as u64).into())))?,
                _ => self.int(bits)?,
            });
        }
        for character in char::decode_utf16(units).flatten() {
            nodes.push(self.text(Cow::Owned(character.to_string()))?);
        }
        Ok(nodes)
    }

    fn text_of(&self, id: NodeId) -> Box<str> {
        match self.node(id) {
            Node::Text(text) => text.as_ref().into(),
            _ => Box::default(),
        }
    }
}

impl<'a> Sink<'a> for ValueSink<'a> {
    type Value = NodeId;
    type Error = Infallible;
    const LEAF: usize = 3 * size_of::<Node<'static>>();

    fn global(&mut self, _module: &str, _name: &str, _offset: usize, _allowed: bool) -> bool {
        self.lenient
    }
    fn none(&mut self) -> Id {
        self.push(Node::None)
    }
    fn bool(&mut self, value: bool) -> Id {
        self.push(Node::Bool(value))
    }
    fn int(&mut self, value: i64) -> Id {
        self.push(Node::Int(value))
    }
    fn big_int(&mut self, bytes: &[u8]) -> Id {
        let value = BigInt::from_signed_bytes_le(bytes);
        match i64::try_from(&value) {
            Ok(small) => self.push(Node::Int(small)),
            Err(_) => self.push(Node::BigInt(Box::new(value))),
        }
    }
    fn int_text(&mut self, digits: &str) -> Id {
        match digits.parse() {
            Ok(value) => self.push(Node::BigInt(Box::new(value))),
            Err(_) => Err(ErrorKind::Invalid("integer").into()),
        }
    }
    fn float(&mut self, value: f64) -> Id {
        self.push(Node::Float(value))
    }
    fn text(&mut self, text: Cow<'a, str>) -> Id {
        self.push(Node::Text(text))
    }
    fn text_surrogates(&mut self, text: Cow<'a, [u8]>) -> Id {
        if !is_wtf8(&text) {
            return Err(ErrorKind::Invalid("text: not UTF-8").into());
        }
        self.push(Node::Surrogates(text))
    }
    fn text_coded(&mut self, raw: Cow<'a, [u8]>, encoding: &str, _errors: &str) -> Id {
        let text = match encoding.to_ascii_lowercase().as_str() {
            "latin1" | "latin-1" | "iso-8859-1" => Some(raw.iter().copied().map(char::from).collect()),
            "ascii" if !raw.is_ascii() => None,
            _ => String::from_utf8(raw.into_owned()).ok(),
        };
        match text {
            Some(text) => self.push(Node::Text(Cow::Owned(text))),
            None => Err(ErrorKind::Invalid("text in the given encoding").into()),
        }
    }
    fn bytes(&mut self, bytes: Cow<'a, [u8]>) -> Id {
        self.push(Node::Bytes(bytes))
    }
    fn bytearray(&mut self, bytes: Cow<'a, [u8]>) -> Id {
        self.push(Node::ByteArray(bytes))
    }
    fn tuple<I: ExactSizeIterator<Item = NodeId>>(&mut self, items: I) -> Id {
        self.push(Node::Tuple(items.collect()))
    }
    fn list<I: ExactSizeIterator<Item = NodeId>>(&mut self, items: I) -> Id {
        self.push(Node::List(items.collect()))
    }
    fn frozenset<I: ExactSizeIterator<Item = NodeId>>(&mut self, items: I) -> Id {
        let items: Vec<_> = items.collect();
        let members = distinct(self, &items);
        self.push(Node::FrozenSet(members.into()))
    }
    fn set(&mut self) -> Id {
        self.push(Node::Set(Vec::new()))
    }
    fn dict(&mut self) -> Id {
        self.push(Node::Dict(DictKind::Plain, Vec::new()))
    }
    fn known(&mut self, value: KnownValue<'_, NodeId>) -> Id {
        let node = match value {
            KnownValue::Complex(real, imaginary) => Node::Complex(real, imaginary),
            KnownValue::Range(bounds) => Node::Range(bounds.map(|bound| *bound)),
            KnownValue::Date(day) => Node::Date(day),
            KnownValue::Time(clock, zone) => Node::Time(clock, zone.copied()),
            KnownValue::DateTime(day, clock, zone) => Node::DateTime(day, clock, zone.copied()),
            KnownValue::TimeDelta { days, seconds, microseconds } => Node::TimeDelta { days, seconds, microseconds },
            KnownValue::Timezone(offset, name) => Node::Timezone(offset, name.copied()),
            KnownValue::ZoneInfo(key, _) => Node::ZoneInfo(key.into()),
            KnownValue::Decimal(text) | KnownValue::PlainDecimal(text) => Node::Decimal(self.text_of(*text)),
            KnownValue::Fraction(numerator, denominator) => Node::Fraction(*numerator, *denominator),
            KnownValue::Uuid(int, safe) => Node::Uuid((int, safe).into()),
            KnownValue::OrderedDict => Node::Dict(DictKind::Ordered, Vec::new()),
            KnownValue::DefaultDict(factory) => Node::Dict(DictKind::Default(factory), Vec::new()),
            KnownValue::Counter => Node::Dict(DictKind::Counter, Vec::new()),
            KnownValue::Deque(bound) => Node::Deque(Vec::new(), bound.map(Box::new)),
            KnownValue::Namespace => Node::Dict(DictKind::Namespace, Vec::new()),
            KnownValue::IpInt(ip, int) => Node::IpInt(ip, int.into()),
            KnownValue::IpText(ip, text) => Node::IpText(ip, self.text_of(*text)),
            KnownValue::Path(path, parts) => Node::Path(path, parts.into()),
            KnownValue::StructTime(fields, extra) => Node::StructTime(*fields, extra.copied()),
            KnownValue::ArrayItems(code, items) => Node::Array(code, *items),
            KnownValue::ArrayBytes(code, format, bytes) => {
                let items = self.array_items(format, *bytes)?;
                Node::Array(code, self.push(Node::List(items))?)
            }
        };
        self.push(node)
    }
    fn extend<I: ExactSizeIterator<Item = NodeId>>(&mut self, target: &NodeId, items: I) -> Made<(), Infallible> {
        match &mut self.nodes[target.0 as usize] {
            Node::List(list) => list.extend(items),
            Node::Stub(stub) => stub.items.extend(items),
            Node::Deque(deque, bound) => {
                deque.extend(items);
                let surplus = bound.as_ref().map_or(0, |bound| deque.len().saturating_sub(**bound));
                deque.drain(..surplus);
            }
            _ => {}
        }
        Ok(())
    }
    fn insert<I: ExactSizeIterator<Item = NodeId>>(&mut self, target: &NodeId, items: I) -> Made<(), Infallible> {
        match &mut self.nodes[target.0 as usize] {
            Node::Dict(_, entries) => entries.extend(items),
            Node::Stub(stub) => stub.items.extend(items),
            _ => {}
        }
        Ok(())
    }
    fn add<I: ExactSizeIterator<Item = NodeId>>(&mut self, target: &NodeId, items: I) -> Made<(), Infallible> {
        match &mut self.nodes[target.0 as usize] {
            Node::Set(set) => set.extend(items),
            Node::Stub(stub) => stub.items.extend(items),
            _ => {}
        }
        Ok(())
    }
    fn clear(&mut self, target: &NodeId) -> Made<(), Infallible> {
        if let Node::Dict(_, entries) = &mut self.nodes[target.0 as usize] {
            entries.clear();
        }
        Ok(())
    }
    fn build(&mut self, target: &NodeId, state: &NodeId) -> Made<(), Infallible> {
        let entries = self.entries(state);
        match &mut self.nodes[target.0 as usize] {
            Node::Dict(_, held) => held.extend(entries),
            Node::Stub(stub) => stub.state = Some(*state),
            _ => {}
        }
        Ok(())
    }
    fn view<'v>(&'v self, value: &'v NodeId) -> View<'v> {
        match self.node(*value) {
            Node::None => View::None,
            Node::Bool(value) => View::Bool(*value),
            Node::Int(value) => View::Int(*value),
            Node::BigInt(value) => View::BigInt(value.bits()),
            Node::Float(value) => View::Float(*value),
            Node::Text(text) => View::Text(text),
            Node::Surrogates(_) => View::Surrogates,
            Node::Bytes(bytes) => View::Bytes(bytes),
            Node::ByteArray(_) => View::ByteArray,
            Node::Tuple(_) => View::Tuple,
            Node::FrozenSet(_) => View::FrozenSet,
            Node::List(_) => View::List,
            Node::Set(_) => View::Set,
            Node::Deque(..) => View::Deque,
            Node::Dict(DictKind::Default(_), _) => View::DefaultDict,
            Node::Dict(DictKind::Namespace, _) => View::Namespace,
            Node::Dict(..) => View::Dict,
            Node::TimeDelta { days, seconds, microseconds } => {
                View::TimeDelta { days: *days, seconds: *seconds, microseconds: *microseconds }
            }
            Node::Timezone(..) | Node::ZoneInfo(_) => View::Zone,
            Node::Array(..) => View::Unhashable,
            Node::Decimal(text) if text.to_ascii_lowercase().contains("snan") => View::Unhashable,
            Node::Stub(_) => View::Stub,
            _ => View::Other,
        }
    }
    fn wtf8(&self, value: &NodeId) -> Option<Vec<u8>> {
        match self.node(*value) {
            Node::Text(text) => Some(text.as_bytes().to_vec()),
            Node::Surrogates(raw) => Some(raw.to_vec()),
            _ => None,
        }
    }
    fn len(&self, container: &NodeId) -> usize {
        match self.node(*container) {
            Node::Tuple(items) | Node::FrozenSet(items) => items.len(),
            Node::Text(text) => text.len(),
            Node::List(items) | Node::Set(items) | Node::Deque(items, _) => items.len(),
            Node::Dict(_, entries) => entries.len() / 2,
            Node::Decimal(text) => {
                let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
                let whole = number.trim_start_matches(['+', '-']).split('.').next().unwrap_or_default().len() as i64;
                decimal_hash_cost(exponent.parse::<i64>().unwrap_or(0).saturating_add(whole - 1), number.len())
            }
            Node::Fraction(numerator, denominator) => {
                let bits = |id| match self.node(id) {
                    Node::BigInt(value) => value.bits(),
                    _ => 63,
                };
                fraction_hash_cost(bits(*numerator) + bits(*denominator))
            }
            _ => 0,
        }
    }
    fn item(&self, tuple: &NodeId, index: usize) -> Option<NodeId> {
        match self.node(*tuple) {
            Node::Tuple(items) => items.get(index).copied(),
            _ => None,
        }
    }
    fn items(&self, container: &NodeId) -> Vec<NodeId> {
        match self.node(*container) {
            Node::Tuple(items) | Node::FrozenSet(items) => items.to_vec(),
            Node::List(items) | Node::Set(items) | Node::Deque(items, _) => items.clone(),
            _ => Vec::new(),
        }
    }
    fn latin1(&mut self, text: &NodeId) -> Made<Option<NodeId>, Infallible> {
        match self.node(*text) {
            Node::Text(text) => match crate::latin1::encode(text) {
                Some(bytes) => self.push(Node::Bytes(Cow::Owned(bytes))).map(Some),
                None => Err(ErrorKind::Invalid("text: not latin1").into()),
            },
            Node::Surrogates(_) => Err(ErrorKind::Invalid("text: not latin1").into()),
            _ => Ok(None),
        }
    }
    fn get(&self, dict: &NodeId, key: &str) -> Option<NodeId> {
        let Node::Dict(_, entries) = self.node(*dict) else { return None };
        let found =
            entries.chunks_exact(2).rev().find(|pair| matches!(self.node(pair[0]), Node::Text(text) if text == key));
        found.map(|pair| pair[1])
    }
    fn entries(&self, dict: &NodeId) -> Vec<NodeId> {
        match self.node(*dict) {
            Node::Dict(_, entries) => entries.clone(),
            _ => Vec::new(),
        }
    }
    fn u128(&self, value: &NodeId) -> Option<u128> {
        match self.node(*value) {
            Node::Int(value) => u128::try_from(*value).ok(),
            Node::BigInt(value) => u128::try_from(value.as_ref()).ok(),
            _ => None,
        }
    }
    fn identity(&self, value: &NodeId) -> usize {
        value.0 as usize
    }
    fn hash(&mut self, key: &NodeId) -> Made<Option<i64>, Infallible> {
        // As CPython hashes numbers: modulo a Mersenne prime. Other keys are left to Python's own tables.
        const MODULUS: i64 = (1 << 61) - 1;
        Ok(match self.node(*key) {
            Node::Bool(value) => Some((*value).into()),
            Node::Int(value) => Some(value % MODULUS),
            Node::BigInt(value) => i64::try_from(value.as_ref() % MODULUS).ok(),
            _ => None,
        })
    }
    fn stub(&mut self, name: &str, args: Option<&NodeId>) -> Id {
        self.push(Node::Stub(Box::new(Stub { name: name.into(), args: args.copied(), state: None, items: Vec::new() })))
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

#[derive(PartialEq, Eq, Hash)]
enum Key<'v> {
    None,
    Text(&'v [u8]),
    Bytes(&'v [u8]),
    Int(i64),
    Node(u32),
}

fn key<'v>(values: &'v ValueSink<'_>, id: NodeId) -> Key<'v> {
    match values.node(id) {
        Node::None => Key::None,
        Node::Text(text) => Key::Text(text.as_bytes()),
        Node::Surrogates(raw) => Key::Text(raw),
        Node::Bytes(raw) => Key::Bytes(raw),
        Node::Bool(value) => Key::Int((*value).into()),
        Node::Int(value) => Key::Int(*value),
        Node::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Key::Int(*value as i64),
        _ => Key::Node(id.number()),
    }
}

/// Keys and values with the last value of each key, in the order of first insertion.
pub(crate) fn entries(values: &ValueSink<'_>, held: &[NodeId]) -> Vec<(NodeId, NodeId)> {
    let mut out: Vec<(NodeId, NodeId)> = Vec::with_capacity(held.len() / 2);
    let mut seen = HashMap::with_capacity(held.len() / 2);
    for pair in held.chunks_exact(2) {
        let next = out.len();
        match *seen.entry(key(values, pair[0])).or_insert(next) {
            index if index == next => out.push((pair[0], pair[1])),
            index => out[index].1 = pair[1],
        }
    }
    out
}

/// Each member once.
pub(crate) fn distinct(values: &ValueSink<'_>, members: &[NodeId]) -> Vec<NodeId> {
    let mut seen = HashSet::with_capacity(members.len());
    members.iter().copied().filter(|member| seen.insert(key(values, *member))).collect()
}
