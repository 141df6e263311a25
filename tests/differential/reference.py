"""CPython's unpickler with the names of profile plain allowed and nothing else."""

from __future__ import annotations

import array
import builtins
import codecs
import collections
import datetime
import decimal
import fractions
import ipaddress
import pathlib
import pickle
import time
import types
import uuid
import zoneinfo
from collections.abc import Sequence
from typing import Any


class OutsideReference(pickle.UnpicklingError):
    """A name that profile plain may know (a framework's) but CPython alone cannot build."""


class Guarded(pickle.UnpicklingError):
    """A call that no pickler writes and that the reference must not make."""


def _getattr(owner: Any, name: Any) -> Any:
    if owner is not zoneinfo.ZoneInfo or name != "_unpickle":
        raise Guarded("getattr")
    return zoneinfo.ZoneInfo._unpickle  # type: ignore[attr-defined]


def _reconstructor(cls: Any, base: Any, state: Any) -> Any:
    if (cls, base) != (uuid.UUID, object):
        raise Guarded(f"_reconstructor, state {type(state).__name__}")
    return object.__new__(uuid.UUID)


def _encode(*args: Any) -> bytes:
    if len(args) != 2 or not isinstance(args[1], str) or args[1].lower() not in _LATIN1:
        raise Guarded("encode")
    return codecs.encode(*args)  # type: ignore[no-any-return]


def _fraction(*args: Any) -> fractions.Fraction:
    if not all(isinstance(a, int) or (isinstance(a, str) and "e" not in a.lower()) for a in args):
        raise Guarded("Fraction")  # 1e999999999 would be computed
    return fractions.Fraction(*args)


_LATIN1 = ("latin1", "latin-1", "iso-8859-1", "latin_1", "iso8859-1", "l1", "8859", "cp819")
_BUILTINS = "bool int float complex str bytes bytearray list tuple dict set frozenset range object"
_OWNED = {
    collections: "OrderedDict defaultdict Counter deque",
    datetime: "datetime date time timedelta timezone",
    ipaddress: "IPv4Address IPv6Address IPv4Network IPv6Network IPv4Interface IPv6Interface",
    pathlib: "PurePosixPath PureWindowsPath PosixPath",
    decimal: "Decimal",
    uuid: "UUID SafeUUID",
    types: "SimpleNamespace",
    time: "struct_time",
    array: "array _array_reconstructor",
    zoneinfo: "ZoneInfo",
}
NAMES: dict[tuple[str, str], Any] = {
    **{
        (m, n): getattr(builtins, n) for n in _BUILTINS.split() for m in ("builtins", "__builtin__")
    },
    **{
        (owner.__name__, n): getattr(owner, n)
        for owner, names in _OWNED.items()
        for n in names.split()
    },
    ("__builtin__", "xrange"): range,
    ("__builtin__", "unicode"): str,
    ("__builtin__", "long"): int,
    ("builtins", "getattr"): _getattr,
    ("__builtin__", "getattr"): _getattr,
    ("copyreg", "_reconstructor"): _reconstructor,
    ("copy_reg", "_reconstructor"): _reconstructor,
    ("_codecs", "encode"): _encode,
    ("fractions", "Fraction"): _fraction,
}
for _cls in (pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath):
    NAMES[_cls.__module__, _cls.__name__] = _cls


class _InMemory:
    """A file that shows the whole input at once, so that FRAME means what it means to `loads`."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def readline(self) -> bytes:
        end = self._data.find(b"\n", self._at) + 1
        return self.read((end or len(self._data)) - self._at)

    def peek(self, _size: int) -> bytes:
        return self._data[self._at :]


class _Reference(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return NAMES[module, name]
        except KeyError:
            raise OutsideReference(f"{module}.{name}") from None


def reference_loads(data: bytes, encoding: str = "ASCII", buffers: Sequence[Any] = ()) -> Any:
    """What `pickle.loads` gives, if only names of profile plain occur; else OutsideReference.

    The guarded run comes first: whatever it lets pass is harmless in `pickle.loads`, which alone
    knows which spelling of a module's name goes with which protocol.
    """
    _Reference(_InMemory(data), encoding=encoding, buffers=buffers or None).load()
    return pickle.loads(data, encoding=encoding, buffers=buffers or None)


class NoGlobals(pickle.Unpickler):
    """A stock unpickler that refuses every name."""

    def find_class(self, module: str, name: str) -> Any:
        raise Guarded(f"a global was left: {module}.{name}")
