"""Reads pickles without ever running them: the public names of plainpickle."""

from plainpickle import profiles
from plainpickle._core import __version__, safe_loads
from plainpickle.exceptions import (
    ForbiddenGlobal,
    LimitExceeded,
    MalformedPickle,
    PolicyError,
    TruncatedPickle,
    UnpicklingError,
    UnsupportedOpcode,
)
from plainpickle.limits import Limits
from plainpickle.policy import Policy
from plainpickle.report import GlobalUse, Report, inspect, sanitize
from plainpickle.stub import Stub

__all__ = [
    "ForbiddenGlobal",
    "GlobalUse",
    "LimitExceeded",
    "Limits",
    "MalformedPickle",
    "Policy",
    "PolicyError",
    "Report",
    "Stub",
    "TruncatedPickle",
    "UnpicklingError",
    "UnsupportedOpcode",
    "__version__",
    "inspect",
    "profiles",
    "safe_loads",
    "sanitize",
]
