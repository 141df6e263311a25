//! The text that is being written: escapes, numbers and dates go straight into one buffer.

use std::cell::Cell;
use std::fmt::{self, Write};
use std::io;

use serde_json::ser::{CompactFormatter, Formatter as _};

use crate::sink::{Clock, Day, SmallDecimal};
use crate::tree::{Leaf, split_pair};

/// Bytes at the start: most sessions fit.
const START: usize = 2048;
/// The largest buffer that is kept for the next text.
const KEPT: usize = 1 << 16;
/// Bytes behind the end that a short text may be written over.
const SLACK: usize = 16;

thread_local! {
    /// The buffer of the last text: making one, and zeros of it, takes as long as a short text.
    static LAST: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer whose bytes are there before they are written, so that short texts are stored by words.
pub struct Out {
    /// Written up to `len`.
    bytes: Vec<u8>,
    len: usize,
    /// Whether everything outside of ASCII is escaped, as Python does it.
    ascii: bool,
}

impl Out {
    /// An empty buffer.
    pub fn new(ascii: bool) -> Self {
        let mut bytes = LAST.try_with(Cell::take).unwrap_or_default();
        if bytes.is_empty() {
            bytes = vec![0; START];
        }
        Self { bytes, len: 0, ascii }
    }

    /// How much is written.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// What is written.
    pub fn written(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The same, taken out.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.truncate(self.len);
        std::mem::take(&mut self.bytes)
    }

    /// The place for `count` bytes more.
    #[inline(always)]
    fn room(&mut self, count: usize) -> &mut [u8] {
        // What is in memory is never so large that this wraps.
        let end = self.len.wrapping_add(count).wrapping_add(SLACK);
        if end > self.bytes.len() {
            self.grow(end);
        }
        &mut self.bytes[self.len..end]
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        self.bytes.resize(end.max(4 * self.bytes.len()), 0);
    }

    /// Bytes as they are.
    #[inline(always)]
    pub fn put(&mut self, raw: &[u8]) {
        self.room(raw.len())[..raw.len()].copy_from_slice(raw);
        self.len += raw.len();
    }

    /// Bytes as they are, of a number known beforehand.
    #[inline(always)]
    pub fn put_array<const N: usize>(&mut self, raw: &[u8; N]) {
        self.room(N)[..N].copy_from_slice(raw);
        self.len += N;
    }

    /// One byte.
    #[inline(always)]
    pub fn byte(&mut self, byte: u8) {
        self.room(1)[0] = byte;
        self.len += 1;
    }

    /// Whatever can be shown.
    pub fn print(&mut self, value: impl fmt::Display) {
        // Writing to memory does not fail.
        let _ = write!(self, "{value}");
    }

    /// So many spaces.
    pub fn spaces(&mut self, count: usize) {
        self.room(count)[..count].fill(b' ');
        self.len += count;
    }

    /// Takes back what was written behind `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = len.min(self.len);
    }

    // ---- texts

    /// A text in its quotes.
    #[inline]
    pub fn text(&mut self, text: &str) {
        if !self.plain(b"\"", text.as_bytes(), b"\"") {
            self.byte(b'"');
            self.escaped(text);
            self.byte(b'"');
        }
    }

    /// A text whose characters are one byte each, in its quotes.
    #[inline]
    pub fn latin1(&mut self, text: &[u8]) {
        if !self.plain(b"\"", text, b"\"") {
            self.byte(b'"');
            self.escaped_latin1(text);
            self.byte(b'"');
        }
    }

    /// A key with what stands around it, if nothing of it needs an escape.
    #[inline]
    pub fn key(&mut self, raw: &[u8], first: bool) -> bool {
        if first { self.plain(b"\"", raw, b"\":") } else { self.plain(b",\"", raw, b"\":") }
    }

    /// Writes a text if nothing of it needs an escape: by words, each of them looked at on the way.
    #[inline(always)]
    fn plain<const B: usize, const A: usize>(&mut self, before: &[u8; B], raw: &[u8], after: &[u8; A]) -> bool {
        let size = raw.len();
        let room = self.room(size.wrapping_add(B + A));
        let Some((start, target)) = room.split_first_chunk_mut::<B>() else {
            return false;
        };
        *start = *before;
        let special = if let Some(last) = raw.last_chunk::<16>() {
            let mut special = specials(last);
            for (word, target) in raw.as_chunks::<16>().0.iter().zip(target.as_chunks_mut::<16>().0) {
                special |= specials(word);
                *target = *word;
            }
            target[size - 16..size].copy_from_slice(last);
            u64::from(special)
        } else if let (Some(first), Some(last)) = (raw.first_chunk::<8>(), raw.last_chunk::<8>()) {
            target[..8].copy_from_slice(first);
            target[size - 8..size].copy_from_slice(last);
            needs_escape(u64::from_le_bytes(*first)) | needs_escape(u64::from_le_bytes(*last))
        } else if let (Some(first), Some(last)) = (raw.first_chunk::<4>(), raw.last_chunk::<4>()) {
            target[..4].copy_from_slice(first);
            target[size - 4..size].copy_from_slice(last);
            needs_escape(u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)))
        } else if let [first, .., last] = raw {
            let middle = raw[size / 2];
            target[..3].copy_from_slice(&[*first, middle, *last]);
            needs_escape(u64::from_le_bytes([*first, middle, *last, b'a', b'a', b'a', b'a', b'a']))
        } else if let [only] = raw {
            target[0] = *only;
            needs_escape(u64::from_le_bytes([*only, b'a', b'a', b'a', b'a', b'a', b'a', b'a']))
        } else {
            0
        };
        if special != 0 {
            return false;
        }
        target[size..size + A].copy_from_slice(after);
        self.len = self.len.wrapping_add(size.wrapping_add(B + A));
        true
    }

    /// The characters of a text, without quotes.
    fn escaped(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| !(0x20..0x7F).contains(&byte) || matches!(byte, b'"' | b'\\'))
        {
            self.put(&rest.as_bytes()[..at]);
            let character = rest[at..].chars().next().unwrap_or_default();
            self.escape(character);
            rest = &rest[at + character.len_utf8()..];
        }
        self.put(rest.as_bytes());
    }

    fn escaped_latin1(&mut self, text: &[u8]) {
        for &byte in text {
            match byte {
                b'"' | b'\\' => self.escape(char::from(byte)),
                0x20..0x7F => self.byte(byte),
                _ => self.escape(char::from(byte)),
            }
        }
    }

    /// UTF-8 with lone surrogates, which are written as their escapes: cut between what would make a pair.
    pub fn surrogates(&mut self, raw: &[u8]) {
        let (mut rest, mut parts) = (raw, 0);
        while let Some(pair) = split_pair(rest) {
            // Two escapes that stand next to each other would be read as one character.
            self.put(if parts == 0 { br#"{" str":["# } else { b"," });
            let (part, after) = rest.split_at(pair);
            self.coded(part);
            (rest, parts) = (after, parts + 1);
        }
        if parts > 0 {
            self.byte(b',');
        }
        self.coded(rest);
        if parts > 0 {
            self.put(b"]}");
        }
    }

    fn coded(&mut self, raw: &[u8]) {
        self.byte(b'"');
        let mut rest = raw;
        loop {
            let valid = std::str::from_utf8(rest).map_or_else(|error| error.valid_up_to(), str::len);
            let (text, surrogate) = rest.split_at(valid);
            self.escaped(std::str::from_utf8(text).unwrap_or_default());
            let [lead, middle, last, after @ ..] = surrogate else {
                break;
            };
            self.unit(u16::from(lead & 0xF) << 12 | u16::from(middle & 0x3F) << 6 | u16::from(last & 0x3F));
            rest = after;
        }
        self.byte(b'"');
    }

    /// A character that may need an escape.
    fn escape(&mut self, character: char) {
        match character {
            '"' => self.put_array(b"\\\""),
            '\\' => self.put_array(b"\\\\"),
            '\n' => self.put_array(b"\\n"),
            '\r' => self.put_array(b"\\r"),
            '\t' => self.put_array(b"\\t"),
            '\u{8}' => self.put_array(b"\\b"),
            '\u{c}' => self.put_array(b"\\f"),
            _ if !self.ascii && character >= ' ' => self.put(character.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    self.unit(*unit);
                }
            }
        }
    }

    /// A unit of UTF-16 as its escape.
    fn unit(&mut self, unit: u16) {
        let digit = |shift: u32| b"0123456789abcdef"[usize::from(unit >> shift & 0xF)];
        self.put_array(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
    }

    // ---- numbers

    /// An integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        if value < 0 {
            self.byte(b'-');
        }
        self.digits(value.unsigned_abs());
    }

    #[inline]
    fn digits(&mut self, value: u64) {
        match value {
            0..10 => self.byte(b'0' + value as u8),
            10..100 => self.put_array(&pair(value as u8)),
            _ => {
                // Writing to memory does not fail.
                let _ = CompactFormatter.write_u64(self, value);
            }
        }
    }

    /// A Decimal whose text has no exponent, as Python writes it.
    pub fn decimal(&mut self, number: SmallDecimal) {
        let (mut text, mut rest) = ([b'.'; 20], number.coefficient);
        let (places, _) = text[1..].split_at_mut(number.exponent.unsigned_abs().min(19));
        for digit in places.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let size = places.len() + usize::from(number.exponent != 0);
        if number.negative {
            self.byte(b'-');
        }
        self.digits(rest);
        self.put_array(&text);
        self.len -= text.len() - size;
    }

    /// Null, a truth value, a number or a text.
    #[inline(always)]
    pub fn leaf(&mut self, leaf: Leaf<'_>) {
        match leaf {
            Leaf::Text(text) => self.text(text),
            Leaf::Latin1(text) => self.latin1(text),
            Leaf::Int(value) => self.int(value),
            Leaf::None => self.put_array(b"null"),
            Leaf::Bool(true) => self.put_array(b"true"),
            Leaf::Bool(false) => self.put_array(b"false"),
            Leaf::Float(value) => self.float(value),
        }
    }

    /// A float as Python writes it; tagged if it is not finite.
    pub fn float(&mut self, value: f64) {
        if value.is_finite() {
            return self.finite(value);
        }
        self.put_array(br#"{" f":""#);
        match value {
            f64::INFINITY => self.put_array(b"inf"),
            f64::NEG_INFINITY => self.put_array(b"-inf"),
            _ if value.to_bits() == f64::NAN.to_bits() => self.put_array(b"nan"),
            _ => self.print(format_args!("{:016x}", value.to_bits())),
        }
        self.put_array(br#""}"#);
    }

    fn finite(&mut self, value: f64) {
        let start = self.len;
        let _ = CompactFormatter.write_f64(self, value);
        let mut text = [0; 32];
        let written = &self.bytes[start..self.len];
        let size = written.len();
        text[..size].copy_from_slice(written);
        let digits = &text[usize::from(value < 0.0)..size];
        let exponent = digits.iter().position(|byte| *byte == b'e');
        // The layouts differ where there is an exponent, or should be one.
        if exponent.is_none() && !digits.starts_with(b"0.0000") && value.abs() < 1e16 {
            return;
        }
        let (number, exponent) = match exponent {
            Some(at) => (&digits[..at], parse_exponent(&digits[at + 1..])),
            None => (digits, 0),
        };
        let point = number.iter().position(|byte| *byte == b'.').unwrap_or(number.len());
        // All digits, without zeros at the ends, and where the point stands behind the first one.
        let all: Vec<u8> = number.iter().copied().filter(|byte| *byte != b'.').collect();
        let zeros = all.iter().take_while(|byte| **byte == b'0').count();
        let exponent = exponent + point as i32 - 1 - zeros as i32;
        let mut all = &all[zeros..];
        while let [rest @ .., b'0'] = all {
            all = rest;
        }
        self.len = start + usize::from(value < 0.0);
        self.layout(all, exponent);
    }

    /// Digits with the point behind the first of them, times a power of ten, as Python lays it out.
    fn layout(&mut self, digits: &[u8], exponent: i32) {
        if !(-4..16).contains(&exponent) {
            let (first, rest) = digits.split_at(1.min(digits.len()));
            self.put(first);
            if !rest.is_empty() {
                self.byte(b'.');
                self.put(rest);
            }
            return self.print(format_args!("e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()));
        }
        if exponent < 0 {
            self.put_array(b"0.");
            for _ in 1..-exponent {
                self.byte(b'0');
            }
            return self.put(digits);
        }
        let whole = exponent as usize + 1;
        for index in 0..whole.max(digits.len()) {
            if index == whole {
                self.byte(b'.');
            }
            self.byte(digits.get(index).copied().unwrap_or(b'0'));
        }
        if whole >= digits.len() {
            self.put_array(b".0");
        }
    }

    // ---- dates

    /// A date in ISO form.
    #[inline]
    pub fn day(&mut self, day: Day) {
        self.put_array(&day_text(day));
    }

    /// A time in ISO form.
    #[inline]
    pub fn clock(&mut self, clock: Clock) {
        let (text, size) = clock_text(clock);
        self.put_array(&text);
        self.len -= text.len() - size;
    }

    /// Both, with a letter between them.
    pub fn day_and_clock(&mut self, day: Day, clock: Clock) {
        let mut text = [b'T'; 26];
        let (clock, size) = clock_text(clock);
        text[..10].copy_from_slice(&day_text(day));
        text[11..].copy_from_slice(&clock);
        self.put_array(&text);
        self.len -= clock.len() - size;
    }

    /// An offset in ISO form, from microseconds.
    pub fn offset(&mut self, microseconds: i64) {
        let (text, size) = offset_text(microseconds);
        self.put(&text[..size]);
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if (1..=KEPT).contains(&self.bytes.len()) {
            let bytes = std::mem::take(&mut self.bytes);
            // A thread that ends has none any more.
            let _ = LAST.try_with(|last| last.set(bytes));
        }
    }
}

impl io::Write for Out {
    #[inline]
    fn write(&mut self, raw: &[u8]) -> io::Result<usize> {
        self.put(raw);
        Ok(raw.len())
    }
    #[inline]
    fn write_all(&mut self, raw: &[u8]) -> io::Result<()> {
        self.put(raw);
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

/// Not 0 if one of eight bytes is a quote, a backslash, or outside of U+0020 to U+007E.
#[inline]
fn needs_escape(word: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    let control = word.wrapping_sub(EACH * 0x20);
    let delete = word.wrapping_add(EACH);
    let quote = (word ^ (EACH * 0x22)).wrapping_sub(EACH);
    let backslash = (word ^ (EACH * 0x5C)).wrapping_sub(EACH);
    (word | control | delete | quote | backslash) & (EACH * 0x80)
}

/// The same of sixteen bytes, in a form that is compiled to vector instructions.
#[inline(always)]
fn specials(word: &[u8; 16]) -> u8 {
    let special = word.map(|byte| {
        let outside = u8::from(byte.wrapping_sub(0x20) >= 0x5F);
        outside | u8::from(byte == b'"') | u8::from(byte == b'\\')
    });
    u8::from(u128::from_ne_bytes(special) != 0)
}

fn parse_exponent(text: &[u8]) -> i32 {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let value = digits.iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
    if negative { -value } else { value }
}

/// Two digits.
#[inline]
fn pair(value: u8) -> [u8; 2] {
    [b'0' + value / 10, b'0' + value % 10]
}

fn day_text(day: Day) -> [u8; 10] {
    let ([a, b], [c, d]) = (pair((day.year / 100) as u8), pair((day.year % 100) as u8));
    let ([e, f], [g, h]) = (pair(day.month), pair(day.day));
    [a, b, c, d, b'-', e, f, b'-', g, h]
}

/// With microseconds if it has any, and how long it is.
fn clock_text(clock: Clock) -> ([u8; 15], usize) {
    let ([a, b], [c, d], [e, f]) = (pair(clock.hour), pair(clock.minute), pair(clock.second));
    let [[g, h], [i, j], [k, l]] = [10_000, 100, 1].map(|unit| pair((clock.microsecond / unit % 100) as u8));
    let size = if clock.microsecond > 0 { 15 } else { 8 };
    ([a, b, b':', c, d, b':', e, f, b'.', g, h, i, j, k, l], size)
}

fn offset_text(microseconds: i64) -> ([u8; 16], usize) {
    let absolute = microseconds.unsigned_abs();
    let (seconds, microsecond) = (absolute / 1_000_000, (absolute % 1_000_000) as u32);
    let (hour, minute, second) = ((seconds / 3_600) as u8, (seconds / 60 % 60) as u8, (seconds % 60) as u8);
    let (clock, size) = clock_text(Clock { hour, minute, second, microsecond, fold: false });
    let mut text = [if microseconds < 0 { b'-' } else { b'+' }; 16];
    text[1..].copy_from_slice(&clock);
    (text, if second == 0 && microsecond == 0 { 6 } else { size + 1 })
}

/// A date in ISO form.
pub(crate) fn iso_day(day: Day) -> String {
    String::from_utf8_lossy(&day_text(day)).into_owned()
}

/// A time in ISO form, with microseconds if it has any.
pub(crate) fn iso_clock(clock: Clock) -> String {
    let (text, size) = clock_text(clock);
    String::from_utf8_lossy(&text[..size]).into_owned()
}

/// An offset in ISO form, from microseconds.
pub(crate) fn iso_offset(microseconds: i64) -> String {
    let (text, size) = offset_text(microseconds);
    String::from_utf8_lossy(&text[..size]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Out)) -> String {
        let mut out = Out::new(true);
        write(&mut out);
        String::from_utf8(out.finish()).unwrap_or_default()
    }

    #[test]
    fn every_byte_is_escaped_as_it_should_be_at_every_place_of_a_text() {
        for size in 1..40 {
            for at in 0..size {
                for byte in 0..=0xFF_u8 {
                    let mut raw = vec![b'x'; size];
                    raw[at] = byte;
                    let text: String = raw.iter().copied().map(char::from).collect();
                    let expected = match byte {
                        0x7F.. => format!("\\u{byte:04x}"),
                        _ => serde_json::to_string(&char::from(byte)).unwrap().trim_matches('"').to_owned(),
                    };
                    let expected = if byte == b'"' { "\\\"".to_owned() } else { expected };
                    let expected = format!("\"{}{expected}{}\"", &"x".repeat(at), "x".repeat(size - at - 1));
                    assert_eq!(written(|out| out.text(&text)), expected);
                    assert_eq!(written(|out| out.latin1(&raw)), expected);
                }
            }
        }
    }

    #[test]
    fn what_an_earlier_text_left_in_the_buffer_is_not_seen() {
        for size in [10, START, 3, KEPT, 2 * KEPT, 0, 5] {
            let mut out = Out::new(true);
            out.latin1(&vec![b'x'; size]);
            assert_eq!(out.written(), format!("\"{}\"", "x".repeat(size)).as_bytes());
        }
        assert!((1..=KEPT).contains(&LAST.take().len()));
    }

    #[test]
    fn floats_are_laid_out_as_python_does_it() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.0001, "0.0001"),
            (-0.00012345, "-0.00012345"),
            (0.00001, "1e-05"),
            (1.5e-5, "1.5e-05"),
            (123456789012345.6, "123456789012345.6"),
            (1e15, "1000000000000000.0"),
            (9999999999999998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (-1.25e16, "-1.25e+16"),
            (1e22, "1e+22"),
            (5e-324, "5e-324"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (1e100, "1e+100"),
            // Two texts are as near: the even one.
            (6_353_487_788_177_557.0 / 4.0, "1588371947044389.2"),
            (6_353_487_788_177_559.0 / 4.0, "1588371947044389.8"),
        ] {
            assert_eq!(written(|out| out.float(value)), text);
        }
    }

    #[test]
    fn integers_are_decimal() {
        for value in [0, 9, 10, 99, 100, -1, i64::MIN, i64::MAX] {
            assert_eq!(written(|out| out.int(value)), value.to_string());
        }
    }
}
