//! The memo of an `Unpickler`, which outlives its loads.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::machine::{Earlier, Growth, Kept};

/// What an unpickler's loads so far have memoized.
#[pyclass(module = "plainpickle._core")]
#[derive(Default)]
pub struct Memo {
    entries: Vec<Option<Kept<Py<PyAny>>>>,
    count: usize,
    growth: Growth,
}

#[pymethods]
impl Memo {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn __len__(&self) -> usize {
        self.count
    }

    /// The values by their index.
    fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let values = PyDict::new(py);
        for (index, entry) in self.entries.iter().enumerate() {
            if let Some(Kept::Value(value, ..)) = entry {
                values.set_item(index, value)?;
            }
        }
        Ok(values)
    }

    /// Forgets everything.
    fn clear(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::replace(slf, Self::default())
    }

    /// Replaces what is memoized by the values of a dict, which are trusted, or of another memo.
    pub fn set(slf: &Bound<'_, Self>, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let mut made = Self::default();
        if let Ok(other) = values.cast::<Self>() {
            let other = other.try_borrow()?;
            for (index, entry) in other.entries.iter().enumerate() {
                if let Some(kept) = entry {
                    made.of(py).put(index, bound(py, kept));
                }
            }
            made.growth = other.growth;
        } else if let Ok(values) = values.cast::<PyDict>() {
            for (index, value) in values {
                let index: i64 = index.extract().map_err(|_| PyTypeError::new_err("memo key must be integers"))?;
                let index =
                    usize::try_from(index).map_err(|_| PyValueError::new_err("memo key must be positive integers."))?;
                made.of(py).put(index, Kept::Value(value, 0, 0));
            }
        } else {
            return Err(PyTypeError::new_err("memo must be the memo of an unpickler or a dict"));
        }
        Self::replace(slf, made)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for entry in self.entries.iter().flatten() {
            if let Kept::Value(value, ..) = entry {
                visit.call(value)?;
            }
        }
        Ok(())
    }

    fn __clear__(&mut self) {
        self.entries.clear();
    }
}

impl Memo {
    /// What was there is dropped last: that may run code which looks at this very memo.
    fn replace(slf: &Bound<'_, Self>, made: Self) -> PyResult<()> {
        let before = std::mem::replace(&mut *slf.try_borrow_mut()?, made);
        drop(before);
        Ok(())
    }

    /// The memo for one load.
    pub fn of<'m, 'py>(&'m mut self, py: Python<'py>) -> Opened<'m, 'py> {
        Opened(py, self)
    }
}

/// A memo while the interpreter lock is held.
pub struct Opened<'m, 'py>(Python<'py>, &'m mut Memo);

fn bound<'py>(py: Python<'py>, kept: &Kept<Py<PyAny>>) -> Kept<Bound<'py, PyAny>> {
    match kept {
        Kept::Value(value, depth, levels) => Kept::Value(value.bind(py).clone(), *depth, *levels),
        Kept::Global(global) => Kept::Global(global.clone()),
        Kept::Lost => Kept::Lost,
    }
}

impl<'py> Earlier<Bound<'py, PyAny>> for Opened<'_, 'py> {
    fn size(&self) -> usize {
        self.1.entries.len()
    }
    fn count(&self) -> usize {
        self.1.count
    }
    fn get(&self, index: usize) -> Option<Kept<Bound<'py, PyAny>>> {
        self.1.entries.get(index)?.as_ref().map(|kept| bound(self.0, kept))
    }
    fn put(&mut self, index: usize, kept: Kept<Bound<'py, PyAny>>) -> bool {
        let Opened(_, memo) = self;
        let kept = match kept {
            Kept::Value(value, depth, levels) => Kept::Value(value.unbind(), depth, levels),
            Kept::Global(global) => Kept::Global(global),
            Kept::Lost => Kept::Lost,
        };
        let size = memo.entries.len();
        if memo.entries.try_reserve((index + 1).saturating_sub(size)).is_err() {
            return false;
        }
        if index == size {
            memo.entries.push(Some(kept));
            memo.count += 1;
            return true;
        }
        if index > size {
            memo.entries.resize_with(index + 1, || None);
        }
        memo.count += usize::from(memo.entries[index].is_none());
        memo.entries[index] = Some(kept);
        true
    }
    fn growth(&mut self) -> &mut Growth {
        &mut self.1.growth
    }
}
