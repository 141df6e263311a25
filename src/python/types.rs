//! Everything that the binding imports from Python: resolved when a policy is made, held by it, and
//! never by the process, since each interpreter of a process has its own classes.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule, PyType};

use crate::sink::{Factory, Ip, Path};

use super::ffi::{DateTimes, Fields, SmallDecimals};

macro_rules! types {
    ($($field:ident = $module:literal $name:literal;)*) => {
        /// The classes and functions that known values are built with.
        pub struct Types {
            $(pub $field: Py<PyAny>,)*
            /// `plainpickle.exceptions`
            pub exceptions: Py<PyModule>,
            /// `object.__new__`, and `SafeUUID.unknown`.
            pub object_new: Py<PyAny>,
            pub safe_unknown: Py<PyAny>,
            /// `create_decimal` of a context without bounds: what plain digits become, exactly.
            pub plain_decimal: Py<PyAny>,
            /// How a short Decimal is made without its constructor, if it is laid out as expected.
            pub small_decimals: Option<SmallDecimals>,
            /// How a datetime is made without its constructor, if it is laid out as expected.
            pub date_times: Option<DateTimes>,
            /// How a UUID is made without its constructor, if its fields are where they were looked for.
            pub uuid_fields: Option<Fields>,
            /// The zone keys that this system has, looked up when the first zone is met.
            pub zone_keys: PyOnceLock<Py<PyAny>>,
        }

        impl Types {
            /// Imports them all.
            pub fn resolve(py: Python<'_>) -> PyResult<Self> {
                Ok(Self {
                    $($field: py.import($module)?.getattr($name)?.unbind(),)*
                    exceptions: py.import("plainpickle.exceptions")?.unbind(),
                    object_new: py.import("builtins")?.getattr("object")?.getattr("__new__")?.unbind(),
                    safe_unknown: py.import("uuid")?.getattr("SafeUUID")?.getattr("unknown")?.unbind(),
                    plain_decimal: {
                        let decimal = py.import("decimal")?;
                        let bounds = PyDict::new(py);
                        for (name, value) in [("prec", "MAX_PREC"), ("Emax", "MAX_EMAX"), ("Emin", "MIN_EMIN")] {
                            bounds.set_item(name, decimal.getattr(value)?)?;
                        }
                        let context = decimal.getattr("Context")?.call((), Some(&bounds))?;
                        context.getattr("create_decimal")?.unbind()
                    },
                    small_decimals: {
                        let class = py.import("decimal")?.getattr("Decimal")?;
                        SmallDecimals::of(class.cast::<PyType>()?)?
                    },
                    date_times: DateTimes::of(py)?,
                    uuid_fields: {
                        let class = py.import("uuid")?.getattr("UUID")?;
                        Fields::of(class.cast::<PyType>()?, ["int", "is_safe"])?
                    },
                    zone_keys: PyOnceLock::new(),
                })
            }
        }
    };
}

types! {
    object = "builtins" "object";
    int = "builtins" "int";
    list = "builtins" "list";
    set = "builtins" "set";
    dict = "builtins" "dict";
    str = "builtins" "str";
    float = "builtins" "float";
    bytes = "builtins" "bytes";
    tuple = "builtins" "tuple";
    range = "builtins" "range";
    reconstructor = "copyreg" "_reconstructor";
    timezone = "datetime" "timezone";
    zone_info = "zoneinfo" "ZoneInfo";
    available_zones = "zoneinfo" "available_timezones";
    decimal = "decimal" "Decimal";
    fraction = "fractions" "Fraction";
    uuid = "uuid" "UUID";
    safe_uuid = "uuid" "SafeUUID";
    ordered_dict = "collections" "OrderedDict";
    default_dict = "collections" "defaultdict";
    counter = "collections" "Counter";
    deque = "collections" "deque";
    namespace = "types" "SimpleNamespace";
    ipv4_address = "ipaddress" "IPv4Address";
    ipv6_address = "ipaddress" "IPv6Address";
    ipv4_network = "ipaddress" "IPv4Network";
    ipv6_network = "ipaddress" "IPv6Network";
    ipv4_interface = "ipaddress" "IPv4Interface";
    ipv6_interface = "ipaddress" "IPv6Interface";
    pure_posix_path = "pathlib" "PurePosixPath";
    pure_windows_path = "pathlib" "PureWindowsPath";
    posix_path = "pathlib" "PosixPath";
    windows_path = "pathlib" "WindowsPath";
    struct_time = "time" "struct_time";
    array = "array" "array";
    array_reconstructor = "array" "_array_reconstructor";
    gc_is_enabled = "gc" "isenabled";
    gc_disable = "gc" "disable";
    gc_enable = "gc" "enable";
    stub = "plainpickle.stub" "Stub";
    rebuild = "plainpickle.rebuild" "build";
    pickle_dumps = "pickle" "dumps";
    pickle_error = "pickle" "PickleError";
    refused = "plainpickle.events" "refused";
    bytes_io = "io" "BytesIO";
    io_base = "io" "IOBase";
    file_io = "io" "FileIO";
    buffered_reader = "io" "BufferedReader";
    buffered_random = "io" "BufferedRandom";
    text_decoder = "_codecs" "decode";
}

impl Types {
    /// A factory of defaultdict, or a base of `copyreg._reconstructor`.
    pub fn factory(&self, factory: Factory) -> &Py<PyAny> {
        match factory {
            Factory::Int => &self.int,
            Factory::List => &self.list,
            Factory::Set => &self.set,
            Factory::Dict => &self.dict,
            Factory::Str => &self.str,
            Factory::Float => &self.float,
            Factory::Tuple => &self.tuple,
            Factory::Bytes => &self.bytes,
        }
    }

    /// A class of `ipaddress`.
    pub fn ip(&self, ip: Ip) -> &Py<PyAny> {
        match ip {
            Ip::V4Address => &self.ipv4_address,
            Ip::V6Address => &self.ipv6_address,
            Ip::V4Network => &self.ipv4_network,
            Ip::V6Network => &self.ipv6_network,
            Ip::V4Interface => &self.ipv4_interface,
            Ip::V6Interface => &self.ipv6_interface,
        }
    }

    /// A class of `pathlib`; the pure one where this system can't have the other.
    pub fn path(&self, path: Path) -> &Py<PyAny> {
        match path {
            Path::Posix if cfg!(unix) => &self.posix_path,
            Path::Windows if cfg!(windows) => &self.windows_path,
            Path::Posix | Path::PurePosix => &self.pure_posix_path,
            Path::Windows | Path::PureWindows => &self.pure_windows_path,
        }
    }

    /// Whether `class` is the class in `field`.
    pub fn is(field: &Py<PyAny>, class: &Bound<'_, PyType>) -> bool {
        field.as_ptr() == class.as_ptr()
    }
}
