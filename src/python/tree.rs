//! How Python objects are looked at when they are written as JSON.

use std::borrow::Cow;
use std::cell::Cell;

use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::ffi::PyTypeObject;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::type_object::PyTypeInfo;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyComplex, PyDate, PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyDict, PyFloat,
    PyFrozenSet, PyInt, PyList, PySet, PyString, PyTime, PyTimeAccess, PyTuple, PyTzInfo, PyTzInfoAccess,
};

use crate::error::{ErrorKind, Failure};
use crate::limits::Limits;
use crate::sink::{Clock, Day, Factory, Ip, Path, SmallDecimal};
use crate::tree::{DECIMAL_BITS, DictKind, Keys, Leaf, Shape, Tree};

use super::ffi::json::{self as ffi, Entries};
use super::policy::CompiledPolicy;
use super::session;
use super::sink::PySink;
use super::types::Types;

type Object<'py> = Bound<'py, PyAny>;

/// Python objects, under a policy that knows what frameworks' classes are.
pub struct PyTree<'py, 'p> {
    py: Python<'py>,
    policy: &'p CompiledPolicy,
    limits: &'p Limits,
    /// The classes of `datetime`.
    moments: [*mut PyTypeObject; 4],
    /// Where inside of a foreign value it was that could not be read.
    pub inside: Cell<String>,
}

/// A walk over the parts of a container.
pub enum Cursor<'py> {
    /// With a value whose key was the last part.
    Dict(Entries<'py>, Option<Object<'py>>),
    List(Bound<'py, PyList>, usize),
    Tuple(Bound<'py, PyTuple>, usize),
    Items(Box<std::vec::IntoIter<Object<'py>>>),
}

fn failed(error: PyErr) -> Failure<PyErr> {
    Failure::sink(error)
}

impl<'py, 'p> PyTree<'py, 'p> {
    /// A look at objects that will be read under this policy and these limits.
    pub fn new(py: Python<'py>, policy: &'p CompiledPolicy, limits: &'p Limits) -> Self {
        let moments = [
            PyDateTime::type_object_raw(py),
            PyDate::type_object_raw(py),
            PyTime::type_object_raw(py),
            PyDelta::type_object_raw(py),
        ];
        Self { py, policy, limits, moments, inside: Cell::default() }
    }

    fn types(&self) -> &'p Types {
        &self.policy.types
    }

    fn is(&self, value: &Object<'py>, class: &Py<PyAny>) -> bool {
        value.get_type_ptr().cast() == class.as_ptr()
    }

    /// A Decimal whose digits can be looked at, if its text has no exponent.
    #[inline]
    fn small_decimal(&self, value: &Object<'py>) -> Option<SmallDecimal> {
        self.types().small_decimals.as_ref()?.read(value).filter(|number| number.is_plain())
    }

    /// Whether a zone has a form of its own.
    fn is_zone(&self, zone: &Object<'py>) -> PyResult<bool> {
        let types = self.types();
        Ok(self.is(zone, &types.timezone)
            || self.is(zone, &types.zone_info) && zone.call_method0("__reduce__").is_ok()
            || self.framework_value(zone)?.is_some())
    }

    /// What a profile writes for a framework's own value.
    fn framework_value(&self, value: &Object<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        match &self.policy.written {
            Some(written) => Ok(written.bind(self.py).call1((value,))?.extract()?),
            None => Ok(None),
        }
    }

    fn found<'v>(&'v self, value: &'v Object<'py>) -> PyResult<Shape<'v, Object<'py>>> {
        let types = self.types();
        if let Some(shape) = self.moment(value)? {
            return Ok(shape);
        }
        if let Some(leaf) = self.leaf(value) {
            return Ok(Shape::Leaf(leaf));
        }
        if let Some(text) = exactly::<PyString>(value) {
            return wide(text);
        }
        if let Some(int) = exactly::<PyInt>(value) {
            let bits: u64 = int.call_method0(intern!(self.py, "bit_length"))?.extract()?;
            let format = if bits > DECIMAL_BITS { "#x" } else { "d" };
            return Ok(Shape::BigInt(Cow::Owned(int.call_method1("__format__", (format,))?.extract()?)));
        }
        if let Some(raw) = exactly::<PyBytes>(value) {
            return Ok(Shape::Bytes(Cow::Borrowed(raw.as_bytes())));
        }
        if value.is_exact_instance_of::<PySet>() {
            return Ok(Shape::Set);
        }
        if value.is_exact_instance_of::<PyFrozenSet>() {
            return Ok(Shape::FrozenSet);
        }
        if let Some(raw) = exactly::<PyByteArray>(value) {
            return Ok(Shape::ByteArray(Cow::Owned(raw.to_vec())));
        }
        let is = |field: &Py<PyAny>| self.is(value, field);
        if is(&types.uuid) {
            let safe = value.getattr(intern!(self.py, "is_safe"))?;
            let safe = if safe.is(&types.safe_unknown) { None } else { safe.getattr("value")?.extract()? };
            return Ok(Shape::Uuid(value.getattr(intern!(self.py, "int"))?.extract()?, safe));
        }
        if is(&types.timezone) {
            if value.is(&*PyTzInfo::utc(self.py)?) {
                return Ok(Shape::Timezone(0, None));
            }
            let given = value.call_method0("__getinitargs__")?.cast_into::<PyTuple>()?;
            let offset = given.get_item(0)?.cast_into::<PyDelta>()?;
            let seconds = i64::from(offset.get_days()) * 86_400 + i64::from(offset.get_seconds());
            let microseconds = seconds * 1_000_000 + i64::from(offset.get_microseconds());
            return Ok(Shape::Timezone(microseconds, given.get_item(1).ok()));
        }
        // One out of a file can't be found by its key.
        if is(&types.zone_info)
            && value.call_method0("__reduce__").is_ok()
            && let Ok(key) = value.getattr("key")?.extract()
        {
            return Ok(Shape::ZoneInfo(Cow::Owned(key)));
        }
        for (field, kind) in [(&types.ordered_dict, DictKind::Ordered), (&types.counter, DictKind::Counter)] {
            if is(field) {
                // Attributes would be lost.
                let bare = value.getattr("__dict__")?.is_empty()?;
                return if bare { Ok(Shape::Dict(kind)) } else { Ok(Shape::Foreign(full_name(value)?)) };
            }
        }
        if is(&types.default_dict) {
            let factory = value.getattr("default_factory")?;
            if factory.is_none() {
                return Ok(Shape::Dict(DictKind::Default(None)));
            }
            let is = |each: &Factory| types.factory(*each).bind(self.py).is(&factory);
            if let Some(factory) = Factory::OF_DEFAULTDICT.into_iter().find(is) {
                return Ok(Shape::Dict(DictKind::Default(Some(factory))));
            }
            let class = factory.repr()?.to_string();
            return Ok(Shape::Foreign(format!("collections.defaultdict of {class}")));
        }
        if is(&types.deque) {
            return Ok(Shape::Deque(value.getattr("maxlen")?.extract()?));
        }
        if is(&types.namespace) {
            return Ok(Shape::Namespace);
        }
        if is(&types.fraction) {
            return Ok(Shape::Fraction(value.getattr("numerator")?, value.getattr("denominator")?));
        }
        if is(&types.range) {
            return Ok(Shape::Range([value.getattr("start")?, value.getattr("stop")?, value.getattr("step")?]));
        }
        if let Some(complex) = exactly::<PyComplex>(value) {
            return Ok(Shape::Complex(complex.getattr("real")?.extract()?, complex.getattr("imag")?.extract()?));
        }
        if is(&types.struct_time) {
            return Ok(Shape::StructTime);
        }
        if is(&types.array) {
            return Ok(Shape::Array(value.getattr("typecode")?.extract()?));
        }
        let addresses = [Ip::V4Address, Ip::V6Address, Ip::V4Network, Ip::V6Network, Ip::V4Interface, Ip::V6Interface];
        if let Some(ip) = addresses.into_iter().find(|ip| is(types.ip(*ip))) {
            return Ok(Shape::Ip(ip, Cow::Owned(value.str()?.extract()?)));
        }
        let paths = [Path::PurePosix, Path::PureWindows, Path::Posix, Path::Windows];
        if let Some(path) = paths.into_iter().find(|path| is(types.path(*path))) {
            return Ok(Shape::Path(path));
        }
        if let Some(written) = self.framework_value(value)? {
            let mut parts = written.iter();
            return Ok(match (parts.next(), parts.len()) {
                (Some(tag), 1) if tag.extract::<&str>().ok() == Some(" m") => Shape::Markup(written.get_item(1)?),
                _ => Shape::Tagged(" reduce", written.iter().collect()),
            });
        }
        Ok(Shape::Foreign(full_name(value)?))
    }

    /// A date, a time, or a duration.
    fn moment<'v>(&self, value: &Object<'py>) -> PyResult<Option<Shape<'v, Object<'py>>>> {
        if !self.moments.contains(&value.get_type_ptr()) {
            return Ok(None);
        }
        if let Some(moment) = exactly::<PyDateTime>(value) {
            let tzinfo = moment.get_tzinfo().map(Bound::into_any);
            if let Some(zone) = &tzinfo
                && !self.is_zone(zone)?
            {
                return Ok(Some(Shape::Foreign(full_name(zone)?)));
            }
            return Ok(Some(Shape::DateTime(day_of(moment), clock_of(moment), tzinfo)));
        }
        if let Some(date) = exactly::<PyDate>(value) {
            return Ok(Some(Shape::Date(day_of(date))));
        }
        if let Some(time) = exactly::<PyTime>(value) {
            let tzinfo = time.get_tzinfo().map(Bound::into_any);
            if let Some(zone) = &tzinfo
                && !self.is_zone(zone)?
            {
                return Ok(Some(Shape::Foreign(full_name(zone)?)));
            }
            return Ok(Some(Shape::Time(clock_of(time), tzinfo)));
        }
        if let Some(delta) = exactly::<PyDelta>(value) {
            let (days, seconds) = (delta.get_days(), delta.get_seconds());
            return Ok(Some(Shape::TimeDelta { days, seconds, microseconds: delta.get_microseconds() }));
        }
        Ok(None)
    }

    fn listed(&self, value: &Object<'py>) -> PyResult<Cursor<'py>> {
        let types = self.types();
        let items = if self.is(value, &types.ordered_dict) {
            // Its order is its own.
            let pairs: Vec<(Object<'py>, Object<'py>)> =
                value.call_method0("items")?.try_iter()?.map(|pair| pair?.extract()).collect::<PyResult<_>>()?;
            pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()
        } else if let Ok(dict) = value.cast::<PyDict>() {
            dict.iter().flat_map(|(key, value)| [key, value]).collect()
        } else if self.is(value, &types.namespace) {
            let held = value.getattr("__dict__")?.cast_into::<PyDict>()?;
            held.iter().flat_map(|(key, value)| [key, value]).collect()
        } else if self.is(value, &types.array) {
            return Ok(Cursor::List(value.call_method0("tolist")?.cast_into()?, 0));
        } else if self.is(value, &types.struct_time) {
            let (_, (fields, extra)): (Object<'py>, (Vec<Object<'py>>, Bound<'py, PyDict>)) =
                value.call_method0("__reduce__")?.extract()?;
            let mut fields = fields;
            for name in ["tm_zone", "tm_gmtoff"] {
                fields.extend(extra.get_item(name)?);
            }
            while fields.len() > 9 && fields.last().is_some_and(|field| field.is_none()) {
                fields.pop();
            }
            fields
        } else if let Ok(parts) = value.getattr("parts").and_then(|parts| parts.extract()) {
            parts
        } else {
            value.try_iter()?.collect::<PyResult<_>>()?
        };
        Ok(Cursor::Items(Box::new(items.into_iter())))
    }
}

impl<'py> Tree for PyTree<'py, '_> {
    type Value = Object<'py>;
    type Cursor = Cursor<'py>;
    type Error = PyErr;

    #[inline(always)]
    fn leaf<'v>(&'v self, value: &'v Object<'py>) -> Option<Leaf<'v>> {
        if let Some(text) = exactly::<PyString>(value) {
            return ffi::latin1(text).map(Leaf::Latin1);
        }
        if let Some(int) = exactly::<PyInt>(value) {
            return ffi::small(int).map(Leaf::Int);
        }
        if value.is_none() {
            return Some(Leaf::None);
        }
        if let Some(value) = exactly::<PyBool>(value) {
            return Some(Leaf::Bool(value.is_true()));
        }
        if let Some(value) = exactly::<PyFloat>(value) {
            return Some(Leaf::Float(value.value()));
        }
        None
    }

    #[inline]
    fn shape<'v>(&'v self, value: &'v Object<'py>) -> Result<Shape<'v, Object<'py>>, Failure<PyErr>> {
        Ok(if value.is_exact_instance_of::<PyDict>() {
            Shape::Dict(DictKind::Plain)
        } else if self.is(value, &self.types().decimal) {
            self.small_decimal(value).map_or(Shape::Decimal, Shape::PlainDecimal)
        } else if value.is_exact_instance_of::<PyList>() {
            Shape::List
        } else if value.is_exact_instance_of::<PyTuple>() {
            Shape::Tuple
        } else {
            return self.found(value).map_err(failed);
        })
    }
    #[inline]
    fn parts(&self, value: &Object<'py>) -> Result<Cursor<'py>, Failure<PyErr>> {
        Ok(if let Some(dict) = exactly::<PyDict>(value) {
            Cursor::Dict(Entries::of(dict), None)
        } else if let Some(list) = exactly::<PyList>(value) {
            Cursor::List(list.clone(), 0)
        } else if let Some(tuple) = exactly::<PyTuple>(value) {
            Cursor::Tuple(tuple.clone(), 0)
        } else {
            return self.listed(value).map_err(failed);
        })
    }
    fn walk(&self, values: Vec<Object<'py>>) -> Cursor<'py> {
        Cursor::Items(Box::new(values.into_iter()))
    }
    fn keys(&self, cursor: &Cursor<'py>) -> Result<Keys, Failure<PyErr>> {
        match cursor {
            Cursor::Dict(entries, _) => entries.keys().map_err(failed),
            _ => Ok(Keys::Other),
        }
    }
    #[inline(always)]
    fn next(&self, cursor: &mut Cursor<'py>) -> Result<Option<Object<'py>>, Failure<PyErr>> {
        Ok(match cursor {
            Cursor::List(list, index) => {
                *index += 1;
                ffi::list_item(list, *index - 1)
            }
            Cursor::Tuple(tuple, index) => {
                *index += 1;
                ffi::tuple_item(tuple, *index - 1)
            }
            Cursor::Dict(entries, held) => match held.take() {
                Some(value) => Some(value),
                None => match entries.next().map_err(failed)? {
                    Some([key, value]) => {
                        *held = Some(value);
                        Some(key)
                    }
                    None => None,
                },
            },
            Cursor::Items(items) => items.next(),
        })
    }
    #[inline(always)]
    fn pair(&self, cursor: &mut Cursor<'py>) -> Result<Option<[Object<'py>; 2]>, Failure<PyErr>> {
        match cursor {
            Cursor::Dict(entries, _) => entries.next().map_err(failed),
            _ => Ok(None),
        }
    }
    fn decimal<R>(&self, value: &Object<'py>, take: impl FnOnce(&[u8]) -> R) -> Result<R, Failure<PyErr>> {
        let text = value.str().map_err(failed)?;
        Ok(take(ffi::latin1(&text).unwrap_or_default()))
    }
    fn identity(&self, value: &Object<'py>) -> usize {
        value.as_ptr() as usize
    }
    /// What reading its pickle gives.
    fn equivalent(&self, value: &Object<'py>) -> Result<Option<Object<'py>>, Failure<PyErr>> {
        if self.is(value, &self.types().counter) {
            // Its own pickle leaves its attributes out without a word.
            let reason = "its attributes would be lost";
            return Err(ErrorKind::ForbiddenUse { name: "collections.Counter".into(), reason }.into());
        }
        let pickled = self.types().pickle_dumps.bind(self.py).call1((value, 5)).map_err(|error| {
            // What stock pickle says of what it can't write. Others are exceptions of the app's own code.
            let types = [self.py.get_type::<PyTypeError>(), self.py.get_type::<PyAttributeError>()];
            let mut expected =
                types.iter().map(|class| class.as_any()).chain([self.types().pickle_error.bind(self.py)]);
            match full_name(value) {
                Ok(name) if expected.any(|class| error.matches(self.py, class).unwrap_or(false)) => {
                    ErrorKind::Unwritable { name: name.into() }.into()
                }
                _ => failed(error),
            }
        })?;
        let pickled = pickled.cast::<PyBytes>().map_err(|error| failed(error.into()))?.as_bytes();
        let sink = PySink::new(self.py, self.policy, None, None, None);
        let read = session::read_pickle(pickled, sink, self.policy, self.limits);
        if let Err(failure) = &read
            && failure.pickle().is_some()
            && let Some((_, path)) = session::trouble(pickled, session::Format::Pickle, self.policy, self.limits)
        {
            self.inside.set(path);
        }
        read.map(Some)
    }
}

fn day_of(date: &impl PyDateAccess) -> Day {
    Day { year: date.get_year() as u16, month: date.get_month(), day: date.get_day() }
}

fn clock_of(time: &impl PyTimeAccess) -> Clock {
    Clock {
        hour: time.get_hour(),
        minute: time.get_minute(),
        second: time.get_second(),
        microsecond: time.get_microsecond(),
        fold: time.get_fold(),
    }
}

/// The value as one of exactly this class.
#[inline(always)]
fn exactly<'v, 'py, T: PyTypeInfo>(value: &'v Object<'py>) -> Option<&'v Bound<'py, T>> {
    // A cast that fails makes an error, which holds the class.
    if value.is_exact_instance_of::<T>() { value.cast_exact().ok() } else { None }
}

/// Text with characters of more than one byte, without Python's own cache of its UTF-8: it would stay.
fn wide<'v, V>(text: &Bound<'_, PyString>) -> PyResult<Shape<'v, V>> {
    Ok(match String::from_utf8(ffi::wtf8(text)?.as_bytes().to_vec()) {
        Ok(text) => Shape::Text(text),
        Err(error) => Shape::Surrogates(Cow::Owned(error.into_bytes())),
    })
}

fn full_name(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let class = value.get_type();
    Ok(format!("{}.{}", class.module()?, class.qualname()?))
}
