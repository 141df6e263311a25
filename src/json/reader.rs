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
    /// Text.
    Text(Cow<'a, str>),
    /// UTF-8 with lone surrogates.
    Surrogates(Vec<u8>),
}

impl Quoted<'_> {
    /// UTF-8, in which surrogates may stand alone.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Surrogates(raw) => raw,
        }
    }
}

/// A number.
#[derive(Debug, PartialEq)]
pub enum Number<'a> {
    /// Digits with an optional sign.
    Int(&'a str),
    /// With a point or an exponent; also `NaN` and the infinities, which Python writes.
    Float(f64),
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

    /// The string that starts here.
    pub fn quoted(&mut self) -> Result<Quoted<'a>, Error> {
        let rest = self.rest();
        let mut end = 1;
        let mut plain = true;
        loop {
            match rest.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    end += 2;
                }
                Some(..0x20) => return Err(ErrorKind::Json("a control character in a string").into()),
                Some(_) => end += 1,
                None => return Err(ErrorKind::EndOfJson.into()),
            }
        }
        let token = rest.get(..=end).unwrap_or_default();
        self.position += token.len();
        let text = std::str::from_utf8(token).map_err(|_| ErrorKind::Json("a string is not UTF-8"))?;
        if plain {
            return Ok(Quoted::Text(Cow::Borrowed(text.get(1..end).unwrap_or_default())));
        }
        // As bytes, since then lone surrogates are let through.
        let mut deserializer = serde_json::Deserializer::from_slice(token);
        let raw = deserializer.deserialize_bytes(Raw).map_err(|_| ErrorKind::Json("an escape in a string"))?;
        Ok(match String::from_utf8(raw) {
            Ok(text) => Quoted::Text(Cow::Owned(text)),
            Err(error) => Quoted::Surrogates(error.into_bytes()),
        })
    }

    /// The number that starts here.
    pub fn number(&mut self) -> Result<Number<'a>, Error> {
        for (word, value) in [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)] {
            if self.word(word) {
                return Ok(Number::Float(value));
            }
        }
        let rest = self.rest();
        let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let size = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let token = rest.get(..size).and_then(|token| std::str::from_utf8(token).ok()).unwrap_or_default();
        let invalid = ErrorKind::Json("a number");
        let (number, exponent) = match token.find(['e', 'E']) {
            Some(at) => (&token[..at], Some(&token[at + 1..])),
            None => (token, None),
        };
        let (whole, part) = match number.split_once('.') {
            Some((whole, part)) => (whole, Some(part)),
            None => (number, None),
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = whole.strip_prefix('-').unwrap_or(whole);
        let exponent_digits = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
        if !digits(unsigned)
            || unsigned.len() > 1 && unsigned.starts_with('0')
            || part.is_some_and(|part| !digits(part))
            || exponent_digits.is_some_and(|exponent| !digits(exponent))
        {
            return Err(invalid.into());
        }
        self.position += size;
        if part.is_none() && exponent.is_none() {
            return Ok(Number::Int(token));
        }
        token.parse().map(Number::Float).map_err(|_| invalid.into())
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
        assert_eq!(number("-0,"), Some(Number::Int("-0")));
        assert_eq!(number("1e999"), Some(Number::Float(f64::INFINITY)));
        assert_eq!(number("-Infinity]"), Some(Number::Float(f64::NEG_INFINITY)));
        for wrong in ["01", "1.", ".5", "+1", "1e", "--1", "0x1", "", "1.e5", "1e+"] {
            assert_eq!(number(wrong).filter(|number| *number != Number::Int("0")), None, "{wrong}");
        }
    }

    #[test]
    fn strings_keep_lone_surrogates() {
        let quoted = |text: &'static str| Tokens::new(text.as_bytes()).quoted().ok();
        assert_eq!(quoted(r#""\ud83d\ude00""#), Some(Quoted::Text("\u{1f600}".into())));
        assert_eq!(quoted(r#""\ud83dx""#), Some(Quoted::Surrogates(b"\xed\xa0\xbdx".to_vec())));
        assert_eq!(quoted("\"a\x01\""), None);
        assert_eq!(quoted(r#""a\"#), None);
    }
}
