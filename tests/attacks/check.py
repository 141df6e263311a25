"""The check that every case gets: all four ways into the decoder, against the expected outcome."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import ipaddress
import json
import pathlib
import pickle
import pickletools
import time
import types
import uuid
import zoneinfo
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plainpickle
from plainpickle import _core
from tests.attacks.canary import watching
from tests.attacks.case import SECRET, Gives, GivesWhere, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.attacks.case import Case, Outcome

PLAIN_TYPES = frozenset(
    [
        type(None), bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set,
        frozenset, range, datetime.datetime, datetime.date, datetime.time, datetime.timedelta,
        datetime.timezone, zoneinfo.ZoneInfo, decimal.Decimal, fractions.Fraction, uuid.UUID,
        collections.OrderedDict, collections.defaultdict, collections.Counter, collections.deque,
        types.SimpleNamespace, array.array, time.struct_time, pathlib.PurePosixPath,
        pathlib.PureWindowsPath, type(pathlib.Path()), ipaddress.IPv4Address, ipaddress.IPv6Address,
        ipaddress.IPv4Network, ipaddress.IPv6Network, ipaddress.IPv4Interface,
        ipaddress.IPv6Interface, plainpickle.Stub,
    ]
)  # fmt: skip
FACTORIES = (None, int, list, set, dict, str, float, tuple)
GLOBAL_OPCODES = frozenset(
    {
        "GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD", "EXT1",
        "EXT2", "EXT4", "PERSID", "BINPERSID",
    }
)  # fmt: skip


def warm_up() -> None:
    """Lets the standard library load what it loads lazily, so that the canary stays quiet."""
    zone = zoneinfo.ZoneInfo("Europe/Paris")
    day = datetime.datetime(2024, 5, 1, 12, 30, tzinfo=zone)
    values = [
        day, decimal.Decimal(1), uuid.UUID(int=5), fractions.Fraction(1, 3), array.array("i", [1]),
              ipaddress.ip_address("::1"), pathlib.PurePosixPath("a"), collections.deque([1]),
              types.SimpleNamespace(a=1), collections.Counter("a"), time.gmtime(0)]  # fmt: skip
    for protocol in range(6):
        for value in values:
            data = pickle.dumps(value, protocol)
            plainpickle.safe_loads(data)
            plainpickle.sanitize(data)
            plainpickle.inspect(data).to_dict()
            _core.to_json(data)
    for broken in (b"", b"cos\nsystem\n.", b"\x82\x01.", b"N0.", b"("):
        for call in (plainpickle.safe_loads, plainpickle.sanitize, _core.to_json):
            attempt(lambda call=call, broken=broken: call(broken))  # type: ignore[misc]
        plainpickle.inspect(broken).to_dict()


@dataclass
class Result:
    """What one call came to: a value or an error, and the process time it took, in seconds."""

    value: Any = None
    error: plainpickle.UnpicklingError | None = None
    seconds: float = 0.0


def attempt(call: Callable[[], Any]) -> Result:
    """Calls. An exception other than UnpicklingError is the decoder's failure, and travels on."""
    start = time.process_time()
    try:
        return Result(call(), None, time.process_time() - start)
    except plainpickle.UnpicklingError as error:
        seconds = time.process_time() - start
        error.__traceback__ = None
        return Result(None, error, seconds)


def children(value: Any) -> Iterable[Any]:
    """The values inside a value."""
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, (list, tuple, set, frozenset, collections.deque)):
        yield from value
    elif isinstance(value, plainpickle.Stub):
        yield from (value.args, value.state, value.items)
    elif isinstance(value, (datetime.datetime, datetime.time)):
        yield value.tzinfo
    if type(value) in (collections.OrderedDict, types.SimpleNamespace):
        yield from vars(value).values()


def assert_plain(value: Any) -> None:
    """Every value reachable is of a type that the default policy makes, exactly."""
    todo, seen = [value], {}
    while todo:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        if type(value).__module__.startswith("tests.attacks."):
            continue  # made by a build that the case registered
        assert type(value) in PLAIN_TYPES, f"not a plain value: {type(value)}"
        if type(value) is collections.defaultdict:
            assert value.default_factory in FACTORIES
        if type(value) is uuid.UUID:
            assert type(value.int) is int
            assert 0 <= value.int < 1 << 128
        todo.extend(children(value))


def assert_message(error: plainpickle.UnpicklingError, name: str | None = None) -> None:
    """The message is short, printable, and repeats nothing of the payload but a global's name."""
    message = str(error)
    assert len(message) <= 500 + 256
    assert message.isascii(), ascii(message)
    assert message.isprintable(), ascii(message)
    assert SECRET not in message
    assert isinstance(error, (pickle.UnpicklingError, ValueError))
    assert isinstance(error.kind, str)
    assert isinstance(error.offset, int)
    assert error.__cause__ is None or SECRET not in str(error.__cause__)
    assert error.__context__ is None or SECRET not in str(error.__context__)
    if name is not None:
        assert getattr(error, "name", None) == name


def assert_outcome(result: Result, expect: Outcome) -> None:
    """The value or the error is the one that the case expects."""
    if result.error is not None:
        found = result.error
        assert not isinstance(expect, (Gives, GivesWhere)), f"refused a harmless value: {found!r}"
        if isinstance(expect, Refused):
            classes = tuple(getattr(plainpickle, name) for name in expect.errors)
            assert isinstance(found, classes), f"{found!r} is not {expect}"
            assert_message(found, expect.name)
            if expect.limit is not None:
                assert getattr(found, "limit", None) == expect.limit, f"{found!r} is not {expect}"
        return
    assert not isinstance(expect, Refused), f"loaded a {type(result.value)}"
    if isinstance(expect, Gives):
        assert type(result.value) is type(expect.value)
        assert result.value == expect.value
    elif isinstance(expect, GivesWhere):
        assert expect.test(result.value), f"not so: {expect.statement}"


def verdicts(
    case: Case, error: plainpickle.UnpicklingError | None, said: plainpickle.UnpicklingError | None
) -> set[str]:
    """The verdicts that may go with what safe_loads did.

    Inspect reads no zone files, computes no hashes of Python's, and asks no registered class what
    it takes: there it may be content. Its tree shares no small values as Python does, and is
    charged for them: there it may refuse for the memory alone.
    """
    if error is None:
        return {"refused" if getattr(said, "limit", None) == "max_memory" else "clean"}
    found = {"malformed" if isinstance(error, plainpickle.MalformedPickle) else "refused"}
    registered = case.policy is not None and "register" in repr(case.policy())
    if case.reads_zone or registered or getattr(error, "limit", None) == "max_probes":
        found.add("clean")
    return found


def assert_sanitized(data: bytes, payload: bytes) -> None:
    """A sanitized pickle holds no opcode that names, calls or builds anything."""
    assert len(data) <= 16 * len(payload) + (1 << 20)
    if len(data) < 100_000:
        assert not GLOBAL_OPCODES & {opcode.name for opcode, _, _ in pickletools.genops(data)}


def ways_in(case: Case, payload: bytes) -> dict[str, Callable[[], Any]]:
    """The four calls that read a pickle."""
    policy = case.policy() if case.policy else None
    return {
        "safe_loads": lambda: plainpickle.safe_loads(payload, policy=policy),
        "inspect": lambda: plainpickle.inspect(payload, policy=policy),
        "sanitize": lambda: plainpickle.sanitize(payload, policy=policy),
        "to_json": lambda: _core.to_json(payload, policy),
    }


def check(case: Case, folder: Path, *, large: bool = False) -> None:
    """Runs a case through every way in, under the canary, and asserts its outcome."""
    payload = case.payload(large=large)
    expect = case.outcome(large=large)
    results = {}
    with watching(folder, reads_zone=case.reads_zone):
        for name, call in ways_in(case, payload).items():
            results[name] = attempt(call)
    for result in results.values():
        if result.error is not None:
            assert_message(result.error)
    loaded = results["safe_loads"]
    assert_outcome(loaded, expect)
    if loaded.error is None and not large:
        assert_plain(loaded.value)
    report = results["inspect"].value
    assert report is not None, "inspect raised"
    assert report.size == len(payload)
    assert report.verdict in verdicts(case, loaded.error, report.error), (
        f"inspect says {report.verdict} ({report.error!r}), safe_loads {loaded.error!r}"
    )
    assert SECRET not in json.dumps(report.to_dict(), default=repr)
    if isinstance(expect, Refused) and expect.name:
        assert expect.name in [
            f"{use.module}.{use.name}" for use in report.globals if not use.allowed
        ]
    if isinstance(expect, Refused) and not case.policy and report.verdict != "clean":
        assert results["sanitize"].error is not None, "sanitize wrote what safe_loads refuses"
    if results["sanitize"].error is None:
        assert_sanitized(results["sanitize"].value, payload)
    if results["to_json"].error is None:
        assert len(results["to_json"].value) <= 16 * len(payload) + (1 << 20)
        if not large:
            json.loads(results["to_json"].value, parse_int=str)
