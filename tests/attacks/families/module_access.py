"""Names that live beside allowed ones, in the same modules."""

from __future__ import annotations

from tests.attacks.case import FORBIDDEN, SECRET, Family
from tests.attacks.ops import glob, pickled, reduced, stack_glob

EXACT = "exact name in the policy table: no module, prefix or wildcard is ever allowed"

NEIGHBOURS = """
collections.__builtins__ collections._sys collections._itemgetter collections._eq
collections.namedtuple collections.UserDict collections.ChainMap collections.abc.Callable
datetime.sys datetime.__loader__ decimal.getcontext decimal.setcontext decimal.localcontext
uuid.os uuid.sys uuid.uuid1 uuid.getnode fractions.sys fractions.operator pathlib.os
pathlib.fnmatch pathlib.Path.cwd zoneinfo.reset_tzpath zoneinfo._tzpath zoneinfo._common
copyreg.add_extension copyreg.pickle copyreg.constructor copyreg.dispatch_table
copyreg._extension_registry copyreg._slotnames copyreg.pickle_complex copy_reg.add_extension
_codecs.decode _codecs.lookup _codecs.register _codecs.charmap_build codecs.open codecs.encode
codecs.decode types.FunctionType types.CodeType types.new_class types.ModuleType
types.GenericAlias types.coroutine ipaddress.functools ipaddress.ip_network time.sleep time.tzset
time.strptime array.__loader__ django.utils.safestring.wraps django.utils.safestring.mark_safe
django.utils.safestring.keep_lazy django.utils.functional.curry django.utils.functional.partition
django.utils.datastructures.copy django.http.request.urlsplit markupsafe.functools
markupsafe.EscapeFormatter pytz.open_resource pytz.sys pytz.timezone pytz.resource_filename
dateutil.tz.tz.os dateutil.tz.gettz dateutil.zoneinfo.get_zonefile_instance
werkzeug.datastructures.json werkzeug.utils.import_string pendulum.timezone
numpy.core.multiarray.fromfile numpy.core.multiarray.frombuffer numpy.load
numpy.testing._private.utils.runstring numpy.core._internal.os moneyed.classes.force_decimal
zoneinfo._zoneinfo.ZoneInfo decimal.Context decimal._decimal.Context
""".split()  # noqa: SIM905 - a table reads best as lines

# All of CPython 3.9 to 3.13 but the constants, which pickle writes as globals.
BUILTINS = """
ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError
BrokenPipeError BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError
ConnectionRefusedError ConnectionResetError DeprecationWarning EOFError EncodingWarning
EnvironmentError Exception ExceptionGroup FileExistsError FileNotFoundError FloatingPointError
FutureWarning GeneratorExit IOError ImportError ImportWarning IndentationError IndexError
InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError
ModuleNotFoundError NameError NotADirectoryError NotImplementedError OSError OverflowError
PendingDeprecationWarning PermissionError ProcessLookupError PythonFinalizationError
RecursionError ReferenceError ResourceWarning RuntimeError RuntimeWarning StopAsyncIteration
StopIteration SyntaxError SyntaxWarning SystemError SystemExit TabError TimeoutError TypeError
UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError
UnicodeWarning UserWarning ValueError Warning ZeroDivisionError __build_class__ __import__
__loader__ abs aiter all anext any ascii bin bool breakpoint bytearray bytes callable chr
classmethod compile complex copyright credits delattr dict dir divmod enumerate eval exec exit
filter float format frozenset getattr globals hasattr hash help hex id input int isinstance
issubclass iter len license list locals map max memoryview min next object oct open ord pow print
property quit range repr reversed round set setattr slice sorted staticmethod str sum super tuple
type vars zip
""".split()  # noqa: SIM905 - a table reads best as lines

family = Family("module-level", "what else lives in a module of which one name is allowed")
for form, name_of in (("global", glob), ("stack-global", stack_glob)):
    family.add(
        f"neighbour-{form}", "Calls something else from a module with an allowed name.", EXACT,
        FORBIDDEN, {name: pickled(reduced(name_of(name), SECRET)) for name in NEIGHBOURS},
    )  # fmt: skip
family.add(
    "bare-builtin", "Leaves a builtin itself as the loaded value.",
    "a global is not a value: no class or function comes out of a load", FORBIDDEN,
    {
        f"{module}.{name}": pickled(glob(f"{module}.{name}"), protocol=2)
        for module in ("builtins", "__builtin__")
        for name in BUILTINS
    },
)  # fmt: skip
family.add(
    "bare-known",
    "Leaves a known class or function itself as the loaded value, alone or in a list.",
    "a global is not a value: no class or function comes out of a load", FORBIDDEN,
    {
        f"{name}-{form}": pickled(glob(name) if form == "alone" else [glob(name)])
        for name in (
            "datetime.datetime", "uuid.UUID", "decimal.Decimal", "collections.OrderedDict",
            "_codecs.encode", "copyreg._reconstructor", "builtins.getattr", "builtins.object",
            "zoneinfo.ZoneInfo", "django.utils.safestring.SafeString",
        )
        for form in ("alone", "in-list")
    },
)  # fmt: skip
