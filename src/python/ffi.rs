//! The only unsafe code: constructors of CPython that report a failed allocation, where pyo3's own panic.

pub mod buffer;
pub mod json;

use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

use crate::sink::{Clock, Day, SmallDecimal};
use crate::utf8::{self, Width};

use pyo3::exceptions::{PyImportError, PyMemoryError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{
    PyByteArray, PyBytes, PyDateTime, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyModule, PySet, PyString, PyTuple,
    PyType, PyTzInfo,
};

/// An exception was raised, and the interpreter still has it. Results without a [`PyErr`] in them are handed
/// back in registers.
pub struct Raised<'py>(Python<'py>);

impl From<Raised<'_>> for PyErr {
    #[cold]
    fn from(raised: Raised<'_>) -> Self {
        Self::fetch(raised.0)
    }
}

impl<'py> Raised<'py> {
    #[cold]
    fn with(py: Python<'py>, error: PyErr) -> Self {
        error.restore(py);
        Self(py)
    }
}

type Made<'py, T> = Result<Bound<'py, T>, Raised<'py>>;

/// Takes over a new reference, or the exception that was set instead of one.
///
/// # Safety
/// `pointer` is a new reference to an object of type `T`, or null with an exception set.
#[inline(always)]
unsafe fn owned<'py, T>(py: Python<'py>, pointer: *mut ffi::PyObject) -> Made<'py, T> {
    // SAFETY: the caller's promise is the contract of both calls.
    match unsafe { Bound::from_owned_ptr_or_opt(py, pointer) } {
        // SAFETY: as above.
        Some(object) => Ok(unsafe { object.cast_into_unchecked() }),
        None => Err(Raised(py)),
    }
}

/// Whether the interpreter has its lock, and lists and dicts are laid out as they always were: objects have
/// two words there, and more in a build without it.
const LOCKED: bool = size_of::<ffi::PyObject>() == 2 * size_of::<usize>();

#[inline(always)]
fn done(py: Python<'_>, code: i32) -> Result<(), Raised<'_>> {
    if code < 0 { Err(Raised(py)) } else { Ok(()) }
}

#[inline(always)]
fn is_ascii(raw: &[u8]) -> bool {
    let seen = match (raw.last_chunk::<8>(), raw.first_chunk::<4>(), raw.last_chunk::<4>()) {
        _ if raw.len() > 71 => return raw.is_ascii(),
        // The last word may overlap the one before.
        (Some(last), ..) => {
            let words = raw.as_chunks::<8>().0.iter();
            words.fold(u64::from_ne_bytes(*last), |seen, word| seen | u64::from_ne_bytes(*word))
        }
        (None, Some(first), Some(last)) => u64::from(u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last)),
        _ => raw.iter().fold(0, |seen, byte| seen | u64::from(*byte)),
    };
    seen & 0x8080_8080_8080_8080 == 0
}

/// `str` from UTF-8 in which surrogates may stand alone.
#[inline]
pub fn utf8<'py>(py: Python<'py>, raw: &[u8]) -> Made<'py, PyString> {
    if raw.len() > 1 && is_ascii(raw) {
        // SAFETY: a new string of as many ASCII characters, seen by nobody else until it is returned;
        // its characters are one byte each, stand behind its head, and all of them are written.
        unsafe {
            let made: Bound<'_, PyString> = owned(py, ffi::PyUnicode_New(raw.len() as isize, 127))?;
            let target = made.as_ptr().cast::<u8>().add(size_of::<ffi::PyASCIIObject>());
            std::ptr::copy_nonoverlapping(raw.as_ptr(), target, raw.len());
            return Ok(made);
        }
    }
    if let Some(made) = characters(py, raw)? {
        return Ok(made);
    }
    // SAFETY: pointer and length are those of one slice, which is only read; the name ends in NUL.
    unsafe { owned(py, ffi::PyUnicode_DecodeUTF8(raw.as_ptr().cast(), raw.len() as isize, c"surrogatepass".as_ptr())) }
}

/// Text up to this size is measured and decoded here. A longer one may be ASCII but for a character or two, which CPython
/// is faster at; and what is no text at all would take four times its size first.
const MEASURED: usize = 1 << 9;

/// `str` from UTF-8 of several characters, not all of them ASCII, which the interpreter takes several attempts for;
/// none if it is no UTF-8, or has surrogates.
fn characters<'py>(py: Python<'py>, raw: &[u8]) -> Result<Option<Bound<'py, PyString>>, Raised<'py>> {
    if raw.len() > MEASURED {
        return Ok(None);
    }
    let Some((count, width)) = utf8::measure(raw).filter(|(count, _)| *count > 1) else {
        return Ok(None);
    };
    let highest = match width {
        Width::One => 0xFF,
        Width::Two => 0xFFFF,
        Width::Four => 0x10_FFFF,
    };
    // SAFETY: a new string of as many characters, seen by nobody else until it is returned; its characters are of the
    // width that belongs to the highest one, stand where it says, and all of them are written.
    unsafe {
        let made: Bound<'_, PyString> = owned(py, ffi::PyUnicode_New(count as isize, highest))?;
        let start = ffi::PyUnicode_DATA(made.as_ptr());
        let decoded = match width {
            Width::One => utf8::decode_one(raw, zeroed(start.cast(), count)) == count,
            Width::Two => utf8::decode_wide(raw, zeroed(start.cast(), count), |value| value as u16),
            Width::Four => utf8::decode_wide(raw, zeroed(start.cast(), count), |value| value),
        };
        Ok(decoded.then_some(made))
    }
}

/// A slice of numbers, all of them 0 now.
///
/// # Safety
/// `T` is an integer. There is room for as many of them, which is the caller's alone for as long as the slice is used.
unsafe fn zeroed<'s, T: Copy>(start: *mut T, count: usize) -> &'s mut [T] {
    // SAFETY: the caller's promise; zeroed memory is a number.
    unsafe {
        start.write_bytes(0, count);
        std::slice::from_raw_parts_mut(start, count)
    }
}

/// `str` from raw-unicode-escape; an exception if it is none.
pub fn raw_unicode_escape<'py>(py: Python<'py>, raw: &[u8]) -> Made<'py, PyString> {
    // SAFETY: pointer and length are those of one slice, which is only read; null asks for strict errors.
    unsafe {
        let text = ffi::PyUnicode_DecodeRawUnicodeEscape(raw.as_ptr().cast(), raw.len() as isize, std::ptr::null());
        owned(py, text)
    }
}

/// `str.encode("latin1")`.
pub fn latin1<'py>(text: &Bound<'py, PyString>) -> Made<'py, PyBytes> {
    // SAFETY: the argument is a live str.
    unsafe { owned(text.py(), ffi::PyUnicode_AsLatin1String(text.as_ptr())) }
}

/// `object.__setattr__(object, name, value)`, whatever the class makes of it.
pub fn set_attribute<'py>(object: &Bound<'py, PyAny>, name: &str, value: &Bound<'py, PyAny>) -> PyResult<()> {
    let name = utf8(object.py(), name.as_bytes())?;
    // SAFETY: three live objects, the name a str; no reference is taken over.
    Ok(done(object.py(), unsafe { ffi::PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value.as_ptr()) })?)
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
pub fn int(py: Python<'_>, value: i64) -> Made<'_, PyInt> {
    // SAFETY: takes a number by value.
    unsafe { owned(py, ffi::PyLong_FromLongLong(value)) }
}

unsafe extern "C" {
    /// What pickle itself makes integers by. pyo3 has it up to CPython 3.12; it is there in all later ones, too.
    fn _PyLong_FromByteArray(bytes: *const u8, count: usize, little: c_int, signed: c_int) -> *mut ffi::PyObject;
}

/// `int` of two's complement, little-endian.
pub fn big_int<'py>(py: Python<'py>, raw: &[u8]) -> Made<'py, PyInt> {
    // SAFETY: pointer and length are those of one slice, which is only read.
    unsafe { owned(py, _PyLong_FromByteArray(raw.as_ptr(), raw.len(), 1, 1)) }
}

/// `float`.
#[inline]
pub fn float(py: Python<'_>, value: f64) -> Made<'_, PyFloat> {
    // SAFETY: takes a number by value.
    unsafe { owned(py, ffi::PyFloat_FromDouble(value)) }
}

/// `bytes`.
#[inline]
pub fn bytes<'py>(py: Python<'py>, raw: &[u8]) -> Made<'py, PyBytes> {
    // SAFETY: pointer and length are those of one slice, which is only read.
    unsafe { owned(py, ffi::PyBytes_FromStringAndSize(raw.as_ptr().cast(), raw.len() as isize)) }
}

/// `bytearray`.
pub fn bytearray<'py>(py: Python<'py>, raw: &[u8]) -> Made<'py, PyByteArray> {
    // SAFETY: pointer and length are those of one slice, which is only read.
    unsafe { owned(py, ffi::PyByteArray_FromStringAndSize(raw.as_ptr().cast(), raw.len() as isize)) }
}

/// `tuple` of exactly the items that the iterator announces.
#[inline]
pub fn tuple<'py>(py: Python<'py>, items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>) -> Made<'py, PyTuple> {
    let count = items.len();
    // SAFETY: a new tuple of `count` empty places, seen by nobody else until it is returned.
    let tuple = unsafe { owned(py, ffi::PyTuple_New(count as isize))? };
    let mut filled = 0;
    for (index, item) in items.take(count).enumerate() {
        // SAFETY: `index` is below `count`; the place is empty, and takes over the reference.
        unsafe { ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index as isize, item.into_ptr()) };
        filled += 1;
    }
    if filled < count { Err(fewer(py)) } else { Ok(tuple) }
}

/// `list` of exactly the items that the iterator announces.
#[inline]
pub fn list<'py>(py: Python<'py>, items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>) -> Made<'py, PyList> {
    let count = items.len();
    // SAFETY: a new list of `count` empty places, seen by nobody else until it is returned.
    let list = unsafe { owned(py, ffi::PyList_New(count as isize))? };
    let mut filled = 0;
    for (index, item) in items.take(count).enumerate() {
        // SAFETY: `index` is below `count`; the place is empty, and takes over the reference.
        unsafe { ffi::PyList_SET_ITEM(list.as_ptr(), index as isize, item.into_ptr()) };
        filled += 1;
    }
    if filled < count { Err(fewer(py)) } else { Ok(list) }
}

#[cold]
fn fewer(py: Python<'_>) -> Raised<'_> {
    Raised::with(py, PyTypeError::new_err("fewer items than announced"))
}

/// `dict`, empty.
#[inline]
pub fn dict(py: Python<'_>) -> Made<'_, PyDict> {
    // SAFETY: no arguments.
    unsafe { owned(py, ffi::PyDict_New()) }
}

/// `set`, empty.
pub fn set(py: Python<'_>) -> Made<'_, PySet> {
    // SAFETY: null asks for an empty set.
    unsafe { owned(py, ffi::PySet_New(std::ptr::null_mut())) }
}

/// `set.add(item)`.
#[inline]
pub fn add<'py>(set: &Bound<'py, PySet>, item: &Bound<'py, PyAny>) -> Result<(), Raised<'py>> {
    // SAFETY: two live objects, the first of them a set; no reference is taken over.
    done(set.py(), unsafe { ffi::PySet_Add(set.as_ptr(), item.as_ptr()) })
}

/// `frozenset` of items.
pub fn frozenset<'py>(
    py: Python<'py>,
    items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>,
) -> Made<'py, PyFrozenSet> {
    // SAFETY: null asks for an empty frozenset.
    let made: Bound<'py, PyFrozenSet> = unsafe { owned(py, ffi::PyFrozenSet_New(std::ptr::null_mut()))? };
    // SAFETY: a live object. Up to CPython 3.9 there is one empty frozenset for all.
    if unsafe { ffi::Py_REFCNT(made.as_ptr()) } != 1 {
        let items = list(py, items)?;
        // SAFETY: the argument is a live object.
        return unsafe { owned(py, ffi::PyFrozenSet_New(items.as_ptr())) };
    }
    for item in items {
        // SAFETY: two live objects, the first of them a frozenset that nobody else has seen.
        done(py, unsafe { ffi::PySet_Add(made.as_ptr(), item.as_ptr()) })?;
    }
    Ok(made)
}

/// `dict[key] = value`.
#[inline]
pub fn set_item<'py>(
    dict: &Bound<'py, PyDict>,
    key: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
) -> Result<(), Raised<'py>> {
    // SAFETY: three live objects, the first of them a dict; no reference is taken over.
    done(dict.py(), unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) })
}

/// `list.append(item)`.
#[inline]
pub fn append<'py>(list: &Bound<'py, PyList>, item: &Bound<'py, PyAny>) -> Result<(), Raised<'py>> {
    // SAFETY: two live objects, the first of them a list; no reference is taken over.
    done(list.py(), unsafe { ffi::PyList_Append(list.as_ptr(), item.as_ptr()) })
}

/// `list.extend(items)`, at the size that the iterator announces.
#[inline(always)]
pub fn extend<'py>(
    list: &Bound<'py, PyList>,
    items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>,
) -> Result<(), Raised<'py>> {
    let (held, count) = (list.len(), items.len());
    if !LOCKED || count == 0 {
        for item in items {
            append(list, &item)?;
        }
        return Ok(());
    }
    let object = list.as_ptr().cast::<ffi::PyListObject>();
    // SAFETY: a live list, and the lock is held. Its array is null or was allocated by PyMem, and has
    // `allocated` places; the `count` behind `held` are nobody's, and are written before the size says so.
    // Nothing in between runs code that could see the list: the items are there already.
    unsafe {
        let needed = held.saturating_add(count);
        if (*object).allocated < needed as isize {
            // A list that grows again gets room to spare, as the interpreter's own lists do.
            let room = if held == 0 { needed } else { (needed + (needed >> 3) + 6) & !3 };
            if room > isize::MAX as usize / size_of::<*mut ffi::PyObject>() {
                return Err(Raised::with(list.py(), PyMemoryError::new_err(())));
            }
            let array = ffi::PyMem_Realloc((*object).ob_item.cast(), room * size_of::<*mut ffi::PyObject>());
            if array.is_null() {
                return Err(Raised::with(list.py(), PyMemoryError::new_err(())));
            }
            (*object).ob_item = array.cast();
            (*object).allocated = room as isize;
        }
        let places = std::slice::from_raw_parts_mut((*object).ob_item.add(held).cast(), count);
        (*object).ob_base.ob_size = (needed - put(places, items)) as isize;
    }
    Ok(())
}

/// Puts references into places that hold nothing, and tells how many of the places are left.
#[inline(always)]
fn put<'py>(places: &mut [MaybeUninit<*mut ffi::PyObject>], items: impl Iterator<Item = Bound<'py, PyAny>>) -> usize {
    let mut left = places.iter_mut();
    for item in items {
        let Some(place) = left.next() else {
            break;
        };
        place.write(item.into_ptr());
    }
    left.len()
}

/// The hash of a `str` as far as it was computed before; of the same text always the same, once it was.
#[inline]
pub fn known_hash(text: &Bound<'_, PyAny>) -> isize {
    if !text.is_exact_instance_of::<PyString>() {
        return 0;
    }
    // SAFETY: a live str, whose head is that of each str; the field is only read.
    unsafe { (*text.as_ptr().cast::<ffi::PyASCIIObject>()).hash }
}

/// The characters of a `str` that is known to be ASCII.
#[inline]
pub fn ascii<'t>(text: &'t Bound<'_, PyString>) -> Option<&'t [u8]> {
    // SAFETY: a live str, which never changes. If it is compact and ASCII, as many bytes as it has
    // characters stand behind its head.
    unsafe {
        if ffi::PyUnicode_IS_COMPACT_ASCII(text.as_ptr()) == 0 {
            return None;
        }
        let length = ffi::PyUnicode_GET_LENGTH(text.as_ptr()) as usize;
        let first = text.as_ptr().cast::<u8>().add(size_of::<ffi::PyASCIIObject>());
        Some(std::slice::from_raw_parts(first, length))
    }
}

/// A class of instances that consist of slots, and where two of them stand in an instance.
#[derive(Debug)]
pub struct Fields {
    class: Py<PyType>,
    words: [usize; 2],
}

impl Fields {
    /// Looks for the slots in an instance; `None` if they are not there.
    pub fn of(class: &Bound<'_, PyType>, names: [&str; 2]) -> PyResult<Option<Self>> {
        let py = class.py();
        let object = class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: a live class, whose fields are only read.
        let (size, item, alloc) = unsafe { ((*object).tp_basicsize, (*object).tp_itemsize, (*object).tp_alloc) };
        if item != 0 || alloc.is_none() {
            return Ok(None);
        }
        let sample = class.getattr("__new__")?.call1((class,))?;
        let mut words = [0; 2];
        for (name, place) in names.into_iter().zip(&mut words) {
            let mark = PyList::empty(py);
            set_attribute(&sample, name, mark.as_any())?;
            // SAFETY: a live instance of the class, which has as many bytes; they are only read.
            let content = unsafe {
                std::slice::from_raw_parts(sample.as_ptr().cast::<usize>(), size as usize / size_of::<usize>())
            };
            let head = size_of::<ffi::PyObject>() / size_of::<usize>();
            match content.iter().skip(head).position(|word| *word == mark.as_ptr() as usize) {
                Some(at) => *place = head + at,
                None => return Ok(None),
            }
        }
        Ok(Some(Self { class: class.clone().unbind(), words }))
    }

    /// A new instance with these values.
    #[inline]
    pub fn make<'py>(&self, values: [Bound<'py, PyAny>; 2]) -> PyResult<Bound<'py, PyAny>> {
        let py = values[0].py();
        let class = self.class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: a live class with an allocator and without variable size. The new instance has all
        // its slots empty, and the two are where they were found in an instance of the same class.
        unsafe {
            let Some(alloc) = (*class).tp_alloc else {
                return Err(PyTypeError::new_err("a class that makes no instances"));
            };
            let made: Bound<'py, PyAny> = owned(py, alloc(class, 0))?;
            for (at, value) in self.words.into_iter().zip(values) {
                *made.as_ptr().cast::<*mut ffi::PyObject>().add(at) = value.into_ptr();
            }
            Ok(made)
        }
    }
}

/// The class Decimal, if its instances of up to 19 digits are laid out as was found out about samples.
///
/// An instance is words: the head, its hash as far as it is known, flags, exponent, how many digits there are, how
/// many words they take, how many are there, where they stand, and these. Nothing of that is believed: each word
/// of each sample, made by the class itself, has to be what would be written here.
#[derive(Debug)]
pub struct SmallDecimals {
    class: Py<PyType>,
    flags: u8,
    /// Whether the memory of an instance is asked for as that of all objects is.
    ordinary: bool,
}

impl SmallDecimals {
    const HEAD: usize = size_of::<ffi::PyObject>() / size_of::<usize>();
    /// The words behind the head, of which the last four are digits.
    const WORDS: usize = 11;
    const NEGATIVE: u8 = 1;

    /// Looks at samples; `None` if they are otherwise.
    pub fn of(class: &Bound<'_, PyType>) -> PyResult<Option<Self>> {
        const SAMPLES: [(&str, SmallDecimal); 8] = [
            ("0", SmallDecimal { negative: false, coefficient: 0, exponent: 0 }),
            ("-0.00", SmallDecimal { negative: true, coefficient: 0, exponent: -2 }),
            ("007.50", SmallDecimal { negative: false, coefficient: 750, exponent: -2 }),
            ("-1234567890", SmallDecimal { negative: true, coefficient: 1_234_567_890, exponent: 0 }),
            ("0.0000000000000000001", SmallDecimal { negative: false, coefficient: 1, exponent: -19 }),
            (
                "99999999999999999.99",
                SmallDecimal { negative: false, coefficient: 9_999_999_999_999_999_999, exponent: -2 },
            ),
            (
                "9999999999999999999",
                SmallDecimal { negative: false, coefficient: 9_999_999_999_999_999_999, exponent: 0 },
            ),
            ("-1000000000000000000", SmallDecimal { negative: true, coefficient: 10_u64.pow(18), exponent: 0 }),
        ];
        let object = class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: a live class, whose fields are only read.
        let (size, item, alloc) = unsafe { ((*object).tp_basicsize, (*object).tp_itemsize, (*object).tp_alloc) };
        // SAFETY: as above.
        let collected = unsafe { ffi::PyType_HasFeature(object, ffi::Py_TPFLAGS_HAVE_GC) } != 0;
        let ordinary = !collected
            && alloc.is_some_and(|alloc| std::ptr::fn_addr_eq(alloc, ffi::PyType_GenericAlloc as ffi::allocfunc));
        let words = Self::HEAD + Self::WORDS;
        let plain = item == 0 && alloc.is_some();
        if !LOCKED || !plain || size_of::<usize>() != 8 || size as usize != words * 8 || cfg!(target_endian = "big") {
            return Ok(None);
        }
        let mut found = None;
        for (text, number) in SAMPLES {
            let sample = class.call1((text,))?;
            let address = sample.as_ptr() as usize;
            // SAFETY: a live instance of the class, which has as many bytes; they are only read.
            let content = unsafe { std::slice::from_raw_parts(sample.as_ptr().cast::<usize>(), words) };
            let sign = if number.negative { Self::NEGATIVE } else { 0 };
            let flags = *found.get_or_insert(content[Self::HEAD + 1] as u8 ^ sign);
            let expected = Self { class: class.clone().unbind(), flags, ordinary }.words(number, address);
            let alike =
                content[Self::HEAD..].iter().zip(expected).enumerate().all(|(at, (&word, expected))| match at {
                    // One byte, and others that nobody wrote.
                    1 => word as u8 == expected as u8,
                    // Digits that are not there.
                    8.. => true,
                    _ => word == expected,
                });
            if !alike {
                return Ok(None);
            }
        }
        Ok(found.map(|flags| Self { class: class.clone().unbind(), flags, ordinary }))
    }

    /// What stands behind the head of an instance at this address.
    #[inline(always)]
    fn words(&self, number: SmallDecimal, address: usize) -> [usize; Self::WORDS] {
        let flags = self.flags | if number.negative { Self::NEGATIVE } else { 0 };
        let digits = number.coefficient.checked_ilog10().map_or(1, |log| log as usize + 1);
        let data = address + (Self::HEAD + 7) * size_of::<usize>();
        let coefficient = number.coefficient as usize;
        [usize::MAX, flags.into(), number.exponent as usize, digits, 1, 4, data, coefficient, 0, 0, 0]
    }

    /// A new instance.
    #[inline]
    pub fn make<'py>(&self, py: Python<'py>, number: SmallDecimal) -> Made<'py, PyAny> {
        let class = self.class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: a live class with an allocator, whose instances have as many words as were looked at, and
        // each of them means what it meant in all samples. One that is allocated as all objects are has nothing
        // else in its memory, and all of that is written here.
        unsafe {
            let object = match (*class).tp_alloc {
                Some(_) if self.ordinary => {
                    let object = ffi::PyObject_Malloc(size_of::<[usize; Self::HEAD + Self::WORDS]>());
                    if object.is_null() { ffi::PyErr_NoMemory() } else { ffi::PyObject_Init(object.cast(), class) }
                }
                Some(alloc) => alloc(class, 0),
                None => return Err(Raised::with(py, PyTypeError::new_err("a class that makes no instances"))),
            };
            let made: Bound<'py, PyAny> = owned(py, object)?;
            let words = made.as_ptr().cast::<usize>().add(Self::HEAD).cast::<[usize; Self::WORDS]>();
            *words = self.words(number, made.as_ptr() as usize);
            Ok(made)
        }
    }

    /// The number that an instance holds, if it is one that could have been made here.
    #[inline]
    pub fn read(&self, value: &Bound<'_, PyAny>) -> Option<SmallDecimal> {
        if value.get_type_ptr().cast() != self.class.as_ptr() {
            return None;
        }
        let [_, _, _, _, one, _, data, ..] = self.words(SmallDecimal::default(), value.as_ptr() as usize);
        // SAFETY: a live instance of the class, which never changes, and has as many words as were looked at. Flags,
        // exponent, and where how many words of digits are, are written in all instances. The digits are read
        // only if it is one word of them, and in its place; other flags than the sign are those of other numbers.
        unsafe {
            let word = value.as_ptr().cast::<usize>().add(Self::HEAD);
            let flags = *word.add(1).cast::<u8>();
            let alike = flags & !Self::NEGATIVE == self.flags && *word.add(4) == one && *word.add(6) == data;
            alike.then(|| SmallDecimal {
                negative: flags & Self::NEGATIVE != 0,
                coefficient: *word.add(7) as u64,
                exponent: *word.add(2) as isize,
            })
        }
    }
}

/// The class of datetimes, if its instances are laid out as its header says, which is looked up in samples.
#[derive(Debug)]
pub struct DateTimes(Py<PyType>);

impl DateTimes {
    /// Looks at samples, whose class it is, whatever the module `datetime` calls so by now; `None` if they are
    /// otherwise.
    pub fn of(py: Python<'_>) -> PyResult<Option<Self>> {
        let (utc, class) = (PyTzInfo::utc(py)?, PyDateTime::new(py, 1, 1, 1, 0, 0, 0, 0, None)?.get_type());
        let object = class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: a live class, whose fields are only read.
        let (size, item, alloc) = unsafe { ((*object).tp_basicsize, (*object).tp_itemsize, (*object).tp_alloc) };
        let plain = item == 0 && alloc.is_some() && size as usize == size_of::<ffi::PyDateTime_DateTime>();
        if !LOCKED || !plain {
            return Ok(None);
        }
        let (year, microsecond) = (0x07E8, 0x0C_3456);
        for (zone, fold) in [(None, false), (None, true), (Some(&*utc), true)] {
            let day = Day { year, month: 2, day: 29 };
            let clock = Clock { hour: 23, minute: 58, second: 57, microsecond, fold };
            let sample = PyDateTime::new_with_fold(py, year.into(), 2, 29, 23, 58, 57, microsecond, zone, fold)?;
            let sample = sample.as_ptr().cast::<ffi::PyDateTime_DateTime>();
            // SAFETY: a live instance of the class; only one with a zone has the last field.
            let alike = unsafe {
                (*sample).hashcode == -1
                    && (*sample).hastzinfo == c_char::from(zone.is_some())
                    && (*sample).data == Self::data(day, clock)
                    && (*sample).fold == u8::from(fold)
                    && zone.is_none_or(|zone| (*sample).tzinfo == zone.as_ptr())
            };
            if !alike {
                return Ok(None);
            }
        }
        Ok(Some(Self(class.unbind())))
    }

    #[inline(always)]
    fn data(day: Day, clock: Clock) -> [u8; 10] {
        let ([a, b], [_, high, middle, low]) = (day.year.to_be_bytes(), clock.microsecond.to_be_bytes());
        [a, b, day.month, day.day, clock.hour, clock.minute, clock.second, high, middle, low]
    }

    /// A new instance.
    #[inline]
    pub fn make<'py>(
        &self,
        py: Python<'py>,
        day: Day,
        clock: Clock,
        zone: Option<&Bound<'py, PyTzInfo>>,
    ) -> Made<'py, PyAny> {
        let class = self.0.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: a live class with an allocator, which leaves out the last field where there is no zone. The new
        // instance is nobody else's yet, and its fields are those of the samples.
        unsafe {
            let Some(alloc) = (*class).tp_alloc else {
                return Err(Raised::with(py, PyTypeError::new_err("a class that makes no instances")));
            };
            let made: Bound<'py, PyAny> = owned(py, alloc(class, zone.is_some().into()))?;
            let object = made.as_ptr().cast::<ffi::PyDateTime_DateTime>();
            (*object).hashcode = -1;
            (*object).hastzinfo = zone.is_some().into();
            (*object).data = Self::data(day, clock);
            (*object).fold = clock.fold.into();
            if let Some(zone) = zone {
                (*object).tzinfo = zone.clone().into_ptr();
            }
            Ok(made)
        }
    }
}

/// Where the values of a dict stand in its table, in the order of its keys.
///
/// CPython copies a dict of text keys without holes as one block. So what was found out about one dict
/// holds for its copies, whose values can be written in place, without looking up keys that are known.
/// Nothing about the layout is believed: a sample is searched, and each copy is compared with it.
#[derive(Debug)]
pub struct Layout {
    /// The second word of the table: its size and its kind.
    kind: u64,
    /// The words of the table at which each value stands, its key right before it.
    values: Vec<usize>,
}

impl Layout {
    /// Searches a dict whose values are all different, and looks whether the sample, of the same keys, is
    /// laid out like it. `size`: bytes of the table of either.
    pub fn of(dict: &Bound<'_, PyDict>, sample: &Bound<'_, PyDict>, size: usize) -> Option<Self> {
        let words = size / size_of::<usize>();
        if !LOCKED || size_of::<usize>() != 8 || words < 4 {
            return None;
        }
        let table = |dict: &Bound<'_, PyDict>| {
            // SAFETY: a live dict that nothing else refers to. Its table is one block, whose size the
            // interpreter itself states, and is only read here.
            unsafe {
                let object = dict.as_ptr().cast::<ffi::PyDictObject>();
                let combined = (*object).ma_values.is_null();
                combined.then(|| std::slice::from_raw_parts((*object).ma_keys.cast::<usize>(), words))
            }
        };
        let (searched, copied) = (table(dict)?, table(sample)?);
        let mut values = Vec::new();
        for (key, value) in dict {
            let pair = [key.as_ptr() as usize, value.as_ptr() as usize];
            let mut found = searched.windows(2).enumerate().filter(|(_, window)| *window == pair);
            match (found.next(), found.next()) {
                (Some((at, _)), None) if copied[at] == pair[0] => values.push(at + 1),
                _ => return None,
            }
        }
        // Besides size and kind, the word has bytes that were never written: only a copy has the same.
        Some(Self { kind: copied[1] as u64, values })
    }

    /// Copies the sample, whose last key is `last`, into an empty dict, and puts the values of `items` in place of
    /// those that it has; keys, which are its own, alternate with them. False: the copy is not like the sample, and
    /// has the sample's values.
    #[inline]
    pub fn fill<'py>(
        &self,
        dict: &Bound<'py, PyDict>,
        sample: &Bound<'py, PyDict>,
        last: usize,
        items: &mut impl Iterator<Item = Bound<'py, PyAny>>,
    ) -> Result<bool, Raised<'py>> {
        update(dict, sample)?;
        let Some(&end) = self.values.last() else {
            return Ok(false);
        };
        let object = dict.as_ptr().cast::<ffi::PyDictObject>();
        // SAFETY: a live dict that nothing else uses meanwhile: the lock is held, and no code runs here.
        // Its second word says that its table is as large as that of the sample, and of the same kind.
        // It was copied as one block like the one that was searched, if the last key stands in its place:
        // so at each place stands a reference to a value, which is given back for the new one. The keys that go
        // are those that the table holds, so that no code runs for them either.
        unsafe {
            let table = (*object).ma_keys.cast::<usize>();
            if !(*object).ma_values.is_null() || *table.add(1) as u64 != self.kind || *table.add(end - 1) != last {
                return Ok(false);
            }
            let mut tracked = false;
            for &at in &self.values {
                let (Some(_), Some(value)) = (items.next(), items.next()) else {
                    break;
                };
                tracked |= ffi::PyType_HasFeature(ffi::Py_TYPE(value.as_ptr()), ffi::Py_TPFLAGS_HAVE_GC) != 0;
                let place = table.add(at).cast::<*mut ffi::PyObject>();
                ffi::Py_XDECREF(std::mem::replace(&mut *place, value.into_ptr()));
            }
            if tracked && ffi::PyObject_GC_IsTracked(dict.as_ptr()) == 0 {
                ffi::PyObject_GC_Track(dict.as_ptr().cast());
            }
        }
        Ok(true)
    }
}

/// `dict.update(other)` for two dicts.
#[inline]
pub fn update<'py>(dict: &Bound<'py, PyDict>, other: &Bound<'py, PyDict>) -> Result<(), Raised<'py>> {
    // SAFETY: two live dicts; no reference is taken over.
    done(dict.py(), unsafe { ffi::PyDict_Update(dict.as_ptr(), other.as_ptr()) })
}
