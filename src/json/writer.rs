//! Writes a value tree as tagged JSON, without recursion.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, ErrorKind};
use crate::limits::{self, Limit};
use crate::plain;
use crate::sink::value::{DictKind, Node, NodeId, ValueSink, distinct, entries as entries_of};
use crate::sink::{Clock, Day};

/// What is still to be written, topmost last.
enum Task<'t> {
    Value(NodeId),
    /// Items from an index on, with commas between them.
    Items(Vec<NodeId>, usize),
    Raw(&'static str),
    Key(&'t str),
    Text(&'t str),
    Open(char),
    Close(char),
    Comma,
    Leave(NodeId),
}

/// Writes the value `root` of at most `max_bytes` bytes; `indent` spaces a level, 0 for one line.
/// A container inside itself is written as `{" cycle": levels up}`.
pub fn write(values: &ValueSink<'_>, root: NodeId, indent: usize, max_bytes: u64) -> Result<String, Error> {
    let mut writer =
        Writer { values, indent, level: 0, out: String::new(), tasks: vec![Task::Value(root)], open: HashMap::new() };
    while let Some(task) = writer.tasks.pop() {
        writer.step(task)?;
        limits::check(writer.out.len() as u64, max_bytes, Limit::OutputBytes)?;
    }
    Ok(writer.out)
}

struct Writer<'t, 'a> {
    values: &'t ValueSink<'a>,
    indent: usize,
    level: usize,
    out: String,
    tasks: Vec<Task<'t>>,
    /// The containers on the way from the root, with their levels.
    open: HashMap<u32, usize>,
}

impl<'t> Writer<'t, '_> {
    fn step(&mut self, task: Task<'t>) -> Result<(), Error> {
        match task {
            Task::Raw(text) => self.out.push_str(text),
            Task::Open(bracket) => {
                self.out.push(bracket);
                self.level += 1;
                self.newline();
            }
            Task::Close(bracket) => {
                self.level -= 1;
                self.newline();
                self.out.push(bracket);
            }
            Task::Comma => {
                self.out.push(',');
                if self.indent == 0 {
                    return Ok(());
                }
                self.newline();
            }
            Task::Key(key) => {
                self.text(key)?;
                self.out.push_str(if self.indent == 0 { ":" } else { ": " });
            }
            Task::Text(text) => self.text(text)?,
            Task::Leave(id) => {
                self.open.remove(&id.number());
            }
            Task::Value(id) => self.value(id)?,
            Task::Items(items, index) => {
                if let Some(&item) = items.get(index) {
                    self.tasks.push(Task::Items(items, index + 1));
                    self.tasks.push(Task::Value(item));
                    if index > 0 {
                        self.step(Task::Comma)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn newline(&mut self) {
        if self.indent > 0 {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', self.indent * self.level));
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        let quoted = serde_json::to_string(text).map_err(|_| ErrorKind::Invalid("text"))?;
        self.out.push_str(&quoted);
        Ok(())
    }

    /// An object of one key.
    fn tagged(&mut self, tag: &'static str, text: &str) -> Result<(), Error> {
        self.out.push_str(tag);
        self.text(text)?;
        self.out.push('}');
        Ok(())
    }

    fn value(&mut self, id: NodeId) -> Result<(), Error> {
        let values = self.values;
        let node = values.node(id);
        match node {
            Node::None => self.out.push_str("null"),
            Node::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Node::Int(value) => write!(self.out, "{value}").unwrap_or_default(),
            Node::BigInt(value) if value.bits() > plain::DECIMAL_BITS => {
                self.tagged(r#"{" int":"#, &format!("{:#x}", value.as_ref()))?
            }
            Node::BigInt(value) => write!(self.out, "{value}").unwrap_or_default(),
            Node::Float(value) if value.is_finite() => match serde_json::Number::from_f64(*value) {
                Some(number) => write!(self.out, "{number}").unwrap_or_default(),
                None => self.out.push('0'),
            },
            Node::Float(value) => self.tagged(r#"{" f":"#, plain::float_name(*value))?,
            Node::Text(text) => self.text(text)?,
            Node::Surrogates(raw) => self.tagged(r#"{" surrogates":"#, &STANDARD.encode(raw))?,
            Node::Bytes(raw) => self.tagged(r#"{" b":"#, &STANDARD.encode(raw))?,
            Node::ByteArray(raw) => self.tagged(r#"{" bytearray":"#, &STANDARD.encode(raw))?,
            Node::Decimal(text) => self.tagged(r#"{" decimal":"#, text)?,
            Node::Uuid(int) => self.tagged(r#"{" u":"#, &format!("{:032x}", **int))?,
            Node::Date(day) => self.tagged(r#"{" date":"#, &iso_day(*day))?,
            Node::TimeDelta { days, seconds, microseconds } => {
                write!(self.out, r#"{{" timedelta":[{days},{seconds},{microseconds}]}}"#).unwrap_or_default();
            }
            Node::ZoneInfo(key) => self.tagged(r#"{" zone":"#, key)?,
            Node::Timezone(offset, None) => self.tagged(r#"{" timezone":"#, &iso_offset(*offset))?,
            Node::Timezone(offset, Some(name)) => {
                self.out.push_str(r#"{" timezone":["#);
                self.text(&iso_offset(*offset))?;
                self.out.push(',');
                self.tasks.extend([Task::Raw("]}"), Task::Value(*name)]);
            }
            Node::Time(clock, zone) => self.moment(r#"{" time":"#, &iso_clock(*clock), clock.fold, *zone)?,
            Node::DateTime(day, clock, zone) => {
                let text = format!("{}T{}", iso_day(*day), iso_clock(*clock));
                self.moment(r#"{" datetime":"#, &text, clock.fold, *zone)?;
            }
            Node::IpInt(ip, int) => self.tagged(r#"{" ip":"#, &plain::ip_text(*ip, **int))?,
            Node::IpText(text) => self.tagged(r#"{" ip":"#, text)?,
            Node::Path(kind, parts) => self.tagged(r#"{" path":"#, &plain::path_text(values, *kind, parts))?,
            Node::Complex(real, imaginary) => self.tagged(r#"{" complex":"#, &format!("{real}{imaginary:+}j"))?,
            Node::Range(bounds) => self.wrapped(r#"{" range":"#, bounds.to_vec()),
            Node::Fraction(numerator, denominator) => self.wrapped(r#"{" fraction":"#, vec![*numerator, *denominator]),
            Node::StructTime(fields) => self.inside(r#"{" struct_time":"#, *fields),
            Node::Array(code, items) => {
                write!(self.out, r#"{{" array":["{code}","#).unwrap_or_default();
                self.tasks.extend([Task::Raw("]}"), Task::Value(*items)]);
            }
            _ if self.open.contains_key(&id.number()) => {
                let up = self.open.len() - self.open[&id.number()];
                write!(self.out, r#"{{" cycle":{up}}}"#).unwrap_or_default();
            }
            container => self.container(id, container),
        }
        Ok(())
    }

    fn container(&mut self, id: NodeId, node: &'t Node<'_>) {
        self.open.insert(id.number(), self.open.len());
        self.tasks.push(Task::Leave(id));
        match node {
            Node::List(items) => self.items(items.clone()),
            Node::Tuple(items) => self.wrapped(r#"{" t":"#, items.to_vec()),
            Node::Set(items) => self.wrapped(r#"{" set":"#, distinct(self.values, items)),
            Node::FrozenSet(items) => self.wrapped(r#"{" frozenset":"#, distinct(self.values, items)),
            Node::Deque(items, None) => self.wrapped(r#"{" deque":"#, items.clone()),
            Node::Deque(items, Some(bound)) => {
                write!(self.out, r#"{{" deque":[{bound},"#).unwrap_or_default();
                self.tasks.push(Task::Raw("]}"));
                self.items(items.clone());
            }
            Node::Dict(kind, entries) => {
                let entries = entries_of(self.values, entries);
                match kind {
                    DictKind::Plain => {
                        if let Some(keys) = self.text_keys(&entries) {
                            return self.object(&keys, &entries);
                        }
                        self.out.push_str(r#"{" d":"#);
                    }
                    DictKind::Ordered => self.out.push_str(r#"{" ordereddict":"#),
                    DictKind::Counter => self.out.push_str(r#"{" counter":"#),
                    DictKind::Namespace => self.out.push_str(r#"{" namespace":"#),
                    DictKind::Default(factory) => {
                        let name = factory.map_or("none", |factory| factory.name());
                        write!(self.out, r#"{{" defaultdict":["{name}","#).unwrap_or_default();
                        self.tasks.push(Task::Raw("]}"));
                        return self.pairs(&entries);
                    }
                }
                self.tasks.push(Task::Raw("}"));
                self.pairs(&entries);
            }
            Node::Stub(stub) => {
                let parts = [("args", stub.args), ("state", stub.state)];
                self.tasks.push(Task::Close('}'));
                if !stub.items.is_empty() {
                    // Opened by hand: the list has no node of its own.
                    self.tasks.push(Task::Close(']'));
                    self.tasks.push(Task::Items(stub.items.clone(), 0));
                    self.tasks.extend([Task::Open('['), Task::Key("items"), Task::Comma]);
                }
                for (key, part) in parts.into_iter().rev() {
                    if let Some(part) = part {
                        self.tasks.extend([Task::Value(part), Task::Key(key), Task::Comma]);
                    }
                }
                self.tasks.extend([Task::Text(&stub.name), Task::Key(" stub"), Task::Open('{')]);
            }
            _ => self.out.push_str("null"),
        }
    }

    fn text_keys(&self, entries: &[(NodeId, NodeId)]) -> Option<Vec<&'t str>> {
        let values = self.values;
        entries
            .iter()
            .map(|(key, _)| match values.node(*key) {
                Node::Text(key) => Some(key.as_ref()),
                _ => None,
            })
            .collect()
    }

    fn object(&mut self, keys: &[&'t str], entries: &[(NodeId, NodeId)]) {
        if keys.is_empty() {
            return self.out.push_str("{}");
        }
        // A dict that looks like a tag is wrapped.
        if keys.len() == 1 && keys[0].starts_with(' ') {
            self.out.push_str(r#"{" di":"#);
            self.tasks.push(Task::Raw("}"));
        }
        self.tasks.push(Task::Close('}'));
        for (index, (key, (_, value))) in keys.iter().zip(entries).enumerate().rev() {
            self.tasks.extend([Task::Value(*value), Task::Key(key)]);
            if index > 0 {
                self.tasks.push(Task::Comma);
            }
        }
        self.tasks.push(Task::Open('{'));
    }

    fn items(&mut self, items: Vec<NodeId>) {
        if items.is_empty() {
            self.tasks.push(Task::Raw("[]"));
            return;
        }
        self.tasks.push(Task::Close(']'));
        self.tasks.push(Task::Items(items, 0));
        self.tasks.push(Task::Open('['));
    }

    /// Pairs of key and value, as lists of two.
    fn pairs(&mut self, entries: &[(NodeId, NodeId)]) {
        if entries.is_empty() {
            self.tasks.push(Task::Raw("[]"));
            return;
        }
        self.tasks.push(Task::Close(']'));
        for (index, (key, value)) in entries.iter().enumerate().rev() {
            self.tasks.extend([Task::Raw("]"), Task::Value(*value), Task::Raw(","), Task::Value(*key), Task::Raw("[")]);
            if index > 0 {
                self.tasks.push(Task::Comma);
            }
        }
        self.tasks.push(Task::Open('['));
    }

    fn wrapped(&mut self, tag: &'static str, items: Vec<NodeId>) {
        self.out.push_str(tag);
        self.tasks.push(Task::Raw("}"));
        self.items(items);
    }

    fn inside(&mut self, tag: &'static str, value: NodeId) {
        self.out.push_str(tag);
        self.tasks.extend([Task::Raw("}"), Task::Value(value)]);
    }

    /// A time or a datetime: text where text holds all of it, else a list with the zone and the fold.
    fn moment(&mut self, tag: &'static str, text: &str, fold: bool, zone: Option<NodeId>) -> Result<(), Error> {
        match zone.map(|zone| self.values.node(zone)) {
            None if !fold => return self.tagged(tag, text),
            Some(Node::Timezone(offset, None)) if !fold => {
                return self.tagged(tag, &format!("{text}{}", iso_offset(*offset)));
            }
            _ => {}
        }
        self.out.push_str(tag);
        self.out.push('[');
        self.text(text)?;
        write!(self.out, ",{},", u8::from(fold)).unwrap_or_default();
        self.tasks.push(Task::Raw("]}"));
        match zone {
            Some(zone) => self.tasks.push(Task::Value(zone)),
            None => self.tasks.push(Task::Raw("null")),
        }
        Ok(())
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
