//! Writing by stock pickle, checked before it leaves: `dumps` and `dump`, with pickle's own signatures.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::limits::Limits;
use crate::machine::{self, Options};
use crate::sink::value::ValueSink;
use crate::sure::surely_read;

use super::policy::CompiledPolicy;
use super::session::{self, Format};
use super::{Flag, caught, compiled, read_limits};

/// From so many bytes on, other threads run while they are checked.
const DETACHED: usize = 1 << 16;

/// Writes with stock pickle, and checks that the result could be read back.
///
/// Args:
///     obj: what is to be written.
///     protocol: 0 to 5, or negative for the highest; by default ``DEFAULT_PROTOCOL``.
///     fix_imports: whether protocols 0 to 2 are written with Python 2's names.
///     buffer_callback: takes out-of-band buffers, at protocol 5.
///     policy: under which it will be read; by default the policy of the process.
///     limits: under which it will be read; by default ``Limits()``.
///
/// Raises:
///     UnreadableValue: a ``PicklingError`` that says where inside of ``obj`` the trouble is, and
///         which line of policy would admit it.
///     PicklingError: stock pickle can't write it.
#[pyfunction]
#[pyo3(
    pass_module,
    signature = (obj, protocol=None, *, fix_imports=Flag(true), buffer_callback=None, policy=None, limits=None),
    text_signature = "($module, obj, protocol=None, *, fix_imports=True, buffer_callback=None, policy=None, limits=None)"
)]
pub fn dumps<'py>(
    module: &Bound<'py, PyModule>,
    obj: &Bound<'py, PyAny>,
    protocol: Option<&Bound<'py, PyAny>>,
    fix_imports: Flag,
    buffer_callback: Option<&Bound<'py, PyAny>>,
    policy: Option<&Bound<'py, PyAny>>,
    limits: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let policy = compiled(module, policy)?;
    let limits = read_limits(limits)?;
    let data = written(policy.get(), obj, protocol, fix_imports, buffer_callback)?;
    check(&data, policy.get(), &limits)?;
    Ok(data)
}

/// Writes to a binary file, once it is known that all could be read back.
///
/// Raises:
///     TypeError: the file has no ``write``.
///     UnreadableValue: as :func:`dumps`.
#[pyfunction]
#[pyo3(
    pass_module,
    signature = (obj, file, protocol=None, *, fix_imports=Flag(true), buffer_callback=None, policy=None, limits=None),
    text_signature = "($module, obj, file, protocol=None, *, fix_imports=True, buffer_callback=None, policy=None, limits=None)"
)]
#[allow(clippy::too_many_arguments)]
pub fn dump<'py>(
    module: &Bound<'py, PyModule>,
    obj: &Bound<'py, PyAny>,
    file: &Bound<'py, PyAny>,
    protocol: Option<&Bound<'py, PyAny>>,
    fix_imports: Flag,
    buffer_callback: Option<&Bound<'py, PyAny>>,
    policy: Option<&Bound<'py, PyAny>>,
    limits: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    let Some(write) = file.getattr_opt(intern!(module.py(), "write"))? else {
        return Err(PyTypeError::new_err("file must have a 'write' attribute"));
    };
    let data = dumps(module, obj, protocol, fix_imports, buffer_callback, policy, limits)?;
    write.call1((data,)).map(|_| ())
}

/// Raises `UnreadableValue` unless a pickle could be read. Nothing is made of it.
#[pyfunction(name = "check")]
#[pyo3(pass_module)]
pub fn check_written<'py>(
    module: &Bound<'py, PyModule>,
    data: &Bound<'py, PyBytes>,
    policy: Option<&Bound<'py, PyAny>>,
    limits: Option<&Bound<'py, PyAny>>,
) -> PyResult<()> {
    check(data, compiled(module, policy)?.get(), &read_limits(limits)?)
}

/// What stock pickle writes.
fn written<'py>(
    policy: &CompiledPolicy,
    obj: &Bound<'py, PyAny>,
    protocol: Option<&Bound<'py, PyAny>>,
    Flag(fix_imports): Flag,
    buffer_callback: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = obj.py();
    let stock = policy.types.pickle_dumps.bind(py);
    let data = match (protocol, fix_imports, buffer_callback) {
        (None, true, None) => stock.call1((obj,)),
        (Some(protocol), true, None) => stock.call1((obj, protocol)),
        _ => {
            let options = PyDict::new(py);
            options.set_item("fix_imports", fix_imports)?;
            options.set_item("buffer_callback", buffer_callback)?;
            stock.call((obj, protocol), Some(&options))
        }
    };
    Ok(data?.cast_into()?)
}

fn check(data: &Bound<'_, PyBytes>, policy: &CompiledPolicy, limits: &Limits) -> PyResult<()> {
    let (py, bytes, core) = (data.py(), data.as_bytes(), &policy.core);
    if surely_read(bytes, limits) {
        return Ok(());
    }
    let readable = || {
        let mut sink: ValueSink<'_> = ValueSink::checking();
        caught(|| machine::decode(bytes, &mut sink, core, limits, &Options::default())).is_ok()
    };
    if if bytes.len() < DETACHED { readable() } else { py.detach(readable) } {
        return Ok(());
    }
    match session::checked(py, bytes, Format::Pickle, policy, limits)? {
        None => Ok(()),
        Some(trouble) => {
            let class = policy.types.exceptions.bind(py).getattr("UnreadableValue")?;
            Err(PyErr::from_value(class.call_method1("of", (trouble,))?))
        }
    }
}
