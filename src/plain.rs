//! Plain data: a value tree as None, bool, int, float, str, bytes, list, tuple and dict alone, in a
//! `serde_pickle::Value`, or in a pickle without a single global. Other types become their text.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use num_bigint::BigInt;
use serde_pickle::{HashableValue, Value};

use crate::error::{Error, ErrorKind};
use crate::json;
use crate::limits::{self, Limit};
use crate::opcode::op;
use crate::sink::value::{Known, Node, NodeId, Stub, ValueSink, entries, members};
use crate::sink::{Ip, Path};

/// Containers inside containers: `serde_pickle` drops its values by recursion.
const DEPTH: usize = 400;

/// What a node is, as plain data.
enum Plain<'v> {
    None,
    Bool(bool),
    Int(i64),
    BigInt(&'v BigInt),
    Float(f64),
    Text(Cow<'v, str>),
    /// UTF-8 with lone surrogates.
    Surrogates(&'v [u8]),
    Bytes(&'v [u8]),
    List(Cow<'v, [NodeId]>),
    Tuple(Cow<'v, [NodeId]>),
    /// Keys and values alternate.
    Dict(Cow<'v, [NodeId]>),
    Named(&'v Stub),
}

fn plain<'v>(values: &'v ValueSink<'_>, id: NodeId) -> Plain<'v> {
    let distinct = |items: &'v [NodeId]| members(values, items).map_or(Cow::Borrowed(items), Cow::Owned);
    match values.node(id) {
        Node::None => Plain::None,
        Node::Bool(value) => Plain::Bool(value),
        Node::Int(value) => Plain::Int(value),
        Node::BigInt(value) => Plain::BigInt(value),
        Node::Float(value) => Plain::Float(value),
        Node::Text(text) => Plain::Text(Cow::Borrowed(text)),
        Node::Surrogates(raw) => Plain::Surrogates(raw),
        Node::Bytes(raw) | Node::ByteArray(raw) => Plain::Bytes(raw),
        Node::Tuple(items) | Node::FrozenSet(items) => Plain::Tuple(Cow::Borrowed(items)),
        Node::List(items) | Node::Deque(items, _) => Plain::List(Cow::Borrowed(items)),
        Node::Set(items) => Plain::List(distinct(items)),
        Node::Dict(_, held) => Plain::Dict(entries(values, held).map_or(Cow::Borrowed(held), Cow::Owned)),
        Node::Stub(stub) => Plain::Named(stub),
        Node::Decimal(digits, _) => Plain::Text(Cow::Borrowed(digits)),
        Node::Known(known) => plain_known(values, known),
    }
}

fn plain_known<'v>(values: &'v ValueSink<'_>, known: &'v Known) -> Plain<'v> {
    let zoned = |zone: &NodeId| match values.node(*zone) {
        Node::Known(Known::Timezone(offset, _)) => json::iso_offset(*offset),
        Node::Known(Known::ZoneInfo(key)) => format!("[{key}]"),
        _ => String::new(),
    };
    let text = |text: String| Plain::Text(Cow::Owned(text));
    let borrowed = |id: &NodeId| Plain::Text(Cow::Borrowed(values.text_of(*id)));
    match known {
        Known::Complex(real, imaginary) => text(format!("{real}{imaginary:+}j")),
        Known::Range(bounds) => Plain::Tuple(Cow::Borrowed(bounds)),
        Known::Fraction(numerator, denominator) => Plain::Tuple(Cow::Owned(vec![*numerator, *denominator])),
        Known::Date(day) => text(json::iso_day(*day)),
        Known::Time(clock, zone) => text(json::iso_clock(*clock) + &zoned(zone)),
        Known::DateTime(day, clock, zone) => {
            text(format!("{}T{}{}", json::iso_day(*day), json::iso_clock(*clock), zoned(zone)))
        }
        Known::TimeDelta { days, seconds, microseconds } => {
            Plain::Float(f64::from(*days) * 86_400.0 + f64::from(*seconds) + f64::from(*microseconds) / 1e6)
        }
        Known::Timezone(offset, _) => text(json::iso_offset(*offset)),
        Known::ZoneInfo(key) => Plain::Text(Cow::Borrowed(key)),
        Known::Uuid(uuid) => text(uuid_text(uuid.0)),
        Known::IpInt(ip, int) => text(ip_text(*ip, **int)),
        Known::IpText(_, address) => borrowed(address),
        Known::Path(kind, parts) => text(path_text(values, *kind, parts)),
        // A tuple, a list or bytes, never one of these again.
        Known::StructTime(held, _) | Known::Array(_, held) => match values.node(*held) {
            Node::Tuple(items) => Plain::Tuple(Cow::Borrowed(items)),
            Node::List(items) => Plain::List(Cow::Borrowed(items)),
            Node::Bytes(raw) => Plain::Bytes(raw),
            _ => Plain::None,
        },
    }
}

/// Writes plain data as a pickle of protocol 3 without a single global, of at most about `max_bytes`
/// bytes. Shared parts are written as often as they occur.
pub fn sanitize(values: &ValueSink<'_>, root: NodeId, max_bytes: u64) -> Result<Vec<u8>, Error> {
    enum Task<'v> {
        Visit(NodeId),
        /// Items from an index on.
        Items(Cow<'v, [NodeId]>, usize),
        Text(&'v str),
        Raw(u8),
        Leave(NodeId),
    }
    let mut out = vec![op::PROTO, 3];
    let mut tasks = vec![Task::Raw(op::STOP), Task::Visit(root)];
    let mut open = HashSet::new();
    while let Some(task) = tasks.pop() {
        limits::check(out.len() as u64, max_bytes, Limit::OutputBytes)?;
        let id = match task {
            Task::Visit(id) => id,
            Task::Raw(byte) => {
                out.push(byte);
                continue;
            }
            Task::Text(text) => {
                write_counted(&mut out, op::BINUNICODE, text.as_bytes())?;
                continue;
            }
            Task::Leave(id) => {
                open.remove(&id.number());
                continue;
            }
            Task::Items(items, index) => {
                if let Some(&item) = items.get(index) {
                    tasks.extend([Task::Items(items, index + 1), Task::Visit(item)]);
                }
                continue;
            }
        };
        let value = plain(values, id);
        if write_leaf(&mut out, &value)? {
            continue;
        }
        if !open.insert(id.number()) {
            return Err(ErrorKind::Cycle.into());
        }
        tasks.push(Task::Leave(id));
        match value {
            Plain::Tuple(items) => {
                out.push(op::MARK);
                tasks.extend([Task::Raw(op::TUPLE), Task::Items(items, 0)]);
            }
            Plain::List(items) => {
                out.extend([op::EMPTY_LIST, op::MARK]);
                tasks.extend([Task::Raw(op::APPENDS), Task::Items(items, 0)]);
            }
            Plain::Dict(held) => {
                let is_unhashable =
                    |key| matches!(plain(values, key), Plain::List(_) | Plain::Dict(_) | Plain::Named(_));
                if held.iter().step_by(2).any(|key| is_unhashable(*key)) {
                    return Err(ErrorKind::Unhashable.into());
                }
                out.extend([op::EMPTY_DICT, op::MARK]);
                tasks.extend([Task::Raw(op::SETITEMS), Task::Items(held, 0)]);
            }
            Plain::Named(stub) => {
                out.extend([op::EMPTY_DICT, op::MARK]);
                tasks.push(Task::Raw(op::SETITEMS));
                if !stub.items.is_empty() {
                    tasks.extend([Task::Raw(op::APPENDS), Task::Items(Cow::Borrowed(&stub.items), 0)]);
                    tasks.extend([Task::Raw(op::MARK), Task::Raw(op::EMPTY_LIST), Task::Text("items")]);
                }
                for (key, part) in [("state", stub.state), ("args", stub.args)] {
                    tasks.extend(part.map(Task::Visit));
                    tasks.extend(part.map(|_| Task::Text(key)));
                }
                tasks.extend([Task::Text(&stub.name), Task::Text("name")]);
            }
            _ => {}
        }
    }
    Ok(out)
}

/// Writes a value that holds no others; false if it does.
fn write_leaf(out: &mut Vec<u8>, value: &Plain<'_>) -> Result<bool, Error> {
    match value {
        Plain::None => out.push(op::NONE),
        Plain::Bool(value) => out.push(if *value { op::NEWTRUE } else { op::NEWFALSE }),
        Plain::Int(value) => match i32::try_from(*value) {
            Ok(value) => {
                out.push(op::BININT);
                out.extend(value.to_le_bytes());
            }
            Err(_) => {
                out.extend([op::LONG1, 8]);
                out.extend(value.to_le_bytes());
            }
        },
        Plain::BigInt(value) => write_counted(out, op::LONG4, &value.to_signed_bytes_le())?,
        Plain::Float(value) => {
            out.push(op::BINFLOAT);
            out.extend(value.to_be_bytes());
        }
        Plain::Text(text) => write_counted(out, op::BINUNICODE, text.as_bytes())?,
        Plain::Surrogates(raw) => write_counted(out, op::BINUNICODE, raw)?,
        Plain::Bytes(raw) => write_counted(out, op::BINBYTES, raw)?,
        Plain::List(_) | Plain::Tuple(_) | Plain::Dict(_) | Plain::Named(_) => return Ok(false),
    }
    Ok(true)
}

fn write_counted(out: &mut Vec<u8>, opcode: u8, raw: &[u8]) -> Result<(), Error> {
    let count = u32::try_from(raw.len()).map_err(|_| ErrorKind::Limit(Limit::OutputBytes))?;
    out.push(opcode);
    out.extend(count.to_le_bytes());
    out.extend(raw);
    Ok(())
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
                    Plain::List(items) | Plain::Tuple(items) | Plain::Dict(items) => items.to_vec(),
                    Plain::Named(stub) => {
                        [stub.args, stub.state].into_iter().flatten().chain(stub.items.iter().copied()).collect()
                    }
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
                    Plain::List(items) | Plain::Tuple(items) | Plain::Dict(items) => items.len(),
                    Plain::Named(stub) => {
                        usize::from(stub.args.is_some()) + usize::from(stub.state.is_some()) + stub.items.len()
                    }
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
                    Plain::Named(stub) => {
                        let key = |key: &str| HashableValue::String(key.into());
                        let mut dict = BTreeMap::from([(key("name"), Value::String(stub.name.to_string()))]);
                        if stub.args.is_some() {
                            dict.insert(key("args"), built.next().unwrap_or(Value::None));
                        }
                        if stub.state.is_some() {
                            dict.insert(key("state"), built.next().unwrap_or(Value::None));
                        }
                        if !stub.items.is_empty() {
                            dict.insert(key("items"), Value::List(built.collect()));
                        }
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
        Plain::Surrogates(raw) => Value::String(String::from_utf8_lossy(raw).into_owned()),
        Plain::Bytes(raw) => Value::Bytes(raw.to_vec()),
        _ => Value::None,
    }
}

// ---- text forms

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
fn path_text(values: &ValueSink<'_>, kind: Path, parts: &[NodeId]) -> String {
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
