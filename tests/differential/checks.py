"""One input through every public function, against CPython: the facts that must hold."""

from __future__ import annotations

import importlib
import io
import pickle
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable

from .forms import Pickled
from .isomorphism import difference
from .reference import NoGlobals, OutsideReference, reference_loads

MAX_SECONDS = 1.0  # of CPU time, for one call on one input of at most 40 kB


@dataclass(frozen=True)
class Disagreement:
    """What differs on one input: `side` names the fact that failed, and both outcomes."""

    side: str
    ours: str
    cpython: str
    data: bytes

    @property
    def signature(self) -> str:
        """Equal for inputs that fail in the same way: numbers and quoted parts are left out."""
        return " | ".join((self.side, _family(self.ours), _family(self.cpython)))


@dataclass(frozen=True)
class Subject:
    """The functions under test."""

    safe_loads: Callable[..., Any]
    inspect: Callable[..., Any]
    sanitize: Callable[..., bytes]
    to_json: Callable[..., str]
    error: type[Exception]
    limit_error: type[Exception]


def subject(name: str = "plainpickle") -> Subject:
    """The Subject that module `name` is, or holds as attribute ("module:attribute")."""
    module, _, attribute = name.partition(":")
    found = importlib.import_module(module)
    if attribute:
        return getattr(found, attribute)  # type: ignore[no-any-return]
    return Subject(
        found.safe_loads,
        found.inspect,
        found.sanitize,
        found._core.to_json,
        found.UnpicklingError,
        found.LimitExceeded,
    )


class Outcome:
    """The value a call returned, or the exception it raised."""

    __slots__ = ("error", "seconds", "value")

    def __init__(self, call: Callable[[], Any]) -> None:
        self.value, self.error = None, None  # type: Any, BaseException | None
        start = time.thread_time()
        try:
            self.value = call()
        except BaseException as error:  # a PanicException is none of Exception
            self.error = error.with_traceback(None)
        self.seconds = time.thread_time() - start

    @property
    def kind(self) -> str:
        return str(getattr(self.error, "kind", ""))

    def __str__(self) -> str:
        error = self.error
        if error is None:
            return "accepted"
        facts = f"({self.kind}, {getattr(error, 'opcode', '')})" if self.kind else ""
        return ascii(f"{type(error).__name__}{facts}: {error}"[:300])[1:-1]


def graph_disagreements(
    sub: Subject,
    pickled: Pickled,
    *,
    cyclic: bool = False,
    shares: bool = False,
    mark: Callable[[str], None] = lambda _: None,
) -> Iterator[Disagreement]:
    """Checks the pickle of a graph.

    JSON and sanitize cannot show a cycle, and write a shared container out at each of its places:
    they may refuse the one, and run into a limit with the other.
    """
    data, buffers = pickled.data, pickled.buffers
    mark("safe_loads")
    ours = Outcome(lambda: sub.safe_loads(data, buffers=buffers or None))
    mark("reference")
    expected = pickle.loads(data, buffers=buffers)
    mark("compare")
    if ours.error is not None:
        yield Disagreement("graph refused", str(ours), "accepted", data)
    else:
        differs = _difference(expected, ours.value, buffers)
        if differs:
            yield Disagreement("graph differs", differs, "accepted", data)
    if ours.seconds > MAX_SECONDS:
        yield Disagreement("safe_loads slow", f"{ours.seconds:.1f} s", "accepted", data)
    mark("inspect")
    report = Outcome(lambda: sub.inspect(data).verdict)
    if report.value not in (("clean", "refused") if buffers else ("clean",)):  # it has no buffers
        yield Disagreement("inspect", f"{report}: verdict {report.value}", "accepted", data)
    if buffers:
        return
    for name, call in (("to_json", sub.to_json), ("sanitize", sub.sanitize)):
        mark(name)
        made = Outcome(lambda: call(data))
        allowed: tuple[type[Exception], ...] = (
            (sub.error,) if cyclic else (sub.limit_error,) if shares else ()
        )
        if made.error is not None and not isinstance(made.error, allowed):
            yield Disagreement(name, str(made), "accepted", data)
        elif name == "sanitize" and made.error is None:
            yield from _unsafe_output(made.value, data)


def mutant_disagreements(
    sub: Subject,
    data: bytes,
    encoding: str | None = None,
    mark: Callable[[str], None] = lambda _: None,
) -> Iterator[Disagreement]:
    """Checks a damaged pickle: `UnpicklingError` in bounded time, or the value CPython gives."""
    mark("safe_loads")
    ours = Outcome(lambda: sub.safe_loads(data, encoding=encoding))
    mark("inspect")
    report = Outcome(lambda: sub.inspect(data).verdict)
    mark("to_json")
    json = Outcome(lambda: sub.to_json(data))
    mark("sanitize")
    clean = Outcome(lambda: sub.sanitize(data))
    for name, made in (
        ("safe_loads", ours),
        ("inspect", report),
        ("to_json", json),
        ("sanitize", clean),
    ):
        expected = isinstance(made.error, sub.error) and made.kind != "internal"
        if made.error is not None and (name == "inspect" or not expected):
            yield Disagreement(f"{name} raised", str(made), "", data)
        if made.seconds > MAX_SECONDS:
            yield Disagreement(f"{name} slow", f"{made.seconds:.1f} s", "", data)
    if (
        report.value is not None
        and encoding is None
        and (report.value == "clean") != (ours.error is None)
    ):
        yield Disagreement(
            "inspect disagrees with safe_loads", f"{ours}; verdict {report.value}", "", data
        )
    if clean.error is None:
        yield from _unsafe_output(clean.value, data)
    mark("reference")
    theirs = Outcome(lambda: reference_loads(data, encoding or "ASCII"))
    mark("compare")
    if isinstance(theirs.error, OutsideReference):
        return
    if theirs.error is None and ours.error is None:
        differs = _difference(theirs.value, ours.value)
        if differs:
            yield Disagreement("value differs", differs, "accepted", data)
    elif theirs.error is None:
        yield Disagreement("refused by us", str(ours), "accepted", data)
    elif ours.error is None:
        yield Disagreement("accepted by us", "accepted", str(theirs), data)


def _difference(expected: Any, actual: Any, buffers: tuple[Any, ...] = ()) -> str | None:
    found = Outcome(lambda: difference(expected, actual, buffers))
    return found.value if found.error is None else f"the comparison failed: {found}"


def _unsafe_output(output: bytes, data: bytes) -> Iterator[Disagreement]:
    stock = Outcome(lambda: NoGlobals(io.BytesIO(output)).load())
    if stock.error is not None:
        yield Disagreement("sanitize output", f"stock Unpickler: {stock}", "", data)


def _family(line: str) -> str:
    line = re.sub(r"graph(<\w+ \d+>|\[\d+\]|\{\}|\.\w+|\.'[^']*')*", "graph", line)
    return re.sub(r"-?\d+|'[^']*'|\"[^\"]*\"|\[|\]", "#", line)[:160]
