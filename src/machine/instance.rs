//! What is on the stack and not a value yet: argument tuples that hold a name, zones whose variant
//! depends on their use, and instances that wait for their state.

use crate::error::{ErrorKind, reserve};
use crate::globals::Known;
use crate::limits::{self, Limit};
use crate::policy::Target;
use crate::sink::{How, KnownValue, Sink, View};

use super::{Machine, Seen, Slot, Step, cost};

/// An entry of `Machine::pending`. Entries hold values and globals, never arguments or instances
/// that hold further ones, so that settling one needs no recursion.
pub enum Pending<V> {
    /// A tuple with a global or a zone in it, and the value with its depth, as soon as something needs it.
    Args { slots: Vec<Slot<V>>, made: Option<(V, u16)> },
    /// `getattr(ZoneInfo, "_unpickle")`.
    ZoneUnpickle,
    /// `tzinfo()`, the base of a zone that `copyreg._reconstructor` makes.
    Tzinfo,
    /// A pytz zone: its name, and the variant's offset in seconds and abbreviation.
    Zone { name: V, offset: Option<i64>, abbreviation: Option<V>, made: Option<V> },
    /// An instance that waits for its state.
    Instance(Instance<V>),
}

/// An instance that waits for its state.
pub struct Instance<V> {
    /// The number of its class.
    pub global: u32,
    /// The known type; none for an app's class read as plain data.
    pub known: Option<Known>,
    /// The framework's own builder.
    pub native: Option<u32>,
    pub how: How,
    pub args: Vec<V>,
    pub state: Option<V>,
    /// The plain value, as soon as something needs it.
    pub made: Option<V>,
    /// It was needed, and `made` is what was given.
    pub settled: bool,
    /// It is a list, dict or set, whatever state it has besides.
    pub container: bool,
    pub depth: u16,
}

impl<V> Instance<V> {
    /// Takes content of `depth` levels; by how much it grew after something was given it.
    pub fn grow(&mut self, depth: u16) -> u16 {
        let before = self.depth;
        self.depth = depth.max(before);
        if self.settled { self.depth - before } else { 0 }
    }
}

/// What an opcode adds to an instance.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Content {
    List,
    Dict,
    Set,
}

impl<'a, S: Sink<'a>> Machine<'a, '_, S> {
    pub(super) fn push_pending(&mut self, pending: Pending<S::Value>) -> Step<'a, S, Slot<S::Value>> {
        self.budget.memory(cost::ENTRY)?;
        reserve(&mut self.pending)?;
        self.pending.push(pending);
        Ok(Slot::Pending((self.pending.len() - 1) as u32))
    }

    /// Whether it may stay as it is inside an argument tuple.
    pub(super) fn is_symbolic(&self, pending: u32) -> bool {
        match &self.pending[pending as usize] {
            Pending::ZoneUnpickle | Pending::Tzinfo | Pending::Zone { .. } => true,
            Pending::Instance(instance) => instance.known == Some(Known::NumpyDtype),
            Pending::Args { .. } => false,
        }
    }

    /// Makes a value of a slot, and tells how deep containers are nested in it.
    pub(super) fn settle(&mut self, slot: Slot<S::Value>) -> Step<'a, S, (S::Value, u16)> {
        match slot {
            Slot::Value(value, depth) | Slot::Open(value, depth, _) | Slot::Shared(value, depth, _) => {
                Ok((value, depth))
            }
            Slot::Global(global) => match self.global_value(global) {
                Ok(value) => Ok((value, 0)),
                Err(failure) => Ok((self.stand_in_value(failure, Vec::new())?, 1)),
            },
            Slot::Pending(pending) => match self.settle_pending(pending as usize) {
                Ok(settled) => Ok(settled),
                Err(failure) => self.settle_refused(failure, pending),
            },
        }
    }

    fn settle_pending(&mut self, pending: usize) -> Step<'a, S, (S::Value, u16)> {
        match &self.pending[pending] {
            Pending::Args { made: Some(made), .. } => Ok(made.clone()),
            Pending::Zone { made: Some(made), .. } => Ok((made.clone(), 0)),
            Pending::ZoneUnpickle => {
                Err(ErrorKind::ForbiddenUse { name: "builtins.getattr".into(), reason: "its result is not called" }
                    .into())
            }
            Pending::Tzinfo => {
                Err(ErrorKind::ForbiddenUse { name: "datetime.tzinfo".into(), reason: "not as a value" }.into())
            }
            Pending::Args { slots, .. } => {
                let slots = slots.clone();
                let mut values = Vec::with_capacity(slots.len());
                let mut depth = 0;
                for slot in slots {
                    let (value, inner) = self.settle(slot)?;
                    depth = depth.max(inner);
                    values.push(value);
                }
                let settled = (self.sink.tuple(values.into_iter())?, depth.saturating_add(1));
                if let Pending::Args { made, .. } = &mut self.pending[pending] {
                    *made = Some(settled.clone());
                }
                Ok(settled)
            }
            Pending::Zone { name, offset, abbreviation, .. } => {
                let (name, offset, abbreviation) = (name.clone(), *offset, abbreviation.clone());
                let value = self.named_zone(&name, offset, abbreviation.as_ref())?;
                if let Pending::Zone { made, .. } = &mut self.pending[pending] {
                    *made = Some(value.clone());
                }
                Ok((value, 0))
            }
            Pending::Instance(instance) => {
                let (depth, native, known) = (instance.depth, instance.native, instance.known);
                let mut value = match &instance.made {
                    Some(made) if instance.settled => return Ok((made.clone(), depth)),
                    Some(made) => made.clone(),
                    None => self.finish(pending)?,
                };
                if matches!(known, Some(Known::MultiValueDict | Known::MultiDict)) {
                    self.check_lists(&value)?;
                }
                if let Some(index) = native {
                    value = self.sink.native(index, &[value])?;
                }
                if let Pending::Instance(instance) = &mut self.pending[pending] {
                    instance.settled = true;
                    instance.made = Some(value.clone());
                }
                Ok((value, depth))
            }
        }
    }

    /// A global that is left as a value.
    fn global_value(&mut self, global: u32) -> Step<'a, S, S::Value> {
        match self.globals[global as usize].target {
            Target::Stub => self.sink.stub(&self.globals[global as usize].name, None),
            _ => Err(ErrorKind::GlobalAsValue { name: self.global_name(global) }.into()),
        }
    }

    /// The named zone, or its fixed offset where this system does not have the zone.
    fn named_zone(
        &mut self,
        name: &S::Value,
        offset: Option<i64>,
        abbreviation: Option<&S::Value>,
    ) -> Step<'a, S, S::Value> {
        match (self.zone_info(name, true), offset) {
            (Err(failure), Some(seconds)) if failure.pickle().is_some() => {
                self.fixed_zone(seconds * 1_000_000, abbreviation)
            }
            (made, _) => made,
        }
    }

    /// Whether it is a key made of plain path segments.
    pub(super) fn is_zone_key(&self, key: &S::Value) -> bool {
        let segment = |segment: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte);
            !segment.is_empty() && segment.bytes().all(plain)
        };
        matches!(self.sink.view(key), View::Text(key) if key.len() <= 64 && key.split('/').all(segment))
    }

    /// A `ZoneInfo`, if the key is made of plain path segments.
    pub(super) fn zone_info(&mut self, key: &S::Value, cached: bool) -> Step<'a, S, S::Value> {
        let plain = self.is_zone_key(key);
        if !plain {
            return Err(ErrorKind::Invalid("ZoneInfo: not a time zone key").into());
        }
        self.budget.work(if cached { 4 } else { 1_500 })?;
        let View::Text(key) = self.sink.view(key) else {
            return Err(ErrorKind::Invalid("ZoneInfo").into());
        };
        let key = key.to_owned();
        self.sink.known(KnownValue::ZoneInfo(&key, cached))
    }

    /// A `timezone` of this offset in microseconds.
    pub(super) fn fixed_zone(&mut self, microseconds: i64, name: Option<&S::Value>) -> Step<'a, S, S::Value> {
        if microseconds.abs() >= 86_400_000_000 {
            return Err(ErrorKind::Invalid("timezone: a day or more").into());
        }
        let name = name.filter(|name| matches!(self.sink.view(name), View::Text(_) | View::Surrogates));
        self.sink.known(KnownValue::Timezone(microseconds, name))
    }

    /// Gives the instance right below `start`, if there is one, the container that content goes to.
    pub(super) fn ready_instance(&mut self, start: usize, content: Content) -> Step<'a, S> {
        let Some(Seen::Pending(pending)) = start.checked_sub(1).and_then(|below| self.stack.get(below)) else {
            return Ok(());
        };
        let pending = pending as usize;
        let Pending::Instance(instance) = &self.pending[pending] else {
            return Ok(());
        };
        if instance.made.is_some() {
            return Ok(());
        }
        let fits = match instance.known {
            None => true,
            Some(
                Known::MultiValueDict | Known::MultiDict | Known::PlainDict | Known::SortedDict | Known::MergeDict,
            ) => content == Content::Dict,
            Some(Known::PlainList) => content == Content::List,
            Some(_) => false,
        };
        if !fits {
            return Err(ErrorKind::Misplaced("items for a type that holds none").into());
        }
        let made = match content {
            Content::List => {
                self.budget.memory(cost::LIST)?;
                self.sink.list(std::iter::empty())?
            }
            Content::Dict => {
                self.budget.memory(cost::DICT)?;
                self.sink.dict()?
            }
            Content::Set => {
                self.budget.memory(cost::SET)?;
                self.sink.set()?
            }
        };
        if let Pending::Instance(instance) = &mut self.pending[pending] {
            instance.made = Some(made);
            instance.container = true;
        }
        Ok(())
    }

    /// BUILD: gives the top of the stack its state.
    pub(super) fn build(&mut self, state: Slot<S::Value>) -> Step<'a, S> {
        let (state, inner) = self.settle(state)?;
        let depth = self.budget.depth(inner.saturating_add(1))?;
        let top = self.stack.len().wrapping_sub(1);
        let target = match self.stack.copy(top) {
            Some(Slot::Value(value, own)) => {
                self.stack.deepen(top, depth);
                self.grown(&value, depth.max(own))?;
                value
            }
            Some(Slot::Shared(value, ..)) => {
                self.stack.deepen(top, depth);
                self.grown_late(depth)?;
                value
            }
            Some(Slot::Open(..)) => return Err(ErrorKind::Misplaced("state for a type that has none").into()),
            Some(Slot::Pending(pending)) => {
                let pending = pending as usize;
                match &mut self.pending[pending] {
                    Pending::Instance(instance) => {
                        let levels = instance.grow(depth);
                        self.grown_late(levels)?;
                        return self.build_instance(pending, state);
                    }
                    _ => return Err(ErrorKind::Misplaced("state for a type that has none").into()),
                }
            }
            Some(Slot::Global(global)) => {
                return Err(ErrorKind::ForbiddenUse {
                    name: self.global_name(global),
                    reason: "state for a class or function",
                }
                .into());
            }
            None => return Err(ErrorKind::StackUnderflow.into()),
        };
        match self.sink.view(&target) {
            View::Namespace => {
                if !matches!(self.sink.view(&state), View::Dict) {
                    return Err(ErrorKind::Invalid("SimpleNamespace: its state is no dict").into());
                }
                let size = self.sink.len(&state);
                self.budget.work(6 * size)?;
                self.budget.memory(cost::DICT_ENTRY * size)?;
                let entries = self.sink.entries(&state);
                if entries.iter().step_by(2).any(|key| !matches!(self.sink.view(key), View::Text(_))) {
                    return Err(ErrorKind::Invalid("SimpleNamespace: an attribute's name is no text").into());
                }
            }
            View::Stub | View::Opaque => {}
            View::Object => {
                self.budget.work(40 + self.sink.len(&state))?;
                self.budget.memory(cost::DICT_ENTRY * self.sink.len(&state))?;
            }
            _ => return Err(ErrorKind::Misplaced("state for a type that has none").into()),
        }
        self.sink.build(&target, &state)
    }

    fn build_instance(&mut self, pending: usize, state: S::Value) -> Step<'a, S> {
        let Pending::Instance(instance) = &self.pending[pending] else {
            return Ok(());
        };
        let (known, container, made) = (instance.known, instance.container, instance.made.clone());
        let (settled, native) = (instance.settled, instance.native.is_some());
        match (known, made) {
            // Attributes of an app's own list, dict or set.
            (None, Some(_)) if container => Ok(()),
            // Something held it before its state came: a cycle. It is the dict that was handed out.
            (None, Some(made)) => {
                let state = self.plain_state(&state)?;
                if !matches!((self.sink.view(&made), self.sink.view(&state)), (View::Dict, View::Dict)) {
                    return Err(ErrorKind::Misplaced("state for an object that something holds already").into());
                }
                self.copy_entries(&state, &made)
            }
            // It is the framework's own already, which no state may reach.
            (Some(_), Some(_)) if settled && native => {
                Err(ErrorKind::Misplaced("state for an object that something holds already").into())
            }
            (Some(known @ (Known::MultiValueDict | Known::MultiDict)), Some(made)) => {
                let lists = self.lists_of(known, &state)?;
                self.sink.clear(&made)?;
                self.copy_entries(&lists, &made)
            }
            (Some(Known::SortedDict), Some(made)) => self.reorder(&made, &state),
            (Some(Known::Uuid), Some(_)) => Err(ErrorKind::Misplaced("a second state for a UUID").into()),
            (Some(_), Some(_)) => Ok(()),
            // Now: its state may be changed once it was read.
            (Some(Known::Uuid), None) => {
                let made = self.uuid(Some(&state))?;
                if let Pending::Instance(instance) = &mut self.pending[pending] {
                    instance.made = Some(made);
                }
                Ok(())
            }
            // Python 2 writes an empty state for whatever could have one.
            (None, None) if self.sink.view(&state) == View::Dict && self.sink.len(&state) == 0 => Ok(()),
            (_, None) => {
                if let Pending::Instance(instance) = &mut self.pending[pending] {
                    instance.state = Some(state);
                }
                Ok(())
            }
        }
    }

    /// The value of an instance, once something needs it.
    fn finish(&mut self, pending: usize) -> Step<'a, S, S::Value> {
        let Pending::Instance(instance) = &mut self.pending[pending] else {
            return Err(ErrorKind::Internal("a pending entry changed".into()).into());
        };
        let (known, how, global, native) = (instance.known, instance.how, instance.global, instance.native.is_some());
        let (args, state) = (std::mem::take(&mut instance.args), instance.state.clone());
        match known {
            None => self.finish_plain(how, &args, state.as_ref()),
            // Its members are the framework's own already: so must be what merges them.
            Some(Known::MergeDict) if native => match &state {
                Some(state) => self.under(state, "dicts")?.ok_or_else(|| ErrorKind::Invalid("MergeDict").into()),
                None => Err(ErrorKind::Invalid("MergeDict").into()),
            },
            Some(known) => self.finish_known(known, global, &args, state.as_ref()),
        }
    }

    /// An app's object as plain data.
    fn finish_plain(&mut self, how: How, args: &[S::Value], state: Option<&S::Value>) -> Step<'a, S, S::Value> {
        match (args, state) {
            // A str, int, ... of the app's own: the value counts more than its attributes.
            ([value], _) if how == How::New && self.is_scalar(value) => Ok(value.clone()),
            // So do the members of a set of the app's own.
            ([value], _) if how == How::Call && self.sink.view(value) == View::List => Ok(value.clone()),
            (_, Some(state)) => self.plain_state(state),
            ([], None) => {
                self.budget.memory(cost::DICT)?;
                self.sink.dict()
            }
            // An Enum member, or a subclass of a builtin type.
            ([value], None) => Ok(value.clone()),
            // A namedtuple, or an exception.
            (args, None) => self.sink.tuple(args.iter().cloned()),
        }
    }

    fn is_scalar(&self, value: &S::Value) -> bool {
        matches!(
            self.sink.view(value),
            View::Text(_)
                | View::Surrogates
                | View::Bytes(_)
                | View::Int(_)
                | View::BigInt(_)
                | View::Float(_)
                | View::Tuple
        )
    }

    /// State as a dict: what was in slots is merged with the rest. Other state is as it was.
    fn plain_state(&mut self, state: &S::Value) -> Step<'a, S, S::Value> {
        if !matches!(self.sink.view(state), View::Tuple) || self.sink.len(state) != 2 {
            return Ok(state.clone());
        }
        let halves = self.sink.items(state);
        if !halves.iter().all(|half| matches!(self.sink.view(half), View::Dict | View::None)) {
            return Ok(state.clone());
        }
        self.budget.memory(cost::DICT)?;
        let merged = self.sink.dict()?;
        for half in &halves {
            if matches!(self.sink.view(half), View::Dict) {
                self.copy_entries(half, &merged)?;
            }
        }
        Ok(merged)
    }

    /// Copies what is in one dict to another; paid for, since one dict can be copied many times.
    pub(super) fn copy_entries(&mut self, from: &S::Value, to: &S::Value) -> Step<'a, S> {
        let size = self.sink.len(from);
        self.budget.work(6 * size)?;
        self.budget.memory(cost::DICT_TABLE + cost::DICT_ENTRY * size)?;
        let entries = self.sink.entries(from);
        self.sink.insert(to, entries.into_iter())
    }

    /// The value that a dict has under a text key.
    pub(super) fn under(&mut self, dict: &S::Value, wanted: &str) -> Step<'a, S, Option<S::Value>> {
        if !matches!(self.sink.view(dict), View::Dict) {
            return Err(ErrorKind::Invalid("state: not a dict").into());
        }
        self.budget.work(self.sink.len(dict))?;
        Ok(self.sink.get(dict, wanted))
    }

    /// The first of several text keys that a dict has.
    pub(super) fn under_any(&mut self, dict: &S::Value, wanted: &[&str]) -> Step<'a, S, Option<S::Value>> {
        for key in wanted {
            if let Some(value) = self.under(dict, key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// An error unless all values of a dict are lists.
    fn check_lists(&mut self, dict: &S::Value) -> Step<'a, S> {
        self.budget.work(2 * self.sink.len(dict))?;
        let entries = self.sink.entries(dict);
        if entries.iter().skip(1).step_by(2).all(|value| self.sink.view(value) == View::List) {
            Ok(())
        } else {
            Err(ErrorKind::Invalid("multi-value dict: a value is no list").into())
        }
    }

    /// The dict of lists in the state of a MultiValueDict or MultiDict.
    pub(super) fn lists_of(&mut self, known: Known, state: &S::Value) -> Step<'a, S, S::Value> {
        let lists = match known {
            Known::MultiValueDict => self.under(state, "_data")?.unwrap_or_else(|| state.clone()),
            _ => state.clone(),
        };
        if !matches!(self.sink.view(&lists), View::Dict) {
            return Err(ErrorKind::Invalid("multi-value dict: its state is no dict").into());
        }
        Ok(lists)
    }

    /// Puts the entries of a SortedDict in the order of its `keyOrder`, if all its keys are text.
    pub(super) fn reorder(&mut self, dict: &S::Value, state: &S::Value) -> Step<'a, S> {
        let Some(order) = self.under(state, "keyOrder")?.filter(|order| self.sink.view(order) == View::List) else {
            return Ok(());
        };
        let size = self.sink.len(dict) + self.sink.len(&order);
        self.budget.work(8 * size)?;
        let key_text = |sink: &S, key: &S::Value| match sink.view(key) {
            View::Text(text) => Some(text.to_owned()),
            _ => None,
        };
        let mut left = std::collections::HashMap::new();
        for pair in self.sink.entries(dict).chunks_exact(2) {
            let Some(text) = key_text(self.sink, &pair[0]) else {
                return Ok(());
            };
            left.insert(text, [pair[0].clone(), pair[1].clone()]);
        }
        let mut ordered = Vec::with_capacity(2 * left.len());
        for key in self.sink.items(&order) {
            ordered.extend(key_text(self.sink, &key).and_then(|text| left.remove(&text)).into_iter().flatten());
        }
        if left.is_empty() {
            self.sink.clear(dict)?;
            self.sink.insert(dict, ordered.into_iter())?;
        }
        Ok(())
    }

    /// An integer that names a duration, or the duration itself, in microseconds.
    pub(super) fn duration(&self, value: &S::Value, unit: i64) -> Step<'a, S, i64> {
        let microseconds = match self.sink.view(value) {
            View::TimeDelta { days, seconds, microseconds } => {
                let whole = i64::from(days) * 86_400 + i64::from(seconds);
                whole.checked_mul(1_000_000).and_then(|whole| whole.checked_add(microseconds.into()))
            }
            View::Int(count) => count.checked_mul(unit),
            View::Float(count) if count.abs() < 1e6 => Some((count * unit as f64) as i64),
            _ => None,
        };
        microseconds.ok_or_else(|| ErrorKind::Invalid("zone: its offset").into())
    }

    /// The 128 bits of a UUID.
    pub(super) fn uuid(&mut self, state: Option<&S::Value>) -> Step<'a, S, S::Value> {
        let Some(state) = state else {
            return Err(ErrorKind::Invalid("UUID: it has no state").into());
        };
        let int = self
            .under(state, "int")?
            .and_then(|int| self.sink.u128(&int))
            .ok_or(ErrorKind::Invalid("UUID: its int"))?;
        let safe = match self.under(state, "is_safe")? {
            None => None,
            Some(safe) => match self.sink.view(&safe) {
                View::Int(safe @ -1..=1) => Some(safe),
                View::None => None,
                _ => return Err(ErrorKind::Invalid("UUID: its is_safe").into()),
            },
        };
        self.budget.memory(cost::TUPLE)?;
        self.sink.known(KnownValue::Uuid(int, safe))
    }

    /// Compares the digits of a Decimal or Fraction with their bound, and pays for them.
    #[inline]
    pub(super) fn pay_digits(&mut self, digits: usize, squared: bool) -> Step<'a, S> {
        limits::check(digits as u64, self.budget.limits().decimal_digits, Limit::DecimalDigits)?;
        self.budget.memory(cost::OBJECT / 4 + digits)?;
        self.budget.work(8 + digits + if squared { digits * digits / 64 } else { 0 })?;
        Ok(())
    }
}
