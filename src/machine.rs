//! The machine: stack, marks and memo, and what each opcode does to them. Each instruction is
//! decoded, paid for, put to the policy, and only then handed to the sink.

mod construct;
mod fields;
mod framework;
mod instance;
mod json;
mod keys;
mod memo;
mod numpy;
mod probes;
mod salvage;
mod stack;
mod text;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZero;

use crate::error::{Error, ErrorKind, Failure, reserve};
use crate::latin1;
use crate::limits::{self, Budget, Limit, Limits};
use crate::opcode::op;
use crate::policy::{self, Policy, Target};
use crate::reader::{self, Reader};
use crate::sink::{How, Made, Sink, View};

use instance::Pending;
use memo::{Index, NOWHERE};
use probes::Probes;
use stack::{Again, Mark, Marks, Seen, Slot, Stack};

pub use json::surely_read;
pub use memo::{Earlier, Growth, Kept};

/// What a Python 2 str becomes.
#[derive(Clone, Copy, Debug, Default)]
pub enum Strings<'o> {
    /// Bytes where a constructor needs bytes, else text if it is valid UTF-8, else bytes.
    #[default]
    Context,
    /// Always bytes.
    Bytes,
    /// Text in this encoding, with this error handling: the sink decodes it.
    Coded(&'o str, &'o str),
}

/// How one pickle is to be read.
#[derive(Clone, Copy, Debug)]
pub struct Options<'o> {
    /// What Python 2 strings become.
    pub strings: Strings<'o>,
    /// Whether Python 2's names are known in pickles of protocols 0 to 2.
    pub fix_imports: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { strings: Strings::Context, fix_imports: true }
    }
}

/// Tables without values, which a sink may keep from one pickle to the next.
pub struct Scratch {
    marks: Marks,
    memo: Vec<Index>,
    stack: Stack<Gone>,
    kept: Stack<Gone>,
}

/// In the place of a value where there is none, and as large as a reference.
struct Gone(#[expect(dead_code, reason = "it has its size from it")] NonZero<usize>);

/// The memory of a table for one of another type of the same size.
#[inline]
pub(crate) fn emptied<A, B>(mut table: Vec<A>) -> Vec<B> {
    table.clear();
    // Collected in place; where sizes differ, nothing is kept.
    table.into_iter().map(|_| unreachable!("the table is empty")).collect()
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            marks: Marks::with_capacity(16),
            memo: Vec::with_capacity(64),
            stack: Stack::with_capacity(64),
            kept: Stack::with_capacity(16),
        }
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

impl Scratch {
    /// What is kept of either, in entries.
    const KEPT: usize = 1024;

    fn of<V>(marks: Marks, mut memo: Vec<Index>, stack: Stack<V>, kept: Stack<V>) -> Self {
        memo.clear();
        memo.shrink_to(Self::KEPT);
        let (stack, kept) = (stack.emptied(Self::KEPT), kept.emptied(Self::KEPT));
        Self { marks: marks.cleared(Self::KEPT), memo, stack, kept }
    }
}

/// A global that the bytes named and the policy allowed.
#[derive(Clone, Debug)]
pub struct Global {
    target: Target,
    /// The escaped name; empty for rows of the table, which know their own.
    name: Box<str>,
}

/// What a container costs in memory, in bytes as CPython 3.11 allocates it.
mod cost {
    pub const TUPLE: usize = 48;
    pub const LIST: usize = 72;
    pub const DICT: usize = 80;
    pub const DICT_TABLE: usize = 168;
    pub const DICT_ENTRY: usize = 40;
    pub const SET: usize = 232;
    pub const SET_ENTRY: usize = 80;
    pub const ITEM: usize = 8;
    /// Any other object with state: the largest of the known types is a deque.
    pub const OBJECT: usize = 760;
    /// An entry of the machine's own tables.
    pub const ENTRY: usize = 128;
}

/// The depth of a container of leaves alone, which is not recorded.
const SHALLOW: u16 = 1;

/// Hashes identities: addresses or node numbers, which nobody can choose.
#[derive(Default)]
pub struct ByIdentity(u64);

impl Hasher for ByIdentity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(byte.into());
        }
    }
    fn write_usize(&mut self, identity: usize) {
        let mixed = (self.0 ^ identity as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// What makes tables of identities.
pub type Identities = BuildHasherDefault<ByIdentity>;

/// What decoding one pickle gave.
#[derive(Debug)]
pub struct Decoded<V> {
    /// The value.
    pub value: V,
    /// Bytes read, STOP included.
    pub size: usize,
    /// The protocol that the pickle declared; 0 without a declaration.
    pub protocol: u8,
}

/// Decodes one pickle from the start of `data` into `sink`. Bytes after STOP are left alone.
pub fn decode<'a, S: Sink<'a>>(
    data: &'a [u8],
    sink: &mut S,
    policy: &Policy,
    limits: &Limits,
    options: &Options<'_>,
) -> Result<Decoded<S::Value>, Failure<S::Error>> {
    let mut machine = Machine::new(data, sink, policy, limits, options)?;
    let value = machine.run();
    machine.give_back();
    Ok(Decoded { value: value?, size: machine.reader.position(), protocol: machine.protocol })
}

/// Decodes tagged JSON. Nothing but whitespace may follow it.
pub fn decode_json<'a, S: Sink<'a>>(
    data: &'a [u8],
    sink: &mut S,
    policy: &Policy,
    limits: &Limits,
) -> Result<S::Value, Failure<S::Error>> {
    let options = Options::default();
    let mut machine = Machine::new(data, sink, policy, limits, &options)?;
    let value = machine.run_json(data);
    machine.give_back();
    value
}

/// Decodes one pickle of a stream, in which later ones refer to what earlier ones memoized.
pub fn decode_next<'a, S: Sink<'a>>(
    data: &'a [u8],
    sink: &mut S,
    policy: &Policy,
    limits: &Limits,
    options: &Options<'_>,
    earlier: &mut dyn Earlier<S::Value>,
) -> Result<Decoded<S::Value>, Failure<S::Error>> {
    let mut machine = Machine::new(data, sink, policy, limits, options)?;
    let Growth { depth, chains } = *earlier.growth();
    (machine.late_depth, machine.late_growth) = (depth, chains);
    (machine.base, machine.holes) = (earlier.size(), earlier.size() - earlier.count());
    machine.earlier = Some(earlier);
    let value = machine.run()?;
    machine.keep_memo()?;
    machine.give_back();
    Ok(Decoded { value, size: machine.reader.position(), protocol: machine.protocol })
}

struct Machine<'a, 'm, S: Sink<'a>> {
    reader: Reader<'a>,
    sink: &'m mut S,
    policy: &'m Policy,
    options: &'m Options<'m>,
    budget: Budget,
    protocol: u8,
    /// How many bytes there are from the current opcode on.
    left: usize,
    stack: Stack<S::Value>,
    marks: Marks,
    /// The memo from index `base` on.
    memo: Vec<Index>,
    kept: Stack<S::Value>,
    /// How many of its entries are empty. MEMOIZE takes the number of the others as its index.
    holes: usize,
    /// The memo of earlier pickles of the stream, how long it is, and what this pickle replaced in it.
    earlier: Option<&'m mut dyn Earlier<S::Value>>,
    base: usize,
    replaced: BTreeMap<usize, Index>,
    globals: Vec<Global>,
    pending: Vec<Pending<S::Value>>,
    /// Simulated hash tables of large containers, by identity.
    probes: HashMap<usize, Probes, Identities>,
    /// Defaultdicts and deques that hold others of their kind, by identity: how many levels.
    chains: HashMap<usize, keys::Chain, Identities>,
    late_growth: u16,
    /// Containers that came out of the memo, by identity: they may be in others already. A log, which
    /// becomes a set when something deep grows.
    fetched: Vec<usize>,
    shared: HashSet<usize, Identities>,
    /// The depths of containers of more than one level, by identity.
    depths: HashMap<usize, u16, Identities>,
    /// What a GET pushes as it is kept: once depths are told by identity, they may have grown.
    again: Again,
    /// By how much shared containers grew.
    late_depth: u16,
    /// What the memo has for the name of a UUID's number, once that was found.
    uuid_key: Index,
    /// The same for the name of the encoding by which protocols below 3 write bytes.
    latin1_name: Index,
    /// Whether no integer of 64 bits is too long.
    words_fit: bool,
    /// Scratch space of the walk over a key.
    walk: Vec<(S::Value, u16)>,
}

type Step<'a, S, T = ()> = Made<T, <S as Sink<'a>>::Error>;

impl<'a, 'm, S: Sink<'a>> Machine<'a, 'm, S> {
    #[inline(always)]
    fn new(
        data: &'a [u8],
        sink: &'m mut S,
        policy: &'m Policy,
        limits: &Limits,
        options: &'m Options<'m>,
    ) -> Result<Self, Error> {
        let budget = Budget::new(*limits, data.len()).map_err(|error| error.at(0, None))?;
        sink.begin(data);
        let Scratch { marks, memo, stack, kept } = sink.lend();
        Ok(Self {
            budget,
            reader: Reader::new(data),
            sink,
            policy,
            options,
            protocol: 0,
            left: data.len(),
            stack: stack.emptied(Scratch::KEPT),
            marks,
            memo,
            kept: kept.emptied(Scratch::KEPT),
            holes: 0,
            earlier: None,
            base: 0,
            replaced: BTreeMap::new(),
            globals: Vec::new(),
            pending: Vec::new(),
            probes: HashMap::default(),
            chains: HashMap::default(),
            late_growth: 0,
            fetched: Vec::new(),
            shared: HashSet::default(),
            depths: HashMap::default(),
            again: Again::ALL,
            late_depth: 0,
            uuid_key: Index::EMPTY,
            latin1_name: Index::EMPTY,
            words_fit: limits.int_bits >= 64,
            walk: Vec::new(),
        })
    }
}

impl<'a, S: Sink<'a>> Machine<'a, '_, S> {
    /// Gives the sink its tables back.
    fn give_back(&mut self) {
        let stack = std::mem::replace(&mut self.stack, Stack::with_capacity(0));
        let (marks, memo) = (std::mem::take(&mut self.marks), std::mem::take(&mut self.memo));
        let kept = std::mem::replace(&mut self.kept, Stack::with_capacity(0));
        self.sink.give_back(Scratch::of(marks, memo, stack, kept));
    }

    /// Where the current opcode stands.
    #[inline(always)]
    fn offset(&self) -> usize {
        self.reader.size().wrapping_sub(self.left)
    }

    /// What stands at `offset` is carried out next.
    #[inline(always)]
    fn stand_at(&mut self, offset: usize) {
        self.left = self.reader.size().wrapping_sub(offset);
    }

    /// Carries out opcodes up to STOP, and states offset and opcode in whatever goes wrong.
    fn run(&mut self) -> Step<'a, S, S::Value> {
        self.run_on().map_err(|failure| failure.at(self.offset(), self.reader.byte_at(self.offset())))
    }

    /// The opcodes that pickles are full of, each together with the PUT behind it. The position is a
    /// local variable here, so that it stays in a register.
    fn run_on(&mut self) -> Step<'a, S, S::Value> {
        let mut reader = self.reader;
        loop {
            self.left = reader.remaining();
            let byte = reader.opcode()?;
            self.sink.opcode(byte);
            match byte {
                op::MEMOIZE => self.memoize()?,
                op::BINPUT => {
                    let index = reader.u8()?;
                    self.put(index.into())?;
                }
                op::BINGET => {
                    let index = reader.u8()?;
                    self.get(index.into())?;
                }
                op::LONG_BINPUT => {
                    let index = reader.u32()?;
                    self.put(index.into())?;
                }
                op::LONG_BINGET => {
                    let index = reader.u32()?;
                    self.get(index.into())?;
                }
                op::SHORT_BINUNICODE => {
                    let raw = reader.counted1()?;
                    self.push_text(raw, &mut reader)?;
                }
                op::BINUNICODE => {
                    let raw = reader.counted4()?;
                    self.push_text(raw, &mut reader)?;
                }
                op::UNICODE | op::PUT | op::GET => {
                    self.reader = reader;
                    self.line(byte)?;
                    reader = self.reader;
                }
                op::SHORT_BINBYTES => {
                    self.reader = reader;
                    self.short_bytes()?;
                    reader = self.reader;
                }
                op::BININT1 | op::BININT2 | op::BININT | op::LONG1 => {
                    let value = match reader.int(byte) {
                        Some(value) if self.words_fit => value,
                        _ => {
                            self.reader = reader.from(self.offset() + 1);
                            self.step(byte)?;
                            reader = self.reader;
                            continue;
                        }
                    };
                    self.push_int(value)?;
                }
                op::BINFLOAT => {
                    let value = reader.f64()?;
                    let value = self.sink.float(value)?;
                    self.push(value)?;
                    if reader.peek() == Some(op::BINFLOAT) {
                        self.reader = reader;
                        self.floats()?;
                        reader = self.reader;
                    }
                }
                op::NONE => {
                    let value = self.sink.none()?;
                    self.push(value)?;
                }
                op::NEWTRUE | op::NEWFALSE => {
                    let value = self.sink.bool(byte == op::NEWTRUE)?;
                    self.push(value)?;
                }
                op::MARK => {
                    let dict = S::KEYS && self.stack.top_open().is_some_and(|top| self.sink.is_dict(top));
                    self.marks.push(Mark { start: self.stack.len(), dict })?;
                }
                op::EMPTY_DICT => {
                    self.budget.memory(cost::DICT)?;
                    let value = self.sink.dict()?;
                    self.push_open(value)?;
                    self.put_next(&mut reader)?;
                }
                op::EMPTY_LIST => {
                    self.budget.memory(cost::LIST)?;
                    let value = self.sink.list(std::iter::empty())?;
                    self.push_open(value)?;
                    self.put_next(&mut reader)?;
                }
                op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                    self.tuple_of(usize::from(byte - op::TUPLE1) + 1)?;
                    self.put_next(&mut reader)?;
                }
                op::NEWOBJ => {
                    self.reader = reader;
                    self.new_object()?;
                    reader = self.reader;
                }
                op::REDUCE => {
                    let args = self.pop()?;
                    let callable = self.pop()?;
                    let made = self.call_or_stand_in(callable, How::Call, args, None)?;
                    self.stack.push(made)?;
                    self.put_next(&mut reader)?;
                }
                op::APPEND => {
                    let start = self.stack.len().wrapping_sub(1);
                    self.underflow_below(2)?;
                    match self.stack.plain_depth(start) {
                        Some(depth) => self.append(start, depth)?,
                        None => self.extend(start)?,
                    }
                }
                op::APPENDS => {
                    let start = self.pop_mark()?;
                    self.extend(start)?;
                }
                op::SETITEM => {
                    let start = self.stack.len().wrapping_sub(2);
                    self.underflow_below(3)?;
                    self.set_item(start)?;
                }
                op::SETITEMS => {
                    let start = self.pop_mark()?;
                    self.insert(start)?;
                }
                op::STOP => {
                    self.reader = reader;
                    let slot = self.pop()?;
                    return Ok(self.settle(slot)?.0);
                }
                _ => {
                    self.reader = reader;
                    self.step(byte)?;
                    reader = self.reader;
                }
            }
        }
    }

    /// Floats that come in a run.
    #[inline(never)]
    fn floats(&mut self) -> Step<'a, S> {
        let mut reader = self.reader;
        while reader.peek() == Some(op::BINFLOAT) {
            self.left = reader.remaining();
            self.pass(1, &mut reader)?;
            let value = reader.f64()?;
            let value = self.sink.float(value)?;
            self.push(value)?;
        }
        self.reader = reader;
        Ok(())
    }

    /// Carries out an opcode of protocol 0 that pickles of it are full of.
    #[inline(never)]
    fn line(&mut self, byte: u8) -> Step<'a, S> {
        if byte == op::UNICODE {
            let line = self.reader.line()?;
            if !S::OPAQUE && !S::SALVAGE && self.stack.top_global().is_some() {
                return self.push_line_argument(line);
            }
            let text = self.unicode(line)?;
            return self.push(text);
        }
        let index = match self.reader.index() {
            Some(index) => index,
            None => text::index(self.reader.line()?)?,
        };
        if byte == op::PUT { self.put(index) } else { self.get(index) }
    }

    /// SHORT_BINBYTES, or the moment that is made of it right away; and the moments behind that one, since they come
    /// in runs.
    #[inline(never)]
    fn short_bytes(&mut self) -> Step<'a, S> {
        let mut raw = self.reader.counted1()?;
        while self.plain_moment(raw)? {
            if !self.next_moment()? {
                return Ok(());
            }
            raw = self.reader.counted1()?;
        }
        let mut reader = self.reader;
        match self.moment(raw, reader)? {
            Some(behind) => reader = behind,
            None => {
                let bytes = self.sink.bytes(Cow::Borrowed(raw))?;
                self.push(bytes)?;
                self.put_next(&mut reader)?;
            }
        }
        self.reader = reader;
        Ok(())
    }

    /// NEWOBJ, or the UUID that is made right away.
    #[inline(never)]
    fn new_object(&mut self) -> Step<'a, S> {
        if self.plain_uuid()? {
            return Ok(());
        }
        match self.uuid_and_state(self.reader)? {
            Some(behind) => self.reader = behind,
            None => self.step(op::NEWOBJ)?,
        }
        Ok(())
    }

    /// Carries out one of the other opcodes.
    fn step(&mut self, byte: u8) -> Step<'a, S> {
        match byte {
            op::EMPTY_TUPLE => {
                let value = self.sink.tuple(std::iter::empty())?;
                self.push_at(value, 1)?;
            }
            op::EMPTY_SET => {
                self.budget.memory(cost::SET)?;
                let value = self.sink.set()?;
                self.push_open(value)?;
            }
            op::TUPLE => {
                let start = self.pop_mark()?;
                self.tuple(start)?;
            }
            op::LIST => {
                let start = self.pop_mark()?;
                self.list(start)?;
                self.open_top()?;
            }
            op::DICT => {
                let start = self.pop_mark()?;
                self.dict(start)?;
                self.open_top()?;
            }
            op::FROZENSET => {
                let start = self.pop_mark()?;
                self.frozenset(start)?;
            }
            op::ADDITEMS => {
                let start = self.pop_mark()?;
                self.add(start)?;
            }
            op::GLOBAL => {
                let (module, name) = self.two_lines()?;
                let slot = self.global(module, name).or_else(|failure| self.stand_in(failure, Vec::new()))?;
                self.stack.push(slot)?;
            }
            op::STACK_GLOBAL => {
                let name = self.pop()?;
                let module = self.pop()?;
                let slot = match (&module, &name) {
                    (Slot::Value(module, _), Slot::Value(name, _)) => {
                        match (self.sink.view(module), self.sink.view(name)) {
                            (View::Text(module), View::Text(name)) => {
                                let (module, name) = (module.to_owned(), name.to_owned());
                                self.global(&module, &name)
                            }
                            (View::Opaque, _) => {
                                return Err(ErrorKind::Misplaced("this sink keeps no names").into());
                            }
                            _ => Err(ErrorKind::Invalid("global: STACK_GLOBAL requires str").into()),
                        }
                    }
                    _ => Err(ErrorKind::Invalid("global: STACK_GLOBAL requires str").into()),
                };
                let slot = slot.or_else(|failure| self.stand_in(failure, vec![module, name]))?;
                self.stack.push(slot)?;
            }
            op::NEWOBJ => {
                let args = self.pop()?;
                let class = self.pop()?;
                let made = self.call_or_stand_in(class, How::New, args, None)?;
                self.stack.push(made)?;
            }
            op::NEWOBJ_EX => {
                let kwargs = self.pop()?;
                let args = self.pop()?;
                let class = self.pop()?;
                let (kwargs, _) = self.settle(kwargs)?;
                if !matches!(self.sink.view(&kwargs), View::Dict | View::Opaque) {
                    return Err(ErrorKind::Invalid("keywords: NEWOBJ_EX requires a dict").into());
                }
                let kwargs = (self.sink.len(&kwargs) > 0).then_some(kwargs);
                let made = self.call_or_stand_in(class, How::New, args, kwargs)?;
                self.stack.push(made)?;
            }
            op::INST => {
                let (module, name) = self.two_lines()?;
                let class = self.global(module, name).or_else(|failure| self.stand_in(failure, Vec::new()))?;
                let start = self.pop_mark()?;
                self.push_instance_of(class, start)?;
            }
            op::OBJ => {
                let start = self.pop_mark()?;
                if start >= self.stack.len() {
                    return Err(ErrorKind::StackUnderflow.into());
                }
                let class = self.stack.remove(start);
                self.push_instance_of(class, start)?;
            }
            op::BUILD => {
                let state = self.pop()?;
                self.underflow_below(1)?;
                if !S::SALVAGE {
                    self.build(state)?;
                } else if let Err(failure) = self.build(state.clone()) {
                    self.spoil(failure, vec![state])?;
                }
            }
            op::BINBYTES => {
                let raw = self.reader.counted4()?;
                self.push_bytes(raw)?;
            }
            op::BINBYTES8 => {
                let raw = self.reader.counted8()?;
                self.push_bytes(raw)?;
            }
            op::BYTEARRAY8 => {
                let raw = self.reader.counted8()?;
                let value = self.sink.bytearray(Cow::Borrowed(raw))?;
                self.push(value)?;
            }
            op::BINUNICODE8 => {
                let raw = self.reader.counted8()?;
                let text = self.text(raw)?;
                self.push(text)?;
            }
            op::SHORT_BINSTRING => {
                let raw = self.reader.counted1()?;
                self.push_string(Cow::Borrowed(raw))?;
            }
            op::BINSTRING => {
                let raw = self.reader.counted4_signed()?;
                self.push_string(Cow::Borrowed(raw))?;
            }
            op::STRING => {
                let line = self.reader.line()?;
                self.push_string(text::string(line)?)?;
            }
            op::INT => {
                if let Some(value) = self.reader.integer(false) {
                    return self.push_int(value);
                }
                let line = self.reader.line()?;
                let value = match line {
                    b"00" => self.sink.bool(false)?,
                    b"01" => self.sink.bool(true)?,
                    // So does C pickle read whatever two characters give one of these.
                    _ if line.len() == 2 && matches!(text::digits(line)?, "-0" | "+0" | "+1") => {
                        self.sink.bool(line == b"+1")?
                    }
                    _ => return self.push_int_text(line),
                };
                self.push(value)?;
            }
            op::LONG => {
                if let Some(value) = self.reader.integer(true) {
                    return self.push_int(value);
                }
                let line = self.reader.line()?;
                return self.push_int_text(line.strip_suffix(b"L").unwrap_or(line));
            }
            op::BININT1 => {
                let value = self.reader.u8()?;
                self.push_int(value.into())?;
            }
            op::BININT2 => {
                let value = self.reader.u16()?;
                self.push_int(value.into())?;
            }
            op::BININT => {
                let value = self.reader.i32()?;
                self.push_int(value.into())?;
            }
            op::LONG1 => {
                let raw = self.reader.counted1()?;
                self.push_long(raw).or_else(|failure| self.push_stand_in(failure))?;
            }
            op::LONG4 => {
                let raw = self.reader.counted4_signed()?;
                self.push_long(raw).or_else(|failure| self.push_stand_in(failure))?;
            }
            op::FLOAT => {
                let line = self.reader.line()?;
                let value = self.sink.float(text::float(line)?)?;
                self.push(value)?;
            }
            op::POP => {
                // A mark on top is dropped as if it were an item.
                if !self.marks.is_empty() && self.fence() == self.stack.len() {
                    self.marks.pop()?;
                } else {
                    self.pop()?;
                }
            }
            op::POP_MARK => {
                let start = self.pop_mark()?;
                self.stack.truncate(start);
            }
            op::DUP => {
                self.underflow_below(1)?;
                self.share_top()?;
            }
            op::PROTO => {
                let protocol = self.reader.u8()?;
                if protocol > 5 {
                    return Err(ErrorKind::UnsupportedProtocol(protocol).into());
                }
                self.protocol = protocol;
            }
            op::FRAME => {
                let length = self.reader.u64()?;
                if length > self.reader.remaining() as u64 {
                    return Err(ErrorKind::Truncated.into());
                }
            }
            op::PERSID => {
                let line = self.reader.line()?;
                let id = match std::str::from_utf8(line) {
                    Ok(text) if text.is_ascii() => self.sink.text(Cow::Borrowed(text))?,
                    _ => {
                        return Err(ErrorKind::PersistentIdText.into());
                    }
                };
                let value = self.sink.persistent(&id);
                self.push_or_stand_in(value)?;
            }
            op::BINPERSID => {
                let slot = self.pop()?;
                let (id, _) = self.settle(slot)?;
                let value = self.sink.persistent(&id);
                self.push_or_stand_in(value)?;
            }
            op::NEXT_BUFFER => {
                let value = self.sink.buffer();
                self.push_or_stand_in(value)?;
            }
            op::READONLY_BUFFER => {
                let slot = self.pop()?;
                let (buffer, _) = self.settle(slot)?;
                let value = self.sink.readonly(&buffer);
                self.push_or_stand_in(value)?;
            }
            op::EXT1 | op::EXT2 | op::EXT4 => {
                self.reader.take(match byte {
                    op::EXT1 => 1,
                    op::EXT2 => 2,
                    _ => 4,
                })?;
                self.push_stand_in(ErrorKind::ExtensionCode.into())?;
            }
            _ => return Err(ErrorKind::UnknownOpcode(byte).into()),
        }
        Ok(())
    }

    // ---- stack and marks

    #[inline(always)]
    fn push(&mut self, value: S::Value) -> Step<'a, S> {
        if S::LEAF > 0 {
            self.budget.memory(S::LEAF)?;
        }
        Ok(self.stack.push_leaf(value)?)
    }

    /// Pushes a container that is still empty.
    #[inline(always)]
    fn push_open(&mut self, value: S::Value) -> Step<'a, S> {
        self.budget.depth(1)?;
        Ok(self.stack.push(Slot::Open(value, 1, NOWHERE))?)
    }

    /// The container on top of the stack was just begun.
    fn open_top(&mut self) -> Step<'a, S> {
        if let Some(slot) = self.stack.pop() {
            self.stack.push(match slot {
                Slot::Value(value, depth) => Slot::Open(value, depth, NOWHERE),
                slot => slot,
            })?;
        }
        Ok(())
    }

    #[inline]
    fn push_at(&mut self, value: S::Value, depth: u16) -> Step<'a, S> {
        Ok(self.stack.push(Slot::Value(value, depth))?)
    }

    /// The stack position that no pop goes below.
    #[inline]
    fn fence(&self) -> usize {
        self.marks.top().start
    }

    /// An error unless there are `count` items above the topmost mark.
    #[inline]
    fn underflow_below(&self, count: usize) -> Step<'a, S> {
        if self.stack.len() < self.fence() + count { Err(ErrorKind::StackUnderflow.into()) } else { Ok(()) }
    }

    #[inline]
    fn pop(&mut self) -> Step<'a, S, Slot<S::Value>> {
        if self.stack.len() <= self.fence() {
            return Err(ErrorKind::StackUnderflow.into());
        }
        match self.stack.pop() {
            Some(slot) => Ok(slot.unshared()),
            None => Err(ErrorKind::StackUnderflow.into()),
        }
    }

    #[inline]
    fn pop_mark(&mut self) -> Step<'a, S, usize> {
        Ok(self.marks.pop()?)
    }

    // ---- depth

    /// A slot that is there twice from now on: what was memoized may have grown since.
    #[inline]
    fn share(&mut self, slot: Slot<S::Value>) -> Step<'a, S, Slot<S::Value>> {
        Ok(match slot {
            Slot::Value(value, depth) | Slot::Shared(value, depth, _) if depth > 0 && !S::OPAQUE => {
                let depth = self.fetch(&value, depth)?;
                Slot::Shared(value, depth, NOWHERE)
            }
            slot => slot,
        })
    }

    /// Notes that something may hold a container twice from now on, and tells how deep it is by now.
    #[inline]
    fn fetch(&mut self, container: &S::Value, depth: u16) -> Step<'a, S, u16> {
        let identity = self.sink.identity(container);
        reserve(&mut self.fetched)?;
        self.fetched.push(identity);
        if self.depths.is_empty() {
            return Ok(depth);
        }
        Ok(self.depths.get(&identity).map_or(depth, |&known| known.max(depth)))
    }

    /// Notes that a container has grown to `depth` levels. If it is in others already, their own
    /// counts can't tell: such growth is added up for the whole pickle. Only cycles have it.
    fn grown(&mut self, container: &S::Value, depth: u16) -> Step<'a, S> {
        if depth <= SHALLOW || S::OPAQUE {
            return Ok(());
        }
        let identity = self.sink.identity(container);
        self.again = Again::PLAIN;
        let before = self.depths.insert(identity, depth).unwrap_or(SHALLOW);
        self.shared.extend(self.fetched.drain(..));
        if depth > before && self.shared.contains(&identity) {
            return self.grown_late(depth - before);
        }
        Ok(())
    }

    /// Adds up growth that the containers around it can't tell.
    fn grown_late(&mut self, levels: u16) -> Step<'a, S> {
        self.late_depth = self.late_depth.saturating_add(levels);
        self.budget.depth(self.late_depth)?;
        Ok(())
    }

    // ---- leaves

    #[inline(always)]
    fn push_int(&mut self, value: i64) -> Step<'a, S> {
        let value = self.sink.int(value)?;
        self.push(value)
    }

    /// Pushes text, or what is made of it right away.
    #[inline(always)]
    fn push_text(&mut self, raw: &'a [u8], reader: &mut Reader<'a>) -> Step<'a, S> {
        if !S::OPAQUE && !S::SALVAGE && self.stack.top_global().is_some() {
            self.reader = *reader;
            self.push_argument(raw)?;
            *reader = self.reader;
            return Ok(());
        }
        let (text, index) = if S::KEYS && self.key_is_next() {
            (self.sink.key(raw)?, Index::key(self.offset()))
        } else {
            (self.sink.utf8(raw)?, Index::leaf(self.offset()))
        };
        self.push_leaf(text, raw.len(), index, reader)
    }

    /// Pushes text that stands behind a global, or what the call makes of it.
    fn push_argument(&mut self, raw: &'a [u8]) -> Step<'a, S> {
        if self.plain_decimal(raw)? {
            return Ok(());
        }
        let mut reader = self.reader;
        match self.called(raw, latin1::encode, reader)? {
            Some(behind) => reader = behind,
            None => {
                let text = self.sink.utf8(raw)?;
                self.push_leaf(text, raw.len(), Index::leaf(self.offset()), &mut reader)?;
            }
        }
        self.reader = reader;
        Ok(())
    }

    /// The same of a line.
    #[inline(never)]
    fn push_line_argument(&mut self, line: &'a [u8]) -> Step<'a, S> {
        match self.called(line, text::raw_unicode_escape_latin1, self.reader)? {
            Some(behind) => self.reader = behind,
            None => {
                let text = self.unicode(line)?;
                self.push(text)?;
            }
        }
        Ok(())
    }

    /// Text, which may be a key.
    #[inline(always)]
    fn text(&mut self, raw: &'a [u8]) -> Step<'a, S, S::Value> {
        if S::KEYS && self.key_is_due() { self.sink.key(raw) } else { self.sink.utf8(raw) }
    }

    /// Text in raw-unicode-escape.
    fn unicode(&mut self, line: &'a [u8]) -> Step<'a, S, S::Value> {
        if memchr::memchr(b'\\', line).is_none() && line.is_ascii() {
            return self.text(line);
        }
        self.unescaped(line)
    }

    /// The same where it is no key.
    fn unescaped(&mut self, line: &'a [u8]) -> Step<'a, S, S::Value> {
        if let Some(text) = self.sink.raw_unicode_escape(line)? {
            return Ok(text);
        }
        match text::raw_unicode_escape(line)? {
            text::Unescaped::Text(text) => self.sink.text(text),
            text::Unescaped::Surrogates(raw) => self.sink.text_surrogates(Cow::Owned(raw)),
        }
    }

    /// Whether what comes next is a key of a dict. It only decides where text is looked for first.
    #[inline(always)]
    fn key_is_due(&self) -> bool {
        // Behind a global it is an argument.
        self.stack.top_global().is_none() && self.key_is_next()
    }

    #[inline(always)]
    fn key_is_next(&self) -> bool {
        let mark = self.marks.top();
        mark.dict && self.stack.len().wrapping_sub(mark.start).is_multiple_of(2)
            || self.stack.top_open().is_some_and(|top| self.sink.is_dict(top))
    }

    #[inline]
    fn push_bytes(&mut self, raw: &'a [u8]) -> Step<'a, S> {
        let value = self.sink.bytes(Cow::Borrowed(raw))?;
        self.push(value)
    }

    /// A Python 2 str.
    fn push_string(&mut self, raw: Cow<'a, [u8]>) -> Step<'a, S> {
        let value = match self.options.strings {
            Strings::Context => match raw {
                Cow::Borrowed(raw) => match std::str::from_utf8(raw) {
                    Ok(text) => self.sink.text(Cow::Borrowed(text))?,
                    Err(_) => self.sink.bytes(Cow::Borrowed(raw))?,
                },
                Cow::Owned(raw) => match String::from_utf8(raw) {
                    Ok(text) => self.sink.text(Cow::Owned(text))?,
                    Err(error) => self.sink.bytes(Cow::Owned(error.into_bytes()))?,
                },
            },
            Strings::Bytes => self.sink.bytes(raw)?,
            Strings::Coded(encoding, errors) => self.sink.text_coded(raw, encoding, errors)?,
        };
        self.push(value)
    }

    fn push_long(&mut self, raw: &[u8]) -> Step<'a, S> {
        limits::check(raw.len() as u64 * 8, self.budget.limits().int_bits, Limit::IntBits)?;
        let value = match raw.len() {
            0..=8 => self.sink.int(reader::signed(raw))?,
            _ => self.sink.big_int(raw)?,
        };
        self.push(value)
    }

    fn int_text(&mut self, digits: &str) -> Step<'a, S, S::Value> {
        const LONGEST: usize = 20; // of those that fit into a word
        match (digits.len() <= LONGEST).then(|| digits.parse()) {
            Some(Ok(value)) => self.sink.int(value),
            _ => {
                limits::check(digits.len() as u64, self.budget.limits().int_digits, Limit::IntDigits)?;
                // Conversion is quadratic in the digits.
                self.budget.work(digits.len() * digits.len() / 256)?;
                self.sink.int_text(digits)
            }
        }
    }

    // ---- containers

    fn tuple_of(&mut self, count: usize) -> Step<'a, S> {
        self.underflow_below(count)?;
        self.tuple(self.stack.len() - count)
    }

    /// A tuple of the slots from `start` on; a pending one if a global or a zone is among them.
    fn tuple(&mut self, start: usize) -> Step<'a, S> {
        self.budget.memory(cost::TUPLE + cost::ITEM * (self.stack.len() - start))?;
        let depth = match self.stack.plain_depth(start) {
            Some(depth) => depth,
            None => match self.symbolic_depth(start)? {
                Some(depth) => depth,
                None => {
                    let slots = self.stack.drain(start).map(Slot::unshared).collect();
                    let slot = self.push_pending(Pending::Args { slots, made: None })?;
                    return Ok(self.stack.push(slot)?);
                }
            },
        };
        let depth = self.budget.depth(depth.saturating_add(1))?;
        let value = self.sink.tuple(self.stack.values(start))?;
        self.push_at(value, depth)
    }

    /// The greatest depth of the slots from `start` on, once they are values; none if a global or a zone is
    /// among them.
    fn symbolic_depth(&mut self, start: usize) -> Step<'a, S, Option<u16>> {
        let (mut depth, mut symbolic) = (0, false);
        for index in start..self.stack.len() {
            match self.stack.get(index) {
                Some(Seen::Value(_, inner) | Seen::Open(_, inner, _) | Seen::Shared(inner)) => {
                    depth = depth.max(inner);
                }
                Some(Seen::Pending(pending)) if !self.is_symbolic(pending) => depth = depth.max(self.settle_at(index)?),
                _ => symbolic = true,
            }
        }
        Ok(if symbolic { None } else { Some(depth) })
    }

    /// A list of what is above `start`.
    fn list(&mut self, start: usize) -> Step<'a, S> {
        let depth = self.settle_from(start)?;
        self.budget.memory(cost::LIST + cost::ITEM * (self.stack.len() - start))?;
        let depth = self.budget.depth(depth.saturating_add(1))?;
        let value = self.sink.list(self.stack.values(start))?;
        self.push_at(value, depth)?;
        Ok(())
    }

    /// A dict of the keys and values above `start`.
    fn dict(&mut self, start: usize) -> Step<'a, S> {
        self.budget.memory(cost::DICT)?;
        let value = self.sink.dict()?;
        self.stack.insert(start, Slot::Open(value, 1, NOWHERE))?;
        self.insert(start + 1)?;
        if let Some(slot) = self.stack.pop() {
            self.stack.push(slot.unshared())?;
        }
        Ok(())
    }

    /// A frozenset of what is above `start`.
    fn frozenset(&mut self, start: usize) -> Step<'a, S> {
        let depth = self.settle_from(start)?;
        let depth = self.budget.depth(depth.saturating_add(1))?;
        self.budget.memory(cost::SET + cost::SET_ENTRY * (self.stack.len() - start))?;
        self.check_members(None, start)?;
        let value = self.sink.frozenset(self.stack.values(start))?;
        self.push_at(value, depth)?;
        Ok(())
    }

    /// Makes values of all slots from `start` on, and gives their greatest depth.
    fn settle_from(&mut self, start: usize) -> Step<'a, S, u16> {
        let (mut from, mut depth) = (start, 0);
        loop {
            let (pending, inner) = self.stack.close(from);
            depth = depth.max(inner);
            let Some(index) = pending else {
                return Ok(depth);
            };
            depth = depth.max(self.settle_at(index)?);
            from = index + 1;
        }
    }

    /// Makes a value of the slot at `index`, and gives its depth.
    fn settle_at(&mut self, index: usize) -> Step<'a, S, u16> {
        let slot = self.stack.copy(index).ok_or(ErrorKind::StackUnderflow)?;
        let (value, depth) = self.settle(slot)?;
        self.stack.set(index, Slot::Value(value, depth));
        Ok(depth)
    }

    /// The container right below `start`, if it was just begun and is of that kind. It takes items of `depth`.
    #[inline(always)]
    fn open_target(
        &mut self,
        start: usize,
        depth: u16,
        is: impl FnOnce(&S, &S::Value) -> bool,
    ) -> Step<'a, S, Option<S::Value>> {
        if start <= self.fence() {
            return Ok(None);
        }
        let Some(Seen::Open(value, own, place)) = self.stack.get(start - 1) else {
            return Ok(None);
        };
        if !is(self.sink, value) {
            return Ok(None);
        }
        let value = value.clone();
        if depth >= own {
            self.deepen_open(start - 1, place, depth)?;
        }
        Ok(Some(value))
    }

    /// An open container, of that place in the memo, takes items that are as deep as itself was, or deeper.
    fn deepen_open(&mut self, index: usize, place: u32, depth: u16) -> Step<'a, S> {
        let depth = self.budget.depth(depth.saturating_add(1))?;
        self.stack.deepen(index, depth);
        if place != NOWHERE {
            self.grown_at(place, depth)?;
        }
        Ok(())
    }

    /// The container below `start`, and its depth once items of `depth` are in it.
    fn target(&mut self, start: usize, depth: u16) -> Step<'a, S, S::Value> {
        if start == 0 || start - 1 < self.fence() {
            return Err(ErrorKind::StackUnderflow.into());
        }
        let depth = self.budget.depth(depth.saturating_add(1))?;
        match self.stack.copy(start - 1) {
            Some(Slot::Open(value, own, place)) => {
                self.stack.deepen(start - 1, depth);
                if depth > own && place != NOWHERE {
                    self.grown_at(place, depth)?;
                }
                return Ok(value);
            }
            Some(Slot::Value(value, own)) => {
                self.stack.deepen(start - 1, depth);
                self.grown(&value, depth.max(own))?;
                return Ok(value);
            }
            Some(Slot::Shared(value, own, place)) => {
                self.stack.deepen(start - 1, depth);
                self.grown_again(place, &value, depth.max(own))?;
                return Ok(value);
            }
            Some(Slot::Pending(pending)) => {
                if let Pending::Instance(instance) = &mut self.pending[pending as usize]
                    && let Some(made) = &instance.made
                {
                    let made = made.clone();
                    let levels = instance.grow(depth);
                    self.grown_late(levels)?;
                    self.grown(&made, depth)?;
                    return Ok(made);
                }
            }
            _ => {}
        }
        Err(ErrorKind::Misplaced("APPEND, SETITEM or ADDITEMS on what holds no items").into())
    }

    /// APPEND of a value of this depth at `start`, the top.
    #[inline]
    fn append(&mut self, start: usize, depth: u16) -> Step<'a, S> {
        let Some(target) = self.open_target(start, depth, S::is_list)? else {
            return self.extend(start);
        };
        self.budget.memory(cost::ITEM)?;
        self.sink.extend(&target, self.stack.pop_value().into_iter())
    }

    /// SETITEM: the key and the value above `start` go into the dict right below them.
    #[inline(never)]
    fn set_item(&mut self, start: usize) -> Step<'a, S> {
        if self.probes.is_empty()
            && let Some(depth) = self.stack.plain_pair_depth(|key| self.sink.is_text(key))
            && let Some(target) = self.open_target(start, depth, S::is_dict)?
            && let (Some(value), Some(key)) = (self.stack.pop_value(), self.stack.pop_value())
        {
            let table = if self.sink.is_empty_dict(&target) { cost::DICT_TABLE } else { 0 };
            self.budget.memory(table + cost::DICT_ENTRY)?;
            return self.sink.insert(&target, [key, value].into_iter());
        }
        self.insert(start)
    }

    /// APPEND, APPENDS: what is above `start` goes into what is right below it.
    fn extend(&mut self, start: usize) -> Step<'a, S> {
        let count = self.stack.len() - start;
        if count == 0 {
            return self.underflow_below(1);
        }
        if let Some(depth) = self.stack.plain_depth(start)
            && let Some(target) = self.open_target(start, depth, S::is_list)?
        {
            self.budget.memory(cost::ITEM * count)?;
            return self.sink.extend(&target, self.stack.values(start));
        }
        let depth = self.settle_from(start)?;
        self.ready_instance(start, instance::Content::List)?;
        let target = self.target(start, depth)?;
        match self.sink.view(&target) {
            View::List | View::Opaque => {}
            View::Deque => self.check_chain(&target, start, 1)?,
            View::Stub | View::Object => self.budget.work(40 * count)?,
            _ => return Err(ErrorKind::Misplaced("APPEND on what is no list").into()),
        }
        self.budget.memory(cost::ITEM * count)?;
        self.sink.extend(&target, self.stack.values(start))
    }

    /// SETITEM, SETITEMS, DICT: the keys and values above `start` go into what is right below it.
    fn insert(&mut self, start: usize) -> Step<'a, S> {
        let count = self.stack.len() - start;
        if !count.is_multiple_of(2) {
            return Err(ErrorKind::OddItems.into());
        }
        if count == 0 {
            return self.underflow_below(1);
        }
        // A dict whose table is simulated is told of each key.
        let unwatched = self.probes.is_empty();
        let known = unwatched && self.sink.knows(&self.stack.keys(start));
        let plain = match known {
            true => self.stack.plain_depth(start),
            false if unwatched => self.stack.plain_pairs_depth(start, |key| self.sink.is_text(key)),
            false => None,
        };
        if let Some(depth) = plain
            && let Some(target) = self.open_target(start, depth, S::is_dict)?
        {
            let empty = self.sink.is_empty_dict(&target);
            self.budget.memory(if empty { cost::DICT_TABLE } else { 0 } + cost::DICT_ENTRY * (count / 2))?;
            let items = self.stack.values(start);
            return if known && empty { self.sink.fill(&target, items) } else { self.sink.insert(&target, items) };
        }
        let depth = self.settle_from(start)?;
        self.ready_instance(start, instance::Content::Dict)?;
        let target = self.target(start, depth)?;
        let view = self.sink.view(&target);
        match view {
            View::Dict | View::Opaque => self.check_keys(&target, start)?,
            View::DefaultDict => {
                self.check_keys(&target, start)?;
                self.check_chain(&target, start + 1, 2)?;
            }
            View::Stub | View::Object => self.budget.work(40 * count)?,
            _ => return Err(ErrorKind::Misplaced("SETITEM on what is no dict").into()),
        }
        let table = if self.sink.len(&target) == 0 { cost::DICT_TABLE } else { 0 };
        self.budget.memory(table + cost::DICT_ENTRY * (count / 2))?;
        self.sink.insert(&target, self.stack.values(start))
    }

    /// ADDITEMS: what is above `start` goes into the set right below it.
    fn add(&mut self, start: usize) -> Step<'a, S> {
        let count = self.stack.len() - start;
        if count == 0 {
            return self.underflow_below(1);
        }
        let depth = self.settle_from(start)?;
        self.ready_instance(start, instance::Content::Set)?;
        let target = self.target(start, depth)?;
        match self.sink.view(&target) {
            View::Set | View::Opaque => self.check_members(Some(&target), start)?,
            View::Stub | View::Object => self.budget.work(40 * count)?,
            _ => return Err(ErrorKind::Misplaced("ADDITEMS on what is no set").into()),
        }
        self.budget.memory(cost::SET_ENTRY * count)?;
        self.sink.add(&target, self.stack.values(start))
    }

    // ---- globals

    fn two_lines(&mut self) -> Step<'a, S, (&'a str, &'a str)> {
        let module = self.reader.line()?;
        let name = self.reader.line()?;
        match (std::str::from_utf8(module), std::str::from_utf8(name)) {
            (Ok(module), Ok(name)) => Ok((module, name)),
            _ => Err(ErrorKind::Invalid("global: its name is not UTF-8").into()),
        }
    }

    /// Puts a name to the policy.
    fn global(&mut self, module: &str, name: &str) -> Step<'a, S, Slot<S::Value>> {
        limits::check((module.len() + name.len()) as u64, self.budget.limits().name_bytes, Limit::NameBytes)?;
        self.budget.memory(cost::ENTRY)?;
        self.budget.work(60)?;
        let fix_imports = self.options.fix_imports && self.protocol < 3;
        let found = self.policy.lookup(module, name, fix_imports);
        let known = matches!(found, Some(Target::Known(..)));
        let escaped = if known { Box::default() } else { policy::escaped(module, name) };
        let go_on = self.sink.global(module, name, self.offset(), found.is_some());
        let target = match found {
            // What only looks makes plain values.
            Some(Target::Known(row, _)) if !S::NATIVE => Target::Known(row, None),
            Some(Target::Registered(index)) => Target::Registered(self.sink.registered(index, module, name)?),
            Some(target) => target,
            None if go_on => Target::Stub,
            None => {
                let hint = policy::hint(module, name);
                return Err(ErrorKind::ForbiddenGlobal { name: escaped, hint }.into());
            }
        };
        reserve(&mut self.globals)?;
        self.globals.push(Global { target, name: escaped });
        Ok(Slot::Global((self.globals.len() - 1) as u32))
    }

    /// The name of a global, for a message.
    fn global_name(&self, index: u32) -> Box<str> {
        match &self.globals[index as usize] {
            Global { target: Target::Known(row, _), .. } => format!("{}.{}", row.module, row.name).into(),
            Global { name, .. } => name.clone(),
        }
    }
}
