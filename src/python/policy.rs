//! A policy as the machine needs it, together with the Python objects that it may hand out.

use pyo3::prelude::*;

use crate::policy::Policy;

use super::keys::Keys;
use super::types::Types;

/// The table behind a `plainpickle.Policy`. Made once; nothing in it changes.
#[pyclass(frozen, module = "plainpickle._core")]
pub struct CompiledPolicy {
    pub core: Policy,
    pub types: Types,
    pub registered: Vec<Py<PyAny>>,
    pub natives: Vec<Py<PyAny>>,
    /// Gives a name of the table and arguments for a framework's own value, or None for another one.
    pub written: Option<Py<PyAny>>,
    /// What dicts of earlier pickles had as keys.
    pub keys: Keys,
}

#[pymethods]
impl CompiledPolicy {
    /// `plain`: names read as plain data; `registered`: names with what the app handed over;
    /// `native`: names of the table with a framework's own builder; `written`: what JSON has for its values.
    #[new]
    #[pyo3(signature = (*, plain, registered, native, written, stub))]
    fn new(
        py: Python<'_>,
        plain: Vec<String>,
        registered: Vec<(String, Py<PyAny>)>,
        native: Vec<(String, Py<PyAny>)>,
        written: Option<Py<PyAny>>,
        stub: bool,
    ) -> PyResult<Self> {
        let mut core = Policy::default();
        let mut natives = Vec::new();
        for (name, builder) in native {
            if !core.native(&name, natives.len() as u32) {
                return Err(pyo3::exceptions::PyValueError::new_err(format!("{name} is no known name")));
            }
            natives.push(builder);
        }
        for name in &plain {
            core.as_plain(name);
        }
        let mut objects = Vec::new();
        for (name, object) in registered {
            core.register(&name, objects.len() as u32);
            objects.push(object);
        }
        if stub {
            core.stub();
        }
        Ok(Self { core, types: Types::resolve(py)?, registered: objects, natives, written, keys: Keys::default() })
    }
}
