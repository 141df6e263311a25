"""Reads pickles without ever running them: the public names, pickle's own among them.

What not every program uses is imported when it is first asked for. `__init__.pyi` has the types.
"""

from plainpickle._core import __version__, dump, dumps, load, safe_loads

loads = safe_loads

_HOMES = {
    "pickle": (
        "DEFAULT_PROTOCOL",
        "HIGHEST_PROTOCOL",
        "PickleBuffer",
        "PickleError",
        "PicklingError",
        "compatible_formats",
        "format_version",
    ),
    "plainpickle.default": ("default_policy", "set_default_policy"),
    "plainpickle.events": ("events",),
    "plainpickle.exceptions": (
        "ForbiddenGlobal",
        "LimitExceeded",
        "MalformedPickle",
        "PolicyError",
        "TruncatedPickle",
        "UnpicklingError",
        "UnreadableValue",
        "UnsupportedOpcode",
    ),
    "plainpickle.installation": ("Installation", "install"),
    "plainpickle.limits": ("Limits",),
    "plainpickle.pickler": ("Pickler",),
    "plainpickle.policy": ("Policy",),
    "plainpickle.profiles": ("profiles",),
    "plainpickle.report": ("GlobalUse", "Report", "inspect", "sanitize"),
    "plainpickle.stub": ("Stub",),
    "plainpickle.unpickler": ("Unpickler",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: PLE0604  # the names of a dict are text
    "__version__",
    "dump",
    "dumps",
    "load",
    "loads",
    "safe_loads",
    *_HOME,
]


def __getattr__(name):
    """Imports a name's home, at the first use of the name."""
    from importlib import import_module

    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(home)
    value = module if home == f"{__name__}.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
