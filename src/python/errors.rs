//! Errors of the core as Python exceptions: one conversion, to classes that are written in Python.

use pyo3::exceptions::{PyException, PyMemoryError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{Category, Error, ErrorKind};

use super::policy::CompiledPolicy;

/// The exception for an error of the core.
pub fn raised(py: Python<'_>, policy: &CompiledPolicy, error: &Error) -> PyErr {
    match exception(py, policy, error) {
        Ok(exception) => PyErr::from_value(exception),
        Err(trouble) => trouble,
    }
}

/// The same, once the refusal is reported.
pub fn refused(py: Python<'_>, policy: &CompiledPolicy, error: &Error, payload: &Bound<'_, PyAny>) -> PyErr {
    let raised = raised(py, policy, error);
    match policy.types.refused.bind(py).call1((&raised, payload)) {
        // What logging makes of it changes nothing; being interrupted does.
        Err(trouble) if !trouble.is_instance_of::<PyException>(py) => trouble,
        _ => raised,
    }
}

fn exception<'py>(py: Python<'py>, policy: &CompiledPolicy, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let class = match error.kind().category() {
        Category::Malformed => "MalformedPickle",
        Category::Truncated => "TruncatedPickle",
        Category::Forbidden => "ForbiddenGlobal",
        Category::Limit => "LimitExceeded",
        Category::Unsupported => "UnsupportedOpcode",
        Category::Memory => return Ok(PyMemoryError::new_err(()).into_value(py).into_bound(py).into_any()),
        Category::Internal => "UnpicklingError",
    };
    let fields = PyDict::new(py);
    fields.set_item("kind", error.kind().word())?;
    fields.set_item("offset", error.offset())?;
    fields.set_item("opcode", error.opcode())?;
    if let Some(name) = error.kind().global() {
        fields.set_item("name", name)?;
    }
    if let ErrorKind::Limit(limit) = error.kind() {
        fields.set_item("limit", limit.name())?;
    }
    policy.types.exceptions.bind(py).getattr(class)?.call((error.to_string(),), Some(&fields))
}
