//! The grammars of the text opcodes: quoted strings, raw-unicode-escape, digits, floats, memo indices.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};
use crate::latin1;

/// Text out of raw-unicode-escape.
pub enum Unescaped<'a> {
    Text(Cow<'a, str>),
    /// UTF-8 in which surrogates stand alone.
    Surrogates(Vec<u8>),
}

/// The bytes of a quoted Python 2 literal.
pub fn string(line: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let inner = match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return Err(ErrorKind::Invalid("STRING: it must be quoted").into()),
    };
    if !inner.contains(&b'\\') {
        return Ok(Cow::Borrowed(inner));
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next().ok_or(ErrorKind::Invalid("STRING: a backslash at its end"))? {
            escaped @ (b'\\' | b'\'' | b'"') => out.push(escaped),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b't' => out.push(b'\t'),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b'v' => out.push(11),
            b'a' => out.push(7),
            b'x' => {
                let mut digit = || rest.next().and_then(hex);
                match (digit(), digit()) {
                    (Some(high), Some(low)) => out.push((high << 4 | low) as u8),
                    _ => return Err(ErrorKind::Invalid("STRING: a \\x escape").into()),
                }
            }
            first @ b'0'..=b'7' => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    match rest.next_if(|digit| (b'0'..=b'7').contains(digit)) {
                        Some(digit) => value = value << 3 | u32::from(digit - b'0'),
                        None => break,
                    }
                }
                out.push(value as u8);
            }
            other => out.extend([b'\\', other]),
        }
    }
    Ok(Cow::Owned(out))
}

/// The text of a raw-unicode-escape literal.
pub fn raw_unicode_escape(line: &[u8]) -> Result<Unescaped<'_>, Error> {
    if let Ok(text) = std::str::from_utf8(line)
        && text.is_ascii()
        && !text.contains('\\')
    {
        return Ok(Unescaped::Text(Cow::Borrowed(text)));
    }
    let mut out = Vec::with_capacity(line.len() + line.len() / 2);
    let mut surrogates = false;
    for piece in pieces(line) {
        match piece {
            Piece::Run(run) => latin1::decode(&mut out, run),
            Piece::Point(value) => {
                surrogates |= (0xD800..=0xDFFF).contains(&value);
                push_code_point(&mut out, value);
            }
            Piece::Wrong(what) => return Err(ErrorKind::Invalid(what).into()),
        }
    }
    if surrogates {
        return Ok(Unescaped::Surrogates(out));
    }
    match String::from_utf8(out) {
        Ok(text) => Ok(Unescaped::Text(Cow::Owned(text))),
        Err(error) => Ok(Unescaped::Surrogates(error.into_bytes())),
    }
}

/// The bytes that such text stands for in latin1; none if it is wrong or has other characters.
pub fn raw_unicode_escape_latin1(line: &[u8]) -> Option<latin1::Bytes> {
    let mut out = latin1::Bytes::with_capacity(line.len());
    for piece in pieces(line) {
        match piece {
            Piece::Run(run) => out.extend_from_slice(run),
            Piece::Point(value) => out.push(value.try_into().ok()?),
            Piece::Wrong(_) => return None,
        }
    }
    Some(out)
}

/// What a literal consists of.
enum Piece<'a> {
    /// Characters that stand for themselves, each of one byte.
    Run(&'a [u8]),
    /// An escaped character.
    Point(u32),
    Wrong(&'static str),
}

/// The pieces of a raw-unicode-escape literal.
#[inline]
fn pieces(line: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let count = match rest {
            [] => return None,
            [b'\\', b'u', ..] => 4,
            [b'\\', b'U', ..] => 8,
            _ => {
                // A backslash before anything else stands for itself, and so does what follows it.
                let from = if rest[0] == b'\\' { rest.len().min(2) } else { 0 };
                let end = memchr::memchr(b'\\', &rest[from..]).map_or(rest.len(), |end| from + end);
                let run;
                (run, rest) = rest.split_at(end);
                return Some(Piece::Run(run));
            }
        };
        let Some(digits) = rest.get(2..2 + count) else {
            return Some(Piece::Wrong("UNICODE: a truncated escape"));
        };
        rest = &rest[2 + count..];
        match digits.iter().try_fold(0, |value, &digit| Some(value << 4 | hex(digit)?)) {
            None => Some(Piece::Wrong("UNICODE: a truncated escape")),
            Some(0x11_0000..) => Some(Piece::Wrong("UNICODE: an escape out of range")),
            Some(value) => Some(Piece::Point(value)),
        }
    })
}

fn hex(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

/// Appends a code point in UTF-8; a surrogate takes three bytes like its neighbours.
fn push_code_point(out: &mut Vec<u8>, value: u32) {
    match char::from_u32(value) {
        Some(character) => out.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None => out.extend([0xE0 | (value >> 12) as u8, 0x80 | (value >> 6 & 0x3F) as u8, 0x80 | (value & 0x3F) as u8]),
    }
}

/// A decimal integer: an optional sign and digits, without leading zeros (to C they are octal).
pub fn digits(line: &[u8]) -> Result<&str, Error> {
    let unsigned = match line {
        [b'-' | b'+', unsigned @ ..] => unsigned,
        unsigned => unsigned,
    };
    let plain = match unsigned {
        [b'0'] => true,
        // All of them, so that several are looked at together.
        [b'1'..=b'9', ..] => unsigned.iter().fold(true, |plain, byte| plain & byte.is_ascii_digit()),
        _ => false,
    };
    match std::str::from_utf8(line) {
        Ok(text) if plain => Ok(text),
        _ => Err(ErrorKind::Invalid("integer").into()),
    }
}

/// A float in the form of `repr`.
pub fn float(line: &[u8]) -> Result<f64, Error> {
    let value: f64 =
        std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or(ErrorKind::Invalid("float"))?;
    if value.is_infinite() && line.iter().any(u8::is_ascii_digit) {
        return Err(ErrorKind::Invalid("float: out of range").into());
    }
    Ok(value)
}

/// A memo index.
#[inline]
pub fn index(line: &[u8]) -> Result<u64, Error> {
    if line.is_empty() || line.len() > 10 {
        return Err(ErrorKind::Invalid("memo index").into());
    }
    line.iter().try_fold(0, |index, byte| match byte {
        b'0'..=b'9' => Ok(index * 10 + u64::from(byte - b'0')),
        _ => Err(ErrorKind::Invalid("memo index").into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_literal_is_read_as_python_2_wrote_it() {
        assert_eq!(&*string(b"'a\\x41\\101\\n\\'\\q'").unwrap(), b"aAA\n'\\q");
        for bad in [&b"abc"[..], b"'abc", b"'", b"'a\\'", b"'\\x4'"] {
            assert!(string(bad).is_err());
        }
    }

    #[test]
    fn raw_unicode_escape_keeps_lone_surrogates() {
        assert!(
            matches!(raw_unicode_escape(b"a\\u00e9\xe9\\\\u0041").unwrap(), Unescaped::Text(text) if text == "a\u{e9}\u{e9}\\\\u0041")
        );
        assert!(
            matches!(raw_unicode_escape(b"\\ud800").unwrap(), Unescaped::Surrogates(raw) if raw == b"\xed\xa0\x80")
        );
        assert!(raw_unicode_escape(b"\\u12").is_err());
        assert!(raw_unicode_escape(b"\\U00110000").is_err());
    }

    #[test]
    fn numbers_in_text_are_decimal_only() {
        assert_eq!(digits(b"-12").unwrap(), "-12");
        for bad in [&b""[..], b"-", b"0x10", b"010", b"1_0", b" 1", b"1 ", b"12JUNK"] {
            assert!(digits(bad).is_err());
        }
        assert!(float(b"1e400").is_err());
        assert!(float(b"inf").unwrap().is_infinite());
        assert!(index(b"99999999999").is_err());
    }
}
