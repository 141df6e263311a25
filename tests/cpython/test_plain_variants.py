"""Tests of CPython's that need a class or a function, or exceed a limit, again with plain data.

`excluded.json` says which test each of these stands beside.
"""

from __future__ import annotations

import contextlib
import copyreg
import gc
import io
import itertools
import os
import pickle
import pickletools
import socket
import sys
import tempfile
import time
import weakref
from collections import ChainMap, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

import plainpickle
from plainpickle import Limits, Policy

from . import faces

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
READERS: list[Any] = [faces.Loads, faces.Load, faces.Unpickler]
FACES: list[Any] = [*READERS, faces.OfPython, faces.OfOptimize, faces.Dumps, faces.Pickler]

each_reader = pytest.mark.parametrize(
    "face", [made() for made in READERS], ids=lambda face: type(face).__name__
)
each_face = pytest.mark.parametrize(
    "face", [made() for made in FACES], ids=lambda face: type(face).__name__
)
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
each_pickler = pytest.mark.parametrize(
    "pickler", [pickle.Pickler, plainpickle.Pickler], ids=["pickle", "plainpickle"]
)


@pytest.fixture(scope="module")
def pickletester() -> Any:
    return pytest.importorskip("test.pickletester", reason="this Python has no test.pickletester")


def opcodes(data: bytes) -> set[str]:
    return {opcode.name for opcode, _, _ in pickletools.genops(data)}


def assert_is_copy(copy: object, value: object) -> None:
    assert copy == value
    assert type(copy) is type(value)
    assert copy is not value


# ---- AbstractUnpickleTests: recorded pickles


@each_reader
@pytest.mark.parametrize("protocol", range(5))
def test_the_recorded_data_of_each_protocol_is_read_with_its_class_as_plain_state(
    face: Any, protocol: int, pickletester: Any
) -> None:
    policy = Policy().as_plain("__main__.C")
    value = face.loads(getattr(pickletester, f"DATA{protocol}"), policy=policy)
    *numbers, first, _, five = pickletester.create_data()
    state = vars(first[2])
    assert value == [*numbers, ("abc", "abc", state, state), value[-2], five]
    assert [type(item) for item in value[:-3]] == [type(item) for item in numbers]
    assert value[-3] is value[-2]
    assert value[-2][0] == value[-2][1]
    assert value[-2][2] is value[-2][3]


@each_reader
@pytest.mark.parametrize(
    "data",
    [
        b"(i__main__\nX\np0\n(dp1\nb.",
        b"(c__main__\nX\nq\x00oq\x01}q\x02b.",
        b"\x80\x02(c__main__\nX\nq\x00oq\x01}q\x02b.",
    ],
)
def test_a_classic_instance_is_read_as_its_state(face: Any, data: bytes) -> None:
    assert face.loads(data, policy=Policy().as_plain("__main__.X")) == {}


@each_reader
def test_a_set_and_an_xrange_of_python_2_are_read(face: Any, pickletester: Any) -> None:
    assert face.loads(pickletester.DATA_SET) == {1, 2}
    assert face.loads(pickletester.DATA_XRANGE) == range(5)
    assert face.loads(b"\x80\x02c__builtin__\nxrange\nK\x01K\x07K\x01\x87R.") == range(1, 7)


@each_reader
@pytest.mark.parametrize(
    "data", [b"((lp9\ng9\nt.", b"(]q\x06h\x06t.", b"(]r\x0c\x00\x00\x00j\x0c\x00\x00\x00t."]
)
def test_what_was_put_into_the_memo_is_got_again(face: Any, data: bytes) -> None:
    first, second = face.loads(data)
    assert first == []
    assert first is second


@each_reader
@pytest.mark.parametrize(
    "data",
    [
        b"N)R.",
        b"cdecimal\nDecimal\nNR.",
        b"cuuid\nUUID\nN\x81.",
        b"cuuid\nUUID\nN}\x92.",
        b"cuuid\nUUID\n)N\x92.",
        b"N)\x81.",
        b"N)}\x92.",
    ],
)
def test_a_call_of_what_cannot_be_called_or_with_what_are_no_arguments_is_an_error(
    face: Any, data: bytes
) -> None:
    with pytest.raises(plainpickle.UnpicklingError):
        face.loads(data)


@each_reader
@pytest.mark.parametrize(
    "data",
    [
        b"c\xff\nlog\n.",
        b"cmath\n\xff\n.",
        b"c\nlog\n.",
        b"cmath\n\n.",
        b"\x80\x04cmath\n\n.",
        b"\x8c\x01\xff\x8c\x03log\x93.",
        b"\x8c\x04math\x8c\x01\xff\x93.",
        b"\x8c\x00\x8c\x03log\x93.",
        b"\x8c\x04math\x8c\x00\x93.",
        b"\x80\x04\x8c\x04math\x8c\x00\x93.",
        b"N\x8c\x03log\x93.",
        b"\x8c\x04mathN\x93.",
        b"\x80\x04\x8c\x04mathN\x93.",
    ],
)
def test_a_name_that_is_none_is_an_error_of_both_of_pickles_kinds(face: Any, data: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError) as caught:
        face.loads(data)
    assert isinstance(caught.value, ValueError)


@each_reader
@pytest.mark.parametrize("code", [b"\x82\x01", b"\x83\x00\x01", b"\x84\x00\x00\x01\x00"])
def test_an_extension_code_is_refused_even_where_it_is_registered(face: Any, code: bytes) -> None:
    number = int.from_bytes(code[1:], "little")
    copyreg.add_extension("collections", "OrderedDict", number)
    try:
        with pytest.raises(plainpickle.UnpicklingError):
            face.loads(code + b")R.")
    finally:
        copyreg.remove_extension("collections", "OrderedDict", number)


class Cart:
    """A class of the application."""

    def __init__(self, *items: str) -> None:
        self.items = items


@pytest.mark.parametrize("name", [b"cshop\nCart\n", b"\x8c\x04shop\x8c\x04Cart\x93"])
@pytest.mark.parametrize("kind", ["method", "staticmethod", "classmethod", "attribute"])
def test_find_class_of_any_kind_is_asked_for_a_registered_name(kind: str, name: bytes) -> None:
    def find_class(module: str, name: str) -> Any:
        return lambda *items: (module, name, *items)

    own = {
        "method": lambda _, module, name: find_class(module, name),
        "staticmethod": staticmethod(find_class),
        "classmethod": classmethod(lambda _, module, name: find_class(module, name)),
    }
    methods = {"find_class": own[kind]} if kind in own else {}
    subclass = type("Unpickler", (plainpickle.Unpickler,), methods)
    policy = Policy().register("shop.Cart", build=Cart)
    unpickler = subclass(io.BytesIO(name + b"\x8c\x03tea\x85R."), policy=policy)
    if kind == "attribute":
        unpickler.find_class = find_class
    assert unpickler.load() == ("shop", "Cart", "tea")


def test_find_class_finds_what_is_registered_and_imports_nothing() -> None:
    unpickler = plainpickle.Unpickler(
        io.BytesIO(), policy=Policy().register("shop.Cart", build=Cart)
    )
    assert unpickler.find_class("shop", "Cart") is Cart
    for module, name in [("math", "log"), ("spam", "log"), ("", "log"), ("shop", "Cart.items")]:
        with pytest.raises(plainpickle.ForbiddenGlobal):
            unpickler.find_class(module, name)
    assert "spam" not in sys.modules


# ---- AbstractPickleTests: what comes back


@each_face
@each_protocol
def test_integers_of_a_million_bits_are_read_where_the_limit_allows_them(
    face: Any, protocol: int
) -> None:
    limits = Limits(max_int_bits=1_100_000)
    number = (0xDEADBEEFFEEDFACE << 1_000_000) + 0xDEADBEEFFEEDFACE
    small = Limits().max_int_bits
    assert small is not None
    for value in (number, -number) if protocol >= 2 else ():
        assert face.loads(pickle.dumps(value, protocol), limits=limits) == value
    for bits in (1, 8, 8 * 254, 8 * 255, 8 * 256, 8 * 257, small - 2 if protocol >= 2 else 14_000):
        for value in ((1 << bits) - 1, 1 << bits, (1 << bits) + 1):
            assert face.loads(face.dumps(value, protocol)) == value
            assert face.loads(face.dumps(-value, protocol)) == -value


@each_face
@each_protocol
def test_a_tuple_in_a_tuple_comes_back(face: Any, protocol: int) -> None:
    assert face.loads(face.dumps((1, ()), protocol)) == (1, ())


@each_face
@each_protocol
@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("raw", [b"", b"xyz", b"xyz" * 100], ids=len)
def test_bytes_are_shared_where_pickle_shares_them(
    face: Any, protocol: int, kind: Callable[[bytes], Any], raw: bytes
) -> None:
    value = kind(raw)
    for pair in ((value, value), (kind(raw), kind(raw))):
        data = face.dumps(pair, protocol)
        first, second = face.loads(data)
        one, other = pickle.loads(data)
        assert first == second == value
        assert (first is second) is (one is other)


CONTAINERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "list": (lambda item: [item], lambda found: found[0]),
    "tuple": (lambda item: (item,), lambda found: found[0]),
    "dict": (lambda item: {1: item}, lambda found: found[1]),
    "deque": (lambda item: deque([item]), lambda found: found[0]),
    "OrderedDict": (lambda item: OrderedDict({1: item}), lambda found: found[1]),
    "defaultdict": (lambda item: defaultdict(list, {1: item}), lambda found: found[1]),
}


@each_face
@each_protocol
@pytest.mark.parametrize("container", CONTAINERS)
def test_an_instance_and_a_container_may_hold_each_other(
    face: Any, protocol: int, container: str
) -> None:
    make, item_of = CONTAINERS[container]
    value = SimpleNamespace()
    value.attr = make(value)
    read = face.loads(face.dumps(value, protocol))
    assert type(read) is SimpleNamespace
    assert type(read.attr) is type(value.attr)
    assert len(read.attr) == 1
    assert item_of(read.attr) is read
    read = face.loads(face.dumps(value.attr, protocol))
    assert type(read) is type(value.attr)
    assert item_of(read).attr is read


@each_face
@each_protocol
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_container_may_hold_itself_by_way_of_another(
    face: Any, protocol: int, container: str
) -> None:
    make, item_of = CONTAINERS[container]
    cycle: list[Any] = []
    cycle.append(make({2: cycle}))
    read = face.loads(face.dumps(cycle, protocol))
    assert len(read) == 1
    assert item_of(read[0])[2] is read


@each_face
@each_protocol
@pytest.mark.parametrize("kind", [deque, OrderedDict, defaultdict])
def test_what_is_like_a_list_or_a_dict_may_hold_itself(
    face: Any, protocol: int, kind: Callable[[], Any]
) -> None:
    value: Any = kind()
    if kind is deque:
        value.append(value)
    else:
        value[0] = value
    read = face.loads(face.dumps(value, protocol))
    assert type(read) is kind
    assert len(read) == 1
    assert read[0] is read


@each_face
@each_protocol
def test_an_instance_may_be_its_own_attribute(face: Any, protocol: int) -> None:
    value = SimpleNamespace()
    value.attr = value
    read = face.loads(face.dumps(value, protocol))
    assert vars(read) == {"attr": read}


@each_face
@each_protocol
def test_a_time_comes_back_with_all_its_fields(face: Any, protocol: int) -> None:
    value = time.localtime()
    read = face.loads(face.dumps(value, protocol))
    assert_is_copy(read, value)
    assert read.tm_zone == value.tm_zone
    assert read.tm_gmtoff == value.tm_gmtoff


@each_face
@pytest.mark.parametrize("protocol", range(3))
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (range(1, 7), b"c__builtin__\nxrange"),
        (defaultdict(), b"ccollections\ndefaultdict"),
        ({1, 2}, b"c__builtin__\nset"),
    ],
)
def test_a_value_written_under_its_name_of_python_2_is_read(
    face: Any, protocol: int, value: Any, name: bytes
) -> None:
    data = face.dumps(value, protocol)
    assert name in data
    assert_is_copy(face.loads(data), value)


@each_face
@each_protocol
@pytest.mark.parametrize(
    ("value", "opcode"),
    [
        (deque([1, 2, 3]), "APPEND"),
        (OrderedDict({1: -1, 2: -2, 3: -3}), "SETITEM"),
        (defaultdict(int, {1: -1, 2: -2, 3: -3}), "SETITEM"),
    ],
)
def test_items_are_added_to_what_is_no_list_and_no_dict(
    face: Any, protocol: int, value: Any, opcode: str
) -> None:
    data = face.dumps(value, protocol)
    assert (opcode if protocol == 0 else f"{opcode}S") in opcodes(data)
    assert_is_copy(face.loads(data), value)


@each_face
@each_protocol
def test_a_large_pickle_comes_back(face: Any, protocol: int) -> None:
    value = (1, b"xy" * (30 * 1024), None)
    assert face.loads(face.dumps(value, protocol)) == value


# ---- PEP 574: out-of-band buffers


@each_face
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_buffer_in_band_comes_back_as_a_copy(face: Any, kind: Callable[[bytes], Any]) -> None:
    value = kind(b"abcdefgh")
    for options in ({}, {"buffer_callback": lambda _: True}):
        data = face.dumps(pickle.PickleBuffer(value), 5, **options)
        assert b"abcdefgh" in data
        assert "NEXT_BUFFER" not in opcodes(data)
        assert_is_copy(face.loads(data), value)


@each_face
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_buffer_out_of_band_comes_back_as_itself(face: Any, kind: Callable[[bytes], Any]) -> None:
    value = kind(b"abcdefgh")
    buffers: list[Any] = []
    data = face.dumps(pickle.PickleBuffer(value), 5, buffer_callback=buffers.append)
    assert b"abcdefgh" not in data
    assert {"NEXT_BUFFER"} <= opcodes(data)
    assert ("READONLY_BUFFER" in opcodes(data)) is (kind is bytes)
    with pytest.raises(pickle.UnpicklingError):
        face.loads(data)
    for given in (buffers, iter(buffers)):
        read = face.loads(data, buffers=given)
        with memoryview(read) as view:
            assert view.obj is value
            assert view.readonly is (kind is bytes)


@each_face
def test_a_read_only_buffer_may_be_given_back_as_a_writable_one(face: Any) -> None:
    buffers: list[Any] = []
    data = face.dumps(pickle.PickleBuffer(b"foobar"), 5, buffer_callback=buffers.append)
    with memoryview(face.loads(data, buffers=map(bytearray, buffers))) as view:
        assert view.readonly
        assert view.tobytes() == b"foobar"


@pytest.mark.parametrize("protocol", range(5))
@each_face
def test_buffers_out_of_band_need_protocol_5(face: Any, protocol: int) -> None:
    with pytest.raises(ValueError, match="protocol"):
        face.dumps(b"abc", protocol, buffer_callback=[].append)


# ---- AbstractIdentityPersistentPicklerTests


@pytest.mark.parametrize(
    ("protocol", "pid"),
    [(0, "abc"), *itertools.product(range(1, 6), ["abc\n", b"abc\n", -1, -1.1 * 0.1, ("abc", 5)])],
)
@pytest.mark.parametrize("face", [faces.PersistentLoads, faces.PersistentLoad])
def test_a_persistent_id_may_be_any_plain_value(face: Any, protocol: int, pid: Any) -> None:
    made = face()
    made.persistent_id = lambda value: pid if value is None else None
    made.persistent_load = lambda pid: [pid]
    [read] = made.loads(made.dumps(None, protocol))
    assert read == pid
    assert type(read) is type(pid)


# ---- what a pickler lets its subclasses do


def written(pickler: Any, value: Any, protocol: int, **attributes: Any) -> bytes:
    file = io.BytesIO()
    made = pickler(file, protocol)
    for name, attribute in attributes.items():
        setattr(made, name, attribute)
    made.dump(value)
    return file.getvalue()


def as_decimal(value: Any) -> Any:
    return Decimal, ("1.50",)


def as_set(value: Any) -> Any:
    return set, (["x"],)


@each_protocol
@each_pickler
@pytest.mark.parametrize("of", ["class", "instance"])
@pytest.mark.parametrize("chained", [False, True])
def test_a_dispatch_table_decides_how_a_class_is_written(
    pickler: Any, protocol: int, of: str, chained: bool
) -> None:
    own = {Cart: as_decimal, complex: as_set}
    table: Any = (
        ChainMap(own, copyreg.dispatch_table) if chained else {**copyreg.dispatch_table, **own}
    )
    subclass = type("Own", (pickler,), {"dispatch_table": table} if of == "class" else {})
    given = {"dispatch_table": table} if of == "instance" else {}
    data = written(subclass, [Cart(), 1j, Decimal(2)], protocol, **given)
    assert plainpickle.loads(data) == [Decimal("1.50"), {"x"}, Decimal(2)]
    assert plainpickle.loads(plainpickle.dumps(1j, protocol)) == 1j


def test_a_dispatch_table_that_says_none_is_a_type_error() -> None:
    pickler: Any = plainpickle.Pickler(io.BytesIO())
    pickler.dispatch_table = {Decimal: None}
    with pytest.raises(TypeError):
        pickler.dump(Decimal(1))


class Reduced:
    """The reducer of `AbstractCustomPicklerClass`, with results that are plain."""

    def reducer_override(self, value: Any) -> Any:
        name = getattr(value, "__name__", None)
        if name == "broken":
            raise ValueError("The reducer just failed")
        if name == "no_result":
            return False
        return as_decimal(value) if name in ("Cart", "as_set") else NotImplemented


@each_protocol
@each_pickler
def test_a_reducer_override_decides_how_anything_is_written(pickler: Any, protocol: int) -> None:
    def broken() -> None: ...
    def no_result() -> None: ...

    hooked = type("Hooked", (Reduced, pickler), {})
    data = written(hooked, [as_set, Cart, datetime(2020, 2, 29)], protocol)
    assert plainpickle.loads(data) == [Decimal("1.50"), Decimal("1.50"), datetime(2020, 2, 29)]
    with pytest.raises(pickle.PicklingError):
        written(hooked, no_result, protocol)
    with pytest.raises(ValueError, match="The reducer just failed"):
        written(hooked, broken, protocol)


@each_protocol
def test_a_reducer_override_makes_no_reference_cycle(protocol: int) -> None:
    hooked = type("Hooked", (Reduced, plainpickle.Pickler), {})

    class Cart: ...

    reference = weakref.ref(Cart)
    pickler = hooked(io.BytesIO(), protocol)
    pickler.dump(Cart)
    instances = weakref.ref(pickler)
    del pickler
    assert instances() is None
    del Cart
    gc.collect()  # a class is a cycle by itself
    assert reference() is None


@pytest.mark.parametrize("wrong", [None, 10])
def test_a_reducer_override_that_cannot_be_called_is_a_type_error(wrong: Any) -> None:
    pickler: Any = type("Own", (plainpickle.Pickler,), {})(io.BytesIO())
    pickler.dump(Decimal(1))
    pickler.clear_memo()
    pickler.reducer_override = wrong
    with pytest.raises(TypeError):
        pickler.dump(Decimal(1))


@each_protocol
@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("kind", ["list", "set", "keys", "values"])
def test_a_collection_may_be_cleared_while_it_is_written(
    kind: str, copies: int, protocol: int
) -> None:
    keys = [f"clear {n}" for n in range(copies)]
    kinds = {"list": keys, "set": set(keys), "keys": dict.fromkeys(keys), "values": {}}
    collection: Any = kinds[kind] or dict(enumerate(keys))

    class Clearing(plainpickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if isinstance(value, str):
                collection.clear()

    with contextlib.suppress(RuntimeError):  # it changed size during iteration
        Clearing(io.BytesIO(), protocol).dump(collection)
    assert not collection


@pytest.mark.parametrize("protocol", [4, 5])
def test_what_a_file_gets_to_write_stays_valid_after_the_dump(protocol: int) -> None:
    values = [(str(n).encode(), n % 42, {"i": str(n)}) for n in range(10_000)] + [
        "0123456789abcdef" * 5000
    ]
    chunks: list[Any] = []
    plainpickle.Pickler(SimpleNamespace(write=chunks.append), protocol).dump(values)
    gc.collect()
    assert plainpickle.loads(b"".join(chunks)) == values


# ---- AbstractPickleModuleTests and AbstractPicklerUnpicklerObjectTests: files


def test_functions_on_files_take_buffers_out_of_band() -> None:
    value = pickle.PickleBuffer(bytearray(b"foo"))
    file, buffers = io.BytesIO(), []  # type: ignore[var-annotated]
    plainpickle.dump(value, file, protocol=5, buffer_callback=buffers.append)
    assert b"foo" not in file.getvalue()
    assert plainpickle.dumps(value, protocol=5, buffer_callback=lambda _: None) == file.getvalue()
    for load in (plainpickle.load, pickle.load):
        file.seek(0)
        assert memoryview(load(file, buffers=buffers)).obj is memoryview(value).obj
        file.seek(0)
        with pytest.raises(pickle.UnpicklingError):
            load(file)


class Unseekable(io.BytesIO):
    """CPython's `UnseekableIO`."""

    def peek(self, *_: Any) -> bytes:
        raise NotImplementedError

    def seekable(self) -> bool:
        return False

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


class Minimal:
    """CPython's `MinimalIO`: neither `peek` nor `readinto`."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self.file.read(size)

    def readline(self) -> bytes:
        return self.file.readline()


class ShortReads(Minimal):
    """`read` gives half of what is asked for."""

    def read(self, size: int = -1, /) -> bytes:
        return self.file.read(max(1, size // 2) if size > 0 else size)


class Peekable(Minimal):
    """`peek` gives one byte, whatever is asked for."""

    def peek(self, _: int = 0, /) -> bytes:
        return self.file.getbuffer()[self.file.tell() :][:1].tobytes()


def on_disk(data: bytes, buffering: int = -1) -> Any:
    file: Any = tempfile.TemporaryFile(buffering=buffering)  # noqa: SIM115  # the test closes it
    file.write(data)
    file.seek(0)
    return file


def buffered(size: int, data: bytes) -> Any:
    raw: Any = io.BytesIO(data)
    return io.BufferedRandom(raw, size)


def one_by_one(reader: str, file: Any) -> Callable[[], Any]:
    """What reads the next pickle of the file."""
    if reader == "Unpickler":
        return plainpickle.Unpickler(file).load
    return partial(plainpickle.load, file)


FILES: dict[str, Callable[[bytes], Any]] = {
    "seekable": io.BytesIO,
    "unseekable": Unseekable,
    "minimal": Minimal,
    "short reads": ShortReads,
    "peekable": Peekable,
    "buffered": on_disk,
    "raw": lambda data: on_disk(data, 0),
    **{f"buffer of {size}": partial(buffered, size) for size in (1, 2, 10)},
}
each_way = pytest.mark.parametrize("reader", ["Unpickler", "load"])


@each_protocol
@each_way
@pytest.mark.parametrize("kind", FILES)
def test_several_pickles_in_a_file_are_read_one_by_one(
    kind: str, reader: str, protocol: int
) -> None:
    value = [(n, str(n)) for n in range(600)] + [b"abcde", None]
    pickled = pickle.dumps(value, protocol)
    with contextlib.ExitStack() as stack:
        file = FILES[kind](pickled * 3)
        stack.callback(getattr(file, "close", lambda: None))
        load = one_by_one(reader, file)
        for n in range(3):
            assert load() == value
            if hasattr(file, "seekable") and file.seekable():
                assert file.tell() == (n + 1) * len(pickled)
        with pytest.raises(EOFError):
            load()


@each_protocol
@each_way
@pytest.mark.parametrize("kind", FILES)
def test_what_follows_a_pickle_stays_in_the_file(kind: str, reader: str, protocol: int) -> None:
    """Also where a text opcode is the last one, and the buffer holds only a part of it."""
    for value in (list(range(10)), "text", 2**70, None, b"x" * 70_000):
        with contextlib.ExitStack() as stack:
            file = FILES[kind](pickle.dumps(value, protocol) + b"rest\n.")
            stack.callback(getattr(file, "close", lambda: None))
            assert one_by_one(reader, file)() == value
            assert b"".join(iter(lambda: file.read(3), b"")) == b"rest\n."


@contextlib.contextmanager
def pipe(buffering: int = -1) -> Iterator[tuple[Any, Callable[[bytes], Any], Callable[[], None]]]:
    ours, theirs = os.pipe()
    with open(ours, "rb", buffering) as file, open(theirs, "wb", 0) as other:  # noqa: PTH123  # no paths
        yield file, other.write, other.close


@contextlib.contextmanager
def connection(
    buffering: int = -1,
) -> Iterator[tuple[Any, Callable[[bytes], Any], Callable[[], None]]]:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb", buffering) as file:
        yield file, theirs.sendall, theirs.close


@each_protocol
@each_way
@pytest.mark.parametrize("buffering", [-1, 0], ids=["buffered", "raw"])
@pytest.mark.parametrize("channel", [pipe, connection])
def test_a_pickle_is_there_as_soon_as_its_last_byte_is(
    channel: Any, buffering: int, reader: str, protocol: int
) -> None:
    """The sender waits for an answer: to ask for one byte more would be to wait for ever."""
    value = [(n, str(n)) for n in range(300)] + [b"abcde" * 2000, None]
    pickled = pickle.dumps(value, protocol)
    with channel(buffering) as (file, send, close), ThreadPoolExecutor(1) as reading:
        load = one_by_one(reader, file)
        try:
            for _ in range(3):
                send(pickled)
                assert reading.submit(load).result(20) == value
        finally:
            close()
        with pytest.raises(EOFError):
            reading.submit(load).result(20)
