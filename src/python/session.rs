//! Sessions: reading either format with salvage, writing JSON, and the check that what is written can be read.

use std::convert::Infallible;

use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList};

use crate::error::{Cause, Error, ErrorKind, Failure};
use crate::json::{self, Style, Unwritten};
use crate::limits::Limits;
use crate::machine::{self, Decoded, Options};
use crate::policy::Policy;
use crate::sink::salvage::SalvageSink;
use crate::sink::value::{NodeId, ValueSink};
use crate::sink::{Sink, View};
use crate::tree;

use super::memo::Memo;
use super::policy::CompiledPolicy;
use super::sink::PySink;
use super::tree::PyTree;
use super::{caught, compiled, errors, read_limits, readable, unlocked};

/// How a session is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Pickle,
    Json,
}

impl Format {
    /// Told apart by the first byte: none of those that start JSON starts a pickle of any use.
    fn of(data: &[u8]) -> Self {
        match data.first() {
            Some(b'{' | b'[' | b'"' | b'-' | b't' | b'f' | b'n' | b'0'..=b'9' | b' ' | b'\t' | b'\n' | b'\r') => {
                Self::Json
            }
            _ => Self::Pickle,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pickle => "pickle",
            Self::Json => "json",
        }
    }
}

fn decode<'a, S: Sink<'a>>(
    data: &'a [u8],
    format: Format,
    sink: &mut S,
    policy: &Policy,
    limits: &Limits,
) -> Result<S::Value, Failure<S::Error>> {
    match format {
        Format::Json => machine::decode_json(data, sink, policy, limits),
        Format::Pickle => {
            let decoded: Decoded<_> = machine::decode(data, sink, policy, limits, &Options::default())?;
            Ok(decoded.value)
        }
    }
}

/// Reads a pickle, without a report of what is refused.
pub fn read_pickle<'py>(
    data: &[u8],
    mut sink: PySink<'py, '_>,
    policy: &CompiledPolicy,
    limits: &Limits,
) -> Result<Bound<'py, PyAny>, Failure<PyErr>> {
    caught(|| decode(data, Format::Pickle, &mut sink, &policy.core, limits))
}

/// The format of a session by its first byte: `"json"` or `"pickle"`.
#[pyfunction]
pub fn format_of(data: &Bound<'_, PyBytes>) -> &'static str {
    Format::of(data.as_bytes()).name()
}

/// What was read; for each key that was taken out its text and why; and what was refused besides.
type Salvaged<'py> = (Bound<'py, PyAny>, Option<Bound<'py, PyList>>);

/// Reads a session: the value, and a list of (key or None, exception) if something was salvaged from.
#[pyfunction]
#[pyo3(pass_module)]
pub fn read_session<'py>(
    module: &Bound<'py, PyModule>,
    data: &Bound<'py, PyAny>,
    policy: Option<&Bound<'py, PyAny>>,
    limits: Option<&Bound<'py, PyAny>>,
    salvage: bool,
) -> PyResult<Salvaged<'py>> {
    let py = module.py();
    let policy = compiled(module, policy)?;
    let policy = policy.get();
    let limits = read_limits(limits)?;
    let data = readable(data, &limits, policy)?;
    let data = data.as_bytes();
    let format = Format::of(data);
    let mut sink = PySink::new(py, policy, None, None, None);
    let error = match caught(|| decode(data, format, &mut sink, &policy.core, &limits)) {
        Ok(value) => return Ok((value, None)),
        Err(failure) => match failure.cause() {
            Cause::Sink(error) => return Err(error),
            Cause::Pickle(error) if salvage && error.kind().is_about_one_value() => error,
            Cause::Pickle(error) => return Err(errors::raised(py, policy, &error)),
        },
    };
    let mut sink = SalvageSink::new(PySink::new(py, policy, None, None, None));
    let salvaged = caught(|| {
        let root = decode(data, format, &mut sink, &policy.core, &limits)?;
        Ok(sink.prune(&root)?.map(|taken| (root, taken)))
    });
    let (root, taken) = match salvaged {
        Ok(Some(salvaged)) => salvaged,
        // There are no keys to take out.
        Ok(None) => return Err(errors::raised(py, policy, &error)),
        Err(failure) => return Err(raised(py, policy, failure)),
    };
    let keys: Vec<_> = taken.iter().map(|(key, error)| (shown(&sink, key), *error)).collect();
    let raised = sink.into_errors().into_iter().map(|error| errors::raised(py, policy, &error));
    let raised: Vec<_> = raised.map(|error| error.into_value(py).into_bound(py)).collect();
    let refusals = PyList::empty(py);
    for (key, error) in &keys {
        refusals.append((key, raised.get(*error)))?;
    }
    if keys.is_empty() {
        // Nothing that is left holds what was refused.
        refusals.append((None::<&str>, raised.first()))?;
    }
    Ok((root, Some(refusals)))
}

/// A key for a report.
fn shown<'a, 'py>(sink: &SalvageSink<'a, PySink<'py, '_>>, key: &Bound<'py, PyAny>) -> String {
    match sink.inner.view(key) {
        View::Text(text) => text.chars().take(200).collect(),
        View::Int(value) => value.to_string(),
        _ => format!("<{}>", key.get_type().name().map(|name| name.to_string()).unwrap_or_default()),
    }
}

/// What reading would say: (exception, path, message), or None.
pub type Trouble<'py> = Option<(Bound<'py, PyAny>, String, String)>;

/// Checks what is written, without making anything of it.
pub fn checked<'py>(
    py: Python<'py>,
    data: &[u8],
    format: Format,
    policy: &CompiledPolicy,
    limits: &Limits,
) -> PyResult<Trouble<'py>> {
    let core = &policy.core;
    let read: Result<NodeId, Failure<Infallible>> = unlocked(py, data.len(), || {
        let mut sink: ValueSink<'_> = ValueSink::checking();
        caught(|| decode(data, format, &mut sink, core, limits))
    });
    let Err(failure) = read else {
        return Ok(None);
    };
    let Cause::Pickle(error) = failure.cause();
    let (error, path) = trouble(data, format, policy, limits).unwrap_or((error, String::new()));
    Ok(Some(told(py, policy, &error, path)))
}

/// The exception for a failure.
fn raised(py: Python<'_>, policy: &CompiledPolicy, failure: Failure<PyErr>) -> PyErr {
    match failure.cause() {
        Cause::Sink(error) => error,
        Cause::Pickle(error) => errors::raised(py, policy, &error),
    }
}

fn told<'py>(
    py: Python<'py>,
    policy: &CompiledPolicy,
    error: &Error,
    path: String,
) -> (Bound<'py, PyAny>, String, String) {
    let raised = errors::raised(py, policy, error).into_value(py).into_bound(py).into_any();
    (raised, path, error.kind().to_string())
}

/// The first value that can't be read, and where it is.
pub fn trouble(data: &[u8], format: Format, policy: &CompiledPolicy, limits: &Limits) -> Option<(Error, String)> {
    let mut sink: SalvageSink<'_, ValueSink<'_>> = SalvageSink::new(ValueSink::checking());
    let root = caught(|| decode(data, format, &mut sink, &policy.core, limits)).ok()?;
    let mut found = None;
    let path = tree::path(&sink.inner, &root, |value, _| {
        found = if sink.is_source(value) { sink.error_of(value) } else { None };
        found.is_some()
    })?;
    let error = sink.into_errors().into_iter().nth(found?)?;
    Some((error, path))
}

/// Checks that the next pickle of a stream could be read, by reading it.
#[pyfunction]
#[pyo3(pass_module)]
pub fn check_next<'py>(
    module: &Bound<'py, PyModule>,
    data: &Bound<'py, PyBytes>,
    memo: &Bound<'py, Memo>,
    policy: Option<&Bound<'py, PyAny>>,
    limits: Option<&Bound<'py, PyAny>>,
    buffers: Option<Bound<'py, PyIterator>>,
    persistent_load: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let py = module.py();
    let policy = compiled(module, policy)?;
    let policy = policy.get();
    let limits = read_limits(limits)?;
    let mut memo = memo.try_borrow_mut()?;
    let mut sink = PySink::new(py, policy, buffers, persistent_load, None);
    let mut earlier = memo.of(py);
    let options = Options::default();
    let read =
        caught(|| machine::decode_next(data.as_bytes(), &mut sink, &policy.core, &limits, &options, &mut earlier));
    match read {
        Ok(_) => Ok(()),
        Err(failure) => Err(raised(py, policy, failure)),
    }
}

/// Writes tagged JSON; (exception, path, message) if it could not be read back.
#[pyfunction]
#[pyo3(pass_module)]
pub fn write_json<'py>(
    module: &Bound<'py, PyModule>,
    value: &Bound<'py, PyAny>,
    policy: Option<&Bound<'py, PyAny>>,
    limits: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = module.py();
    let policy = compiled(module, policy)?;
    let policy = policy.get();
    let limits = read_limits(limits)?;
    let tree = PyTree::new(py, policy, &limits);
    let style = Style { indent: 0, show: false, max_bytes: limits.bytes, max_depth: limits.depth };
    let written = caught(|| Ok::<_, Failure<PyErr>>(json::encode(&tree, value, style)))
        .unwrap_or_else(|failure| Err(Unwritten { failure, at: None }));
    let written = match written {
        Ok(written) => written,
        Err(Unwritten { failure, at }) => {
            let error = match failure.cause() {
                Cause::Sink(error) => return Err(error),
                Cause::Pickle(error) => error,
            };
            let cycle = matches!(error.kind(), ErrorKind::Cycle);
            let path =
                at.and_then(|at| tree::path(&tree, value, |found, open| if cycle { open } else { found.is(&at) }));
            let inside = tree.inside.take();
            let joined = match (path.unwrap_or_default(), inside) {
                (path, inside) if inside.is_empty() || path.is_empty() => path + &inside,
                (path, inside) if inside.starts_with('[') => path + &inside,
                (path, inside) => format!("{path}.{inside}"),
            };
            return told(py, policy, &error, joined).into_bound_py_any(py);
        }
    };
    let text = written.text();
    let sure = written.sure && machine::surely_read::<ValueSink<'_>>(text.len(), &limits);
    match if sure { None } else { checked(py, text, Format::Json, policy, &limits)? } {
        None => Ok(super::ffi::bytes(py, text)?.into_any()),
        Some(trouble) => trouble.into_bound_py_any(py),
    }
}
