//! What files write into: a bytearray, filled up to some point.

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyByteArrayMethods, PyMemoryView, PySlice};

/// From this size on a buffer has `ROOM` at least: growing may copy what is there, and room takes no memory before
/// something is written there.
const LARGE: usize = 1 << 16;
const ROOM: usize = 1 << 21;

/// Nobody else has the bytearray: it is made here, the garbage collector does not know it, and once somebody keeps it or
/// a view of it, another one takes its place. It is never shorter than what is filled.
pub struct Buffer<'py> {
    room: Bound<'py, PyByteArray>,
    filled: usize,
}

impl<'py> Buffer<'py> {
    pub fn of(py: Python<'py>, start: &[u8]) -> PyResult<Self> {
        Ok(Self { room: super::bytearray(py, start)?, filled: start.len() })
    }

    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: so many bytes of the bytearray were written, and nobody else has it and could change it meanwhile.
        unsafe { std::slice::from_raw_parts(self.room.data(), self.filled) }
    }

    pub fn truncate(&mut self, length: usize) {
        self.filled = self.filled.min(length);
    }

    pub fn extend(&mut self, more: &[u8]) -> PyResult<()> {
        self.reserve(more.len())?;
        // SAFETY: there is room for them behind what is filled, and none of it is in `more`, since nobody else has it.
        unsafe { self.room.data().add(self.filled).copy_from_nonoverlapping(more.as_ptr(), more.len()) };
        self.filled += more.len();
        Ok(())
    }

    /// Appends what `readinto` writes, up to `size` bytes. If it is not `trusted` to have written as much as it says, it
    /// finds zeros there, and not what was in memory before.
    pub fn read(&mut self, readinto: &Bound<'py, PyAny>, size: usize, trusted: bool) -> PyResult<()> {
        self.reserve(size)?;
        let (py, end) = (readinto.py(), self.filled + size);
        if !trusted {
            // SAFETY: there is room for so many behind what is filled.
            unsafe { self.room.data().add(self.filled).write_bytes(0, size) };
        }
        let part = PySlice::new(py, self.filled as isize, end as isize, 1);
        let lent = PyMemoryView::from(&self.room)?.get_item(part)?;
        let got = readinto.call1((lent,)).and_then(|got| got.extract::<usize>());
        // Whoever releases the view that he was lent can reach the bytearray behind it, and shorten it.
        if self.room.len() < end {
            self.filled = self.filled.min(self.room.len());
            return Err(PyBufferError::new_err("the file's readinto() must not resize what it writes into"));
        }
        // SAFETY: a live object of so many bytes at least. The lock is held while they are copied.
        unsafe {
            if ffi::Py_REFCNT(self.room.as_ptr()) > 1 {
                self.room = super::bytearray(py, std::slice::from_raw_parts(self.room.data(), end))?;
            }
        }
        self.filled += got?.min(size);
        Ok(())
    }

    fn reserve(&mut self, more: usize) -> PyResult<()> {
        let (length, needed) = (self.room.len(), self.filled.saturating_add(more));
        if needed > length {
            let least = if needed < LARGE { 0 } else { ROOM };
            self.room.resize(needed.max(length.saturating_mul(2)).max(least))?;
        }
        Ok(())
    }
}
