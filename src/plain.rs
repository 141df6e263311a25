//! Plain data: a value tree as None, bool, int, float, str, bytes, list, tuple and dict alone, in a
//! `serde_pickle::Value`, or in a pickle without a single global. Other types become their text.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use num_bigint::BigInt;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, SerializeTuple, Serializer};
use serde_pickle::{HashableValue, Value};

use crate::error::{Error, ErrorKind};
use crate::json;
use crate::limits::{self, Limit};
use crate::sink::value::{Node, NodeId, ValueSink};
use crate::sink::{Ip, Path};

/// Containers inside containers: `serde_pickle` writes and drops its values by recursion.
const DEPTH: usize = 400;
/// Bits of an integer that is written in decimal: conversion is quadratic, and readers bound digits.
pub(crate) const DECIMAL_BITS: u64 = 1 << 13;

/// What a node is, as plain data.
enum Plain<'v> {
    None,
    Bool(bool),
    Int(i64),
    BigInt(&'v BigInt),
    Float(f64),
    Text(Cow<'v, str>),
    Bytes(&'v [u8]),
    List(Cow<'v, [NodeId]>),
    Tuple(Cow<'v, [NodeId]>),
    Dict(Vec<(NodeId, NodeId)>),
    Named(Vec<(&'static str, NodeId)>, &'v str),
}

fn plain<'v>(values: &'v ValueSink<'_>, id: NodeId) -> Plain<'v> {
    let zoned = |zone: &Option<NodeId>| match zone.map(|zone| values.node(zone)) {
        Some(Node::Timezone(offset, _)) => json::iso_offset(*offset),
        Some(Node::ZoneInfo(key)) => format!("[{key}]"),
        _ => String::new(),
    };
    let text = |text: String| Plain::Text(Cow::Owned(text));
    match values.node(id) {
        Node::None => Plain::None,
        Node::Bool(value) => Plain::Bool(*value),
        Node::Int(value) => Plain::Int(*value),
        Node::BigInt(value) => Plain::BigInt(value),
        Node::Float(value) => Plain::Float(*value),
        Node::Text(text) => Plain::Text(Cow::Borrowed(text)),
        Node::Surrogates(raw) => text(String::from_utf8_lossy(raw).into_owned()),
        Node::Bytes(raw) | Node::ByteArray(raw) => Plain::Bytes(raw),
        Node::Tuple(items) => Plain::Tuple(Cow::Borrowed(items)),
        Node::FrozenSet(items) => Plain::Tuple(Cow::Owned(distinct(values, items))),
        Node::List(items) | Node::Deque(items, _) => Plain::List(Cow::Borrowed(items)),
        Node::Set(items) => Plain::List(Cow::Owned(distinct(values, items))),
        Node::Dict(_, held) => Plain::Dict(entries(values, held)),
        Node::Complex(real, imaginary) => text(format!("{real}{imaginary:+}j")),
        Node::Range(bounds) => Plain::Tuple(Cow::Borrowed(bounds)),
        Node::Fraction(numerator, denominator) => Plain::Tuple(Cow::Owned(vec![*numerator, *denominator])),
        Node::Date(day) => text(json::iso_day(*day)),
        Node::Time(clock, zone) => text(json::iso_clock(*clock) + &zoned(zone)),
        Node::DateTime(day, clock, zone) => {
            text(format!("{}T{}{}", json::iso_day(*day), json::iso_clock(*clock), zoned(zone)))
        }
        Node::TimeDelta { days, seconds, microseconds } => {
            Plain::Float(f64::from(*days) * 86_400.0 + f64::from(*seconds) + f64::from(*microseconds) / 1e6)
        }
        Node::Timezone(offset, _) => text(json::iso_offset(*offset)),
        Node::ZoneInfo(key) => Plain::Text(Cow::Borrowed(key)),
        Node::Decimal(digits) => Plain::Text(Cow::Borrowed(digits)),
        Node::Uuid(int) => text(uuid_text(**int)),
        Node::IpInt(ip, int) => text(ip_text(*ip, **int)),
        Node::IpText(address) => Plain::Text(Cow::Borrowed(address)),
        Node::Path(kind, parts) => text(path_text(values, *kind, parts)),
        Node::StructTime(fields) => plain_leaf(values, *fields),
        Node::Array(_, items) => plain_leaf(values, *items),
        Node::Stub(stub) => {
            let parts = [("args", stub.args), ("state", stub.state)];
            Plain::Named(parts.into_iter().filter_map(|(key, part)| Some((key, part?))).collect(), &stub.name)
        }
    }
}

/// What a struct_time or an array is made of: a tuple, a list or bytes, never one of them again.
fn plain_leaf<'v>(values: &'v ValueSink<'_>, id: NodeId) -> Plain<'v> {
    match values.node(id) {
        Node::Tuple(items) => Plain::Tuple(Cow::Borrowed(items)),
        Node::List(items) => Plain::List(Cow::Borrowed(items)),
        Node::Bytes(raw) => Plain::Bytes(raw),
        _ => Plain::None,
    }
}

/// Writes plain data as a pickle without a single global, of at most about `max_bytes` bytes.
pub fn sanitize(values: &ValueSink<'_>, root: NodeId, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let walk = Walk { values, open: RefCell::default(), left: Cell::new(max_bytes), failure: Cell::new(None) };
    let options = serde_pickle::SerOptions::new();
    serde_pickle::to_vec(&At { walk: &walk, id: root }, options).map_err(|_| {
        let kind = walk.failure.take();
        kind.unwrap_or(ErrorKind::Invalid("value for a pickle without globals")).into()
    })
}

/// What one writing shares between its nodes.
struct Walk<'v, 'a> {
    values: &'v ValueSink<'a>,
    open: RefCell<HashSet<u32>>,
    left: Cell<u64>,
    failure: Cell<Option<ErrorKind>>,
}

impl Walk<'_, '_> {
    fn fail<E: serde::ser::Error>(&self, kind: ErrorKind) -> E {
        self.failure.set(Some(kind));
        E::custom("")
    }

    /// Pays for one node and what it holds itself.
    fn pay<E: serde::ser::Error>(&self, bytes: usize) -> Result<(), E> {
        match self.left.get().checked_sub(bytes as u64 + 1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(self.fail(ErrorKind::Limit(Limit::OutputBytes))),
        }
    }
}

/// A node, to be serialized.
struct At<'w, 'v, 'a> {
    walk: &'w Walk<'v, 'a>,
    id: NodeId,
}

impl Serialize for At<'_, '_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let walk = self.walk;
        let at = |id: &NodeId| At { walk, id: *id };
        let value = plain(walk.values, self.id);
        walk.pay(match &value {
            Plain::Text(text) => text.len(),
            Plain::Bytes(raw) => raw.len(),
            Plain::BigInt(value) => value.bits() as usize / 3,
            _ => 8,
        })?;
        match value {
            Plain::None => return serializer.serialize_unit(),
            Plain::Bool(value) => return serializer.serialize_bool(value),
            Plain::Int(value) => return serializer.serialize_i64(value),
            Plain::Float(value) => return serializer.serialize_f64(value),
            Plain::Text(text) => return serializer.serialize_str(&text),
            Plain::Bytes(raw) => return serializer.serialize_bytes(raw),
            // serde has no wider integer than 128 bits, and serde_pickle none wider than 64.
            Plain::BigInt(value) => return serializer.serialize_str(&digits(value)),
            _ => {}
        }
        {
            let mut open = walk.open.borrow_mut();
            if open.len() >= DEPTH {
                return Err(walk.fail(ErrorKind::Limit(Limit::Depth)));
            }
            if !open.insert(self.id.number()) {
                return Err(walk.fail(ErrorKind::Cycle));
            }
        }
        let done = match value {
            Plain::Tuple(items) => {
                let mut tuple = serializer.serialize_tuple(items.len())?;
                items.iter().try_for_each(|item| tuple.serialize_element(&at(item)))?;
                tuple.end()?
            }
            Plain::Dict(held) => {
                let mut map = serializer.serialize_map(Some(held.len()))?;
                held.iter().try_for_each(|(key, value)| map.serialize_entry(&at(key), &at(value)))?;
                map.end()?
            }
            Plain::Named(parts, name) => {
                let mut map = serializer.serialize_map(Some(parts.len() + 1))?;
                map.serialize_entry("name", name)?;
                parts.iter().try_for_each(|(key, part)| map.serialize_entry(key, &at(part)))?;
                map.end()?
            }
            Plain::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(&at(item)))?;
                list.end()?
            }
            _ => serializer.serialize_unit()?,
        };
        walk.open.borrow_mut().remove(&self.id.number());
        Ok(done)
    }
}

/// The tree as a `serde_pickle::Value`, for `serde_pickle::from_value`. Shared parts are copied, up to
/// `max_nodes` in all; the order of dicts is not kept, since that type has none.
pub fn to_value(values: &ValueSink<'_>, root: NodeId, max_nodes: u64) -> Result<Value, Error> {
    enum Task<'v> {
        Visit(NodeId),
        Build(NodeId, Plain<'v>),
    }
    let mut tasks = vec![Task::Visit(root)];
    let mut open = HashSet::new();
    let mut done: Vec<Value> = Vec::new();
    let mut nodes = 0;
    while let Some(task) = tasks.pop() {
        match task {
            Task::Visit(id) => {
                nodes += 1;
                limits::check(nodes, max_nodes, Limit::OutputBytes)?;
                let value = plain(values, id);
                let children: Vec<NodeId> = match &value {
                    Plain::List(items) | Plain::Tuple(items) => items.to_vec(),
                    Plain::Dict(held) => held.iter().flat_map(|(key, value)| [*key, *value]).collect(),
                    Plain::Named(parts, _) => parts.iter().map(|(_, part)| *part).collect(),
                    _ => {
                        done.push(leaf(value));
                        continue;
                    }
                };
                limits::check(open.len() as u64, DEPTH as u64, Limit::Depth)?;
                if !open.insert(id.number()) {
                    return Err(ErrorKind::Cycle.into());
                }
                tasks.push(Task::Build(id, value));
                tasks.extend(children.into_iter().rev().map(Task::Visit));
            }
            Task::Build(id, value) => {
                open.remove(&id.number());
                let count = match &value {
                    Plain::List(items) | Plain::Tuple(items) => items.len(),
                    Plain::Dict(held) => held.len() * 2,
                    Plain::Named(parts, _) => parts.len(),
                    _ => 0,
                };
                let mut built = done.split_off(done.len() - count).into_iter();
                done.push(match value {
                    Plain::Tuple(_) => Value::Tuple(built.collect()),
                    Plain::Dict(_) => {
                        let mut dict = BTreeMap::new();
                        while let (Some(key), Some(value)) = (built.next(), built.next()) {
                            dict.insert(key.into_hashable().map_err(|_| ErrorKind::Unhashable)?, value);
                        }
                        Value::Dict(dict)
                    }
                    Plain::Named(parts, name) => {
                        let key = |key: &str| HashableValue::String(key.into());
                        let mut dict: BTreeMap<_, _> = parts.iter().map(|(part, _)| key(part)).zip(built).collect();
                        dict.insert(key("name"), Value::String(name.into()));
                        Value::Dict(dict)
                    }
                    _ => Value::List(built.collect()),
                });
            }
        }
    }
    done.pop().ok_or_else(|| ErrorKind::Internal("no value was built".into()).into())
}

fn leaf(value: Plain<'_>) -> Value {
    match value {
        Plain::Bool(value) => Value::Bool(value),
        Plain::Int(value) => Value::I64(value),
        Plain::BigInt(value) => Value::Int(value.clone()),
        Plain::Float(value) => Value::F64(value),
        Plain::Text(text) => Value::String(text.into_owned()),
        Plain::Bytes(raw) => Value::Bytes(raw.to_vec()),
        _ => Value::None,
    }
}

// ---- text forms

/// The digits of an integer: decimal ones, or hexadecimal ones of a wide integer.
fn digits(value: &BigInt) -> String {
    if value.bits() > DECIMAL_BITS { format!("{value:#x}") } else { value.to_string() }
}

/// NaN and the infinities, as Python's `float` reads them.
pub(crate) fn float_name(value: f64) -> &'static str {
    match (value.is_nan(), value > 0.0) {
        (true, _) => "nan",
        (_, true) => "inf",
        _ => "-inf",
    }
}

fn uuid_text(int: u128) -> String {
    let hex = format!("{int:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// An address.
pub(crate) fn ip_text(ip: Ip, int: u128) -> String {
    match (ip, u32::try_from(int)) {
        (Ip::V4Address | Ip::V4Network | Ip::V4Interface, Ok(int)) => Ipv4Addr::from(int).to_string(),
        _ => Ipv6Addr::from(int).to_string(),
    }
}

/// A path's parts, joined.
pub(crate) fn path_text(values: &ValueSink<'_>, kind: Path, parts: &[NodeId]) -> String {
    let separator = if matches!(kind, Path::PurePosix | Path::Posix) { "/" } else { "\\" };
    let mut path = String::new();
    for part in parts {
        if let Node::Text(part) = values.node(*part) {
            if !path.is_empty() && !path.ends_with(separator) {
                path.push_str(separator);
            }
            path.push_str(part);
        }
    }
    path
}

// ---- containers as Python would have them

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
