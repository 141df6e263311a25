//! Tagged JSON: what each token does to the stack, and each tag to what stands in its object.
//! Containers and known values are made by the same instructions as those of pickles.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use num_bigint::BigInt;

use crate::error::{ErrorKind, reserve};
use crate::globals::{self, Known};
use crate::json::{Number, Quoted, SURE_DIGITS, SURE_HASHED, Tokens};
use crate::limits::{self, Limit, Limits};
use crate::sink::{Factory, How, KnownValue, Sink, View};

use super::construct::{Args, decimal_of, plain_digits, small_decimal};
use super::fields::{http_date, iso_date, iso_datetime, iso_offset, iso_time};
use super::keys::SMALL;
use super::{Machine, Seen, Slot, Step, cost};

/// A list or an object that is not closed yet.
struct Level<'a> {
    /// Where its items start on the stack.
    start: usize,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Array,
    Object(Object<'a>),
}

/// An object that is not closed yet.
#[derive(Default)]
struct Object<'a> {
    /// The first key, if it looks like a tag.
    first: Option<Quoted<'a>>,
    /// It is the only key so far, and not on the stack.
    tagged: bool,
    /// All keys so far are that one.
    repeated: bool,
    /// The tag's list is on the stack as items, and not as a list.
    open: bool,
    /// The tag's value is a dict whose key was escaped.
    escaped: bool,
}

/// A tag with a text that says all of it: the kinds that sessions have many of.
#[derive(Clone, Copy)]
enum TextTag {
    DateTime,
    Date,
    Time,
    Decimal,
    Uuid,
}

impl TextTag {
    #[inline]
    fn of(tag: &[u8]) -> Option<Self> {
        Some(match tag {
            b" decimal" => Self::Decimal,
            b" datetime" => Self::DateTime,
            b" date" => Self::Date,
            b" time" => Self::Time,
            b" u" => Self::Uuid,
            _ => return None,
        })
    }
}

impl Object<'_> {
    fn is_tag(&self, tag: &[u8]) -> bool {
        self.tagged && self.first.as_ref().is_some_and(|first| first.as_bytes() == tag)
    }
}

/// Whether reading a text of so many bytes into `S` can't exceed a limit, given that the writer is sure of
/// its values ([`crate::json::Written`]) and kept the bound on depth. Only ever true where it is proven:
///
/// - Each leaf has at least one byte of its own, which pays for it and for its place in what holds it, the
///   largest being that in a set. A list or a dict has two, which pay for its table too; a tuple, a set or a
///   known value has eight.
/// - A Decimal takes 8 steps and one for each digit, a timedelta 3, an integer of n digits n²/256 if it is
///   large: less than what each byte adds to the work that is allowed.
/// - Hash tables this small are not simulated, and no other limit is asked about what is sure.
pub fn surely_read<'a, S: Sink<'a>>(size: usize, limits: &Limits) -> bool {
    const { assert!(SURE_HASHED <= SMALL && SURE_DIGITS as u64 <= 256 * Limits::WORK_PER_BYTE) };
    const { assert!(cost::SET_ENTRY + cost::OBJECT / 4 < 8 * PLACE && cost::SET_ENTRY + cost::SET < 8 * PLACE) };
    const PLACE: usize = (cost::DICT + cost::DICT_TABLE + cost::SET_ENTRY) / 2;
    let beyond = ((S::LEAF + PLACE) as u64).saturating_sub(Limits::MEMORY_PER_BYTE);
    let digits = limits.int_digits.min(limits.decimal_digits);
    let size = size as u64;
    size <= limits.bytes && size.saturating_mul(beyond) <= limits.memory && SURE_DIGITS as u64 <= digits
}

impl<'a, S: Sink<'a>> Machine<'a, '_, S> {
    /// Reads one JSON value, and nothing but whitespace behind it.
    pub(super) fn run_json(&mut self, data: &'a [u8]) -> Step<'a, S, S::Value> {
        let mut tokens = Tokens::new(data);
        let read = self.json_value(&mut tokens);
        let offset = self.offset();
        read.map_err(|failure| failure.at(offset, None))
    }

    fn json_value(&mut self, tokens: &mut Tokens<'a>) -> Step<'a, S, S::Value> {
        let mut levels: Vec<Level<'a>> = Vec::new();
        loop {
            let complete = self.json_token(tokens, &mut levels)?;
            if !complete {
                continue;
            }
            // A value is complete: it is on top of the stack, or it is the list of a tag.
            loop {
                let byte = tokens.peek();
                self.stand_at(tokens.position());
                let Some(level) = levels.last_mut() else {
                    if byte.is_some() {
                        return Err(ErrorKind::Json("something after the value").into());
                    }
                    let slot = self.pop()?;
                    return Ok(self.settle(slot)?.0);
                };
                match (byte, &mut level.kind) {
                    (Some(b','), Kind::Array) => {
                        tokens.pass();
                        break;
                    }
                    (Some(b','), Kind::Object(object)) => {
                        tokens.pass();
                        if std::mem::take(&mut object.tagged)
                            && let Some(key) = object.first.clone()
                        {
                            // It is no tag, but the first of several keys.
                            self.json_untag(key, object.open, level.start)?;
                        }
                        let key = self.json_key(tokens)?;
                        if object.repeated {
                            object.repeated = object.first.as_ref() == Some(&key);
                        }
                        self.json_push_key(key)?;
                        break;
                    }
                    (Some(b']'), Kind::Array) => {
                        tokens.pass();
                        let start = level.start;
                        levels.pop();
                        match levels.last_mut().map(|outer| &mut outer.kind) {
                            Some(Kind::Object(object)) if object.tagged => object.open = true,
                            _ => self.list(start)?,
                        }
                    }
                    (Some(b'}'), Kind::Object(object)) => {
                        tokens.pass();
                        let object = std::mem::take(object);
                        let start = level.start;
                        levels.pop();
                        // The content of `" di"` is a dict, if that tag's object is closed right behind it.
                        match levels.last_mut().map(|outer| &mut outer.kind) {
                            Some(Kind::Object(outer)) if outer.is_tag(b" di") && tokens.peek() == Some(b'}') => {
                                outer.escaped = true;
                                self.json_escaped(object, start)?;
                            }
                            _ => self.json_object(object, start)?,
                        }
                    }
                    (Some(_), _) => return Err(ErrorKind::Json("a comma or the end of a container is due").into()),
                    (None, _) => return Err(ErrorKind::EndOfJson.into()),
                }
            }
        }
    }

    /// Carries out the token that starts a value. True if the value is complete.
    fn json_token(&mut self, tokens: &mut Tokens<'a>, levels: &mut Vec<Level<'a>>) -> Step<'a, S, bool> {
        let byte = tokens.peek();
        self.stand_at(tokens.position());
        match byte {
            Some(b'"') => {
                let slot = match tokens.plain() {
                    Some(raw) => {
                        if S::LEAF > 0 {
                            self.budget.memory(S::LEAF)?;
                        }
                        Slot::Value(self.sink.utf8(raw)?, 0)
                    }
                    None => self.json_text(tokens.quoted()?)?,
                };
                self.stack.push(slot)?;
            }
            Some(b'[') => {
                tokens.pass();
                self.json_open(levels, Kind::Array)?;
                return Ok(tokens.peek() == Some(b']'));
            }
            Some(b'{') => {
                tokens.pass();
                if tokens.peek() == Some(b'}') {
                    self.json_open(levels, Kind::Object(Object::default()))?;
                    return Ok(true);
                }
                let key = self.json_key(tokens)?;
                if !key.as_bytes().starts_with(b" ") {
                    self.json_open(levels, Kind::Object(Object::default()))?;
                    self.json_push_key(key)?;
                    return Ok(false);
                }
                self.json_bound(levels)?;
                if tokens.peek() == Some(b'"') {
                    return self.json_tagged_text(tokens, levels, key);
                }
                let object = Object { first: Some(key), tagged: true, repeated: true, ..Object::default() };
                self.json_open(levels, Kind::Object(object))?;
                return Ok(false);
            }
            Some(b'n') if tokens.word("null") => {
                let value = self.sink.none()?;
                self.push(value)?;
            }
            Some(b't') if tokens.word("true") => {
                let value = self.sink.bool(true)?;
                self.push(value)?;
            }
            Some(b'f') if tokens.word("false") => {
                let value = self.sink.bool(false)?;
                self.push(value)?;
            }
            Some(b'-' | b'0'..=b'9' | b'N' | b'I') => {
                let value = match tokens.number()? {
                    Number::Small(value) => self.sink.int(value),
                    Number::Int(digits) => self.int_text(digits),
                    Number::Float(value) => self.sink.float(value),
                };
                let value = self.without_opcode(value);
                self.push_or_stand_in(value)?;
            }
            Some(_) => return Err(ErrorKind::Json("no value starts so").into()),
            None if levels.is_empty() => return Err(ErrorKind::EndOfInput.into()),
            None => return Err(ErrorKind::EndOfJson.into()),
        }
        Ok(true)
    }

    /// A key that looks like a tag, and a text behind it. If there is nothing else in the object, the tag is
    /// carried out without putting anything on the stack. True, since the value is complete in any case.
    fn json_tagged_text(
        &mut self,
        tokens: &mut Tokens<'a>,
        levels: &mut Vec<Level<'a>>,
        tag: Quoted<'a>,
    ) -> Step<'a, S, bool> {
        self.stand_at(tokens.position());
        let text = match tokens.plain() {
            Some(raw) => Quoted::Plain(raw),
            None => tokens.quoted()?,
        };
        let kind = if tokens.peek() == Some(b'}') { TextTag::of(tag.as_bytes()) } else { None };
        if let Some(kind) = kind
            && let Some(text) = text.to_text()
        {
            self.stand_at(tokens.position());
            tokens.pass();
            if S::LEAF > 0 {
                self.budget.memory(S::LEAF)?;
            }
            let made = self.json_text_tag(kind, text);
            let made = self.without_opcode(made);
            let slot = match made {
                Ok(slot) => slot,
                Err(failure) => self.stand_in(failure, Vec::new())?,
            };
            self.stack.push(slot)?;
            return Ok(true);
        }
        let object = Object { first: Some(tag), tagged: true, repeated: true, ..Object::default() };
        self.json_open(levels, Kind::Object(object))?;
        let slot = self.json_text(text)?;
        self.stack.push(slot)?;
        Ok(true)
    }

    /// Bounds what is open before it is known how deep it is: a tag takes two levels for one of its value.
    #[inline]
    fn json_bound(&self, levels: &[Level<'a>]) -> Step<'a, S> {
        let bound = self.budget.limits().depth.saturating_mul(2).saturating_add(8);
        Ok(limits::check(levels.len() as u64, bound, Limit::Depth)?)
    }

    fn json_open(&mut self, levels: &mut Vec<Level<'a>>, kind: Kind<'a>) -> Step<'a, S> {
        self.json_bound(levels)?;
        reserve(levels)?;
        levels.push(Level { start: self.stack.len(), kind });
        Ok(())
    }

    fn json_text(&mut self, text: Quoted<'a>) -> Step<'a, S, Slot<S::Value>> {
        if S::LEAF > 0 {
            self.budget.memory(S::LEAF)?;
        }
        let value = match text {
            Quoted::Plain(raw) => self.sink.utf8(raw)?,
            Quoted::Text(text) => self.sink.text(Cow::Owned(text))?,
            Quoted::Surrogates(raw) => self.sink.text_surrogates(Cow::Owned(raw))?,
        };
        Ok(Slot::Value(value, 0))
    }

    /// Reads a key and its colon.
    #[inline(always)]
    fn json_key(&mut self, tokens: &mut Tokens<'a>) -> Step<'a, S, Quoted<'a>> {
        let byte = tokens.peek();
        self.stand_at(tokens.position());
        match byte {
            Some(b'"') => {}
            Some(_) => return Err(ErrorKind::Json("a key is due").into()),
            None => return Err(ErrorKind::EndOfJson.into()),
        }
        let key = match tokens.plain() {
            Some(raw) => Quoted::Plain(raw),
            None => tokens.quoted()?,
        };
        match tokens.peek() {
            Some(b':') => tokens.pass(),
            Some(_) => return Err(ErrorKind::Json("a colon is due").into()),
            None => return Err(ErrorKind::EndOfJson.into()),
        }
        Ok(key)
    }

    #[inline(always)]
    fn json_push_key(&mut self, key: Quoted<'a>) -> Step<'a, S> {
        let slot = match key {
            Quoted::Plain(raw) => {
                if S::LEAF > 0 {
                    self.budget.memory(S::LEAF)?;
                }
                Slot::Value(self.sink.key(raw)?, 0)
            }
            key => self.json_text(key)?,
        };
        self.stack.push(slot)?;
        Ok(())
    }

    /// The tag was the first of several keys: puts it below its value.
    fn json_untag(&mut self, key: Quoted<'a>, open: bool, start: usize) -> Step<'a, S> {
        if open {
            self.list(start)?;
        }
        let key = self.json_text(key)?;
        self.stack.insert(start, key)?;
        Ok(())
    }

    /// The end of what is the content of `" di"`: a dict of one key that looks like a tag, with two underscores.
    fn json_escaped(&mut self, object: Object<'a>, start: usize) -> Step<'a, S> {
        let bare = match object.first.filter(|_| object.tagged) {
            Some(Quoted::Plain(key)) => key.strip_suffix(b"__").map(Quoted::Plain),
            Some(Quoted::Text(key)) => key.strip_suffix("__").map(|bare| Quoted::Text(bare.to_owned())),
            Some(Quoted::Surrogates(key)) => key.strip_suffix(b"__").map(|bare| Quoted::Surrogates(bare.to_owned())),
            None => None,
        };
        let Some(bare) = bare.filter(|bare| bare.as_bytes().starts_with(b" ")) else {
            self.stack.truncate(start);
            let refused = self.without_opcode(Err::<(), _>(ErrorKind::Invalid("content of a tag").into()));
            return refused.or_else(|failure| self.push_stand_in(failure));
        };
        self.json_untag(bare, object.open, start)?;
        self.dict(start)
    }

    /// The end of an object: what its tag says, or a dict.
    fn json_object(&mut self, object: Object<'a>, start: usize) -> Step<'a, S> {
        if object.tagged {
            let causes: Vec<_> = if S::SALVAGE { self.stack.copies(start) } else { Vec::new() };
            let made = match object.first.as_ref().and_then(Quoted::as_str) {
                Some(" di") if object.escaped => self.stack.pop().ok_or_else(|| ErrorKind::StackUnderflow.into()),
                Some(tag) => self.json_tag(tag, object.open, start),
                // A tag is text that every system can write.
                None => Err(ErrorKind::UnknownTag.into()),
            };
            let made = self.without_opcode(made);
            let slot = match made {
                Ok(slot) => slot,
                Err(failure) => self.stand_in(failure, causes)?,
            };
            self.stack.truncate(start);
            self.stack.push(slot)?;
            return Ok(());
        }
        if object.repeated {
            // Other readers would see one key, and take it for a tag.
            self.stack.truncate(start);
            let refused = self.without_opcode(Err::<(), _>(ErrorKind::UnknownTag.into()));
            return refused.or_else(|failure| self.push_stand_in(failure));
        }
        self.dict(start)
    }

    /// Texts above `start`, joined without making pairs of surrogates.
    fn json_joined(&mut self, start: usize) -> Step<'a, S, Slot<S::Value>> {
        let mut raw = Vec::new();
        for slot in self.stack.from(start) {
            let part = match slot {
                Seen::Value(part, _) => self.sink.wtf8(part),
                _ => None,
            };
            raw.extend(part.ok_or(ErrorKind::Invalid("content of a tag"))?);
        }
        self.json_text(match String::from_utf8(raw) {
            Ok(text) => Quoted::Text(text),
            Err(error) => Quoted::Surrogates(error.into_bytes()),
        })
    }

    /// An error inside of JSON is at no opcode.
    fn without_opcode<T>(&self, made: Step<'a, S, T>) -> Step<'a, S, T> {
        made.map_err(|failure| failure.at(self.offset(), None))
    }

    // ---- tags

    /// What a tag makes of what stands above `start`: the items of its list if it is `open`, else one value.
    fn json_tag(&mut self, tag: &str, open: bool, start: usize) -> Step<'a, S, Slot<S::Value>> {
        let wrong = || ErrorKind::Invalid("content of a tag");
        let count = self.stack.len() - start;
        if open {
            match tag {
                " t" => self.tuple(start)?,
                " dict" => {
                    self.even(count)?;
                    self.dict(start)?;
                }
                " ordereddict" | " counter" => {
                    self.even(count)?;
                    let (module, name) = ("collections", if tag == " counter" { "Counter" } else { "OrderedDict" });
                    self.fill_dict(start, module, name, Args::new())?;
                }
                " defaultdict" => {
                    self.even(count.checked_sub(1).ok_or_else(wrong)?)?;
                    let factory = self.stack.remove(start);
                    let factory = self.json_factory(&factory)?;
                    self.budget.memory(cost::OBJECT)?;
                    let dict = self.sink.known(KnownValue::DefaultDict(factory))?;
                    self.stack.insert(start, Slot::Value(dict, 1))?;
                    self.insert(start + 1)?;
                }
                " set" => {
                    self.budget.memory(cost::SET)?;
                    let set = self.sink.set()?;
                    self.stack.insert(start, Slot::Value(set, 1))?;
                    self.add(start + 1)?;
                }
                " frozenset" => self.frozenset(start)?,
                " deque" => {
                    if count == 0 {
                        return Err(wrong().into());
                    }
                    let bound = self.stack.remove(start);
                    let args: Args<_> = [self.empty_tuple()?, bound].into_iter().collect();
                    let deque = self.json_known("collections", "deque", args)?;
                    self.stack.insert(start, deque)?;
                    self.extend(start + 1)?;
                }
                " range" => return self.json_row("builtins", "range", start),
                " complex" => return self.json_row("builtins", "complex", start),
                " fraction" if count == 2 => return self.json_row("fractions", "Fraction", start),
                " timedelta" => return self.json_row("datetime", "timedelta", start),
                " struct_time" => {
                    self.tuple(start)?;
                    return self.json_row("time", "struct_time", start);
                }
                " array" => {
                    if count == 0 {
                        return Err(wrong().into());
                    }
                    let floats = match self.stack.get(start) {
                        Some(Seen::Value(code, _)) => matches!(self.sink.view(code), View::Text("f" | "d")),
                        _ => return Err(wrong().into()),
                    };
                    let fits = self.stack.from(start).skip(1).all(|item| match item {
                        Seen::Value(item, _) => !floats || matches!(self.sink.view(item), View::Float(_)),
                        _ => false,
                    });
                    if !fits {
                        return Err(wrong().into());
                    }
                    self.list(start + 1)?;
                    return self.json_row("array", "array", start);
                }
                " ip" | " path" => {
                    if count == 0 {
                        return Err(wrong().into());
                    }
                    let class = self.stack.remove(start);
                    let module = if tag == " ip" { "ipaddress" } else { "pathlib" };
                    let Some(name) = self.text_of(&class) else {
                        return Err(wrong().into());
                    };
                    let row = globals::lookup(module, &name);
                    let texts = self.stack.from(start).all(|part| self.is_text(&part));
                    if !texts || !row.is_some_and(|row| matches!(row.known, Known::Ip(_) | Known::Path(_))) {
                        return Err(wrong().into());
                    }
                    return self.json_row(module, &name, start);
                }
                " time" | " datetime" if count == 3 => {
                    let zone = self.stack.pop().ok_or_else(wrong)?;
                    let fold = self.stack.pop().ok_or_else(wrong)?;
                    let text = self.stack.pop().ok_or_else(wrong)?;
                    let fold = match &fold {
                        Slot::Value(fold, _) => match self.sink.view(fold) {
                            View::Int(fold @ 0..=1) => fold == 1,
                            _ => return Err(wrong().into()),
                        },
                        _ => return Err(wrong().into()),
                    };
                    let zone = self.zone_argument(std::slice::from_ref(&zone))?;
                    return self.json_moment(tag, &text, fold, zone);
                }
                " timezone" if count == 2 => {
                    let name = self.stack.pop().ok_or_else(wrong)?;
                    let offset = self.stack.pop().ok_or_else(wrong)?;
                    let name = match name {
                        Slot::Value(name, _) if matches!(self.sink.view(&name), View::Text(_) | View::Surrogates) => {
                            name
                        }
                        _ => return Err(wrong().into()),
                    };
                    let offset = self.text_of(&offset).as_deref().and_then(iso_offset).ok_or_else(wrong)?;
                    return Ok(Slot::Value(self.fixed_zone(offset, Some(&name))?, 0));
                }
                " uuid" if count == 2 => {
                    let safe = self.stack.pop().ok_or_else(wrong)?;
                    let text = self.stack.pop().ok_or_else(wrong)?;
                    let safe = match &safe {
                        Slot::Value(safe, _) => match self.sink.view(safe) {
                            View::Int(safe @ -1..=0) => safe,
                            _ => return Err(wrong().into()),
                        },
                        _ => return Err(wrong().into()),
                    };
                    return self.json_uuid(&text, safe);
                }
                " reduce" => return self.json_reduce(start),
                " str" => return self.json_joined(start),
                " namespace" => {
                    self.even(count)?;
                    if !self.stack.from(start).step_by(2).all(|name| self.is_text(&name)) {
                        return Err(wrong().into());
                    }
                    self.dict(start)?;
                    let attributes = self.stack.pop().ok_or_else(wrong)?;
                    let namespace = self.json_known("types", "SimpleNamespace", Args::new())?;
                    self.stack.push(namespace)?;
                    self.build(attributes)?;
                }
                _ => return Err(if is_known(tag) { wrong() } else { ErrorKind::UnknownTag }.into()),
            }
            return self.stack.pop().ok_or_else(|| wrong().into());
        }
        let slot = self.stack.pop().ok_or_else(wrong)?;
        if !is_known(tag) {
            return Err(ErrorKind::UnknownTag.into());
        }
        let Some(text) = self.text_of(&slot) else {
            let surrogates = matches!(&slot, Slot::Value(value, _) if self.sink.view(value) == View::Surrogates);
            if tag == " m" && surrogates {
                return self.json_markup(slot);
            }
            return Err(wrong().into());
        };
        if let Some(kind) = TextTag::of(tag.as_bytes()) {
            return self.json_text_tag(kind, Cow::Owned(text));
        }
        match tag {
            " m" => self.json_markup(slot),
            " b" | " bytearray" => {
                self.budget.memory(text.len())?;
                let raw = STANDARD.decode(text.as_bytes()).map_err(|_| wrong())?;
                let made = if tag == " b" {
                    self.sink.bytes(Cow::Owned(raw))?
                } else {
                    self.budget.memory(cost::LIST)?;
                    self.sink.bytearray(Cow::Owned(raw))?
                };
                Ok(Slot::Value(made, 0))
            }
            " f" => {
                let value = match text.as_str() {
                    "nan" => f64::NAN,
                    "inf" => f64::INFINITY,
                    "-inf" => f64::NEG_INFINITY,
                    hex if is_hex(hex, 16) => f64::from_bits(u64::from_str_radix(hex, 16).map_err(|_| wrong())?),
                    _ => return Err(wrong().into()),
                };
                if text.len() == 16 && !value.is_nan() {
                    return Err(wrong().into());
                }
                Ok(Slot::Value(self.sink.float(value)?, 0))
            }
            " int" => {
                let (negative, hex) = match text.strip_prefix('-') {
                    Some(hex) => (true, hex),
                    None => (false, text.as_str()),
                };
                let hex = hex.strip_prefix("0x").filter(|hex| !hex.is_empty() && is_hex(hex, hex.len()));
                let hex = hex.ok_or_else(wrong)?;
                limits::check(4 * hex.len() as u64, self.budget.limits().int_bits.saturating_add(3), Limit::IntBits)?;
                self.budget.work(hex.len() / 4)?;
                let value = BigInt::parse_bytes(hex.as_bytes(), 16).ok_or_else(wrong)?;
                let value = if negative { -value } else { value };
                self.push_long(&value.to_signed_bytes_le())?;
                self.stack.pop().ok_or_else(|| wrong().into())
            }
            " timezone" => {
                let offset = iso_offset(&text).ok_or_else(wrong)?;
                Ok(Slot::Value(self.fixed_zone(offset, None)?, 0))
            }
            " zone" => match slot {
                Slot::Value(key, _) => Ok(Slot::Value(self.zone_info(&key, true)?, 0)),
                _ => Err(wrong().into()),
            },
            " d" => {
                let (day, clock) = http_date(&text).ok_or_else(wrong)?;
                let utc = self.fixed_zone(0, None)?;
                Ok(Slot::Value(self.sink.known(KnownValue::DateTime(day, clock, Some(&utc)))?, 0))
            }
            _ => Err(wrong().into()),
        }
    }

    /// What a tag makes of its text, for the kinds that sessions have many of.
    fn json_text_tag(&mut self, kind: TextTag, text: Cow<'a, str>) -> Step<'a, S, Slot<S::Value>> {
        let wrong = || ErrorKind::Invalid("content of a tag");
        let known = match kind {
            TextTag::Decimal => {
                if let Cow::Borrowed(raw) = text
                    && let Some((number, digits)) = small_decimal(raw.as_bytes())
                {
                    self.pay_digits(digits, false)?;
                    return Ok(Slot::Value(self.sink.decimal(raw.as_bytes(), number)?, 0));
                }
                let plain = plain_digits(text.as_bytes()).is_some();
                let digits = self.check_decimal(&text)?;
                self.pay_digits(digits, false)?;
                let text = self.sink.text(text)?;
                return Ok(Slot::Value(self.sink.known(decimal_of(&text, plain, None))?, 0));
            }
            TextTag::DateTime => {
                let (day, clock, rest) = iso_datetime(&text).ok_or_else(wrong)?;
                let zone = self.json_offset(rest)?;
                return Ok(Slot::Value(self.sink.known(KnownValue::DateTime(day, clock, zone.as_ref()))?, 0));
            }
            TextTag::Time => {
                let (clock, rest) = iso_time(&text).ok_or_else(wrong)?;
                let zone = self.json_offset(rest)?;
                return Ok(Slot::Value(self.sink.known(KnownValue::Time(clock, zone.as_ref()))?, 0));
            }
            TextTag::Date => KnownValue::Date(iso_date(&text).ok_or_else(wrong)?),
            TextTag::Uuid => {
                let digits = Some(&*text).filter(|text| is_hex(text, 32)).ok_or_else(wrong)?;
                let int = u128::from_str_radix(digits, 16).map_err(|_| wrong())?;
                self.budget.memory(cost::TUPLE)?;
                KnownValue::Uuid(int, None)
            }
        };
        Ok(Slot::Value(self.sink.known(known)?, 0))
    }

    /// A zone behind a time.
    fn json_offset(&mut self, text: &str) -> Step<'a, S, Option<S::Value>> {
        if text.is_empty() {
            return Ok(None);
        }
        let offset = iso_offset(text).ok_or(ErrorKind::Invalid("content of a tag"))?;
        self.fixed_zone(offset, None).map(Some)
    }

    fn even(&self, count: usize) -> Step<'a, S> {
        if count.is_multiple_of(2) { Ok(()) } else { Err(ErrorKind::Invalid("content of a tag").into()) }
    }

    fn empty_tuple(&mut self) -> Step<'a, S, Slot<S::Value>> {
        Ok(Slot::Value(self.sink.tuple(std::iter::empty())?, 1))
    }

    fn is_text(&self, slot: &Seen<'_, S::Value>) -> bool {
        matches!(slot, Seen::Value(value, _) if matches!(self.sink.view(value), View::Text(_)))
    }

    /// The text of a slot; of a short string mostly.
    fn text_of(&self, slot: &Slot<S::Value>) -> Option<String> {
        match slot {
            Slot::Value(value, _) => match self.sink.view(value) {
                View::Text(text) => Some(text.to_owned()),
                _ => None,
            },
            _ => None,
        }
    }

    fn json_factory(&self, slot: &Slot<S::Value>) -> Step<'a, S, Option<Factory>> {
        if matches!(slot, Slot::Value(value, _) if self.sink.view(value) == View::None) {
            return Ok(None);
        }
        let name = self.text_of(slot);
        match Factory::OF_DEFAULTDICT.into_iter().find(|factory| name.as_deref() == Some(factory.name())) {
            Some(factory) => Ok(Some(factory)),
            None => Err(ErrorKind::Invalid("content of a tag").into()),
        }
    }

    /// A row of the table, made of what stands above `start`.
    fn json_row(&mut self, module: &str, name: &str, start: usize) -> Step<'a, S, Slot<S::Value>> {
        let mut args = Args::new();
        for slot in self.stack.drain(start) {
            args.push(slot.unshared());
        }
        self.json_known(module, name, args)
    }

    fn json_known(&mut self, module: &str, name: &str, args: Args<S::Value>) -> Step<'a, S, Slot<S::Value>> {
        let Some(row) = globals::lookup(module, name) else {
            return Err(ErrorKind::Internal("a tag without a row".into()).into());
        };
        self.budget.work(args.len())?;
        // None of these rows is an instance that waits for its state: the number is not looked at.
        self.known(row, None, u32::MAX, How::Call, args)
    }

    fn fill_dict(&mut self, start: usize, module: &str, name: &str, args: Args<S::Value>) -> Step<'a, S> {
        let dict = self.json_known(module, name, args)?;
        self.stack.insert(start, dict)?;
        self.insert(start + 1)
    }

    fn json_moment(
        &mut self,
        tag: &str,
        text: &Slot<S::Value>,
        fold: bool,
        zone: Option<S::Value>,
    ) -> Step<'a, S, Slot<S::Value>> {
        let wrong = || ErrorKind::Invalid("content of a tag");
        let text = self.text_of(text).ok_or_else(wrong)?;
        let (day, mut clock, rest) = match tag {
            " time" => iso_time(&text).map(|(clock, rest)| (None, clock, rest)),
            _ => iso_datetime(&text).map(|(day, clock, rest)| (Some(day), clock, rest)),
        }
        .ok_or_else(wrong)?;
        if !rest.is_empty() {
            return Err(wrong().into());
        }
        clock.fold = fold;
        let known = match day {
            Some(day) => KnownValue::DateTime(day, clock, zone.as_ref()),
            None => KnownValue::Time(clock, zone.as_ref()),
        };
        Ok(Slot::Value(self.sink.known(known)?, 0))
    }

    fn json_uuid(&mut self, text: &Slot<S::Value>, safe: i64) -> Step<'a, S, Slot<S::Value>> {
        let wrong = || ErrorKind::Invalid("content of a tag");
        let text = self.text_of(text).filter(|text| is_hex(text, 32)).ok_or_else(wrong)?;
        let int = u128::from_str_radix(&text, 16).map_err(|_| wrong())?;
        self.budget.memory(cost::TUPLE)?;
        Ok(Slot::Value(self.sink.known(KnownValue::Uuid(int, Some(safe)))?, 0))
    }

    fn json_markup(&mut self, text: Slot<S::Value>) -> Step<'a, S, Slot<S::Value>> {
        let class = self.global("markupsafe", "Markup")?;
        self.json_call(class, [text].into_iter().collect())
    }

    /// A framework's own value: one of the names that profiles have builders for, and its arguments.
    fn json_reduce(&mut self, start: usize) -> Step<'a, S, Slot<S::Value>> {
        let wrong = || ErrorKind::Invalid("content of a tag");
        if start == self.stack.len() {
            return Err(wrong().into());
        }
        let name = self.stack.remove(start);
        let name = self.text_of(&name).ok_or_else(wrong)?;
        let (module, name) = name.rsplit_once('.').ok_or_else(wrong)?;
        let class = self.global(module, name)?;
        let args = self.stack.drain(start).map(Slot::unshared).collect();
        self.json_call(class, args)
    }

    fn json_call(&mut self, class: Slot<S::Value>, args: Args<S::Value>) -> Step<'a, S, Slot<S::Value>> {
        let Slot::Global(global) = class else {
            return Err(ErrorKind::UnknownTag.into());
        };
        if let Some((row, native)) = self.row_of(global) {
            match (row.known, args.as_slice()) {
                (Known::Text | Known::PytzUtc | Known::PytzZone | Known::PytzFixed, _) => {
                    return self.known(row, native, global, How::New, args);
                }
                (Known::MultiValueDict | Known::MultiDict, [Slot::Value(lists, depth)])
                    if self.sink.view(lists) == View::Dict =>
                {
                    let (lists, depth) = (lists.clone(), *depth);
                    return self.instance_of(global, row.known, native, lists, depth);
                }
                _ => {}
            }
        }
        let name = self.global_name(global);
        Err(ErrorKind::ForbiddenUse { name, reason: "not in JSON" }.into())
    }
}

fn is_hex(text: &str, size: usize) -> bool {
    text.len() == size && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether the format has such a tag.
fn is_known(tag: &str) -> bool {
    const TAGS: &[&str] = &[
        "t",
        "b",
        "bytearray",
        "u",
        "uuid",
        "m",
        "di",
        "d",
        "dict",
        "ordereddict",
        "counter",
        "defaultdict",
        "set",
        "frozenset",
        "deque",
        "f",
        "int",
        "complex",
        "fraction",
        "range",
        "decimal",
        "date",
        "time",
        "datetime",
        "timedelta",
        "timezone",
        "zone",
        "namespace",
        "array",
        "struct_time",
        "ip",
        "path",
        "str",
        "reduce",
    ];
    tag.strip_prefix(' ').is_some_and(|tag| TAGS.contains(&tag))
}
