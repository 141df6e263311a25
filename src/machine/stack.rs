//! The stack: what stands on it, in two words each, and the marks.

use crate::error::{Error, ErrorKind, reserve};
use crate::sink::Keys;

use super::memo::NOWHERE;

/// What stands on the stack. A global is not a value, and neither is what is not complete yet.
#[derive(Clone)]
pub enum Slot<V> {
    /// A value, and how deep containers are nested in it.
    Value(V, u16),
    /// A list, dict or set that was just begun: how deep it is so far, and its index in the memo.
    Open(V, u16, u32),
    /// A value out of the memo that may be in a container already, how deep it is at least, and its index.
    Shared(V, u16, u32),
    /// An entry of `Machine::globals`.
    Global(u32),
    /// An entry of `Machine::pending`.
    Pending(u32),
}

impl<V> Slot<V> {
    /// The slot once it is in a container, or is an argument.
    #[inline(always)]
    pub(super) fn unshared(self) -> Self {
        match self {
            Self::Open(value, depth, _) | Self::Shared(value, depth, _) => Self::Value(value, depth),
            slot => slot,
        }
    }

    #[inline(always)]
    pub(super) fn into_value(self) -> V {
        match self {
            Self::Value(value, _) | Self::Open(value, ..) | Self::Shared(value, ..) => value,
            // Only called on slots that `Machine::settle_from` has just made values of.
            Self::Global(_) | Self::Pending(_) => unreachable!("a slot was not settled"),
        }
    }
}

/// What a slot is, without its value: depth, kind, and a place in the memo or the number of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Meta(u64);

impl Meta {
    const LEAF: Self = Self(Self::PLAIN);
    const OPEN: u64 = 1 << 16;
    const SHARED: u64 = 1 << 17;
    const GLOBAL: u64 = 1 << 18;
    const PENDING: u64 = 1 << 19;
    /// A value without containers.
    const PLAIN: u64 = 1 << 20;

    #[inline(always)]
    fn value(depth: u16) -> Self {
        Self(if depth == 0 { Self::PLAIN } else { depth.into() })
    }

    #[inline(always)]
    fn numbered(kind: u64, depth: u16, number: u32) -> Self {
        Self((number as u64) << 32 | kind | depth as u64)
    }
    #[inline(always)]
    fn has(self, kinds: u64) -> bool {
        self.0 & kinds != 0
    }
    #[inline(always)]
    fn depth(self) -> u16 {
        self.0 as u16
    }
    #[inline(always)]
    fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// The kinds of what is pushed as the memo has it.
#[derive(Clone, Copy)]
pub(super) struct Again(u64);

impl Again {
    /// Values without containers, and globals.
    pub(super) const PLAIN: Self = Self(Meta::PLAIN | Meta::GLOBAL);
    /// What was fetched before, too.
    pub(super) const ALL: Self = Self(Meta::SHARED | Self::PLAIN.0);
}

/// A slot in two words that are written and read as such.
struct Item<V> {
    /// None for a global and for what is pending.
    value: Option<V>,
    meta: Meta,
}

impl<V> Item<V> {
    #[inline(always)]
    fn of(slot: Slot<V>) -> Self {
        let (value, meta) = match slot {
            Slot::Value(value, depth) => (Some(value), Meta::value(depth)),
            Slot::Open(value, depth, place) => (Some(value), Meta::numbered(Meta::OPEN, depth, place)),
            Slot::Shared(value, depth, place) => (Some(value), Meta::numbered(Meta::SHARED, depth, place)),
            Slot::Global(number) => (None, Meta::numbered(Meta::GLOBAL, 0, number)),
            Slot::Pending(number) => (None, Meta::numbered(Meta::PENDING, 0, number)),
        };
        Self { value, meta }
    }

    #[inline(always)]
    fn slot(self) -> Slot<V> {
        let (depth, number) = (self.meta.depth(), self.meta.number());
        match self.value {
            Some(value) if self.meta.has(Meta::OPEN) => Slot::Open(value, depth, number),
            Some(value) if self.meta.has(Meta::SHARED) => Slot::Shared(value, depth, number),
            Some(value) => Slot::Value(value, depth),
            None if self.meta.has(Meta::GLOBAL) => Slot::Global(number),
            None => Slot::Pending(number),
        }
    }

    #[inline(always)]
    fn seen(&self) -> Seen<'_, V> {
        let (depth, number) = (self.meta.depth(), self.meta.number());
        match &self.value {
            Some(value) if self.meta.has(Meta::OPEN) => Seen::Open(value, depth, number),
            Some(_) if self.meta.has(Meta::SHARED) => Seen::Shared(depth),
            Some(value) => Seen::Value(value, depth),
            None if self.meta.has(Meta::GLOBAL) => Seen::Global(number),
            None => Seen::Pending(number),
        }
    }

    /// Only asked of what is known to be a value.
    #[inline(always)]
    fn into_value(self) -> V {
        match self.value {
            Some(value) => value,
            None => unreachable!("a slot was not settled"),
        }
    }
}

/// A slot that stays where it is.
pub(super) enum Seen<'s, V> {
    Value(&'s V, u16),
    Open(&'s V, u16, u32),
    Shared(u16),
    Global(u32),
    Pending(u32),
}

/// Slots, of which the last is the top.
pub(super) struct Stack<V>(Vec<Item<V>>);

impl<V> Stack<V> {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Its memory, for at most so many slots, for values of another type of the same size.
    #[inline]
    pub(super) fn emptied<W>(self, kept: usize) -> Stack<W> {
        let mut items = super::emptied(self.0);
        items.shrink_to(kept);
        Stack(items)
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn push_item(&mut self, item: Item<V>) -> Result<(), Error> {
        reserve(&mut self.0)?;
        self.0.push(item);
        Ok(())
    }

    /// Pushes a value without containers.
    #[inline(always)]
    pub(super) fn push_leaf(&mut self, value: V) -> Result<(), Error> {
        self.push_item(Item { value: Some(value), meta: Meta::LEAF })
    }

    #[inline(always)]
    pub(super) fn push(&mut self, slot: Slot<V>) -> Result<(), Error> {
        self.push_item(Item::of(slot))
    }

    /// Pushes leaves.
    pub(super) fn extend(&mut self, values: impl IntoIterator<Item = V>) -> Result<(), Error> {
        values.into_iter().try_for_each(|value| self.push_leaf(value))
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<Slot<V>> {
        self.0.pop().map(Item::slot)
    }

    /// Takes the top, which is known to be a value.
    #[inline(always)]
    pub(super) fn pop_value(&mut self) -> Option<V> {
        self.0.pop().map(Item::into_value)
    }

    #[inline(always)]
    pub(super) fn truncate(&mut self, count: usize) {
        self.0.truncate(count);
    }

    #[inline(always)]
    pub(super) fn get(&self, index: usize) -> Option<Seen<'_, V>> {
        self.0.get(index).map(Item::seen)
    }

    /// The number of the global on top, if there is one.
    #[inline(always)]
    pub(super) fn top_global(&self) -> Option<u32> {
        match self.0.last() {
            Some(item) if item.meta.has(Meta::GLOBAL) => Some(item.meta.number()),
            _ => None,
        }
    }

    /// The container on top that was just begun, if there is one.
    #[inline(always)]
    pub(super) fn top_open(&self) -> Option<&V> {
        match self.0.last() {
            Some(Item { value: Some(value), meta }) if meta.has(Meta::OPEN) => Some(value),
            _ => None,
        }
    }

    /// Puts a value without containers in the place of the top.
    #[inline(always)]
    pub(super) fn replace_top(&mut self, value: V) {
        if let Some(top) = self.0.last_mut() {
            *top = Item { value: Some(value), meta: Meta::LEAF };
        }
    }

    #[inline(always)]
    pub(super) fn set(&mut self, index: usize, slot: Slot<V>) {
        if let Some(item) = self.0.get_mut(index) {
            *item = Item::of(slot);
        }
    }

    /// What is at `index` is at least so deep from now on.
    #[inline(always)]
    pub(super) fn deepen(&mut self, index: usize, depth: u16) {
        if let Some(item) = self.0.get_mut(index)
            && depth > item.meta.depth()
        {
            item.meta.0 = item.meta.0 & !(u64::from(u16::MAX) | Meta::PLAIN) | u64::from(depth);
        }
    }

    pub(super) fn insert(&mut self, index: usize, slot: Slot<V>) -> Result<(), Error> {
        reserve(&mut self.0)?;
        self.0.insert(index, Item::of(slot));
        Ok(())
    }

    pub(super) fn remove(&mut self, index: usize) -> Slot<V> {
        self.0.remove(index).slot()
    }

    /// The slots from `start` on.
    pub(super) fn from(&self, start: usize) -> impl Iterator<Item = Seen<'_, V>> {
        self.0.get(start..).unwrap_or_default().iter().map(Item::seen)
    }

    /// Takes the slots from `start` on.
    pub(super) fn drain(&mut self, start: usize) -> impl ExactSizeIterator<Item = Slot<V>> {
        self.0.drain(start..).map(Item::slot)
    }

    /// Takes what is from `start` on, all of which is known to be values.
    #[inline(always)]
    pub(super) fn values(&mut self, start: usize) -> impl ExactSizeIterator<Item = V> {
        self.0.drain(start..).map(Item::into_value)
    }

    /// Every second slot from `start` on.
    #[inline(always)]
    pub(super) fn keys(&self, start: usize) -> KeysOf<'_, V> {
        KeysOf(self.0[start..].as_chunks().0)
    }

    /// The greatest depth of the slots from `start` on, if all of them are values.
    #[inline(always)]
    pub(super) fn plain_depth(&self, start: usize) -> Option<u16> {
        plain_depth(self.0[start..].iter())
    }

    /// The same, if every second slot from `start` on is a leaf of which `is_text` holds.
    #[inline(always)]
    pub(super) fn plain_pairs_depth(&self, start: usize, is_text: impl Fn(&V) -> bool) -> Option<u16> {
        let pairs = self.0[start..].as_chunks::<2>().0;
        let plain = |key: &Item<V>| key.meta == Meta::LEAF && key.value.as_ref().is_some_and(&is_text);
        if pairs.iter().all(|[key, _]| plain(key)) { plain_depth(pairs.iter().map(|[_, value]| value)) } else { None }
    }

    /// The same of the two on top.
    #[inline(always)]
    pub(super) fn plain_pair_depth(&self, is_text: impl Fn(&V) -> bool) -> Option<u16> {
        match self.0.last_chunk() {
            Some([Item { value: Some(key), meta: Meta::LEAF }, Item { value: Some(_), meta }]) if is_text(key) => {
                Some(meta.depth())
            }
            _ => None,
        }
    }

    /// Takes the note off the slots from `start` on that they were open or shared. The first one that is no
    /// value, if there is one, and the greatest depth of those before it.
    pub(super) fn close(&mut self, start: usize) -> (Option<usize>, u16) {
        let mut depth = 0;
        for (index, item) in self.0.iter_mut().enumerate().skip(start) {
            if item.value.is_none() {
                return (Some(index), depth);
            }
            depth = depth.max(item.meta.depth());
            item.meta = Meta::value(item.meta.depth());
        }
        (None, depth)
    }
}

impl<V: Clone> Stack<V> {
    /// Copies the top into `kept`, the memo's entries. A container that was just begun takes note of its place
    /// there; one that has a place already keeps it, and that is what is given back.
    #[inline(always)]
    pub(super) fn keep_top(&mut self, kept: &mut Self) -> Result<Option<u32>, Error> {
        let Some(top) = self.0.last_mut() else {
            return Err(ErrorKind::StackUnderflow.into());
        };
        let (value, mut meta) = (top.value.clone(), top.meta);
        if meta.has(Meta::OPEN | Meta::SHARED) {
            if meta.number() != NOWHERE {
                return Ok(Some(meta.number()));
            }
            let open = meta.0 & Meta::OPEN;
            meta = Meta(open | u64::from(meta.depth()));
            if open != 0 {
                top.meta = Meta::numbered(open, meta.depth(), kept.len() as u32);
            }
        }
        kept.push_item(Item { value, meta })?;
        Ok(None)
    }

    /// Pushes what `kept`, the memo's entries, has at `number`, if it is of these kinds. False: it is of none.
    #[inline(always)]
    pub(super) fn push_again(&mut self, kept: &Self, number: usize, kinds: Again) -> Result<bool, Error> {
        match kept.0.get(number) {
            Some(item) if item.meta.has(kinds.0) => {
                self.push_item(Item { value: item.value.clone(), meta: item.meta })?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The slot at `index`, once more.
    pub(super) fn copy(&self, index: usize) -> Option<Slot<V>> {
        let item = self.0.get(index)?;
        Some(Item { value: item.value.clone(), meta: item.meta }.slot())
    }

    /// The slots from `start` on, once more.
    pub(super) fn copies(&self, start: usize) -> Vec<Slot<V>> {
        (start..self.len()).filter_map(|index| self.copy(index)).collect()
    }
}

#[inline(always)]
fn plain_depth<'s, V: 's>(items: impl Iterator<Item = &'s Item<V>> + Clone) -> Option<u16> {
    // Most are leaves, or hold no more than leaves, which one look at all of them together tells.
    let all = items.clone().fold(0, |all, item| all | item.meta.0);
    if all & (Meta::GLOBAL | Meta::PENDING) != 0 {
        None
    } else if all as u16 <= 1 {
        Some(all as u16)
    } else {
        items.map(|item| item.meta.depth()).max()
    }
}

/// The keys of pairs.
pub(super) struct KeysOf<'s, V>(&'s [[Item<V>; 2]]);

impl<V> Keys<V> for KeysOf<'_, V> {
    #[inline(always)]
    fn iter<'s>(&'s self) -> impl DoubleEndedIterator<Item = Option<&'s V>> + ExactSizeIterator
    where
        V: 's,
    {
        self.0.iter().map(|[key, _]| key.value.as_ref())
    }
}

/// Where the items above a mark start, and whether the container right below them is a dict.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    pub(super) start: usize,
    pub(super) dict: bool,
}

/// The marks, of which the topmost is at hand.
#[derive(Default)]
pub(super) struct Marks {
    top: Mark,
    /// Those below it, and one of nothing at the bottom: as many as there are marks.
    below: Vec<Mark>,
}

impl Marks {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { top: Mark::default(), below: Vec::with_capacity(count) }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, mark: Mark) -> Result<(), Error> {
        reserve(&mut self.below)?;
        self.below.push(std::mem::replace(&mut self.top, mark));
        Ok(())
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) -> Result<usize, Error> {
        match self.below.pop() {
            Some(below) => Ok(std::mem::replace(&mut self.top, below).start),
            None => Err(ErrorKind::NoMark.into()),
        }
    }

    /// The topmost mark, or one at the bottom of the stack.
    #[inline(always)]
    pub(super) fn top(&self) -> Mark {
        self.top
    }

    /// The one below it, or one at the bottom of the stack.
    #[inline(always)]
    pub(super) fn below(&self) -> Mark {
        self.below.last().copied().unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.below.is_empty()
    }

    /// Without marks, and with room for at most so many.
    pub(super) fn cleared(mut self, kept: usize) -> Self {
        self.below.clear();
        self.below.shrink_to(kept);
        Self { top: Mark::default(), below: self.below }
    }
}
