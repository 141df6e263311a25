//! Files: the bytes of exactly one pickle, read as C pickle reads them.

use pyo3::exceptions::{PyNotImplementedError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArrayMethods, PyBytes};

use crate::extent::{Extent, Scan};
use crate::limits::{self, Limit, Limits};

use super::policy::CompiledPolicy;
use super::{errors, ffi};

/// The most that is asked for at once: a length that the bytes declare is not believed.
const CHUNK: usize = 1 << 20;
/// From here on the bytes go straight to where they are gathered.
const INTO: usize = 1 << 16;

/// A file, and the methods of it that reading needs.
#[derive(FromPyObject)]
pub struct Source<'py>(
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyAny>>,
);

impl<'py> Source<'py> {
    /// The bytes of the next pickle; of one that is cut, what is there. The file stands right behind it.
    pub fn next_pickle(&self, policy: &CompiledPolicy, limits: &Limits) -> PyResult<Vec<u8>> {
        let Self(file, _, _, peek, _) = self;
        let py = file.py();
        let bounded = |size: usize, read: &[u8]| match limits::check(size as u64, limits.bytes, Limit::Bytes) {
            Ok(()) => Ok(()),
            Err(error) => Err(errors::refused(py, policy, &error.at(0, None), ffi::bytes(py, read)?.as_any())),
        };
        if file.get_type().is(&policy.types.bytes_io) {
            return self.in_memory(bounded);
        }
        if let Some(peek) = peek {
            match self.peeked(peek, bounded) {
                Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => {}
                read => return read,
            }
        }
        self.exactly(policy, limits, bounded)
    }

    /// From a `BytesIO`: its buffer is looked at, and its position moved.
    fn in_memory(&self, bounded: impl Fn(usize, &[u8]) -> PyResult<()>) -> PyResult<Vec<u8>> {
        let Self(file, ..) = self;
        let start: usize = file.call_method0("tell")?.extract()?;
        let value = file.call_method0("getvalue")?;
        let value = value.cast::<PyBytes>()?.as_bytes();
        let rest = value.get(start..).unwrap_or_default();
        let mut scan = Scan::default();
        let (end, needed) = match scan.extent(rest) {
            Extent::End(end) => (end, scan.needed()),
            _ => (rest.len(), rest.len()),
        };
        file.call_method1("seek", (start + end,))?;
        let rest = rest.get(..needed).unwrap_or_default();
        bounded(needed, rest)?;
        let mut data = Vec::new();
        append(&mut data, rest)?;
        Ok(data)
    }

    /// Through `peek`: only what belongs to the pickle is read.
    fn peeked(&self, peek: &Bound<'py, PyAny>, bounded: impl Fn(usize, &[u8]) -> PyResult<()>) -> PyResult<Vec<u8>> {
        let Self(_, read, ..) = self;
        let mut data = Vec::new();
        let mut scan = Scan::default();
        let mut found = scan.extent(&data);
        loop {
            let mut seen = peek.call1((CHUNK,))?;
            let passed = bytes_of(&seen)?.is_empty();
            if passed {
                // Not the end yet: there was nothing to look at without reading.
                seen = read.call1((1,))?;
            }
            let seen = bytes_of(&seen)?;
            let before = data.len();
            append(&mut data, seen)?;
            found = match found {
                Extent::Bytes(missing) if missing > seen.len() => Extent::Bytes(missing - seen.len()),
                Extent::Line if !seen.contains(&b'\n') => Extent::Line,
                _ => scan.extent(&data),
            };
            let end = if let Extent::End(end) = found { end } else { data.len() };
            bounded(end, &data)?;
            let mut left = if passed { 0 } else { end.saturating_sub(before) };
            while left > 0 {
                let taken = read.call1((left,))?;
                match bytes_of(&taken)?.len() {
                    0 => break,
                    taken => left = left.saturating_sub(taken),
                }
            }
            if seen.is_empty() || matches!(found, Extent::End(_)) {
                data.truncate(scan.needed().max(before));
                return Ok(data);
            }
        }
    }

    /// Without `peek`: never a byte more than the opcodes ask for.
    fn exactly(
        &self,
        policy: &CompiledPolicy,
        limits: &Limits,
        bounded: impl Fn(usize, &[u8]) -> PyResult<()>,
    ) -> PyResult<Vec<u8>> {
        let Self(file, read, readline, _, readinto) = self;
        let io_base = policy.types.io_base.bind(file.py());
        let takes_size = file.is_instance(io_base)?;
        let mut data = Vec::new();
        let mut scan = Scan::default();
        let mut found = scan.extent(&data);
        loop {
            match found {
                // The rest of a frame that is longer than what is in it is lost.
                Extent::End(_) => return Ok(data),
                Extent::Line => {
                    bounded(data.len(), &data)?;
                    let room = limits.bytes.saturating_sub(data.len() as u64).saturating_add(1);
                    let room = usize::try_from(room).unwrap_or(CHUNK).min(CHUNK);
                    let line = if takes_size { readline.call1((room,))? } else { readline.call0()? };
                    let line = bytes_of(&line)?;
                    append(&mut data, line)?;
                    match line.last() {
                        None => return Ok(data),
                        Some(b'\n') => found = scan.extent(&data),
                        Some(_) => {}
                    }
                }
                Extent::Bytes(mut missing) => {
                    bounded(data.len().saturating_add(missing), &data)?;
                    while missing > 0 {
                        let asked = missing.min(CHUNK);
                        let got = match readinto {
                            Some(readinto) if asked >= INTO => {
                                let room = ffi::bytearray(file.py(), &vec![0; asked])?;
                                let got: usize = readinto.call1((&room,))?.extract()?;
                                append(&mut data, room.to_vec().get(..got).unwrap_or_default())?;
                                got.min(asked)
                            }
                            _ => {
                                let got = read.call1((asked,))?;
                                append(&mut data, bytes_of(&got)?)?;
                                bytes_of(&got)?.len()
                            }
                        };
                        if got == 0 {
                            return Ok(data);
                        }
                        missing = missing.saturating_sub(got);
                    }
                    found = scan.extent(&data);
                }
            }
        }
    }
}

fn append(data: &mut Vec<u8>, more: &[u8]) -> PyResult<()> {
    data.try_reserve(more.len()).map_err(|_| pyo3::exceptions::PyMemoryError::new_err(()))?;
    data.extend_from_slice(more);
    Ok(())
}

fn bytes_of<'b>(read: &'b Bound<'_, PyAny>) -> PyResult<&'b [u8]> {
    let text = read.cast::<PyBytes>().map_err(|_| {
        let class = read.get_type().name().map(|name| name.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!("the file's methods must give bytes, not {class}"))
    })?;
    Ok(text.as_bytes())
}
