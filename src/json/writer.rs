//! Writes a tree as tagged JSON, without recursion.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{ErrorKind, Failure};
use crate::limits::{self, Limit};
use crate::sink::{Clock, Ip, Path};
use crate::tree::{DictKind, Keys, Leaf, Shape, Tree, split_pair};

use super::out::Out;

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

/// What was written.
pub struct Written {
    /// The text.
    pub text: Vec<u8>,
    /// Whether all values are of the kinds that `machine::surely_read` knows the cost of: leaves,
    /// lists, tuples, dicts, small sets of leaves, dates and times in UTC or without a zone, Decimals
    /// and UUIDs; no number in it has more than [`SURE_DIGITS`] digits.
    pub sure: bool,
}

/// The most digits of a number that leave a text sure.
pub const SURE_DIGITS: usize = 1_000;
/// The most keys that are no texts, and the most members of a set, that do.
pub const SURE_HASHED: usize = 64;

/// Why writing stopped, and at which value.
pub struct Unwritten<V, E> {
    /// What is wrong.
    pub failure: Failure<E>,
    /// The value, where one is to blame.
    pub at: Option<V>,
}

/// Writes the value `root` as text.
pub fn write<T: Tree>(tree: &T, root: &T::Value, style: Style) -> Result<String, Unwritten<T::Value, T::Error>> {
    Ok(String::from_utf8(encode(tree, root, style)?.text).unwrap_or_default())
}

/// Writes the value `root`.
pub fn encode<T: Tree>(tree: &T, root: &T::Value, style: Style) -> Result<Written, Unwritten<T::Value, T::Error>> {
    let out = Out::new(!style.show);
    let mut writer = Writer { tree, style, out, sure: true, frames: Vec::new(), open: HashMap::new() };
    let mut value = root.clone();
    loop {
        if let Err(failure) = writer.value(&value) {
            return Err(Unwritten { failure, at: Some(value) });
        }
        match writer.advance() {
            Ok(Some(next)) => value = next,
            Ok(None) => return Ok(Written { text: writer.out.finish(), sure: writer.sure }),
            Err(failure) => return Err(Unwritten { failure, at: None }),
        }
    }
}

/// A container that is being written.
struct Frame<C> {
    cursor: C,
    /// How many parts are written; of an object, how many keys.
    count: usize,
    kind: Kind<C>,
    close: &'static [u8],
    /// Its identity, if it is a container of the tree.
    identity: Option<usize>,
}

/// What the parts of a container are.
enum Kind<C> {
    Items,
    /// Members, or keys and values by turns: one of so many parts is hashed.
    Hashed(usize),
    /// Keys and values. The only key may look like a tag: two underscores mark it.
    Object {
        marked: bool,
    },
    /// A stub: keys that are not in the tree, and items in a list of their own after all parts.
    Stub {
        labels: Vec<&'static str>,
        items: Option<Box<C>>,
    },
}

struct Writer<'t, T: Tree> {
    tree: &'t T,
    style: Style,
    out: Out,
    sure: bool,
    frames: Vec<Frame<T::Cursor>>,
    /// The containers on the way from the root, with their levels; only kept for showing.
    open: HashMap<usize, usize>,
}

type Step<T, R = ()> = Result<R, Failure<<T as Tree>::Error>>;

impl<T: Tree> Writer<'_, T> {
    /// Goes on to the next value that is no leaf, or stands in no list or object; none at the end.
    fn advance(&mut self) -> Step<T, Option<T::Value>> {
        let tree = self.tree;
        loop {
            limits::check(self.out.len() as u64, self.style.max_bytes, Limit::OutputBytes)?;
            let Some(frame) = self.frames.last_mut() else {
                return Ok(None);
            };
            let part = match &frame.kind {
                Kind::Object { marked } => {
                    let (first, marked) = (frame.count == 0, *marked);
                    frame.count += 1;
                    match tree.pair(&mut frame.cursor)? {
                        Some((key, value)) => {
                            self.key(&key, first, marked)?;
                            value
                        }
                        None => {
                            self.close(first);
                            continue;
                        }
                    }
                }
                _ => match tree.next(&mut frame.cursor)? {
                    Some(part) => {
                        self.before(&part);
                        part
                    }
                    None => {
                        self.end()?;
                        continue;
                    }
                },
            };
            match tree.leaf(&part) {
                Some(leaf) => self.leaf(leaf),
                None => return Ok(Some(part)),
            }
        }
    }

    /// What stands before a part of a container that is no object.
    #[inline]
    fn before(&mut self, part: &T::Value) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let count = frame.count;
        frame.count += 1;
        match &mut frame.kind {
            Kind::Stub { labels, .. } => {
                if let Some(label) = labels.pop() {
                    return self.label(label);
                }
            }
            Kind::Hashed(step) if count.is_multiple_of(*step) => {
                let small = count < *step * SURE_HASHED;
                self.sure &= small && self.tree.leaf(part).is_some();
            }
            _ => {}
        }
        if count > 0 {
            self.out.byte(b',');
        }
        self.newline();
    }

    /// The end of the parts of a container that is no object.
    fn end(&mut self) -> Step<T> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        if let Kind::Stub { items, .. } = &mut frame.kind
            && let Some(items) = items.take()
        {
            self.label("items");
            self.out.byte(b'[');
            return self.push(new_frame(*items, 0, b"]", None));
        }
        let empty = frame.count == 0;
        self.close(empty);
        Ok(())
    }

    fn close(&mut self, empty: bool) {
        if let Some(frame) = self.frames.pop() {
            if self.style.show
                && let Some(identity) = frame.identity
            {
                self.open.remove(&identity);
            }
            if !empty {
                self.newline();
            }
            self.out.put(frame.close);
        }
    }

    #[inline]
    fn key(&mut self, key: &T::Value, first: bool, marked: bool) -> Step<T> {
        if !first {
            self.out.byte(b',');
        }
        self.newline();
        match self.tree.leaf(key) {
            Some(Leaf::Text(text)) => self.out.text(text),
            Some(Leaf::Latin1(text)) => self.out.latin1(text),
            _ => self.rare_key(key)?,
        }
        if marked {
            self.out.pop();
            self.out.put(b"__\"");
        }
        self.colon();
        Ok(())
    }

    #[cold]
    fn rare_key(&mut self, key: &T::Value) -> Step<T> {
        match self.tree.shape(key)? {
            Shape::Text(text) => self.out.text(&text),
            Shape::Surrogates(raw) if split_pair(&raw).is_none() => self.surrogates(&raw),
            _ => return Err(ErrorKind::Misplaced("a key that has no form in JSON").into()),
        }
        Ok(())
    }

    #[inline]
    fn colon(&mut self) {
        self.out.byte(b':');
        if self.style.indent > 0 {
            self.out.byte(b' ');
        }
    }

    /// A further key of an object.
    fn label(&mut self, label: &str) {
        self.out.byte(b',');
        self.newline();
        self.out.text(label);
        self.colon();
    }

    #[inline]
    fn newline(&mut self) {
        if self.style.indent > 0 {
            self.out.byte(b'\n');
            self.out.spaces(self.style.indent * self.frames.len());
        }
    }

    /// UTF-8 with lone surrogates, which are written as their escapes: cut between what would make a pair.
    fn surrogates(&mut self, raw: &[u8]) {
        self.sure = false;
        let (mut rest, mut parts) = (raw, 0);
        while let Some(pair) = split_pair(rest) {
            // Two escapes that stand next to each other would be read as one character.
            self.out.put(if parts == 0 { br#"{" str":["# } else { b"," });
            let (part, after) = rest.split_at(pair);
            self.coded(part);
            (rest, parts) = (after, parts + 1);
        }
        if parts > 0 {
            self.out.byte(b',');
        }
        self.coded(rest);
        if parts > 0 {
            self.out.put(b"]}");
        }
    }

    fn coded(&mut self, raw: &[u8]) {
        self.out.byte(b'"');
        let mut rest = raw;
        loop {
            let valid = std::str::from_utf8(rest).map_or_else(|error| error.valid_up_to(), str::len);
            let (text, surrogate) = rest.split_at(valid);
            self.out.escaped(std::str::from_utf8(text).unwrap_or_default());
            let [lead, middle, last, after @ ..] = surrogate else {
                break;
            };
            self.out.unit(u16::from(lead & 0xF) << 12 | u16::from(middle & 0x3F) << 6 | u16::from(last & 0x3F));
            rest = after;
        }
        self.out.byte(b'"');
    }

    /// An object of one key, and text in it.
    fn tagged(&mut self, tag: &[u8], text: &str) {
        self.out.put(tag);
        self.out.text(text);
        self.out.byte(b'}');
    }

    #[inline]
    fn leaf(&mut self, leaf: Leaf<'_>) {
        match leaf {
            Leaf::Text(text) => self.out.text(text),
            Leaf::Latin1(text) => self.out.latin1(text),
            Leaf::Int(value) => self.out.int(value),
            Leaf::None => self.out.put_array(b"null"),
            Leaf::Bool(true) => self.out.put_array(b"true"),
            Leaf::Bool(false) => self.out.put_array(b"false"),
            Leaf::Float(value) => self.float(value),
        }
    }

    /// Writes a value that is a leaf, or opens a container.
    fn value(&mut self, value: &T::Value) -> Step<T> {
        let tree = self.tree;
        match tree.shape(value)? {
            Shape::Leaf(leaf) => self.leaf(leaf),
            Shape::Text(text) => self.out.text(&text),
            Shape::Decimal => {
                let (out, sure) = (&mut self.out, &mut self.sure);
                tree.decimal(value, |text| {
                    *sure &= is_sure_decimal(text);
                    out.put_array(br#"{" decimal":"#);
                    out.text(text);
                    out.byte(b'}');
                })?;
            }
            Shape::DateTime(day, clock, zone) => {
                self.out.put_array(br#"{" datetime":"#);
                self.moment(zone, clock, |out| {
                    out.day(day);
                    out.byte(b'T');
                })?;
            }
            Shape::Time(clock, zone) => {
                self.out.put_array(br#"{" time":"#);
                self.moment(zone, clock, |_| {})?;
            }
            Shape::Date(day) => {
                self.out.put_array(br#"{" date":""#);
                self.out.day(day);
                self.out.put_array(br#""}"#);
            }
            Shape::Uuid(int, None) => self.out.print(format_args!(r#"{{" u":"{int:032x}"}}"#)),
            Shape::TimeDelta { days, seconds, microseconds } => {
                self.out.print(format_args!(r#"{{" timedelta":[{days},{seconds},{microseconds}]}}"#));
            }
            Shape::Timezone(offset, None) => {
                self.out.put_array(br#"{" timezone":""#);
                self.out.offset(offset);
                self.out.put_array(br#""}"#);
            }
            Shape::Bytes(raw) => self.tagged(br#"{" b":"#, &STANDARD.encode(raw)),
            Shape::ByteArray(raw) => self.tagged(br#"{" bytearray":"#, &STANDARD.encode(raw)),
            Shape::BigInt(digits) if !digits.contains('x') => {
                self.sure &= digits.len() <= SURE_DIGITS;
                self.out.put(digits.as_bytes());
            }
            shape @ (Shape::List
            | Shape::Tuple
            | Shape::Set
            | Shape::FrozenSet
            | Shape::Dict(DictKind::Plain, Keys::Text | Keys::Other)) => self.container(value, shape)?,
            shape => {
                self.sure = false;
                self.rare(value, shape)?;
            }
        }
        Ok(())
    }

    fn rare(&mut self, value: &T::Value, shape: Shape<'_, T::Value>) -> Step<T> {
        let tree = self.tree;
        match shape {
            Shape::Surrogates(raw) => self.surrogates(&raw),
            Shape::BigInt(digits) => self.tagged(br#"{" int":"#, &digits),
            Shape::Uuid(int, Some(safe)) => self.out.print(format_args!(r#"{{" uuid":["{int:032x}",{safe}]}}"#)),
            Shape::ZoneInfo(key) => self.tagged(br#"{" zone":"#, &key),
            Shape::Timezone(offset, Some(name)) => {
                self.out.put_array(br#"{" timezone":[""#);
                self.out.offset(offset);
                self.out.byte(b'"');
                self.values(vec![name], 1)?;
            }
            Shape::Ip(ip, text) => {
                self.out.print(format_args!(r#"{{" ip":["{}","#, ip_class(ip)));
                self.out.text(&text);
                self.out.put(b"]}");
            }
            Shape::Complex(real, imaginary) => {
                self.out.put_array(br#"{" complex":["#);
                self.float(real);
                self.out.byte(b',');
                self.float(imaginary);
                self.out.put(b"]}");
            }
            Shape::Range(bounds) => {
                self.out.put_array(br#"{" range":["#);
                self.values(bounds.into(), 0)?;
            }
            Shape::Fraction(numerator, denominator) => {
                self.out.put_array(br#"{" fraction":["#);
                self.values(vec![numerator, denominator], 0)?;
            }
            Shape::Path(kind) => {
                self.out.print(format_args!(r#"{{" path":["{}""#, path_class(kind)));
                self.push(new_frame(tree.parts(value)?, 1, b"]}", None))?;
            }
            Shape::StructTime => {
                self.out.put_array(br#"{" struct_time":["#);
                self.push(new_frame(tree.parts(value)?, 0, b"]}", None))?;
            }
            Shape::Array(code) => {
                self.out.print(format_args!(r#"{{" array":["{code}""#));
                self.push(new_frame(tree.parts(value)?, 1, b"]}", None))?;
            }
            Shape::Markup(text) => {
                self.out.put_array(br#"{" m":"#);
                self.push(new_frame(tree.walk(vec![text]), 0, b"}", None))?;
            }
            Shape::Tagged(tag, values) => {
                self.out.print(format_args!(r#"{{"{tag}":["#));
                self.values(values, 0)?;
            }
            Shape::Foreign(class) => match tree.equivalent(value)? {
                Some(plain) if tree.identity(&plain) != tree.identity(value) => return self.value_again(&plain),
                _ => {
                    let (module, name) = class.rsplit_once('.').unwrap_or(("", &class));
                    let hint = crate::policy::hint(module, name);
                    return Err(ErrorKind::ForbiddenGlobal { name: class.into(), hint }.into());
                }
            },
            shape => self.container(value, shape)?,
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
                self.out.print(format_args!(r#"{{" cycle":{up}}}"#));
                return Ok(());
            }
            self.open.insert(identity, self.open.len());
        }
        let parts = tree.parts(value)?;
        let identity = Some(identity);
        let frame = |cursor, kind, count, close: &'static [u8]| Frame { cursor, count, kind, close, identity };
        let frame = match shape {
            Shape::List => {
                self.out.byte(b'[');
                frame(parts, Kind::Items, 0, b"]")
            }
            Shape::Dict(DictKind::Plain, Keys::Text) => {
                self.out.byte(b'{');
                frame(parts, Kind::Object { marked: false }, 0, b"}")
            }
            Shape::Dict(DictKind::Plain, Keys::Tag) => {
                self.out.put_array(br#"{" di":{"#);
                frame(parts, Kind::Object { marked: true }, 0, b"}}")
            }
            Shape::Dict(kind, _) => {
                match kind {
                    DictKind::Ordered => self.out.put_array(br#"{" ordereddict":["#),
                    DictKind::Counter => self.out.put_array(br#"{" counter":["#),
                    DictKind::Default(Some(factory)) => {
                        self.out.print(format_args!(r#"{{" defaultdict":["{}""#, factory.name()));
                    }
                    DictKind::Default(None) => self.out.put_array(br#"{" defaultdict":[null"#),
                    DictKind::Plain | DictKind::Namespace => self.out.put_array(br#"{" dict":["#),
                }
                let counted = usize::from(matches!(kind, DictKind::Default(_)));
                frame(parts, Kind::Hashed(2), counted, b"]}")
            }
            Shape::Tuple => {
                self.out.put_array(br#"{" t":["#);
                frame(parts, Kind::Items, 0, b"]}")
            }
            Shape::Set => {
                self.out.put_array(br#"{" set":["#);
                frame(parts, Kind::Hashed(1), 0, b"]}")
            }
            Shape::FrozenSet => {
                self.out.put_array(br#"{" frozenset":["#);
                frame(parts, Kind::Hashed(1), 0, b"]}")
            }
            Shape::Deque(bound) => {
                match bound {
                    Some(bound) => self.out.print(format_args!(r#"{{" deque":[{bound}"#)),
                    None => self.out.put_array(br#"{" deque":[null"#),
                }
                frame(parts, Kind::Items, 1, b"]}")
            }
            Shape::Namespace => {
                self.out.put_array(br#"{" namespace":["#);
                frame(parts, Kind::Items, 0, b"]}")
            }
            Shape::Stub { name, args, state } => {
                if !self.style.show {
                    return Err(ErrorKind::Misplaced("a stub can't be written").into());
                }
                let labels = [state.as_ref().map(|_| "state"), args.as_ref().map(|_| "args")];
                let some = tree.next(&mut tree.parts(value)?)?.is_some();
                let items = some.then(|| Box::new(parts));
                let kind = Kind::Stub { labels: labels.into_iter().flatten().collect(), items };
                let cursor = tree.walk(args.into_iter().chain(state).collect());
                self.out.byte(b'{');
                self.push(Frame { cursor, count: 1, kind, close: b"}", identity })?;
                self.newline();
                self.out.text(" stub");
                self.colon();
                self.out.text(name);
                return Ok(());
            }
            _ => return Err(ErrorKind::Internal("a shape without a form".into()).into()),
        };
        self.push(frame)
    }

    /// Values in a list that is open, behind `count` others; the tag ends with it.
    fn values(&mut self, values: Vec<T::Value>, count: usize) -> Step<T> {
        self.push(new_frame(self.tree.walk(values), count, b"]}", None))
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
            _ if value.is_finite() => self.out.float(value),
            _ if value.is_nan() && value.to_bits() != f64::NAN.to_bits() => {
                self.tagged(br#"{" f":"#, &format!("{:016x}", value.to_bits()));
            }
            _ if value.is_nan() => self.tagged(br#"{" f":"#, "nan"),
            _ => self.tagged(br#"{" f":"#, if value > 0.0 { "inf" } else { "-inf" }),
        }
    }

    /// A time, behind its tag: text where text holds all of it, else a list with the fold and the zone.
    fn moment(&mut self, zone: Option<T::Value>, clock: Clock, day: impl FnOnce(&mut Out)) -> Step<T> {
        let offset = match zone.as_ref().map(|zone| self.tree.shape(zone)).transpose()? {
            None if !clock.fold => Some(None),
            Some(Shape::Timezone(microseconds, None)) if !clock.fold => Some(Some(microseconds)),
            _ => None,
        };
        self.out.put(if offset.is_some() { b"\"" } else { b"[\"" });
        day(&mut self.out);
        self.out.clock(clock);
        if let Some(offset) = offset {
            if let Some(microseconds) = offset {
                self.out.offset(microseconds);
            }
            self.out.put_array(b"\"}");
            return Ok(());
        }
        self.sure = false;
        self.out.print(format_args!("\",{}", u8::from(clock.fold)));
        match zone {
            Some(zone) => self.values(vec![zone], 2),
            None => {
                self.out.put(b",null]}");
                Ok(())
            }
        }
    }
}

fn new_frame<C>(cursor: C, count: usize, close: &'static [u8], identity: Option<usize>) -> Frame<C> {
    Frame { cursor, count, kind: Kind::Items, close, identity }
}

/// Digits alone, with one point at most.
fn is_sure_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let mut points = 0;
    let plain = unsigned.bytes().all(|byte| {
        points += usize::from(byte == b'.');
        byte.is_ascii_digit() || byte == b'.'
    });
    plain && points < 2 && points < unsigned.len() && unsigned.len() <= SURE_DIGITS
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
