//! Text of one byte a character: to bytes, and from them.

/// The bytes that text stands for, if each character is one.
pub fn encode(text: &str) -> Option<Vec<u8>> {
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
