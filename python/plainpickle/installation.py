"""Taking pickle's place in modules that can't be edited."""

from __future__ import annotations

import functools
import pickle
import sys
from importlib import import_module
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPLACED = frozenset({"pickle", "_pickle", "cPickle"})
_READS = tuple(
    vars(pickle)[name] for name in ("load", "loads", "Unpickler", "_load", "_loads", "_Unpickler")
)


class Installation:
    """What :func:`install` replaced. As a context manager it restores at the end."""

    def __init__(self, replaced: list[tuple[ModuleType, Any]]) -> None:
        self._replaced = replaced

    @property
    def modules(self) -> tuple[str, ...]:
        """The names of the modules in which pickle is replaced."""
        return tuple(module.__name__ for module, _ in self._replaced)

    def uninstall(self) -> None:
        """Puts back what was there before; a second call does nothing."""
        while self._replaced:
            module, before = self._replaced.pop()
            vars(module)["pickle"] = before

    def __enter__(self) -> Installation:  # noqa: PYI034  # typing.Self is of 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()


def install(*modules: str | ModuleType) -> Installation:
    """Replaces the global named ``pickle`` by :mod:`plainpickle` in each of these modules.

    Modules are given as objects, or by name, and are then imported. The standard library's own
    module stays as it is. Either all are changed or none.

    Raises:
        ValueError: none is named; or one has no global ``pickle`` that is the standard library's
            module, or keeps pickle elsewhere too, where replacing the global does not reach.
        ImportError: one can't be imported.
    """
    if not modules:
        raise ValueError("install() takes the modules in which pickle is to be replaced")
    found: list[tuple[ModuleType, Any]] = []
    for each in modules:
        module = import_module(each) if isinstance(each, str) else each
        if module.__name__ in _REPLACED or module.__name__.partition(".")[0] == "plainpickle":
            raise ValueError(f"{module.__name__} reads and writes itself: it is not changed")
        before = vars(module).get("pickle")
        if not _is_pickle(before):
            raise ValueError(f"{module.__name__} {_what_instead(module, before)}")
        kept = next(_kept_elsewhere(module), None)
        if kept is not None:
            raise ValueError(
                f"{module.__name__} keeps pickle in {kept} too, where install() does not reach: "
                "set it yourself"
            )
        found.append((module, before))
    for module, _ in found:
        vars(module)["pickle"] = sys.modules["plainpickle"]
    return Installation(found)


def _is_pickle(value: Any) -> bool:
    return issubclass(type(value), ModuleType) and value.__name__ in _REPLACED


def _what_instead(module: ModuleType, before: Any) -> str:
    if before is sys.modules["plainpickle"]:
        return "has plainpickle in pickle's place already"
    if before is not None:
        return "has a global named pickle that is not the standard library's module"
    taken = sorted(name for name, value in vars(module).items() if _reads(value))
    hint = f"; it took {', '.join(taken)} out of it by name" if taken else ""
    return f"has no global named pickle{hint}"


def _kept_elsewhere(module: ModuleType) -> Iterator[str]:
    """Where a module reads with pickle by another way than its global ``pickle``.

    Only types are looked at: a lazy object, such as Django's settings, would wake up if asked for
    an attribute, ``__class__`` among them.
    """
    for name, value in vars(module).items():
        if name != "pickle" and _reads(value):
            yield name
        if not issubclass(type(value), (type, FunctionType)) or value.__module__ != module.__name__:
            continue
        yield from _kept_in_defaults(name, value)
        if issubclass(type(value), type):
            if any(_reads(base) for base in value.__mro__):
                yield f"the base of {name}"
            for attribute, held in vars(value).items():
                if _reads(held):
                    yield f"{name}.{attribute}"
                yield from _kept_in_defaults(f"{name}.{attribute}", held)


def _kept_in_defaults(name: str, value: Any) -> Iterator[str]:
    function = _function_of(value)
    if type(function) is FunctionType:
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        if any(map(_reads, defaults)):
            yield f"the defaults of {name}()"


def _reads(value: Any) -> bool:
    value = _function_of(value)
    if type(value) is functools.partial:
        value = value.func
    return _is_pickle(value) or any(value is each for each in _READS)


def _function_of(value: Any) -> Any:
    """What is inside of a method, or the value itself."""
    is_method = type(value) in (staticmethod, classmethod, MethodType)
    return value.__func__ if is_method else value
