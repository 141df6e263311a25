//! The keys of dicts, which sessions have in common: their text, and the dicts that have just these keys.
//!
//! Both tables have a fixed size, and a newcomer takes the place of what was there: whoever sends
//! hostile keys makes others miss, and nothing more. Only keys are kept, and no value.

use std::sync::{Mutex, MutexGuard, TryLockError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::machine::Scratch;
use crate::sink;

use super::ffi::{self, Layout};

/// Keys that are kept.
const KEYS: usize = 2048;
/// The longest key that is kept, in bytes.
const KEY_BYTES: usize = 64;
/// Sets of keys that are kept.
const SHAPES: usize = 256;
/// How many keys such a set has: smaller dicts are as quickly filled, larger ones are rare.
const SHAPE_KEYS: std::ops::RangeInclusive<usize> = 3..=32;

/// The tables of one policy.
#[derive(Default)]
pub struct Keys(Mutex<Tables>);

/// The tables, while one pickle is read.
pub type Held<'p> = MutexGuard<'p, Tables>;

#[derive(Default)]
pub struct Tables {
    keys: Vec<Option<Key>>,
    /// Where the key that was used last stands, and the one that followed it.
    last: usize,
    due: usize,
    shapes: Vec<Shape>,
    last_shape: usize,
    /// Tables of the machine, while it does not have them.
    pub scratch: Option<Scratch>,
}

/// A key, its hash, and where the one stands that followed it.
struct Key {
    hash: u64,
    text: Py<PyString>,
    next: usize,
}

impl Key {
    /// Its text, if it is this one.
    #[inline(always)]
    fn held<'py>(&self, py: Python<'py>, raw: &[u8]) -> Option<Bound<'py, PyString>> {
        let text = self.text.bind(py);
        if ffi::ascii(text).is_some_and(|text| same(text, raw)) { Some(text.clone()) } else { None }
    }
}

/// Dicts of the same keys in the same order.
#[derive(Default)]
struct Shape {
    hash: u64,
    made: Option<Made>,
    /// Where the one stands that followed it.
    next: usize,
}

impl Shape {
    /// Whether it was made, and of these very keys.
    #[inline(always)]
    fn is_of<'py>(&self, keys: &impl sink::Keys<Bound<'py, PyAny>>) -> bool {
        self.made.as_ref().is_some_and(|made| {
            made.keys.len() == keys.iter().len()
                && made
                    .keys
                    .iter()
                    .zip(keys.iter())
                    .all(|(held, key)| *held == key.map_or(0, |key| key.as_ptr() as usize))
        })
    }
}

/// What is known of such dicts, from the second time on that their keys are seen.
struct Made {
    /// The keys, held by the dict.
    keys: Vec<usize>,
    dict: Py<PyDict>,
    layout: Option<Layout>,
}

impl Keys {
    /// The tables, unless they are in use: by the load that this one is inside of.
    pub fn hold(&self) -> Option<Held<'_>> {
        match self.0.try_lock() {
            Ok(tables) => Some(tables),
            Err(TryLockError::Poisoned(tables)) => Some(tables.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Tables {
    /// The key that followed the last one before, if it is this one.
    #[inline(always)]
    pub fn expected<'py>(&mut self, py: Python<'py>, raw: &[u8]) -> Option<Bound<'py, PyString>> {
        let key = self.keys.get(self.due)?.as_ref()?;
        let text = key.held(py, raw)?;
        (self.last, self.due) = (self.due, key.next);
        Some(text)
    }

    /// Any other key. If it is short and ASCII, it is kept from now on.
    pub fn find<'py>(&mut self, py: Python<'py>, raw: &[u8]) -> PyResult<Bound<'py, PyString>> {
        let Some(hash) = hash_of_ascii(raw) else {
            return Ok(ffi::utf8(py, raw)?);
        };
        if self.keys.is_empty() {
            self.keys.resize_with(KEYS, || None);
        }
        let place = 2 * (hash >> 54) as usize;
        for at in place..place + 2 {
            if let Some(key) = &self.keys[at]
                && key.hash == hash
                && let Some(text) = key.held(py, raw)
            {
                self.follow(at);
                return Ok(text);
            }
        }
        let made = ffi::utf8(py, raw)?;
        // The older of two goes.
        self.keys.swap(place, place + 1);
        self.keys[place] = Some(Key { hash, text: made.clone().unbind(), next: place });
        self.follow(place);
        Ok(made)
    }

    /// Notes that the key at `at` follows the last one.
    fn follow(&mut self, at: usize) {
        if let Some(Some(last)) = self.keys.get_mut(self.last) {
            last.next = at;
        }
        (self.last, self.due) = (at, self.keys[at].as_ref().map_or(at, |key| key.next));
    }

    /// Whether a dict of these keys was seen before. If not, the next one will have been.
    #[inline(always)]
    pub fn knows<'py>(&mut self, py: Python<'py>, keys: &impl sink::Keys<Bound<'py, PyAny>>) -> bool {
        if !SHAPE_KEYS.contains(&keys.iter().len()) {
            return false;
        }
        // The shape that followed the last one before, or else by the hash.
        let next = self.shapes.get(self.last_shape).map_or(0, |last| last.next);
        if self.shapes.get(next).is_some_and(|shape| shape.is_of(keys)) {
            self.last_shape = next;
            return true;
        }
        self.knows_other(py, keys)
    }

    #[inline(never)]
    fn knows_other<'py>(&mut self, py: Python<'py>, keys: &impl sink::Keys<Bound<'py, PyAny>>) -> bool {
        // The first and the last key and their number find the set; all keys are compared.
        let (Some(Some(first)), Some(Some(last))) = (keys.iter().next(), keys.iter().next_back()) else {
            return false;
        };
        if !first.is_exact_instance_of::<PyString>() {
            return false;
        }
        let ends = [first, last].into_iter();
        let hash = ends.fold(keys.iter().len() as u64, |hash, key| mix(hash, ffi::known_hash(key) as u64));
        let place = 2 * (hash >> 57) as usize;
        let Some(at) = (place..place + 2).find(|&at| self.shapes.get(at).is_some_and(|shape| shape.is_of(keys))) else {
            self.learn_shape(py, keys, hash);
            return false;
        };
        if let Some(last) = self.shapes.get_mut(self.last_shape) {
            last.next = at;
        }
        self.last_shape = at;
        true
    }

    /// Puts keys, which are known, and their values into an empty dict. False: nothing was put.
    #[inline]
    pub fn fill<'py>(
        &self,
        dict: &Bound<'py, PyDict>,
        items: &mut impl Iterator<Item = Bound<'py, PyAny>>,
    ) -> PyResult<bool> {
        match self.shapes.get(self.last_shape).and_then(|shape| shape.made.as_ref()) {
            Some(Made { keys, dict: sample, layout: Some(layout) }) => {
                let last = keys.last().copied().unwrap_or_default();
                Ok(layout.fill(dict, sample.bind(dict.py()), last, items)?)
            }
            _ => Ok(false),
        }
    }

    #[cold]
    fn learn_shape<'py>(&mut self, py: Python<'py>, keys: &impl sink::Keys<Bound<'py, PyAny>>, hash: u64) {
        if self.shapes.is_empty() {
            self.shapes.resize_with(SHAPES, Shape::default);
        }
        let at = 2 * (hash >> 57) as usize;
        match self.shapes[at..at + 2].iter_mut().find(|shape| shape.hash == hash && shape.made.is_none()) {
            Some(shape) => shape.made = keys.iter().collect::<Option<Vec<_>>>().and_then(|keys| Made::of(py, &keys)),
            None => {
                // The older of two goes.
                self.shapes.swap(at, at + 1);
                self.shapes[at] = Shape { hash, made: None, next: at };
            }
        }
    }
}

impl Made {
    fn of<'py>(py: Python<'py>, keys: &[&Bound<'py, PyAny>]) -> Option<Self> {
        // What stays must be small. Of other keys each pickle makes its own.
        let short = |text: &Bound<'py, PyString>| ffi::ascii(text).is_some_and(|text| text.len() <= KEY_BYTES);
        if !keys.iter().all(|key| key.cast_exact().is_ok_and(short)) {
            return None;
        }
        let dict = ffi::dict(py).ok()?;
        for key in keys {
            // Each value a different object, for its place to be found.
            ffi::set_item(&dict, key, ffi::list(py, std::iter::empty()).ok()?.as_any()).ok()?;
        }
        // With a key that comes twice, the second would miss its place.
        if dict.len() != keys.len() {
            return None;
        }
        let copy = ffi::dict(py).ok()?;
        ffi::update(&copy, &dict).ok()?;
        // A dict that never held a list: the garbage collector leaves it and its copies alone.
        let clean = ffi::dict(py).ok()?;
        for key in keys {
            ffi::set_item(&clean, key, py.None().bind(py)).ok()?;
        }
        let size = |object: &Bound<'py, PyDict>| object.call_method0("__sizeof__").ok()?.extract::<usize>().ok();
        let table = size(&copy)?.checked_sub(size(&ffi::dict(py).ok()?)?)?;
        let layout = if size(&clean)? == size(&copy)? { Layout::of(&copy, &clean, table) } else { None };
        let keys = keys.iter().map(|key| key.as_ptr() as usize).collect();
        Some(Self { keys, dict: clean.unbind(), layout })
    }
}

/// Whether two short texts are the same.
#[inline(always)]
fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    // By words, of which the last two may overlap.
    match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        (Some(last), Some(other_last)) => {
            let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
            words.fold(word(last) ^ word(other_last), |differ, (one, other)| differ | (word(one) ^ word(other))) == 0
        }
        _ => small_word(one) == small_word(other),
    }
}

#[inline(always)]
fn word(raw: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*raw)
}

/// Two to seven bytes as a word. With their number it tells them from all others.
#[inline(always)]
fn small_word(raw: &[u8]) -> u64 {
    match (raw.first_chunk::<4>(), raw.last_chunk::<4>()) {
        (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)),
        _ => raw.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

#[inline(always)]
fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A hash of text that is short and ASCII. Not keyed: what it finds is compared.
#[inline]
fn hash_of_ascii(raw: &[u8]) -> Option<u64> {
    let length = raw.len();
    if !(2..=KEY_BYTES).contains(&length) {
        return None;
    }
    let mut hash = length as u64;
    let mut seen = 0;
    if let Some(last) = raw.last_chunk::<8>() {
        for chunk in raw.as_chunks::<8>().0 {
            let next = word(chunk);
            seen |= next;
            hash = mix(hash, next);
        }
        let last = word(last);
        seen |= last;
        hash = mix(hash, last);
    } else {
        let word = small_word(raw);
        seen |= word;
        hash = mix(hash, word);
    }
    (seen & 0x8080_8080_8080_8080 == 0).then(|| mix(hash, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_ascii_text_has_a_hash() {
        assert!(hash_of_ascii(b"name").is_some());
        assert!(hash_of_ascii(&[b'k'; 64]).is_some());
        for other in [&b""[..], b"k", "naïve key".as_bytes(), "é".as_bytes(), &[b'k'; 65]] {
            assert!(hash_of_ascii(other).is_none());
        }
    }

    #[test]
    fn each_byte_changes_the_hash() {
        for length in 2..=KEY_BYTES {
            let text = vec![b'a'; length];
            for at in 0..length {
                let mut other = text.clone();
                other[at] = b'b';
                assert_ne!(hash_of_ascii(&text), hash_of_ascii(&other));
            }
        }
    }
}
