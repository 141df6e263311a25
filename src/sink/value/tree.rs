//! How the nodes of a value sink are looked at.

use std::borrow::Cow;
use std::convert::Infallible;

use crate::error::{ErrorKind, Failure};
use crate::plain;
use crate::sink::Sink;
use crate::tree::{DECIMAL_BITS, DictKind, Keys, Leaf, Shape, Tree, split_pair};

use super::{Known, Node, NodeId, ValueSink, entries, kind, members};

/// A walk over the parts of a value.
pub enum Cursor {
    /// The items of a container, from this one on.
    Of(NodeId, usize),
    /// What was put together for the walk, from this one on.
    Own(Vec<NodeId>, usize),
}

impl Cursor {
    #[inline]
    fn pass(&mut self, count: usize) {
        let (Self::Of(_, place) | Self::Own(_, place)) = self;
        *place += count;
    }
}

impl Tree for ValueSink<'_> {
    type Value = NodeId;
    type Cursor = Cursor;
    type Error = Infallible;

    #[inline]
    fn leaf<'v>(&'v self, id: &'v NodeId) -> Option<Leaf<'v>> {
        Some(match id.kind() {
            // What is ASCII need not be looked through again.
            kind::ASCII => Leaf::Latin1(self.input_of(*id)),
            kind::INT => Leaf::Int(id.int()),
            _ => match self.node(*id) {
                Node::Text(text) => Leaf::Text(text),
                Node::Int(value) => Leaf::Int(value),
                Node::None => Leaf::None,
                Node::Bool(value) => Leaf::Bool(value),
                Node::Float(value) => Leaf::Float(value),
                _ => return None,
            },
        })
    }

    fn shape<'v>(&'v self, id: &'v NodeId) -> Result<Shape<'v, NodeId>, Failure<Infallible>> {
        Ok(match self.node(*id) {
            Node::None => Shape::Leaf(Leaf::None),
            Node::Bool(value) => Shape::Leaf(Leaf::Bool(value)),
            Node::Int(value) => Shape::Leaf(Leaf::Int(value)),
            Node::BigInt(value) => Shape::BigInt(Cow::Owned(match value.bits() {
                bits if bits > DECIMAL_BITS => format!("{value:#x}"),
                _ => value.to_string(),
            })),
            Node::Float(value) => Shape::Leaf(Leaf::Float(value)),
            Node::Text(text) => Shape::Leaf(Leaf::Text(text)),
            Node::Surrogates(raw) => Shape::Surrogates(Cow::Borrowed(raw)),
            Node::Bytes(raw) => Shape::Bytes(Cow::Borrowed(raw)),
            Node::ByteArray(raw) => Shape::ByteArray(Cow::Borrowed(raw)),
            Node::Tuple(_) => Shape::Tuple,
            Node::FrozenSet(_) => Shape::FrozenSet,
            Node::List(_) => Shape::List,
            Node::Set(_) => Shape::Set,
            Node::Deque(_, bound) => Shape::Deque(bound),
            Node::Dict(DictKind::Namespace, _) => Shape::Namespace,
            Node::Dict(kind, _) => Shape::Dict(kind),
            Node::Stub(stub) => Shape::Stub { name: &stub.name, args: stub.args, state: stub.state },
            Node::Decimal(..) => Shape::Decimal,
            Node::Known(known) => self.known_shape(known),
        })
    }

    fn parts(&self, id: &NodeId) -> Result<Self::Cursor, Failure<Infallible>> {
        let changed = match self.node(*id) {
            Node::Set(items) => members(self, items),
            Node::Dict(_, held) => entries(self, held),
            Node::Deque(items, _) => Some(items.to_vec()),
            Node::Stub(stub) => Some(stub.items.clone()),
            Node::Known(Known::Path(_, parts)) => Some(parts.to_vec()),
            Node::Known(Known::Array(_, items)) => return self.parts(items),
            Node::Known(Known::StructTime(fields, extra)) => Some(self.time_fields(*fields, *extra)),
            _ => None,
        };
        Ok(match changed {
            Some(parts) => Cursor::Own(parts, 0),
            None => Cursor::Of(self.filled(*id), 0),
        })
    }

    fn walk(&self, values: Vec<NodeId>) -> Self::Cursor {
        Cursor::Own(values, 0)
    }

    fn keys(&self, cursor: &Self::Cursor) -> Result<Keys, Failure<Infallible>> {
        let text = |key: NodeId| match self.utf8_of(key) {
            None => match self.node(key) {
                Node::Surrogates(raw) if split_pair(raw).is_none() => Some(raw),
                _ => None,
            },
            text => text,
        };
        Ok(match self.rest(cursor) {
            [key, _] if text(*key).is_some_and(|key| key.starts_with(b" ")) => Keys::Tag,
            entries if entries.iter().step_by(2).all(|key| text(*key).is_some()) => Keys::Text,
            _ => Keys::Other,
        })
    }

    #[inline]
    fn next(&self, cursor: &mut Self::Cursor) -> Result<Option<NodeId>, Failure<Infallible>> {
        let next = self.rest(cursor).first().copied();
        cursor.pass(1);
        Ok(next)
    }

    #[inline]
    fn pair(&self, cursor: &mut Self::Cursor) -> Result<Option<[NodeId; 2]>, Failure<Infallible>> {
        let pair = self.rest(cursor).first_chunk().copied();
        cursor.pass(2);
        Ok(pair)
    }

    fn decimal<R>(&self, id: &NodeId, take: impl FnOnce(&[u8]) -> R) -> Result<R, Failure<Infallible>> {
        match self.node(*id) {
            Node::Decimal(text, _) => Ok(take(text.as_bytes())),
            _ => Err(ErrorKind::Internal("no Decimal".into()).into()),
        }
    }

    fn identity(&self, id: &NodeId) -> usize {
        Sink::identity(self, id)
    }

    fn equivalent(&self, _: &NodeId) -> Result<Option<NodeId>, Failure<Infallible>> {
        Ok(None)
    }
}

impl ValueSink<'_> {
    /// What is left of a walk.
    #[inline]
    fn rest<'c>(&'c self, cursor: &'c Cursor) -> &'c [NodeId] {
        let (parts, place) = match cursor {
            Cursor::Of(container, place) => (self.held(*container), place),
            Cursor::Own(parts, place) => (parts.as_slice(), place),
        };
        parts.get(*place..).unwrap_or_default()
    }

    fn known_shape<'v>(&'v self, known: &'v Known) -> Shape<'v, NodeId> {
        let some = |id: NodeId| (id != NodeId::NONE).then_some(id);
        match known {
            Known::Complex(real, imaginary) => Shape::Complex(*real, *imaginary),
            Known::Range(bounds) => Shape::Range(*bounds),
            Known::Fraction(numerator, denominator) => Shape::Fraction(*numerator, *denominator),
            Known::Date(day) => Shape::Date(*day),
            Known::Time(clock, zone) => Shape::Time(*clock, some(*zone)),
            Known::DateTime(day, clock, zone) => Shape::DateTime(*day, *clock, some(*zone)),
            Known::TimeDelta { days, seconds, microseconds } => {
                Shape::TimeDelta { days: *days, seconds: *seconds, microseconds: *microseconds }
            }
            Known::Timezone(offset, name) => Shape::Timezone(*offset, some(*name)),
            Known::ZoneInfo(key) => Shape::ZoneInfo(Cow::Borrowed(key)),
            Known::Uuid(uuid) => Shape::Uuid(uuid.0, uuid.1),
            Known::IpInt(ip, int) => Shape::Ip(*ip, Cow::Owned(plain::ip_text(*ip, **int))),
            Known::IpText(ip, text) => Shape::Ip(*ip, Cow::Borrowed(self.text_of(*text))),
            Known::Path(path, _) => Shape::Path(*path),
            Known::StructTime(..) => Shape::StructTime,
            Known::Array(code, _) => Shape::Array(*code),
        }
    }

    /// The fields of a struct_time, its zone among them.
    fn time_fields(&self, fields: NodeId, extra: NodeId) -> Vec<NodeId> {
        let mut parts = self.items(&fields);
        if parts.len() == 9 {
            parts.extend(["tm_zone", "tm_gmtoff"].into_iter().filter_map(|name| self.get(&extra, name)));
        }
        parts
    }
}
