//! The sink of `safe_loads`: Python objects, built by CPython's own constructors.

use std::borrow::Cow;
use std::collections::HashMap;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDateTime, PyDelta, PyDeltaAccess, PyDict, PyFloat, PyFrozenSet, PyInt,
    PyIterator, PyList, PyMemoryView, PySet, PyString, PyTime, PyTuple, PyType, PyTzInfo,
};

use crate::error::{ErrorKind, Failure};
use crate::machine::{Identities, Scratch};
use crate::reader;
use crate::sink::{Clock, Day, Factory, How, Keys, KnownValue, Made, Sink, SmallDecimal, View};
use crate::sink::{decimal_hash_cost, fraction_hash_cost};

use super::ffi;
use super::keys::Held;
use super::policy::CompiledPolicy;
use super::types::Types;

/// Builds Python objects.
pub struct PySink<'py, 'p> {
    py: Python<'py>,
    policy: &'p CompiledPolicy,
    buffers: Option<Bound<'py, PyIterator>>,
    persistent_load: Option<Bound<'py, PyAny>>,
    find_class: Option<Bound<'py, PyAny>>,
    keys: Option<Held<'p>>,
    /// What `find_class` gave for registered names.
    found: Vec<Bound<'py, PyAny>>,
    /// What the app's own code made, by address; kept alive, so that no address is used twice.
    objects: HashMap<usize, Bound<'py, PyAny>, Identities>,
    /// The zones of this pickle, in order: each is looked up once.
    zones: Vec<(String, Bound<'py, PyAny>)>,
}

type Object<'py> = Bound<'py, PyAny>;
type Built<'py> = Made<Object<'py>, PyErr>;

#[cold]
fn failed(error: PyErr) -> Failure<PyErr> {
    Failure::sink(error)
}

/// An exception of CPython's allocation or of the app's own code: it passes through unchanged.
#[inline(always)]
fn passed<T, E: Into<PyErr>>(result: Result<T, E>) -> Made<T, PyErr> {
    result.map_err(|error| failed(error.into()))
}

impl<'py, 'p> PySink<'py, 'p> {
    pub fn new(
        py: Python<'py>,
        policy: &'p CompiledPolicy,
        buffers: Option<Bound<'py, PyIterator>>,
        persistent_load: Option<Bound<'py, PyAny>>,
        find_class: Option<Bound<'py, PyAny>>,
    ) -> Self {
        Self {
            py,
            policy,
            buffers,
            persistent_load,
            find_class,
            keys: policy.keys.hold(),
            found: Vec::new(),
            objects: HashMap::default(),
            zones: Vec::new(),
        }
    }

    pub fn py(&self) -> Python<'py> {
        self.py
    }

    pub fn types(&self) -> &'p Types {
        &self.policy.types
    }

    /// Whether the app's own code may be called. It may count on the garbage collector.
    pub fn runs_own_code(&self) -> bool {
        let asked = self.persistent_load.is_some() || self.find_class.is_some();
        asked || !self.policy.registered.is_empty() || !self.policy.natives.is_empty()
    }

    /// The result of a known constructor: an exception about the value is the pickle's fault.
    #[inline(always)]
    fn checked<T, E: Into<PyErr>>(&self, result: Result<T, E>, what: &'static str) -> Made<T, PyErr> {
        result.map_err(|error| self.refused_value(error.into(), what))
    }

    #[cold]
    fn refused_value(&self, error: PyErr, what: &'static str) -> Failure<PyErr> {
        if super::is_about_value(&error, self.py) { ErrorKind::Invalid(what).into() } else { failed(error) }
    }

    /// The result of something that hashes or compares keys. With keys of the app's own, its
    /// exceptions are the app's.
    #[inline(always)]
    fn hashed<T, E: Into<PyErr>>(&self, result: Result<T, E>, key: Option<&Object<'py>>) -> Made<T, PyErr> {
        result.map_err(|error| self.refused_key(error.into(), key))
    }

    #[cold]
    fn refused_key(&self, error: PyErr, key: Option<&Object<'py>>) -> Failure<PyErr> {
        let unhashable = key.is_some_and(|key| key.get_type().getattr("__hash__").is_ok_and(|hash| hash.is_none()));
        if (unhashable || self.objects.is_empty()) && error.is_instance_of::<PyTypeError>(self.py) {
            ErrorKind::Unhashable.into()
        } else {
            failed(error)
        }
    }

    fn class_is(&self, class: &Bound<'py, PyType>, fields: &[&Py<PyAny>]) -> bool {
        fields.iter().any(|field| Types::is(field, class))
    }

    /// Keeps what the app's own code made apart from known values.
    fn own(&mut self, made: PyResult<Object<'py>>) -> Built<'py> {
        let made = passed(made)?;
        self.objects.insert(made.as_ptr() as usize, made.clone());
        Ok(made)
    }

    fn zone(&mut self, key: &str, cached: bool) -> Built<'py> {
        let place = self.zones.binary_search_by(|(known, _)| known.as_str().cmp(key));
        if let (Ok(place), true) = (place, cached) {
            return Ok(self.zones[place].1.clone());
        }
        let types = self.types();
        let keys = types.zone_keys.get_or_try_init(self.py, || types.available_zones.call0(self.py));
        let known = passed(keys.and_then(|keys| keys.bind(self.py).contains(key)))?;
        if !known {
            return Err(ErrorKind::Invalid("ZoneInfo: no such time zone here").into());
        }
        let class = types.zone_info.bind(self.py);
        if !cached {
            return self.checked(class.call_method1("no_cache", (key,)), "ZoneInfo");
        }
        let zone = self.checked(class.call1((key,)), "ZoneInfo")?;
        if let Err(place) = place {
            self.zones.insert(place, (key.to_owned(), zone.clone()));
        }
        Ok(zone)
    }

    /// A zone as an argument of datetime's constructors.
    #[inline(always)]
    fn tzinfo<'v>(zone: Option<&'v Object<'py>>) -> Made<Option<&'v Bound<'py, PyTzInfo>>, PyErr> {
        match zone.map(|zone| zone.cast::<PyTzInfo>()) {
            None => Ok(None),
            Some(Ok(zone)) => Ok(Some(zone)),
            Some(Err(_)) => Err(ErrorKind::Invalid("zone: not a tzinfo").into()),
        }
    }

    fn uuid(&self, int: u128, safe: Option<i64>) -> PyResult<Object<'py>> {
        let types = self.types();
        let safe = match safe {
            None => types.safe_unknown.bind(self.py).clone(),
            Some(safe) => types.safe_uuid.bind(self.py).call1((safe,))?,
        };
        if let Some(fields) = &types.uuid_fields {
            return fields.make([int.into_pyobject(self.py)?.into_any(), safe]);
        }
        let made = types.object_new.bind(self.py).call1((&types.uuid,))?;
        // UUID forbids attributes to be set; its own unpickling goes around that in the same way.
        ffi::set_attribute(&made, "int", int.into_pyobject(self.py)?.as_any())?;
        ffi::set_attribute(&made, "is_safe", &safe)?;
        Ok(made)
    }

    /// A method that takes items, if the class of an app's own object has it.
    fn own_method(&self, object: &Object<'py>, name: &'static str) -> Built<'py> {
        if passed(object.get_type().hasattr(name))? {
            passed(object.getattr(name))
        } else {
            Err(ErrorKind::Invalid("items for a registered class that takes none").into())
        }
    }

    /// A key that is not the one that is expected.
    #[inline(never)]
    fn other_key(&mut self, raw: &[u8]) -> Built<'py> {
        let made = match &mut self.keys {
            Some(keys) => keys.find(self.py, raw),
            None => ffi::utf8(self.py, raw).map_err(PyErr::from),
        };
        self.checked(made, "text: not UTF-8").map(Bound::into_any)
    }

    /// Appends to what is no plain list.
    #[inline(never)]
    fn extend_other<I: ExactSizeIterator<Item = Object<'py>>>(
        &mut self,
        target: &Object<'py>,
        items: I,
    ) -> Made<(), PyErr> {
        if self.is_own(target) {
            let append = self.own_method(target, "append")?;
            for item in items {
                passed(append.call1((item,)))?;
            }
            return Ok(());
        }
        let items = passed(ffi::list(self.py, items))?;
        let held = match Types::is(&self.types().stub, &target.get_type()) {
            true => passed(target.getattr("items"))?,
            false => target.clone(),
        };
        passed(held.call_method1("extend", (items,))).map(drop)
    }

    /// Sets keys of what is no plain dict.
    #[inline(never)]
    fn insert_other<I: ExactSizeIterator<Item = Object<'py>>>(
        &mut self,
        target: &Object<'py>,
        mut items: I,
    ) -> Made<(), PyErr> {
        if Types::is(&self.types().stub, &target.get_type()) {
            let held = passed(target.getattr("items"))?;
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                passed(held.call_method1("append", ((key, value),)))?;
            }
            return Ok(());
        }
        if self.is_own(target) {
            let set = self.own_method(target, "__setitem__")?;
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                passed(set.call1((key, value)))?;
            }
            return Ok(());
        }
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            self.hashed(target.set_item(&key, value), Some(&key))?;
        }
        Ok(())
    }

    fn is_own(&self, value: &Object<'py>) -> bool {
        !self.objects.is_empty() && self.objects.contains_key(&(value.as_ptr() as usize))
    }
}

impl<'a, 'py> Sink<'a> for PySink<'py, '_> {
    type Value = Object<'py>;
    type Error = PyErr;
    const NATIVE: bool = true;
    const KEYS: bool = true;
    const LATE: bool = true;

    #[inline]
    fn none(&mut self) -> Built<'py> {
        Ok(self.py.None().into_bound(self.py))
    }
    #[inline]
    fn bool(&mut self, value: bool) -> Built<'py> {
        Ok(PyBool::new(self.py, value).to_owned().into_any())
    }
    #[inline]
    fn int(&mut self, value: i64) -> Built<'py> {
        passed(ffi::int(self.py, value)).map(Bound::into_any)
    }
    fn big_int(&mut self, bytes: &[u8]) -> Built<'py> {
        passed(ffi::big_int(self.py, bytes)).map(Bound::into_any)
    }
    fn int_text(&mut self, digits: &str) -> Built<'py> {
        if let Some(raw) = reader::wide(digits) {
            return self.big_int(&raw);
        }
        // By our own conversion: Python's keeps its own bound on digits.
        let value: num_bigint::BigInt = digits.parse().map_err(|_| ErrorKind::Invalid("integer"))?;
        self.big_int(&value.to_signed_bytes_le())
    }
    #[inline]
    fn float(&mut self, value: f64) -> Built<'py> {
        passed(ffi::float(self.py, value)).map(Bound::into_any)
    }
    #[inline]
    fn text(&mut self, text: Cow<'a, str>) -> Built<'py> {
        passed(ffi::utf8(self.py, text.as_bytes())).map(Bound::into_any)
    }
    fn text_surrogates(&mut self, text: Cow<'a, [u8]>) -> Built<'py> {
        self.checked(ffi::utf8(self.py, &text), "text: not UTF-8").map(Bound::into_any)
    }
    #[inline]
    fn utf8(&mut self, raw: &'a [u8]) -> Built<'py> {
        self.checked(ffi::utf8(self.py, raw), "text: not UTF-8").map(Bound::into_any)
    }
    #[inline(always)]
    fn key(&mut self, raw: &'a [u8]) -> Built<'py> {
        match self.keys.as_mut().and_then(|keys| keys.expected(self.py, raw)) {
            Some(text) => Ok(text.into_any()),
            None => self.other_key(raw),
        }
    }
    fn lend(&mut self) -> Scratch {
        self.keys.as_mut().and_then(|keys| keys.scratch.take()).unwrap_or_default()
    }
    fn give_back(&mut self, scratch: Scratch) {
        if let Some(keys) = &mut self.keys {
            keys.scratch = Some(scratch);
        }
    }
    fn raw_unicode_escape(&mut self, raw: &[u8]) -> Made<Option<Object<'py>>, PyErr> {
        match ffi::raw_unicode_escape(self.py, raw) {
            Ok(text) => Ok(Some(text.into_any())),
            Err(raised) => match PyErr::from(raised) {
                error if super::is_about_value(&error, self.py) => Ok(None),
                error => Err(failed(error)),
            },
        }
    }
    fn latin1(&mut self, text: &Object<'py>) -> Made<Option<Object<'py>>, PyErr> {
        match text.cast_exact::<PyString>() {
            Ok(text) => self.checked(ffi::latin1(text), "text: not latin1").map(|bytes| Some(bytes.into_any())),
            Err(_) => Ok(None),
        }
    }
    fn text_coded(&mut self, raw: Cow<'a, [u8]>, encoding: &str, errors: &str) -> Built<'py> {
        let raw = passed(ffi::bytes(self.py, &raw))?;
        // The caller named the encoding; its exceptions are what pickle raises.
        let text = passed(self.types().text_decoder.bind(self.py).call1((raw, encoding, errors)))?;
        if text.is_instance_of::<PyString>() {
            Ok(text)
        } else {
            Err(ErrorKind::Invalid("text: the encoding gave no str").into())
        }
    }
    #[inline]
    fn bytes(&mut self, bytes: Cow<'a, [u8]>) -> Built<'py> {
        passed(ffi::bytes(self.py, &bytes)).map(Bound::into_any)
    }
    fn bytearray(&mut self, bytes: Cow<'a, [u8]>) -> Built<'py> {
        passed(ffi::bytearray(self.py, &bytes)).map(Bound::into_any)
    }

    #[inline]
    fn tuple<I: ExactSizeIterator<Item = Object<'py>>>(&mut self, items: I) -> Built<'py> {
        passed(ffi::tuple(self.py, items)).map(Bound::into_any)
    }
    #[inline]
    fn list<I: ExactSizeIterator<Item = Object<'py>>>(&mut self, items: I) -> Built<'py> {
        passed(ffi::list(self.py, items)).map(Bound::into_any)
    }
    fn frozenset<I: ExactSizeIterator<Item = Object<'py>>>(&mut self, items: I) -> Built<'py> {
        self.hashed(ffi::frozenset(self.py, items), None).map(Bound::into_any)
    }
    fn set(&mut self) -> Built<'py> {
        passed(ffi::set(self.py)).map(Bound::into_any)
    }
    #[inline]
    fn dict(&mut self) -> Built<'py> {
        passed(ffi::dict(self.py)).map(Bound::into_any)
    }

    fn known(&mut self, value: KnownValue<'_, Object<'py>>) -> Built<'py> {
        let py = self.py;
        let types = self.types();
        match value {
            KnownValue::DateTime(day, clock, zone) => self.datetime(day, clock, zone),
            KnownValue::Date(day) => {
                self.checked(PyDate::new(py, day.year.into(), day.month, day.day), "date").map(Bound::into_any)
            }
            KnownValue::Time(clock, zone) => {
                let zone = Self::tzinfo(zone)?;
                let made = PyTime::new_with_fold(
                    py,
                    clock.hour,
                    clock.minute,
                    clock.second,
                    clock.microsecond,
                    zone,
                    clock.fold,
                );
                self.checked(made, "time").map(Bound::into_any)
            }
            KnownValue::TimeDelta { days, seconds, microseconds } => {
                self.checked(PyDelta::new(py, days, seconds, microseconds, false), "timedelta").map(Bound::into_any)
            }
            KnownValue::Timezone(offset, name) => {
                let (days, rest) = (offset.div_euclid(86_400_000_000), offset.rem_euclid(86_400_000_000));
                let delta = PyDelta::new(py, days as i32, (rest / 1_000_000) as i32, (rest % 1_000_000) as i32, false);
                let delta = self.checked(delta, "timezone")?;
                let class = types.timezone.bind(py);
                let made = match name {
                    None => class.call1((delta,)),
                    Some(name) => class.call1((delta, name)),
                };
                self.checked(made, "timezone")
            }
            KnownValue::ZoneInfo(key, cached) => self.zone(key, cached),
            KnownValue::PlainDecimal(text, number) => match (&types.small_decimals, number) {
                (Some(class), Some(number)) => passed(class.make(py, number)),
                _ => self.checked(types.plain_decimal.bind(py).call1((text,)), "Decimal"),
            },
            KnownValue::Decimal(text) => self.checked(types.decimal.bind(py).call1((text,)), "Decimal"),
            KnownValue::Uuid(int, safe) => self.checked(self.uuid(int, safe), "UUID"),
            KnownValue::Fraction(numerator, denominator) => {
                self.checked(types.fraction.bind(py).call1((numerator, denominator)), "Fraction")
            }
            KnownValue::Complex(real, imaginary) => {
                Ok(pyo3::types::PyComplex::from_doubles(py, real, imaginary).into_any())
            }
            KnownValue::Range([start, stop, step]) => {
                self.checked(types.range.bind(py).call1((start, stop, step)), "range")
            }
            KnownValue::OrderedDict => passed(types.ordered_dict.bind(py).call0()),
            KnownValue::Counter => passed(types.counter.bind(py).call0()),
            KnownValue::Namespace => passed(types.namespace.bind(py).call0()),
            KnownValue::DefaultDict(factory) => {
                let class = types.default_dict.bind(py);
                passed(match factory {
                    None => class.call0(),
                    Some(factory) => class.call1((types.factory(factory),)),
                })
            }
            KnownValue::Deque(bound) => {
                let class = types.deque.bind(py);
                match bound {
                    None => passed(class.call0()),
                    Some(bound) => self.checked(class.call1((PyTuple::empty(py), bound)), "deque"),
                }
            }
            KnownValue::IpInt(ip, int) => self.checked(types.ip(ip).bind(py).call1((int,)), "IP address"),
            KnownValue::IpText(ip, text) => self.checked(types.ip(ip).bind(py).call1((text,)), "IP address or network"),
            KnownValue::Path(path, parts) => {
                let parts = passed(ffi::tuple(py, parts.iter().cloned()))?;
                self.checked(types.path(path).bind(py).call1(parts), "path")
            }
            KnownValue::StructTime(fields, extra) => {
                let class = types.struct_time.bind(py);
                let made = match extra {
                    None => class.call1((fields,)),
                    Some(extra) => class.call1((fields, extra)),
                };
                self.checked(made, "struct_time")
            }
            KnownValue::ArrayItems(code, items) => self.checked(types.array.bind(py).call1((code, items)), "array"),
            KnownValue::ArrayBytes(code, format, bytes) => {
                let made = types.array_reconstructor.bind(py).call1((&types.array, code, format, bytes));
                self.checked(made, "array")
            }
        }
    }

    #[inline]
    fn datetime(&mut self, day: Day, clock: Clock, zone: Option<&Object<'py>>) -> Built<'py> {
        let zone = Self::tzinfo(zone)?;
        if let Some(class) = &self.policy.types.date_times {
            return passed(class.make(self.py, day, clock, zone));
        }
        let (year, month, day) = (day.year.into(), day.month, day.day);
        let Clock { hour, minute, second, microsecond, fold } = clock;
        let made = PyDateTime::new_with_fold(self.py, year, month, day, hour, minute, second, microsecond, zone, fold);
        self.checked(made, "datetime").map(Bound::into_any)
    }
    #[inline]
    fn decimal(&mut self, text: &'a [u8], number: SmallDecimal) -> Built<'py> {
        if let Some(class) = &self.policy.types.small_decimals {
            return passed(class.make(self.py, number));
        }
        let text = self.utf8(text)?;
        self.known(KnownValue::PlainDecimal(&text, None))
    }

    #[inline(always)]
    fn extend<I: ExactSizeIterator<Item = Object<'py>>>(&mut self, target: &Object<'py>, items: I) -> Made<(), PyErr> {
        match target.cast_exact::<PyList>() {
            Ok(list) => passed(ffi::extend(list, items)),
            Err(_) => self.extend_other(target, items),
        }
    }

    #[inline(always)]
    fn insert<I: ExactSizeIterator<Item = Object<'py>>>(
        &mut self,
        target: &Object<'py>,
        mut items: I,
    ) -> Made<(), PyErr> {
        let Ok(dict) = target.cast_exact::<PyDict>() else {
            return self.insert_other(target, items);
        };
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            self.hashed(ffi::set_item(dict, &key, &value), Some(&key))?;
        }
        Ok(())
    }

    #[inline(always)]
    fn knows(&mut self, keys: &impl Keys<Object<'py>>) -> bool {
        self.keys.as_mut().is_some_and(|known| known.knows(self.py, keys))
    }

    #[inline]
    fn fill<I: ExactSizeIterator<Item = Object<'py>>>(&mut self, dict: &Object<'py>, mut items: I) -> Made<(), PyErr> {
        if let (Ok(dict), Some(keys)) = (dict.cast_exact(), &self.keys)
            && passed(keys.fill(dict, &mut items))?
        {
            return Ok(());
        }
        self.insert(dict, items)
    }
    fn add<I: ExactSizeIterator<Item = Object<'py>>>(&mut self, target: &Object<'py>, items: I) -> Made<(), PyErr> {
        if let Ok(set) = target.cast_exact::<PySet>() {
            for item in items {
                self.hashed(ffi::add(set, &item), Some(&item))?;
            }
            return Ok(());
        }
        let add = if self.is_own(target) {
            self.own_method(target, "add")?
        } else {
            passed(target.getattr("items").and_then(|items| items.getattr("append")))?
        };
        for item in items {
            passed(add.call1((item,)))?;
        }
        Ok(())
    }

    fn clear(&mut self, target: &Object<'py>) -> Made<(), PyErr> {
        passed(target.call_method0("clear")).map(drop)
    }

    fn build(&mut self, target: &Object<'py>, state: &Object<'py>) -> Made<(), PyErr> {
        let class = target.get_type();
        if Types::is(&self.types().stub, &class) {
            return passed(target.setattr("state", state));
        }
        if Types::is(&self.types().namespace, &class) {
            let attributes = passed(target.getattr("__dict__"))?;
            return passed(attributes.call_method1("update", (state,))).map(drop);
        }
        let rebuild = self.types().rebuild.bind(self.py);
        let fits = passed(rebuild.call1((target, state)).and_then(|fits| fits.is_truthy()))?;
        if fits { Ok(()) } else { Err(ErrorKind::Invalid("state for a registered class").into()) }
    }

    fn view<'v>(&'v self, value: &'v Object<'py>) -> View<'v> {
        if let Ok(text) = value.cast_exact::<PyString>() {
            return text.to_str().map_or(View::Surrogates, View::Text);
        }
        if let Ok(int) = value.cast_exact::<PyInt>() {
            return match ffi::json::small(int) {
                Some(small) => View::Int(small),
                None => {
                    View::BigInt(int.call_method0("bit_length").and_then(|bits| bits.extract()).unwrap_or(u64::MAX))
                }
            };
        }
        if value.is_exact_instance_of::<PyDict>() {
            return View::Dict;
        }
        if value.is_exact_instance_of::<PyList>() {
            return View::List;
        }
        if value.is_exact_instance_of::<PyTuple>() {
            return View::Tuple;
        }
        if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            return View::Bytes(bytes.as_bytes());
        }
        if value.is_none() {
            return View::None;
        }
        if let Ok(value) = value.cast_exact::<PyBool>() {
            return View::Bool(value.is_true());
        }
        if let Ok(value) = value.cast_exact::<PyFloat>() {
            return View::Float(value.value());
        }
        if value.is_exact_instance_of::<PySet>() {
            return View::Set;
        }
        if value.is_exact_instance_of::<PyFrozenSet>() {
            return View::FrozenSet;
        }
        if value.is_exact_instance_of::<PyByteArray>() {
            return View::ByteArray;
        }
        if let Ok(delta) = value.cast_exact::<PyDelta>() {
            return View::TimeDelta {
                days: delta.get_days(),
                seconds: delta.get_seconds(),
                microseconds: delta.get_microseconds(),
            };
        }
        let (types, class) = (self.types(), value.get_type());
        if self.class_is(&class, &[&types.ordered_dict, &types.counter]) {
            View::Dict
        } else if Types::is(&types.default_dict, &class) {
            View::DefaultDict
        } else if Types::is(&types.deque, &class) {
            View::Deque
        } else if Types::is(&types.namespace, &class) {
            View::Namespace
        } else if Types::is(&types.stub, &class) {
            View::Stub
        } else if Types::is(&types.array, &class) {
            View::Unhashable
        } else if self.is_own(value) {
            View::Object
        } else if value.is_instance_of::<PyTzInfo>() {
            View::Zone
        } else {
            View::Other
        }
    }

    #[inline]
    fn is_dict(&self, value: &Object<'py>) -> bool {
        value.is_exact_instance_of::<PyDict>()
    }
    #[inline]
    fn is_small(&self, value: &Object<'py>) -> bool {
        value.cast_exact().is_ok_and(|int| ffi::json::small(int).is_some())
    }
    #[inline]
    fn is_empty_dict(&self, dict: &Object<'py>) -> bool {
        dict.cast_exact::<PyDict>().is_ok_and(|dict| dict.is_empty())
    }
    #[inline]
    fn is_list(&self, value: &Object<'py>) -> bool {
        value.is_exact_instance_of::<PyList>()
    }
    #[inline]
    fn is_empty_tuple(&self, value: &Object<'py>) -> bool {
        value.cast_exact::<PyTuple>().is_ok_and(|tuple| tuple.is_empty())
    }
    #[inline]
    fn is_zone(&self, value: &Object<'py>) -> bool {
        let class = value.get_type();
        Types::is(&self.types().timezone, &class) || self.view(value) == View::Zone
    }
    #[inline]
    fn is_text(&self, value: &Object<'py>) -> bool {
        value.is_exact_instance_of::<PyString>() || value.is_exact_instance_of::<PyBytes>()
    }

    fn wtf8(&self, value: &Object<'py>) -> Option<Vec<u8>> {
        let text = value.cast_exact::<PyString>().ok()?;
        match text.to_str() {
            Ok(text) => Some(text.as_bytes().to_vec()),
            Err(_) => text.call_method1("encode", ("utf-8", "surrogatepass")).ok()?.extract().ok(),
        }
    }

    fn len(&self, container: &Object<'py>) -> usize {
        if let Ok(dict) = container.cast::<PyDict>() {
            return dict.len();
        }
        if let Ok(list) = container.cast_exact::<PyList>() {
            return list.len();
        }
        if let Ok(tuple) = container.cast_exact::<PyTuple>() {
            return tuple.len();
        }
        if let Ok(set) = container.cast_exact::<PySet>() {
            return set.len();
        }
        let (types, class) = (self.types(), container.get_type());
        if Types::is(&types.decimal, &class) {
            let adjusted = container.call_method0("adjusted").and_then(|adjusted| adjusted.extract());
            let size = container.call_method0("__sizeof__").and_then(|size| size.extract());
            // Words of 19 digits stand outside the object once it has more than four of them.
            let digits = size.map_or(usize::MAX, |size: usize| size.saturating_sub(104) / 8 * 19);
            return decimal_hash_cost(adjusted.unwrap_or(i64::MAX), digits);
        }
        if Types::is(&types.fraction, &class) {
            let bits =
                |part| container.getattr(part).and_then(|part| part.call_method0("bit_length")?.extract::<u64>());
            return fraction_hash_cost(bits("numerator").unwrap_or(0).saturating_add(bits("denominator").unwrap_or(0)));
        }
        // A range has a length of its own, and the app's objects may have any.
        if self.is_own(container) || Types::is(&types.range, &class) { 0 } else { container.len().unwrap_or(0) }
    }

    #[inline]
    fn item(&self, tuple: &Object<'py>, index: usize) -> Option<Object<'py>> {
        tuple.cast_exact::<PyTuple>().ok().and_then(|tuple| tuple.get_item(index).ok())
    }
    fn items(&self, container: &Object<'py>) -> Vec<Object<'py>> {
        if let Ok(tuple) = container.cast_exact::<PyTuple>() {
            return tuple.iter().collect();
        }
        if let Ok(list) = container.cast_exact::<PyList>() {
            return list.iter().collect();
        }
        if let Ok(set) = container.cast_exact::<PyFrozenSet>() {
            return set.iter().collect();
        }
        container.cast_exact::<PySet>().map(|set| set.iter().collect()).unwrap_or_default()
    }

    fn get(&self, dict: &Object<'py>, key: &str) -> Option<Object<'py>> {
        dict.cast::<PyDict>().ok().and_then(|dict| dict.get_item(key).ok().flatten())
    }
    fn entries(&self, dict: &Object<'py>) -> Vec<Object<'py>> {
        match dict.cast::<PyDict>() {
            Ok(dict) => dict.iter().flat_map(|(key, value)| [key, value]).collect(),
            Err(_) => Vec::new(),
        }
    }

    fn u128(&self, value: &Object<'py>) -> Option<u128> {
        value.cast_exact::<PyInt>().ok().and_then(|int| int.extract().ok())
    }

    fn identity(&self, value: &Object<'py>) -> usize {
        value.as_ptr() as usize
    }

    fn hash(&mut self, key: &Object<'py>) -> Made<Option<i64>, PyErr> {
        // As `int.__hash__` has it, for what needs no more than one subtraction.
        if let Ok(int) = key.cast_exact::<PyInt>()
            && let Some(value) = ffi::json::small(int)
            && value.unsigned_abs() < (1 << 61) - 1
        {
            return Ok(Some(if value == -1 { -2 } else { value }));
        }
        self.hashed(key.hash(), Some(key)).map(|hash| Some(hash as i64))
    }

    fn stub(&mut self, name: &str, args: Option<&Object<'py>>) -> Built<'py> {
        passed(self.types().stub.bind(self.py).call1((name, args)))
    }

    fn builtin(&mut self, factory: Factory) -> Built<'py> {
        Ok(self.types().factory(factory).bind(self.py).clone())
    }

    fn construct(&mut self, index: u32, how: How, args: &Object<'py>, kwargs: Option<&Object<'py>>) -> Built<'py> {
        let own = self.policy.registered.get(index as usize).map(|object| object.bind(self.py).clone());
        let found = || self.found.get(index as usize - self.policy.registered.len()).cloned();
        let Some(object) = own.or_else(found) else {
            return Err(ErrorKind::Internal("no such registered object".into()).into());
        };
        let kwargs = kwargs.and_then(|kwargs| kwargs.cast::<PyDict>().ok());
        let Ok(args) = args.cast_exact::<PyTuple>() else {
            return Err(ErrorKind::Invalid("arguments: not a tuple").into());
        };
        let class = object.is_instance_of::<PyType>();
        if let (How::Rebuild(base), Ok(class)) = (how, object.cast::<PyType>()) {
            let base = base.map_or(&self.types().object, |base| self.types().factory(base));
            if !passed(class.is_subclass(base.bind(self.py)))? {
                return Err(ErrorKind::Invalid("base for a registered class").into());
            }
        }
        let made = match how {
            How::New if class => (|| {
                let args =
                    PyTuple::new(self.py, std::iter::once(object.clone()).chain(args.iter()).collect::<Vec<_>>())?;
                object.getattr("__new__")?.call(args, kwargs)
            })(),
            How::Rebuild(base) if class => (|| {
                let types = self.types();
                let base = base.map_or(&types.object, |base| types.factory(base));
                types.reconstructor.bind(self.py).call1((&object, base, args.get_item(0)?))
            })(),
            _ => object.call(args, kwargs),
        };
        self.own(made)
    }

    fn registered(&mut self, index: u32, module: &str, name: &str) -> Made<u32, PyErr> {
        let Some(find_class) = &self.find_class else {
            return Ok(index);
        };
        let found = passed(find_class.call1((module, name)))?;
        self.found.push(found);
        Ok((self.policy.registered.len() + self.found.len() - 1) as u32)
    }

    fn native(&mut self, index: u32, args: &[Object<'py>]) -> Built<'py> {
        let Some(builder) = self.policy.natives.get(index as usize) else {
            return Err(ErrorKind::Internal("no such builder".into()).into());
        };
        let args = passed(ffi::tuple(self.py, args.iter().cloned()))?;
        self.checked(builder.bind(self.py).call1(args), "value for the framework's own type")
    }

    fn persistent(&mut self, id: &Object<'py>) -> Built<'py> {
        match &self.persistent_load {
            // What the resolver gives is complete: the bytes can't give it a state.
            Some(resolver) => passed(resolver.call1((id,))),
            None => Err(ErrorKind::PersistentId.into()),
        }
    }

    fn buffer(&mut self) -> Built<'py> {
        match self.buffers.as_mut().map(Iterator::next) {
            Some(Some(buffer)) => passed(buffer),
            Some(None) | None => Err(ErrorKind::NoBuffer.into()),
        }
    }

    fn readonly(&mut self, buffer: &Object<'py>) -> Built<'py> {
        let view = self.checked(PyMemoryView::from(buffer), "buffer")?;
        let made = view.getattr("readonly").and_then(|readonly| {
            if readonly.is_truthy()? { Ok(buffer.clone()) } else { view.call_method0("toreadonly") }
        });
        self.checked(made, "buffer")
    }
}
