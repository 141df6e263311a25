//! The memo: what PUT and MEMOIZE store and GET fetches, and what of it outlives one pickle of a stream.

use std::borrow::Cow;

use crate::error::{ErrorKind, reserve, reserve_for};
use crate::limits::{self, Limit};
use crate::opcode::op;
use crate::reader::Reader;
use crate::sink::{Sink, View};

use super::stack::Again;
use super::{Global, Machine, SHALLOW, Seen, Slot, Step, cost};

/// The place of a container that nothing memoized.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Text up to this size is made again when it is fetched for the first time.
const LATE_BYTES: usize = 256;

/// What the memo has under an index, in one word: most of it is never fetched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Index(u64);

impl Index {
    pub(super) const EMPTY: Self = Self(0);
    const KIND: u64 = 7;
    /// Short text, the bytes of a moment, a key, a tuple of such a leaf, or the state of a UUID, that nothing
    /// has fetched yet: the offset of the leaf's opcode.
    const LEAF: u64 = 1;
    const KEY: u64 = 2;
    const TUPLE: u64 = 3;
    const STATE: u64 = 4;
    /// An entry of `Machine::kept`.
    const KEPT: u64 = 5;
    /// The bytes that such a text stands for in latin1, and their tuple.
    const ENCODED: u64 = 6;
    const ENCODED_TUPLE: u64 = 7;

    fn new(kind: u64, number: usize) -> Self {
        Self((number as u64) << 3 | kind)
    }

    pub(super) fn leaf(offset: usize) -> Self {
        Self::new(Self::LEAF, offset)
    }

    pub(super) fn key(offset: usize) -> Self {
        Self::new(Self::KEY, offset)
    }

    pub(super) fn tuple(offset: usize) -> Self {
        Self::new(Self::TUPLE, offset)
    }

    pub(super) fn encoded(offset: usize) -> Self {
        Self::new(Self::ENCODED, offset)
    }

    pub(super) fn encoded_tuple(offset: usize) -> Self {
        Self::new(Self::ENCODED_TUPLE, offset)
    }

    /// Whether an entry has room for it beside a value.
    pub(super) fn is_pairable(self) -> bool {
        self.number() < NOWHERE as usize
    }

    pub(super) fn state(offset: usize) -> Self {
        Self::new(Self::STATE, offset)
    }

    fn number(self) -> usize {
        (self.0 >> 3) as usize
    }
}

/// An entry of the memo that is a value already, or is to become one.
pub(super) enum Entry<V> {
    /// A value, and how deep containers are nested in it.
    Value(V, u16),
    /// A container that was on the stack when it was memoized: how deep it is by now, and whether
    /// something fetched it.
    Open(V, u16, bool),
    /// An entry of `Machine::globals`.
    Global(u32),
    /// An entry of `Machine::pending`.
    Pending(u32),
    /// A tuple that was only an argument: what stands for its first item, and its second.
    Pair(Index, V),
}

impl<V> Entry<V> {
    /// The entry of this number, in the two words of a slot. What was fetched is the slot that is pushed when it is
    /// fetched again; an open one with a place is a pair.
    #[inline(always)]
    fn packed(self, number: usize) -> Slot<V> {
        match self {
            Self::Value(value, depth) => Slot::Value(value, depth),
            Self::Open(value, depth, false) => Slot::Open(value, depth, 0),
            Self::Open(value, depth, true) => Slot::Shared(value, depth, number as u32),
            Self::Global(global) => Slot::Global(global),
            Self::Pending(pending) => Slot::Pending(pending),
            Self::Pair(first, second) => Slot::Open(second, (first.0 & Index::KIND) as u16, first.number() as u32 + 1),
        }
    }

    fn of(packed: Slot<V>) -> Self {
        match packed {
            Slot::Value(value, depth) => Self::Value(value, depth),
            Slot::Open(value, depth, 0) => Self::Open(value, depth, false),
            Slot::Shared(value, depth, _) => Self::Open(value, depth, true),
            Slot::Global(global) => Self::Global(global),
            Slot::Pending(pending) => Self::Pending(pending),
            Slot::Open(second, kind, place) => Self::Pair(Index::new(kind.into(), place as usize - 1), second),
        }
    }
}

/// An entry of the memo that outlives its pickle.
#[derive(Clone, Debug)]
pub enum Kept<V> {
    /// A value, how deep containers are nested in it, and how many levels of defaultdicts and deques.
    Value(V, u16, u16),
    /// A global that the policy allowed.
    Global(Global),
    /// Something that never became a value. It has an index all the same.
    Lost,
}

/// By how much containers of all pickles of a stream grew when others held them already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Growth {
    pub(super) depth: u16,
    pub(super) chains: u16,
}

/// The memo of the earlier pickles of a stream.
pub trait Earlier<V> {
    /// One more than the highest index.
    fn size(&self) -> usize;
    /// How many entries there are.
    fn count(&self) -> usize;
    /// The entry at an index.
    fn get(&self, index: usize) -> Option<Kept<V>>;
    /// Stores an entry. False: there is no memory for it.
    fn put(&mut self, index: usize, kept: Kept<V>) -> bool;
    /// The growth of the stream so far.
    fn growth(&mut self) -> &mut Growth;
}

impl<'a, S: Sink<'a>> Machine<'a, '_, S> {
    #[inline]
    pub(super) fn memoize(&mut self) -> Step<'a, S> {
        if self.holes > 0 {
            return self.put((self.base + self.memo.len() - self.holes) as u64);
        }
        self.underflow_below(1)?;
        let index = self.keep_top()?;
        self.push_indexes([index])
    }

    #[inline]
    pub(super) fn put(&mut self, index: u64) -> Step<'a, S> {
        if index.wrapping_sub(self.base as u64) != self.memo.len() as u64 {
            return self.put_at(index);
        }
        self.underflow_below(1)?;
        let index = self.keep_top()?;
        self.push_indexes([index])
    }

    /// Appends entries.
    #[inline(always)]
    pub(super) fn push_indexes<const N: usize>(&mut self, indexes: [Index; N]) -> Step<'a, S> {
        reserve_for(&mut self.memo, N)?;
        for index in indexes {
            self.memo.push(index);
        }
        Ok(())
    }

    /// PUT at an index that is not the next one.
    #[cold]
    fn put_at(&mut self, index: u64) -> Step<'a, S> {
        self.underflow_below(1)?;
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(own) = at.checked_sub(self.base) else {
            let kept = self.keep_top()?;
            let known = self.earlier.as_ref().is_some_and(|earlier| earlier.get(at).is_some());
            if self.replaced.insert(at, kept).is_none() && !known {
                self.holes -= 1;
            }
            return Ok(());
        };
        // Each honest entry takes a byte of input at least, so a higher index only asks for memory.
        limits::check(own as u64, self.reader.size() as u64, Limit::MemoIndex)?;
        if own >= self.memo.len() {
            let more = own + 1 - self.memo.len();
            self.memo.try_reserve(more).map_err(|_| ErrorKind::OutOfMemory)?;
            self.memo.resize(own + 1, Index::EMPTY);
            self.holes += more;
        }
        let kept = self.keep_top()?;
        if std::mem::replace(&mut self.memo[own], kept) == Index::EMPTY {
            self.holes -= 1;
        }
        Ok(())
    }

    /// Keeps a value without containers, and gives its index.
    #[inline(always)]
    pub(super) fn keep_value(&mut self, value: &S::Value) -> Step<'a, S, Index> {
        let number = self.kept.len();
        if number >= NOWHERE as usize {
            return Err(ErrorKind::Limit(Limit::MemoIndex).into());
        }
        self.kept.push_leaf(value.clone())?;
        Ok(Index::new(Index::KEPT, number))
    }

    /// Keeps an entry, and gives its index.
    #[inline(always)]
    pub(super) fn keep(&mut self, entry: Entry<S::Value>) -> Step<'a, S, Index> {
        let number = self.kept.len();
        if number >= NOWHERE as usize {
            return Err(ErrorKind::Limit(Limit::MemoIndex).into());
        }
        self.kept.push(entry.packed(number))?;
        Ok(Index::new(Index::KEPT, number))
    }

    /// Keeps the top of the stack. A container that was just begun takes note of its place.
    #[inline(always)]
    fn keep_top(&mut self) -> Step<'a, S, Index> {
        let number = self.kept.len();
        if number >= NOWHERE as usize {
            return Err(ErrorKind::Limit(Limit::MemoIndex).into());
        }
        let place = self.stack.keep_top(&mut self.kept)?;
        Ok(Index::new(Index::KEPT, place.map_or(number, |place| place as usize)))
    }

    /// The container on top of the stack is there twice from now on.
    pub(super) fn share_top(&mut self) -> Step<'a, S> {
        if self.stack.top_open().is_some() {
            let place = self.keep_top()?.number();
            self.set_fetched(place);
        }
        let slot = match self.stack.copy(self.stack.len().wrapping_sub(1)) {
            Some(Slot::Open(value, depth, place)) => {
                let depth = if S::OPAQUE { depth } else { self.fetch(&value, depth)? };
                Slot::Shared(value, depth, place)
            }
            Some(slot) => self.share(slot)?,
            None => return Err(ErrorKind::StackUnderflow.into()),
        };
        self.stack.push(slot)?;
        Ok(())
    }

    fn entry(&self, number: usize) -> Option<Entry<S::Value>> {
        self.kept.copy(number).map(Entry::of)
    }

    fn set_fetched(&mut self, number: usize) {
        if let Some(Entry::Open(value, depth, false)) = self.entry(number) {
            self.kept.set(number, Entry::Open(value, depth, true).packed(number));
        }
    }

    /// Notes that a container that was memoized has grown to `depth` levels.
    pub(super) fn grown_at(&mut self, place: u32, depth: u16) -> Step<'a, S> {
        let late = match self.kept.get(place as usize) {
            Some(Seen::Shared(known)) if !S::OPAQUE => depth.saturating_sub(known),
            _ => 0,
        };
        self.kept.deepen(place as usize, depth);
        if late > 0 { self.grown_late(late) } else { Ok(()) }
    }

    /// Notes that a container out of the memo has grown to `depth` levels: all of them may be new to
    /// what holds it.
    pub(super) fn grown_again(&mut self, place: u32, container: &S::Value, depth: u16) -> Step<'a, S> {
        // Of one level is what holds leaves alone.
        self.grown_late(if depth > SHALLOW { depth } else { 0 })?;
        match self.kept.get(place as usize) {
            Some(Seen::Open(..) | Seen::Shared(_)) => self.kept.deepen(place as usize, depth),
            _ if S::OPAQUE => {}
            _ => {
                self.again = Again::PLAIN;
                let known = self.depths.entry(self.sink.identity(container)).or_insert(depth);
                *known = depth.max(*known);
            }
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn get(&mut self, index: u64) -> Step<'a, S> {
        // Text and the like first.
        let own = usize::try_from(index).unwrap_or(usize::MAX).wrapping_sub(self.base);
        if let Some(found) = self.memo.get(own)
            && found.0 & Index::KIND == Index::KEPT
        {
            let number = found.number();
            if self.stack.push_again(&self.kept, number, self.again)? {
                return Ok(());
            }
            return self.get_kept(number);
        }
        self.get_other(index)
    }

    fn get_kept(&mut self, number: usize) -> Step<'a, S> {
        let slot = match self.entry(number) {
            Some(Entry::Open(value, depth, _)) => {
                self.set_fetched(number);
                let depth = if S::OPAQUE { depth } else { self.fetch(&value, depth)? };
                Slot::Shared(value, depth, number as u32)
            }
            Some(Entry::Global(global)) => Slot::Global(global),
            Some(Entry::Value(value, depth)) => self.share(Slot::Value(value, depth))?,
            Some(Entry::Pending(pending)) => Slot::Pending(pending),
            Some(Entry::Pair(first, second)) => {
                self.budget.memory(cost::TUPLE)?;
                let Some((first, _)) = self.late_value(first)? else {
                    return Err(ErrorKind::NoMemo.into());
                };
                let tuple = self.sink.tuple([first, second].into_iter())?;
                self.kept.set(number, Slot::Value(tuple.clone(), 1));
                self.share(Slot::Value(tuple, 1))?
            }
            None => return Err(ErrorKind::NoMemo.into()),
        };
        self.stack.push(slot)?;
        Ok(())
    }

    #[inline(never)]
    fn get_other(&mut self, index: u64) -> Step<'a, S> {
        let at = usize::try_from(index).map_err(|_| ErrorKind::NoMemo)?;
        let own = at.wrapping_sub(self.base);
        let found = match self.memo.get(own) {
            Some(&found) if matches!(found.0 & Index::KIND, Index::LEAF | Index::KEY) => {
                let value = self.late_leaf(found.number(), found.0 & Index::KIND == Index::KEY)?;
                self.memo[own] = self.keep_value(&value)?;
                return Ok(self.stack.push_leaf(value)?);
            }
            Some(&found) if found != Index::EMPTY => {
                let found = self.late(found)?;
                self.memo[own] = found;
                found
            }
            _ => match self.replaced.get(&at) {
                Some(&found) => {
                    let found = self.late(found)?;
                    self.replaced.insert(at, found);
                    found
                }
                None => {
                    let slot = self.earlier(at)?;
                    self.stack.push(slot)?;
                    return Ok(());
                }
            },
        };
        self.get_kept(found.number())
    }

    // ---- what is made when it is fetched

    /// How many bytes the PUT has that comes next, if one does that appends to the memo.
    #[inline(always)]
    fn next_put(&self, reader: &Reader<'a>) -> usize {
        let next = || self.base.wrapping_add(self.memo.len());
        match *reader.rest() {
            [op::MEMOIZE, ..] if self.holes == 0 => 1,
            [op::BINPUT, index, ..] if usize::from(index) == next() => 2,
            [op::LONG_BINPUT, a, b, c, d, ..] if u32::from_le_bytes([a, b, c, d]) as usize == next() => 5,
            _ => 0,
        }
    }

    /// Carries out the PUT that comes next, if one does.
    #[inline(always)]
    pub(super) fn put_next(&mut self, reader: &mut Reader<'a>) -> Step<'a, S> {
        let put = self.next_put(reader);
        if put > 0 {
            self.pass(put, reader)?;
            let index = self.keep_top()?;
            self.push_indexes([index])?;
        }
        Ok(())
    }

    /// Passes over an opcode of so many bytes that was looked at ahead.
    #[inline(always)]
    pub(super) fn pass(&mut self, size: usize, reader: &mut Reader<'a>) -> Step<'a, S> {
        if let [byte, ..] = reader.take(size)? {
            self.sink.opcode(*byte);
        }
        Ok(())
    }

    /// Pushes a leaf, and carries out the PUT that comes next, if one does. `index`: where the leaf stands.
    #[inline(always)]
    pub(super) fn push_leaf(
        &mut self,
        value: S::Value,
        size: usize,
        index: Index,
        reader: &mut Reader<'a>,
    ) -> Step<'a, S> {
        let put = self.next_put(reader);
        if put > 0 {
            self.pass(put, reader)?;
            // It is made again if something fetches it.
            let index = if S::LATE && size <= LATE_BYTES { index } else { self.keep(Entry::Value(value.clone(), 0))? };
            self.push_indexes([index])?;
        }
        self.push(value)
    }

    /// What the memo of this pickle keeps under an index.
    #[inline(always)]
    fn kept_at(&self, index: usize) -> Option<Seen<'_, S::Value>> {
        let found = self.memo.get(index.wrapping_sub(self.base))?;
        if found.0 & Index::KIND == Index::KEPT { self.kept.get(found.number()) } else { None }
    }

    /// A global that it has.
    #[inline(always)]
    pub(super) fn kept_global(&self, index: usize) -> Option<u32> {
        match self.kept_at(index) {
            Some(Seen::Global(global)) => Some(global),
            _ => None,
        }
    }

    /// A value without containers that it has.
    pub(super) fn kept_value(&self, index: usize) -> Option<&S::Value> {
        match self.kept_at(index) {
            Some(Seen::Value(value, 0)) => Some(value),
            _ => None,
        }
    }

    /// The text that the memo of this pickle has; it is made if nothing has fetched it yet.
    pub(super) fn late_text(&mut self, index: usize) -> Step<'a, S, Option<&str>> {
        let own = index.wrapping_sub(self.base);
        if self.late_key(index).is_some() {
            let found = self.late(self.memo[own])?;
            self.memo[own] = found;
        }
        Ok(self.kept_value(index).and_then(|value| match self.sink.view(value) {
            View::Text(text) => Some(text),
            _ => None,
        }))
    }

    /// The short text that an index stands for, if nothing has fetched it yet.
    pub(super) fn late_key(&self, index: usize) -> Option<&'a [u8]> {
        let found = self.memo.get(index.wrapping_sub(self.base))?;
        let mut reader = self.reader.from(found.number());
        match (found.0 & Index::KIND, reader.opcode()) {
            (Index::KEY | Index::LEAF, Ok(op::SHORT_BINUNICODE)) => reader.counted1().ok(),
            (Index::KEY | Index::LEAF, Ok(op::BINUNICODE)) => reader.counted4().ok(),
            _ => None,
        }
    }

    /// Makes a value of what an index stands for, since something fetches it.
    fn late(&mut self, index: Index) -> Step<'a, S, Index> {
        match self.late_value(index)? {
            Some((value, depth)) => self.keep(Entry::Value(value, depth)),
            None => Ok(index),
        }
    }

    /// What an index stands for, and how deep containers are nested in it; none if that was made before.
    fn late_value(&mut self, index: Index) -> Step<'a, S, Option<(S::Value, u16)>> {
        let offset = index.number();
        Ok(Some(match index.0 & Index::KIND {
            Index::LEAF => (self.late_leaf(offset, false)?, 0),
            Index::KEY => (self.late_leaf(offset, true)?, 0),
            Index::TUPLE => {
                self.budget.memory(cost::TUPLE)?;
                let leaf = self.late_leaf(offset, false)?;
                (self.sink.tuple([leaf].into_iter())?, 1)
            }
            Index::ENCODED => (self.late_encoded(offset)?, 0),
            Index::ENCODED_TUPLE => {
                self.budget.memory(cost::TUPLE)?;
                let bytes = self.late_encoded(offset)?;
                (self.sink.tuple([bytes].into_iter())?, 1)
            }
            Index::STATE => {
                self.budget.memory(cost::DICT + cost::DICT_TABLE + cost::DICT_ENTRY)?;
                let key = self.sink.utf8(b"int")?;
                let value = self.late_leaf(offset, false)?;
                let dict = self.sink.dict()?;
                self.sink.insert(&dict, [key, value].into_iter())?;
                (dict, 1)
            }
            _ => return Ok(None),
        }))
    }

    /// The bytes that a text stands for, which was encoded before.
    fn late_encoded(&mut self, offset: usize) -> Step<'a, S, S::Value> {
        let text = self.late_leaf(offset, false)?;
        match self.sink.latin1(&text)? {
            Some(bytes) => Ok(bytes),
            None => Err(ErrorKind::Internal("a memo entry changed".into()).into()),
        }
    }

    /// The value of a leaf's opcode.
    fn late_leaf(&mut self, offset: usize, key: bool) -> Step<'a, S, S::Value> {
        let mut reader = self.reader.from(offset);
        match reader.opcode()? {
            op::SHORT_BINBYTES => self.sink.bytes(Cow::Borrowed(reader.counted1()?)),
            op::SHORT_BINUNICODE if key => self.sink.key(reader.counted1()?),
            op::BINUNICODE if key => self.sink.key(reader.counted4()?),
            op::SHORT_BINUNICODE => self.sink.utf8(reader.counted1()?),
            op::BINUNICODE => self.sink.utf8(reader.counted4()?),
            op::UNICODE => self.unescaped(reader.line()?),
            op::LONG1 => self.sink.big_int(reader.counted1()?),
            _ => Err(ErrorKind::Internal("a memo entry points nowhere".into()).into()),
        }
    }

    // ---- streams

    #[cold]
    fn earlier(&mut self, index: usize) -> Step<'a, S, Slot<S::Value>> {
        let slot = match self.earlier.as_ref().and_then(|earlier| earlier.get(index)) {
            Some(Kept::Value(value, depth, levels)) => {
                if matches!(self.sink.view(&value), View::DefaultDict | View::Deque) {
                    let chain = self.chains.entry(self.sink.identity(&value)).or_default();
                    chain.levels = chain.levels.max(levels);
                    chain.held = true;
                }
                Slot::Value(value, depth)
            }
            Some(Kept::Global(global)) => {
                reserve(&mut self.globals)?;
                self.globals.push(global);
                Slot::Global((self.globals.len() - 1) as u32)
            }
            Some(Kept::Lost) | None => return Err(ErrorKind::NoMemo.into()),
        };
        self.share(slot)
    }

    /// Hands what this pickle memoized to those that follow. What is no value and no global by now
    /// can't become one.
    pub(super) fn keep_memo(&mut self) -> Step<'a, S> {
        let base = self.base;
        let mut indices = Vec::new();
        indices.try_reserve(self.memo.len() + self.replaced.len()).map_err(|_| ErrorKind::OutOfMemory)?;
        indices.extend(self.memo.iter().enumerate().map(|(own, &index)| (base + own, index)));
        indices.extend(std::mem::take(&mut self.replaced));
        for (index, found) in indices.into_iter().filter(|(_, found)| *found != Index::EMPTY) {
            let number = self.late(found)?.number();
            let slot = match self.entry(number) {
                Some(Entry::Value(value, depth) | Entry::Open(value, depth, _)) => Slot::Value(value, depth),
                Some(Entry::Global(global)) => Slot::Global(global),
                Some(Entry::Pending(pending)) => Slot::Pending(pending),
                Some(Entry::Pair(..)) => {
                    self.get_kept(number)?;
                    self.pop()?
                }
                None => return Err(ErrorKind::NoMemo.into()),
            };
            let kept = match slot {
                Slot::Global(global) => Kept::Global(self.globals[global as usize].clone()),
                slot => match self.settle(slot) {
                    Ok((value, depth)) => {
                        let identity = self.sink.identity(&value);
                        let depth = self.depths.get(&identity).map_or(depth, |known| depth.max(*known));
                        let levels = self.chains.get(&identity).map_or(0, |chain| chain.levels);
                        Kept::Value(value, depth, levels)
                    }
                    Err(failure) if failure.pickle().is_some() => Kept::Lost,
                    Err(failure) => return Err(failure),
                },
            };
            if let Some(earlier) = &mut self.earlier
                && !earlier.put(index, kept)
            {
                return Err(ErrorKind::OutOfMemory.into());
            }
        }
        if let Some(earlier) = &mut self.earlier {
            *earlier.growth() = Growth { depth: self.late_depth, chains: self.late_growth };
        }
        Ok(())
    }
}
