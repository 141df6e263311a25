//! What is checked before a value is hashed: that it can be, at which cost, and where it would land;
//! and how deep containers are nested that CPython frees by recursion.

use crate::error::ErrorKind;
use crate::limits::{self, Limit};
use crate::sink::{Sink, View};

use super::probes::Probes;
use super::{Machine, Seen, Step};

/// A container up to this size is not simulated: it can't cost much.
pub(super) const SMALL: usize = 64;
/// Slots that every container may look at, besides those for each key.
const FREE_PROBES: u64 = 4_096;
/// What the simulated table takes for each key.
const PROBE_BYTES: usize = 24;
/// Defaultdicts and deques directly in each other. CPython frees them by recursion in C.
const CHAIN: u16 = 16;
/// Steps for the hash of a known value, or of the app's own object.
const HASH: usize = 40;
/// Steps for one part of a key.
const NODE: usize = 3;

impl<'a, S: Sink<'a>> Machine<'a, '_, S> {
    /// Checks the keys from `start` on, every second slot, before they go into `dict`.
    pub(super) fn check_keys(&mut self, dict: &S::Value, start: usize) -> Step<'a, S> {
        self.check_hashed(Some(dict), start, 2, false)
    }

    /// Checks the slots from `start` on before they go into `set`, or make a frozenset.
    pub(super) fn check_members(&mut self, set: Option<&S::Value>, start: usize) -> Step<'a, S> {
        self.check_hashed(set, start, 1, true)
    }

    fn check_hashed(&mut self, container: Option<&S::Value>, start: usize, step: usize, set: bool) -> Step<'a, S> {
        let mut plain = true;
        for index in (start..self.stack.len()).step_by(step) {
            let Some(Seen::Value(key, _)) = self.stack.get(index) else {
                continue;
            };
            if self.sink.is_text(key) {
                continue;
            }
            if self.sink.is_small(key) {
                plain = false;
                continue;
            }
            match self.sink.view(key) {
                View::Opaque => {}
                View::None | View::Bool(_) | View::Float(_) => plain = false,
                _ => {
                    plain = false;
                    let key = key.clone();
                    self.check_key(key)?;
                }
            }
        }
        let held = container.map_or(0, |container| self.sink.len(container));
        let added = (self.stack.len() - start).div_ceil(step);
        if held + added <= SMALL {
            return Ok(());
        }
        let identity = container.map_or(0, |container| self.sink.identity(container));
        let mut probes = match self.probes.remove(&identity) {
            Some(probes) if probes.is_off() => {
                self.probes.insert(identity, probes);
                return Ok(());
            }
            // A key that was there already counts once more: no pickler writes one twice.
            Some(probes) if probes.len() >= held && container.is_some() => probes,
            // Hashes of text and bytes are keyed: nobody can choose them.
            _ if plain => return Ok(()),
            _ => Probes::new(set),
        };
        if let Some(container) = container.filter(|_| probes.len() < held) {
            let keys = if set {
                self.sink.items(container)
            } else {
                self.sink.entries(container).into_iter().step_by(2).collect()
            };
            for key in keys {
                match self.sink.hash(&key)? {
                    Some(hash) => probes.insert(hash),
                    None => {
                        self.probes.insert(identity, Probes::off());
                        return Ok(());
                    }
                }
            }
        }
        let bound = self.budget.limits().probes;
        for index in (start..self.stack.len()).step_by(step) {
            let Some(Seen::Value(key, _)) = self.stack.get(index) else {
                continue;
            };
            let Some(hash) = self.sink.hash(key)? else {
                self.probes.insert(identity, Probes::off());
                return Ok(());
            };
            self.budget.memory(PROBE_BYTES)?;
            let before = probes.steps;
            probes.insert(hash);
            self.budget.work((probes.steps - before) as usize / 4)?;
            let allowed = bound.saturating_mul(probes.len() as u64).saturating_add(FREE_PROBES);
            limits::check(probes.steps, allowed, Limit::Probes)?;
        }
        if container.is_some() {
            self.probes.insert(identity, probes);
        }
        Ok(())
    }

    /// Walks over a key as hashing will, without recursion. Shared parts count as often as they are met.
    pub(super) fn check_key(&mut self, key: S::Value) -> Step<'a, S> {
        let bound = self.budget.limits().key_depth;
        self.walk.clear();
        self.walk.push((key, 1));
        while let Some((value, depth)) = self.walk.pop() {
            let view = self.sink.view(&value);
            match view {
                View::Tuple | View::FrozenSet => {
                    limits::check(depth.into(), bound, Limit::KeyDepth)?;
                    let count = self.sink.len(&value);
                    // Each part is hashed, and may be compared.
                    self.budget.work(NODE * (1 + count))?;
                    let depth = depth.saturating_add(1);
                    if view == View::Tuple {
                        let items = (0..count).filter_map(|index| self.sink.item(&value, index));
                        self.walk.extend(items.map(|item| (item, depth)));
                    } else {
                        let items = self.sink.items(&value).into_iter();
                        self.walk.extend(items.map(|item| (item, depth)));
                    }
                }
                View::List
                | View::Set
                | View::ByteArray
                | View::Unhashable
                | View::Dict
                | View::DefaultDict
                | View::Deque
                | View::Namespace => {
                    return Err(ErrorKind::Unhashable.into());
                }
                View::BigInt(bits) => self.budget.work(1 + bits as usize / 512)?,
                View::Other | View::Object | View::Zone | View::TimeDelta { .. } => {
                    let digits = self.sink.len(&value);
                    self.budget.work(HASH + digits)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Counts levels of defaultdicts and deques right in each other, before the slots from `first` on,
    /// `step` apart, go into `target`.
    ///
    /// A container that already is in another may grow later, which its own count can't tell the
    /// outer ones: such growth is added up for the whole pickle.
    pub(super) fn check_chain(&mut self, target: &S::Value, first: usize, step: usize) -> Step<'a, S> {
        let own = self.sink.identity(target);
        let mut levels = 0;
        for slot in self.stack.from(first).step_by(step) {
            let Seen::Value(value, _) = slot else {
                continue;
            };
            if !matches!(self.sink.view(value), View::DefaultDict | View::Deque) {
                continue;
            }
            let identity = self.sink.identity(value);
            if identity != own {
                let inner = self.chains.entry(identity).or_default();
                inner.held = true;
                levels = levels.max(inner.levels.saturating_add(1));
            }
        }
        if levels == 0 {
            return Ok(());
        }
        let chain = self.chains.entry(own).or_default();
        if levels > chain.levels {
            if chain.held {
                self.late_growth = self.late_growth.saturating_add(levels - chain.levels);
            }
            chain.levels = levels;
        }
        let height = chain.levels.saturating_add(self.late_growth);
        limits::check(height.into(), self.budget.limits().depth.min(CHAIN.into()), Limit::Depth)?;
        Ok(())
    }
}

/// How many levels of its own kind a defaultdict or deque holds, and whether another holds it.
#[derive(Default)]
pub struct Chain {
    pub(super) levels: u16,
    pub(super) held: bool,
}
