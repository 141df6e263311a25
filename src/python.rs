//! The binding: the only part that knows CPython. It owns the functions of `plainpickle._core`.

mod errors;
#[allow(unsafe_code)]
mod ffi;
mod file;
mod keys;
mod memo;
mod policy;
mod report;
mod session;
mod sink;
mod tree;
mod types;
mod unpickler;
mod write;

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::Borrowed;
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};

use crate::error::{Cause, Error, ErrorKind, Failure};
use crate::json::{self, Style};
use crate::limits::{self, Limit, Limits};
use crate::machine::{self, Earlier, Options, Strings};
use crate::plain;
use crate::policy as core_policy;
use crate::sink::globals::GlobalsSink;
use crate::sink::value::{NodeId, ValueSink};

use policy::CompiledPolicy;
use report::Report;
use sink::PySink;
use types::Types;

/// The module behind the package `plainpickle`.
#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use super::memo::Memo;
    #[pymodule_export]
    use super::policy::CompiledPolicy;
    #[pymodule_export]
    use super::report::Report;
    #[pymodule_export]
    use super::session::{check_next, format_of, read_session, write_json};
    #[pymodule_export]
    use super::unpickler::{Unpickler, load};
    #[pymodule_export]
    use super::write::{check_written, dump, dumps};
    #[pymodule_export]
    use super::{hands_over_code, inspect, opcode_table, parse_toml, refusal, safe_loads, sanitize, to_json};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// Decode a pickle into plain Python objects, and never run anything of it.
#[pyfunction]
#[pyo3(
    pass_module,
    signature = (data, /, *, policy=None, limits=None, fix_imports=true, encoding=None, errors="strict", buffers=None, persistent_load=None),
    text_signature = "($module, data, /, *, policy=None, limits=None, fix_imports=True, encoding=None, errors='strict', buffers=None, persistent_load=None)"
)]
#[allow(clippy::too_many_arguments)]
fn safe_loads<'py>(
    module: &Bound<'py, PyModule>,
    data: &Bound<'py, PyAny>,
    policy: Option<&Bound<'py, PyAny>>,
    limits: Option<&Bound<'py, PyAny>>,
    fix_imports: bool,
    encoding: Option<&str>,
    errors: &str,
    buffers: Option<&Bound<'py, PyAny>>,
    persistent_load: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let policy = compiled(module, policy)?;
    let policy = policy.get();
    let limits = read_limits(limits)?;
    let data = match oversized(data, &limits)? {
        None => contiguous(data)?,
        Some((_, error)) => return Err(errors::refused(module.py(), policy, &error, data)),
    };
    let buffers = buffers.filter(|buffers| !buffers.is_none()).map(|buffers| buffers.try_iter()).transpose()?;
    let given = Given { policy, limits, strings: strings(encoding, errors), fix_imports };
    let loaded = given.load(data.as_bytes(), PySink::new(module.py(), policy, buffers, persistent_load, None), None);
    loaded.map_err(|failure| given.raised(failure, &data))
}

/// What the caller gave for one decoding.
struct Given<'g> {
    policy: &'g CompiledPolicy,
    limits: Limits,
    strings: Strings<'g>,
    fix_imports: bool,
}

impl Given<'_> {
    fn load<'py>(
        &self,
        data: &[u8],
        mut sink: PySink<'py, '_>,
        earlier: Option<&mut dyn Earlier<Bound<'py, PyAny>>>,
    ) -> Result<Bound<'py, PyAny>, Failure<PyErr>> {
        let options = Options { strings: self.strings, fix_imports: self.fix_imports };
        let _paused = (data.len() > PAUSE_BYTES && !sink.runs_own_code()).then(|| Paused::new(&sink));
        let decoded = caught(|| match earlier {
            None => machine::decode(data, &mut sink, &self.policy.core, &self.limits, &options),
            Some(earlier) => machine::decode_next(data, &mut sink, &self.policy.core, &self.limits, &options, earlier),
        });
        decoded.map(|decoded| decoded.value)
    }

    /// The exception for a failure, once the refusal is reported.
    fn raised(&self, failure: Failure<PyErr>, data: &Bound<'_, PyBytes>) -> PyErr {
        match failure.cause() {
            Cause::Sink(error) => error,
            Cause::Pickle(error) => errors::refused(data.py(), self.policy, &error, data),
        }
    }
}

/// A flag, for which anything will do that is true or false.
struct Flag(bool);

impl<'a, 'py> FromPyObject<'a, 'py> for Flag {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        value.is_truthy().map(Self)
    }
}

fn strings<'o>(encoding: Option<&'o str>, errors: &'o str) -> Strings<'o> {
    match encoding {
        None => Strings::Context,
        Some("bytes") => Strings::Bytes,
        Some(encoding) => Strings::Coded(encoding, errors),
    }
}

/// Input from which on other threads may run meanwhile. For less, getting the lock back from a busy one takes
/// longer than the work.
const DETACH_BYTES: usize = 1 << 12;

/// Runs `body`, without the interpreter lock where there is enough to do.
fn unlocked<T: Send>(py: Python<'_>, size: usize, body: impl FnOnce() -> T + Send) -> T {
    if size < DETACH_BYTES { body() } else { py.detach(body) }
}

/// Report what a pickle names, and what loading it would say. Never raises for a bad pickle.
///
/// ``data`` is any contiguous bytes-like object. A refused global is recorded, and decoding goes on
/// with an inert placeholder, so that all of them are listed.
#[pyfunction]
#[pyo3(
    pass_module,
    signature = (data, /, *, policy=None, limits=None),
    text_signature = "($module, data, /, *, policy=None, limits=None)"
)]
fn inspect<'py>(
    module: &Bound<'py, PyModule>,
    data: &Bound<'py, PyAny>,
    policy: Option<&Bound<'py, PyAny>>,
    limits: Option<&Bound<'py, PyAny>>,
) -> PyResult<Report> {
    let policy = compiled(module, policy)?;
    let limits = read_limits(limits)?;
    if let Some((size, error)) = oversized(data, &limits)? {
        return Ok(Report::oversized(size, error, policy.unbind()));
    }
    let data = contiguous(data)?;
    let bytes = data.as_bytes();
    let core = &policy.get().core;
    let (found, ended) = unlocked(module.py(), bytes.len(), || {
        let mut sink = GlobalsSink::default();
        let ended = caught(|| machine::decode(bytes, &mut sink, core, &limits, &Options::default()));
        (sink.finish(), ended.map_err(pickle_error))
    });
    Ok(Report::of(bytes, found, ended, policy.unbind()))
}

/// Readable tagged JSON of a pickle; what the policy refuses is shown as an inert stub.
#[pyfunction]
#[pyo3(pass_module, signature = (data, policy=None, limits=None, indent=2))]
fn to_json<'py>(
    module: &Bound<'py, PyModule>,
    data: &Bound<'py, PyAny>,
    policy: Option<&Bound<'py, PyAny>>,
    limits: Option<&Bound<'py, PyAny>>,
    indent: usize,
) -> PyResult<String> {
    let finish = |values: &ValueSink<'_>, root: NodeId, max_bytes| {
        let style = Style { indent: indent.min(8), show: true, max_bytes, max_depth: u64::MAX };
        json::write(values, &root, style).map_err(|unwritten| pickle_error(unwritten.failure))
    };
    converted(module, data, policy, limits, ValueSink::lenient, finish)
}

/// The pickle as plain data in a pickle that names no global.
#[pyfunction]
#[pyo3(pass_module, signature = (data, policy=None, limits=None))]
fn sanitize<'py>(
    module: &Bound<'py, PyModule>,
    data: &Bound<'py, PyAny>,
    policy: Option<&Bound<'py, PyAny>>,
    limits: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let raw = converted(module, data, policy, limits, ValueSink::default, plain::sanitize)?;
    PyBytes::new_with(module.py(), raw.len(), |target| {
        target.copy_from_slice(&raw);
        Ok(())
    })
}

/// Why a policy must not admit a name, or None.
#[pyfunction]
fn refusal(name: &str) -> Option<&'static str> {
    core_policy::refusal(name)
}

/// Whether a name is of a module whose names run code for whoever calls them.
#[pyfunction]
fn hands_over_code(name: &str) -> bool {
    core_policy::hands_over_code(name)
}

/// A policy file's content, as JSON.
#[pyfunction]
fn parse_toml(text: &str) -> PyResult<String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| PyValueError::new_err(error.to_string()))?;
    serde_json::to_string(&table).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Byte, name, protocol, stack before, stack after.
type Row = (u8, &'static str, u8, Vec<&'static str>, Vec<&'static str>);

/// The opcode table: (byte, name, protocol, stack before, stack after) for each row.
#[pyfunction]
fn opcode_table() -> Vec<Row> {
    let rows = crate::opcode::OPCODES.iter();
    rows.map(|row| (row.byte, row.name, row.protocol, row.before.to_vec(), row.after.to_vec())).collect()
}

/// Decodes into a value tree and finishes it, all without the interpreter lock.
fn converted<'py, T: Send>(
    module: &Bound<'py, PyModule>,
    data: &Bound<'py, PyAny>,
    policy: Option<&Bound<'py, PyAny>>,
    limits: Option<&Bound<'py, PyAny>>,
    sink: fn() -> ValueSink<'static>,
    finish: impl Fn(&ValueSink<'_>, NodeId, u64) -> Result<T, Error> + Sync,
) -> PyResult<T> {
    let py = module.py();
    let policy = compiled(module, policy)?;
    let policy = policy.get();
    let limits = read_limits(limits)?;
    let data = readable(data, &limits, policy)?;
    let bytes = data.as_bytes();
    let made = unlocked(py, bytes.len(), || {
        caught(|| {
            let mut values: ValueSink<'_> = sink();
            let decoded = machine::decode(bytes, &mut values, &policy.core, &limits, &Options::default())?;
            let max_bytes =
                limits.output_bytes.saturating_add(Limits::OUTPUT_PER_BYTE.saturating_mul(bytes.len() as u64));
            Ok::<_, Failure<Infallible>>(
                finish(&values, decoded.value, max_bytes).map_err(|error| error.at(decoded.size, None))?,
            )
        })
    });
    made.map_err(|failure| errors::raised(py, policy, &pickle_error(failure)))
}

fn pickle_error(failure: Failure<Infallible>) -> Error {
    let Cause::Pickle(error) = failure.cause();
    error
}

/// Runs `body`; a panic, which no `except Exception` would catch, becomes an error like any other.
fn caught<T, E>(body: impl FnOnce() -> Result<T, Failure<E>>) -> Result<T, Failure<E>> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        Err(ErrorKind::Internal(text.unwrap_or_default().into()).into())
    })
}

/// The policy's table: the caller's, or the default of the process, found at first use.
fn compiled<'py>(
    module: &Bound<'py, PyModule>,
    policy: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, CompiledPolicy>> {
    let py = module.py();
    let compiled = match policy {
        Some(policy) => policy
            .getattr(intern!(py, "_compiled"))
            .map_err(|_| PyTypeError::new_err("policy must be a plainpickle.Policy"))?,
        None => match module.dict().get_item(intern!(py, "_default"))? {
            Some(compiled) => compiled,
            None => {
                let policy = py.import("plainpickle.default")?.getattr("default_policy")?.call0()?;
                let compiled = policy.getattr("_compiled")?;
                module.setattr("_default", &compiled)?;
                compiled
            }
        },
    };
    compiled.cast_into().map_err(Into::into)
}

fn read_limits(limits: Option<&Bound<'_, PyAny>>) -> PyResult<Limits> {
    let mut read = Limits::default();
    let Some(limits) = limits else {
        return Ok(read);
    };
    let fields = [
        (Limit::Bytes, &mut read.bytes),
        (Limit::Memory, &mut read.memory),
        (Limit::Work, &mut read.work),
        (Limit::Depth, &mut read.depth),
        (Limit::KeyDepth, &mut read.key_depth),
        (Limit::Probes, &mut read.probes),
        (Limit::IntBits, &mut read.int_bits),
        (Limit::IntDigits, &mut read.int_digits),
        (Limit::DecimalDigits, &mut read.decimal_digits),
        (Limit::DecimalExponent, &mut read.decimal_exponent),
        (Limit::NameBytes, &mut read.name_bytes),
        (Limit::OutputBytes, &mut read.output_bytes),
    ];
    for (limit, field) in fields {
        let bound: Option<u64> = limits.getattr(limit.name())?.extract()?;
        *field = bound.unwrap_or(u64::MAX);
    }
    Ok(read)
}

/// The bytes of a bytes-like object that is within the limit; anything but `bytes` is copied.
fn readable<'py>(data: &Bound<'py, PyAny>, limits: &Limits, policy: &CompiledPolicy) -> PyResult<Bound<'py, PyBytes>> {
    match oversized(data, limits)? {
        None => contiguous(data),
        Some((_, error)) => Err(errors::raised(data.py(), policy, &error)),
    }
}

/// The size of what has more bytes than the limit allows to be copied, and the error about it.
fn oversized(data: &Bound<'_, PyAny>, limits: &Limits) -> PyResult<Option<(usize, Error)>> {
    if data.is_exact_instance_of::<PyBytes>() {
        return Ok(None);
    }
    let size: usize = PyMemoryView::from(data)?.getattr("nbytes")?.extract()?;
    Ok(limits::check(size as u64, limits.bytes, Limit::Bytes).err().map(|error| (size, error.at(0, None))))
}

fn contiguous<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = data.cast_exact::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let view = PyMemoryView::from(data)?;
    if !view.getattr("contiguous")?.is_truthy()? {
        return Err(PyBufferError::new_err("a contiguous buffer is required"));
    }
    Ok(view.call_method0("tobytes")?.cast_into()?)
}

/// Input from which on the garbage collector is paused: it would walk over the growing result again
/// and again, at a cost that is not linear.
const PAUSE_BYTES: usize = 1 << 16;

/// The garbage collector is off for as long as this lives, if it was on.
struct Paused<'py, 'p>(Python<'py>, Option<&'p Types>);

impl<'py, 'p> Paused<'py, 'p> {
    fn new(sink: &PySink<'py, 'p>) -> Self {
        let (py, types) = (sink.py(), sink.types());
        let enabled = types.gc_is_enabled.bind(py).call0().and_then(|enabled| enabled.is_truthy());
        let paused = matches!(enabled, Ok(true)) && types.gc_disable.bind(py).call0().is_ok();
        Self(py, paused.then_some(types))
    }
}

impl Drop for Paused<'_, '_> {
    fn drop(&mut self) {
        if let Some(types) = self.1 {
            // It takes no arguments and has no way to fail.
            let _ = types.gc_enable.bind(self.0).call0();
        }
    }
}

/// Whether an exception says that a value is wrong, and not that the process is in trouble.
fn is_about_value(error: &PyErr, py: Python<'_>) -> bool {
    use pyo3::exceptions::{PyException, PyMemoryError, PyRecursionError};
    error.is_instance_of::<PyException>(py)
        && !error.is_instance_of::<PyMemoryError>(py)
        && !error.is_instance_of::<PyRecursionError>(py)
}
