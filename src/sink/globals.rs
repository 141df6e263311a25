//! The globals sink: what `inspect` runs on. It keeps the values that checks need, and records every
//! global, allowed or not.

use std::borrow::Cow;
use std::convert::Infallible;

use crate::machine::Scratch;
use crate::report::Report;
use crate::sink::value::{NodeId, ValueSink};
use crate::sink::{Factory, How, KnownValue, Made, Sink, SmallDecimal, View};

/// A value sink that records what the pickle names, and goes on where the policy would refuse.
#[derive(Debug, Default)]
pub struct GlobalsSink<'a> {
    values: ValueSink<'a>,
    report: Report,
}

impl GlobalsSink<'_> {
    /// What was recorded.
    pub fn finish(self) -> Report {
        self.report
    }
}

type Id = Made<NodeId, Infallible>;

macro_rules! delegate {
    ($($method:ident($($argument:ident: $type:ty),*) -> $made:ty;)*) => {
        $(#[inline(always)] fn $method(&mut self, $($argument: $type),*) -> $made {
            self.values.$method($($argument),*)
        })*
    };
}

impl<'a> Sink<'a> for GlobalsSink<'a> {
    type Value = NodeId;
    type Error = Infallible;
    const LATE: bool = true;

    fn begin(&mut self, input: &'a [u8]) {
        self.values.begin(input);
    }
    fn lend(&mut self) -> Scratch {
        self.values.lend()
    }
    fn give_back(&mut self, scratch: Scratch) {
        self.values.give_back(scratch);
    }
    #[inline(always)]
    fn opcode(&mut self, byte: u8) {
        self.report.count_opcode(byte);
    }
    fn global(&mut self, module: &str, name: &str, offset: usize, allowed: bool) -> bool {
        self.report.count_global(module, name, offset, allowed);
        true
    }
    delegate! {
        none() -> Id;
        bool(value: bool) -> Id;
        int(value: i64) -> Id;
        big_int(bytes: &[u8]) -> Id;
        int_text(digits: &str) -> Id;
        float(value: f64) -> Id;
        text(text: Cow<'a, str>) -> Id;
        text_surrogates(text: Cow<'a, [u8]>) -> Id;
        utf8(raw: &'a [u8]) -> Id;
        text_coded(raw: Cow<'a, [u8]>, encoding: &str, errors: &str) -> Id;
        bytes(bytes: Cow<'a, [u8]>) -> Id;
        bytearray(bytes: Cow<'a, [u8]>) -> Id;
        latin1(text: &NodeId) -> Made<Option<NodeId>, Infallible>;
        set() -> Id;
        dict() -> Id;
        known(value: KnownValue<'_, NodeId>) -> Id;
        decimal(text: &'a [u8], number: SmallDecimal) -> Id;
        clear(target: &NodeId) -> Made<(), Infallible>;
        build(target: &NodeId, state: &NodeId) -> Made<(), Infallible>;
        hash(key: &NodeId) -> Made<Option<i64>, Infallible>;
        stub(name: &str, args: Option<&NodeId>) -> Id;
        builtin(factory: Factory) -> Id;
        construct(index: u32, how: How, args: &NodeId, kwargs: Option<&NodeId>) -> Id;
        native(index: u32, args: &[NodeId]) -> Id;
        persistent(id: &NodeId) -> Id;
        buffer() -> Id;
        readonly(buffer: &NodeId) -> Id;
    }

    #[inline]
    fn tuple<I: ExactSizeIterator<Item = NodeId>>(&mut self, items: I) -> Id {
        self.values.tuple(items)
    }
    #[inline]
    fn list<I: ExactSizeIterator<Item = NodeId>>(&mut self, items: I) -> Id {
        self.values.list(items)
    }
    #[inline]
    fn frozenset<I: ExactSizeIterator<Item = NodeId>>(&mut self, items: I) -> Id {
        self.values.frozenset(items)
    }
    #[inline]
    fn extend<I: ExactSizeIterator<Item = NodeId>>(&mut self, target: &NodeId, items: I) -> Made<(), Infallible> {
        self.values.extend(target, items)
    }
    #[inline]
    fn insert<I: ExactSizeIterator<Item = NodeId>>(&mut self, target: &NodeId, items: I) -> Made<(), Infallible> {
        self.values.insert(target, items)
    }
    #[inline]
    fn is_dict(&self, value: &NodeId) -> bool {
        self.values.is_dict(value)
    }
    #[inline]
    fn is_empty_dict(&self, dict: &NodeId) -> bool {
        self.values.is_empty_dict(dict)
    }
    #[inline]
    fn is_list(&self, value: &NodeId) -> bool {
        self.values.is_list(value)
    }
    #[inline]
    fn add<I: ExactSizeIterator<Item = NodeId>>(&mut self, target: &NodeId, items: I) -> Made<(), Infallible> {
        self.values.add(target, items)
    }
    #[inline]
    fn view<'v>(&'v self, value: &'v NodeId) -> View<'v> {
        self.values.view(value)
    }
    #[inline]
    fn is_text(&self, value: &NodeId) -> bool {
        self.values.is_text(value)
    }
    fn wtf8(&self, value: &NodeId) -> Option<Vec<u8>> {
        self.values.wtf8(value)
    }
    #[inline]
    fn len(&self, container: &NodeId) -> usize {
        self.values.len(container)
    }
    #[inline]
    fn item(&self, tuple: &NodeId, index: usize) -> Option<NodeId> {
        self.values.item(tuple, index)
    }
    fn items(&self, container: &NodeId) -> Vec<NodeId> {
        self.values.items(container)
    }
    fn get(&self, dict: &NodeId, key: &str) -> Option<NodeId> {
        self.values.get(dict, key)
    }
    fn entries(&self, dict: &NodeId) -> Vec<NodeId> {
        self.values.entries(dict)
    }
    fn u128(&self, value: &NodeId) -> Option<u128> {
        self.values.u128(value)
    }
    #[inline]
    fn identity(&self, value: &NodeId) -> usize {
        self.values.identity(value)
    }
}
