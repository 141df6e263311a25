//! Files: the bytes of exactly one pickle, read as C pickle reads them.

use pyo3::exceptions::{PyNotImplementedError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction};

use crate::extent::{Extent, Scan};
use crate::limits::{self, Limit, Limits};

use super::ffi::buffer::Buffer;
use super::policy::CompiledPolicy;
use super::{errors, ffi};

/// The most that is asked for at once, unless as much is there already: a length that the bytes
/// declare is not believed.
const CHUNK: usize = 1 << 20;
/// From here on a file puts the bytes where it is told to: one without `peek`, and CPython's own.
const INTO: usize = 1 << 16;
/// So many bytes, or more, are read without a look at what follows them.
const AHEAD: usize = 1 << 13;

/// A file, and the methods of it that reading needs.
pub struct Source {
    file: Py<PyAny>,
    read: Py<PyAny>,
    readline: Py<PyAny>,
    peek: Option<Py<PyAny>>,
    readinto: Option<Py<PyAny>>,
}

impl Source {
    /// Looks the methods up.
    pub fn of(file: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = file.py();
        let (read, readline) = (file.getattr_opt(intern!(py, "read"))?, file.getattr_opt(intern!(py, "readline"))?);
        let (Some(read), Some(readline)) = (read, readline) else {
            return Err(PyTypeError::new_err("file must have 'read' and 'readline' attributes"));
        };
        let given = |method: Option<Bound<'_, PyAny>>| method.filter(|method| !method.is_none()).map(Bound::unbind);
        Ok(Self {
            file: file.clone().unbind(),
            read: read.unbind(),
            readline: readline.unbind(),
            peek: given(file.getattr_opt(intern!(py, "peek"))?),
            readinto: given(file.getattr_opt(intern!(py, "readinto"))?),
        })
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Self { file, read, readline, peek, readinto } = self;
        visit.call(file)?;
        visit.call(read)?;
        visit.call(readline)?;
        visit.call(peek)?;
        visit.call(readinto)
    }

    /// The bytes of the next pickle; of one that is cut, what is there. The file stands right behind it.
    pub fn next_pickle<'py>(
        &self,
        py: Python<'py>,
        policy: &CompiledPolicy,
        limits: &Limits,
    ) -> PyResult<Gathered<'py>> {
        let file = self.file.bind(py);
        if file.get_type().is(&policy.types.bytes_io) {
            return in_memory(file, policy, limits);
        }
        let mut reading = Reading {
            source: self,
            policy,
            limits,
            peek: self.peek.as_ref().map(|peek| peek.bind(py)),
            own: None,
            data: Gathered::Nothing,
            scan: Scan::default(),
        };
        reading.gather(py)?;
        Ok(reading.data)
    }
}

/// The next pickle of a `BytesIO`: its buffer is looked at, and its position moved.
pub fn in_memory<'py>(file: &Bound<'py, PyAny>, policy: &CompiledPolicy, limits: &Limits) -> PyResult<Gathered<'py>> {
    let py = file.py();
    let start: usize = file.call_method0(intern!(py, "tell"))?.extract()?;
    let value = file.call_method0(intern!(py, "getvalue"))?.cast_into::<PyBytes>()?;
    let rest = value.as_bytes().get(start..).unwrap_or_default();
    let mut scan = Scan::default();
    let (end, needed) = match scan.extent(rest) {
        Extent::End(end) => (end, scan.needed().min(rest.len())),
        _ => (rest.len(), rest.len()),
    };
    file.call_method1(intern!(py, "seek"), (start + end,))?;
    let start = start.min(value.as_bytes().len());
    let data = Gathered::Part(value, start, start + needed);
    bounded(py, policy, limits, needed, &data)?;
    Ok(data)
}

/// An error if a pickle of `size` bytes is too long; `data` is what was read of it.
fn bounded(py: Python<'_>, policy: &CompiledPolicy, limits: &Limits, size: usize, data: &Gathered<'_>) -> PyResult<()> {
    match limits::check(size as u64, limits.bytes, Limit::Bytes) {
        Ok(()) => Ok(()),
        Err(error) => Err(errors::refused(py, policy, &error.at(0, None), data.to_bytes(py)?.as_any())),
    }
}

/// What was read, without a copy where it came at once.
pub enum Gathered<'py> {
    Nothing,
    /// What is between two offsets of a bytes object.
    Part(Bound<'py, PyBytes>, usize, usize),
    Joined(Buffer<'py>),
}

impl<'py> Gathered<'py> {
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Part(bytes, start, end) => bytes.as_bytes().get(*start..*end).unwrap_or_default(),
            Self::Joined(data) => data.as_bytes(),
        }
    }

    /// As an object of its own.
    pub fn to_bytes(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(ffi::bytes(py, self.as_bytes())?)
    }

    fn len(&self) -> usize {
        self.as_bytes().len()
    }

    fn truncate(&mut self, length: usize) {
        match self {
            Self::Nothing => {}
            Self::Part(_, start, end) => *end = (*end).min(start.saturating_add(length)),
            Self::Joined(data) => data.truncate(length),
        }
    }

    /// Appends what the file gave.
    fn push(&mut self, more: Bound<'py, PyBytes>) -> PyResult<()> {
        if self.len() == 0 {
            let end = more.as_bytes().len();
            *self = Self::Part(more, 0, end);
            return Ok(());
        }
        self.join(more.py(), |data| data.extend(more.as_bytes()))
    }

    /// Has more appended to what is there.
    fn join(&mut self, py: Python<'py>, append: impl FnOnce(&mut Buffer<'py>) -> PyResult<()>) -> PyResult<()> {
        let mut data = match std::mem::replace(self, Self::Nothing) {
            Self::Joined(data) => data,
            first => Buffer::of(py, first.as_bytes())?,
        };
        let appended = append(&mut data);
        *self = Self::Joined(data);
        appended
    }
}

/// One pickle on its way out of a file.
struct Reading<'r, 'py> {
    source: &'r Source,
    policy: &'r CompiledPolicy,
    limits: &'r Limits,
    peek: Option<&'r Bound<'py, PyAny>>,
    own: Option<bool>,
    data: Gathered<'py>,
    scan: Scan,
}

impl<'py> Reading<'_, 'py> {
    /// Reads what belongs to the pickle, and not a byte more.
    fn gather(&mut self, py: Python<'py>) -> PyResult<()> {
        let mut found = Extent::Bytes(1);
        loop {
            let before = self.data.len();
            found = match found {
                // The rest of a frame that is longer than what is in it is lost.
                Extent::End(_) => {
                    self.data.truncate(self.scan.needed());
                    return Ok(());
                }
                Extent::Line => {
                    let line = self.line(py)?;
                    let ended = line.as_bytes().last().copied();
                    self.data.push(line)?;
                    match ended {
                        None => return Ok(()),
                        Some(b'\n') => self.scan.extent(self.data.as_bytes()),
                        Some(_) => Extent::Line,
                    }
                }
                Extent::Bytes(missing) => {
                    self.bounded(py, missing)?;
                    let missing = match self.peek {
                        Some(peek) if missing < AHEAD => match self.seen(py, peek, missing)? {
                            Some(known) => known,
                            None => return Ok(()),
                        },
                        _ => missing,
                    };
                    self.read(py, missing)?;
                    match self.data.len() - before {
                        0 => return Ok(()),
                        got if got < missing => Extent::Bytes(missing - got),
                        _ => self.scan.extent(self.data.as_bytes()),
                    }
                }
            };
        }
    }

    /// How many bytes belong to the pickle for certain, by a look at what follows; none if it was read to its end.
    fn seen(&mut self, py: Python<'py>, peek: &Bound<'py, PyAny>, missing: usize) -> PyResult<Option<usize>> {
        let seen = match peek.call1((CHUNK,)) {
            Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => {
                self.peek = None;
                return Ok(Some(missing));
            }
            seen => bytes_of(seen?)?,
        };
        let (before, length) = (self.data.len(), seen.as_bytes().len());
        if length < missing {
            return Ok(Some(missing));
        }
        self.data.push(seen)?;
        let found = self.scan.extent(self.data.as_bytes());
        let more = match found {
            Extent::End(end) => end.saturating_sub(before),
            Extent::Bytes(missing) => length.saturating_add(missing),
            Extent::Line => length,
        };
        bounded(py, self.policy, self.limits, before.saturating_add(more), &self.data)?;
        if !matches!(found, Extent::End(_)) {
            self.data.truncate(before);
            return Ok(Some(more));
        }
        self.data.truncate(self.scan.needed());
        let mut left = more;
        while left > 0 {
            let taken = bytes_of(self.source.read.bind(py).call1((left,))?)?;
            match taken.as_bytes().len() {
                0 => break,
                taken => left = left.saturating_sub(taken),
            }
        }
        Ok(None)
    }

    /// Reads up to so many bytes, in one step.
    fn read(&mut self, py: Python<'py>, missing: usize) -> PyResult<()> {
        let asked = missing.min(self.data.len().max(CHUNK));
        let readinto = self.source.readinto.as_ref().filter(|_| asked >= INTO).map(|readinto| readinto.bind(py));
        let own = readinto.map_or(Ok(false), |readinto| self.is_own(readinto))?;
        match readinto.filter(|_| own || self.peek.is_none()) {
            Some(readinto) => self.data.join(py, |data| data.read(readinto, asked, own)),
            None => self.data.push(bytes_of(self.source.read.bind(py).call1((asked,))?)?),
        }
    }

    /// Whether a method is that of CPython's own files, of the operating system's: what it says is true, and a class
    /// derived from them may have a `read` of its own.
    fn is_own(&mut self, readinto: &Bound<'py, PyAny>) -> PyResult<bool> {
        if let Some(own) = self.own {
            return Ok(own);
        }
        let (py, types) = (readinto.py(), &self.policy.types);
        let own = match readinto.cast::<PyCFunction>() {
            Ok(method) => {
                let file = method.getattr(intern!(py, "__self__"))?;
                let class = file.get_type();
                let buffered = class.is(&types.buffered_reader) || class.is(&types.buffered_random);
                let raw = if buffered { file.getattr(intern!(py, "raw"))? } else { file };
                raw.get_type().is(&types.file_io)
            }
            Err(_) => false,
        };
        self.own = Some(own);
        Ok(own)
    }

    /// Reads one line, or its start if it is too long.
    fn line(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.bounded(py, 0)?;
        let readline = self.source.readline.bind(py);
        if !self.source.file.bind(py).is_instance(self.policy.types.io_base.bind(py))? {
            return bytes_of(readline.call0()?);
        }
        let room = self.limits.bytes.saturating_sub(self.data.len() as u64).saturating_add(1);
        bytes_of(readline.call1((usize::try_from(room).unwrap_or(CHUNK).min(CHUNK),))?)
    }

    /// An error if the pickle is too long with `more` bytes.
    fn bounded(&self, py: Python<'py>, more: usize) -> PyResult<()> {
        bounded(py, self.policy, self.limits, self.data.len().saturating_add(more), &self.data)
    }
}

fn bytes_of(read: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyBytes>> {
    read.cast_into::<PyBytes>().map_err(|error| {
        let class = error.into_inner().get_type().name().map(|name| name.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!("the file's methods must give bytes, not {class}"))
    })
}
