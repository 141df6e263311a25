//! The tokens of JSON over borrowed bytes, one at a time: serde_json's own parser recurses.

use std::borrow::Cow;

use serde::Deserializer as _;
use serde::de::Visitor;

use crate::error::{Error, ErrorKind};

/// A position in JSON text.
#[derive(Debug)]
pub struct Tokens<'a> {
    data: &'a [u8],
    position: usize,
}

/// A string.
#[derive(Clone, Debug, PartialEq)]
pub enum Quoted<'a> {
    /// Valid UTF-8 without escapes, as it stands in the input.
    Plain(&'a [u8]),
    /// Text.
    Text(String),
    /// UTF-8 with lone surrogates.
    Surrogates(Vec<u8>),
}

impl Quoted<'_> {
    /// UTF-8, in which surrogates may stand alone.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Plain(raw) => raw,
            Self::Text(text) => text.as_bytes(),
            Self::Surrogates(raw) => raw,
        }
    }

    /// The text, if no surrogate stands alone in it.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Plain(raw) => std::str::from_utf8(raw).ok(),
            Self::Text(text) => Some(text),
            Self::Surrogates(_) => None,
        }
    }
}

impl<'a> Quoted<'a> {
    /// The text, if no surrogate stands alone in it.
    pub fn to_text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Plain(raw) => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
            Self::Text(text) => Some(Cow::Owned(text.clone())),
            Self::Surrogates(_) => None,
        }
    }
}

/// A number.
#[derive(Debug, PartialEq)]
pub enum Number<'a> {
    /// An integer of few digits.
    Small(i64),
    /// Digits with an optional sign.
    Int(&'a str),
    /// With a point or an exponent; also `NaN` and the infinities, which Python writes.
    Float(f64),
}

/// Digits that surely fit 64 bits.
const SMALL_DIGITS: usize = 18;
/// One in each byte of a word.
const EACH: u64 = u64::from_le_bytes([1; 8]);

/// The high bits of those bytes that end what can be read as it stands: quotes, backslashes, control
/// characters. Bits above the lowest one may be wrong.
#[inline]
fn stops(word: u64) -> u64 {
    let control = word.wrapping_sub(EACH * 0x20);
    let quote = (word ^ (EACH * 0x22)).wrapping_sub(EACH);
    let backslash = (word ^ (EACH * 0x5C)).wrapping_sub(EACH);
    (control & !word | quote & !(word ^ (EACH * 0x22)) | backslash & !(word ^ (EACH * 0x5C))) & (EACH * 0x80)
}

impl<'a> Tokens<'a> {
    /// Starts at the first byte.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// The offset of the next token, once [`Tokens::peek`] has passed what stands before it.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The first byte of the next token.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.data.get(self.position) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.position += 1;
        }
        None
    }

    /// Passes the next token, of one byte.
    #[inline]
    pub fn pass(&mut self) {
        self.position += 1;
    }

    /// Passes a word such as `null`.
    pub fn word(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word.as_bytes());
        self.position += if found { word.len() } else { 0 };
        found
    }

    fn rest(&self) -> &'a [u8] {
        self.data.get(self.position..).unwrap_or_default()
    }

    /// The string that starts here, if it is ASCII without escapes: passes it.
    #[inline(always)]
    pub fn plain(&mut self) -> Option<&'a [u8]> {
        let rest = self.data.get(self.position + 1..)?;
        let mut size = 0;
        for word in rest.as_chunks::<8>().0 {
            let word = u64::from_le_bytes(*word);
            let stops = stops(word) | word & (EACH * 0x80);
            if stops == 0 {
                size += 8;
                continue;
            }
            size += (stops.trailing_zeros() / 8) as usize;
            let (raw, [b'"', ..]) = rest.split_at_checked(size)? else {
                return None;
            };
            self.position += size + 2;
            return Some(raw);
        }
        None
    }

    /// The string that starts here.
    pub fn quoted(&mut self) -> Result<Quoted<'a>, Error> {
        if let Some(raw) = self.plain() {
            return Ok(Quoted::Plain(raw));
        }
        let rest = self.data.get(self.position + 1..).unwrap_or_default();
        let (mut size, mut high) = (0, 0);
        while let Some(byte @ (b' '..=b'!' | b'#'..=b'[' | b']'..)) = rest.get(size) {
            high |= byte;
            size += 1;
        }
        match rest.split_at_checked(size) {
            Some((raw, [b'"', ..])) if high < 0x80 || std::str::from_utf8(raw).is_ok() => {
                self.position += size + 2;
                Ok(Quoted::Plain(raw))
            }
            _ => self.escaped(size + 1),
        }
    }

    /// The string that starts here, of which so many bytes have no escape.
    #[cold]
    fn escaped(&mut self, clean: usize) -> Result<Quoted<'a>, Error> {
        let rest = self.rest();
        let mut end = clean;
        loop {
            match rest.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(..0x20) => return Err(ErrorKind::Json("a control character in a string").into()),
                Some(_) => end += 1,
                None => return Err(ErrorKind::EndOfJson.into()),
            }
        }
        let token = rest.get(..=end).unwrap_or_default();
        self.position += token.len();
        if std::str::from_utf8(token).is_err() {
            return Err(ErrorKind::Json("a string is not UTF-8").into());
        }
        // As bytes, since then lone surrogates are let through.
        let mut deserializer = serde_json::Deserializer::from_slice(token);
        let raw = deserializer.deserialize_bytes(Raw).map_err(|_| ErrorKind::Json("an escape in a string"))?;
        Ok(match String::from_utf8(raw) {
            Ok(text) => Quoted::Text(text),
            Err(error) => Quoted::Surrogates(error.into_bytes()),
        })
    }

    /// The number that starts here.
    #[inline]
    pub fn number(&mut self) -> Result<Number<'a>, Error> {
        let rest = self.rest();
        let (negative, unsigned) = match rest {
            [b'-', unsigned @ ..] => (true, unsigned),
            unsigned => (false, unsigned),
        };
        let mut value = 0;
        let mut size = 0;
        while let Some(digit @ b'0'..=b'9') = unsigned.get(size)
            && size < SMALL_DIGITS
        {
            value = value * 10 + i64::from(digit - b'0');
            size += 1;
        }
        let ends = !matches!(unsigned.get(size), Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        if size == 1 && ends || size > 1 && ends && unsigned.first() != Some(&b'0') {
            self.position += size + usize::from(negative);
            return Ok(Number::Small(if negative { -value } else { value }));
        }
        self.long_number()
    }

    /// A number of any form.
    fn long_number(&mut self) -> Result<Number<'a>, Error> {
        for (word, value) in [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)] {
            if self.word(word) {
                return Ok(Number::Float(value));
            }
        }
        let rest = self.rest();
        let digits = |from: usize| {
            let rest = rest.get(from..).unwrap_or_default();
            from + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
        };
        let start = usize::from(rest.first() == Some(&b'-'));
        let whole = digits(start);
        let mut valid = whole > start && (whole == start + 1 || rest.get(start) != Some(&b'0'));
        let mut end = whole;
        if rest.get(end) == Some(&b'.') {
            let part = digits(end + 1);
            valid &= part > end + 1;
            end = part;
        }
        if let Some(b'e' | b'E') = rest.get(end) {
            let sign = usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            valid &= exponent > end + 1 + sign;
            end = exponent;
        }
        valid &= !matches!(rest.get(end), Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        let token = rest.get(..end).and_then(|token| std::str::from_utf8(token).ok()).filter(|_| valid);
        let token = token.ok_or(ErrorKind::Json("a number"))?;
        self.position += end;
        if end == whole {
            return Ok(Number::Int(token));
        }
        token.parse().map(Number::Float).map_err(|_| ErrorKind::Json("a number").into())
    }
}

/// Takes the bytes that a string stands for.
struct Raw;

impl Visitor<'_> for Raw {
    type Value = Vec<u8>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a string")
    }
    fn visit_bytes<E: serde::de::Error>(self, raw: &[u8]) -> Result<Vec<u8>, E> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(raw.len()).map_err(|_| E::custom("out of memory"))?;
        copy.extend_from_slice(raw);
        Ok(copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json_and_the_words_of_python() {
        let number = |text: &'static str| Tokens::new(text.as_bytes()).number().ok();
        assert_eq!(number("-0,"), Some(Number::Small(0)));
        assert_eq!(number("-123456789012345678 "), Some(Number::Small(-123_456_789_012_345_678)));
        assert_eq!(number("1234567890123456789"), Some(Number::Int("1234567890123456789")));
        assert_eq!(number("-1.5e3"), Some(Number::Float(-1500.0)));
        assert_eq!(number("1e999"), Some(Number::Float(f64::INFINITY)));
        assert_eq!(number("-Infinity]"), Some(Number::Float(f64::NEG_INFINITY)));
        for wrong in
            ["01", "1.", ".5", "+1", "1e", "--1", "0x1", "", "1.e5", "1e+", "1-2", "1.2.3", "-", "-01", "1e5.", "00"]
        {
            assert_eq!(number(wrong).filter(|number| *number != Number::Small(0)), None, "{wrong}");
        }
    }

    #[test]
    fn strings_keep_lone_surrogates() {
        let quoted = |text: &'static str| Tokens::new(text.as_bytes()).quoted().ok();
        assert_eq!(quoted(r#""\ud83d\ude00""#), Some(Quoted::Text("\u{1f600}".to_owned())));
        assert_eq!(quoted(r#""\ud83dx""#), Some(Quoted::Surrogates(b"\xed\xa0\xbdx".to_vec())));
        assert_eq!(quoted("\"a\x01\""), None);
        assert_eq!(quoted(r#""a\"#), None);
    }

    #[test]
    fn a_string_ends_at_its_quote_wherever_that_stands() {
        for size in 0..40 {
            for text in ["x".repeat(size), "\u{7f}".repeat(size), "é".repeat(size)] {
                for behind in ["", ",\\\"\u{1}", "        \"", "éééééééé"] {
                    let token = format!("\"{text}\"{behind}");
                    let mut tokens = Tokens::new(token.as_bytes());
                    assert_eq!(tokens.quoted().ok(), Some(Quoted::Plain(text.as_bytes())));
                    assert_eq!(tokens.position(), text.len() + 2);
                }
                for wrong in ["\u{1}\"", "", "\u{1f}", "\\"] {
                    assert_eq!(Tokens::new(format!("\"{text}{wrong}").as_bytes()).quoted().ok(), None);
                }
                let broken = [b"\"", text.as_bytes(), b"\xff\"        "].concat();
                assert_eq!(Tokens::new(&broken).quoted().ok(), None);
                let escaped = format!("\"{text}\\n\"");
                assert_eq!(Tokens::new(escaped.as_bytes()).quoted().ok(), Some(Quoted::Text(format!("{text}\n"))));
            }
        }
    }
}
