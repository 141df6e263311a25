//! The memo: what PUT and MEMOIZE store and GET fetches, and what of it outlives one pickle of a stream.

use crate::error::{ErrorKind, Failure, reserve};
use crate::limits::{self, Limit};
use crate::sink::{Sink, View};

use super::{Global, Machine, Slot, Step};

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
        if self.memoized < self.base + self.memo.len() {
            return self.put(self.memoized as u64);
        }
        self.underflow_below(1)?;
        reserve(&mut self.memo)?;
        self.memo.push(self.stack.last().cloned());
        self.memoized += 1;
        Ok(())
    }

    #[inline]
    pub(super) fn put(&mut self, index: u64) -> Step<'a, S> {
        self.underflow_below(1)?;
        let slot = self.stack.last().cloned();
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(own) = index.checked_sub(self.base) else {
            return self.replace(index, slot);
        };
        if own == self.memo.len() {
            reserve(&mut self.memo)?;
            self.memo.push(slot);
            self.memoized += 1;
        } else {
            // Each honest entry takes a byte of input at least, so a higher index only asks for memory.
            limits::check(own as u64, self.reader.size() as u64, Limit::MemoIndex)?;
            if own > self.memo.len() {
                let more = own + 1 - self.memo.len();
                self.memo.try_reserve(more).map_err(|_| ErrorKind::OutOfMemory)?;
                self.memo.resize_with(own + 1, || None);
            }
            if self.memo[own].is_none() {
                self.memoized += 1;
            }
            self.memo[own] = slot;
        }
        Ok(())
    }

    #[inline]
    pub(super) fn get(&mut self, index: u64) -> Step<'a, S> {
        let own = index.wrapping_sub(self.base as u64);
        match usize::try_from(own).ok().and_then(|own| self.memo.get(own)) {
            Some(Some(slot)) => {
                let slot = slot.clone();
                let slot = self.share(slot)?;
                self.stack.push(slot);
                Ok(())
            }
            _ => self.get_earlier(index),
        }
    }

    // ---- streams

    #[cold]
    fn replace(&mut self, index: usize, slot: Option<Slot<S::Value>>) -> Step<'a, S> {
        let known = self.earlier.as_ref().is_some_and(|earlier| earlier.get(index).is_some());
        if let Some(slot) = slot
            && self.replaced.insert(index, slot).is_none()
            && !known
        {
            self.memoized += 1;
        }
        Ok(())
    }

    #[cold]
    fn get_earlier(&mut self, index: u64) -> Step<'a, S> {
        let index = usize::try_from(index).map_err(|_| ErrorKind::NoMemo)?;
        let slot = match self.replaced.get(&index) {
            Some(slot) => slot.clone(),
            None => match self.earlier.as_ref().and_then(|earlier| earlier.get(index)) {
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
            },
        };
        let slot = self.share(slot)?;
        self.stack.push(slot);
        Ok(())
    }

    /// Hands what this pickle memoized to those that follow. What is no value and no global by now
    /// can't become one.
    pub(super) fn keep_memo(&mut self) -> Step<'a, S> {
        let base = self.base;
        let own = std::mem::take(&mut self.memo).into_iter().enumerate();
        let own = own.filter_map(|(index, slot)| slot.map(|slot| (base + index, slot)));
        for (index, slot) in own.chain(std::mem::take(&mut self.replaced)) {
            let kept = match slot {
                Slot::Global(global) => Kept::Global(self.globals[global as usize].clone()),
                slot => match self.settle(slot) {
                    Ok((value, depth)) => {
                        let identity = self.sink.identity(&value);
                        let depth = self.depths.get(&identity).map_or(depth, |known| depth.max(*known));
                        let levels = self.chains.get(&identity).map_or(0, |chain| chain.levels);
                        Kept::Value(value, depth, levels)
                    }
                    Err(Failure::Pickle(_)) => Kept::Lost,
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
