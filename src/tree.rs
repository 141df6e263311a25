//! The tree: how finished values are looked at from outside, whether nodes or Python objects hold them.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::error::Failure;
use crate::sink::{Clock, Day, Factory, Ip, Path, SmallDecimal};

/// What kind of dict a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DictKind {
    Plain,
    Ordered,
    Default(Option<Factory>),
    Counter,
    /// A `SimpleNamespace`.
    Namespace,
}

/// What JSON has a form of its own for, and is no container: most values, so that they are looked at first.
#[derive(Clone, Copy, Debug)]
pub enum Leaf<'v> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'v str),
    /// Text whose characters are one byte each.
    Latin1(&'v [u8]),
}

/// The keys of a dict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Texts without what looks like a tag.
    Text,
    /// One text that begins with a space, as a tag does.
    Tag,
    /// Others than texts are among them.
    Other,
}

/// What a value is. Its parts are walked over with a cursor, where a variant does not hold them itself.
#[derive(Debug)]
pub enum Shape<'v, V> {
    Leaf(Leaf<'v>),
    /// Over 64 bits: decimal digits, or `0x` and hexadecimal ones, with a sign.
    BigInt(Cow<'v, str>),
    /// Text that its holder keeps in another form.
    Text(String),
    /// UTF-8 with lone surrogates.
    Surrogates(Cow<'v, [u8]>),
    Bytes(Cow<'v, [u8]>),
    ByteArray(Cow<'v, [u8]>),
    List,
    Tuple,
    Set,
    FrozenSet,
    /// With its bound.
    Deque(Option<usize>),
    Dict(DictKind),
    /// Attributes: text keys and values alternate.
    Namespace,
    Complex(f64, f64),
    Range([V; 3]),
    Fraction(V, V),
    Date(Day),
    Time(Clock, Option<V>),
    DateTime(Day, Clock, Option<V>),
    TimeDelta {
        days: i32,
        seconds: i32,
        microseconds: i32,
    },
    /// Microseconds, and a name.
    Timezone(i64, Option<V>),
    ZoneInfo(Cow<'v, str>),
    Decimal,
    /// The same, where its text has no exponent.
    PlainDecimal(SmallDecimal),
    /// With `is_safe`, where that is known.
    Uuid(u128, Option<i64>),
    Ip(Ip, Cow<'v, str>),
    /// Its parts are texts.
    Path(Path),
    /// Its parts are the fields.
    StructTime,
    /// Its parts are the items.
    Array(char),
    /// An inert stand-in: its name, arguments and state; its parts are the items.
    Stub {
        name: &'v str,
        args: Option<V>,
        state: Option<V>,
    },
    /// Text that a framework marks as safe.
    Markup(V),
    /// A framework's own value: a tag and what is in it.
    Tagged(&'static str, Vec<V>),
    /// Something else, by the name of its class.
    Foreign(String),
}

/// Values, and how to look at them.
pub trait Tree {
    /// A handle to a value. A clone shares the value.
    type Value: Clone;
    /// A walk over the parts of a value.
    type Cursor;
    /// The tree's own error.
    type Error;

    /// The value, if it is a leaf that is held as such.
    fn leaf<'v>(&'v self, value: &'v Self::Value) -> Option<Leaf<'v>>;
    /// What a value is.
    fn shape<'v>(&'v self, value: &'v Self::Value) -> Result<Shape<'v, Self::Value>, Failure<Self::Error>>;
    /// Starts a walk over the parts of a container; of a dict, keys and values alternate.
    fn parts(&self, value: &Self::Value) -> Result<Self::Cursor, Failure<Self::Error>>;
    /// A walk over these.
    fn walk(&self, values: Vec<Self::Value>) -> Self::Cursor;
    /// The next part. An error if the container was changed under the walk.
    fn next(&self, cursor: &mut Self::Cursor) -> Result<Option<Self::Value>, Failure<Self::Error>>;
    /// What the keys are that a walk over a dict gives, before its first step.
    fn keys(&self, cursor: &Self::Cursor) -> Result<Keys, Failure<Self::Error>>;
    /// The next key and value of a dict.
    #[inline]
    fn pair(&self, cursor: &mut Self::Cursor) -> Result<Option<[Self::Value; 2]>, Failure<Self::Error>> {
        Ok(match (self.next(cursor)?, self.next(cursor)?) {
            (Some(key), Some(value)) => Some([key, value]),
            _ => None,
        })
    }
    /// Hands over the text of a Decimal, which is ASCII.
    fn decimal<R>(&self, value: &Self::Value, take: impl FnOnce(&[u8]) -> R) -> Result<R, Failure<Self::Error>>;
    /// Equal for equal handles only.
    fn identity(&self, value: &Self::Value) -> usize;
    /// A plain value in place of one of a foreign class, if there is one.
    fn equivalent(&self, value: &Self::Value) -> Result<Option<Self::Value>, Failure<Self::Error>>;
}

/// Bits of an integer that is written in decimal: conversion is quadratic, and readers bound digits.
pub(crate) const DECIMAL_BITS: u64 = 1 << 13;

/// The longest path that is shown, in characters.
const PATH: usize = 200;

/// Where the first value that `wanted` accepts is inside of `root`: `cart.items[3].price`. It is told of
/// each value, and whether that is a container that holds it.
pub fn path<T: Tree>(tree: &T, root: &T::Value, mut wanted: impl FnMut(&T::Value, bool) -> bool) -> Option<String> {
    struct Level<C, V> {
        cursor: C,
        identity: usize,
        /// A stub: what is inside of it has no place of its own to name.
        silent: bool,
        /// Keys and values alternate.
        keyed: bool,
        index: usize,
        key: Option<V>,
        in_key: bool,
    }
    if wanted(root, false) {
        return Some(String::new());
    }
    let level = |value: &T::Value| {
        let mut silent = false;
        let (cursor, keyed) = match tree.shape(value).ok()? {
            Shape::Dict(..) | Shape::Namespace => (tree.parts(value).ok()?, true),
            Shape::List | Shape::Tuple | Shape::Set | Shape::FrozenSet | Shape::Deque(_) => {
                (tree.parts(value).ok()?, false)
            }
            Shape::Stub { args, state, .. } => {
                silent = true;
                let mut parts: Vec<_> = state.into_iter().chain(args).collect();
                let mut items = tree.parts(value).ok()?;
                parts.extend(std::iter::from_fn(|| tree.next(&mut items).ok().flatten()));
                (tree.walk(parts), false)
            }
            _ => return None,
        };
        Some(Level { cursor, identity: tree.identity(value), silent, keyed, index: 0, key: None, in_key: false })
    };
    let mut seen = HashSet::from([tree.identity(root)]);
    let mut levels: Vec<_> = level(root).into_iter().collect();
    let mut open = HashSet::from([tree.identity(root)]);
    loop {
        let current = levels.last_mut()?;
        let Some(part) = tree.next(&mut current.cursor).ok()? else {
            open.remove(&current.identity);
            levels.pop();
            continue;
        };
        current.in_key = current.keyed && current.index % 2 == 0;
        if current.in_key {
            current.key = Some(part.clone());
        }
        current.index += 1;
        let identity = tree.identity(&part);
        if wanted(&part, open.contains(&identity)) {
            break;
        }
        if seen.insert(identity)
            && let Some(next) = level(&part)
        {
            open.insert(identity);
            levels.push(next);
        }
    }
    let mut shown = String::new();
    for level in &levels {
        let Some(key) = &level.key else {
            if !level.silent {
                shown.push_str(&format!("[{}]", level.index - 1));
            }
            continue;
        };
        let name = match tree.shape(key) {
            _ if level.in_key => {
                shown.push_str("{key}");
                continue;
            }
            Ok(Shape::Leaf(Leaf::Text(name))) => name.to_owned(),
            Ok(Shape::Leaf(Leaf::Latin1(name))) => name.iter().copied().map(char::from).collect(),
            Ok(Shape::Text(name)) => name,
            Ok(Shape::Leaf(Leaf::Int(key))) => {
                shown.push_str(&format!("[{key}]"));
                continue;
            }
            _ => {
                shown.push_str(&format!("[key {}]", (level.index - 1) / 2));
                continue;
            }
        };
        if !is_identifier(&name) {
            shown.push_str(&format!("[{:?}]", name.chars().take(64).collect::<String>()));
            continue;
        }
        if !shown.is_empty() {
            shown.push('.');
        }
        shown.push_str(&name);
    }
    if let Some((cut, _)) = shown.char_indices().nth(PATH) {
        shown.truncate(cut);
        shown.push('…');
    }
    Some(shown)
}

fn is_identifier(name: &str) -> bool {
    name.len() <= 64
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|each| each == '_' || each.is_ascii_alphanumeric())
}

/// Where, in UTF-8 with lone surrogates, the low one of a high and a low one stands: their escapes
/// would be read as one character.
pub fn split_pair(raw: &[u8]) -> Option<usize> {
    let is_pair = |six: &[u8]| matches!(six, [0xED, 0xA0..=0xAF, _, 0xED, 0xB0..=0xBF, _]);
    raw.windows(6).position(is_pair).map(|start| start + 3)
}
