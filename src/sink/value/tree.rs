//! How the nodes of a value sink are looked at.

use std::borrow::Cow;
use std::convert::Infallible;

use crate::error::Failure;
use crate::plain;
use crate::tree::{DECIMAL_BITS, DictKind, Shape, Tree, split_pair};

use super::{Node, NodeId, ValueSink, distinct, entries};

impl Tree for ValueSink<'_> {
    type Value = NodeId;
    type Cursor = std::vec::IntoIter<NodeId>;
    type Error = Infallible;

    fn shape<'v>(&'v self, id: &'v NodeId) -> Result<Shape<'v, NodeId>, Failure<Infallible>> {
        Ok(match self.node(*id) {
            Node::None => Shape::None,
            Node::Bool(value) => Shape::Bool(*value),
            Node::Int(value) => Shape::Int(*value),
            Node::BigInt(value) => Shape::BigInt(Cow::Owned(match value.bits() {
                bits if bits > DECIMAL_BITS => format!("{:#x}", value.as_ref()),
                _ => value.to_string(),
            })),
            Node::Float(value) => Shape::Float(*value),
            Node::Text(text) => Shape::Text(text),
            Node::Surrogates(raw) => Shape::Surrogates(Cow::Borrowed(raw)),
            Node::Bytes(raw) => Shape::Bytes(Cow::Borrowed(raw)),
            Node::ByteArray(raw) => Shape::ByteArray(Cow::Borrowed(raw)),
            Node::Tuple(_) => Shape::Tuple,
            Node::FrozenSet(_) => Shape::FrozenSet,
            Node::List(_) => Shape::List,
            Node::Set(_) => Shape::Set,
            Node::Deque(_, bound) => Shape::Deque(bound.as_deref().copied()),
            Node::Dict(DictKind::Namespace, _) => Shape::Namespace,
            Node::Dict(kind, held) => {
                let keys = entries(self, held);
                let text_keys = keys.iter().all(|(key, _)| match self.node(*key) {
                    Node::Text(_) => true,
                    Node::Surrogates(raw) => split_pair(raw).is_none(),
                    _ => false,
                });
                Shape::Dict { kind: *kind, size: keys.len(), text_keys }
            }
            Node::Complex(real, imaginary) => Shape::Complex(*real, *imaginary),
            Node::Range(bounds) => Shape::Range(*bounds),
            Node::Fraction(numerator, denominator) => Shape::Fraction(*numerator, *denominator),
            Node::Date(day) => Shape::Date(*day),
            Node::Time(clock, zone) => Shape::Time(*clock, *zone),
            Node::DateTime(day, clock, zone) => Shape::DateTime(*day, *clock, *zone),
            Node::TimeDelta { days, seconds, microseconds } => {
                Shape::TimeDelta { days: *days, seconds: *seconds, microseconds: *microseconds }
            }
            Node::Timezone(offset, name) => Shape::Timezone(*offset, *name),
            Node::ZoneInfo(key) => Shape::ZoneInfo(Cow::Borrowed(key)),
            Node::Decimal(text) => Shape::Decimal(Cow::Borrowed(text)),
            Node::Uuid(uuid) => Shape::Uuid(uuid.0, uuid.1),
            Node::IpInt(ip, int) => Shape::Ip(*ip, Cow::Owned(plain::ip_text(*ip, **int))),
            Node::IpText(ip, text) => Shape::Ip(*ip, Cow::Borrowed(text)),
            Node::Path(path, _) => Shape::Path(*path),
            Node::StructTime(..) => Shape::StructTime,
            Node::Array(code, _) => Shape::Array(*code),
            Node::Stub(stub) => Shape::Stub { name: &stub.name, args: stub.args, state: stub.state },
        })
    }

    fn parts(&self, id: &NodeId) -> Result<Self::Cursor, Failure<Infallible>> {
        let items = match self.node(*id) {
            Node::Tuple(items) | Node::Path(_, items) => items.to_vec(),
            Node::List(items) | Node::Deque(items, _) => items.clone(),
            Node::Set(items) => distinct(self, items),
            Node::FrozenSet(items) => distinct(self, items),
            Node::Dict(_, held) => entries(self, held).into_iter().flat_map(|(key, value)| [key, value]).collect(),
            Node::Stub(stub) => stub.items.clone(),
            Node::Array(_, items) => return self.parts(items),
            Node::StructTime(fields, extra) => {
                let mut parts: Vec<_> = self.parts(fields)?.collect();
                if parts.len() == 9
                    && let Some(extra) = extra
                    && let Node::Dict(_, held) = self.node(*extra)
                {
                    for name in ["tm_zone", "tm_gmtoff"] {
                        let found = entries(self, held)
                            .into_iter()
                            .find(|(key, _)| matches!(self.node(*key), Node::Text(text) if text == name));
                        parts.extend(found.map(|(_, value)| value));
                    }
                }
                parts
            }
            _ => Vec::new(),
        };
        Ok(items.into_iter())
    }

    fn walk(&self, values: Vec<NodeId>) -> Self::Cursor {
        values.into_iter()
    }

    fn next(&self, cursor: &mut Self::Cursor) -> Option<NodeId> {
        cursor.next()
    }

    fn identity(&self, id: &NodeId) -> usize {
        id.0 as usize
    }

    fn equivalent(&self, _: &NodeId) -> Result<Option<NodeId>, Failure<Infallible>> {
        Ok(None)
    }
}
