//! The allowlist: each (module, name) that the default policy knows, the value type it stands for,
//! and the uses in which it may appear.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::sink::{Factory, Ip, Path};

/// The value type behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    // Names that only ever are arguments of others.
    Object,
    Tzinfo,
    Type(Factory),
    // Builtins and what picklers write for them.
    Complex,
    Bytes,
    ByteArray,
    Set,
    FrozenSet,
    Range,
    Encode,
    Reconstructor,
    Getattr,
    // The standard library.
    DateTime,
    Date,
    Time,
    TimeDelta,
    Timezone,
    ZoneInfo,
    Decimal,
    Fraction,
    Uuid,
    OrderedDict,
    DefaultDict,
    Counter,
    Deque,
    Namespace,
    Ip(Ip),
    Path(Path),
    StructTime,
    Array,
    ArrayReconstructor,
    EnumValue,

    // Frameworks, as plain equivalents.
    Text,
    PytzUtc,
    PytzZone,
    PytzFixed,
    Utc,
    OffsetZone,
    LocalZone,
    FileZone,
    Discarded,
    NamedZone,
    FixedZone,
    VariantZone,
    DateTimeFields,
    TimeFields,
    MultiValueDict,
    MultiDict,
    PairsDict,
    CombinedDict,
    PlainDict,
    SortedDict,
    MergeDict,
    PlainList,
    PlainTuple,
    LazyText,
    LazyNumber,
    Gettext(Gettext),
    Money,
    Currency,
    NumpyScalar,
    NumpyDtype,
}

/// Where the text stands in the arguments of a gettext function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gettext {
    /// `gettext(text)`
    Plain,
    /// `pgettext(context, text)`
    Context,
    /// `ngettext(singular, plural, number)`
    Plural,
    /// `npgettext(context, singular, plural, number)`
    ContextPlural,
}

/// May be called with an argument tuple: REDUCE.
pub const CALL: u8 = 1;
/// May be made by NEWOBJ, or by `copyreg._reconstructor`.
pub const NEW: u8 = 2;
/// May be an argument of another name.
pub const ARGUMENT: u8 = 4;

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// The module, as written in the bytes.
    pub module: &'static str,
    /// The name, as written in the bytes.
    pub name: &'static str,
    /// What it stands for.
    pub known: Known,
    /// `CALL`, `NEW`, `ARGUMENT`.
    pub uses: u8,
}

impl Row {
    /// A name that Python 3 has elsewhere, and finds through `fix_imports`.
    pub fn python2(&self) -> bool {
        matches!(self.module, "__builtin__" | "copy_reg")
    }
}

macro_rules! rows {
    ($([$($module:literal)+] $($name:literal)+ => $known:expr, $uses:expr;)*) => {
        // Modules and names of one line are multiplied out when the table is built.
        static LINES: &[(&[&str], &[&str], Known, u8)] = &[$((&[$($module),+], &[$($name),+], $known, $uses)),*];
    };
}

rows! {
    ["builtins" "__builtin__"] "object" => Known::Object, ARGUMENT;
    ["datetime"] "tzinfo" => Known::Tzinfo, CALL | ARGUMENT;
    ["builtins" "__builtin__"] "int" => Known::Type(Factory::Int), ARGUMENT;
    ["__builtin__"] "long" => Known::Type(Factory::Int), ARGUMENT;
    ["builtins" "__builtin__"] "list" => Known::Type(Factory::List), ARGUMENT;
    ["builtins" "__builtin__"] "dict" => Known::Type(Factory::Dict), ARGUMENT;
    ["builtins" "__builtin__"] "str" => Known::Type(Factory::Str), ARGUMENT;
    ["__builtin__"] "unicode" => Known::Type(Factory::Str), ARGUMENT;
    ["builtins" "__builtin__"] "float" => Known::Type(Factory::Float), ARGUMENT;
    ["builtins" "__builtin__"] "tuple" => Known::Type(Factory::Tuple), ARGUMENT;

    ["builtins" "__builtin__"] "complex" => Known::Complex, CALL;
    ["builtins" "__builtin__"] "bytes" => Known::Bytes, CALL | ARGUMENT;
    ["builtins" "__builtin__"] "bytearray" => Known::ByteArray, CALL;
    ["builtins" "__builtin__"] "set" => Known::Set, CALL | ARGUMENT;
    ["builtins" "__builtin__"] "frozenset" => Known::FrozenSet, CALL;
    ["builtins" "__builtin__"] "range" => Known::Range, CALL;
    ["__builtin__"] "xrange" => Known::Range, CALL;
    ["_codecs"] "encode" => Known::Encode, CALL;
    ["copyreg" "copy_reg"] "_reconstructor" => Known::Reconstructor, CALL;
    ["builtins" "__builtin__"] "getattr" => Known::Getattr, CALL;

    ["datetime"] "datetime" => Known::DateTime, CALL;
    ["datetime"] "date" => Known::Date, CALL;
    ["datetime"] "time" => Known::Time, CALL;
    ["datetime"] "timedelta" => Known::TimeDelta, CALL;
    ["datetime"] "timezone" => Known::Timezone, CALL;
    ["zoneinfo" "zoneinfo._zoneinfo" "backports.zoneinfo" "backports.zoneinfo._zoneinfo"] "ZoneInfo" => Known::ZoneInfo, ARGUMENT;
    ["decimal" "_decimal" "cdecimal" "_pydecimal"] "Decimal" => Known::Decimal, CALL;
    ["fractions"] "Fraction" => Known::Fraction, CALL;
    ["uuid"] "UUID" => Known::Uuid, NEW;
    ["collections"] "OrderedDict" => Known::OrderedDict, CALL | ARGUMENT;
    ["collections"] "defaultdict" => Known::DefaultDict, CALL;
    ["collections"] "Counter" => Known::Counter, CALL;
    ["collections"] "deque" => Known::Deque, CALL;
    ["types"] "SimpleNamespace" => Known::Namespace, CALL;
    ["ipaddress"] "IPv4Address" => Known::Ip(Ip::V4Address), CALL;
    ["ipaddress"] "IPv6Address" => Known::Ip(Ip::V6Address), CALL;
    ["ipaddress"] "IPv4Network" => Known::Ip(Ip::V4Network), CALL;
    ["ipaddress"] "IPv6Network" => Known::Ip(Ip::V6Network), CALL;
    ["ipaddress"] "IPv4Interface" => Known::Ip(Ip::V4Interface), CALL;
    ["ipaddress"] "IPv6Interface" => Known::Ip(Ip::V6Interface), CALL;
    ["pathlib" "pathlib._local" "pathlib2"] "PurePosixPath" => Known::Path(Path::PurePosix), CALL;
    ["pathlib" "pathlib._local" "pathlib2"] "PureWindowsPath" => Known::Path(Path::PureWindows), CALL;
    ["pathlib" "pathlib._local" "pathlib2"] "PosixPath" => Known::Path(Path::Posix), CALL;
    ["pathlib" "pathlib._local" "pathlib2"] "WindowsPath" => Known::Path(Path::Windows), CALL;
    ["time"] "struct_time" => Known::StructTime, CALL;
    ["array"] "array" => Known::Array, CALL | ARGUMENT;
    ["array"] "_array_reconstructor" => Known::ArrayReconstructor, CALL;
    ["http"] "HTTPStatus" "HTTPMethod" => Known::EnumValue, CALL;

    ["django.utils.safestring"]
        "SafeString" "SafeText" "SafeUnicode" "SafeBytes" "EscapeString" "EscapeText" "EscapeUnicode" "EscapeBytes"
        => Known::Text, CALL | NEW;
    ["markupsafe" "markupsafe._native" "jinja2" "jinja2.utils" "jinja2._markupsafe" "flask" "werkzeug.utils"] "Markup"
        => Known::Text, CALL | NEW;

    ["pytz"] "_UTC" => Known::PytzUtc, CALL;
    ["pytz"] "_p" => Known::PytzZone, CALL;
    ["pytz"] "FixedOffset" "_FixedOffset" => Known::PytzFixed, CALL;
    ["dateutil.tz" "dateutil.tz.tz"] "tzutc" => Known::Utc, CALL | NEW;
    ["dateutil.tz" "dateutil.tz.tz"] "tzoffset" => Known::OffsetZone, CALL | NEW;
    ["dateutil.tz" "dateutil.tz.tz"] "tzlocal" => Known::LocalZone, CALL | NEW;
    ["dateutil.tz" "dateutil.tz.tz" "dateutil.zoneinfo"] "tzfile" => Known::FileZone, CALL | NEW;
    ["dateutil.tz" "dateutil.tz.tz"] "_ttinfo" => Known::Discarded, NEW;
    ["dateutil.tz._tzfile"] "tzfile" => Known::FileZone, ARGUMENT;
    ["dateutil.tz._tzfile"] "_unpickle" => Known::FileZone, CALL;
    ["dateutil.zoneinfo"] "gettz" => Known::NamedZone, CALL;
    ["django.utils.timezone"] "UTC" => Known::Utc, CALL | NEW;
    ["django.utils.timezone"] "LocalTimezone" => Known::LocalZone, CALL | NEW;
    ["django.utils.timezone" "django.utils.tzinfo"] "FixedOffset" => Known::OffsetZone, CALL | NEW;
    ["iso8601.iso8601"] "Utc" "UTC" => Known::Utc, CALL | NEW;
    ["pendulum.tz.timezone"] "Timezone" => Known::NamedZone, CALL | NEW | ARGUMENT;
    ["pendulum.tz.timezone"] "FixedTimezone" => Known::FixedZone, CALL | NEW;
    ["pendulum.tz.timezone" "pendulum.tz.timezone_info"] "_UTC" => Known::Utc, CALL | NEW;
    ["pendulum.tz.timezone_info"] "TimezoneInfo" => Known::VariantZone, CALL;
    ["pendulum.tz.transition" "pendulum.tz.zoneinfo.transition"] "Transition" => Known::Discarded, NEW;
    ["pendulum.tz.transition_type" "pendulum.tz.zoneinfo.transition_type"] "TransitionType" => Known::Discarded, NEW;
    ["pendulum.datetime"] "DateTime" => Known::DateTimeFields, CALL;
    ["pendulum.pendulum"] "Pendulum" => Known::DateTimeFields, CALL;
    ["pendulum.date"] "Date" => Known::Date, CALL;
    ["pendulum.time"] "Time" => Known::TimeFields, CALL;
    ["pendulum.duration"] "Duration" => Known::TimeDelta, CALL;

    ["django.http" "django.http.request"] "QueryDict" => Known::MultiValueDict, NEW;
    ["django.utils.datastructures"] "MultiValueDict" => Known::MultiValueDict, NEW;
    ["django.utils.datastructures"] "DotExpandedDict" => Known::PlainDict, NEW;
    ["django.utils.datastructures"] "SortedDict" => Known::SortedDict, NEW | CALL;
    ["django.utils.datastructures"] "MergeDict" => Known::MergeDict, NEW;
    ["django.utils.datastructures"] "ImmutableList" => Known::PlainTuple, NEW;
    ["werkzeug" "werkzeug.datastructures" "werkzeug.datastructures.structures"]
        "MultiDict" "OrderedMultiDict" "_OrderedMultiDict" => Known::MultiDict, NEW | CALL;
    ["werkzeug" "werkzeug.datastructures" "werkzeug.datastructures.structures"]
        "ImmutableMultiDict" "ImmutableOrderedMultiDict" "_ImmutableOrderedMultiDict" => Known::PairsDict, NEW | CALL;
    ["werkzeug" "werkzeug.datastructures" "werkzeug.datastructures.structures"]
        "CombinedMultiDict" => Known::CombinedDict, NEW | CALL;
    ["werkzeug" "werkzeug.datastructures" "werkzeug.datastructures.structures"]
        "ImmutableDict" "TypeConversionDict" "ImmutableTypeConversionDict" "CallbackDict" => Known::PlainDict, NEW | CALL;
    ["werkzeug" "werkzeug.datastructures" "werkzeug.datastructures.structures"]
        "ImmutableList" => Known::PlainList, NEW | CALL;

    ["django.utils.functional"] "_lazy_proxy_unpickle" => Known::LazyText, CALL;
    ["django.utils.translation"] "_lazy_number_unpickle" => Known::LazyNumber, CALL;
    ["django.utils.translation"] "gettext" "ugettext" "gettext_noop" "ugettext_noop"
        => Known::Gettext(Gettext::Plain), ARGUMENT;
    ["django.utils.translation"] "pgettext" => Known::Gettext(Gettext::Context), ARGUMENT;
    ["django.utils.translation"] "ngettext" "ungettext" => Known::Gettext(Gettext::Plural), ARGUMENT;
    ["django.utils.translation"] "npgettext" => Known::Gettext(Gettext::ContextPlural), ARGUMENT;

    ["djmoney.money" "moneyed.classes" "moneyed"] "Money" => Known::Money, NEW;
    ["djmoney.models.fields"] "MoneyPatched" => Known::Money, NEW;
    ["moneyed.classes" "moneyed" "djmoney.money"] "Currency" => Known::Currency, NEW | CALL;
    ["numpy.core.multiarray" "numpy._core.multiarray"] "scalar" => Known::NumpyScalar, CALL;
    ["numpy"] "dtype" => Known::NumpyDtype, CALL;
}

/// The row of an exact name.
pub fn lookup(module: &str, name: &str) -> Option<&'static Row> {
    static TABLE: OnceLock<HashMap<(&str, &str), &'static Row>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table = HashMap::new();
        for &(modules, names, known, uses) in LINES {
            for &module in modules {
                for &name in names {
                    // Once in the life of the process.
                    table.insert((module, name), &*Box::leak(Box::new(Row { module, name, known, uses })));
                }
            }
        }
        table
    });
    table.get(&(module, name)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_has_two_rows() {
        let mut seen = std::collections::HashSet::new();
        for (modules, names, _, _) in LINES {
            for module in *modules {
                for name in *names {
                    assert!(seen.insert((module, name)), "{module}.{name}");
                }
            }
        }
    }
}
