//! The one place that carries out a call: what an allowed name makes of its arguments, each of them
//! checked. Nothing here can reach code that the bytes chose.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use crate::error::ErrorKind;
use crate::globals::{self, Gettext, Known, Row};
use crate::limits::{self, Limit};
use crate::policy::Target;
use crate::sink::{Clock, Day, Factory, How, Ip, KnownValue, Sink, View};

use super::instance::{Instance, Pending};
use super::{Machine, Slot, Step, cost};

/// Steps for a constructor that is written in Python.
const SLOW: usize = 400;

/// An argument list; few have more than four.
type Args<V> = SmallVec<[Slot<V>; 4]>;
/// The bytes of a date or time.
type Raw = SmallVec<[u8; DATETIME_BYTES]>;

const DATE_BYTES: usize = 4;
const TIME_BYTES: usize = 6;
const DATETIME_BYTES: usize = 10;

impl<'a, S: Sink<'a>> Machine<'a, '_, S> {
    /// REDUCE, NEWOBJ, NEWOBJ_EX: `callable` with an argument tuple.
    pub(super) fn call(
        &mut self,
        callable: Slot<S::Value>,
        how: How,
        args: Slot<S::Value>,
        kwargs: Option<S::Value>,
    ) -> Step<'a, S, Slot<S::Value>> {
        let global = match callable {
            Slot::Global(global) => global,
            Slot::Pending(pending)
                if how == How::Call && matches!(self.pending[pending as usize], Pending::ZoneUnpickle) =>
            {
                let args = self.arguments(args)?;
                return self.unpickle_zone(&args);
            }
            Slot::Value(..) | Slot::Shared(..) | Slot::Pending(_) => {
                return Err(ErrorKind::Misplaced("only a name can be called").into());
            }
        };
        match self.globals[global as usize].target {
            Target::Known(row, native) => {
                let needed = if how == How::Call { globals::CALL } else { globals::NEW };
                if row.uses & needed == 0 {
                    return self.forbidden_use(row, "not with this opcode");
                }
                if kwargs.is_some() {
                    return self.forbidden_use(row, "not with keywords");
                }
                if S::OPAQUE {
                    return Ok(Slot::Value(self.sink.none()?, 0));
                }
                let args = self.arguments(args)?;
                match row.known {
                    Known::DateTime | Known::Date | Known::Time | Known::Decimal => self.moment_or_decimal(row, &args),
                    _ => self.known(row, native, global, how, args),
                }
            }
            target => {
                let (args, depth) = self.own_arguments(target, args)?;
                if !matches!(self.sink.view(&args), View::Tuple | View::Opaque) {
                    return Err(ErrorKind::Invalid("arguments: not a tuple").into());
                }
                self.own(target, global, how, args, kwargs, depth)
            }
        }
    }

    /// INST, OBJ: an instance of `class` with what is above `start` as arguments.
    pub(super) fn instantiate(&mut self, class: Slot<S::Value>, start: usize) -> Step<'a, S, Slot<S::Value>> {
        let Slot::Global(global) = class else {
            return Err(ErrorKind::Misplaced("only a name can be a class").into());
        };
        let target = match self.globals[global as usize].target {
            Target::Known(row, _) if row.known == Known::Discarded => {
                self.settle_from(start)?;
                self.stack.truncate(start);
                return self.push_instance(global, Some(row.known), None, How::New, Vec::new(), 1);
            }
            Target::Known(row, _) => return self.forbidden_use(row, "not with this opcode"),
            target => target,
        };
        let depth = self.settle_from(start)?;
        let how = if start == self.stack.len() { How::New } else { How::Call };
        self.budget.memory(cost::TUPLE + cost::ITEM * (self.stack.len() - start))?;
        let args = self.sink.tuple(self.stack.drain(start..).map(Slot::into_value))?;
        self.own(target, global, how, args, None, depth)
    }

    /// The arguments of what the policy has besides the table. The factory of a defaultdict's subclass
    /// may be among them, which plain data has no use for.
    fn own_arguments(&mut self, target: Target, args: Slot<S::Value>) -> Step<'a, S, (S::Value, u16)> {
        let slots = match &args {
            Slot::Pending(pending) => match &self.pending[*pending as usize] {
                Pending::Args { slots, .. } => slots.clone(),
                _ => return self.settle(args),
            },
            _ => return self.settle(args),
        };
        let (mut values, mut depth) = (Vec::with_capacity(slots.len()), 0);
        for slot in slots {
            let builtin = match &slot {
                Slot::Global(global) => match self.known_of(*global) {
                    Some(Known::Type(builtin)) => Some(builtin),
                    Some(Known::Set) => Some(Factory::Set),
                    _ => None,
                },
                _ => None,
            };
            match builtin {
                Some(_) if matches!(target, Target::Plain) => {}
                Some(builtin) => values.push(self.sink.builtin(builtin)?),
                None => {
                    let (value, inner) = self.settle(slot)?;
                    depth = depth.max(inner);
                    values.push(value);
                }
            }
        }
        Ok((self.sink.tuple(values.into_iter())?, depth))
    }

    /// An instance of what the policy has besides the table.
    fn own(
        &mut self,
        target: Target,
        global: u32,
        how: How,
        args: S::Value,
        kwargs: Option<S::Value>,
        depth: u16,
    ) -> Step<'a, S, Slot<S::Value>> {
        let depth = self.budget.depth(depth.saturating_add(1))?;
        self.budget.memory(cost::OBJECT / 2)?;
        self.budget.work(40)?;
        match target {
            Target::Plain => {
                self.budget.work(self.sink.len(&args))?;
                let mut args = self.sink.items(&args);
                args.extend(kwargs);
                self.push_instance(global, None, None, how, args, depth)
            }
            Target::Registered(index) => {
                let made = self.sink.construct(index, how, &args, kwargs.as_ref())?;
                Ok(Slot::Value(made, depth))
            }
            Target::Stub | Target::Known(..) => {
                let made = self.sink.stub(&self.globals[global as usize].name, Some(&args))?;
                Ok(Slot::Value(made, depth))
            }
        }
    }

    fn push_instance(
        &mut self,
        global: u32,
        known: Option<Known>,
        native: Option<u32>,
        how: How,
        args: Vec<S::Value>,
        depth: u16,
    ) -> Step<'a, S, Slot<S::Value>> {
        self.push_pending(Pending::Instance(Instance {
            global,
            known,
            native,
            how,
            args,
            state: None,
            made: None,
            settled: false,
            container: false,
            depth,
        }))
    }

    /// A value that is complete, and may be given a state of no meaning.
    fn push_made(&mut self, global: u32, known: Known, how: How, made: Slot<S::Value>) -> Step<'a, S, Slot<S::Value>> {
        let (value, depth) = self.settle(made)?;
        let slot = self.push_instance(global, Some(known), None, how, Vec::new(), depth)?;
        if let Slot::Pending(pending) = slot
            && let Pending::Instance(instance) = &mut self.pending[pending as usize]
        {
            instance.made = Some(value);
        }
        Ok(slot)
    }

    #[cold]
    fn forbidden_use<T>(&self, row: &Row, reason: &'static str) -> Step<'a, S, T> {
        Err(ErrorKind::ForbiddenUse { name: format!("{}.{}", row.module, row.name).into(), reason }.into())
    }

    /// The slots of an argument tuple.
    fn arguments(&mut self, args: Slot<S::Value>) -> Step<'a, S, Args<S::Value>> {
        match args {
            Slot::Value(args, depth) if self.sink.view(&args) == View::Tuple => {
                let count = self.sink.len(&args);
                self.budget.work(count)?;
                let mut slots = Args::new();
                for index in 0..count {
                    slots.extend(self.sink.item(&args, index).map(|value| Slot::Value(value, depth)));
                }
                Ok(slots)
            }
            Slot::Pending(pending) => match &self.pending[pending as usize] {
                Pending::Args { slots, .. } => {
                    self.budget.work(slots.len())?;
                    Ok(slots.iter().cloned().collect())
                }
                _ => Err(ErrorKind::Invalid("arguments: not a tuple").into()),
            },
            _ => Err(ErrorKind::Invalid("arguments: not a tuple").into()),
        }
    }

    /// The types that sessions are full of.
    fn moment_or_decimal(&mut self, row: &'static Row, args: &[Slot<S::Value>]) -> Step<'a, S, Slot<S::Value>> {
        let wrong = || self::wrong(row);
        let value = match (row.known, args) {
            (Known::DateTime, [Slot::Value(raw, _), zone @ ..]) if zone.len() < 2 => {
                let raw = self.raw(raw).ok_or_else(wrong)?;
                let (day, clock) = split_datetime(&raw)?;
                let zone = self.zone_argument(zone)?;
                self.sink.known(KnownValue::DateTime(day, clock, zone.as_ref()))?
            }
            (Known::Date, [Slot::Value(raw, _)]) => {
                let raw = self.raw(raw).ok_or_else(wrong)?;
                self.sink.known(KnownValue::Date(split_date(&raw)?))?
            }
            (Known::Time, [Slot::Value(raw, _), zone @ ..]) if zone.len() < 2 => {
                let raw = self.raw(raw).ok_or_else(wrong)?;
                let clock = split_time(&raw)?;
                let zone = self.zone_argument(zone)?;
                self.sink.known(KnownValue::Time(clock, zone.as_ref()))?
            }
            (Known::Decimal, [Slot::Value(text, _)]) => {
                let View::Text(digits) = self.sink.view(text) else {
                    return Err(wrong().into());
                };
                let digits = self.check_decimal(digits)?;
                self.pay_digits(digits, false)?;
                self.sink.known(KnownValue::Decimal(text))?
            }
            _ => return Err(wrong().into()),
        };
        Ok(Slot::Value(value, 0))
    }

    /// A row of the table, with its arguments.
    fn known(
        &mut self,
        row: &'static Row,
        native: Option<u32>,
        global: u32,
        how: How,
        args: Args<S::Value>,
    ) -> Step<'a, S, Slot<S::Value>> {
        let wrong = || self::wrong(row);
        let mut depth = 0;
        let value = match (row.known, args.as_slice()) {
            (Known::TimeDelta, [Slot::Value(days, _), Slot::Value(seconds, _), Slot::Value(microseconds, _)]) => {
                match (self.sink.view(days), self.sink.view(seconds), self.sink.view(microseconds)) {
                    (View::Int(days), View::Int(seconds), View::Int(microseconds)) => {
                        let (days, seconds, microseconds) = normal_timedelta(days, seconds, microseconds)?;
                        self.sink.known(KnownValue::TimeDelta { days, seconds, microseconds })?
                    }
                    _ => return Err(wrong().into()),
                }
            }
            (Known::Timezone, [Slot::Value(offset, _), name @ ..]) if name.len() < 2 => {
                if !matches!(self.sink.view(offset), View::TimeDelta { .. }) {
                    return Err(wrong().into());
                }
                let offset = self.duration(offset, 1)?;
                match name {
                    [] => self.fixed_zone(offset, None)?,
                    [Slot::Value(name, _)] if matches!(self.sink.view(name), View::Text(_) | View::Surrogates) => {
                        self.fixed_zone(offset, Some(name))?
                    }
                    _ => return Err(wrong().into()),
                }
            }
            (Known::Fraction, args) => self.fraction(args)?.ok_or_else(wrong)?,
            (Known::Complex, [Slot::Value(real, _), Slot::Value(imaginary, _)]) => {
                match (self.sink.view(real), self.sink.view(imaginary)) {
                    (View::Float(real), View::Float(imaginary)) => {
                        self.sink.known(KnownValue::Complex(real, imaginary))?
                    }
                    _ => return Err(wrong().into()),
                }
            }
            (Known::Bytes, []) => self.sink.bytes(Cow::Borrowed(&[]))?,
            (Known::ByteArray, args) => self.bytearray(args)?.ok_or_else(wrong)?,
            (Known::Encode, [Slot::Value(text, _), Slot::Value(encoding, _)]) => {
                if self.sink.view(encoding) != View::Text("latin1") || !self.sink.is_text(text) {
                    return Err(wrong().into());
                }
                let size = self.sink.len(text);
                self.budget.work(size / 4)?;
                self.budget.memory(size)?;
                self.sink.latin1(text)?.ok_or_else(wrong)?
            }
            (Known::Range, [Slot::Value(start, _), Slot::Value(stop, _), Slot::Value(step, _)]) => {
                let integers = [start, stop, step]
                    .iter()
                    .all(|bound| matches!(self.sink.view(bound), View::Int(_) | View::BigInt(_)));
                if !integers || self.sink.view(step) == View::Int(0) {
                    return Err(wrong().into());
                }
                self.budget.memory(cost::TUPLE)?;
                self.sink.known(KnownValue::Range([start, stop, step]))?
            }
            (Known::Set | Known::FrozenSet, [Slot::Value(items, inner)]) => {
                if self.sink.view(items) != View::List {
                    return Err(wrong().into());
                }
                depth = *inner;
                let (items, set) = (items.clone(), row.known == Known::Set);
                self.members(&items, set)?
            }
            (Known::Set, []) => {
                self.budget.memory(cost::SET)?;
                self.sink.set()?
            }
            (Known::OrderedDict, args) => {
                self.budget.memory(cost::OBJECT)?;
                let dict = self.sink.known(KnownValue::OrderedDict)?;
                match args {
                    [] => {}
                    [Slot::Value(pairs, inner)] if self.sink.view(pairs) == View::List => {
                        depth = *inner;
                        let pairs = pairs.clone();
                        self.insert_pairs(&dict, &pairs)?;
                    }
                    _ => return Err(wrong().into()),
                }
                dict
            }
            (Known::DefaultDict, args) => {
                let factory = match args {
                    [] => None,
                    [Slot::Value(none, _)] if self.sink.view(none) == View::None => None,
                    [Slot::Global(factory)] => match self.globals[*factory as usize].target {
                        Target::Known(Row { known: Known::Type(factory), .. }, _) => Some(*factory),
                        Target::Known(Row { known: Known::Set, .. }, _) => Some(Factory::Set),
                        Target::Stub | Target::Plain => None,
                        _ => return Err(wrong().into()),
                    },
                    _ => return Err(wrong().into()),
                };
                self.budget.memory(cost::OBJECT)?;
                self.sink.known(KnownValue::DefaultDict(factory))?
            }
            (Known::Counter, args) => {
                self.budget.memory(cost::OBJECT)?;
                self.budget.work(40)?;
                let counter = self.sink.known(KnownValue::Counter)?;
                match args {
                    [] => {}
                    [Slot::Value(counts, inner)] if self.sink.view(counts) == View::Dict => {
                        depth = *inner;
                        self.copy_entries(&counts.clone(), &counter)?;
                    }
                    _ => return Err(wrong().into()),
                }
                counter
            }
            (Known::Deque, args) => self.deque(args, &mut depth)?.ok_or_else(wrong)?,
            (Known::Namespace, []) => {
                self.budget.memory(cost::OBJECT)?;
                self.budget.work(10)?;
                self.sink.known(KnownValue::Namespace)?
            }
            (Known::Ip(ip), [Slot::Value(value, _)]) => {
                self.budget.memory(cost::OBJECT)?;
                match self.sink.view(value) {
                    View::Text(text) => {
                        if !is_ip(ip, text) {
                            return Err(ErrorKind::Invalid("IP address or network").into());
                        }
                        self.budget.work(SLOW)?;
                        self.sink.known(KnownValue::IpText(ip, value))?
                    }
                    View::Int(_) | View::BigInt(_) if matches!(ip, Ip::V4Address | Ip::V6Address) => {
                        self.budget.work(20)?;
                        let bound = if ip == Ip::V4Address { u128::from(u32::MAX) } else { u128::MAX };
                        let int = self.sink.u128(value).filter(|&int| int <= bound).ok_or_else(wrong)?;
                        self.sink.known(KnownValue::IpInt(ip, int))?
                    }
                    _ => return Err(wrong().into()),
                }
            }
            (Known::Path(path), parts) => {
                let mut texts = Vec::with_capacity(parts.len());
                let mut size = 0;
                for part in parts {
                    match part {
                        Slot::Value(part, _) => match self.sink.view(part) {
                            View::Text(text) => {
                                size += text.len();
                                texts.push(part.clone());
                            }
                            _ => return Err(wrong().into()),
                        },
                        _ => return Err(wrong().into()),
                    }
                }
                self.budget.memory(cost::OBJECT + 2 * size)?;
                self.budget.work(SLOW + 40 * parts.len() + size)?;
                self.sink.known(KnownValue::Path(path, &texts))?
            }
            (Known::StructTime, args) => self.struct_time(args)?.ok_or_else(wrong)?,
            (Known::Array, [Slot::Value(code, _), Slot::Value(items, _)]) => {
                let code = self.type_code(code).ok_or_else(wrong)?;
                if self.sink.view(items) != View::List {
                    return Err(wrong().into());
                }
                let size = self.sink.len(items);
                self.budget.memory(cost::OBJECT + 8 * size)?;
                self.budget.work(2 * size)?;
                if !self.sink.items(items).iter().all(|item| fits(code, self.sink.view(item))) {
                    return Err(ErrorKind::Invalid("array: an item").into());
                }
                self.sink.known(KnownValue::ArrayItems(code, items))?
            }
            (
                Known::ArrayReconstructor,
                [Slot::Global(class), Slot::Value(code, _), Slot::Value(format, _), Slot::Value(raw, _)],
            ) => {
                let class = self.known_of(*class) == Some(Known::Array);
                let code = self.type_code(code).filter(|_| class).ok_or_else(wrong)?;
                match (self.sink.view(format), self.sink.view(raw)) {
                    (View::Int(format @ 0..=21), View::Bytes(bytes)) => {
                        // A machine format may be four times as wide in memory as in the bytes.
                        let size = bytes.len();
                        if !is_array(code, format as u8, bytes) {
                            return Err(ErrorKind::Invalid("array: its bytes").into());
                        }
                        self.budget.memory(cost::OBJECT + (8 + S::LEAF) * size)?;
                        self.budget.work(size)?;
                        self.sink.known(KnownValue::ArrayBytes(code, format as u8, raw))?
                    }
                    _ => return Err(wrong().into()),
                }
            }
            (Known::Reconstructor, [Slot::Global(class), Slot::Global(base), Slot::Value(state, inner)]) => {
                return self.reconstruct(*class, *base, state.clone(), *inner, wrong);
            }
            (Known::Reconstructor, [Slot::Global(class), Slot::Global(base), Slot::Pending(state)])
                if matches!(self.pending[*state as usize], Pending::Tzinfo) =>
            {
                let none = self.sink.none()?;
                return self.reconstruct(*class, *base, none, 0, wrong);
            }
            (Known::Tzinfo, []) => return self.push_pending(Pending::Tzinfo),
            (Known::Getattr, [Slot::Global(class), Slot::Value(name, _)]) => {
                if matches!(self.known_of(*class), Some(Known::ZoneInfo | Known::NamedZone))
                    && self.sink.view(name) == View::Text("_unpickle")
                {
                    return self.push_pending(Pending::ZoneUnpickle);
                }
                return Err(wrong().into());
            }
            _ => return self.framework(row, native, global, how, args, wrong),
        };
        let depth = if depth > 0 { self.budget.depth(depth)? } else { depth };
        // A container counts as one level even while it is empty.
        let level = matches!(
            row.known,
            Known::Set
                | Known::FrozenSet
                | Known::OrderedDict
                | Known::DefaultDict
                | Known::Counter
                | Known::Deque
                | Known::Namespace
        );
        Ok(Slot::Value(value, depth.max(level.into())))
    }

    /// A row that stands for a framework's value.
    fn framework(
        &mut self,
        row: &'static Row,
        native: Option<u32>,
        global: u32,
        how: How,
        args: Args<S::Value>,
        wrong: impl Fn() -> ErrorKind,
    ) -> Step<'a, S, Slot<S::Value>> {
        match (row.known, args.as_slice()) {
            (Known::Text, []) => {
                let text = self.sink.text(Cow::Borrowed(""))?;
                let made = self.natively(native, text)?;
                self.push_made(global, row.known, how, made)
            }
            (Known::Text, [Slot::Value(text, _)]) => {
                if !matches!(self.sink.view(text), View::Text(_) | View::Surrogates | View::Bytes(_)) {
                    return Err(wrong().into());
                }
                let made = self.natively(native, text.clone())?;
                self.push_made(global, row.known, how, made)
            }
            (Known::PytzUtc, []) => match native {
                Some(index) => {
                    let name = self.sink.text(Cow::Borrowed("UTC"))?;
                    Ok(Slot::Value(self.sink.native(index, &[name])?, 0))
                }
                None => Ok(Slot::Value(self.fixed_zone(0, None)?, 0)),
            },
            (Known::EnumValue, [Slot::Value(value, _)]) => match self.sink.view(value) {
                View::Int(_) | View::Text(_) => Ok(Slot::Value(value.clone(), 0)),
                _ => Err(wrong().into()),
            },
            (Known::Utc, _) => {
                let utc = self.fixed_zone(0, None)?;
                self.push_made(global, row.known, how, Slot::Value(utc, 0))
            }
            (Known::DateTimeFields, [fields @ .., zone, Slot::Value(_, _)]) if fields.len() == 7 => {
                let fields = fields.to_vec();
                self.date_time_fields(&fields, std::slice::from_ref(&zone.clone()))?.ok_or_else(|| wrong().into())
            }
            (Known::DateTimeFields, [fields @ .., zone]) if fields.len() == 7 => {
                let fields = fields.to_vec();
                self.date_time_fields(&fields, std::slice::from_ref(&zone.clone()))?.ok_or_else(|| wrong().into())
            }
            (Known::TimeFields, [fields @ .., zone]) if fields.len() == 4 => {
                let clock = self.clock_fields(fields).ok_or_else(wrong)?;
                let zone = self.zone_argument(std::slice::from_ref(zone))?;
                Ok(Slot::Value(self.sink.known(KnownValue::Time(clock, zone.as_ref()))?, 0))
            }
            (Known::FileZone, [Slot::Global(class), names @ ..]) if self.known_of(*class) == Some(Known::FileZone) => {
                let name = names
                    .iter()
                    .find(|name| matches!(name, Slot::Value(name, _) if matches!(self.sink.view(name), View::Text(_))));
                let Some(Slot::Value(name, _)) = name else {
                    return Err(wrong().into());
                };
                let args = vec![name.clone()];
                self.push_instance(global, Some(row.known), native, how, args, 1)
            }
            (Known::PytzFixed, [Slot::Value(minutes, _), ..]) => {
                let minutes = match self.sink.view(minutes) {
                    View::Int(minutes @ -1439..=1439) => minutes,
                    _ => return Err(wrong().into()),
                };
                match native {
                    Some(index) => {
                        let minutes = self.sink.int(minutes)?;
                        Ok(Slot::Value(self.sink.native(index, &[minutes])?, 0))
                    }
                    None => Ok(Slot::Value(self.fixed_zone(minutes * 60_000_000, None)?, 0)),
                }
            }
            (Known::PytzZone, [Slot::Value(name, _), variant @ ..]) => {
                if !matches!(self.sink.view(name), View::Text(_)) {
                    return Err(wrong().into());
                }
                let (offset, abbreviation) = match variant {
                    [] => (None, None),
                    [Slot::Value(offset, _), Slot::Value(dst, _), Slot::Value(abbreviation, _)] => {
                        match (self.sink.view(offset), self.sink.view(dst), self.sink.view(abbreviation)) {
                            (View::Int(offset @ -86_399..=86_399), View::Int(-86_399..=86_399), View::Text(_)) => {
                                (Some(offset), Some(abbreviation.clone()))
                            }
                            _ => return Err(wrong().into()),
                        }
                    }
                    _ => return Err(wrong().into()),
                };
                if !self.is_zone_key(name) {
                    return Err(wrong().into());
                }
                if let Some(index) = native {
                    self.budget.work(SLOW)?;
                    let args: Vec<_> = args.into_iter().map(Slot::into_value).collect();
                    return Ok(Slot::Value(self.sink.native(index, &args)?, 0));
                }
                self.push_pending(Pending::Zone { name: name.clone(), offset, abbreviation, made: None })
            }
            (Known::LazyText, [Slot::Global(function), Slot::Value(args, _), Slot::Value(kwargs, _), ..]) => {
                let Some(Known::Gettext(gettext)) = self.known_of(*function) else {
                    return Err(wrong().into());
                };
                if self.sink.view(kwargs) != View::Dict
                    || self.sink.view(args) != View::Tuple
                    || self.sink.len(args) > 4
                {
                    return Err(wrong().into());
                }
                if self.sink.len(args) == 0 {
                    let kwargs = kwargs.clone();
                    return self.lazy_plural(&kwargs)?.ok_or_else(|| wrong().into());
                }
                let args = self.sink.items(args);
                let text = match (gettext, args.as_slice()) {
                    (Gettext::Plain, [text]) | (Gettext::Context, [_, text]) => text,
                    (Gettext::Plural, [one, many, number]) | (Gettext::ContextPlural, [_, one, many, number]) => {
                        if self.sink.view(number) == View::Int(1) { one } else { many }
                    }
                    _ => return Err(wrong().into()),
                };
                match self.sink.view(text) {
                    View::Text(_) | View::Surrogates | View::Bytes(_) => Ok(Slot::Value(text.clone(), 0)),
                    _ => Err(wrong().into()),
                }
            }
            (
                Known::LazyNumber,
                [Slot::Global(function), Slot::Global(_), Slot::Value(_, _), Slot::Value(kwargs, _)],
            ) if matches!(self.known_of(*function), Some(Known::Gettext(_))) => {
                let kwargs = kwargs.clone();
                self.lazy_plural(&kwargs)?.ok_or_else(|| wrong().into())
            }
            (Known::NumpyScalar, [Slot::Pending(dtype), Slot::Value(raw, _)]) => {
                let (dtype, raw) = (*dtype as usize, raw.clone());
                let value = self.numpy_scalar(dtype, &raw)?.ok_or_else(wrong)?;
                Ok(Slot::Value(value, 0))
            }
            (Known::PairsDict | Known::MultiDict, [Slot::Value(pairs, inner)])
                if self.sink.view(pairs) == View::List =>
            {
                let (pairs, depth) = (pairs.clone(), *inner);
                let lists = self.lists_of_pairs(&pairs)?;
                self.natively(native, lists).map(|slot| deepen(slot, depth))
            }
            (Known::CombinedDict, [Slot::Value(dicts, inner)]) if self.sink.view(dicts) == View::List => {
                let (dicts, depth) = (dicts.clone(), *inner);
                if native.is_some() {
                    return self.natively(native, dicts).map(|slot| deepen(slot, depth));
                }
                let lists = self.combined(&dicts)?;
                self.natively(native, lists).map(|slot| deepen(slot, depth))
            }
            (Known::PlainDict | Known::MultiDict | Known::SortedDict, [Slot::Value(dict, inner)])
                if self.sink.view(dict) == View::Dict =>
            {
                Ok(Slot::Value(dict.clone(), *inner))
            }
            (Known::PlainList, [Slot::Value(list, inner)]) if self.sink.view(list) == View::List => {
                Ok(Slot::Value(list.clone(), *inner))
            }
            (Known::PlainTuple, [Slot::Value(tuple, inner)]) if self.sink.view(tuple) == View::Tuple => {
                let made = Slot::Value(tuple.clone(), *inner);
                self.push_made(global, row.known, how, made)
            }
            (
                Known::Uuid
                | Known::MultiValueDict
                | Known::MultiDict
                | Known::PlainDict
                | Known::PlainList
                | Known::PairsDict
                | Known::SortedDict
                | Known::MergeDict,
                [],
            )
            | (Known::OffsetZone | Known::LocalZone | Known::FileZone | Known::VariantZone | Known::Discarded, _)
            | (Known::NamedZone | Known::FixedZone | Known::Money | Known::Currency | Known::NumpyDtype, _) => {
                let mut values = Vec::with_capacity(args.len());
                let mut depth = 0;
                for arg in args {
                    let (value, inner) = self.settle(arg)?;
                    depth = depth.max(inner);
                    values.push(value);
                }
                let depth = self.budget.depth(depth.saturating_add(1))?;
                self.push_instance(global, Some(row.known), native, how, values, depth)
            }
            _ => Err(wrong().into()),
        }
    }

    /// The known type of a global, if it is a row of the table.
    fn known_of(&self, global: u32) -> Option<Known> {
        match self.globals[global as usize].target {
            Target::Known(row, _) => Some(row.known),
            _ => None,
        }
    }

    /// A plain value, or the framework's own in its place.
    fn natively(&mut self, native: Option<u32>, value: S::Value) -> Step<'a, S, Slot<S::Value>> {
        let value = match native {
            Some(index) => {
                self.budget.work(SLOW / 4)?;
                self.sink.native(index, &[value])?
            }
            None => value,
        };
        Ok(Slot::Value(value, 0))
    }

    /// `copyreg._reconstructor(class, base, state)`.
    fn reconstruct(
        &mut self,
        class: u32,
        base: u32,
        state: S::Value,
        depth: u16,
        wrong: impl Fn() -> ErrorKind,
    ) -> Step<'a, S, Slot<S::Value>> {
        let base = match self.known_of(base) {
            Some(Known::Object | Known::Tzinfo) => None,
            Some(Known::Type(base)) => Some(base),
            Some(Known::Set) => Some(Factory::Set),
            Some(Known::Bytes) => Some(Factory::Bytes),
            _ => return Err(wrong().into()),
        };
        let args: Args<_> = base.iter().map(|_| Slot::Value(state.clone(), depth)).collect();
        match self.globals[class as usize].target {
            Target::Known(row, native) => {
                if row.uses & globals::NEW == 0 {
                    return self.forbidden_use(row, "not with copyreg._reconstructor");
                }
                match (row.known, base) {
                    // Their own state holds all of it, or it is the mapping itself.
                    (
                        Known::MultiValueDict | Known::MultiDict | Known::PlainDict | Known::SortedDict,
                        Some(Factory::Dict),
                    ) => {
                        if self.sink.view(&state) != View::Dict {
                            return Err(wrong().into());
                        }
                        let made = self.push_instance(class, Some(row.known), native, How::New, Vec::new(), depth)?;
                        if let Slot::Pending(pending) = made
                            && let Pending::Instance(instance) = &mut self.pending[pending as usize]
                        {
                            instance.made = Some(state);
                        }
                        Ok(made)
                    }
                    _ => self.known(row, native, class, How::New, args),
                }
            }
            Target::Plain => {
                let args = args.into_iter().map(Slot::into_value).collect();
                let made = self.push_instance(class, None, None, How::New, args, depth)?;
                if let (Slot::Pending(pending), Some(Factory::List | Factory::Dict | Factory::Set)) = (&made, base)
                    && let Pending::Instance(instance) = &mut self.pending[*pending as usize]
                {
                    instance.made = Some(state);
                    instance.container = true;
                }
                Ok(made)
            }
            target => {
                let how = How::Rebuild(base);
                let args = self.sink.tuple([state].into_iter())?;
                self.own(target, class, how, args, None, depth)
            }
        }
    }

    /// `ZoneInfo._unpickle(key, from_cache)`.
    fn unpickle_zone(&mut self, args: &[Slot<S::Value>]) -> Step<'a, S, Slot<S::Value>> {
        match args {
            [Slot::Value(key, _), Slot::Value(cached, _)]
                if matches!(self.sink.view(cached), View::Int(0 | 1) | View::Bool(_)) =>
            {
                let cached = !matches!(self.sink.view(cached), View::Int(0) | View::Bool(false));
                let key = key.clone();
                Ok(Slot::Value(self.zone_info(&key, cached)?, 0))
            }
            _ => Err(ErrorKind::Invalid("ZoneInfo: its arguments").into()),
        }
    }

    // ---- arguments

    /// The bytes of a date or time: bytes, or text that stands for them.
    fn raw(&self, value: &S::Value) -> Option<Raw> {
        match self.sink.view(value) {
            View::Bytes(bytes) if bytes.len() <= DATETIME_BYTES => Some(bytes.into()),
            // A Python 2 str that happened to be UTF-8, or one that was decoded as latin1.
            View::Text(text) if matches!(text.len(), DATE_BYTES | TIME_BYTES | DATETIME_BYTES) => {
                Some(text.as_bytes().into())
            }
            View::Text(text) if text.len() <= 2 * DATETIME_BYTES => latin1(text).map(Raw::from),
            _ => None,
        }
    }

    /// The zone of a date and time. A pytz variant is its own offset, so that the instant stays.
    fn zone_argument(&mut self, zone: &[Slot<S::Value>]) -> Step<'a, S, Option<S::Value>> {
        let zone = match zone {
            [Slot::Pending(pending)] => match &self.pending[*pending as usize] {
                Pending::Zone { offset: Some(seconds), abbreviation, .. } => {
                    let (microseconds, abbreviation) = (seconds * 1_000_000, abbreviation.clone());
                    self.fixed_zone(microseconds, abbreviation.as_ref())?
                }
                _ => self.settle(zone[0].clone())?.0,
            },
            [zone] => self.settle(zone.clone())?.0,
            _ => return Ok(None),
        };
        match self.sink.view(&zone) {
            View::None => Ok(None),
            View::Zone | View::Object | View::Stub | View::Opaque => Ok(Some(zone)),
            _ => Err(ErrorKind::Invalid("datetime: its zone").into()),
        }
    }

    /// The digits of a Decimal in Decimal's own grammar.
    fn check_decimal(&self, text: &str) -> Step<'a, S, usize> {
        let invalid = ErrorKind::Invalid("Decimal");
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let points = unsigned.bytes().filter(|byte| *byte == b'.').count();
        if points < 2 && points < unsigned.len() && unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Ok(unsigned.len() - points);
        }
        let lower = unsigned.to_ascii_lowercase();
        if lower == "inf" || lower == "infinity" {
            return Ok(0);
        }
        if let Some(payload) = lower.strip_prefix("snan").or_else(|| lower.strip_prefix("nan")) {
            return if payload.bytes().all(|byte| byte.is_ascii_digit()) {
                Ok(payload.len())
            } else {
                Err(invalid.into())
            };
        }
        let (number, exponent) = match lower.split_once('e') {
            Some((number, exponent)) => (number, Some(exponent)),
            None => (lower.as_str(), None),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = whole.len() + part.len();
        if digits == 0 || !whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(invalid.into());
        }
        if let Some(exponent) = exponent {
            let value: i64 = exponent.parse().map_err(|_| invalid)?;
            limits::check(value.unsigned_abs(), self.budget.limits().decimal_exponent, Limit::DecimalExponent)?;
        }
        Ok(digits)
    }

    fn fraction(&mut self, args: &[Slot<S::Value>]) -> Step<'a, S, Option<S::Value>> {
        let (numerator, denominator) = match args {
            [Slot::Value(text, _)] => {
                let View::Text(text) = self.sink.view(text) else {
                    return Ok(None);
                };
                self.pay_digits(text.len(), true)?;
                let View::Text(text) = self.sink.view(match &args[0] {
                    Slot::Value(text, _) => text,
                    _ => return Ok(None),
                }) else {
                    return Ok(None);
                };
                let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
                let numerator = super::text::digits(numerator.as_bytes())?.to_owned();
                if denominator.starts_with(['-', '+']) {
                    return Err(ErrorKind::Invalid("Fraction").into());
                }
                let denominator = super::text::digits(denominator.as_bytes())?.to_owned();
                (self.int_text(&numerator)?, self.int_text(&denominator)?)
            }
            [Slot::Value(numerator, _), Slot::Value(denominator, _)] => {
                let digits = |value| match self.sink.view(value) {
                    View::Int(_) => Some(20),
                    View::BigInt(bits) => Some(bits as usize * 3 / 10),
                    _ => None,
                };
                let (Some(upper), Some(lower)) = (digits(numerator), digits(denominator)) else {
                    return Ok(None);
                };
                self.pay_digits(upper + lower, true)?;
                (numerator.clone(), denominator.clone())
            }
            _ => return Ok(None),
        };
        if self.sink.view(&denominator) == View::Int(0) {
            return Err(ErrorKind::Invalid("Fraction: its denominator is zero").into());
        }
        self.budget.work(SLOW / 8)?;
        self.sink.known(KnownValue::Fraction(&numerator, &denominator)).map(Some)
    }

    fn bytearray(&mut self, args: &[Slot<S::Value>]) -> Step<'a, S, Option<S::Value>> {
        let bytes = match args {
            [] => Vec::new(),
            [Slot::Value(raw, _)] => match self.sink.view(raw) {
                View::Bytes(bytes) => {
                    self.budget.memory(bytes.len())?;
                    bytes.to_vec()
                }
                _ => return Ok(None),
            },
            [Slot::Value(text, _), Slot::Value(encoding, _)] => {
                match (self.sink.view(text), self.sink.view(encoding)) {
                    (View::Text(text), View::Text("latin-1")) => {
                        self.budget.memory(text.len())?;
                        self.budget.work(text.len() / 4)?;
                        latin1(text).ok_or(ErrorKind::Invalid("bytearray: not latin-1"))?
                    }
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        self.budget.memory(cost::LIST)?;
        self.budget.work(bytes.len() / 16)?;
        self.sink.bytearray(Cow::Owned(bytes)).map(Some)
    }

    /// A set or frozenset of what is in a list.
    fn members(&mut self, list: &S::Value, set: bool) -> Step<'a, S, S::Value> {
        let size = self.sink.len(list);
        // One list may be used many times: small tables, which are not simulated, at their worst.
        self.budget.work(2 * size + size.min(64).pow(2) / 8)?;
        self.budget.memory(cost::SET + cost::SET_ENTRY * size)?;
        let start = self.stack.len();
        self.stack.extend(self.sink.items(list).into_iter().map(|item| Slot::Value(item, 0)));
        if set {
            let made = self.sink.set()?;
            self.check_members(Some(&made), start)?;
            self.sink.add(&made, self.stack.drain(start..).map(Slot::into_value))?;
            Ok(made)
        } else {
            self.check_members(None, start)?;
            self.sink.frozenset(self.stack.drain(start..).map(Slot::into_value))
        }
    }

    /// The two items of each list or tuple in a list, alternating, on top of the stack.
    fn push_pairs(&mut self, pairs: &S::Value) -> Step<'a, S> {
        let size = self.sink.len(pairs);
        self.budget.work(8 * size + size.min(64).pow(2) / 8)?;
        for pair in self.sink.items(pairs) {
            if !matches!(self.sink.view(&pair), View::List | View::Tuple) || self.sink.len(&pair) != 2 {
                return Err(ErrorKind::Invalid("pairs of keys and values").into());
            }
            self.stack.extend(self.sink.items(&pair).into_iter().map(|item| Slot::Value(item, 0)));
        }
        Ok(())
    }

    fn insert_pairs(&mut self, dict: &S::Value, pairs: &S::Value) -> Step<'a, S> {
        let start = self.stack.len();
        self.push_pairs(pairs)?;
        self.budget.memory(cost::DICT_TABLE + cost::DICT_ENTRY * (self.stack.len() - start))?;
        self.check_keys(dict, start)?;
        self.sink.insert(dict, self.stack.drain(start..).map(Slot::into_value))
    }

    /// A dict of lists out of a list of keys and values.
    fn lists_of_pairs(&mut self, pairs: &S::Value) -> Step<'a, S, S::Value> {
        let start = self.stack.len();
        self.push_pairs(pairs)?;
        self.group(start)
    }

    /// A dict of lists out of the keys and values from `start` on.
    fn group(&mut self, start: usize) -> Step<'a, S, S::Value> {
        let count = self.stack.len() - start;
        self.budget.memory(cost::DICT + cost::DICT_TABLE + (cost::DICT_ENTRY + cost::LIST + cost::ITEM) * count)?;
        let dict = self.sink.dict()?;
        let mut lists: std::collections::HashMap<String, S::Value> = std::collections::HashMap::new();
        let items: Vec<_> = self.stack.drain(start..).map(Slot::into_value).collect();
        for pair in items.chunks_exact(2) {
            let View::Text(key) = self.sink.view(&pair[0]) else {
                return Err(ErrorKind::Invalid("multi-value dict: a key is no text").into());
            };
            self.budget.work(1 + key.len() / 16)?;
            let key = key.to_owned();
            let value = [pair[1].clone()];
            match lists.get(&key) {
                Some(list) => self.sink.extend(list, value.into_iter())?,
                None => {
                    let list = self.sink.list(value.into_iter())?;
                    self.sink.insert(&dict, [pair[0].clone(), list.clone()].into_iter())?;
                    lists.insert(key, list);
                }
            }
        }
        Ok(dict)
    }

    /// One dict of lists out of several.
    fn combined(&mut self, dicts: &S::Value) -> Step<'a, S, S::Value> {
        let start = self.stack.len();
        self.budget.work(self.sink.len(dicts))?;
        for dict in self.sink.items(dicts) {
            if self.sink.view(&dict) != View::Dict {
                return Err(ErrorKind::Invalid("CombinedMultiDict: not dicts").into());
            }
            self.budget.work(2 * self.sink.len(&dict))?;
            let entries = self.sink.entries(&dict);
            for pair in entries.chunks_exact(2) {
                let values = if self.sink.view(&pair[1]) == View::List {
                    self.budget.work(self.sink.len(&pair[1]))?;
                    self.sink.items(&pair[1])
                } else {
                    vec![pair[1].clone()]
                };
                self.budget.memory(2 * cost::ITEM * values.len())?;
                for value in values {
                    self.stack.push(Slot::Value(pair[0].clone(), 0));
                    self.stack.push(Slot::Value(value, 0));
                }
            }
        }
        self.group(start)
    }

    fn deque(&mut self, args: &[Slot<S::Value>], depth: &mut u16) -> Step<'a, S, Option<S::Value>> {
        let bound = match args.get(1) {
            None => None,
            Some(Slot::Value(bound, _)) => match self.sink.view(bound) {
                View::None => None,
                View::Int(bound) => Some(usize::try_from(bound).map_err(|_| ErrorKind::Invalid("deque: its maxlen"))?),
                _ => return Ok(None),
            },
            Some(_) => return Ok(None),
        };
        self.budget.memory(cost::OBJECT)?;
        let deque = self.sink.known(KnownValue::Deque(bound))?;
        match args {
            [] => {}
            [Slot::Value(items, inner)] | [Slot::Value(items, inner), _]
                if matches!(self.sink.view(items), View::List | View::Tuple) =>
            {
                *depth = *inner;
                let size = self.sink.len(items);
                self.budget.work(size)?;
                self.budget.memory(cost::ITEM * size)?;
                let start = self.stack.len();
                self.stack.extend(self.sink.items(items).into_iter().map(|item| Slot::Value(item, 0)));
                self.check_chain(&deque, start, 1)?;
                self.sink.extend(&deque, self.stack.drain(start..).map(Slot::into_value))?;
            }
            _ => return Ok(None),
        }
        Ok(Some(deque))
    }

    fn struct_time(&mut self, args: &[Slot<S::Value>]) -> Step<'a, S, Option<S::Value>> {
        let (fields, extra) = match args {
            [Slot::Value(fields, _)] => (fields, None),
            [Slot::Value(fields, _), Slot::Value(extra, _)] => (fields, Some(extra)),
            _ => return Ok(None),
        };
        if self.sink.view(fields) != View::Tuple || !(9..=11).contains(&self.sink.len(fields)) {
            return Ok(None);
        }
        let plain = |sink: &S, value: &S::Value| matches!(sink.view(value), View::Int(_) | View::Text(_) | View::None);
        if !self.sink.items(fields).iter().all(|field| plain(self.sink, field)) {
            return Ok(None);
        }
        if let Some(extra) = extra {
            if self.sink.view(extra) != View::Dict {
                return Ok(None);
            }
            self.budget.work(self.sink.len(extra))?;
            let entries = self.sink.entries(extra);
            let named = |key| matches!(self.sink.view(key), View::Text("tm_zone" | "tm_gmtoff"));
            if !entries.chunks_exact(2).all(|pair| named(&pair[0]) && plain(self.sink, &pair[1])) {
                return Ok(None);
            }
        }
        self.budget.memory(cost::OBJECT / 2)?;
        self.budget.work(20)?;
        self.sink.known(KnownValue::StructTime(fields, extra)).map(Some)
    }

    fn type_code(&self, value: &S::Value) -> Option<char> {
        match self.sink.view(value) {
            View::Text(text) if text.len() == 1 => text.chars().next().filter(|code| "bBuwhHiIlLqQfd".contains(*code)),
            _ => None,
        }
    }

    // ---- instances that had to wait for their state

    pub(super) fn finish_known(
        &mut self,
        known: Known,
        global: u32,
        args: &[S::Value],
        state: Option<&S::Value>,
    ) -> Step<'a, S, S::Value> {
        let invalid = ErrorKind::Invalid("state or arguments for this type");
        match known {
            Known::Uuid => self.uuid(state),
            Known::MultiValueDict | Known::MultiDict | Known::PairsDict => match state {
                Some(state) => self.lists_of(known, state),
                None => self.empty_dict(),
            },
            Known::PlainDict | Known::SortedDict => self.empty_dict(),
            Known::PlainList => {
                self.budget.memory(cost::LIST)?;
                self.sink.list(std::iter::empty())
            }
            Known::MergeDict => {
                let Some(state) = state else {
                    return Err(invalid.into());
                };
                let dicts = self.under(state, "dicts")?.ok_or(invalid)?;
                if !matches!(self.sink.view(&dicts), View::Tuple | View::List) {
                    return Err(ErrorKind::Invalid("MergeDict: its dicts").into());
                }
                self.budget.work(self.sink.len(&dicts))?;
                let merged = self.empty_dict()?;
                // The first dict that has a key wins.
                for dict in self.sink.items(&dicts).iter().rev() {
                    if self.sink.view(dict) != View::Dict {
                        return Err(ErrorKind::Invalid("MergeDict: its dicts").into());
                    }
                    self.copy_entries(dict, &merged)?;
                }
                Ok(merged)
            }
            Known::OffsetZone => self.offset_zone(args, state)?.ok_or_else(|| invalid.into()),
            Known::LocalZone => {
                let reason = "its offset depends on the machine that wrote it";
                let refused = ErrorKind::ForbiddenUse { name: self.global_name(global), reason };
                let offsets = match state {
                    Some(state) => (
                        self.under_any(state, &["_std_offset", "STDOFFSET"])?,
                        self.under_any(state, &["_dst_offset", "DSTOFFSET"])?,
                    ),
                    None => (None, None),
                };
                let (Some(offset), Some(dst)) = offsets else {
                    return Err(refused.into());
                };
                let (offset, dst) = (self.duration(&offset, 1_000_000)?, self.duration(&dst, 1_000_000)?);
                if offset == dst { self.fixed_zone(offset, None) } else { Err(refused.into()) }
            }
            Known::FileZone => {
                let name = match args {
                    [.., name] if matches!(self.sink.view(name), View::Text(_)) => Some(name.clone()),
                    _ => match state {
                        Some(state) => self.under(state, "_filename")?,
                        None => None,
                    },
                };
                let key = match name.as_ref().map(|name| self.sink.view(name)) {
                    Some(View::Text(path)) => path.rsplit_once("zoneinfo/").map_or(path, |(_, key)| key).to_owned(),
                    _ => return Err(ErrorKind::Invalid("tzfile: it has no name").into()),
                };
                let key = self.sink.text(Cow::Owned(key))?;
                self.zone_info(&key, true)
            }
            Known::Discarded => self.sink.none(),
            Known::VariantZone => match args {
                [_, offset, .., name] => {
                    let offset = self.duration(offset, 1_000_000)?;
                    self.fixed_zone(offset, Some(name))
                }
                _ => Err(invalid.into()),
            },
            Known::NamedZone => match args {
                [name, ..] => self.zone_info(&name.clone(), true),
                [] => {
                    let Some(state) = state else {
                        return Err(invalid.into());
                    };
                    let name = self.under_any(state, &["_name", "key"])?.ok_or(invalid)?;
                    self.zone_info(&name, true)
                }
            },
            Known::FixedZone => {
                let (offset, name) = match (args, state) {
                    ([offset, name @ ..], _) => (offset.clone(), name.first().cloned()),
                    ([], Some(state)) => (self.under(state, "_offset")?.ok_or(invalid)?, self.under(state, "_name")?),
                    ([], None) => return Err(invalid.into()),
                };
                let offset = self.duration(&offset, 1_000_000)?;
                self.fixed_zone(offset, name.as_ref())
            }
            Known::Money => {
                let (amount, currency) = match (args, state) {
                    ([amount, currency], _) => (amount.clone(), currency.clone()),
                    (_, Some(state)) => (
                        self.under_any(state, &["amount", "_amount"])?.ok_or(invalid)?,
                        self.under_any(state, &["currency", "_currency"])?
                            .ok_or(ErrorKind::Invalid("Money: its currency"))?,
                    ),
                    _ => return Err(invalid.into()),
                };
                let money = self.empty_dict()?;
                let entries = [
                    self.sink.text(Cow::Borrowed("amount"))?,
                    amount,
                    self.sink.text(Cow::Borrowed("currency"))?,
                    currency,
                ];
                self.budget.memory(cost::DICT_TABLE)?;
                self.sink.insert(&money, entries.into_iter())?;
                Ok(money)
            }
            Known::Currency => {
                let code = match (args, state) {
                    ([code, ..], _) => code.clone(),
                    (_, Some(state)) => self.under(state, "code")?.ok_or(invalid)?,
                    _ => return Err(invalid.into()),
                };
                match self.sink.view(&code) {
                    View::Text(_) => Ok(code),
                    _ => Err(ErrorKind::Invalid("Currency: its code").into()),
                }
            }
            _ => Err(ErrorKind::GlobalAsValue { name: self.global_name(global) }.into()),
        }
    }

    fn empty_dict(&mut self) -> Step<'a, S, S::Value> {
        self.budget.memory(cost::DICT)?;
        self.sink.dict()
    }

    /// dateutil's `tzoffset(name, seconds)`, Django's `FixedOffset(minutes, name)`, or their state.
    fn offset_zone(&mut self, args: &[S::Value], state: Option<&S::Value>) -> Step<'a, S, Option<S::Value>> {
        let (offset, name) = match (args, state) {
            ([], Some(state)) => {
                let offset = self.under_any(state, &["_offset", "_FixedOffset__offset"])?;
                (offset, self.under_any(state, &["_name", "_FixedOffset__name"])?)
            }
            _ => {
                let is_offset =
                    |value: &S::Value| matches!(self.sink.view(value), View::Int(_) | View::TimeDelta { .. });
                match args {
                    [name, offset, ..] if is_offset(offset) => (Some(offset.clone()), Some(name.clone())),
                    [minutes, name @ ..] if is_offset(minutes) => {
                        let offset = self.duration(minutes, 60_000_000)?;
                        return self.fixed_zone(offset, name.first()).map(Some);
                    }
                    _ => (None, None),
                }
            }
        };
        let Some(offset) = offset else {
            return Ok(None);
        };
        let offset = self.duration(&offset, 1_000_000)?;
        self.fixed_zone(offset, name.as_ref()).map(Some)
    }

    /// The text of a plural: its singular for the number one.
    fn lazy_plural(&mut self, kwargs: &S::Value) -> Step<'a, S, Option<Slot<S::Value>>> {
        let one = self.under(kwargs, "number")?.is_some_and(|number| self.sink.view(&number) == View::Int(1));
        let text = self.under(kwargs, if one { "singular" } else { "plural" })?;
        Ok(text.filter(|text| self.sink.is_text(text)).map(|text| Slot::Value(text, 0)))
    }

    /// Hour, minute, second and microsecond as integers.
    fn clock_fields(&self, fields: &[Slot<S::Value>]) -> Option<Clock> {
        let [hour, minute, second, microsecond] = fields else {
            return None;
        };
        let field = |slot: &Slot<S::Value>, bound: i64| match slot {
            Slot::Value(value, _) => match self.sink.view(value) {
                View::Int(value) if (0..=bound).contains(&value) => Some(value),
                _ => None,
            },
            _ => None,
        };
        Some(Clock {
            hour: field(hour, 23)? as u8,
            minute: field(minute, 59)? as u8,
            second: field(second, 59)? as u8,
            microsecond: field(microsecond, 999_999)? as u32,
            fold: false,
        })
    }

    /// A datetime out of seven integers.
    fn date_time_fields(
        &mut self,
        fields: &[Slot<S::Value>],
        zone: &[Slot<S::Value>],
    ) -> Step<'a, S, Option<Slot<S::Value>>> {
        let ints: Vec<i64> = fields
            .iter()
            .filter_map(|field| match field {
                Slot::Value(value, _) => match self.sink.view(value) {
                    View::Int(value) => Some(value),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        let (Some(clock), &[year @ 1..=9999, month @ 1..=12, day @ 1..=31, ..]) =
            (self.clock_fields(fields.get(3..).unwrap_or_default()), ints.as_slice())
        else {
            return Ok(None);
        };
        let year = (year as u16).to_be_bytes();
        let day = split_date(&[year[0], year[1], month as u8, day as u8])?;
        let zone = self.zone_argument(zone)?;
        Ok(Some(Slot::Value(self.sink.known(KnownValue::DateTime(day, clock, zone.as_ref()))?, 0)))
    }

    /// The unit out of `({}, (unit, 1, 1, 1))`, the metadata of a numpy datetime.
    fn numpy_unit(&self, metadata: &S::Value) -> Option<String> {
        let inner = (self.sink.view(metadata) == View::Tuple).then(|| self.sink.item(metadata, 1))??;
        let inner: Vec<_> = (self.sink.view(&inner) == View::Tuple).then(|| self.sink.items(&inner))?;
        let ones = inner.get(1..)?.iter().all(|count| self.sink.view(count) == View::Int(1));
        match self.sink.view(inner.first()?) {
            View::Text(unit) if ones => Some(unit.to_owned()),
            View::Bytes(unit) if ones => std::str::from_utf8(unit).ok().map(str::to_owned),
            _ => None,
        }
    }

    /// A numpy datetime64 or timedelta64, as numpy's own `item()` gives it.
    fn numpy_time(&mut self, instant: bool, count: i64, unit: &str) -> Step<'a, S, Option<S::Value>> {
        let factor: i64 = match unit {
            _ if count == i64::MIN => return self.sink.none().map(Some),
            "ns" | "ps" | "fs" | "as" => return self.sink.int(count).map(Some),
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "D" => 86_400_000_000,
            _ => return Ok(None),
        };
        let Some(microseconds) = count.checked_mul(factor) else {
            return Ok(None);
        };
        if !instant {
            let (days, seconds, microseconds) = normal_timedelta(0, 0, microseconds)?;
            return self.sink.known(KnownValue::TimeDelta { days, seconds, microseconds }).map(Some);
        }
        let (Some(day), rest) =
            (civil(microseconds.div_euclid(86_400_000_000)), microseconds.rem_euclid(86_400_000_000))
        else {
            return Ok(None);
        };
        if unit == "D" {
            return self.sink.known(KnownValue::Date(day)).map(Some);
        }
        let seconds = rest / 1_000_000;
        let clock = Clock {
            hour: (seconds / 3_600) as u8,
            minute: (seconds / 60 % 60) as u8,
            second: (seconds % 60) as u8,
            microsecond: (rest % 1_000_000) as u32,
            fold: false,
        };
        self.sink.known(KnownValue::DateTime(day, clock, None)).map(Some)
    }

    /// A numpy scalar as a Python scalar.
    fn numpy_scalar(&mut self, dtype: usize, raw: &S::Value) -> Step<'a, S, Option<S::Value>> {
        let Pending::Instance(dtype) = &self.pending[dtype] else {
            return Ok(None);
        };
        if dtype.known != Some(Known::NumpyDtype) {
            return Ok(None);
        }
        let Some(View::Text(code)) = dtype.args.first().map(|code| self.sink.view(code)) else {
            return Ok(None);
        };
        let mut chars = code.chars();
        let (Some(kind), Ok(size)) = (chars.next(), chars.as_str().parse::<usize>()) else {
            return Ok(None);
        };
        let state = dtype.state.as_ref().filter(|state| self.sink.view(state) == View::Tuple);
        let state = state.map(|state| self.sink.items(state)).unwrap_or_default();
        let big_endian = state.get(1).is_some_and(|order| self.sink.view(order) == View::Text(">"));
        let unit = state.get(8).and_then(|metadata| self.numpy_unit(metadata));
        let mut bytes = match self.sink.view(raw) {
            View::Bytes(bytes) => bytes.to_vec(),
            View::Text(text) if text.len() == size || kind == 'S' => text.as_bytes().to_vec(),
            View::Text(text) => match latin1(text) {
                Some(bytes) => bytes,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        let wanted = if kind == 'U' { size.saturating_mul(4) } else { size };
        if bytes.len() != wanted {
            return Ok(None);
        }
        self.budget.memory(wanted)?;
        self.budget.work(4 + wanted / 4)?;
        if big_endian && matches!(kind, 'i' | 'u' | 'f') {
            bytes.reverse();
        }
        let value = match (kind, bytes.as_slice()) {
            ('M' | 'm', &[a, b, c, d, e, f, g, h]) if !big_endian => {
                let count = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
                return self.numpy_time(kind == 'M', count, unit.unwrap_or_default().as_str());
            }
            ('b', &[byte @ 0..=1]) => self.sink.bool(byte == 1)?,
            ('i' | 'u', bytes) if matches!(size, 1 | 2 | 4 | 8) => {
                let fill = if kind == 'i' && bytes[size - 1] >= 0x80 { 0xFF } else { 0 };
                let mut wide = [fill; 9];
                wide[..size].copy_from_slice(bytes);
                match (
                    i64::from_le_bytes([wide[0], wide[1], wide[2], wide[3], wide[4], wide[5], wide[6], wide[7]]),
                    kind,
                ) {
                    (value, 'u') if value < 0 => self.sink.big_int(&wide)?,
                    (value, _) => self.sink.int(value)?,
                }
            }
            ('f', &[a, b, c, d]) => self.sink.float(f32::from_le_bytes([a, b, c, d]).into())?,
            ('f', &[a, b, c, d, e, f, g, h]) => self.sink.float(f64::from_le_bytes([a, b, c, d, e, f, g, h]))?,
            ('c', &[a, b, c, d, e, f, g, h]) if !big_endian => {
                let (real, imaginary) = (f32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]));
                self.sink.known(KnownValue::Complex(real.into(), imaginary.into()))?
            }
            ('c', bytes) if !big_endian && size == 16 => {
                let half = |start: usize| bytes[start..].first_chunk().map(|half| f64::from_le_bytes(*half));
                match (half(0), half(8)) {
                    (Some(real), Some(imaginary)) => self.sink.known(KnownValue::Complex(real, imaginary))?,
                    _ => return Ok(None),
                }
            }
            ('S', bytes) => {
                let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                let bytes = bytes[..end].to_vec();
                self.sink.bytes(Cow::Owned(bytes))?
            }
            ('U', bytes) => {
                let mut text = String::new();
                for unit in bytes.chunks_exact(4) {
                    let unit = [unit[0], unit[1], unit[2], unit[3]];
                    let unit = if big_endian { u32::from_be_bytes(unit) } else { u32::from_le_bytes(unit) };
                    match char::from_u32(unit) {
                        Some(character) => text.push(character),
                        None => return Ok(None),
                    }
                }
                text.truncate(text.trim_end_matches('\0').len());
                self.sink.text(Cow::Owned(text))?
            }
            _ => return Ok(None),
        };
        Ok(Some(value))
    }
}

#[cold]
fn wrong(row: &Row) -> ErrorKind {
    ErrorKind::ForbiddenUse { name: format!("{}.{}", row.module, row.name).into(), reason: "not with these arguments" }
}

fn deepen<V>(slot: Slot<V>, depth: u16) -> Slot<V> {
    match slot {
        Slot::Value(value, own) => Slot::Value(value, own.max(depth)),
        slot => slot,
    }
}

/// The width in bytes of an array's items, whether they have a sign, and whether they are floats.
fn item_kind(code: char) -> Option<(u32, bool, bool)> {
    Some(match code {
        'b' => (1, true, false),
        'B' => (1, false, false),
        'h' => (2, true, false),
        'H' => (2, false, false),
        'i' => (4, true, false),
        'I' => (4, false, false),
        'l' => (size_of::<std::ffi::c_long>() as u32, true, false),
        'L' => (size_of::<std::ffi::c_long>() as u32, false, false),
        'q' => (8, true, false),
        'Q' => (8, false, false),
        'f' => (4, true, true),
        'd' => (8, true, true),
        _ => return None,
    })
}

/// Whether an array of this type code can hold a value.
fn fits(code: char, view: View<'_>) -> bool {
    match (item_kind(code), view) {
        (None, View::Text(text)) => text.chars().count() == 1,
        (Some((_, _, true)), View::Float(_) | View::Int(_)) => true,
        (Some((width, true, false)), View::Int(value)) => value >> (8 * width - 1) == value >> 63,
        (Some((width, false, false)), View::Int(value)) => value >= 0 && (width == 8 || value >> (8 * width) == 0),
        (Some((8, false, false)), View::BigInt(bits)) => bits <= 64,
        _ => false,
    }
}

/// Whether bytes of this machine format fill an array of this type code.
fn is_array(code: char, format: u8, bytes: &[u8]) -> bool {
    // The order of `array`'s own machine format codes: two signs or two byte orders of each.
    let (width, signed, float) = match format {
        0 | 1 => (1, format == 1, false),
        2 | 3 => (2, false, false),
        4 | 5 => (2, true, false),
        6 | 7 => (4, false, false),
        8 | 9 => (4, true, false),
        10 | 11 => (8, false, false),
        12 | 13 => (8, true, false),
        14 | 15 => (4, true, true),
        16 | 17 => (8, true, true),
        18 | 19 => {
            let units = bytes.chunks_exact(2).map(|unit| match format {
                18 => u16::from_le_bytes([unit[0], unit[1]]),
                _ => u16::from_be_bytes([unit[0], unit[1]]),
            });
            return item_kind(code).is_none()
                && bytes.len().is_multiple_of(2)
                && char::decode_utf16(units).all(|unit| unit.is_ok());
        }
        _ => {
            let valid = bytes.chunks_exact(4).all(|unit| match format {
                20 => u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]) <= 0x10_FFFF,
                _ => u32::from_be_bytes([unit[0], unit[1], unit[2], unit[3]]) <= 0x10_FFFF,
            });
            return item_kind(code).is_none() && bytes.len().is_multiple_of(4) && valid;
        }
    };
    let fits = item_kind(code).is_some_and(|(held, sign, floats)| width <= held && sign == signed && floats == float);
    fits && bytes.len().is_multiple_of(width as usize)
}

/// Whether text is an address, with the length of its prefix for a network or an interface.
fn is_ip(ip: Ip, text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let (bits, int) = match ip {
        Ip::V4Address | Ip::V4Network | Ip::V4Interface => match address.parse::<Ipv4Addr>() {
            Ok(address) => (32, u128::from(u32::from(address)) << 96),
            Err(_) => return false,
        },
        Ip::V6Address | Ip::V6Network | Ip::V6Interface => {
            let (address, scope) = address.split_once('%').unwrap_or((address, "scope"));
            match address.parse::<Ipv6Addr>() {
                Ok(address) if !scope.is_empty() && scope.len() <= 64 && !scope.contains('%') => {
                    (128, u128::from(address))
                }
                _ => return false,
            }
        }
    };
    let prefix = match prefix.map(str::parse) {
        None => bits,
        Some(Ok(prefix)) if prefix <= bits => prefix,
        Some(_) => return false,
    };
    match ip {
        Ip::V4Address | Ip::V6Address => !text.contains('/'),
        Ip::V4Interface | Ip::V6Interface => true,
        // No bit of the host may be set.
        Ip::V4Network | Ip::V6Network => int.checked_shl(prefix).unwrap_or(0) == 0,
    }
}

/// The bytes that text stands for, if each character is one.
pub fn latin1(text: &str) -> Option<Vec<u8>> {
    let raw = text.as_bytes();
    // Characters up to U+00FF take one byte of UTF-8, or two of which the first is below 0xC4.
    if raw.iter().any(|&byte| byte >= 0xC4) {
        return None;
    }
    let mut out = vec![0; raw.len()];
    let (mut end, mut previous) = (0, 0u8);
    for &byte in raw {
        // No branch: random bytes would mispredict half of them. A first byte is written over.
        let rest = u8::from(byte & 0xC0 == 0x80);
        out[end] = (byte & !(rest * 0xC0)) | (rest * (previous << 6));
        end += usize::from(byte < 0xC0);
        previous = byte;
    }
    out.truncate(end);
    Some(out)
}

fn split_date(raw: &[u8]) -> Result<Day, ErrorKind> {
    let invalid = ErrorKind::Invalid("date: its bytes");
    let &[high, low, month, day] = raw else {
        return Err(invalid);
    };
    let year = u16::from(high) << 8 | u16::from(low);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    };
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=days).contains(&day) {
        return Err(invalid);
    }
    Ok(Day { year, month, day })
}

/// The date that is so many days after 1970-01-01, if Python has it.
fn civil(days: i64) -> Option<Day> {
    // Years are counted from March here, so that a leap day is the last of its year.
    let days = days.checked_add(719_468)?;
    let (era, rest) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (rest - rest / 1_460 + rest / 36_524 - rest / 146_096) / 365;
    let day_of_year = rest - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let year = u16::try_from(year).ok().filter(|year| (1..=9999).contains(year))?;
    Some(Day { year, month: month as u8, day: day as u8 })
}

fn split_time(raw: &[u8]) -> Result<Clock, ErrorKind> {
    let invalid = ErrorKind::Invalid("time: its bytes");
    let &[first, minute, second, high, middle, low] = raw else {
        return Err(invalid);
    };
    let (hour, fold) = (first & 0x7F, first >= 0x80);
    let microsecond = u32::from_be_bytes([0, high, middle, low]);
    if hour > 23 || minute > 59 || second > 59 || microsecond > 999_999 {
        return Err(invalid);
    }
    Ok(Clock { hour, minute, second, microsecond, fold })
}

fn split_datetime(raw: &[u8]) -> Result<(Day, Clock), ErrorKind> {
    let &[a, b, month, day, hour, ref rest @ ..] = raw else {
        return Err(ErrorKind::Invalid("datetime: its bytes"));
    };
    // The fold is the high bit of the month here, and of the hour in a time.
    if hour >= 0x80 || rest.len() != 5 {
        return Err(ErrorKind::Invalid("datetime: its bytes"));
    }
    let date = split_date(&[a, b, month & 0x7F, day])?;
    let clock = split_time(&[hour | (month & 0x80), rest[0], rest[1], rest[2], rest[3], rest[4]])?;
    Ok((date, clock))
}

/// Days, seconds and microseconds as Python keeps them.
fn normal_timedelta(days: i64, seconds: i64, microseconds: i64) -> Result<(i32, i32, i32), ErrorKind> {
    let total = i128::from(days) * 86_400_000_000 + i128::from(seconds) * 1_000_000 + i128::from(microseconds);
    let rest = total.rem_euclid(86_400_000_000) as i64;
    match i32::try_from(total.div_euclid(86_400_000_000)) {
        Ok(days) if days.abs() <= 999_999_999 => Ok((days, (rest / 1_000_000) as i32, (rest % 1_000_000) as i32)),
        _ => Err(ErrorKind::Invalid("timedelta: out of range")),
    }
}
