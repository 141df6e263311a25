//! What a framework's names make: plain equivalents, or the framework's own value by the policy's builder.

use std::borrow::Cow;

use crate::error::ErrorKind;
use crate::globals::{Gettext, Known, Row};
use crate::sink::{Clock, How, KnownValue, Sink, View};

use super::construct::{Args, SLOW, deepen};
use super::fields::split_date;
use super::instance::Pending;
use super::{Machine, Slot, Step, cost};

impl<'a, S: Sink<'a>> Machine<'a, '_, S> {
    /// A row that stands for a framework's value.
    pub(super) fn framework(
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

    /// A dict of lists out of a list of keys and values.
    pub(super) fn lists_of_pairs(&mut self, pairs: &S::Value) -> Step<'a, S, S::Value> {
        let start = self.stack.len();
        self.push_pairs(pairs)?;
        self.group(start)
    }

    /// A dict of lists out of the keys and values from `start` on.
    pub(super) fn group(&mut self, start: usize) -> Step<'a, S, S::Value> {
        let count = self.stack.len() - start;
        self.budget.memory(cost::DICT + cost::DICT_TABLE + (cost::DICT_ENTRY + cost::LIST + cost::ITEM) * count)?;
        let dict = self.sink.dict()?;
        let mut lists: std::collections::HashMap<String, S::Value> = std::collections::HashMap::new();
        let items: Vec<_> = self.stack.values(start).collect();
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
    pub(super) fn combined(&mut self, dicts: &S::Value) -> Step<'a, S, S::Value> {
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
                    self.stack.push_leaf(pair[0].clone())?;
                    self.stack.push_leaf(value)?;
                }
            }
        }
        self.group(start)
    }

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

    pub(super) fn empty_dict(&mut self) -> Step<'a, S, S::Value> {
        self.budget.memory(cost::DICT)?;
        self.sink.dict()
    }

    /// dateutil's `tzoffset(name, seconds)`, Django's `FixedOffset(minutes, name)`, or their state.
    pub(super) fn offset_zone(&mut self, args: &[S::Value], state: Option<&S::Value>) -> Step<'a, S, Option<S::Value>> {
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
    pub(super) fn lazy_plural(&mut self, kwargs: &S::Value) -> Step<'a, S, Option<Slot<S::Value>>> {
        let one = self.under(kwargs, "number")?.is_some_and(|number| self.sink.view(&number) == View::Int(1));
        let text = self.under(kwargs, if one { "singular" } else { "plural" })?;
        Ok(text.filter(|text| self.sink.is_text(text)).map(|text| Slot::Value(text, 0)))
    }

    /// Hour, minute, second and microsecond as integers.
    pub(super) fn clock_fields(&self, fields: &[Slot<S::Value>]) -> Option<Clock> {
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
    pub(super) fn date_time_fields(
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
        let day =
            split_date(&[year[0], year[1], month as u8, day as u8]).ok_or(ErrorKind::Invalid("date: its bytes"))?;
        let zone = self.zone_argument(zone)?;
        Ok(Some(Slot::Value(self.sink.known(KnownValue::DateTime(day, clock, zone.as_ref()))?, 0)))
    }
}
