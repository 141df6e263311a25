"""pickle's own face: the same signatures and names, files of every kind, subclasses, the memo.

Where stock pickle is the measure, a test runs on both modules; its result is the same.
"""

from __future__ import annotations

import builtins
import bz2
import contextlib
import copyreg
import gc
import gzip
import inspect
import io
import lzma
import mmap
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import plainpickle
from plainpickle import Limits, Policy
from tests.differential.isomorphism import difference
from tests.differential.mutants import mutants

HERE = __name__
ROOT = Path(__file__).parents[1]
PROTOCOLS = range(6)
both = pytest.mark.parametrize("module", [pickle, plainpickle], ids=lambda m: str(m.__name__))
SESSION = {
    "user": 5,
    "seen": [1.5, None, True, -1, 1 << 80],
    "text": "zoé\n.",
    "blob": bytes(range(256)) * 400,
    "long": "x" * 70_000 + ".",
    "tags": {"a", "b"},
    "at": datetime(2020, 2, 29, 23, 59),
    ("k", 1): Decimal("1.50"),
}
SMALL = {"user": 5, "when": datetime(2020, 2, 29), "t": "é.", "n": 1 << 70}
RCE = b"cos\nsystem\n(S'echo vulnerable_to_rce'\ntR."


class Cart:
    def __init__(self, **state: Any) -> None:
        vars(self).update(state)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return 1


class Money:
    def __init__(self, amount: str) -> None:
        self.amount = amount


def refusal(call: Callable[[], Any]) -> plainpickle.UnpicklingError:
    with pytest.raises(plainpickle.UnpicklingError) as caught:
        call()
    return caught.value


# ---- signatures and names

FACE = {
    "loads": {"policy", "limits", "persistent_load"},
    "load": {"policy", "limits", "persistent_load"},
    "Unpickler": {"policy", "limits"},
    "dumps": {"policy", "limits"},
    "dump": {"policy", "limits"},
    "Pickler": {"policy", "limits"},
}
OTHER_DEFAULTS = {"encoding": None, "buffers": None}


@pytest.mark.parametrize("name", FACE)
def test_a_signature_is_pickles_own_but_for_what_is_listed_here(name: str) -> None:
    ours = inspect.signature(getattr(plainpickle, name)).parameters.values()
    theirs = inspect.signature(getattr(pickle, name)).parameters.values()
    added = [p for p in ours if p.name in FACE[name]]
    assert {p.name for p in added} == FACE[name]
    assert all(p.kind is p.KEYWORD_ONLY and p.default is None for p in added)
    assert [(p.name, p.kind, p.default) for p in ours if p not in added] == [
        (p.name, p.kind, OTHER_DEFAULTS.get(p.name, p.default)) for p in theirs
    ]


@pytest.mark.parametrize(
    ("cls", "method", "arguments"),
    [
        ("Unpickler", "load", 0),
        ("Unpickler", "find_class", 2),
        ("Unpickler", "persistent_load", 1),
        ("Pickler", "dump", 1),
        ("Pickler", "clear_memo", 0),
    ],
)
def test_a_method_takes_as_many_arguments_as_pickles_own_by_position(
    cls: str, method: str, arguments: int
) -> None:
    _, *parameters = inspect.signature(
        getattr(getattr(plainpickle, cls), method)
    ).parameters.values()
    assert [p.kind for p in parameters] == [inspect.Parameter.POSITIONAL_ONLY] * arguments


@pytest.mark.parametrize(
    "name",
    [
        "PickleError",
        "PicklingError",
        "HIGHEST_PROTOCOL",
        "DEFAULT_PROTOCOL",
        "format_version",
        "compatible_formats",
        "PickleBuffer",
    ],
)
def test_constants_and_what_libraries_catch_are_the_standard_librarys_own(name: str) -> None:
    assert getattr(plainpickle, name) is getattr(pickle, name)


def test_the_classes_are_subclasses_of_pickles_and_can_be_subclassed() -> None:
    assert issubclass(plainpickle.UnpicklingError, pickle.UnpicklingError)
    assert issubclass(plainpickle.UnreadableValue, pickle.PicklingError)
    assert issubclass(plainpickle.Pickler, pickle.Pickler)
    for cls in (plainpickle.Unpickler, plainpickle.Pickler):
        assert type("Own", (cls,), {})(io.BytesIO())


def test_safe_loads_is_loads() -> None:
    assert plainpickle.safe_loads is plainpickle.loads


def test_everything_public_is_listed_and_there() -> None:
    assert {*FACE, "install", "set_default_policy", "default_policy"} <= set(plainpickle.__all__)
    assert len(set(plainpickle.__all__)) == len(plainpickle.__all__)
    assert [name for name in plainpickle.__all__ if not hasattr(plainpickle, name)] == []


@both
@pytest.mark.parametrize("protocol", [None, -1, *PROTOCOLS])
def test_what_is_positional_in_pickle_is_positional(module: Any, protocol: int | None) -> None:
    file = io.BytesIO()
    module.dump([1], file, protocol)
    module.Pickler(file, protocol, True, None).dump([2])
    assert file.getvalue() == module.dumps([1], protocol) + module.dumps([2], protocol)
    file.seek(0)
    assert [module.load(file), module.Unpickler(file).load()] == [[1], [2]]
    with pytest.raises(TypeError):
        module.loads(b"N.", True)
    with pytest.raises(TypeError):
        module.loads(data=b"N.")
    with pytest.raises(TypeError):
        module.load(file, True)
    with pytest.raises(TypeError):
        module.dumps([1], 2, True)


@both
@pytest.mark.parametrize("protocol", [6, 100])
def test_a_protocol_that_does_not_exist_is_a_value_error(module: Any, protocol: int) -> None:
    with pytest.raises(ValueError, match="protocol"):
        module.dumps([1], protocol)
    with pytest.raises(ValueError, match="protocol"):
        module.Pickler(io.BytesIO(), protocol)


OPTIONS: list[tuple[bytes, dict[str, Any]]] = [
    (b"U\x02\xc3\xb3.", {}),
    (b"U\x02\xff\xfe.", {}),
    (b"U\x02\xc3\xb3.", {"encoding": "latin1"}),
    (b"U\x02\xc3\xb3.", {"encoding": "bytes"}),
    (b"U\x02\xff\xfe.", {"encoding": "ASCII"}),
    (b"U\x02\xff\xfe.", {"encoding": "utf-8", "errors": "replace"}),
    (b"U\x02\xff\xfe.", {"encoding": "no-such-encoding"}),
    (b"c__builtin__\nset\n](K\x01e\x85R.", {}),
    (b"c__builtin__\nset\n](K\x01e\x85R.", {"fix_imports": False}),
    (b"\x97\x98.", {"buffers": [b"abc"]}),
    (b"\x97.", {"buffers": []}),
    (b"\x97.", {"buffers": 5}),
    (b"\x97.", {}),
    (b"cshop\nCart\n)\x81}X\x01\0\0\0aK\x01sb.", {"policy": Policy().as_plain("shop.Cart")}),
    (
        b"cshop\nCart\n)\x81}X\x01\0\0\0aK\x01sb.",
        {"policy": Policy().register("shop.Cart", build=Cart)},
    ),
    (b"]]a.", {"limits": Limits(max_depth=1)}),
    (b"]]a.", {"limits": Limits(max_bytes=3)}),
]


@pytest.mark.parametrize(("data", "options"), OPTIONS)
def test_an_option_means_the_same_in_loads_load_and_unpickler(
    data: bytes, options: dict[str, Any]
) -> None:
    def outcome(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Exception as error:
            return type(error), str(error), vars(error)

    expected = outcome(lambda: plainpickle.loads(data, **options))
    assert outcome(lambda: plainpickle.load(io.BytesIO(data), **options)) == expected
    assert outcome(lambda: plainpickle.Unpickler(io.BytesIO(data), **options).load()) == expected


# ---- files


class Least:
    """A file of the smallest kind that pickle takes: `read`, and a `readline` without arguments."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def readline(self) -> bytes:
        return self._file.readline()


class Trickle(io.RawIOBase):
    """Gives one to three bytes at a time, as a slow connection does."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._file = io.BytesIO(data)
        self._reads = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._reads += 1
        chunk = self._file.read(min(len(buffer), 1 + self._reads % 3))
        buffer[: len(chunk)] = chunk
        return len(chunk)


class ShortReads(Least):
    """Its `read` gives at most seven bytes, whatever is asked for, and it has a `readinto`."""

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self._file.read()
        return self._file.read(min(size, 7))

    def readinto(self, buffer: Any) -> int:
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


class Peeking(Least):
    """Its `peek` gives as much as it likes: less than is asked for, or more, or nothing."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._peeks = 0

    def peek(self, size: int = 0) -> bytes:
        self._peeks += 1
        at = self._file.tell()
        length = (0, 1, size // 2, size, size + 100)[self._peeks % 5]
        chunk = self._file.read(length)
        self._file.seek(at)
        return chunk


@contextlib.contextmanager
def sent(data: bytes, send: Callable[[bytes], Any], close: Callable[[], Any]) -> Iterator[None]:
    """A thread sends `data` in pieces, then closes its end."""

    def run() -> None:
        with contextlib.suppress(OSError):  # the reader has had enough
            for start in range(0, len(data), 9_973):
                send(data[start : start + 9_973])
        close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(30)


@contextlib.contextmanager
def pipe(data: bytes, buffering: int = -1) -> Iterator[Any]:
    ours, theirs = os.pipe()
    sending = sent(data, lambda part: os.write(theirs, part), lambda: os.close(theirs))
    with sending, open(ours, "rb", buffering) as file:  # noqa: PTH123  # a number, no path
        yield file


@contextlib.contextmanager
def connection(data: bytes) -> Iterator[Any]:
    ours, theirs = socket.socketpair()
    with sent(data, theirs.sendall, theirs.close), ours, ours.makefile("rb") as file:
        yield file


@contextlib.contextmanager
def temporary(data: bytes, make: Callable[[], Any] = tempfile.TemporaryFile) -> Iterator[Any]:
    with make() as file:
        file.write(data)
        file.seek(0)
        yield file


@contextlib.contextmanager
def mapped(data: bytes) -> Iterator[Any]:
    with mmap.mmap(-1, len(data)) as file:
        file.write(data)
        file.seek(0)
        yield file


@contextlib.contextmanager
def raw(data: bytes) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "session"
        path.write_bytes(data)
        with path.open("rb", buffering=0) as file:
            yield file


spooled = partial(tempfile.SpooledTemporaryFile, 1000)


def kept(make: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    return lambda data: contextlib.nullcontext(make(data))


def opened(make: Callable[[Any], Any], packed: bytes) -> Any:
    return make(io.BytesIO(packed))


def remaining(file: Any) -> bytes:
    parts = []
    while part := file.read(100):
        parts.append(part)
    return b"".join(parts)


FILES: dict[str, Callable[[bytes], Any]] = {
    "BytesIO": kept(io.BytesIO),
    "BufferedReader": kept(lambda data: io.BufferedReader(Trickle(data))),
    "buffer of one byte": kept(lambda data: io.BufferedReader(Trickle(data), 1)),
    "raw file": raw,
    "raw trickle": kept(Trickle),
    "pipe": pipe,
    "raw pipe": lambda data: pipe(data, 0),
    "connection": connection,
    "gzip": kept(lambda data: opened(gzip.open, gzip.compress(data, 1))),
    "bz2": kept(lambda data: opened(bz2.BZ2File, bz2.compress(data, 1))),
    "lzma": kept(lambda data: opened(lzma.LZMAFile, lzma.compress(data, preset=0))),
    "temporary file": temporary,
    "spooled file": lambda data: temporary(data, spooled),
    "memory map": mapped,
    "read and readline": kept(Least),
    "short reads": kept(ShortReads),
    "peek of any length": kept(Peeking),
}


SEEKING_FILES = ["BytesIO", "buffer of one byte", "read and readline", "raw trickle"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_any_kind_is_read_one_pickle_at_a_time_and_no_byte_further(
    kind: str, protocol: int
) -> None:
    data = pickle.dumps(SESSION, protocol) + pickle.dumps([1], protocol) + b"the rest"
    with FILES[kind](data) as file:
        assert plainpickle.load(file) == SESSION
        assert plainpickle.load(file) == [1]
        assert remaining(file) == b"the rest"


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("kind", FILES.keys() - {"raw trickle"})
def test_a_large_pickle_in_a_file_of_any_kind_is_read_to_its_end_and_no_byte_further(
    kind: str, protocol: int
) -> None:
    value = ["x" * 40_000, "y" * 60_000, "z" * 200_000, 5]
    data = pickle.dumps(value, protocol)
    with FILES[kind](data + b"the rest") as file:
        assert plainpickle.load(file) == value
        assert remaining(file) == b"the rest"


def test_a_file_with_a_read_of_its_own_is_read_by_it() -> None:
    class Counting(io.BufferedReader):
        count = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

    value = ["x" * 40_000, "y" * 60_000, "z" * 200_000, "."]
    with tempfile.TemporaryFile(buffering=0) as raw:
        raw.write(pickle.dumps(value, 4) + b"the rest")
        raw.seek(0)
        file = Counting(raw)
        assert plainpickle.load(file) == value
        assert file.count == len(pickle.dumps(value, 4))


@pytest.mark.parametrize("kind", FILES)
def test_a_loop_until_eof_error_reads_all_the_pickles_of_a_file(kind: str) -> None:
    values: list[Any] = [SESSION, None, [], "x", 5] * 2
    data = b"".join(pickle.dumps(value, n % 6) for n, value in enumerate(values))
    found = []
    with FILES[kind](data) as file:
        unpickler = plainpickle.Unpickler(file)
        while True:
            try:
                found.append(unpickler.load())
            except EOFError:
                break
    assert found == values


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_load_leaves_the_file_where_pickles_own_leaves_it(protocol: int) -> None:
    values: list[Any] = [None, 5, "x", SESSION, [], "\n", b"." * 300, 2**70]
    for value in values:
        data = pickle.dumps(value, protocol) + b"K\x01."
        ours, theirs = io.BytesIO(data), io.BytesIO(data)
        assert plainpickle.load(ours) == pickle.load(theirs)
        assert ours.tell() == theirs.tell()


@both
def test_a_text_file_is_a_type_error(module: Any, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("(lp0\nI1\na.", "ascii")
    for file in (io.StringIO("N."), path.open("r", encoding="ascii")):
        with file, pytest.raises(TypeError):
            module.load(file)


@both
@pytest.mark.parametrize(
    "file",
    [
        None,
        5,
        b"N.",
        "session.pickle",
        object(),
        type("OnlyRead", (), {"read": 5})(),
        type("OnlyReadline", (), {"readline": 5})(),
    ],
)
def test_what_is_no_file_is_a_type_error(module: Any, file: Any) -> None:
    with pytest.raises(TypeError):
        module.load(file)
    with pytest.raises(TypeError):
        module.Unpickler(file)


class Broken(Least):
    """A file whose methods raise what they are told to."""

    def __init__(self, data: bytes, method: str, error: BaseException) -> None:
        super().__init__(data)

        def fail(*_: Any) -> Any:
            raise error

        setattr(self, method, fail)


@both
@pytest.mark.parametrize("method", ["read", "readline", "readinto", "peek"])
@pytest.mark.parametrize(
    "raised", [ZeroDivisionError, OSError, ValueError, EOFError, KeyboardInterrupt, MemoryError]
)
def test_an_exception_of_a_file_passes_through_unchanged(
    module: Any, method: str, raised: type[BaseException]
) -> None:
    error = raised("mine")
    data = {"readline": b"I5\n.", "readinto": pickle.dumps(b"x" * 300_000, 3)}
    file = Broken(data.get(method, b"K\x05."), method, error)
    if method == "peek":  # C pickle takes a NotImplementedError of peek for "has none"
        file.readinto = lambda _: 0  # type: ignore[attr-defined]
    with pytest.raises(raised) as caught:
        module.load(file)
    assert caught.value is error


@pytest.mark.parametrize("method", ["read", "readline", "readinto", "peek"])
def test_an_exception_of_looking_a_method_up_passes_through_unchanged(method: str) -> None:
    error = ZeroDivisionError("mine")

    def fail(_: Any) -> Any:
        raise error

    file = type("Own", (Least,), {method: property(fail)})(b"N.")
    with pytest.raises(ZeroDivisionError) as caught:
        plainpickle.load(file)
    assert caught.value is error


@both
def test_a_closed_file_says_so_itself(module: Any) -> None:
    file = io.BytesIO(b"N.")
    file.close()
    with pytest.raises(ValueError, match="closed file") as caught:
        module.load(file)
    assert not isinstance(caught.value, pickle.UnpicklingError)


@pytest.mark.parametrize("wrong", [None, "N.", 5, [78]])
def test_a_read_that_gives_no_bytes_is_a_type_error(wrong: Any) -> None:
    file: Any = Least(b"")
    file.read = lambda _: wrong
    with pytest.raises(TypeError):
        plainpickle.load(file)


@pytest.mark.parametrize("length", [-1, 1000])
def test_a_readinto_that_lies_about_its_length_does_no_harm(length: int) -> None:
    file: Any = Least(pickle.dumps(b"x" * 300_000, 3))
    file.readinto = lambda _: length
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whichever: it ends, and well
        plainpickle.load(file)
    assert isinstance(caught.value, Exception)


# ---- a refused pickle in a file

LINES = b"X\x05\0\0\0a.b.c"
REFUSED = {
    "a call": RCE,
    "a call in a frame": pickle.dumps(Money("1.5"), 4),
    "a call with a STOP among its data": b"cos\nsystem\n" + LINES + b"\x85R.",
    "a STOP in a name": b"cos.path\nsys.tem\n)R.",
    "a class as a value": b"]cdecimal\nDecimal\na" + LINES + b"a.",
    "a persistent id": b"]Pa.b\na" + LINES + b"a.",
    "an extension code": b"]\x82.a" + LINES + b"a.",
    "a buffer that is not there": b"]\x97a.",
    "a limit": b"N0\x8b\x01\x20\0\0" + b"." * 8193 + b"a.",
    "an empty stack": b"a" + LINES + b"0.",
    "no mark": b"]e" + LINES + b"0.",
    "no memo": b"h." + LINES + b"0.",
    "a number that is none": b"I1.5x\n" + LINES + b"0.",
    "text that is none": b"X\x02\0\0\0\xc3.\x85" + LINES + b"0.",
    "an unhashable key": b"}]Ns" + LINES + b"0.",
    "a stack that is empty at the end": b"N0.",
    "a mark at the end": b"(.",
    "a frame that is too short": b"\x80\x04\x95\x02\0\0\0\0\0\0\0cos\nsystem\n)R.",
}


@pytest.mark.parametrize("case", REFUSED)
def test_after_a_refused_pickle_the_next_one_is_read(case: str) -> None:
    good = pickle.dumps(SMALL)
    for kind in SEEKING_FILES:
        for reader in (plainpickle.load, None):
            with FILES[kind](good + REFUSED[case] + good + b"the rest") as file:
                load = partial(reader, file) if reader else plainpickle.Unpickler(file).load
                assert load() == SMALL
                refusal(load)
                assert load() == SMALL
                assert remaining(file) == b"the rest"


@pytest.mark.parametrize("kind", SEEKING_FILES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_that_is_cut_anywhere_is_an_error_and_the_file_is_at_its_end(
    protocol: int, kind: str
) -> None:
    whole = pickle.dumps(SMALL, protocol)
    for end in range(len(whole)):
        with FILES[kind](whole[:end]) as file:
            error = refusal(lambda: plainpickle.load(file))
            assert isinstance(error, plainpickle.MalformedPickle)
            assert file.read(1) == b""
            with pytest.raises(EOFError):
                plainpickle.load(file)


def test_an_error_out_of_a_file_states_kind_offset_and_opcode_within_its_own_pickle() -> None:
    file = io.BytesIO(b"N." * 10 + b"]" + RCE)
    for _ in range(10):
        plainpickle.load(file)
    error = refusal(lambda: plainpickle.load(file))
    assert isinstance(error, plainpickle.ForbiddenGlobal)
    assert (error.kind, error.offset, error.opcode) == ("forbidden_global", 1, "GLOBAL")
    assert error.name == "os.system"


def test_what_is_wrong_in_a_file_is_what_is_wrong_in_its_bytes() -> None:
    """Also in damaged pickles; only a limit may come first, since a file is not read past STOP."""

    def outcome(read: Callable[[], Any]) -> Any:
        try:
            return "value", read()
        except plainpickle.UnpicklingError as error:
            return type(error), error.kind, error.offset, error.opcode

    refusals = 0
    for data in mutants("files", 0, 2000):
        expected = outcome(lambda: plainpickle.loads(data))
        for kind in ("BytesIO", "BufferedReader", "read and readline"):
            with FILES[kind](data) as file:
                found = outcome(lambda: plainpickle.load(file))
            if expected[0] == found[0] == "value":
                assert difference(expected[1], found[1]) is None, data
            elif found[0] is not plainpickle.LimitExceeded:
                assert found == expected, (kind, data)
                refusals += 1
    assert refusals > 1000


@pytest.mark.parametrize("kind", ["BytesIO", "BufferedReader", "read and readline"])
@pytest.mark.parametrize("damage", [b"\xff", b"N0\xff", b"T\xff\xff\xff\xff"])
def test_damage_is_not_taken_for_the_end_of_the_file(damage: bytes, kind: str) -> None:
    with FILES[kind](damage + b"garbage.") as file:
        error = refusal(lambda: plainpickle.load(file))
    assert not isinstance(error, EOFError)


HUGE = (1 << 60).to_bytes(8, "little")
DECLARED = {
    "BINBYTES8": b"\x8e" + HUGE,
    "BINUNICODE8": b"\x8d" + HUGE,
    "BYTEARRAY8": b"\x96" + HUGE,
    "FRAME": b"\x80\x04\x95" + HUGE,
    "BINBYTES": b"B\xff\xff\xff\xff",
    "BINUNICODE": b"X\xff\xff\xff\xff",
    "BINSTRING": b"T\xff\xff\xff\x7f",
    "LONG4": b"\x8b\xff\xff\xff\x7f",
}


CONFINED = """
import resource, plainpickle
from pathlib import Path
from tests.test_pickle_face import DECLARED, FILES, SEEKING_FILES
for kind in SEEKING_FILES:
    with FILES[kind](b"N.") as file:
        plainpickle.load(file)
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + (48 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for opcode, start in DECLARED.items():
    for kind in SEEKING_FILES:
        with FILES[kind](start + b"abc.") as file:
            try:
                plainpickle.load(file)
            except plainpickle.UnpicklingError:
                continue
            raise AssertionError(f"{opcode} was read from {kind}")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc for the size of the process")
def test_a_length_that_the_file_does_not_have_takes_no_memory() -> None:
    subprocess.run([sys.executable, "-c", CONFINED], cwd=ROOT, check=True, timeout=60)


class TooMuchTaken(Exception):  # noqa: N818  # says what the reader did
    pass


class Endless(io.RawIOBase):
    """Gives a start, and then the same bytes for ever; fails once far too many were taken."""

    def __init__(self, start: bytes, then: bytes) -> None:
        super().__init__()
        self._start, self._then, self.given = start, then, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._start:
            size = min(len(buffer), len(self._start))
            buffer[:size] = self._start[:size]
            self._start = self._start[size:]
        else:
            size = min(len(buffer), 1 << 16)
            buffer[:size] = (self._then * (size // len(self._then) + 1))[:size]
        self.given += size
        if self.given > 16 << 20:
            raise TooMuchTaken
        return size


ENDLESS = {
    "bytes of a huge length": (b"\x8e" + HUGE, b"a"),
    "text of a huge length": (b"\x8d" + HUGE, b"a"),
    "a frame of a huge length": (b"\x80\x04\x95" + HUGE, b"N0"),
    "frames for ever": (b"\x80\x04", b"\x95\x02\0\0\0\0\0\0\0N0"),
    "values for ever": (b"(", b"N"),
    "values that are dropped again": (b"", b"N0"),
    "a line without an end": (b"S'", b"a"),
    "a number without an end": (b"I", b"1"),
    "a name without an end": (b"c", b"a"),
    "a name's second line without an end": (b"cshop\n", b"a"),
    "after a refused call": (RCE[:-1], b"0N"),
    "after a damaged start": (b"a", b"N0"),
}


@pytest.mark.parametrize("buffered", [True, False], ids=["buffered", "raw"])
@pytest.mark.parametrize("case", ENDLESS)
def test_a_file_that_never_ends_reaches_a_limit(case: str, buffered: bool) -> None:
    endless = Endless(*ENDLESS[case])
    file: Any = io.BufferedReader(endless) if buffered else endless
    refusal(lambda: plainpickle.load(file, limits=Limits(max_bytes=1 << 14)))
    assert endless.given <= 2 << 20


def test_a_file_may_hold_more_pickles_than_the_limit_of_one() -> None:
    one = pickle.dumps(b"x" * 600)
    unpickler = plainpickle.Unpickler(io.BytesIO(one * 100), limits=Limits(max_bytes=1000))
    assert [unpickler.load() for _ in range(100)] == [b"x" * 600] * 100


def test_files_are_read_in_many_threads_at_once() -> None:
    values = [{"n": n, "items": list(range(n)), "blob": b"x" * n} for n in range(200)]
    data = b"".join(pickle.dumps(value, n % 6) for n, value in enumerate(values))

    def read(kind: str) -> list[Any]:
        with FILES[kind](data) as file:
            unpickler = plainpickle.Unpickler(file)
            return [unpickler.load() for _ in values]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(read, list(FILES) * 3))
    assert all(each == values for each in found)


def test_a_file_that_loads_from_its_own_unpickler_does_no_harm() -> None:
    class Own(Least):
        def read(self, size: int = -1) -> bytes:
            with contextlib.suppress(Exception):
                nested.append(unpickler.load())
            return super().read(size)

    nested: list[Any] = []
    unpickler = plainpickle.Unpickler(Own(pickle.dumps([1, "x" * 300], 2)))
    with contextlib.suppress(Exception):
        assert unpickler.load() == [1, "x" * 300]


def test_an_unpickler_is_whole_whenever_the_garbage_collector_looks_at_it() -> None:
    class Own(plainpickle.Unpickler):
        pass

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        made = [cls(io.BytesIO(b"]q\x00.")) for cls in (plainpickle.Unpickler, Own) * 50]
        assert [each.load() for each in made] == [[]] * 100
    finally:
        gc.set_threshold(*before)


# ---- the memo


@both
def test_one_memo_lasts_over_several_loads_of_one_unpickler(module: Any) -> None:
    shared = {"name": "x" * 20}
    file = io.BytesIO()
    pickler = module.Pickler(file)
    for value in ([shared], (shared, 1), {"again": shared}):
        pickler.dump(value)
    file.seek(0)
    unpickler = module.Unpickler(file)
    first, second, third = (unpickler.load() for _ in range(3))
    assert first[0] is second[0] is third["again"]
    assert third == {"again": shared}


@both
def test_each_call_of_load_has_a_memo_of_its_own(module: Any) -> None:
    file = io.BytesIO(b"]q\x00.h\x00.")
    assert module.load(file) == []
    with pytest.raises(pickle.UnpicklingError):
        module.load(file)


@both
def test_the_memo_can_be_read_handed_on_and_cleared(module: Any) -> None:
    unpickler = module.Unpickler(io.BytesIO(b"]q\x02.h\x02.h\x02."))
    other = module.Unpickler(io.BytesIO(b"h\x02."))
    first = unpickler.load()
    memo = unpickler.memo.copy()
    assert type(memo) is dict
    assert list(memo) == [2]
    assert memo[2] is first
    assert unpickler.load() is first
    other.memo = unpickler.memo
    unpickler.memo.clear()
    assert unpickler.memo.copy() == {}
    with pytest.raises(pickle.UnpicklingError):
        unpickler.load()
    assert other.memo.copy() == {2: []}
    assert other.load() is first


def test_the_memo_can_be_set_to_a_dict() -> None:
    """CPython takes the dict, and then has an empty memo."""
    unpickler = plainpickle.Unpickler(io.BytesIO(b"h\x05.h\x07.h\x06."))
    unpickler.memo = {5: "five", 7: "seven"}
    assert unpickler.memo.copy() == {5: "five", 7: "seven"}
    assert [unpickler.load(), unpickler.load()] == ["five", "seven"]
    refusal(unpickler.load)


@both
def test_a_memo_can_be_set_to_itself(module: Any) -> None:
    unpickler = module.Unpickler(io.BytesIO(b"]q\x00.h\x00."))
    first = unpickler.load()
    unpickler.memo = unpickler.memo
    assert unpickler.load() is first


WRONG_MEMOS: list[tuple[Any, type[Exception]]] = [
    (5, TypeError),
    (None, TypeError),
    ([], TypeError),
    ({"a": 1}, TypeError),
    ({1.0: 1}, TypeError),
    ({-1: 1}, ValueError),
    ({5: 1, -1: 1}, ValueError),
]


@both
@pytest.mark.parametrize(("wrong", "error"), WRONG_MEMOS)
def test_a_memo_that_is_none_is_refused(module: Any, wrong: Any, error: type[Exception]) -> None:
    unpickler = module.Unpickler(io.BytesIO(b"]q\x03.h\x03."))
    unpickler.load()
    with pytest.raises(error):
        unpickler.memo = wrong
    with pytest.raises((TypeError, AttributeError)):
        del unpickler.memo
    assert unpickler.load() == []


def test_an_index_far_beyond_all_that_was_read_is_refused() -> None:
    unpickler = plainpickle.Unpickler(io.BytesIO(b"]q\x00.Nr\0\0\0\x2e.h\x00."))
    assert unpickler.load() == []
    error = refusal(unpickler.load)
    assert isinstance(error, plainpickle.LimitExceeded)
    assert error.limit == "memo_index"
    assert unpickler.load() == []


def test_many_pickles_with_one_memo_take_time_in_proportion() -> None:
    """A memo index goes beyond the length of its own pickle, as far as the memo has grown."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, 2)
    values = [[f"key {n}", n] for n in range(20_000)]
    for value in values:
        pickler.dump(value)
    file.seek(0)
    unpickler = plainpickle.Unpickler(file)
    start = time.perf_counter()
    assert [unpickler.load() for _ in values] == values
    assert time.perf_counter() - start < 5


# ---- subclasses of Unpickler


class WithIds(plainpickle.Unpickler):
    """Gives a text for each persistent id."""

    def persistent_load(self, pid: Any, /) -> Any:
        return f"row {pid}"


def test_the_persistent_load_of_a_subclass_is_asked() -> None:
    for data, value in (
        (b"Pabc\n.", "row abc"),
        (b"\x80\x02K\x05Q.", "row 5"),
        (b"(Pa\nPb\nt.", ("row a", "row b")),
    ):
        assert WithIds(io.BytesIO(data)).load() == value


def test_a_persistent_load_set_on_an_instance_or_given_to_load_is_asked() -> None:
    class Own(plainpickle.Unpickler):
        pass

    unpickler = Own(io.BytesIO(b"Pabc\n."))
    unpickler.persistent_load = lambda pid: [pid]  # type: ignore[method-assign,misc,unused-ignore]
    assert unpickler.load() == ["abc"]
    assert plainpickle.load(io.BytesIO(b"Pabc\n."), persistent_load=str.upper) == "ABC"


def test_without_a_persistent_load_an_id_is_refused() -> None:
    for load in (
        plainpickle.Unpickler(io.BytesIO(b"Pabc\n.")).load,
        lambda: plainpickle.load(io.BytesIO(b"Pabc\n.")),
    ):
        error = refusal(load)
        assert isinstance(error, plainpickle.UnsupportedOpcode)
        assert error.kind == "persistent_id"
    with pytest.raises(pickle.UnpicklingError):
        plainpickle.Unpickler(io.BytesIO(b"N.")).persistent_load("abc")


@both
def test_an_exception_of_persistent_load_passes_through_unchanged(module: Any) -> None:
    error = KeyError("no such row")

    class Own(module.Unpickler):  # type: ignore[name-defined,misc,unused-ignore]
        def persistent_load(self, pid: Any) -> Any:
            raise error

    with pytest.raises(KeyError) as caught:
        Own(io.BytesIO(b"Pabc\n.")).load()
    assert caught.value is error


class Asking(plainpickle.Unpickler):
    """Writes down which names it is asked for."""

    def __init__(self, data: bytes, **options: Any) -> None:
        super().__init__(io.BytesIO(data), **options)
        self.asked: list[tuple[str, str]] = []

    def find_class(self, module: str, name: str, /) -> Any:
        self.asked.append((module, name))
        return Cart


CART_STATE = b")\x81}X\x01\0\0\0aK\x01sb"
REGISTERED = Policy().register("shop.Cart", build=Money).register("shop.Outer.Cart", build=Money)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02cshop\nCart\n" + CART_STATE + b".",
        b"\x80\x04\x8c\x04shop\x8c\x04Cart\x93" + CART_STATE + b".",
        b"ccopy_reg\n_reconstructor\n(cshop\nCart\nc__builtin__\nobject\nNtR}X\x01\0\0\0aK\x01sb.",
        b"(ishop\nCart\n}X\x01\0\0\0aK\x01sb.",
        b"(cshop\nCart\no}X\x01\0\0\0aK\x01sb.",
    ],
    ids=["GLOBAL", "STACK_GLOBAL", "_reconstructor", "INST", "OBJ"],
)
def test_find_class_is_asked_for_a_registered_name_and_what_it_gives_is_used(data: bytes) -> None:
    unpickler = Asking(data, policy=REGISTERED)
    assert unpickler.load() == Cart(a=1)
    assert set(unpickler.asked) == {("shop", "Cart")}


def test_find_class_gets_the_qualified_name_of_a_nested_class() -> None:
    data = b"\x80\x04\x8c\x04shop\x8c\x0aOuter.Cart\x93" + CART_STATE + b"."
    unpickler = Asking(data, policy=REGISTERED)
    assert unpickler.load() == Cart(a=1)
    assert set(unpickler.asked) == {("shop", "Outer.Cart")}


def test_find_class_may_give_a_function() -> None:
    class Own(plainpickle.Unpickler):
        def find_class(self, module: str, name: str, /) -> Any:
            return lambda *args: (module, name, args)

    data = b"\x80\x02cshop\nCart\nK\x01K\x02\x86R."
    assert Own(io.BytesIO(data), policy=REGISTERED).load() == ("shop", "Cart", (1, 2))


NOT_REGISTERED = {
    "a call of code": (RCE, Policy()),
    "a name of nobody's": (b"cshop\nOther\n)\x81.", REGISTERED),
    "a value type": (pickle.dumps(SESSION), REGISTERED),
    "a builtin": (pickle.dumps([{1}, range(3), 1j], 2), REGISTERED),
    "a name as plain": (
        b"cshop\nOther\n)\x81}X\x01\0\0\0aK\x01sb.",
        REGISTERED.as_plain("shop.Other"),
    ),
    "a stub": (b"cshop\nOther\n)\x81.", REGISTERED.stub()),
    "builtins.eval": (b"cbuiltins\neval\nX\x01\0\0\x001\x85R.", REGISTERED),
    "getattr": (b"cbuiltins\ngetattr\n]X\x06\0\0\0append\x86R.", REGISTERED),
    "an extension code": (b"\x82\x01.", REGISTERED),
}


@pytest.mark.parametrize("case", NOT_REGISTERED)
def test_find_class_is_never_asked_for_any_other_name(case: str) -> None:
    data, policy = NOT_REGISTERED[case]
    unpickler = Asking(data, policy=policy)
    with contextlib.suppress(plainpickle.UnpicklingError):
        unpickler.load()
    assert unpickler.asked == []


def test_the_find_class_of_the_class_itself_gives_what_is_registered_and_nothing_else() -> None:
    unpickler = plainpickle.Unpickler(io.BytesIO(b"N."), policy=Policy().register(Cart))
    assert unpickler.find_class(HERE, "Cart") is Cart
    for module, name in (("os", "system"), ("builtins", "eval"), ("shop", "Cart"), (HERE, "Money")):
        with pytest.raises(plainpickle.ForbiddenGlobal) as caught:
            unpickler.find_class(module, name)
        assert caught.value.name == f"{module}.{name}"


def test_an_override_may_ask_the_class_itself() -> None:
    class Own(plainpickle.Unpickler):
        def find_class(self, module: str, name: str, /) -> Any:
            return super().find_class(module, name)

    policy = Policy().register(Cart)
    assert Own(io.BytesIO(pickle.dumps(Cart(a=1))), policy=policy).load() == Cart(a=1)
    refusal(Own(io.BytesIO(RCE), policy=policy).load)


def test_an_exception_of_find_class_passes_through_unchanged() -> None:
    error = pickle.UnpicklingError("global 'shop.Cart' is forbidden")

    class Own(plainpickle.Unpickler):
        def find_class(self, module: str, name: str, /) -> Any:
            raise error

    with pytest.raises(pickle.UnpicklingError) as caught:
        Own(io.BytesIO(pickle.dumps(Cart())), policy=Policy().register(Cart)).load()
    assert caught.value is error


class RestrictedUnpickler(plainpickle.Unpickler):
    """The recipe of pickle's manual, word for word but for the base."""

    def find_class(self, module: str, name: str, /) -> Any:
        if module == "builtins" and name in {"range", "complex", "set", "frozenset", "slice"}:
            return getattr(builtins, name)
        raise pickle.UnpicklingError(f"global '{module}.{name}' is forbidden")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_recipe_of_pickles_manual_works_over_this_unpickler(protocol: int) -> None:
    value = [1, 2, range(15), {1, 2}, 2j, frozenset("a")]
    assert RestrictedUnpickler(io.BytesIO(pickle.dumps(value, protocol))).load() == value
    for hostile in (
        b"cos\nsystem\n(S'echo hello world'\ntR.",
        b'cbuiltins\neval\n(S\'getattr(__import__("os"), "system")("echo hello world")\'\ntR.',
        pickle.dumps(Money("1.5"), protocol),
    ):
        with pytest.raises(pickle.UnpicklingError):
            RestrictedUnpickler(io.BytesIO(hostile)).load()


@both
def test_a_subclass_that_does_not_call_init_says_so_on_use(module: Any) -> None:
    class Reads(module.Unpickler):  # type: ignore[name-defined,misc,unused-ignore]
        def __init__(self, file: Any) -> None:
            pass

    class Writes(module.Pickler):  # type: ignore[name-defined,misc,unused-ignore]
        def __init__(self, file: Any) -> None:
            pass

    with pytest.raises(pickle.UnpicklingError):
        Reads(io.BytesIO(b"N.")).load()
    with pytest.raises(pickle.PicklingError):
        Writes(io.BytesIO()).dump([1])


@both
def test_init_again_takes_another_file(module: Any) -> None:
    unpickler = module.Unpickler(io.BytesIO(b"]q\x00."))
    unpickler.load()
    unpickler.__init__(io.BytesIO(b"K\x05.h\x00."))
    assert unpickler.load() == 5
    with pytest.raises(pickle.UnpicklingError):
        unpickler.load()


# ---- subclasses of Pickler


class Row:
    """What a database holds: only its number is written."""

    def __init__(self, number: int) -> None:
        self.number = number


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_persistent_id_and_persistent_load_fit_together(protocol: int) -> None:
    class Writes(plainpickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            return str(obj.number) if isinstance(obj, Row) else None

    file = io.BytesIO()
    Writes(file, protocol).dump({"first": Row(1), "rest": [Row(2), None]})
    assert file.getvalue() == _stock(
        lambda written: type(
            "Stock",
            (pickle.Pickler,),
            {"persistent_id": lambda _, x: str(x.number) if isinstance(x, Row) else None},
        )(written, protocol).dump({"first": Row(1), "rest": [Row(2), None]})
    )
    file.seek(0)
    assert WithIds(file).load() == {"first": "row 1", "rest": ["row 2", None]}


def _stock(write: Callable[[io.BytesIO], Any]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_reducer_override_makes_a_value_readable(protocol: int) -> None:
    class Writes(plainpickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            return (Decimal, (obj.amount,)) if isinstance(obj, Money) else NotImplemented

    file = io.BytesIO()
    Writes(file, protocol).dump({"price": Money("1.50")})
    file.seek(0)
    assert plainpickle.load(file) == {"price": Decimal("1.50")}


@pytest.mark.parametrize("place", ["class", "instance", "copyreg"])
def test_a_dispatch_table_makes_a_value_readable(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reduced(value: Money) -> Any:
        return Decimal, (value.amount,)

    class Writes(plainpickle.Pickler):
        pass

    if place == "class":
        Writes.dispatch_table = {Money: reduced}
    if place == "copyreg":
        monkeypatch.setitem(copyreg.dispatch_table, Money, reduced)
    file = io.BytesIO()
    pickler = Writes(file)
    if place == "instance":
        pickler.dispatch_table = {Money: reduced}
    pickler.dump([Money("1.50"), Money("2.50")])
    file.seek(0)
    assert plainpickle.load(file) == [Decimal("1.50"), Decimal("2.50")]


@both
def test_one_pickler_writes_several_pickles_with_one_memo_until_it_is_cleared(module: Any) -> None:
    shared = ["x" * 20]
    file = io.BytesIO()
    pickler = module.Pickler(file)
    pickler.dump(shared)
    first = file.tell()
    pickler.dump(shared)
    second = file.tell() - first
    pickler.clear_memo()
    pickler.dump(shared)
    assert second < first == file.tell() - first - second
    one = pickle.dumps(shared)
    assert file.getvalue()[: len(one)] == file.getvalue()[-len(one) :] == one


@both
@pytest.mark.parametrize("file", [None, 5, object()])
def test_what_cannot_be_written_to_is_a_type_error(module: Any, file: Any) -> None:
    with pytest.raises(TypeError):
        module.Pickler(file)
    with pytest.raises(TypeError):
        module.dump([1], file)


@both
def test_an_exception_of_write_passes_through_unchanged(module: Any) -> None:
    error = OSError("disk full")

    class Full:
        def write(self, _: Any) -> int:
            raise error

    writes: list[Callable[[], Any]] = [
        lambda: module.dump([1], Full()),
        lambda: module.Pickler(Full()).dump([1]),
    ]
    for write in writes:
        with pytest.raises(OSError, match="disk full") as caught:
            write()
        assert caught.value is error
