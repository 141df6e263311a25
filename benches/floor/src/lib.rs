//! The floor of loading: objects made from a prepared list (a tape) by the library's own constructors,
//! without parsing, memo, limits or policy, and with prepared keys. Beside it serde-pickle, into Python.
#![deny(unsafe_code)]

// As an inline module, so that `ffi` finds its own children where the library has them.
#[path = "../../../src/python"]
mod python {
    #[allow(unsafe_code, dead_code)]
    pub mod ffi;
}

use std::collections::{HashMap, HashSet};

// What `ffi` finds there in the library.
#[allow(unused_imports)]
use plainpickle::{sink, tree, utf8};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDate, PyDateAccess as _, PyDateTime, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet,
    PyString, PyTimeAccess as _, PyTuple, PyTzInfo, PyTzInfoAccess as _,
};
use serde_pickle::{DeOptions, HashableValue, Value};

use plainpickle::sink::{Clock, Day, SmallDecimal};
use python::ffi::{self, DateTimes, SmallDecimals};

#[pymodule]
mod plainpickle_floor {
    #[pymodule_export]
    use super::{build, serde_pickle_loads, tapes};
}

/// One object; containers take their items from the stack, in order.
enum Step {
    /// None, a bool, or a key that is ready.
    Ready(Py<PyAny>),
    Int(i64),
    /// An integer over 64 bits.
    Wide(i128),
    Float(f64),
    Text(Box<[u8]>),
    Bytes(Box<[u8]>),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Set(usize),
    FrozenSet(usize),
    SmallDecimal(SmallDecimal),
    Decimal(Box<[u8]>),
    Date(i32, u8, u8),
    DateTime(Day, Clock, Option<Py<PyTzInfo>>),
    Uuid(u128),
    /// The top of the stack, for later; and such a one again.
    Keep,
    Again(usize),
}

/// What one payload consists of.
#[pyclass(frozen)]
struct Tape {
    steps: Vec<Step>,
    depth: usize,
    kept: usize,
    classes: Classes,
}

/// The same objects again.
#[pyfunction]
fn build<'py>(py: Python<'py>, tape: &Bound<'py, Tape>) -> PyResult<Bound<'py, PyAny>> {
    let tape = tape.get();
    let mut stack: Vec<Bound<'py, PyAny>> = Vec::with_capacity(tape.depth);
    let mut kept: Vec<Bound<'py, PyAny>> = Vec::with_capacity(tape.kept);
    for step in &tape.steps {
        let made = match step {
            Step::Ready(object) => object.bind(py).clone(),
            Step::Int(value) => ffi::int(py, *value)?.into_any(),
            Step::Wide(value) => value.into_pyobject(py)?.into_any(),
            Step::Float(value) => ffi::float(py, *value)?.into_any(),
            Step::Text(raw) => ffi::utf8(py, raw)?.into_any(),
            Step::Bytes(raw) => ffi::bytes(py, raw)?.into_any(),
            Step::Tuple(count) => ffi::tuple(py, stack.drain(stack.len() - count..))?.into_any(),
            Step::List(count) => ffi::list(py, stack.drain(stack.len() - count..))?.into_any(),
            Step::Dict(count) => {
                let dict = ffi::dict(py)?;
                let mut items = stack.drain(stack.len() - 2 * count..);
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    ffi::set_item(&dict, &key, &value)?;
                }
                drop(items);
                dict.into_any()
            }
            Step::Set(count) => {
                let set = ffi::set(py)?;
                for item in stack.drain(stack.len() - count..) {
                    ffi::add(&set, &item)?;
                }
                set.into_any()
            }
            Step::FrozenSet(count) => ffi::frozenset(py, stack.drain(stack.len() - count..))?.into_any(),
            Step::SmallDecimal(number) => match &tape.classes.small_decimals {
                Some(class) => class.make(py, *number)?,
                None => return Err(PyTypeError::new_err("no small Decimals here")),
            },
            Step::Decimal(digits) => tape.classes.decimal.bind(py).call1((ffi::utf8(py, digits)?,))?,
            Step::Date(year, month, day) => PyDate::new(py, *year, *month, *day)?.into_any(),
            Step::DateTime(day, clock, zone) => match &tape.classes.date_times {
                Some(class) => class.make(py, *day, *clock, zone.as_ref().map(|zone| zone.bind(py)))?,
                None => return Err(PyTypeError::new_err("no datetimes here")),
            },
            Step::Uuid(value) => tape.classes.uuid(py, *value)?,
            Step::Keep => {
                kept.extend(stack.last().cloned());
                continue;
            }
            Step::Again(index) => kept[*index].clone(),
        };
        stack.push(made);
    }
    stack.pop().ok_or_else(|| PyValueError::new_err("an empty tape"))
}

/// What values are made by.
struct Classes {
    decimal: Py<PyAny>,
    small_decimals: Option<SmallDecimals>,
    date_times: Option<DateTimes>,
    uuid: Py<PyAny>,
    /// UUIDs are made without their constructor, which is written in Python.
    object_new: Py<PyAny>,
    safe_unknown: Py<PyAny>,
}

impl Classes {
    fn resolve(py: Python<'_>) -> PyResult<Self> {
        let uuid = py.import("uuid")?;
        Ok(Self {
            decimal: py.import("decimal")?.getattr("Decimal")?.unbind(),
            small_decimals: SmallDecimals::of(py.import("decimal")?.getattr("Decimal")?.cast()?)?,
            date_times: DateTimes::of(py)?,
            uuid: uuid.getattr("UUID")?.unbind(),
            object_new: py.import("builtins")?.getattr("object")?.getattr("__new__")?.unbind(),
            safe_unknown: uuid.getattr("SafeUUID")?.getattr("unknown")?.unbind(),
        })
    }

    fn uuid<'py>(&self, py: Python<'py>, value: u128) -> PyResult<Bound<'py, PyAny>> {
        let made = self.object_new.bind(py).call1((&self.uuid,))?;
        ffi::set_attribute(&made, "int", value.into_pyobject(py)?.as_any())?;
        ffi::set_attribute(&made, "is_safe", self.safe_unknown.bind(py))?;
        Ok(made)
    }
}

/// One tape for each object; they have their keys in common.
#[pyfunction]
fn tapes<'py>(py: Python<'py>, objects: Vec<Bound<'py, PyAny>>) -> PyResult<Vec<Tape>> {
    let keys = PyDict::new(py);
    objects.iter().map(|object| Recorder::new(&keys)?.record(object)).collect()
}

/// Takes an object apart.
struct Recorder<'py> {
    keys: Bound<'py, PyDict>,
    classes: Classes,
    steps: Vec<Step>,
    /// Where the objects are kept that are met more than once, by their address.
    shared: HashMap<usize, Option<usize>>,
    kept: usize,
    /// Of the stack: now, and at most.
    open: usize,
    depth: usize,
}

impl<'py> Recorder<'py> {
    fn new(keys: &Bound<'py, PyDict>) -> PyResult<Self> {
        Ok(Self {
            keys: keys.clone(),
            classes: Classes::resolve(keys.py())?,
            steps: Vec::new(),
            shared: HashMap::new(),
            kept: 0,
            open: 0,
            depth: 0,
        })
    }

    fn record(mut self, root: &Bound<'py, PyAny>) -> PyResult<Tape> {
        self.count(root, &mut HashSet::new())?;
        self.value(root)?;
        Ok(Tape { steps: self.steps, depth: self.depth, kept: self.kept, classes: self.classes })
    }

    /// Notes what is met more than once. Numbers are never shared by pickle.
    fn count(&mut self, object: &Bound<'py, PyAny>, met: &mut HashSet<usize>) -> PyResult<()> {
        if object.is_none() || object.is_instance_of::<PyInt>() || object.is_instance_of::<PyFloat>() {
            return Ok(());
        }
        if !met.insert(object.as_ptr() as usize) {
            self.shared.insert(object.as_ptr() as usize, None);
            return Ok(());
        }
        if let Ok(dict) = object.cast_exact::<PyDict>() {
            for (key, value) in dict {
                if !key.is_exact_instance_of::<PyString>() {
                    self.count(&key, met)?;
                }
                self.count(&value, met)?;
            }
        } else if is_container(object) {
            for item in object.try_iter()? {
                self.count(&item?, met)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, step: Step, items: usize) {
        self.steps.push(step);
        self.open = self.open + 1 - items;
        self.depth = self.depth.max(self.open);
    }

    fn value(&mut self, object: &Bound<'py, PyAny>) -> PyResult<()> {
        let address = object.as_ptr() as usize;
        match self.shared.get(&address).copied() {
            Some(Some(index)) => self.push(Step::Again(index), 0),
            Some(None) => {
                self.fresh(object)?;
                self.steps.push(Step::Keep);
                self.shared.insert(address, Some(self.kept));
                self.kept += 1;
            }
            None => self.fresh(object)?,
        }
        Ok(())
    }

    fn fresh(&mut self, object: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = object.py();
        let class = object.get_type();
        let mut items = 0;
        let step = if object.is_none() || object.is_exact_instance_of::<PyBool>() {
            Step::Ready(object.clone().unbind())
        } else if object.is_exact_instance_of::<PyInt>() {
            match object.extract() {
                Ok(value) => Step::Int(value),
                Err(_) => Step::Wide(object.extract()?),
            }
        } else if let Ok(value) = object.cast_exact::<PyFloat>() {
            Step::Float(value.value())
        } else if let Ok(text) = object.cast_exact::<PyString>() {
            Step::Text(text.to_str()?.as_bytes().into())
        } else if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            Step::Bytes(bytes.as_bytes().into())
        } else if let Ok(dict) = object.cast_exact::<PyDict>() {
            for (key, value) in dict {
                if key.is_exact_instance_of::<PyString>() {
                    let ready = self.keys.call_method1("setdefault", (&key, &key))?;
                    self.push(Step::Ready(ready.unbind()), 0);
                } else {
                    self.value(&key)?;
                }
                self.value(&value)?;
            }
            items = 2 * dict.len();
            Step::Dict(dict.len())
        } else if is_container(object) {
            for item in object.try_iter()? {
                self.value(&item?)?;
            }
            items = object.len()?;
            match () {
                () if object.is_exact_instance_of::<PyTuple>() => Step::Tuple(items),
                () if object.is_exact_instance_of::<PyList>() => Step::List(items),
                () if object.is_exact_instance_of::<PySet>() => Step::Set(items),
                () => Step::FrozenSet(items),
            }
        } else if class.is(self.classes.decimal.bind(py)) {
            let text = object.str()?;
            match small_decimal(text.to_str()?).filter(|_| self.classes.small_decimals.is_some()) {
                Some(number) => Step::SmallDecimal(number),
                None => Step::Decimal(text.to_str()?.as_bytes().into()),
            }
        } else if class.is(self.classes.uuid.bind(py)) {
            Step::Uuid(object.getattr("int")?.extract()?)
        } else if let Ok(made) = object.cast_exact::<PyDateTime>() {
            let day = Day { year: made.get_year() as u16, month: made.get_month(), day: made.get_day() };
            let clock = Clock {
                hour: made.get_hour(),
                minute: made.get_minute(),
                second: made.get_second(),
                microsecond: made.get_microsecond(),
                fold: made.get_fold(),
            };
            Step::DateTime(day, clock, made.get_tzinfo().map(Bound::unbind))
        } else if let Ok(made) = object.cast_exact::<PyDate>() {
            Step::Date(made.get_year(), made.get_month(), made.get_day())
        } else {
            return Err(PyTypeError::new_err(format!("no step makes a {}", class.name()?)));
        };
        self.push(step, items);
        Ok(())
    }
}

/// The number that a Decimal's text says, if it has neither an exponent nor many digits.
fn small_decimal(text: &str) -> Option<SmallDecimal> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{}{part}", whole.trim_start_matches('-'));
    let coefficient = digits.parse().ok().filter(|_| digits.len() <= 19)?;
    Some(SmallDecimal { negative: whole.starts_with('-'), coefficient, exponent: -(part.len() as isize) })
}

fn is_container(object: &Bound<'_, PyAny>) -> bool {
    object.is_exact_instance_of::<PyList>()
        || object.is_exact_instance_of::<PyTuple>()
        || object.is_exact_instance_of::<PySet>()
        || object.is_exact_instance_of::<PyFrozenSet>()
}

/// serde-pickle's value, as Python objects.
#[pyfunction]
fn serde_pickle_loads<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_pickle::value_from_slice(data, DeOptions::new());
    object(py, &value.map_err(|error| PyValueError::new_err(error.to_string()))?)
}

fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::None => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Value::I64(value) => ffi::int(py, *value)?.into_any(),
        Value::Int(value) => wide(py, value)?,
        Value::F64(value) => ffi::float(py, *value)?.into_any(),
        Value::Bytes(raw) => ffi::bytes(py, raw)?.into_any(),
        Value::String(text) => ffi::utf8(py, text.as_bytes())?.into_any(),
        Value::List(items) => objects(py, items)?.into_any(),
        Value::Tuple(items) => objects(py, items)?.to_tuple().into_any(),
        Value::Set(items) => {
            let set = ffi::set(py)?;
            for item in items {
                set.add(key(py, item)?)?;
            }
            set.into_any()
        }
        Value::FrozenSet(items) => frozenset(py, items.iter())?,
        Value::Dict(items) => {
            let dict = ffi::dict(py)?;
            for (name, value) in items {
                ffi::set_item(&dict, &key(py, name)?, &object(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

fn key<'py>(py: Python<'py>, value: &HashableValue) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        HashableValue::None => py.None().into_bound(py),
        HashableValue::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        HashableValue::I64(value) => ffi::int(py, *value)?.into_any(),
        HashableValue::Int(value) => wide(py, value)?,
        HashableValue::F64(value) => ffi::float(py, *value)?.into_any(),
        HashableValue::Bytes(raw) => ffi::bytes(py, raw)?.into_any(),
        HashableValue::String(text) => ffi::utf8(py, text.as_bytes())?.into_any(),
        HashableValue::Tuple(items) => {
            let items: Vec<_> = items.iter().map(|item| key(py, item)).collect::<PyResult<_>>()?;
            ffi::tuple(py, items.into_iter())?.into_any()
        }
        HashableValue::FrozenSet(items) => frozenset(py, items.iter())?,
    })
}

fn objects<'py>(py: Python<'py>, items: &[Value]) -> PyResult<Bound<'py, PyList>> {
    let items: Vec<_> = items.iter().map(|item| object(py, item)).collect::<PyResult<_>>()?;
    Ok(ffi::list(py, items.into_iter())?)
}

fn frozenset<'py, 'v>(py: Python<'py>, items: impl Iterator<Item = &'v HashableValue>) -> PyResult<Bound<'py, PyAny>> {
    let items: Vec<_> = items.map(|item| key(py, item)).collect::<PyResult<_>>()?;
    Ok(ffi::frozenset(py, items.into_iter())?.into_any())
}

fn wide<'py>(py: Python<'py>, value: &num_bigint::BigInt) -> PyResult<Bound<'py, PyAny>> {
    match i128::try_from(value) {
        Ok(value) => Ok(value.into_pyobject(py)?.into_any()),
        Err(_) => Err(PyValueError::new_err("an integer over 128 bits")),
    }
}
