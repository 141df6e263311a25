//! The fields of known values: dates and times out of bytes, addresses, what an array may hold.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::ErrorKind;
use crate::sink::{Clock, Day, Ip, View};

/// The width in bytes of an array's items, whether they have a sign, and whether they are floats.
pub fn item_kind(code: char) -> Option<(u32, bool, bool)> {
    Some(match code {
        'b' => (1, true, false),
        'B' => (1, false, false),
        'h' => (2, true, false),
        'H' => (2, false, false),
        'i' => (4, true, false),
        'I' => (4, false, false),
        'l' => (size_of::<std::ffi::c_long>() as u32, true, false),
        'L' => (size_of::<std::ffi::c_long>() as u32, false, false),
        'q' => (8, true, false),
        'Q' => (8, false, false),
        'f' => (4, true, true),
        'd' => (8, true, true),
        _ => return None,
    })
}

/// Whether an array of this type code can hold a value.
pub fn fits(code: char, view: View<'_>) -> bool {
    match (item_kind(code), view) {
        (None, View::Text(text)) => text.chars().count() == 1,
        (Some((_, _, true)), View::Float(_) | View::Int(_)) => true,
        (Some((width, true, false)), View::Int(value)) => value >> (8 * width - 1) == value >> 63,
        (Some((width, false, false)), View::Int(value)) => value >= 0 && (width == 8 || value >> (8 * width) == 0),
        (Some((8, false, false)), View::BigInt(bits)) => bits <= 64,
        _ => false,
    }
}

/// Whether bytes of this machine format fill an array of this type code.
pub fn is_array(code: char, format: u8, bytes: &[u8]) -> bool {
    // The order of `array`'s own machine format codes: two signs or two byte orders of each.
    let (width, signed, float) = match format {
        0 | 1 => (1, format == 1, false),
        2 | 3 => (2, false, false),
        4 | 5 => (2, true, false),
        6 | 7 => (4, false, false),
        8 | 9 => (4, true, false),
        10 | 11 => (8, false, false),
        12 | 13 => (8, true, false),
        14 | 15 => (4, true, true),
        16 | 17 => (8, true, true),
        18 | 19 => {
            let units = bytes.chunks_exact(2).map(|unit| match format {
                18 => u16::from_le_bytes([unit[0], unit[1]]),
                _ => u16::from_be_bytes([unit[0], unit[1]]),
            });
            return item_kind(code).is_none()
                && bytes.len().is_multiple_of(2)
                && char::decode_utf16(units).all(|unit| unit.is_ok());
        }
        _ => {
            let valid = bytes.chunks_exact(4).all(|unit| match format {
                20 => u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]) <= 0x10_FFFF,
                _ => u32::from_be_bytes([unit[0], unit[1], unit[2], unit[3]]) <= 0x10_FFFF,
            });
            return item_kind(code).is_none() && bytes.len().is_multiple_of(4) && valid;
        }
    };
    let fits = item_kind(code).is_some_and(|(held, sign, floats)| width <= held && sign == signed && floats == float);
    fits && bytes.len().is_multiple_of(width as usize)
}

/// Whether text is an address, with the length of its prefix for a network or an interface.
pub fn is_ip(ip: Ip, text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let (bits, int) = match ip {
        Ip::V4Address | Ip::V4Network | Ip::V4Interface => match address.parse::<Ipv4Addr>() {
            Ok(address) => (32, u128::from(u32::from(address)) << 96),
            Err(_) => return false,
        },
        Ip::V6Address | Ip::V6Network | Ip::V6Interface => {
            let (address, scope) = address.split_once('%').unwrap_or((address, "scope"));
            match address.parse::<Ipv6Addr>() {
                Ok(address) if !scope.is_empty() && scope.len() <= 64 && !scope.contains('%') => {
                    (128, u128::from(address))
                }
                _ => return false,
            }
        }
    };
    let prefix = match prefix.map(str::parse) {
        None => bits,
        Some(Ok(prefix)) if prefix <= bits => prefix,
        Some(_) => return false,
    };
    match ip {
        Ip::V4Address | Ip::V6Address => !text.contains('/'),
        Ip::V4Interface | Ip::V6Interface => true,
        // No bit of the host may be set.
        Ip::V4Network | Ip::V6Network => int.checked_shl(prefix).unwrap_or(0) == 0,
    }
}

/// A date out of its four bytes.
#[inline]
pub fn split_date(raw: &[u8]) -> Option<Day> {
    let &[high, low, month, day] = raw else {
        return None;
    };
    let year = u16::from_be_bytes([high, low]);
    let days = || match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    };
    let fits = (1..=9999).contains(&year) && (1..=12).contains(&month) && day >= 1 && (day <= 28 || day <= days());
    fits.then_some(Day { year, month, day })
}

/// The date that is so many days after 1970-01-01, if Python has it.
pub fn civil(days: i64) -> Option<Day> {
    // Years are counted from March here, so that a leap day is the last of its year.
    let days = days.checked_add(719_468)?;
    let (era, rest) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (rest - rest / 1_460 + rest / 36_524 - rest / 146_096) / 365;
    let day_of_year = rest - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    let year = u16::try_from(year).ok().filter(|year| (1..=9999).contains(year))?;
    Some(Day { year, month: month as u8, day: day as u8 })
}

/// A time out of its six bytes, of which the first has the fold as its high bit.
#[inline]
pub fn split_time(raw: &[u8]) -> Option<Clock> {
    let &[first, minute, second, high, middle, low] = raw else {
        return None;
    };
    let (hour, fold) = (first & 0x7F, first >= 0x80);
    let microsecond = u32::from_be_bytes([0, high, middle, low]);
    let fits = hour <= 23 && minute <= 59 && second <= 59 && microsecond <= 999_999;
    fits.then_some(Clock { hour, minute, second, microsecond, fold })
}

/// A datetime out of its ten bytes, in which the fold is the high bit of the month.
#[inline]
pub fn split_datetime(raw: &[u8]) -> Option<(Day, Clock)> {
    let &[a, b, month, day, hour, minute, second, high, middle, low] = raw else {
        return None;
    };
    if hour >= 0x80 {
        return None;
    }
    let day = split_date(&[a, b, month & 0x7F, day])?;
    Some((day, split_time(&[hour | month & 0x80, minute, second, high, middle, low])?))
}

/// Days, seconds and microseconds as Python keeps them.
pub fn normal_timedelta(days: i64, seconds: i64, microseconds: i64) -> Result<(i32, i32, i32), ErrorKind> {
    let total = i128::from(days) * 86_400_000_000 + i128::from(seconds) * 1_000_000 + i128::from(microseconds);
    let rest = total.rem_euclid(86_400_000_000) as i64;
    match i32::try_from(total.div_euclid(86_400_000_000)) {
        Ok(days) if days.abs() <= 999_999_999 => Ok((days, (rest / 1_000_000) as i32, (rest % 1_000_000) as i32)),
        _ => Err(ErrorKind::Invalid("timedelta: out of range")),
    }
}
// ---- ISO text

fn number(text: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    digits(text.as_bytes()).filter(|value| range.contains(value))
}

/// The number that these digits stand for; there are few of them, and nothing else.
#[inline]
fn digits(raw: &[u8]) -> Option<u32> {
    raw.iter().try_fold(0_u32, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))
}

/// A date of the form `2024-05-02`.
pub fn iso_date(text: &str) -> Option<Day> {
    let &[a, b, c, d, b'-', e, f, b'-', g, h] = text.as_bytes() else {
        return None;
    };
    date(digits(&[a, b, c, d])?, digits(&[e, f])?, digits(&[g, h])?)
}

/// A time of the form `10:11:12.000013`, and what stands behind it.
pub fn iso_time(text: &str) -> Option<(Clock, &str)> {
    let &[a, b, b':', c, d, b':', e, f, ref rest @ ..] = text.as_bytes() else {
        return None;
    };
    let (hour, minute, second) = (digits(&[a, b])?, digits(&[c, d])?, digits(&[e, f])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (microsecond, size) = match rest {
        [b'.', part @ ..] => (digits(part.get(..6)?)?, 15),
        _ => (0, 8),
    };
    let clock = Clock { hour: hour as u8, minute: minute as u8, second: second as u8, microsecond, fold: false };
    Some((clock, text.get(size..)?))
}

/// A date and a time with a `T` between them, and what stands behind it.
pub fn iso_datetime(text: &str) -> Option<(Day, Clock, &str)> {
    let day = iso_date(text.get(..10)?)?;
    let (clock, rest) = iso_time(text[10..].strip_prefix('T')?)?;
    Some((day, clock, rest))
}

/// An offset of the form `+02:00`, `+02:00:03` or `+02:00:03.000004`, in microseconds.
pub fn iso_offset(text: &str) -> Option<i64> {
    let (negative, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (false, rest),
        ("-", rest) => (true, rest),
        _ => return None,
    };
    let padded = if rest.len() == 5 { format!("{rest}:00") } else { rest.to_owned() };
    let (clock, rest) = iso_time(&padded)?;
    let seconds = i64::from(clock.hour) * 3_600 + i64::from(clock.minute) * 60 + i64::from(clock.second);
    let microseconds = seconds * 1_000_000 + i64::from(clock.microsecond);
    rest.is_empty().then_some(if negative { -microseconds } else { microseconds })
}

/// A date of HTTP, `Thu, 02 May 2024 10:11:12 GMT`. The name of the day is not compared with the date.
pub fn http_date(text: &str) -> Option<(Day, Clock)> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (weekday, rest) = text.split_once(", ")?;
    let weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let parts: [&str; 5] = rest.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let [day, month, year, time, "GMT"] = parts else {
        return None;
    };
    if !weekdays.contains(&weekday) || day.len() != 2 || year.len() != 4 || time.len() != 8 {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? as u32 + 1;
    Some((date(number(year, 1..=9999)?, month, number(day, 1..=31)?)?, iso_time(time)?.0))
}

/// A date that the calendar has.
fn date(year: u32, month: u32, day: u32) -> Option<Day> {
    let raw = [(year >> 8) as u8, year as u8, month as u8, day as u8];
    split_date(&raw)
}
