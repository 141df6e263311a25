//! Writes a tree as tagged JSON, without recursion.

use std::collections::HashMap;
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize as _;
use serde_json::ser::Formatter;

use crate::error::{ErrorKind, Failure};
use crate::limits::{self, Limit};
use crate::sink::{Clock, Day, Ip, Path};
use crate::tree::{DictKind, Shape, Tree, split_pair};

/// How a tree is written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Spaces a level, 0 for one line.
    pub indent: usize,
    /// Whether to show what can't be read back: stubs by name, and a container inside itself as
    /// `{" cycle": levels up}`.
    pub show: bool,
    /// The most bytes that are written.
    pub max_bytes: u64,
    /// The most containers inside containers.
    pub max_depth: u64,
}

/// Why writing stopped, and at which value.
pub struct Unwritten<V, E> {
    /// What is wrong.
    pub failure: Failure<E>,
    /// The value, where one is to blame.
    pub at: Option<V>,
}

/// Writes the value `root`.
pub fn write<T: Tree>(tree: &T, root: &T::Value, style: Style) -> Result<String, Unwritten<T::Value, T::Error>> {
    let mut writer = Writer { tree, style, out: Vec::new(), frames: Vec::new(), open: HashMap::new() };
    let mut value = root.clone();
    loop {
        if let Err(failure) = writer.value(&value) {
            return Err(Unwritten { failure, at: Some(value) });
        }
        match writer.advance() {
            Ok(Some(next)) => value = next,
            Ok(None) => return Ok(String::from_utf8(writer.out).unwrap_or_default()),
            Err(failure) => return Err(Unwritten { failure, at: None }),
        }
    }
}

/// A container that is being written.
struct Frame<C> {
    cursor: C,
    /// How many parts are written.
    count: usize,
    /// Keys and values alternate, in an object.
    object: bool,
    /// A dict whose only key looks like a tag: two underscores mark it.
    marked: bool,
    close: &'static str,
    /// Its identity, if it is a container of the tree.
    identity: Option<usize>,
    /// Keys that are not in the tree, and items in a list of their own after all parts: a stub's.
    labels: Vec<&'static str>,
    items: Option<C>,
}

struct Writer<'t, T: Tree> {
    tree: &'t T,
    style: Style,
    out: Vec<u8>,
    frames: Vec<Frame<T::Cursor>>,
    /// The containers on the way from the root, with their levels; only kept for showing.
    open: HashMap<usize, usize>,
}

type Step<T, R = ()> = Result<R, Failure<<T as Tree>::Error>>;

impl<T: Tree> Writer<'_, T> {
    /// Goes on to the next value; none at the end.
    fn advance(&mut self) -> Step<T, Option<T::Value>> {
        limits::check(self.out.len() as u64, self.style.max_bytes, Limit::OutputBytes)?;
        while let Some(frame) = self.frames.last_mut() {
            let Some(part) = self.tree.next(&mut frame.cursor) else {
                if let Some(items) = frame.items.take() {
                    self.label("items");
                    self.push_str("[");
                    self.push(new_frame(items, 0, "]", None))?;
                    continue;
                }
                let (close, empty, identity) = (frame.close, frame.count == 0, frame.identity);
                self.frames.pop();
                if let Some(identity) = identity.filter(|_| self.style.show) {
                    self.open.remove(&identity);
                }
                if !empty {
                    self.newline();
                }
                self.push_str(close);
                continue;
            };
            let count = frame.count;
            frame.count += 1;
            let (object, marked) = (frame.object, frame.marked);
            if let Some(label) = frame.labels.pop() {
                self.label(label);
                return Ok(Some(part));
            }
            if object && count % 2 == 1 {
                self.push_str(if self.style.indent == 0 { ":" } else { ": " });
                return Ok(Some(part));
            }
            if count > 0 {
                self.push_str(",");
            }
            self.newline();
            if !object {
                return Ok(Some(part));
            }
            match self.tree.shape(&part)? {
                Shape::Text(text) => self.text(text),
                Shape::Surrogates(raw) if split_pair(&raw).is_none() => self.surrogates(&raw),
                _ => return Err(ErrorKind::Misplaced("a key that has no form in JSON").into()),
            }
            if marked {
                self.out.pop();
                self.push_str("__\"");
            }
        }
        Ok(None)
    }

    fn push_str(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn print(&mut self, value: impl Display) {
        // Writing to memory does not fail.
        let _ = write!(self.out, "{value}");
    }

    /// A further key of an object.
    fn label(&mut self, label: &str) {
        self.push_str(",");
        self.newline();
        self.print(format_args!("\"{label}\":"));
        if self.style.indent > 0 {
            self.push_str(" ");
        }
    }

    fn newline(&mut self) {
        if self.style.indent > 0 {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', self.style.indent * self.frames.len()));
        }
    }

    fn text(&mut self, text: &str) {
        let _ = if self.style.show {
            text.serialize(&mut serde_json::Serializer::new(&mut self.out))
        } else {
            text.serialize(&mut serde_json::Serializer::with_formatter(&mut self.out, Ascii))
        };
    }

    /// UTF-8 with lone surrogates, which are written as their escapes: cut between what would make a pair.
    fn surrogates(&mut self, raw: &[u8]) {
        let (mut rest, mut parts) = (raw, 0);
        while let Some(pair) = split_pair(rest) {
            // Two escapes that stand next to each other would be read as one character.
            self.push_str(if parts == 0 { r#"{" str":["# } else { "," });
            let (part, after) = rest.split_at(pair);
            self.escaped(part);
            (rest, parts) = (after, parts + 1);
        }
        if parts > 0 {
            self.push_str(",");
        }
        self.escaped(rest);
        if parts > 0 {
            self.push_str("]}");
        }
    }

    fn escaped(&mut self, raw: &[u8]) {
        self.out.push(b'"');
        let mut rest = raw;
        loop {
            let (text, surrogate) = match std::str::from_utf8(rest) {
                Ok(text) => (text, &[][..]),
                Err(error) => {
                    let (text, rest) = rest.split_at(error.valid_up_to());
                    (std::str::from_utf8(text).unwrap_or_default(), rest)
                }
            };
            let quote = self.out.len() - 1;
            self.text(text);
            // The quotes of the parts go, but for the first.
            self.out.pop();
            self.out.remove(quote + 1);
            let [lead, middle, last, after @ ..] = surrogate else {
                break;
            };
            let unit = u16::from(lead & 0xF) << 12 | u16::from(middle & 0x3F) << 6 | u16::from(last & 0x3F);
            self.print(format_args!("\\u{unit:04x}"));
            rest = after;
        }
        self.out.push(b'"');
    }

    /// An object of one key, and text in it.
    fn tagged(&mut self, tag: &str, text: &str) {
        self.push_str(tag);
        self.text(text);
        self.out.push(b'}');
    }

    /// Writes a leaf, or opens a container.
    fn value(&mut self, value: &T::Value) -> Step<T> {
        let tree = self.tree;
        match tree.shape(value)? {
            Shape::None => self.push_str("null"),
            Shape::Bool(value) => self.push_str(if value { "true" } else { "false" }),
            Shape::Int(value) => self.print(format_args!("{value}")),
            Shape::BigInt(digits) if digits.contains('x') => self.tagged(r#"{" int":"#, &digits),
            Shape::BigInt(digits) => self.push_str(&digits),
            Shape::Float(value) => self.float(value),
            Shape::Text(text) => self.text(text),
            Shape::Surrogates(raw) => self.surrogates(&raw),
            Shape::Bytes(raw) => self.tagged(r#"{" b":"#, &STANDARD.encode(raw)),
            Shape::ByteArray(raw) => self.tagged(r#"{" bytearray":"#, &STANDARD.encode(raw)),
            Shape::Decimal(text) => self.tagged(r#"{" decimal":"#, &text),
            Shape::Uuid(int, None) => self.tagged(r#"{" u":"#, &format!("{int:032x}")),
            Shape::Uuid(int, Some(safe)) => self.print(format_args!(r#"{{" uuid":["{int:032x}",{safe}]}}"#)),
            Shape::Date(day) => self.tagged(r#"{" date":"#, &iso_day(day)),
            Shape::TimeDelta { days, seconds, microseconds } => {
                self.print(format_args!(r#"{{" timedelta":[{days},{seconds},{microseconds}]}}"#));
            }
            Shape::ZoneInfo(key) => self.tagged(r#"{" zone":"#, &key),
            Shape::Timezone(offset, None) => self.tagged(r#"{" timezone":"#, &iso_offset(offset)),
            Shape::Timezone(offset, Some(name)) => {
                self.push_str(r#"{" timezone":["#);
                self.text(&iso_offset(offset));
                self.rest(vec![name])?;
            }
            Shape::Time(clock, zone) => self.moment(r#"{" time":"#, &iso_clock(clock), clock.fold, zone)?,
            Shape::DateTime(day, clock, zone) => {
                let text = format!("{}T{}", iso_day(day), iso_clock(clock));
                self.moment(r#"{" datetime":"#, &text, clock.fold, zone)?;
            }
            Shape::Ip(ip, text) => {
                self.print(format_args!(r#"{{" ip":["{}","#, ip_class(ip)));
                self.text(&text);
                self.push_str("]}");
            }
            Shape::Complex(real, imaginary) => {
                self.push_str(r#"{" complex":["#);
                self.float(real);
                self.out.push(b',');
                self.float(imaginary);
                self.push_str("]}");
            }
            Shape::Range(bounds) => self.values(r#"{" range":["#, bounds.into())?,
            Shape::Fraction(numerator, denominator) => {
                self.values(r#"{" fraction":["#, vec![numerator, denominator])?;
            }
            Shape::Path(kind) => {
                self.print(format_args!(r#"{{" path":["{}""#, path_class(kind)));
                let parts = tree.parts(value)?;
                self.open(parts, 1, "]}", None)?;
            }
            Shape::StructTime => {
                self.push_str(r#"{" struct_time":["#);
                let parts = tree.parts(value)?;
                self.open(parts, 0, "]}", None)?;
            }
            Shape::Array(code) => {
                self.print(format_args!(r#"{{" array":["{code}""#));
                let parts = tree.parts(value)?;
                self.open(parts, 1, "]}", None)?;
            }
            Shape::Markup(text) => {
                self.push_str(r#"{" m":"#);
                let text = tree.walk(vec![text]);
                self.open(text, 0, "}", None)?;
            }
            Shape::Tagged(tag, values) => {
                self.print(format_args!(r#"{{"{tag}":["#));
                let values = tree.walk(values);
                self.open(values, 0, "]}", None)?;
            }
            Shape::Foreign(class) => match tree.equivalent(value)? {
                Some(plain) if tree.identity(&plain) != tree.identity(value) => return self.value_again(&plain),
                _ => {
                    let (module, name) = class.rsplit_once('.').unwrap_or(("", &class));
                    let hint = crate::policy::hint(module, name);
                    return Err(ErrorKind::ForbiddenGlobal { name: class.into(), hint }.into());
                }
            },
            shape => return self.container(value, shape),
        }
        Ok(())
    }

    /// The plain value in place of a foreign one. It is not foreign itself, so that this ends.
    fn value_again(&mut self, plain: &T::Value) -> Step<T> {
        if let Shape::Foreign(class) = self.tree.shape(plain)? {
            return Err(ErrorKind::ForbiddenUse { name: class.into(), reason: "it has no form in JSON" }.into());
        }
        self.value(plain)
    }

    fn container(&mut self, value: &T::Value, shape: Shape<'_, T::Value>) -> Step<T> {
        let tree = self.tree;
        let identity = tree.identity(value);
        if self.style.show {
            if let Some(level) = self.open.get(&identity) {
                let up = self.open.len() - level;
                self.print(format_args!(r#"{{" cycle":{up}}}"#));
                return Ok(());
            }
            self.open.insert(identity, self.open.len());
        }
        let parts = tree.parts(value)?;
        let (start, count, close) = match shape {
            Shape::List => ("[", 0, "]"),
            Shape::Tuple => (r#"{" t":["#, 0, "]}"),
            Shape::Set => (r#"{" set":["#, 0, "]}"),
            Shape::FrozenSet => (r#"{" frozenset":["#, 0, "]}"),
            Shape::Deque(bound) => {
                match bound {
                    Some(bound) => self.print(format_args!(r#"{{" deque":[{bound}"#)),
                    None => self.push_str(r#"{" deque":[null"#),
                }
                ("", 1, "]}")
            }
            Shape::Dict { kind: DictKind::Plain, text_keys: true, size } => return self.object(value, parts, size),
            Shape::Dict { kind, .. } => match kind {
                DictKind::Ordered => (r#"{" ordereddict":["#, 0, "]}"),
                DictKind::Counter => (r#"{" counter":["#, 0, "]}"),
                DictKind::Default(factory) => {
                    match factory {
                        Some(factory) => {
                            self.print(format_args!(r#"{{" defaultdict":["{}""#, factory.name()));
                        }
                        None => self.push_str(r#"{" defaultdict":[null"#),
                    }
                    ("", 1, "]}")
                }
                DictKind::Plain | DictKind::Namespace => (r#"{" dict":["#, 0, "]}"),
            },
            Shape::Namespace => (r#"{" namespace":["#, 0, "]}"),
            Shape::Stub { name, args, state } => {
                if !self.style.show {
                    return Err(ErrorKind::Misplaced("a stub can't be written").into());
                }
                let labels = [state.as_ref().map(|_| "state"), args.as_ref().map(|_| "args")];
                let mut stub = new_frame(tree.walk(args.into_iter().chain(state).collect()), 1, "}", Some(identity));
                stub.labels.extend(labels.into_iter().flatten());
                stub.items = tree.next(&mut tree.parts(value)?).map(|_| parts);
                let name = name.to_owned();
                self.push_str("{");
                self.push(stub)?;
                self.newline();
                self.push_str(if self.style.indent == 0 { r#"" stub":"# } else { r#"" stub": "# });
                self.text(&name);
                return Ok(());
            }
            _ => return Err(ErrorKind::Internal("a shape without a form".into()).into()),
        };
        self.push_str(start);
        self.push(new_frame(parts, count, close, Some(identity)))
    }

    /// A dict of text keys. One that looks like a tag is wrapped.
    fn object(&mut self, value: &T::Value, parts: T::Cursor, size: usize) -> Step<T> {
        let identity = Some(self.tree.identity(value));
        let mut marked = false;
        if size == 1 {
            let mut first = self.tree.parts(value)?;
            if let Some(key) = self.tree.next(&mut first) {
                marked = match self.tree.shape(&key)? {
                    Shape::Text(text) => text.starts_with(' '),
                    Shape::Surrogates(raw) => raw.starts_with(b" "),
                    _ => false,
                };
            }
        }
        self.push_str(if marked { r#"{" di":{"# } else { "{" });
        let close = if marked { "}}" } else { "}" };
        self.push(Frame { object: true, marked, ..new_frame(parts, 0, close, identity) })
    }

    /// The rest of a tag's list: what comes after a first text.
    fn rest(&mut self, values: Vec<T::Value>) -> Step<T> {
        let values = self.tree.walk(values);
        self.open(values, 1, "]}", None)
    }

    fn values(&mut self, start: &str, values: Vec<T::Value>) -> Step<T> {
        self.push_str(start);
        let values = self.tree.walk(values);
        self.open(values, 0, "]}", None)
    }

    fn open(&mut self, cursor: T::Cursor, count: usize, close: &'static str, identity: Option<usize>) -> Step<T> {
        self.push(new_frame(cursor, count, close, identity))
    }

    fn push(&mut self, frame: Frame<T::Cursor>) -> Step<T> {
        let depth = self.frames.len() as u64 + 1;
        if frame.identity.is_some() && depth > self.style.max_depth {
            let cycle = self.frames.iter().any(|open| open.identity == frame.identity);
            return Err(if cycle { ErrorKind::Cycle } else { ErrorKind::Limit(Limit::Depth) }.into());
        }
        self.frames.push(frame);
        Ok(())
    }

    fn float(&mut self, value: f64) {
        match value {
            _ if value.is_finite() => self.push_str(&repr(value)),
            _ if value.is_nan() && value.to_bits() != f64::NAN.to_bits() => {
                self.tagged(r#"{" f":"#, &format!("{:016x}", value.to_bits()));
            }
            _ => self.tagged(
                r#"{" f":"#,
                if value.is_nan() {
                    "nan"
                } else if value > 0.0 {
                    "inf"
                } else {
                    "-inf"
                },
            ),
        }
    }

    /// A time or a datetime: text where text holds all of it, else a list with the fold and the zone.
    fn moment(&mut self, tag: &str, text: &str, fold: bool, zone: Option<T::Value>) -> Step<T> {
        let tree = self.tree;
        match zone.as_ref().map(|zone| tree.shape(zone)).transpose()? {
            None if !fold => {
                self.tagged(tag, text);
                return Ok(());
            }
            Some(Shape::Timezone(microseconds, None)) if !fold => {
                self.tagged(tag, &format!("{text}{}", iso_offset(microseconds)));
                return Ok(());
            }
            _ => {}
        }
        self.push_str(tag);
        self.out.push(b'[');
        self.text(text);
        self.print(format_args!(",{}", u8::from(fold)));
        match zone {
            Some(zone) => self.rest(vec![zone]),
            None => {
                self.push_str(",null]}");
                Ok(())
            }
        }
    }
}

fn new_frame<C>(cursor: C, count: usize, close: &'static str, identity: Option<usize>) -> Frame<C> {
    Frame { cursor, count, object: false, marked: false, close, identity, labels: Vec::new(), items: None }
}

/// A finite float as Python writes it.
fn repr(value: f64) -> String {
    let mut shortest = format!("{value:e}");
    // Of two that are as near, Python takes the even one; so does rounding to as many digits.
    let digits = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    let rounded = format!("{value:.*e}", digits.saturating_sub(1));
    if rounded.parse() == Ok(value) {
        shortest = rounded;
    }
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        exponent @ -4..16 => fixed(digits, exponent),
        exponent => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

/// Digits of the form `-1.5`, with their point moved: at least one digit stands on each side of it.
fn fixed(digits: &str, exponent: i32) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let digits: String = digits.chars().filter(|each| *each != '.').collect();
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1));
    }
    let whole = exponent as usize + 1;
    let part = digits.get(whole..).filter(|part| !part.is_empty()).unwrap_or("0");
    format!("{sign}{:0<whole$}.{part}", digits.get(..whole).unwrap_or(&digits))
}

/// Text in ASCII alone, as Python writes it: Django's JSONSerializer decodes as latin1.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.bytes().all(|byte| byte < 0x7F) {
            return writer.write_all(fragment.as_bytes());
        }
        for unit in fragment.encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte) if byte < 0x7F => writer.write_all(&[byte])?,
                _ => write!(writer, "\\u{unit:04x}")?,
            }
        }
        Ok(())
    }
}

/// The name of a class of `ipaddress`.
pub(crate) fn ip_class(ip: Ip) -> &'static str {
    match ip {
        Ip::V4Address => "IPv4Address",
        Ip::V6Address => "IPv6Address",
        Ip::V4Network => "IPv4Network",
        Ip::V6Network => "IPv6Network",
        Ip::V4Interface => "IPv4Interface",
        Ip::V6Interface => "IPv6Interface",
    }
}

/// The name of a class of `pathlib`.
pub(crate) fn path_class(path: Path) -> &'static str {
    match path {
        Path::PurePosix => "PurePosixPath",
        Path::PureWindows => "PureWindowsPath",
        Path::Posix => "PosixPath",
        Path::Windows => "WindowsPath",
    }
}

/// A date in ISO form.
pub(crate) fn iso_day(day: Day) -> String {
    format!("{:04}-{:02}-{:02}", day.year, day.month, day.day)
}

/// A time in ISO form, with microseconds if it has any.
pub(crate) fn iso_clock(clock: Clock) -> String {
    let mut text = format!("{:02}:{:02}:{:02}", clock.hour, clock.minute, clock.second);
    if clock.microsecond > 0 {
        write!(text, ".{:06}", clock.microsecond).unwrap_or_default();
    }
    text
}

/// An offset in ISO form, from microseconds.
pub(crate) fn iso_offset(microseconds: i64) -> String {
    let sign = if microseconds < 0 { '-' } else { '+' };
    let (seconds, rest) = (microseconds.abs() / 1_000_000, microseconds.abs() % 1_000_000);
    let mut text = format!("{sign}{:02}:{:02}", seconds / 3_600, seconds / 60 % 60);
    if seconds % 60 > 0 || rest > 0 {
        write!(text, ":{:02}", seconds % 60).unwrap_or_default();
    }
    if rest > 0 {
        write!(text, ".{rest:06}").unwrap_or_default();
    }
    text
}
