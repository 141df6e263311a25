//! numpy's scalars as Python's, as their own `item()` gives them.

use std::borrow::Cow;

use crate::globals::Known;
use crate::latin1;
use crate::sink::{Clock, KnownValue, Sink, View};

use super::fields::{civil, normal_timedelta};
use super::instance::Pending;
use super::{Machine, Step};

impl<'a, S: Sink<'a>> Machine<'a, '_, S> {
    /// The unit out of `({}, (unit, 1, 1, 1))`, the metadata of a numpy datetime.
    pub(super) fn numpy_unit(&self, metadata: &S::Value) -> Option<String> {
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
    pub(super) fn numpy_time(&mut self, instant: bool, count: i64, unit: &str) -> Step<'a, S, Option<S::Value>> {
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
    pub(super) fn numpy_scalar(&mut self, dtype: usize, raw: &S::Value) -> Step<'a, S, Option<S::Value>> {
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
            View::Text(text) => match latin1::encode(text.as_bytes()) {
                Some(bytes) => bytes.into_vec(),
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
