from pickle import (
    DEFAULT_PROTOCOL,
    HIGHEST_PROTOCOL,
    PickleBuffer,
    PickleError,
    PicklingError,
)

from plainpickle import events, profiles
from plainpickle._core import __version__, dump, dumps, load, safe_loads
from plainpickle.default import default_policy, set_default_policy
from plainpickle.exceptions import (
    ForbiddenGlobal,
    LimitExceeded,
    MalformedPickle,
    PolicyError,
    TruncatedPickle,
    UnpicklingError,
    UnreadableValue,
    UnsupportedOpcode,
)
from plainpickle.installation import Installation, install
from plainpickle.limits import Limits
from plainpickle.pickler import Pickler
from plainpickle.policy import Policy
from plainpickle.report import GlobalUse, Report, inspect, sanitize
from plainpickle.stub import Stub
from plainpickle.unpickler import Unpickler

__all__ = [
    "DEFAULT_PROTOCOL",
    "HIGHEST_PROTOCOL",
    "ForbiddenGlobal",
    "GlobalUse",
    "Installation",
    "LimitExceeded",
    "Limits",
    "MalformedPickle",
    "PickleBuffer",
    "PickleError",
    "Pickler",
    "PicklingError",
    "Policy",
    "PolicyError",
    "Report",
    "Stub",
    "TruncatedPickle",
    "Unpickler",
    "UnpicklingError",
    "UnreadableValue",
    "UnsupportedOpcode",
    "__version__",
    "compatible_formats",
    "default_policy",
    "dump",
    "dumps",
    "events",
    "format_version",
    "inspect",
    "install",
    "load",
    "loads",
    "profiles",
    "safe_loads",
    "sanitize",
    "set_default_policy",
]

loads = safe_loads
format_version: str
compatible_formats: list[str]
