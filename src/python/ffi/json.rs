//! What the JSON writer looks at in CPython's own memory: the characters of a text, a small integer, a dict's entries.

use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use crate::tree::{Keys, split_pair};

/// The characters of a text, if they are one byte each.
#[inline]
pub fn latin1<'t>(text: &'t Bound<'_, PyString>) -> Option<&'t [u8]> {
    let pointer = text.as_ptr();
    // SAFETY: a live str. Once it is ready, as all are from Python 3.12 on, kind, length and characters
    // are fixed, and stay where they are for as long as the str lives, which `'t` does not exceed.
    unsafe {
        if ffi::PyUnicode_READY(pointer) != 0 {
            // Out of memory. Whoever asks again for the text is told.
            drop(PyErr::take(text.py()));
            return None;
        }
        if ffi::PyUnicode_KIND(pointer) != ffi::PyUnicode_1BYTE_KIND {
            return None;
        }
        let size = ffi::PyUnicode_GET_LENGTH(pointer) as usize;
        Some(std::slice::from_raw_parts(ffi::PyUnicode_DATA(pointer).cast(), size))
    }
}

/// A text as UTF-8 in which surrogates may stand alone; Python keeps no copy of it.
pub fn wtf8<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    // SAFETY: a live str, and two names that end in NUL.
    unsafe {
        let made = ffi::PyUnicode_AsEncodedString(text.as_ptr(), c"utf-8".as_ptr(), c"surrogatepass".as_ptr());
        super::owned(text.py(), made)
    }
}

/// An integer, if it has 64 bits at most.
#[inline]
pub fn small(int: &Bound<'_, PyInt>) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: a live int, and a place for the flag. It can't fail for an int.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(int.as_ptr(), &mut overflow) };
    (overflow == 0).then_some(value)
}

/// Puts the keys and values of a dict behind what is held, and tells what the keys are.
pub fn entries<'py>(dict: &Bound<'py, PyDict>, held: &mut Vec<Option<Bound<'py, PyAny>>>) -> PyResult<Keys> {
    let py = dict.py();
    held.try_reserve(2 * dict.len()).map_err(|_| PyMemoryError::new_err(()))?;
    let mut keys = Keys::Text;
    let (mut position, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: a live dict, and three places for what it lends. Nothing can change the dict here, so that the
    // position stays valid, and what is lent stays alive until it is owned.
    while unsafe { ffi::PyDict_Next(dict.as_ptr(), &mut position, &mut key, &mut value) } != 0 {
        // SAFETY: as above; neither is null.
        let (key, value) = unsafe { (Bound::from_borrowed_ptr(py, key), Bound::from_borrowed_ptr(py, value)) };
        if keys != Keys::Other {
            keys = match kind_of(&key)? {
                Keys::Tag if dict.len() > 1 => Keys::Text,
                kind => kind,
            };
        }
        held.push(Some(key));
        held.push(Some(value));
    }
    Ok(keys)
}

#[inline]
fn kind_of(key: &Bound<'_, PyAny>) -> PyResult<Keys> {
    if !key.is_exact_instance_of::<PyString>() {
        return Ok(Keys::Other);
    }
    let text = key.cast_exact()?;
    Ok(match latin1(text) {
        Some([b' ', ..]) => Keys::Tag,
        Some(_) => Keys::Text,
        None => match wtf8(text)?.as_bytes() {
            raw if split_pair(raw).is_some() => Keys::Other,
            [b' ', ..] => Keys::Tag,
            _ => Keys::Text,
        },
    })
}

/// The item of a list, if there is one.
#[inline]
pub fn list_item<'py>(list: &Bound<'py, PyList>, index: usize) -> Option<Bound<'py, PyAny>> {
    // SAFETY: the index is below the length, which nothing changes before the item is owned.
    (index < list.len()).then(|| unsafe { list.get_item_unchecked(index) })
}

/// The item of a tuple, if there is one.
#[inline]
pub fn tuple_item<'py>(tuple: &Bound<'py, PyTuple>, index: usize) -> Option<Bound<'py, PyAny>> {
    // SAFETY: the index is below the length of the tuple, which is complete.
    (index < tuple.len()).then(|| unsafe { tuple.get_item_unchecked(index) })
}
