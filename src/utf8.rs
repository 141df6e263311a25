//! Text in UTF-8 to characters of one width, as interpreters keep it.

/// How wide the characters of a text have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One byte: up to U+00FF.
    One,
    /// Two bytes: up to U+FFFF.
    Two,
    /// Four bytes.
    Four,
}

/// How many characters a text has and how wide they are; none if that is one byte, and it is no text. Of others that
/// is found out when they are decoded.
pub fn measure(raw: &[u8]) -> Option<(usize, Width)> {
    let mut seen = Seen { rests: 0, highest: 0, wrong: raw.first().is_some_and(|&byte| is_rest(byte)) };
    let mut rest = raw;
    // Many bytes at once, and the one behind them.
    while let Some(bytes) = rest.first_chunk() {
        seen.many(bytes);
        rest = &rest[MANY - 1..];
    }
    seen.few(rest);
    let width = match seen.highest {
        0..0xC4 => Width::One,
        0xC4..0xF0 => Width::Two,
        _ => Width::Four,
    };
    (width != Width::One || !seen.wrong).then(|| (raw.len() - seen.rests, width))
}

const MANY: usize = 65;
/// The high bits of eight bytes.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// What was seen of a text.
struct Seen {
    /// How many bytes are no first ones of a character.
    rests: usize,
    highest: u8,
    /// Whether a byte is out of place in a text of characters of one byte.
    wrong: bool,
}

impl Seen {
    /// Looks at all bytes but the last, which the one before is compared with.
    fn many(&mut self, bytes: &[u8; MANY]) {
        let (mut rests, mut highest, mut wrong) = (0, 0, 0);
        for at in 0..MANY - 1 {
            let (byte, next) = (bytes[at], bytes[at + 1]);
            rests = u8::wrapping_add(rests, is_rest(byte).into());
            highest = highest.max(byte);
            // From U+0080 to U+00FF, the first of two bytes is C2 or C3.
            let first = byte & 0xFE == 0xC2;
            wrong |= u8::from(first != is_rest(next)) | u8::from(byte >= 0xC0 && !first);
        }
        self.rests += usize::from(rests);
        self.highest = self.highest.max(highest);
        self.wrong |= wrong > 0;
    }

    /// Looks at bytes that come last, by words: what a byte is stands in its high bit.
    fn few(&mut self, bytes: &[u8]) {
        const EACH: u64 = 0x0101_0101_0101_0101;
        let (mut rests, mut two, mut four, mut wrong) = (0, 0, 0, 0);
        // The byte before was compared with the first one of these.
        let mut before = bytes.first().map_or(0, |&byte| u64::from(is_rest(byte)) << 7);
        let mut look = |word: u64| {
            let first = word & word << 1 & HIGH;
            let rest = word & !(word << 1) & HIGH;
            rests += (rest >> 7).wrapping_mul(EACH) >> 56;
            two |= first & (word << 2 | word << 3 | word << 4 | word << 5);
            four |= first & word << 2 & word << 3;
            wrong |= (first << 8 | before) ^ rest | first & !(word << 6);
            before = first >> 56;
        };
        let (words, tail) = bytes.as_chunks();
        words.iter().for_each(|word| look(u64::from_le_bytes(*word)));
        // What is behind the end is no rest of a character.
        look(tail.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)));
        self.rests += rests as usize;
        self.highest = self.highest.max(if four > 0 { 0xF0 } else { u8::from(two > 0) * 0xC4 });
        self.wrong |= wrong > 0;
    }
}

#[inline(always)]
fn is_rest(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// Decodes text that was measured, of characters of one byte; tells how many they are.
pub fn decode_one(raw: &[u8], out: &mut [u8]) -> usize {
    // What a first byte of C3 adds to the next.
    const MORE: u64 = 0x40;
    let (mut end, mut more) = (0, 0);
    let (words, tail) = raw.as_chunks::<8>();
    for word in words {
        let Some(place) = out.get_mut(end..).and_then(|rest| rest.first_chunk_mut::<8>()) else {
            word.iter().for_each(|&byte| (end, more) = put(out, end, more, byte));
            continue;
        };
        let word = u64::from_le_bytes(*word);
        let first = word & word << 1 & HIGH;
        let odd = (first >> 7 & word) * MORE;
        let bytes = (word | odd << 8 | more).to_le_bytes();
        more = odd >> 56;
        if word & HIGH == 0 {
            *place = bytes;
            end += place.len();
            continue;
        }
        // No branch: random bytes would mispredict half of them. A first byte is written over.
        let mut count = 0;
        for (byte, first) in bytes.into_iter().zip((first >> 7).to_le_bytes()) {
            place[count % place.len()] = byte;
            count += usize::from(1 - first);
        }
        end += count;
    }
    tail.iter().for_each(|&byte| (end, more) = put(out, end, more, byte));
    end
}

/// The same of a byte.
#[inline(always)]
fn put(out: &mut [u8], end: usize, more: u64, byte: u8) -> (usize, u64) {
    if let Some(place) = out.get_mut(end) {
        *place = byte | more as u8;
    }
    (end + usize::from(byte < 0xC0), if byte == 0xC3 { 0x40 } else { 0 })
}

/// Decodes text of as many characters as there is room for, of which `unit` makes wider ones. False: it is none. A
/// surrogate is none.
#[inline]
pub fn decode_wide<T>(raw: &[u8], out: &mut [T], unit: impl Fn(u32) -> T) -> bool {
    let (mut rest, mut places) = (raw, out.iter_mut());
    loop {
        // Eight of one byte at once.
        if let Some(word) = rest.first_chunk::<8>()
            && word.is_ascii()
            && places.len() >= word.len()
        {
            // In this order, or one more place would be taken.
            word.iter().zip(places.by_ref()).for_each(|(&byte, place)| *place = unit(byte.into()));
            rest = &rest[word.len()..];
            continue;
        }
        let Some(place) = places.next() else {
            break;
        };
        // Two of three bytes at once, if they are no surrogates and nothing that fits into less.
        if let Some(word) = rest.first_chunk()
            && let word = u64::from_le_bytes(*word)
            && word & (TWICE * u64::from(THREE.0)) == TWICE * u64::from(THREE.1)
            && let [Some((one, _)), Some((two, _))] = [word as u32, (word >> 24) as u32].map(three)
            && let Some(next) = places.next()
        {
            (*place, *next) = (unit(one), unit(two));
            rest = &rest[6..];
            continue;
        }
        let Some((value, size)) = character(rest) else {
            return false;
        };
        match rest.get(size..) {
            Some(behind) => rest = behind,
            None => return false,
        }
        *place = unit(value);
    }
    rest.is_empty()
}

/// The code point that comes next, and its size in bytes.
#[inline(always)]
fn character(rest: &[u8]) -> Option<(u32, usize)> {
    let word = match rest.first_chunk() {
        Some(word) => u32::from_le_bytes(*word),
        // What is missing is no rest of a character, but it may be one.
        None if rest.is_empty() => return None,
        None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)),
    };
    if word & 0x80 == 0 {
        Some((word & 0x7F, 1))
    } else if word & 0xC0E0 == 0x80C0 {
        let value = (word & 0x1F) << 6 | bits(word, 1);
        (value >= 0x80).then_some((value, 2))
    } else if word & THREE.0 == THREE.1 {
        three(word)
    } else if word & 0xC0C0_C0F8 == 0x8080_80F0 {
        let value = (word & 0x07) << 18 | bits(word, 1) << 12 | bits(word, 2) << 6 | bits(word, 3);
        (0x1_0000..=0x10_FFFF).contains(&value).then_some((value, 4))
    } else {
        None
    }
}

/// The marks of three bytes, and what they are.
const THREE: (u32, u32) = (0xC0_C0F0, 0x80_80E0);
/// The same, twice in a row.
const TWICE: u64 = 1 << 24 | 1;

/// The code point of three bytes, which are marked as such.
#[inline(always)]
fn three(word: u32) -> Option<(u32, usize)> {
    let value = (word & 0x0F) << 12 | bits(word, 1) << 6 | bits(word, 2);
    (value >= 0x800 && value & !0x7FF != 0xD800).then_some((value, 3))
}

/// What the byte at `at` adds to a code point.
#[inline(always)]
fn bits(word: u32, at: u32) -> u32 {
    word >> (8 * at) & 0x3F
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(raw: &[u8]) -> Option<Vec<u32>> {
        let (count, width) = measure(raw)?;
        let mut out = vec![0_u32; count];
        let fits = match width {
            Width::One => {
                let mut bytes = vec![0; count];
                let fits = decode_one(raw, &mut bytes) == count;
                out = bytes.into_iter().map(u32::from).collect();
                fits
            }
            Width::Two => {
                let mut units = vec![0; count];
                let fits = decode_wide(raw, &mut units, |value| value as u16);
                out = units.into_iter().map(u32::from).collect();
                fits
            }
            Width::Four => decode_wide(raw, &mut out, |value| value),
        };
        fits.then_some(out)
    }

    /// What the library says, which is asked about each sequence here.
    fn expected(raw: &[u8]) -> Option<Vec<u32>> {
        std::str::from_utf8(raw).ok().map(|text| text.chars().map(u32::from).collect())
    }

    #[test]
    fn each_character_is_decoded_in_the_company_of_others() {
        for value in 0..=0x10_FFFF {
            let Some(character) = char::from_u32(value) else { continue };
            let mut buffer = [0; 4];
            let raw = character.encode_utf8(&mut buffer).as_bytes();
            assert_eq!(decoded(raw), Some(vec![value]));
        }
        for text in ["", "a", "é", "naïve text", "中文字符 and text", "é中😀a", &"ü".repeat(300), &"語".repeat(300)]
        {
            assert_eq!(decoded(text.as_bytes()), expected(text.as_bytes()));
        }
    }

    #[test]
    fn a_wrong_byte_is_told_wherever_it_is() {
        for letter in ["a", "é", "д", "語", "😀", "aé", "a語", "語a語", "é語", "語😀", "語 and some ASCII"]
        {
            for times in [1, 2, 3, 7, 30, 70, 300] {
                let text = letter.repeat(times);
                assert_eq!(decoded(text.as_bytes()), expected(text.as_bytes()));
                for at in (0..text.len()).step_by(1 + text.len() / 150) {
                    for wrong in [b'a', 0x80, 0xC1, 0xC3, 0xE0, 0xED, 0xF4, 0xFF] {
                        let mut raw = text.clone().into_bytes();
                        raw[at] = wrong;
                        assert_eq!(decoded(&raw), expected(&raw), "{raw:x?}");
                    }
                    assert_eq!(decoded(&text.as_bytes()[..at]), expected(&text.as_bytes()[..at]));
                }
            }
        }
    }

    #[test]
    fn all_that_is_no_utf_8_is_told() {
        let edges = [0, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xDF, 0xE0, 0xE1, 0xED, 0xEE, 0xEF]
            .into_iter()
            .chain([0xF0, 0xF1, 0xF4, 0xF5, 0xF8, 0xFF]);
        let edges: Vec<u8> = edges.collect();
        for &a in &edges {
            for &b in &edges {
                for &c in &edges {
                    for &d in &edges {
                        for raw in [&[a, b, c, d][..], &[a, b, c], &[a, b], &[a], &[b'x', a, b, c, d, b'y']] {
                            assert_eq!(decoded(raw), expected(raw), "{raw:x?}");
                        }
                    }
                }
            }
        }
    }
}
