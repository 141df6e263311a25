//! Reading from files: what is behind `Unpickler`, and `load`, with pickle's own signatures.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyIterator, PyString, PyTuple};

use crate::error::ErrorKind;
use crate::limits::Limits;
use crate::machine::Earlier;
use crate::policy::{self, Target};

use super::file::{self, Gathered, Source};
use super::memo::Memo;
use super::policy::CompiledPolicy;
use super::sink::PySink;
use super::{Flag, Given, compiled, errors, ffi, read_limits, strings};

/// What is behind `plainpickle.Unpickler`. Only a class that is written in Python may have a `__dict__`: CPython
/// 3.11 makes it before pyo3 has filled the object, and the garbage collector may look at it then.
#[pyclass(subclass, module = "plainpickle._core")]
pub struct Unpickler {
    opened: Option<Opened>,
    /// The policy's table, once it is needed: until then the default may be set.
    compiled: PyOnceLock<Py<CompiledPolicy>>,
    memo: Py<Memo>,
}

/// What `__init__` was given.
struct Opened {
    source: Source,
    policy: Option<Py<PyAny>>,
    limits: Limits,
    fix_imports: bool,
    encoding: Option<String>,
    errors: String,
    buffers: Option<Py<PyIterator>>,
}

#[pymethods]
impl Unpickler {
    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(file, *, policy=None, limits=None, fix_imports=True, encoding=None, errors='strict', buffers=None)"
    )]
    fn new(py: Python<'_>, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Ok(Self { opened: None, compiled: PyOnceLock::new(), memo: Py::new(py, Memo::default())? })
    }

    #[pyo3(signature = (file, *, policy=None, limits=None, fix_imports=Flag(true), encoding=None, errors="strict", buffers=None))]
    #[allow(clippy::too_many_arguments)]
    fn __init__(
        slf: &Bound<'_, Self>,
        file: &Bound<'_, PyAny>,
        policy: Option<Py<PyAny>>,
        limits: Option<&Bound<'_, PyAny>>,
        fix_imports: Flag,
        encoding: Option<String>,
        errors: &str,
        buffers: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let opened = Opened {
            source: Source::of(file)?,
            policy,
            limits: read_limits(limits)?,
            fix_imports: fix_imports.0,
            encoding,
            errors: errors.to_owned(),
            buffers: iterated(buffers)?.map(Bound::unbind),
        };
        let memo = Py::new(slf.py(), Memo::default())?;
        let mut this = slf.try_borrow_mut()?;
        let before = std::mem::replace(&mut *this, Self { opened: Some(opened), compiled: PyOnceLock::new(), memo });
        drop(this);
        // It may run code that looks at this very object.
        drop(before);
        Ok(())
    }

    /// Reads the next pickle; what earlier ones memoized is known to it.
    ///
    /// Exactly one pickle is consumed: the file stands right behind its STOP.
    ///
    /// Raises:
    ///     EOFError: the file has no more bytes.
    ///     UnpicklingError: as :func:`plainpickle.safe_loads`.
    fn load<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let find_class = overridden(slf, intern!(py, "find_class"))?;
        let persistent_load = overridden(slf, intern!(py, "persistent_load"))?;
        let this = slf.try_borrow()?;
        let Some(opened) = &this.opened else {
            let name = slf.get_type().name()?;
            let message = format!("Unpickler.__init__() was not called by {name}.__init__()");
            let class = py.import("plainpickle.exceptions")?.getattr("UnpicklingError")?;
            return Err(PyErr::from_value(class.call1((message,))?));
        };
        let policy = this.policy(py)?.get();
        let mut memo = this.memo.bind(py).try_borrow_mut()?;
        let data = opened.source.next_pickle(py, policy, &opened.limits)?;
        let buffers = opened.buffers.as_ref().map(|buffers| buffers.bind(py).clone());
        let sink = PySink::new(py, policy, buffers, persistent_load, find_class);
        let strings = strings(opened.encoding.as_deref(), &opened.errors);
        let given = Given { policy, limits: opened.limits, strings, fix_imports: opened.fix_imports };
        decoded(py, &given, &data, sink, Some(&mut memo.of(py)))
    }

    /// What the policy registers under a name; a subclass may give something else for it.
    ///
    /// It is asked for registered names only, never for those of the allowlist or for others.
    ///
    /// Raises:
    ///     ForbiddenGlobal: the policy registers no such name.
    #[pyo3(signature = (module, name, /))]
    fn find_class<'py>(&self, py: Python<'py>, module: &str, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let policy = self.policy(py)?.get();
        if let Some(Target::Registered(index)) = policy.core.lookup(module, name, false)
            && let Some(found) = policy.registered.get(index as usize)
        {
            return Ok(found.bind(py).clone());
        }
        let name = policy::escaped(module, name);
        let fields = PyDict::new(py);
        fields.set_item("kind", "forbidden_global")?;
        fields.set_item("name", &*name)?;
        let class = policy.types.exceptions.bind(py).getattr("ForbiddenGlobal")?;
        Err(PyErr::from_value(class.call((format!("{name} is not registered"),), Some(&fields))?))
    }

    /// What a persistent id stands for; a subclass may know.
    ///
    /// Raises:
    ///     UnsupportedOpcode: always.
    #[pyo3(signature = (pid, /))]
    fn persistent_load(&self, py: Python<'_>, pid: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let _ = pid;
        Err(errors::raised(py, self.policy(py)?.get(), &ErrorKind::PersistentId.into()))
    }

    /// What was memoized so far: ``copy()`` gives a dict by index, ``clear()`` forgets it.
    #[getter]
    fn memo(&self, py: Python<'_>) -> Py<Memo> {
        self.memo.clone_ref(py)
    }

    #[setter]
    fn set_memo(&self, values: &Bound<'_, PyAny>) -> PyResult<()> {
        Memo::set(self.memo.bind(values.py()), values)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.memo)?;
        let Some(opened) = &self.opened else { return Ok(()) };
        opened.source.traverse(&visit)?;
        visit.call(&opened.policy)?;
        visit.call(&opened.buffers)
    }

    fn __clear__(&mut self) {
        self.opened = None;
    }
}

impl Unpickler {
    /// The policy's table.
    fn policy<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, CompiledPolicy>> {
        let policy = self.opened.as_ref().and_then(|opened| opened.policy.as_ref()).map(|policy| policy.bind(py));
        let table = self.compiled.get_or_try_init(py, || {
            let module = ffi::imported(intern!(py, "plainpickle._core"))?;
            compiled(&module, policy).map(Bound::unbind)
        })?;
        Ok(table.bind(py))
    }
}

/// The method of that name, unless it is this class's own.
fn overridden<'py>(slf: &Bound<'py, Unpickler>, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let method = slf.getattr(name)?;
    // What is bound to this object and not written in Python can only be the class's own.
    let own = match method.cast::<PyCFunction>() {
        Ok(method) => method.getattr(intern!(slf.py(), "__self__"))?.is(slf),
        Err(_) => false,
    };
    Ok((!own).then_some(method))
}

/// Reads one pickle from a binary file, as :class:`Unpickler` does.
///
/// ``persistent_load`` is called with each persistent id; what it gives is used as it is.
///
/// Raises:
///     EOFError: the file has no more bytes.
///     UnpicklingError: as :func:`plainpickle.safe_loads`.
#[pyfunction]
#[pyo3(
    pass_module,
    signature = (file, *, policy=None, limits=None, fix_imports=Flag(true), encoding=None, errors="strict", buffers=None, persistent_load=None),
    text_signature = "($module, file, *, policy=None, limits=None, fix_imports=True, encoding=None, errors='strict', buffers=None, persistent_load=None)"
)]
#[allow(clippy::too_many_arguments)]
pub fn load<'py>(
    module: &Bound<'py, PyModule>,
    file: &Bound<'py, PyAny>,
    policy: Option<&Bound<'py, PyAny>>,
    limits: Option<&Bound<'py, PyAny>>,
    fix_imports: Flag,
    encoding: Option<&str>,
    errors: &str,
    buffers: Option<&Bound<'py, PyAny>>,
    persistent_load: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = module.py();
    let policy = compiled(module, policy)?;
    let policy = policy.get();
    let limits = read_limits(limits)?;
    let data = match file.get_type().is(&policy.types.bytes_io) {
        true => file::in_memory(file, policy, &limits)?,
        false => Source::of(file)?.next_pickle(py, policy, &limits)?,
    };
    let given = Given { policy, limits, strings: strings(encoding, errors), fix_imports: fix_imports.0 };
    decoded(py, &given, &data, PySink::new(py, policy, iterated(buffers)?, persistent_load, None), None)
}

/// The value of a pickle that was read.
fn decoded<'py>(
    py: Python<'py>,
    given: &Given<'_>,
    data: &Gathered<'py>,
    sink: PySink<'py, '_>,
    earlier: Option<&mut dyn Earlier<Bound<'py, PyAny>>>,
) -> PyResult<Bound<'py, PyAny>> {
    given.load(data.as_bytes(), sink, earlier).map_err(|failure| match data.to_bytes(py) {
        Ok(data) => given.raised(failure, &data),
        Err(error) => error,
    })
}

fn iterated<'py>(buffers: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyIterator>>> {
    buffers.map(|buffers| buffers.try_iter()).transpose()
}
