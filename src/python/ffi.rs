//! The only unsafe code: constructors of CPython that report a failed allocation, where pyo3's own panic.

pub mod json;

use pyo3::exceptions::{PyImportError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{
    PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyModule, PySet, PyString, PyTuple,
};

/// Takes over a new reference, or the exception that was set instead of one.
///
/// # Safety
/// `pointer` is a new reference to an object of type `T`, or null with an exception set.
unsafe fn owned<'py, T>(py: Python<'py>, pointer: *mut ffi::PyObject) -> PyResult<Bound<'py, T>> {
    // SAFETY: the caller's promise is the contract of both calls.
    unsafe { Bound::from_owned_ptr_or_err(py, pointer).map(|object| object.cast_into_unchecked()) }
}

fn done(py: Python<'_>, code: i32) -> PyResult<()> {
    if code < 0 { Err(PyErr::fetch(py)) } else { Ok(()) }
}

/// `str` from UTF-8 in which surrogates may stand alone.
#[inline]
pub fn utf8<'py>(py: Python<'py>, raw: &[u8]) -> PyResult<Bound<'py, PyString>> {
    if raw.len() > 1 && raw.is_ascii() {
        // SAFETY: a new string of as many ASCII characters, seen by nobody else until it is returned;
        // its characters are one byte each, and all of them are written.
        unsafe {
            let made = owned(py, ffi::PyUnicode_New(raw.len() as isize, 127))?;
            let target = ffi::PyUnicode_DATA(Bound::as_ptr(&made)).cast::<u8>();
            std::ptr::copy_nonoverlapping(raw.as_ptr(), target, raw.len());
            return Ok(made);
        }
    }
    // SAFETY: pointer and length are those of one slice, which is only read; the name ends in NUL.
    unsafe { owned(py, ffi::PyUnicode_DecodeUTF8(raw.as_ptr().cast(), raw.len() as isize, c"surrogatepass".as_ptr())) }
}

/// `str.encode("latin1")`.
pub fn latin1<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    // SAFETY: the argument is a live str.
    unsafe { owned(text.py(), ffi::PyUnicode_AsLatin1String(text.as_ptr())) }
}

/// `object.__setattr__(object, name, value)`, whatever the class makes of it.
pub fn set_attribute<'py>(object: &Bound<'py, PyAny>, name: &str, value: &Bound<'py, PyAny>) -> PyResult<()> {
    let name = utf8(object.py(), name.as_bytes())?;
    // SAFETY: three live objects, the name a str; no reference is taken over.
    done(object.py(), unsafe { ffi::PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value.as_ptr()) })
}

/// A module that is imported already.
pub fn imported<'py>(name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyModule>> {
    // SAFETY: the argument is a live str; the result is a new reference, or null, without an exception
    // where there is no such module.
    match unsafe { Bound::from_owned_ptr_or_opt(name.py(), ffi::PyImport_GetModule(name.as_ptr())) } {
        Some(module) => Ok(module.cast_into()?),
        None => Err(PyErr::take(name.py()).unwrap_or_else(|| PyImportError::new_err(name.to_string()))),
    }
}

/// `int`.
#[inline]
pub fn int(py: Python<'_>, value: i64) -> PyResult<Bound<'_, PyInt>> {
    // SAFETY: takes a number by value.
    unsafe { owned(py, ffi::PyLong_FromLongLong(value)) }
}

/// `float`.
#[inline]
pub fn float(py: Python<'_>, value: f64) -> PyResult<Bound<'_, PyFloat>> {
    // SAFETY: takes a number by value.
    unsafe { owned(py, ffi::PyFloat_FromDouble(value)) }
}

/// `bytes`.
#[inline]
pub fn bytes<'py>(py: Python<'py>, raw: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    // SAFETY: pointer and length are those of one slice, which is only read.
    unsafe { owned(py, ffi::PyBytes_FromStringAndSize(raw.as_ptr().cast(), raw.len() as isize)) }
}

/// `bytearray`.
pub fn bytearray<'py>(py: Python<'py>, raw: &[u8]) -> PyResult<Bound<'py, PyByteArray>> {
    // SAFETY: pointer and length are those of one slice, which is only read.
    unsafe { owned(py, ffi::PyByteArray_FromStringAndSize(raw.as_ptr().cast(), raw.len() as isize)) }
}

/// `tuple` of exactly the items that the iterator announces.
#[inline]
pub fn tuple<'py>(
    py: Python<'py>,
    items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let count = items.len();
    // SAFETY: a new tuple of `count` empty places, seen by nobody else until it is returned.
    let tuple = unsafe { owned(py, ffi::PyTuple_New(count as isize))? };
    let mut filled = 0;
    for (index, item) in items.take(count).enumerate() {
        // SAFETY: `index` is below `count`; the place is empty, and takes over the reference.
        unsafe { ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index as isize, item.into_ptr()) };
        filled += 1;
    }
    if filled < count { Err(PyTypeError::new_err("fewer items than announced")) } else { Ok(tuple) }
}

/// `list` of exactly the items that the iterator announces.
#[inline]
pub fn list<'py>(
    py: Python<'py>,
    items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let count = items.len();
    // SAFETY: a new list of `count` empty places, seen by nobody else until it is returned.
    let list = unsafe { owned(py, ffi::PyList_New(count as isize))? };
    let mut filled = 0;
    for (index, item) in items.take(count).enumerate() {
        // SAFETY: `index` is below `count`; the place is empty, and takes over the reference.
        unsafe { ffi::PyList_SET_ITEM(list.as_ptr(), index as isize, item.into_ptr()) };
        filled += 1;
    }
    if filled < count { Err(PyTypeError::new_err("fewer items than announced")) } else { Ok(list) }
}

/// `dict`, empty.
#[inline]
pub fn dict(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    // SAFETY: no arguments.
    unsafe { owned(py, ffi::PyDict_New()) }
}

/// `set`, empty.
pub fn set(py: Python<'_>) -> PyResult<Bound<'_, PySet>> {
    // SAFETY: null asks for an empty set.
    unsafe { owned(py, ffi::PySet_New(std::ptr::null_mut())) }
}

/// `frozenset` of what is in a list.
pub fn frozenset<'py>(items: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyFrozenSet>> {
    // SAFETY: the argument is a live object.
    unsafe { owned(items.py(), ffi::PyFrozenSet_New(items.as_ptr())) }
}

/// `dict[key] = value`.
#[inline]
pub fn set_item<'py>(dict: &Bound<'py, PyDict>, key: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> PyResult<()> {
    // SAFETY: three live objects, the first of them a dict; no reference is taken over.
    done(dict.py(), unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) })
}

/// `list.append(item)`.
#[inline]
pub fn append<'py>(list: &Bound<'py, PyList>, item: &Bound<'py, PyAny>) -> PyResult<()> {
    // SAFETY: two live objects, the first of them a list; no reference is taken over.
    done(list.py(), unsafe { ffi::PyList_Append(list.as_ptr(), item.as_ptr()) })
}

/// `list.extend(items)`.
pub fn extend<'py>(list: &Bound<'py, PyList>, items: &Bound<'py, PyList>) -> PyResult<()> {
    let end = list.len() as isize;
    // SAFETY: two live lists; no reference is taken over.
    done(list.py(), unsafe { ffi::PyList_SetSlice(list.as_ptr(), end, end, items.as_ptr()) })
}
