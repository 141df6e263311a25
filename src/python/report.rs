//! What `inspect` gives: the core's report, whose parts become Python objects when they are asked for.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};

use crate::error::{Category, Error, ErrorKind};
use crate::machine::Decoded;
use crate::policy as core_policy;
use crate::report::Report as Found;
use crate::sink::value::NodeId;

use super::errors;
use super::policy::CompiledPolicy;

/// What a pickle consists of, and what loading it under a policy would say.
///
/// Attributes:
///     size: bytes of input.
///     protocol: the protocol it declares, or the highest that one of its opcodes came with.
///     opcodes: how often each opcode occurs.
///     globals: what it names, in the order of first use.
///     trailing_bytes: bytes after STOP.
///     error: what loading would raise first; ``None`` if it would load.
#[pyclass(frozen, module = "plainpickle.report")]
pub struct Report {
    #[pyo3(get)]
    size: usize,
    #[pyo3(get)]
    protocol: u8,
    #[pyo3(get)]
    trailing_bytes: usize,
    /// Nothing in a report that was made of its parts.
    found: Option<(Found, Option<Error>, Py<CompiledPolicy>)>,
    opcodes: PyOnceLock<Py<PyDict>>,
    globals: PyOnceLock<Py<PyTuple>>,
    error: PyOnceLock<Py<PyAny>>,
}

impl Report {
    /// What was found in `data`, and how decoding it ended.
    pub fn of(data: &[u8], found: Found, ended: Result<Decoded<NodeId>, Error>, policy: Py<CompiledPolicy>) -> Self {
        let protocol = match data {
            [0x80, protocol @ 0..=5, ..] => *protocol,
            _ => found.highest_protocol(),
        };
        let (read, mut error) = match ended {
            Ok(decoded) => (decoded.size, None),
            Err(error) => (data.len(), Some(error)),
        };
        // Decoding went on behind a refused name; loading stops at the first.
        if let Some((global, offset)) = found.first_refused()
            && error.as_ref().is_none_or(|error| offset <= error.offset())
        {
            let name = format!("{}.{}", global.module, global.name).into();
            let kind = ErrorKind::ForbiddenGlobal { name, hint: core_policy::hint(&global.module, &global.name) };
            error = Some(Error::from(kind).at(offset, data.get(offset).copied()));
        }
        let parts = (PyOnceLock::new(), PyOnceLock::new(), PyOnceLock::new());
        let found = Some((found, error, policy));
        let (size, trailing_bytes) = (data.len(), data.len() - read);
        Self { size, protocol, trailing_bytes, found, opcodes: parts.0, globals: parts.1, error: parts.2 }
    }

    /// What has more bytes than the limit, and was not looked at.
    pub fn oversized(size: usize, error: Error, policy: Py<CompiledPolicy>) -> Self {
        let ended = Err(error);
        Self { size, trailing_bytes: 0, ..Self::of(&[], Found::default(), ended, policy) }
    }
}

#[pymethods]
impl Report {
    #[classattr]
    fn __match_args__() -> [&'static str; 6] {
        ["size", "protocol", "opcodes", "globals", "trailing_bytes", "error"]
    }

    #[new]
    fn new(
        py: Python<'_>,
        size: usize,
        protocol: u8,
        opcodes: Py<PyDict>,
        globals: Py<PyTuple>,
        trailing_bytes: usize,
        error: Py<PyAny>,
    ) -> Self {
        let made = Self {
            size,
            protocol,
            trailing_bytes,
            found: None,
            opcodes: PyOnceLock::new(),
            globals: PyOnceLock::new(),
            error: PyOnceLock::new(),
        };
        // They are empty.
        let _ = (made.opcodes.set(py, opcodes), made.globals.set(py, globals), made.error.set(py, error));
        made
    }

    #[getter]
    fn opcodes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let made = self.opcodes.get_or_try_init(py, || {
            let opcodes = PyDict::new(py);
            for (name, count) in self.found.iter().flat_map(|(found, ..)| found.opcodes()) {
                opcodes.set_item(name, count)?;
            }
            Ok::<_, PyErr>(opcodes.unbind())
        });
        Ok(made?.bind(py).clone())
    }

    #[getter]
    fn globals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let made = self.globals.get_or_try_init(py, || {
            let uses = PyList::empty(py);
            if let Some((found, ..)) = &self.found {
                let class = py.import("plainpickle.report")?.getattr("GlobalUse")?;
                for used in found.globals() {
                    let offsets = PyTuple::new(py, used.offsets)?;
                    uses.append(class.call1((&*used.module, &*used.name, used.count, offsets, used.allowed))?)?;
                }
            }
            Ok::<_, PyErr>(uses.to_tuple().unbind())
        });
        Ok(made?.bind(py).clone())
    }

    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        let made = self.error.get_or_init(py, || match &self.found {
            Some((_, Some(error), policy)) => errors::raised(py, policy.get(), error).into_value(py).into_any(),
            _ => py.None(),
        });
        made.bind(py).clone()
    }

    /// ``"clean"``, ``"refused"`` by the policy or a limit, or ``"malformed"``.
    #[getter]
    fn verdict(&self, py: Python<'_>) -> PyResult<&'static str> {
        let malformed = match &self.found {
            Some((_, None, _)) => return Ok("clean"),
            Some((_, Some(error), _)) => matches!(error.kind().category(), Category::Malformed | Category::Truncated),
            None => {
                let error = self.error(py);
                if error.is_none() {
                    return Ok("clean");
                }
                error.is_instance(&py.import("plainpickle.exceptions")?.getattr("MalformedPickle")?)?
            }
        };
        Ok(if malformed { "malformed" } else { "refused" })
    }

    /// The report as plain data, ready for JSON.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = PyDict::new(py);
        report.set_item("verdict", self.verdict(py)?)?;
        report.set_item("size", self.size)?;
        report.set_item("protocol", self.protocol)?;
        report.set_item("opcodes", self.opcodes(py)?.copy()?)?;
        let uses = PyList::empty(py);
        for used in self.globals(py)? {
            let fields = PyDict::new(py);
            for name in ["module", "name", "count"] {
                fields.set_item(name, used.getattr(name)?)?;
            }
            fields.set_item("offsets", used.getattr("offsets")?.try_iter()?.collect::<PyResult<Vec<_>>>()?)?;
            fields.set_item("allowed", used.getattr("allowed")?)?;
            uses.append(fields)?;
        }
        report.set_item("globals", uses)?;
        report.set_item("trailing_bytes", self.trailing_bytes)?;
        let error = self.error(py);
        if error.is_none() {
            report.set_item("error", error)?;
        } else {
            let fields = PyDict::new(py);
            for name in ["kind", "offset", "opcode"] {
                fields.set_item(name, error.getattr(name)?)?;
            }
            fields.set_item("message", error.str()?)?;
            report.set_item("error", fields)?;
        }
        Ok(report)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = other.py();
        match other.cast::<Self>() {
            Ok(other) => self.parts(py)?.rich_compare(other.get().parts(py)?, pyo3::pyclass::CompareOp::Eq),
            Err(_) => Ok(py.NotImplemented().into_bound(py)),
        }
        .map(Bound::unbind)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let parts = self.parts(py)?;
        let names = Self::__match_args__().into_iter().zip(parts);
        let parts: PyResult<Vec<_>> = names.map(|(name, part)| Ok(format!("{name}={}", part.repr()?))).collect();
        Ok(format!("Report({})", parts?.join(", ")))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        Ok((py.get_type::<Self>(), self.parts(py)?))
    }
}

impl Report {
    /// What a report is made of.
    fn parts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let (opcodes, globals, error) = (self.opcodes(py)?, self.globals(py)?, self.error(py));
        (self.size, self.protocol, opcodes, globals, self.trailing_bytes, error).into_pyobject(py)
    }
}
