//! How the nodes of a value sink are looked at.

use std::borrow::Cow;
use std::convert::Infallible;

use crate::error::{ErrorKind, Failure};
use crate::plain;
use crate::tree::{DECIMAL_BITS, DictKind, Keys, Leaf, Shape, Tree, split_pair};

use super::{Node, NodeId, ValueSink, distinct, entries};

impl Tree for ValueSink<'_> {
    type Value = NodeId;
    type Cursor = std::vec::IntoIter<NodeId>;
    type Error = Infallible;

    #[inline]
    fn leaf<'v>(&'v self, id: &'v NodeId) -> Option<Leaf<'v>> {
        Some(match self.node(*id) {
            Node::Text(text) => Leaf::Text(text),
            Node::Int(value) => Leaf::Int(*value),
            Node::None => Leaf::None,
            Node::Bool(value) => Leaf::Bool(*value),
            Node::Float(value) => Leaf::Float(*value),
            _ => return None,
        })
    }

    fn shape<'v>(&'v self, id: &'v NodeId) -> Result<Shape<'v, NodeId>, Failure<Infallible>> {
        Ok(match self.node(*id) {
            Node::None => Shape::Leaf(Leaf::None),
            Node::Bool(value) => Shape::Leaf(Leaf::Bool(*value)),
            Node::Int(value) => Shape::Leaf(Leaf::Int(*value)),
            Node::Float(value) => Shape::Leaf(Leaf::Float(*value)),
            Node::Text(text) => Shape::Leaf(Leaf::Text(text)),
            Node::BigInt(value) => Shape::BigInt(Cow::Owned(match value.bits() {
                bits if bits > DECIMAL_BITS => format!("{:#x}", value.as_ref()),
                _ => value.to_string(),
            })),
            Node::Surrogates(raw) => Shape::Surrogates(Cow::Borrowed(raw)),
            Node::Bytes(raw) => Shape::Bytes(Cow::Borrowed(raw)),
            Node::ByteArray(raw) => Shape::ByteArray(Cow::Borrowed(raw)),
            Node::Tuple(_) => Shape::Tuple,
            Node::FrozenSet(_) => Shape::FrozenSet,
            Node::List(_) => Shape::List,
            Node::Set(_) => Shape::Set,
            Node::Deque(_, bound) => Shape::Deque(bound.as_deref().copied()),
            Node::Dict(DictKind::Namespace, _) => Shape::Namespace,
            Node::Dict(kind, _) => Shape::Dict(*kind),
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
            Node::Decimal(_) => Shape::Decimal,
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

    fn keys(&self, cursor: &Self::Cursor) -> Result<Keys, Failure<Infallible>> {
        let text = |key: NodeId| match self.node(key) {
            Node::Text(text) => Some(text.as_bytes()),
            Node::Surrogates(raw) if split_pair(raw).is_none() => Some(raw.as_ref()),
            _ => None,
        };
        Ok(match cursor.as_slice() {
            [key, _] if text(*key).is_some_and(|key| key.starts_with(b" ")) => Keys::Tag,
            entries if entries.iter().step_by(2).all(|key| text(*key).is_some()) => Keys::Text,
            _ => Keys::Other,
        })
    }

    #[inline]
    fn next(&self, cursor: &mut Self::Cursor) -> Result<Option<NodeId>, Failure<Infallible>> {
        Ok(cursor.next())
    }

    fn decimal<R>(&self, id: &NodeId, take: impl FnOnce(&[u8]) -> R) -> Result<R, Failure<Infallible>> {
        match self.node(*id) {
            Node::Decimal(text) => Ok(take(text.as_bytes())),
            _ => Err(ErrorKind::Internal("no Decimal".into()).into()),
        }
    }

    fn identity(&self, id: &NodeId) -> usize {
        id.0 as usize
    }

    fn equivalent(&self, _: &NodeId) -> Result<Option<NodeId>, Failure<Infallible>> {
        Ok(None)
    }
}
