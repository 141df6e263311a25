//! The one place that carries out a call: what an allowed name makes of its arguments, each of them
//! checked. Nothing here can reach code that the bytes chose.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::error::ErrorKind;
use crate::globals::{self, Known, Row};
use crate::latin1;
use crate::limits::{self, Limit};
use crate::opcode::op;
use crate::policy::Target;
use crate::reader::Reader;
use crate::sink::{Clock, Day, Factory, How, Ip, KnownValue, Made, Sink, SmallDecimal, View};

use super::fields::{fits, is_array, is_ip, normal_timedelta, split_date, split_datetime, split_time};
use super::instance::{Instance, Pending};
use super::memo::{Entry, Index};
use super::{Machine, Seen, Slot, Step, cost};

/// Steps for a constructor that is written in Python.
pub(super) const SLOW: usize = 400;

/// An argument list; few have more than four.
pub(super) type Args<V> = SmallVec<[Slot<V>; 4]>;
/// The bytes of a date or time.
type Raw = latin1::Bytes;

const DATE_BYTES: usize = 4;
const TIME_BYTES: usize = 6;
const DATETIME_BYTES: usize = 10;

/// How the arguments of a call are written: TUPLE1 or TUPLE2 behind them, or a mark before them and TUPLE.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Counted,
    Marked,
}

impl Form {
    /// The opcode that makes a tuple of so many.
    #[inline(always)]
    fn tuple(self, count: u8) -> u8 {
        match self {
            Self::Counted => op::TUPLE1 - 1 + count,
            Self::Marked => op::TUPLE,
        }
    }
}

/// What the bytes of a date or time stand for.
enum Moment {
    DateTime(Day, Clock),
    Date(Day),
    Time(Clock),
}

impl Moment {
    /// None for what is none: the long way says what is wrong.
    #[inline(always)]
    fn of(row: &Row, raw: &[u8]) -> Option<Self> {
        match row.known {
            Known::DateTime => split_datetime(raw).map(|(day, clock)| Self::DateTime(day, clock)),
            Known::Date => split_date(raw).map(Self::Date),
            Known::Time => split_time(raw).map(Self::Time),
            _ => None,
        }
    }

    /// Its value, without a zone.
    #[inline(always)]
    fn made<'a, S: Sink<'a>>(&self, sink: &mut S) -> Made<S::Value, S::Error> {
        match *self {
            Self::DateTime(day, clock) => sink.datetime(day, clock, None),
            Self::Date(day) => sink.known(KnownValue::Date(day)),
            Self::Time(clock) => sink.known(KnownValue::Time(clock, None)),
        }
    }
}

/// Opcodes that are looked at before they are carried out, all together or not at all.
struct Ahead<'a> {
    reader: Reader<'a>,
    /// The index under which a PUT appends to the memo.
    next: usize,
    /// Whether MEMOIZE appends, too.
    memoizes: bool,
}

impl<'a> Ahead<'a> {
    /// Passes over an opcode without an argument, if it is the next one.
    #[inline(always)]
    fn is(&mut self, byte: u8) -> bool {
        match self.reader.rest() {
            [next, rest @ ..] if *next == byte => {
                self.reader = self.reader.at_rest(rest);
                true
            }
            _ => false,
        }
    }

    /// The next opcode, if it is a PUT that appends to the memo.
    #[inline(always)]
    fn put(&mut self) -> Option<u8> {
        let (put, rest) = match self.reader.rest() {
            [op::MEMOIZE, rest @ ..] if self.memoizes => (op::MEMOIZE, rest),
            [op::BINPUT, index, rest @ ..] if usize::from(*index) == self.next => (op::BINPUT, rest),
            [op::LONG_BINPUT, a, b, c, d, rest @ ..] if u32::from_le_bytes([*a, *b, *c, *d]) as usize == self.next => {
                (op::LONG_BINPUT, rest)
            }
            [op::PUT, rest @ ..] => match line_index(self.reader.at_rest(rest)) {
                Some((index, reader)) if index == self.next => (op::PUT, reader.rest()),
                _ => return None,
            },
            _ => return None,
        };
        self.reader = self.reader.at_rest(rest);
        self.next = self.next.wrapping_add(1);
        Some(put)
    }

    /// The next opcode, if it is a GET, and its index.
    #[inline(always)]
    fn get(&mut self) -> Option<(u8, usize)> {
        let (get, index, rest) = match self.reader.rest() {
            [op::BINGET, index, rest @ ..] => (op::BINGET, usize::from(*index), rest),
            [op::LONG_BINGET, a, b, c, d, rest @ ..] => {
                (op::LONG_BINGET, u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest)
            }
            [op::GET, rest @ ..] => {
                let (index, reader) = line_index(self.reader.at_rest(rest))?;
                (op::GET, index, reader.rest())
            }
            _ => return None,
        };
        self.reader = self.reader.at_rest(rest);
        Some((get, index))
    }

    /// Passes over the opcodes that make a call of an only argument, if they come next: the PUTs of the argument and
    /// of its tuple.
    #[inline(always)]
    fn only_argument(&mut self, form: Form) -> Option<[Option<u8>; 2]> {
        let only = self.put();
        let called = self.is(form.tuple(1));
        let tuple = self.put();
        (called && self.is(op::REDUCE)).then_some([only, tuple])
    }

    /// The same with a second argument out of the memo: the PUTs, GET and TUPLE, and its index. `late`: what stands
    /// for the first one.
    #[inline(always)]
    fn second_argument(&mut self, late: Index, form: Form) -> Option<([Option<u8>; 2], [u8; 2], usize)> {
        let first = self.put();
        let (get, index) = self.get()?;
        let called = self.is(form.tuple(2));
        let pair = self.put();
        (called && self.is(op::REDUCE) && late.is_pairable()).then_some(([first, pair], [get, form.tuple(2)], index))
    }
}

/// The index on a line, and what is behind it.
#[inline(never)]
fn line_index(mut reader: Reader<'_>) -> Option<(usize, Reader<'_>)> {
    Some((reader.index()?.try_into().ok()?, reader))
}

/// What makes a call of an only argument.
const CALL: [u8; 5] = [op::MEMOIZE, op::TUPLE1, op::MEMOIZE, op::REDUCE, op::MEMOIZE];

impl<'a, S: Sink<'a>> Machine<'a, '_, S> {
    /// REDUCE, NEWOBJ, NEWOBJ_EX: `callable` with an argument tuple.
    pub(super) fn call(
        &mut self,
        callable: Slot<S::Value>,
        how: How,
        args: Slot<S::Value>,
        kwargs: Option<S::Value>,
    ) -> Step<'a, S, Slot<S::Value>> {
        let global = match callable {
            Slot::Global(global) => global,
            Slot::Pending(pending)
                if how == How::Call && matches!(self.pending[pending as usize], Pending::ZoneUnpickle) =>
            {
                let args = self.arguments(args)?;
                return self.unpickle_zone(&args);
            }
            Slot::Value(..) | Slot::Open(..) | Slot::Shared(..) | Slot::Pending(_) => {
                return Err(ErrorKind::Misplaced("only a name can be called").into());
            }
        };
        match self.globals[global as usize].target {
            Target::Known(row, native) => {
                let needed = if how == How::Call { globals::CALL } else { globals::NEW };
                if row.uses & needed == 0 {
                    return self.forbidden_use(row, "not with this opcode");
                }
                if kwargs.is_some() {
                    return self.forbidden_use(row, "not with keywords");
                }
                if S::OPAQUE {
                    return Ok(Slot::Value(self.sink.none()?, 0));
                }
                let args = self.arguments(args)?;
                match row.known {
                    Known::DateTime | Known::Date | Known::Time | Known::Decimal => self.moment_or_decimal(row, &args),
                    _ => self.known(row, native, global, how, args),
                }
            }
            target => {
                let (args, depth) = self.own_arguments(target, args)?;
                if !matches!(self.sink.view(&args), View::Tuple | View::Opaque) {
                    return Err(ErrorKind::Invalid("arguments: not a tuple").into());
                }
                self.own(target, global, how, args, kwargs, depth)
            }
        }
    }

    /// The row of the global on top of the stack, if what comes next can be its only argument.
    #[inline(always)]
    fn callee(&self) -> Option<&'static Row> {
        if self.stack.len() > self.fence() { self.callable() } else { None }
    }

    /// The same where there may be a mark in between.
    #[inline(always)]
    fn callee_of(&self) -> Option<(&'static Row, Form)> {
        let (size, mark) = (self.stack.len(), self.fence());
        let form = match size > mark {
            true => Form::Counted,
            false if size > self.marks.below().start => Form::Marked,
            false => return None,
        };
        Some((self.callable()?, form))
    }

    #[inline(always)]
    fn callable(&self) -> Option<&'static Row> {
        let class = self.stack.top_global()?;
        if S::OPAQUE || S::SALVAGE {
            return None;
        }
        match self.globals[class as usize].target {
            Target::Known(row, _) if row.uses & globals::CALL != 0 => Some(row),
            _ => None,
        }
    }

    /// Pays for a call that is carried out ahead as for what it stands for: a tuple, its items and leaves.
    #[inline(always)]
    fn pay_arguments(&mut self, items: usize, leaves: usize) -> Step<'a, S> {
        self.budget.memory(cost::TUPLE + cost::ITEM * items + S::LEAF * leaves)?;
        self.budget.depth(1)?;
        self.budget.work(items)?;
        Ok(())
    }

    /// Tells the sink of opcodes that were looked at ahead.
    #[inline(always)]
    fn tell<const N: usize>(&mut self, opcodes: [Option<u8>; N]) {
        opcodes.into_iter().flatten().for_each(|byte| self.sink.opcode(byte));
    }

    /// What a call makes, in the place of the global on top of the stack; the PUT behind it, if there is one.
    #[inline(always)]
    fn push_called(&mut self, value: S::Value, form: Form, mut ahead: Ahead<'a>) -> Step<'a, S, Reader<'a>> {
        if form == Form::Marked {
            self.marks.pop()?;
        }
        if let Some(put) = ahead.put() {
            self.tell([Some(put)]);
            let made = self.keep_value(&value)?;
            self.push_indexes([made])?;
        }
        self.stack.replace_top(value);
        Ok(ahead.reader)
    }

    /// What is made of the text that was just read, if a Decimal, or bytes, is all it is for. `encode`: its bytes
    /// in latin1.
    #[inline(always)]
    pub(super) fn called(
        &mut self,
        raw: &'a [u8],
        encode: fn(&[u8]) -> Option<latin1::Bytes>,
        reader: Reader<'a>,
    ) -> Step<'a, S, Option<Reader<'a>>> {
        match self.callee_of() {
            Some((row, form)) if row.known == Known::Decimal => self.decimal_called(raw, form, reader),
            Some((row, form)) if row.known == Known::Encode => self.encode_called(raw, encode, form, reader),
            _ => Ok(None),
        }
    }

    /// The bytes of `_codecs.encode(text, "latin1")`, as protocols below 3 write them, out of the text
    /// that was just read; or the datetime, date or time that is made of them right away.
    fn encode_called(
        &mut self,
        raw: &'a [u8],
        encode: fn(&[u8]) -> Option<latin1::Bytes>,
        form: Form,
        reader: Reader<'a>,
    ) -> Step<'a, S, Option<Reader<'a>>> {
        let leaf = Index::leaf(self.offset());
        let mut ahead = self.ahead(reader);
        let Some((late, [get, tuple], index)) = ahead.second_argument(leaf, form) else {
            return Ok(None);
        };
        // What is wrong is said by the long way.
        if !self.is_latin1(index)? {
            return Ok(None);
        }
        let (Some(bytes), Some(encoding)) = (encode(raw), self.kept_value(index)) else {
            return Ok(None);
        };
        let encoding = encoding.clone();
        self.pay_arguments(2, 3)?;
        self.budget.memory(bytes.len())?;
        self.budget.work(bytes.len() / 4)?;
        self.pass_second(late, [get, tuple], leaf, encoding)?;
        let late = [Index::encoded(self.offset()), Index::encoded_tuple(self.offset())];
        if form == Form::Marked {
            self.marks.pop()?;
        }
        self.stack.pop();
        if let Some((row, form)) = self.callee_of()
            && let Some(behind) = self.moment_called(row, &bytes, form, late, ahead.reader)?
        {
            return Ok(Some(behind));
        }
        let value = self.sink.bytes(Cow::Owned(bytes.into_vec()))?;
        let mut reader = ahead.reader;
        self.push(value)?;
        self.put_next(&mut reader)?;
        Ok(Some(reader))
    }

    /// Whether the memo has the text `latin1` under an index. It is remembered which one that was.
    #[inline(always)]
    fn is_latin1(&mut self, index: usize) -> Step<'a, S, bool> {
        let own = index.wrapping_sub(self.base);
        if self.memo.get(own).is_some_and(|&found| found != Index::EMPTY && found == self.latin1_name) {
            return Ok(true);
        }
        if self.late_text(index)? != Some("latin1") {
            return Ok(false);
        }
        self.latin1_name = self.memo.get(own).copied().unwrap_or(Index::EMPTY);
        Ok(true)
    }

    /// Carries out what was looked at: the PUTs of the first argument and of the tuple, GET and TUPLE in between, and
    /// REDUCE. `late`: what stands for the first argument.
    #[inline(always)]
    fn pass_second(
        &mut self,
        [first, pair]: [Option<u8>; 2],
        [get, tuple]: [u8; 2],
        late: Index,
        second: S::Value,
    ) -> Step<'a, S> {
        self.tell([first, Some(get), Some(tuple), pair, Some(op::REDUCE)]);
        if first.is_some() {
            self.push_indexes([late])?;
        }
        if pair.is_some() {
            let pair = self.keep(Entry::Pair(late, second))?;
            self.push_indexes([pair])?;
        }
        Ok(())
    }

    /// What is behind the opcodes that make a call of an only argument, as picklers of protocol 4 write them.
    #[inline(always)]
    fn behind_call(&self, reader: &Reader<'a>) -> Option<Reader<'a>> {
        let (call, rest) = reader.rest().split_first_chunk()?;
        (*call == CALL && self.holes == 0).then(|| reader.at_rest(rest))
    }

    /// The same with a second argument out of the memo, and its index.
    #[inline(always)]
    fn behind_pair(&self, reader: &Reader<'a>) -> Option<(Reader<'a>, usize)> {
        match reader.rest() {
            [op::MEMOIZE, op::BINGET, index, op::TUPLE2, op::MEMOIZE, op::REDUCE, op::MEMOIZE, rest @ ..]
                if self.holes == 0 =>
            {
                Some((reader.at_rest(rest), usize::from(*index)))
            }
            _ => None,
        }
    }

    /// Carries these opcodes out: `value` is what the call makes, `late` what the argument and its tuple were.
    #[inline(always)]
    fn finish_call(&mut self, value: S::Value, late: [Index; 2], behind: Reader<'a>) -> Step<'a, S> {
        CALL.into_iter().for_each(|byte| self.sink.opcode(byte));
        let made = self.keep_value(&value)?;
        self.push_indexes([late[0], late[1], made])?;
        self.stack.replace_top(value);
        self.reader = behind;
        Ok(())
    }

    /// A Decimal out of the text that was just read, if that and what comes next are as in protocol 4.
    #[inline(always)]
    pub(super) fn plain_decimal(&mut self, raw: &'a [u8]) -> Step<'a, S, bool> {
        let Some(behind) = self.behind_call(&self.reader) else {
            return Ok(false);
        };
        let Some((number, digits)) = small_decimal(raw) else {
            return Ok(false);
        };
        if self.callee().is_none_or(|row| row.known != Known::Decimal) {
            return Ok(false);
        }
        self.pay_arguments(1, 2)?;
        self.pay_digits(digits, false)?;
        let value = self.sink.decimal(raw, number)?;
        let leaf = self.offset();
        self.finish_call(value, [Index::leaf(leaf), Index::tuple(leaf)], behind)?;
        Ok(true)
    }

    /// A datetime, date or time out of the bytes that were just read, likewise.
    #[inline(always)]
    pub(super) fn plain_moment(&mut self, raw: &'a [u8]) -> Step<'a, S, bool> {
        let Some(row) = self.callee() else {
            return Ok(false);
        };
        if row.known == Known::DateTime {
            return self.plain_datetime(raw);
        }
        let (Some(moment), Some(behind)) = (Moment::of(row, raw), self.behind_call(&self.reader)) else {
            return Ok(false);
        };
        self.pay_arguments(1, 2)?;
        let value = moment.made(self.sink)?;
        let leaf = self.offset();
        self.finish_call(value, [Index::leaf(leaf), Index::tuple(leaf)], behind)?;
        Ok(true)
    }

    /// The most frequent of them for itself; with a zone out of the memo, too.
    #[inline(always)]
    fn plain_datetime(&mut self, raw: &'a [u8]) -> Step<'a, S, bool> {
        let Some((day, clock)) = split_datetime(raw) else {
            return Ok(false);
        };
        let leaf = self.offset();
        if let Some(behind) = self.behind_call(&self.reader) {
            self.pay_arguments(1, 2)?;
            let value = self.sink.datetime(day, clock, None)?;
            self.finish_call(value, [Index::leaf(leaf), Index::tuple(leaf)], behind)?;
            return Ok(true);
        }
        let Some((behind, index)) = self.behind_pair(&self.reader) else {
            return Ok(false);
        };
        let late = Index::leaf(leaf);
        let zone = match self.kept_value(index) {
            Some(zone) if late.is_pairable() && self.sink.is_zone(zone) => zone.clone(),
            _ => return Ok(false),
        };
        self.pay_arguments(2, 2)?;
        let value = self.sink.datetime(day, clock, Some(&zone))?;
        [op::BINGET, op::TUPLE2].into_iter().for_each(|byte| self.sink.opcode(byte));
        let pair = self.keep(Entry::Pair(late, zone))?;
        let made = self.keep_value(&value)?;
        self.push_indexes([late, pair, made])?;
        [op::MEMOIZE, op::MEMOIZE, op::REDUCE, op::MEMOIZE].into_iter().for_each(|byte| self.sink.opcode(byte));
        self.stack.replace_top(value);
        self.reader = behind;
        Ok(true)
    }

    /// The GET of a class and SHORT_BINBYTES, which begin the next moment, if that is what comes next.
    #[inline(always)]
    pub(super) fn next_moment(&mut self) -> Step<'a, S, bool> {
        let mut ahead = self.ahead(self.reader);
        let (Some((get, index)), true) = (ahead.get(), ahead.is(op::SHORT_BINBYTES)) else {
            return Ok(false);
        };
        let Some(class) = self.kept_global(index) else {
            return Ok(false);
        };
        self.tell([Some(get), Some(op::SHORT_BINBYTES)]);
        self.stack.push(Slot::Global(class))?;
        self.left = ahead.reader.remaining() + 1;
        self.reader = ahead.reader;
        Ok(true)
    }

    fn decimal_called(&mut self, raw: &'a [u8], form: Form, reader: Reader<'a>) -> Step<'a, S, Option<Reader<'a>>> {
        // Anything else takes the long way.
        let mut ahead = self.ahead(reader);
        let (Some(puts), Some((number, digits))) = (ahead.only_argument(form), small_decimal(raw)) else {
            return Ok(None);
        };
        self.pay_arguments(1, 2)?;
        self.pay_digits(digits, false)?;
        let value = self.sink.decimal(raw, number)?;
        let leaf = self.offset();
        self.pass_only(puts, form, [Index::leaf(leaf), Index::tuple(leaf)])?;
        self.push_called(value, form, ahead).map(Some)
    }

    /// Carries out what was looked at: the PUTs of the argument and of the tuple, and what is in between. `late`: what
    /// stands for both.
    #[inline(always)]
    fn pass_only(&mut self, [only, tuple]: [Option<u8>; 2], form: Form, late: [Index; 2]) -> Step<'a, S> {
        self.tell([only, Some(form.tuple(1)), tuple, Some(op::REDUCE)]);
        if only.is_some() {
            self.push_indexes([late[0]])?;
        }
        if tuple.is_some() {
            self.push_indexes([late[1]])?;
        }
        Ok(())
    }

    /// A datetime, date or time out of the bytes that were just read, if that is all they are for.
    /// Neither the bytes nor their tuple is made.
    #[inline(always)]
    pub(super) fn moment(&mut self, raw: &'a [u8], reader: Reader<'a>) -> Step<'a, S, Option<Reader<'a>>> {
        match self.callee_of() {
            Some((row, form)) if raw.len() <= DATETIME_BYTES => {
                let leaf = self.offset();
                self.moment_called(row, raw, form, [Index::leaf(leaf), Index::tuple(leaf)], reader)
            }
            _ => Ok(None),
        }
    }

    fn moment_called(
        &mut self,
        row: &'static Row,
        raw: &[u8],
        form: Form,
        late: [Index; 2],
        reader: Reader<'a>,
    ) -> Step<'a, S, Option<Reader<'a>>> {
        let Some(moment) = Moment::of(row, raw) else {
            return Ok(None);
        };
        let mut ahead = self.ahead(reader);
        if let Some(puts) = ahead.only_argument(form) {
            self.pay_arguments(1, 2)?;
            let value = moment.made(self.sink)?;
            self.pass_only(puts, form, late)?;
            return self.push_called(value, form, ahead).map(Some);
        }
        let Moment::DateTime(day, clock) = moment else {
            return Ok(None);
        };
        // With a zone, if that was memoized.
        let mut ahead = self.ahead(reader);
        let Some((puts, opcodes, index)) = ahead.second_argument(late[0], form) else {
            return Ok(None);
        };
        let zone = match self.kept_value(index) {
            Some(zone) if self.sink.is_zone(zone) => zone.clone(),
            _ => return Ok(None),
        };
        self.pay_arguments(2, 2)?;
        let value = self.sink.datetime(day, clock, Some(&zone))?;
        self.pass_second(puts, opcodes, late[0], zone)?;
        self.push_called(value, form, ahead).map(Some)
    }

    /// A look at what comes next.
    #[inline(always)]
    fn ahead(&self, reader: Reader<'a>) -> Ahead<'a> {
        Ahead { reader, next: self.base.wrapping_add(self.memo.len()), memoizes: self.holes == 0 }
    }

    /// A UUID out of `class ()`, NEWOBJ, if what comes next is its state as protocol 4 writes it from the second
    /// one on.
    #[inline(always)]
    pub(super) fn plain_uuid(&mut self) -> Step<'a, S, bool> {
        let [op::MEMOIZE, op::EMPTY_DICT, op::MEMOIZE, op::BINGET, index, op::LONG1, count, rest @ ..] =
            self.reader.rest()
        else {
            return Ok(false);
        };
        let (Some((raw, [op::SETITEM, op::BUILD, behind @ ..])), Some(&key)) =
            (rest.split_at_checked((*count).into()), self.memo.get(usize::from(*index).wrapping_sub(self.base)))
        else {
            return Ok(false);
        };
        // The long way has found the class, the arguments and the key, and says what is wrong.
        let size = raw.len();
        let long = size as u64 * 8 > self.budget.limits().int_bits
            || size > 16 && (size > 17 || raw[16] != 0)
            || raw.last().is_none_or(|&high| high >= 0x80);
        if key != self.uuid_key || key == Index::EMPTY || long || self.holes > 0 || !self.is_new_uuid() {
            return Ok(false);
        }
        self.budget.memory(cost::TUPLE + cost::ENTRY + cost::DICT + cost::DICT_TABLE + cost::DICT_ENTRY)?;
        self.budget.depth(1)?;
        let mut int = [0; 16];
        for (to, from) in int.iter_mut().zip(raw) {
            *to = *from;
        }
        let uuid = self.sink.known(KnownValue::Uuid(u128::from_le_bytes(int), None))?;
        let opcodes = [op::MEMOIZE, op::EMPTY_DICT, op::MEMOIZE, op::BINGET, op::LONG1, op::SETITEM, op::BUILD];
        opcodes.into_iter().for_each(|byte| self.sink.opcode(byte));
        // The state is made of the number, if something fetches it: where its opcode stands.
        let state = Index::state(self.reader.position() + 5);
        let made = self.keep_value(&uuid)?;
        self.push_indexes([made, state])?;
        self.stack.truncate(self.stack.len() - 1);
        self.stack.replace_top(uuid);
        self.reader = self.reader.at_rest(behind);
        Ok(true)
    }

    /// Whether the class UUID and an empty tuple are on top of the stack.
    #[inline(always)]
    fn is_new_uuid(&self) -> bool {
        if S::OPAQUE || S::SALVAGE || self.stack.len() < self.fence() + 2 {
            return false;
        }
        let top = self.stack.len();
        match (self.stack.get(top - 2), self.stack.get(top - 1)) {
            (Some(Seen::Global(class)), Some(Seen::Value(args, _))) => {
                self.known_of(class) == Some(Known::Uuid) && self.sink.is_empty_tuple(args)
            }
            _ => false,
        }
    }

    /// A UUID out of `class ()`, NEWOBJ, if its state comes next as `uuid` writes it: a dict of `int`
    /// and nothing else, and BUILD. The dict is not made.
    pub(super) fn uuid_and_state(&mut self, reader: Reader<'a>) -> Step<'a, S, Option<Reader<'a>>> {
        if !self.is_new_uuid() {
            return Ok(None);
        }
        let mut ahead = self.ahead(reader);
        let put = ahead.put();
        if !ahead.is(op::EMPTY_DICT) {
            return Ok(None);
        }
        let state_put = ahead.put();
        let late_key = Index::key(ahead.reader.position());
        let (key, key_put) = match (ahead.get(), ahead.reader.peek()) {
            (Some((get, index)), _) => {
                match self.kept_value(index) {
                    Some(key) if self.sink.view(key) == View::Text("int") => {}
                    None if self.late_key(index) == Some(b"int") => {}
                    _ => return Ok(None),
                }
                self.uuid_key = self.memo.get(index.wrapping_sub(self.base)).copied().unwrap_or(Index::EMPTY);
                (get, None)
            }
            (None, Some(text @ (op::SHORT_BINUNICODE | op::BINUNICODE))) => {
                ahead.is(text);
                let raw = if text == op::BINUNICODE { ahead.reader.counted4() } else { ahead.reader.counted1() };
                if !matches!(raw, Ok(b"int")) {
                    return Ok(None);
                }
                (text, ahead.put())
            }
            _ => return Ok(None),
        };
        let late_state = Index::state(ahead.reader.position());
        if !ahead.is(op::LONG1) {
            return Ok(None);
        }
        // Not negative, and within 128 bits.
        let mut wide = [0; 17];
        match ahead.reader.counted1() {
            Ok(raw)
                if raw.len() <= wide.len()
                    && raw.len() as u64 * 8 <= self.budget.limits().int_bits
                    && raw.last().is_some_and(|&high| high < 0x80) =>
            {
                wide[..raw.len()].copy_from_slice(raw);
            }
            _ => return Ok(None),
        }
        let ([int @ .., 0], true, true) = (wide, ahead.is(op::SETITEM), ahead.is(op::BUILD)) else {
            return Ok(None);
        };
        // Paid for as what it stands for.
        self.budget.memory(cost::TUPLE + cost::ENTRY + cost::DICT + cost::DICT_TABLE + cost::DICT_ENTRY)?;
        self.budget.depth(1)?;
        let uuid = self.sink.known(KnownValue::Uuid(u128::from_le_bytes(int), None))?;
        self.tell([put, Some(op::EMPTY_DICT), state_put, Some(key), key_put]);
        self.tell([op::LONG1, op::SETITEM, op::BUILD].map(Some));
        if put.is_some() {
            let made = self.keep_value(&uuid)?;
            self.push_indexes([made])?;
        }
        for (put, late) in [(state_put, late_state), (key_put, late_key)] {
            if put.is_some() {
                self.push_indexes([late])?;
            }
        }
        self.stack.truncate(self.stack.len() - 1);
        self.stack.replace_top(uuid);
        Ok(Some(ahead.reader))
    }

    /// INST, OBJ: an instance of `class` with what is above `start` as arguments.
    pub(super) fn instantiate(&mut self, class: Slot<S::Value>, start: usize) -> Step<'a, S, Slot<S::Value>> {
        let Slot::Global(global) = class else {
            return Err(ErrorKind::Misplaced("only a name can be a class").into());
        };
        let target = match self.globals[global as usize].target {
            Target::Known(row, _) if row.known == Known::Discarded => {
                self.settle_from(start)?;
                self.stack.truncate(start);
                return self.push_instance(global, Some(row.known), None, How::New, Vec::new(), 1);
            }
            Target::Known(row, _) => return self.forbidden_use(row, "not with this opcode"),
            target => target,
        };
        let depth = self.settle_from(start)?;
        let how = if start == self.stack.len() { How::New } else { How::Call };
        self.budget.memory(cost::TUPLE + cost::ITEM * (self.stack.len() - start))?;
        let args = self.sink.tuple(self.stack.values(start))?;
        self.own(target, global, how, args, None, depth)
    }

    /// The arguments of what the policy has besides the table. The factory of a defaultdict's subclass
    /// may be among them, which plain data has no use for.
    fn own_arguments(&mut self, target: Target, args: Slot<S::Value>) -> Step<'a, S, (S::Value, u16)> {
        let slots = match &args {
            Slot::Pending(pending) => match &self.pending[*pending as usize] {
                Pending::Args { slots, .. } => slots.clone(),
                _ => return self.settle(args),
            },
            _ => return self.settle(args),
        };
        let (mut values, mut depth) = (Vec::with_capacity(slots.len()), 0);
        for slot in slots {
            let builtin = match &slot {
                Slot::Global(global) => match self.known_of(*global) {
                    Some(Known::Type(builtin)) => Some(builtin),
                    Some(Known::Set) => Some(Factory::Set),
                    _ => None,
                },
                _ => None,
            };
            match builtin {
                Some(_) if matches!(target, Target::Plain) => {}
                Some(builtin) => values.push(self.sink.builtin(builtin)?),
                None => {
                    let (value, inner) = self.settle(slot)?;
                    depth = depth.max(inner);
                    values.push(value);
                }
            }
        }
        Ok((self.sink.tuple(values.into_iter())?, depth))
    }

    /// An instance of what the policy has besides the table.
    fn own(
        &mut self,
        target: Target,
        global: u32,
        how: How,
        args: S::Value,
        kwargs: Option<S::Value>,
        depth: u16,
    ) -> Step<'a, S, Slot<S::Value>> {
        let depth = self.budget.depth(depth.saturating_add(1))?;
        self.budget.memory(cost::OBJECT / 2)?;
        self.budget.work(40)?;
        match target {
            Target::Plain => {
                self.budget.work(self.sink.len(&args))?;
                let mut args = self.sink.items(&args);
                args.extend(kwargs);
                self.push_instance(global, None, None, how, args, depth)
            }
            Target::Registered(index) => {
                let made = self.sink.construct(index, how, &args, kwargs.as_ref())?;
                Ok(Slot::Value(made, depth))
            }
            Target::Stub | Target::Known(..) => {
                let made = self.sink.stub(&self.globals[global as usize].name, Some(&args))?;
                Ok(Slot::Value(made, depth))
            }
        }
    }

    pub(super) fn push_instance(
        &mut self,
        global: u32,
        known: Option<Known>,
        native: Option<u32>,
        how: How,
        args: Vec<S::Value>,
        depth: u16,
    ) -> Step<'a, S, Slot<S::Value>> {
        self.push_pending(Pending::Instance(Instance {
            global,
            known,
            native,
            how,
            args,
            state: None,
            made: None,
            settled: false,
            container: false,
            depth,
        }))
    }

    /// An instance that is this dict already.
    pub(super) fn instance_of(
        &mut self,
        global: u32,
        known: Known,
        native: Option<u32>,
        dict: S::Value,
        depth: u16,
    ) -> Step<'a, S, Slot<S::Value>> {
        let made = self.push_instance(global, Some(known), native, How::New, Vec::new(), depth)?;
        if let Slot::Pending(pending) = made
            && let Pending::Instance(instance) = &mut self.pending[pending as usize]
        {
            instance.made = Some(dict);
        }
        Ok(made)
    }

    /// A value that is complete, and may be given a state of no meaning.
    pub(super) fn push_made(
        &mut self,
        global: u32,
        known: Known,
        how: How,
        made: Slot<S::Value>,
    ) -> Step<'a, S, Slot<S::Value>> {
        let (value, depth) = self.settle(made)?;
        let slot = self.push_instance(global, Some(known), None, how, Vec::new(), depth)?;
        if let Slot::Pending(pending) = slot
            && let Pending::Instance(instance) = &mut self.pending[pending as usize]
        {
            instance.made = Some(value);
        }
        Ok(slot)
    }

    #[cold]
    fn forbidden_use<T>(&self, row: &Row, reason: &'static str) -> Step<'a, S, T> {
        Err(ErrorKind::ForbiddenUse { name: format!("{}.{}", row.module, row.name).into(), reason }.into())
    }

    /// The slots of an argument tuple.
    fn arguments(&mut self, args: Slot<S::Value>) -> Step<'a, S, Args<S::Value>> {
        match args {
            Slot::Value(args, depth) if self.sink.view(&args) == View::Tuple => {
                let count = self.sink.len(&args);
                self.budget.work(count)?;
                let mut slots = Args::new();
                for index in 0..count {
                    slots.extend(self.sink.item(&args, index).map(|value| Slot::Value(value, depth)));
                }
                Ok(slots)
            }
            Slot::Pending(pending) => match &self.pending[pending as usize] {
                Pending::Args { slots, .. } => {
                    self.budget.work(slots.len())?;
                    Ok(slots.iter().cloned().collect())
                }
                _ => Err(ErrorKind::Invalid("arguments: not a tuple").into()),
            },
            _ => Err(ErrorKind::Invalid("arguments: not a tuple").into()),
        }
    }

    /// The types that sessions are full of.
    pub(super) fn moment_or_decimal(
        &mut self,
        row: &'static Row,
        args: &[Slot<S::Value>],
    ) -> Step<'a, S, Slot<S::Value>> {
        let wrong = || self::wrong(row);
        let value = match (row.known, args) {
            (Known::DateTime, [Slot::Value(raw, _), zone @ ..]) if zone.len() < 2 => {
                let raw = self.raw(raw).ok_or_else(wrong)?;
                let (day, clock) = split_datetime(&raw).ok_or(ErrorKind::Invalid("datetime: its bytes"))?;
                let zone = self.zone_argument(zone)?;
                self.sink.known(KnownValue::DateTime(day, clock, zone.as_ref()))?
            }
            (Known::Date, [Slot::Value(raw, _)]) => {
                let raw = self.raw(raw).ok_or_else(wrong)?;
                self.sink.known(KnownValue::Date(split_date(&raw).ok_or(ErrorKind::Invalid("date: its bytes"))?))?
            }
            (Known::Time, [Slot::Value(raw, _), zone @ ..]) if zone.len() < 2 => {
                let raw = self.raw(raw).ok_or_else(wrong)?;
                let clock = split_time(&raw).ok_or(ErrorKind::Invalid("time: its bytes"))?;
                let zone = self.zone_argument(zone)?;
                self.sink.known(KnownValue::Time(clock, zone.as_ref()))?
            }
            (Known::Decimal, [Slot::Value(text, _)]) => {
                let View::Text(digits) = self.sink.view(text) else {
                    return Err(wrong().into());
                };
                let (small, plain) = (small_decimal(digits.as_bytes()), plain_digits(digits.as_bytes()).is_some());
                let digits = self.check_decimal(digits)?;
                self.pay_digits(digits, false)?;
                self.sink.known(decimal_of(text, plain, small.map(|(number, _)| number)))?
            }
            _ => return Err(wrong().into()),
        };
        Ok(Slot::Value(value, 0))
    }

    /// A row of the table, with its arguments.
    pub(super) fn known(
        &mut self,
        row: &'static Row,
        native: Option<u32>,
        global: u32,
        how: How,
        args: Args<S::Value>,
    ) -> Step<'a, S, Slot<S::Value>> {
        let wrong = || self::wrong(row);
        let mut depth = 0;
        let value = match (row.known, args.as_slice()) {
            (Known::TimeDelta, [Slot::Value(days, _), Slot::Value(seconds, _), Slot::Value(microseconds, _)]) => {
                match (self.sink.view(days), self.sink.view(seconds), self.sink.view(microseconds)) {
                    (View::Int(days), View::Int(seconds), View::Int(microseconds)) => {
                        let (days, seconds, microseconds) = normal_timedelta(days, seconds, microseconds)?;
                        self.sink.known(KnownValue::TimeDelta { days, seconds, microseconds })?
                    }
                    _ => return Err(wrong().into()),
                }
            }
            (Known::Timezone, [Slot::Value(offset, _), name @ ..]) if name.len() < 2 => {
                if !matches!(self.sink.view(offset), View::TimeDelta { .. }) {
                    return Err(wrong().into());
                }
                let offset = self.duration(offset, 1)?;
                match name {
                    [] => self.fixed_zone(offset, None)?,
                    [Slot::Value(name, _)] if matches!(self.sink.view(name), View::Text(_) | View::Surrogates) => {
                        self.fixed_zone(offset, Some(name))?
                    }
                    _ => return Err(wrong().into()),
                }
            }
            (Known::Fraction, args) => self.fraction(args)?.ok_or_else(wrong)?,
            (Known::Complex, [Slot::Value(real, _), Slot::Value(imaginary, _)]) => {
                match (self.sink.view(real), self.sink.view(imaginary)) {
                    (View::Float(real), View::Float(imaginary)) => {
                        self.sink.known(KnownValue::Complex(real, imaginary))?
                    }
                    _ => return Err(wrong().into()),
                }
            }
            (Known::Bytes, []) => self.sink.bytes(Cow::Borrowed(&[]))?,
            (Known::ByteArray, args) => self.bytearray(args)?.ok_or_else(wrong)?,
            (Known::Encode, [Slot::Value(text, _), Slot::Value(encoding, _)]) => {
                if self.sink.view(encoding) != View::Text("latin1") || !self.sink.is_text(text) {
                    return Err(wrong().into());
                }
                let size = self.sink.len(text);
                self.budget.work(size / 4)?;
                self.budget.memory(size)?;
                self.sink.latin1(text)?.ok_or_else(wrong)?
            }
            (Known::Range, [Slot::Value(start, _), Slot::Value(stop, _), Slot::Value(step, _)]) => {
                let integers = [start, stop, step]
                    .iter()
                    .all(|bound| matches!(self.sink.view(bound), View::Int(_) | View::BigInt(_)));
                if !integers || self.sink.view(step) == View::Int(0) {
                    return Err(wrong().into());
                }
                self.budget.memory(cost::TUPLE)?;
                self.sink.known(KnownValue::Range([start, stop, step]))?
            }
            (Known::Set | Known::FrozenSet, [Slot::Value(items, inner)]) => {
                if self.sink.view(items) != View::List {
                    return Err(wrong().into());
                }
                depth = *inner;
                let (items, set) = (items.clone(), row.known == Known::Set);
                self.members(&items, set)?
            }
            (Known::Set, []) => {
                self.budget.memory(cost::SET)?;
                self.sink.set()?
            }
            (Known::OrderedDict, args) => {
                self.budget.memory(cost::OBJECT)?;
                let dict = self.sink.known(KnownValue::OrderedDict)?;
                match args {
                    [] => {}
                    [Slot::Value(pairs, inner)] if self.sink.view(pairs) == View::List => {
                        depth = *inner;
                        let pairs = pairs.clone();
                        self.insert_pairs(&dict, &pairs)?;
                    }
                    _ => return Err(wrong().into()),
                }
                dict
            }
            (Known::DefaultDict, args) => {
                let factory = match args {
                    [] => None,
                    [Slot::Value(none, _)] if self.sink.view(none) == View::None => None,
                    [Slot::Global(factory)] => match self.globals[*factory as usize].target {
                        Target::Known(Row { known: Known::Type(factory), .. }, _) => Some(*factory),
                        Target::Known(Row { known: Known::Set, .. }, _) => Some(Factory::Set),
                        Target::Stub | Target::Plain => None,
                        _ => return Err(wrong().into()),
                    },
                    _ => return Err(wrong().into()),
                };
                self.budget.memory(cost::OBJECT)?;
                self.sink.known(KnownValue::DefaultDict(factory))?
            }
            (Known::Counter, args) => {
                self.budget.memory(cost::OBJECT)?;
                self.budget.work(40)?;
                let counter = self.sink.known(KnownValue::Counter)?;
                match args {
                    [] => {}
                    [Slot::Value(counts, inner)] if self.sink.view(counts) == View::Dict => {
                        depth = *inner;
                        self.copy_entries(&counts.clone(), &counter)?;
                    }
                    _ => return Err(wrong().into()),
                }
                counter
            }
            (Known::Deque, args) => self.deque(args, &mut depth)?.ok_or_else(wrong)?,
            (Known::Namespace, []) => {
                self.budget.memory(cost::OBJECT)?;
                self.budget.work(10)?;
                self.sink.known(KnownValue::Namespace)?
            }
            (Known::Ip(ip), [Slot::Value(value, _)]) => {
                self.budget.memory(cost::OBJECT)?;
                match self.sink.view(value) {
                    View::Text(text) => {
                        if !is_ip(ip, text) {
                            return Err(ErrorKind::Invalid("IP address or network").into());
                        }
                        self.budget.work(SLOW)?;
                        self.sink.known(KnownValue::IpText(ip, value))?
                    }
                    View::Int(_) | View::BigInt(_) if matches!(ip, Ip::V4Address | Ip::V6Address) => {
                        self.budget.work(20)?;
                        let bound = if ip == Ip::V4Address { u128::from(u32::MAX) } else { u128::MAX };
                        let int = self.sink.u128(value).filter(|&int| int <= bound).ok_or_else(wrong)?;
                        self.sink.known(KnownValue::IpInt(ip, int))?
                    }
                    _ => return Err(wrong().into()),
                }
            }
            (Known::Path(path), parts) => {
                let mut texts = Vec::with_capacity(parts.len());
                let mut size = 0;
                for part in parts {
                    match part {
                        Slot::Value(part, _) => match self.sink.view(part) {
                            View::Text(text) => {
                                size += text.len();
                                texts.push(part.clone());
                            }
                            _ => return Err(wrong().into()),
                        },
                        _ => return Err(wrong().into()),
                    }
                }
                self.budget.memory(cost::OBJECT + 2 * size)?;
                self.budget.work(SLOW + 40 * parts.len() + size)?;
                self.sink.known(KnownValue::Path(path, &texts))?
            }
            (Known::StructTime, args) => self.struct_time(args)?.ok_or_else(wrong)?,
            (Known::Array, [Slot::Value(code, _), Slot::Value(items, _)]) => {
                let code = self.type_code(code).ok_or_else(wrong)?;
                if self.sink.view(items) != View::List {
                    return Err(wrong().into());
                }
                let size = self.sink.len(items);
                self.budget.memory(cost::OBJECT + 8 * size)?;
                self.budget.work(2 * size)?;
                if !self.sink.items(items).iter().all(|item| fits(code, self.sink.view(item))) {
                    return Err(ErrorKind::Invalid("array: an item").into());
                }
                self.sink.known(KnownValue::ArrayItems(code, items))?
            }
            (
                Known::ArrayReconstructor,
                [Slot::Global(class), Slot::Value(code, _), Slot::Value(format, _), Slot::Value(raw, _)],
            ) => {
                let class = self.known_of(*class) == Some(Known::Array);
                let code = self.type_code(code).filter(|_| class).ok_or_else(wrong)?;
                match (self.sink.view(format), self.sink.view(raw)) {
                    (View::Int(format @ 0..=21), View::Bytes(bytes)) => {
                        // A machine format may be four times as wide in memory as in the bytes.
                        let size = bytes.len();
                        if !is_array(code, format as u8, bytes) {
                            return Err(ErrorKind::Invalid("array: its bytes").into());
                        }
                        self.budget.memory(cost::OBJECT + (8 + S::LEAF) * size)?;
                        self.budget.work(size)?;
                        self.sink.known(KnownValue::ArrayBytes(code, format as u8, raw))?
                    }
                    _ => return Err(wrong().into()),
                }
            }
            (Known::Reconstructor, [Slot::Global(class), Slot::Global(base), Slot::Value(state, inner)]) => {
                return self.reconstruct(*class, *base, state.clone(), *inner, wrong);
            }
            (Known::Reconstructor, [Slot::Global(class), Slot::Global(base), Slot::Pending(state)])
                if matches!(self.pending[*state as usize], Pending::Tzinfo) =>
            {
                let none = self.sink.none()?;
                return self.reconstruct(*class, *base, none, 0, wrong);
            }
            (Known::Tzinfo, []) => return self.push_pending(Pending::Tzinfo),
            (Known::Getattr, [Slot::Global(class), Slot::Value(name, _)]) => {
                if matches!(self.known_of(*class), Some(Known::ZoneInfo | Known::NamedZone))
                    && self.sink.view(name) == View::Text("_unpickle")
                {
                    return self.push_pending(Pending::ZoneUnpickle);
                }
                return Err(wrong().into());
            }
            _ => return self.framework(row, native, global, how, args, wrong),
        };
        let depth = if depth > 0 { self.budget.depth(depth)? } else { depth };
        // A container counts as one level even while it is empty.
        let level = matches!(
            row.known,
            Known::Set
                | Known::FrozenSet
                | Known::OrderedDict
                | Known::DefaultDict
                | Known::Counter
                | Known::Deque
                | Known::Namespace
        );
        Ok(Slot::Value(value, depth.max(level.into())))
    }

    /// The known type of a global, if it is a row of the table.
    pub(super) fn known_of(&self, global: u32) -> Option<Known> {
        match self.globals[global as usize].target {
            Target::Known(row, _) => Some(row.known),
            _ => None,
        }
    }

    /// The row of a global, and the framework's own builder, if it is a row of the table.
    pub(super) fn row_of(&self, global: u32) -> Option<(&'static Row, Option<u32>)> {
        match self.globals[global as usize].target {
            Target::Known(row, native) => Some((row, native)),
            _ => None,
        }
    }

    /// A plain value, or the framework's own in its place.
    pub(super) fn natively(&mut self, native: Option<u32>, value: S::Value) -> Step<'a, S, Slot<S::Value>> {
        let value = match native {
            Some(index) => {
                self.budget.work(SLOW / 4)?;
                self.sink.native(index, &[value])?
            }
            None => value,
        };
        Ok(Slot::Value(value, 0))
    }

    /// `copyreg._reconstructor(class, base, state)`.
    fn reconstruct(
        &mut self,
        class: u32,
        base: u32,
        state: S::Value,
        depth: u16,
        wrong: impl Fn() -> ErrorKind,
    ) -> Step<'a, S, Slot<S::Value>> {
        let base = match self.known_of(base) {
            Some(Known::Object | Known::Tzinfo) => None,
            Some(Known::Type(base)) => Some(base),
            Some(Known::Set) => Some(Factory::Set),
            Some(Known::Bytes) => Some(Factory::Bytes),
            _ => return Err(wrong().into()),
        };
        let args: Args<_> = base.iter().map(|_| Slot::Value(state.clone(), depth)).collect();
        match self.globals[class as usize].target {
            Target::Known(row, native) => {
                if row.uses & globals::NEW == 0 {
                    return self.forbidden_use(row, "not with copyreg._reconstructor");
                }
                match (row.known, base) {
                    // Their own state holds all of it, or it is the mapping itself.
                    (
                        Known::MultiValueDict | Known::MultiDict | Known::PlainDict | Known::SortedDict,
                        Some(Factory::Dict),
                    ) => {
                        if self.sink.view(&state) != View::Dict {
                            return Err(wrong().into());
                        }
                        self.instance_of(class, row.known, native, state, depth)
                    }
                    _ => self.known(row, native, class, How::New, args),
                }
            }
            Target::Plain => {
                let args = args.into_iter().map(Slot::into_value).collect();
                let made = self.push_instance(class, None, None, How::New, args, depth)?;
                if let (Slot::Pending(pending), Some(Factory::List | Factory::Dict | Factory::Set)) = (&made, base)
                    && let Pending::Instance(instance) = &mut self.pending[*pending as usize]
                {
                    instance.made = Some(state);
                    instance.container = true;
                }
                Ok(made)
            }
            target => {
                let how = How::Rebuild(base);
                let args = self.sink.tuple([state].into_iter())?;
                self.own(target, class, how, args, None, depth)
            }
        }
    }

    /// `ZoneInfo._unpickle(key, from_cache)`.
    fn unpickle_zone(&mut self, args: &[Slot<S::Value>]) -> Step<'a, S, Slot<S::Value>> {
        match args {
            [Slot::Value(key, _), Slot::Value(cached, _)]
                if matches!(self.sink.view(cached), View::Int(0 | 1) | View::Bool(_)) =>
            {
                let cached = !matches!(self.sink.view(cached), View::Int(0) | View::Bool(false));
                let key = key.clone();
                Ok(Slot::Value(self.zone_info(&key, cached)?, 0))
            }
            _ => Err(ErrorKind::Invalid("ZoneInfo: its arguments").into()),
        }
    }

    // ---- arguments

    /// The bytes of a date or time: bytes, or text that stands for them.
    fn raw(&self, value: &S::Value) -> Option<Raw> {
        match self.sink.view(value) {
            View::Bytes(bytes) if bytes.len() <= DATETIME_BYTES => Some(bytes.into()),
            // A Python 2 str that happened to be UTF-8, or one that was decoded as latin1.
            View::Text(text) if matches!(text.len(), DATE_BYTES | TIME_BYTES | DATETIME_BYTES) => {
                Some(text.as_bytes().into())
            }
            View::Text(text) if text.len() <= 2 * DATETIME_BYTES => latin1::encode(text.as_bytes()),
            _ => None,
        }
    }

    /// The zone of a date and time. A pytz variant is its own offset, so that the instant stays.
    pub(super) fn zone_argument(&mut self, zone: &[Slot<S::Value>]) -> Step<'a, S, Option<S::Value>> {
        let zone = match zone {
            [Slot::Pending(pending)] => match &self.pending[*pending as usize] {
                Pending::Zone { offset: Some(seconds), abbreviation, .. } => {
                    let (microseconds, abbreviation) = (seconds * 1_000_000, abbreviation.clone());
                    self.fixed_zone(microseconds, abbreviation.as_ref())?
                }
                _ => self.settle(zone[0].clone())?.0,
            },
            [zone] => self.settle(zone.clone())?.0,
            _ => return Ok(None),
        };
        match self.sink.view(&zone) {
            View::None => Ok(None),
            View::Zone | View::Object | View::Stub | View::Opaque => Ok(Some(zone)),
            _ => Err(ErrorKind::Invalid("datetime: its zone").into()),
        }
    }

    /// The digits of a Decimal in Decimal's own grammar.
    pub(super) fn check_decimal(&self, text: &str) -> Step<'a, S, usize> {
        let invalid = ErrorKind::Invalid("Decimal");
        if let Some(digits) = plain_digits(text.as_bytes()) {
            return Ok(digits);
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let lower = unsigned.to_ascii_lowercase();
        if lower == "inf" || lower == "infinity" {
            return Ok(0);
        }
        if let Some(payload) = lower.strip_prefix("snan").or_else(|| lower.strip_prefix("nan")) {
            return if payload.bytes().all(|byte| byte.is_ascii_digit()) {
                Ok(payload.len())
            } else {
                Err(invalid.into())
            };
        }
        let (number, exponent) = match lower.split_once('e') {
            Some((number, exponent)) => (number, Some(exponent)),
            None => (lower.as_str(), None),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = whole.len() + part.len();
        if digits == 0 || !whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(invalid.into());
        }
        if let Some(exponent) = exponent {
            let value: i64 = exponent.parse().map_err(|_| invalid)?;
            limits::check(value.unsigned_abs(), self.budget.limits().decimal_exponent, Limit::DecimalExponent)?;
        }
        Ok(digits)
    }

    fn fraction(&mut self, args: &[Slot<S::Value>]) -> Step<'a, S, Option<S::Value>> {
        let (numerator, denominator) = match args {
            [Slot::Value(text, _)] => {
                let View::Text(text) = self.sink.view(text) else {
                    return Ok(None);
                };
                self.pay_digits(text.len(), true)?;
                let View::Text(text) = self.sink.view(match &args[0] {
                    Slot::Value(text, _) => text,
                    _ => return Ok(None),
                }) else {
                    return Ok(None);
                };
                let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
                let numerator = super::text::digits(numerator.as_bytes())?.to_owned();
                if denominator.starts_with(['-', '+']) {
                    return Err(ErrorKind::Invalid("Fraction").into());
                }
                let denominator = super::text::digits(denominator.as_bytes())?.to_owned();
                (self.int_text(&numerator)?, self.int_text(&denominator)?)
            }
            [Slot::Value(numerator, _), Slot::Value(denominator, _)] => {
                let digits = |value| match self.sink.view(value) {
                    View::Int(_) => Some(20),
                    View::BigInt(bits) => Some(bits as usize * 3 / 10),
                    _ => None,
                };
                let (Some(upper), Some(lower)) = (digits(numerator), digits(denominator)) else {
                    return Ok(None);
                };
                self.pay_digits(upper + lower, true)?;
                (numerator.clone(), denominator.clone())
            }
            _ => return Ok(None),
        };
        if self.sink.view(&denominator) == View::Int(0) {
            return Err(ErrorKind::Invalid("Fraction: its denominator is zero").into());
        }
        self.budget.work(SLOW / 8)?;
        self.sink.known(KnownValue::Fraction(&numerator, &denominator)).map(Some)
    }

    fn bytearray(&mut self, args: &[Slot<S::Value>]) -> Step<'a, S, Option<S::Value>> {
        let bytes = match args {
            [] => Vec::new(),
            [Slot::Value(raw, _)] => match self.sink.view(raw) {
                View::Bytes(bytes) => {
                    self.budget.memory(bytes.len())?;
                    bytes.to_vec()
                }
                _ => return Ok(None),
            },
            [Slot::Value(text, _), Slot::Value(encoding, _)] => {
                match (self.sink.view(text), self.sink.view(encoding)) {
                    (View::Text(text), View::Text("latin-1")) => {
                        self.budget.memory(text.len())?;
                        self.budget.work(text.len() / 4)?;
                        latin1::encode(text.as_bytes()).ok_or(ErrorKind::Invalid("bytearray: not latin-1"))?.into_vec()
                    }
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        self.budget.memory(cost::LIST)?;
        self.budget.work(bytes.len() / 16)?;
        self.sink.bytearray(Cow::Owned(bytes)).map(Some)
    }

    /// A set or frozenset of what is in a list.
    fn members(&mut self, list: &S::Value, set: bool) -> Step<'a, S, S::Value> {
        let size = self.sink.len(list);
        // One list may be used many times: small tables, which are not simulated, at their worst.
        self.budget.work(2 * size + size.min(64).pow(2) / 8)?;
        self.budget.memory(cost::SET + cost::SET_ENTRY * size)?;
        let start = self.stack.len();
        self.stack.extend(self.sink.items(list))?;
        if set {
            let made = self.sink.set()?;
            self.check_members(Some(&made), start)?;
            self.sink.add(&made, self.stack.values(start))?;
            Ok(made)
        } else {
            self.check_members(None, start)?;
            self.sink.frozenset(self.stack.values(start))
        }
    }

    /// The two items of each list or tuple in a list, alternating, on top of the stack.
    pub(super) fn push_pairs(&mut self, pairs: &S::Value) -> Step<'a, S> {
        let size = self.sink.len(pairs);
        self.budget.work(8 * size + size.min(64).pow(2) / 8)?;
        for pair in self.sink.items(pairs) {
            if !matches!(self.sink.view(&pair), View::List | View::Tuple) || self.sink.len(&pair) != 2 {
                return Err(ErrorKind::Invalid("pairs of keys and values").into());
            }
            self.stack.extend(self.sink.items(&pair))?;
        }
        Ok(())
    }

    fn insert_pairs(&mut self, dict: &S::Value, pairs: &S::Value) -> Step<'a, S> {
        let start = self.stack.len();
        self.push_pairs(pairs)?;
        self.budget.memory(cost::DICT_TABLE + cost::DICT_ENTRY * (self.stack.len() - start))?;
        self.check_keys(dict, start)?;
        self.sink.insert(dict, self.stack.values(start))
    }

    fn deque(&mut self, args: &[Slot<S::Value>], depth: &mut u16) -> Step<'a, S, Option<S::Value>> {
        let bound = match args.get(1) {
            None => None,
            Some(Slot::Value(bound, _)) => match self.sink.view(bound) {
                View::None => None,
                View::Int(bound) => Some(usize::try_from(bound).map_err(|_| ErrorKind::Invalid("deque: its maxlen"))?),
                _ => return Ok(None),
            },
            Some(_) => return Ok(None),
        };
        self.budget.memory(cost::OBJECT)?;
        let deque = self.sink.known(KnownValue::Deque(bound))?;
        match args {
            [] => {}
            [Slot::Value(items, inner)] | [Slot::Value(items, inner), _]
                if matches!(self.sink.view(items), View::List | View::Tuple) =>
            {
                *depth = *inner;
                let size = self.sink.len(items);
                self.budget.work(size)?;
                self.budget.memory(cost::ITEM * size)?;
                let start = self.stack.len();
                self.stack.extend(self.sink.items(items))?;
                self.check_chain(&deque, start, 1)?;
                self.sink.extend(&deque, self.stack.values(start))?;
            }
            _ => return Ok(None),
        }
        Ok(Some(deque))
    }

    fn struct_time(&mut self, args: &[Slot<S::Value>]) -> Step<'a, S, Option<S::Value>> {
        let (fields, extra) = match args {
            [Slot::Value(fields, _)] => (fields, None),
            [Slot::Value(fields, _), Slot::Value(extra, _)] => (fields, Some(extra)),
            _ => return Ok(None),
        };
        if self.sink.view(fields) != View::Tuple || !(9..=11).contains(&self.sink.len(fields)) {
            return Ok(None);
        }
        let plain = |sink: &S, value: &S::Value| matches!(sink.view(value), View::Int(_) | View::Text(_) | View::None);
        if !self.sink.items(fields).iter().all(|field| plain(self.sink, field)) {
            return Ok(None);
        }
        if let Some(extra) = extra {
            if self.sink.view(extra) != View::Dict {
                return Ok(None);
            }
            self.budget.work(self.sink.len(extra))?;
            let entries = self.sink.entries(extra);
            let named = |key| matches!(self.sink.view(key), View::Text("tm_zone" | "tm_gmtoff"));
            if !entries.chunks_exact(2).all(|pair| named(&pair[0]) && plain(self.sink, &pair[1])) {
                return Ok(None);
            }
        }
        self.budget.memory(cost::OBJECT / 2)?;
        self.budget.work(20)?;
        self.sink.known(KnownValue::StructTime(fields, extra)).map(Some)
    }

    fn type_code(&self, value: &S::Value) -> Option<char> {
        match self.sink.view(value) {
            View::Text(text) if text.len() == 1 => text.chars().next().filter(|code| "bBuwhHiIlLqQfd".contains(*code)),
            _ => None,
        }
    }
}

/// A Decimal of this text, which was checked. `plain`: it has digits, a sign and a point only.
pub(super) fn decimal_of<V>(text: &V, plain: bool, small: Option<SmallDecimal>) -> KnownValue<'_, V> {
    if plain { KnownValue::PlainDecimal(text, small) } else { KnownValue::Decimal(text) }
}

/// How many digits there are, if there is nothing else but a sign and a point.
#[inline]
pub(super) fn plain_digits(raw: &[u8]) -> Option<usize> {
    let unsigned = match raw {
        [b'-', unsigned @ ..] => unsigned,
        unsigned => unsigned,
    };
    let mut points = 0;
    for &byte in unsigned {
        if byte == b'.' {
            points += 1;
        } else if !byte.is_ascii_digit() {
            return None;
        }
    }
    (points < 2 && points < unsigned.len()).then(|| unsigned.len() - points)
}

/// The Decimal that a text says, and how many digits it has, if these are at most 19 and there is nothing else
/// but a sign and a point.
#[inline]
pub(super) fn small_decimal(raw: &[u8]) -> Option<(SmallDecimal, usize)> {
    let (negative, unsigned) = match raw {
        [b'-', unsigned @ ..] => (true, unsigned),
        unsigned => (false, unsigned),
    };
    if unsigned.len() > 20 {
        return None;
    }
    let (mut coefficient, mut behind) = (0_u64, None);
    for (&byte, left) in unsigned.iter().zip((0..unsigned.len()).rev()) {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            coefficient = coefficient.wrapping_mul(10).wrapping_add(digit.into());
        } else if byte == b'.' && behind.is_none() {
            behind = Some(left);
        } else {
            return None;
        }
    }
    let digits = unsigned.len() - usize::from(behind.is_some());
    let exponent = (behind.unwrap_or(0) as isize).wrapping_neg();
    (1..=19).contains(&digits).then_some((SmallDecimal { negative, coefficient, exponent }, digits))
}

#[cold]
fn wrong(row: &Row) -> ErrorKind {
    ErrorKind::ForbiddenUse { name: format!("{}.{}", row.module, row.name).into(), reason: "not with these arguments" }
}

pub(super) fn deepen<V>(slot: Slot<V>, depth: u16) -> Slot<V> {
    match slot {
        Slot::Value(value, own) => Slot::Value(value, own.max(depth)),
        slot => slot,
    }
}
