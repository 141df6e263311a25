//! Text of one byte a character: to bytes, and from them.

use smallvec::SmallVec;

use crate::utf8::{self, Width};

/// Bytes, of which few have no memory of their own.
pub type Bytes = SmallVec<[u8; SHORT]>;
const SHORT: usize = 16;

/// Whether this byte of UTF-8 begins a character from U+0080 to U+00FF. All of them take two.
#[inline(always)]
fn is_first(byte: u8) -> bool {
    byte & 0xFE == 0xC2
}

/// The bytes that text in UTF-8 stands for, if each character is one.
pub fn encode(raw: &[u8]) -> Option<Bytes> {
    if raw.len() <= SHORT {
        return encode_short(raw);
    }
    let Some((count, Width::One)) = utf8::measure(raw) else {
        return None;
    };
    let mut out = Bytes::from_elem(0, count);
    (utf8::decode_one(raw, &mut out) == count).then_some(out)
}

/// The same of short text, each character for itself.
fn encode_short(mut raw: &[u8]) -> Option<Bytes> {
    let (mut out, mut end) = ([0; SHORT], 0);
    while let Some((&first, rest)) = raw.split_first() {
        let byte;
        (byte, raw) = match rest {
            _ if first < 0x80 => (first, rest),
            [next @ 0x80..=0xBF, rest @ ..] if is_first(first) => (first << 6 | next & 0x3F, rest),
            _ => return None,
        };
        *out.get_mut(end)? = byte;
        end += 1;
    }
    Some(Bytes::from_buf_and_len(out, end))
}

/// Appends text whose characters are the bytes.
pub fn decode(out: &mut Vec<u8>, raw: &[u8]) {
    let mut end = out.len();
    out.resize(end + 2 * raw.len(), 0);
    for &byte in raw {
        // No branch: random bytes would mispredict half of them. The second byte is written over.
        let wide = byte >> 7;
        out[end] = (byte * (1 - wide)) | ((0xC0 | (byte >> 6)) * wide);
        out[end + 1] = 0x80 | (byte & 0x3F);
        end += 1 + usize::from(wide);
    }
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_up_to_u00ff_is_one_byte_and_back() {
        let all: Vec<u8> = (0..=255).chain(32..127).chain(128..=255).rev().collect();
        for size in 0..all.len() {
            let text: String = all[..size].iter().copied().map(char::from).collect();
            assert_eq!(encode(text.as_bytes()).as_deref(), Some(&all[..size]));
            let mut decoded = Vec::new();
            decode(&mut decoded, &all[..size]);
            assert_eq!(decoded, text.as_bytes());
        }
    }

    #[test]
    fn all_else_is_no_latin1() {
        let short = ["", "a", "ordinary text", "\u{E9}"].map(str::to_owned);
        let around = [short.as_slice(), &["a", "\u{E9}", "a\u{E9}"].map(|text| text.repeat(70))].concat();
        let others = ["\u{100}", "\u{7FF}", "\u{800}", "\u{FFFF}", "\u{1F600}"].map(str::as_bytes);
        let halves = [&b"\x80"[..], b"\xC2", b"\xC3a", b"\xC0\x80", b"\xC1\xBF", b"\xC0a", b"\xC1a", b"\xFF"];
        for wrong in others.into_iter().chain(halves) {
            for before in &around {
                for behind in &around {
                    assert_eq!(encode(&[before.as_bytes(), wrong, behind.as_bytes()].concat()), None);
                }
            }
        }
    }
}
