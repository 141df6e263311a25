//! What the JSON writer looks at in CPython's own memory: the characters of a text, a small integer, a dict's entries.

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use crate::tree::{Keys, split_pair};

/// The characters of a text, if they are one byte each.
#[inline(always)]
pub fn latin1<'t>(text: &'t Bound<'_, PyString>) -> Option<&'t [u8]> {
    if let Some(ascii) = super::ascii(text) {
        return Some(ascii);
    }
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
        Ok(super::owned(text.py(), made)?)
    }
}

/// An integer, if it has 64 bits at most.
#[inline(always)]
pub fn small(int: &Bound<'_, PyInt>) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: a live int, and a place for the flag. It can't fail for an int.
    let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(int.as_ptr(), &mut overflow) };
    (overflow == 0).then_some(value)
}

/// A walk over the entries of a dict.
pub struct Entries<'py> {
    dict: Bound<'py, PyDict>,
    position: isize,
    size: usize,
}

impl<'py> Entries<'py> {
    /// Starts at the first entry.
    pub fn of(dict: &Bound<'py, PyDict>) -> Self {
        Self { dict: dict.clone(), position: 0, size: dict.len() }
    }

    /// What all its keys are.
    pub fn keys(&self) -> PyResult<Keys> {
        let mut keys = Keys::Text;
        let (mut position, mut key) = (0, std::ptr::null_mut());
        // SAFETY: a live dict, and places for what it lends; nothing asks for the values. Nothing can change the
        // dict here, so that the position stays valid, and each key stays alive while it is looked at.
        while unsafe { ffi::PyDict_Next(self.dict.as_ptr(), &mut position, &mut key, std::ptr::null_mut()) } != 0 {
            // SAFETY: as above; it is not null.
            let key = unsafe { Borrowed::from_ptr(self.dict.py(), key) };
            match kind_of(&key)? {
                Keys::Tag if self.size == 1 => keys = Keys::Tag,
                Keys::Other => return Ok(Keys::Other),
                _ => {}
            }
        }
        Ok(keys)
    }

    /// The next key and its value.
    #[inline(always)]
    pub fn next(&mut self) -> PyResult<Option<[Bound<'py, PyAny>; 2]>> {
        // As pickle does, which can't tell more either.
        if self.dict.len() != self.size {
            return Err(PyRuntimeError::new_err("dictionary changed size during iteration"));
        }
        let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: a live dict, and three places; the position is compared with the dict's own size at
        // each call. What it lends is alive until the dict changes, which nothing does before both are owned.
        unsafe {
            if ffi::PyDict_Next(self.dict.as_ptr(), &mut self.position, &mut key, &mut value) == 0 {
                return Ok(None);
            }
            let py = self.dict.py();
            Ok(Some([Bound::from_borrowed_ptr(py, key), Bound::from_borrowed_ptr(py, value)]))
        }
    }
}

#[inline(always)]
fn kind_of(key: &Bound<'_, PyAny>) -> PyResult<Keys> {
    if !key.is_exact_instance_of::<PyString>() {
        return Ok(Keys::Other);
    }
    let text = key.cast_exact()?;
    match latin1(text) {
        Some([b' ', ..]) => Ok(Keys::Tag),
        Some(_) => Ok(Keys::Text),
        None => wide_kind(text),
    }
}

#[cold]
fn wide_kind(text: &Bound<'_, PyString>) -> PyResult<Keys> {
    Ok(match wtf8(text)?.as_bytes() {
        raw if split_pair(raw).is_some() => Keys::Other,
        [b' ', ..] => Keys::Tag,
        _ => Keys::Text,
    })
}

/// The item of a list, if there is one.
#[inline(always)]
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
