//! Writes a tree as tagged JSON, without recursion.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{ErrorKind, Failure};
use crate::limits::{self, Limit};
use crate::sink::{Clock, Day, Ip, Path};
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
    out: Out,
    /// Whether all values are of the kinds that `machine::surely_read` knows the cost of: leaves,
    /// lists, tuples, dicts, small sets of leaves, dates and times in UTC or without a zone, Decimals
    /// and UUIDs; no number in it has more than [`SURE_DIGITS`] digits.
    pub sure: bool,
}

impl Written {
    /// The text.
    pub fn text(&self) -> &[u8] {
        self.out.written()
    }
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
    Ok(String::from_utf8(encode(tree, root, style)?.out.finish()).unwrap_or_default())
}

/// Writes the value `root`.
pub fn encode<T: Tree>(tree: &T, root: &T::Value, style: Style) -> Result<Written, Unwritten<T::Value, T::Error>> {
    let out = Out::new(!style.show);
    let mut writer = Writer {
        tree,
        style,
        out,
        sure: true,
        careful: style.show || style.indent > 0,
        frames: Vec::new(),
        open: HashMap::new(),
    };
    let mut value = root.clone();
    loop {
        if let Err(failure) = writer.value(&value) {
            return Err(Unwritten { failure, at: Some(value) });
        }
        match writer.advance() {
            Ok(Some(next)) => value = next,
            Ok(None) => return Ok(Written { out: writer.out, sure: writer.sure }),
            Err(failure) => return Err(Unwritten { failure, at: None }),
        }
    }
}

/// A container that is being written.
struct Frame<V, C> {
    cursor: C,
    /// How many parts are written; of an object, whether any is.
    count: usize,
    kind: Kind<V, C>,
    close: &'static [u8],
    /// Its identity, if it is a container of the tree.
    identity: Option<usize>,
}

/// What the parts of a container are.
enum Kind<V, C> {
    Items,
    /// Members, or keys and values by turns: one of so many parts is hashed.
    Hashed(usize),
    /// Keys and values. The only key may look like a tag: two underscores mark it.
    Object {
        marked: bool,
        /// As long as the keys were not looked at: the dict, and where it starts in the text.
        unchecked: Option<(V, usize)>,
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
    frames: Vec<Frame<T::Value, T::Cursor>>,
    /// Whether the keys of dicts are looked at before they are written.
    careful: bool,
    /// The containers on the way from the root, with their levels; only kept for showing.
    open: HashMap<usize, usize>,
}

type Step<T, R = ()> = Result<R, Failure<<T as Tree>::Error>>;

impl<T: Tree> Writer<'_, T> {
    /// Goes on to the next value that is no leaf; none at the end.
    fn advance(&mut self) -> Step<T, Option<T::Value>> {
        let (tree, most) = (self.tree, self.style.max_bytes);
        let in_line = self.style.indent == 0;
        loop {
            limits::check(self.out.len() as u64, most, Limit::OutputBytes)?;
            let Some(frame) = self.frames.last_mut() else {
                return Ok(None);
            };
            match frame.kind {
                Kind::Object { marked: false, .. } if in_line => {
                    if let Some(value) = self.entries()? {
                        return Ok(Some(value));
                    }
                }
                Kind::Items if in_line => {
                    while let Some(part) = tree.next(&mut frame.cursor)? {
                        limits::check(self.out.len() as u64, most, Limit::OutputBytes)?;
                        if frame.count > 0 {
                            self.out.byte(b',');
                        }
                        frame.count += 1;
                        match tree.leaf(&part) {
                            Some(leaf) => self.out.leaf(leaf),
                            None => return Ok(Some(part)),
                        }
                    }
                    let empty = frame.count == 0;
                    self.close(empty);
                }
                _ => {
                    if let Some(part) = self.rare_part()? {
                        return Ok(Some(part));
                    }
                }
            }
        }
    }

    /// Entries of the innermost object, up to a value that is no leaf; none at its end.
    #[inline(always)]
    fn entries(&mut self) -> Step<T, Option<T::Value>> {
        let (tree, most) = (self.tree, self.style.max_bytes);
        let Some(frame) = self.frames.last_mut() else {
            return Ok(None);
        };
        while let Some([key, value]) = tree.pair(&mut frame.cursor)? {
            limits::check(self.out.len() as u64, most, Limit::OutputBytes)?;
            let first = frame.count == 0;
            let text = match tree.leaf(&key) {
                Some(Leaf::Latin1(text)) => Some(text),
                Some(Leaf::Text(text)) => Some(text.as_bytes()),
                _ => None,
            };
            if text.is_none_or(|text| first && text.first() == Some(&b' '))
                && let Kind::Object { unchecked, .. } = &mut frame.kind
                && let Some((dict, start)) = unchecked.take()
            {
                self.careful |= !first;
                self.frames.pop();
                self.out.truncate(start);
                let parts = tree.parts(&dict)?;
                let keys = tree.keys(&parts)?;
                self.dict(&dict, parts, Some(keys))?;
                return Ok(None);
            }
            frame.count = 1;
            if !text.is_some_and(|text| self.out.key(text, first)) {
                if !first {
                    self.out.byte(b',');
                }
                rare_key(tree, &mut self.out, &key)?;
                self.out.byte(b':');
            }
            match tree.leaf(&value) {
                Some(leaf) => self.out.leaf(leaf),
                None => return Ok(Some(value)),
            }
        }
        let empty = frame.count == 0;
        self.close(empty);
        Ok(None)
    }

    /// Opens a dict. If its keys were not looked at, they are hoped to be texts.
    fn dict(&mut self, dict: &T::Value, parts: T::Cursor, keys: Option<Keys>) -> Step<T> {
        let (start, identity) = (self.out.len(), Some(self.tree.identity(dict)));
        let (kind, close): (_, &'static [u8]) = match keys.unwrap_or(Keys::Text) {
            Keys::Text => {
                let unchecked = keys.is_none().then(|| (dict.clone(), start));
                self.out.byte(b'{');
                (Kind::Object { marked: false, unchecked }, b"}")
            }
            Keys::Tag => {
                self.sure = false;
                self.out.put_array(br#"{" di":{"#);
                (Kind::Object { marked: true, unchecked: None }, b"}}")
            }
            Keys::Other => {
                self.out.put_array(br#"{" dict":["#);
                (Kind::Hashed(2), b"]}")
            }
        };
        self.push(Frame { cursor: parts, count: 0, kind, close, identity })
    }

    /// The next part of a container that is shown in several lines, or takes more care.
    fn rare_part(&mut self) -> Step<T, Option<T::Value>> {
        let tree = self.tree;
        let Some(frame) = self.frames.last_mut() else {
            return Ok(None);
        };
        let count = frame.count;
        if let Kind::Object { marked, .. } = frame.kind {
            let Some([key, value]) = tree.pair(&mut frame.cursor)? else {
                self.close(count == 0);
                return Ok(None);
            };
            frame.count += 1;
            if count > 0 {
                self.out.byte(b',');
            }
            self.newline();
            rare_key(tree, &mut self.out, &key)?;
            if marked {
                self.out.truncate(self.out.len() - 1);
                self.out.put_array(b"__\"");
            }
            self.colon();
            return Ok(Some(value));
        }
        let Some(part) = tree.next(&mut frame.cursor)? else {
            self.end(count == 0)?;
            return Ok(None);
        };
        self.before(&part);
        Ok(Some(part))
    }

    /// What stands before a part of a container that is no object.
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
    fn end(&mut self, empty: bool) -> Step<T> {
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
        self.close(empty);
        Ok(())
    }

    fn close(&mut self, empty: bool) {
        if let Some(frame) = self.frames.last() {
            let (identity, close) = (frame.identity, frame.close);
            self.frames.truncate(self.frames.len() - 1);
            if self.style.show
                && let Some(identity) = identity
            {
                self.open.remove(&identity);
            }
            if !empty {
                self.newline();
            }
            self.out.put(close);
        }
    }

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

    /// An object of one key, and text in it.
    fn tagged(&mut self, tag: &[u8], text: &str) {
        self.out.put(tag);
        self.out.text(text);
        self.out.byte(b'}');
    }

    /// Writes a value that is a leaf, or opens a container.
    fn value(&mut self, value: &T::Value) -> Step<T> {
        let tree = self.tree;
        match tree.shape(value)? {
            Shape::Leaf(leaf) => self.out.leaf(leaf),
            Shape::Text(text) => self.out.text(&text),
            Shape::Decimal => {
                let (out, sure) = (&mut self.out, &mut self.sure);
                tree.decimal(value, |text| {
                    *sure &= is_sure_decimal(text);
                    out.put_array(br#"{" decimal":"#);
                    out.latin1(text);
                    out.byte(b'}');
                })?;
            }
            Shape::PlainDecimal(number) => {
                self.out.put_array(br#"{" decimal":""#);
                self.out.decimal(number);
                self.out.put_array(br#""}"#);
            }
            Shape::DateTime(day, clock, zone) => {
                self.out.put_array(br#"{" datetime":"#);
                self.moment(zone, Some(day), clock)?;
            }
            Shape::Time(clock, zone) => {
                self.out.put_array(br#"{" time":"#);
                self.moment(zone, None, clock)?;
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
            Shape::Dict(DictKind::Plain) => {
                if !self.is_open(value) {
                    let parts = tree.parts(value)?;
                    let keys = self.careful.then(|| tree.keys(&parts)).transpose()?;
                    self.dict(value, parts, keys)?;
                }
            }
            Shape::List => self.container(value, b"[", Kind::Items, b"]")?,
            Shape::Tuple => self.container(value, br#"{" t":["#, Kind::Items, b"]}")?,
            Shape::Set => self.container(value, br#"{" set":["#, Kind::Hashed(1), b"]}")?,
            Shape::FrozenSet => self.container(value, br#"{" frozenset":["#, Kind::Hashed(1), b"]}")?,
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
            Shape::Surrogates(raw) => self.out.surrogates(&raw),
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
                self.out.float(real);
                self.out.byte(b',');
                self.out.float(imaginary);
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
            shape => self.rare_container(value, shape)?,
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

    /// Whether a container is to be shown that is inside of itself: writes what stands for it. If not, it is open
    /// from now on.
    #[inline]
    fn is_open(&mut self, value: &T::Value) -> bool {
        self.style.show && self.shows_cycle(self.tree.identity(value))
    }

    fn shows_cycle(&mut self, identity: usize) -> bool {
        if let Some(level) = self.open.get(&identity) {
            let up = self.open.len() - level;
            self.out.print(format_args!(r#"{{" cycle":{up}}}"#));
            return true;
        }
        self.open.insert(identity, self.open.len());
        false
    }

    fn container(
        &mut self,
        value: &T::Value,
        start: &[u8],
        kind: Kind<T::Value, T::Cursor>,
        close: &'static [u8],
    ) -> Step<T> {
        if self.is_open(value) {
            return Ok(());
        }
        let (cursor, identity) = (self.tree.parts(value)?, Some(self.tree.identity(value)));
        self.out.put(start);
        self.push(Frame { cursor, count: 0, kind, close, identity })
    }

    fn rare_container(&mut self, value: &T::Value, shape: Shape<'_, T::Value>) -> Step<T> {
        let tree = self.tree;
        if self.is_open(value) {
            return Ok(());
        }
        let (parts, identity) = (tree.parts(value)?, Some(tree.identity(value)));
        let frame = |cursor, kind, count, close: &'static [u8]| Frame { cursor, count, kind, close, identity };
        let frame = match shape {
            Shape::Dict(kind) => {
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

    fn push(&mut self, frame: Frame<T::Value, T::Cursor>) -> Step<T> {
        let depth = self.frames.len() as u64 + 1;
        if frame.identity.is_some() && depth > self.style.max_depth {
            let cycle = self.frames.iter().any(|open| open.identity == frame.identity);
            return Err(if cycle { ErrorKind::Cycle } else { ErrorKind::Limit(Limit::Depth) }.into());
        }
        self.frames.push(frame);
        Ok(())
    }

    /// A time, behind its tag: text where text holds all of it, else a list with the fold and the zone.
    fn moment(&mut self, zone: Option<T::Value>, day: Option<Day>, clock: Clock) -> Step<T> {
        let offset = match zone.as_ref().map(|zone| self.tree.shape(zone)).transpose()? {
            None if !clock.fold => Some(None),
            Some(Shape::Timezone(microseconds, None)) if !clock.fold => Some(Some(microseconds)),
            _ => None,
        };
        self.out.put(if offset.is_some() { b"\"" } else { b"[\"" });
        match day {
            Some(day) => self.out.day_and_clock(day, clock),
            None => self.out.clock(clock),
        }
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

/// Writes a key of any form.
#[cold]
fn rare_key<T: Tree>(tree: &T, out: &mut Out, key: &T::Value) -> Step<T> {
    match tree.shape(key)? {
        Shape::Leaf(leaf @ (Leaf::Text(_) | Leaf::Latin1(_))) => out.leaf(leaf),
        Shape::Text(text) => out.text(&text),
        Shape::Surrogates(raw) if split_pair(&raw).is_none() => out.surrogates(&raw),
        _ => return Err(ErrorKind::Misplaced("a key that has no form in JSON").into()),
    }
    Ok(())
}

fn new_frame<V, C>(cursor: C, count: usize, close: &'static [u8], identity: Option<usize>) -> Frame<V, C> {
    Frame { cursor, count, kind: Kind::Items, close, identity }
}

/// Digits alone, with one point at most.
fn is_sure_decimal(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let points = unsigned.iter().filter(|byte| **byte == b'.').count();
    let plain = unsigned.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
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
