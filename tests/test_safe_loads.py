"""`safe_loads`: what it takes, what it gives, and how it says no, measured against pickle's own."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import pickle
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import plainpickle
from plainpickle import Limits, Policy, safe_loads

PROTOCOLS = range(6)
SESSION = {
    "user": 5,
    "seen": [1.5, None, True],
    "tags": {"a", "b"},
    "at": datetime.datetime(2020, 2, 29, 23, 59),
    ("k", 1): b"\x00\xff",
}


def refusal(data: bytes, **options: Any) -> plainpickle.UnpicklingError:
    with pytest.raises(plainpickle.UnpicklingError) as caught:
        safe_loads(data, **options)
    return caught.value


# ---- input


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dumps", [pickle.dumps, pickle._dumps], ids=["C", "Python"])  # type: ignore[attr-defined]
def test_each_protocol_of_both_picklers_gives_an_equal_value(
    dumps: Callable[..., bytes], protocol: int
) -> None:
    value = safe_loads(dumps(SESSION, protocol))
    assert value == SESSION
    assert [type(item) for item in value.values()] == [type(item) for item in SESSION.values()]


@pytest.mark.parametrize(
    "wrap",
    [
        bytes,
        bytearray,
        memoryview,
        lambda raw: memoryview(bytearray(raw)),
        lambda raw: array.array("B", raw),
        type("Own", (bytes,), {}),
    ],
)
def test_any_contiguous_bytes_like_object_is_input(wrap: Callable[[bytes], Any]) -> None:
    assert safe_loads(wrap(pickle.dumps(SESSION))) == SESSION


def test_a_slice_of_a_larger_buffer_is_read_in_place_of_the_buffer() -> None:
    assert safe_loads(memoryview(b"junk" + pickle.dumps([1]) + b"junk")[4:]) == [1]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ("N.", TypeError),
        (None, TypeError),
        (5, TypeError),
        ([78, 46], TypeError),
        (memoryview(b"N.N.")[::2], BufferError),
        (memoryview(b".N")[::-1], BufferError),
    ],
    ids=["str", "None", "int", "list", "every-second", "reversed"],
)
def test_what_is_no_contiguous_bytes_is_the_callers_error(
    data: Any, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        safe_loads(data)
    assert not isinstance(caught.value, plainpickle.UnpicklingError)


@pytest.mark.parametrize("trailing", [b"", b".", b"N.", b"\xff" * 100, b"cos\nsystem\n"])
def test_bytes_after_stop_are_ignored(trailing: bytes) -> None:
    assert safe_loads(pickle.dumps([1, 2]) + trailing) == [1, 2]


# ---- errors


def test_a_pickle_that_ends_where_an_opcode_is_due_is_also_an_eof_error() -> None:
    for data in (b"", b"N", b"\x80\x04", b"]q\x00", b"(K\x01"):
        error = refusal(data)
        assert type(error) is plainpickle.TruncatedPickle
        assert isinstance(error, EOFError)
        assert (error.kind, error.offset, error.opcode) == ("end_of_input", len(data), None)


@pytest.mark.parametrize(
    "data",
    [
        b"K",
        b"X\x05\0\0\0ab",
        b"I5",
        b"cos\nsyst",
        b"\x95\xff\0\0\0\0\0\0\0N.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"U\x02a",
    ],
)
def test_a_pickle_that_ends_inside_an_opcode_is_not(data: bytes) -> None:
    error = refusal(data)
    assert type(error) is plainpickle.MalformedPickle
    assert (error.kind, error.offset) == ("truncated", 0)


def test_the_whole_family_is_caught_as_pickles_own_error_and_as_a_value_error() -> None:
    for name in (
        "UnpicklingError",
        "MalformedPickle",
        "TruncatedPickle",
        "ForbiddenGlobal",
        "LimitExceeded",
        "UnsupportedOpcode",
    ):
        error = getattr(plainpickle, name)
        assert issubclass(error, plainpickle.UnpicklingError)
        assert issubclass(error, pickle.UnpicklingError)
        assert issubclass(error, ValueError)
        assert issubclass(error, EOFError) is (name == "TruncatedPickle")
    assert issubclass(plainpickle.TruncatedPickle, plainpickle.MalformedPickle)
    assert not issubclass(plainpickle.PolicyError, pickle.PickleError)


DECIMAL = b"cdecimal\nDecimal\n"
ERRORS = {
    "unknown_opcode": (b"N0\xff.", plainpickle.MalformedPickle, 2, None),
    "unsupported_protocol": (b"\x80\x06N.", plainpickle.MalformedPickle, 0, "PROTO"),
    "stack_underflow": (b"N(0a.", plainpickle.MalformedPickle, 3, "APPEND"),
    "no_mark": (b"]e.", plainpickle.MalformedPickle, 1, "APPENDS"),
    "no_memo": (b"]h\x07.", plainpickle.MalformedPickle, 1, "BINGET"),
    "negative_length": (b"NT\xff\xff\xff\xff.", plainpickle.MalformedPickle, 1, "BINSTRING"),
    "invalid_value": (b"N0Is3cr3t\n.", plainpickle.MalformedPickle, 2, "INT"),
    "misplaced": (b"X\x06\0\0\0s3cr3tNa.", plainpickle.MalformedPickle, 12, "APPEND"),
    "odd_items": (b"}(Nu.", plainpickle.MalformedPickle, 3, "SETITEMS"),
    "unhashable": (b"}](X\x06\0\0\0s3cr3teNs.", plainpickle.MalformedPickle, 16, "SETITEM"),
    "forbidden_global": (
        b"\x80\x02cos\nsystem\nX\x06\0\0\0s3cr3t\x85R.",
        plainpickle.ForbiddenGlobal,
        2,
        "GLOBAL",
    ),
    "forbidden_use": (
        DECIMAL + b"X\x06\0\0\0s3cr3tN\x86R.",
        plainpickle.ForbiddenGlobal,
        30,
        "REDUCE",
    ),
    "global_as_value": (b"]" + DECIMAL + b"a.", plainpickle.ForbiddenGlobal, 18, "APPEND"),
    "limit": (
        b"N\x8b\x01\x20\0\0" + b"s3cr3t" * 1366 + b".",
        plainpickle.LimitExceeded,
        1,
        "LONG4",
    ),
    "extension_code": (b"N0\x82\x01.", plainpickle.UnsupportedOpcode, 2, "EXT1"),
    "persistent_id": (b"]Ps3cr3t\n.", plainpickle.UnsupportedOpcode, 1, "PERSID"),
    "no_buffer": (b"(N\x97.", plainpickle.UnsupportedOpcode, 2, "NEXT_BUFFER"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_states_its_kind_its_offset_and_its_opcode(kind: str) -> None:
    data, category, offset, opcode = ERRORS[kind]
    error = refusal(data)
    assert type(error) is category
    assert (error.kind, error.offset, error.opcode) == (kind, offset, opcode)


def test_a_refused_name_and_an_exceeded_limit_are_stated() -> None:
    for kind, name in (
        ("forbidden_global", "os.system"),
        ("forbidden_use", "decimal.Decimal"),
        ("global_as_value", "decimal.Decimal"),
    ):
        error = refusal(ERRORS[kind][0])
        assert isinstance(error, plainpickle.ForbiddenGlobal)
        assert error.name == name
        assert name in str(error)
    error = refusal(ERRORS["limit"][0])
    assert isinstance(error, plainpickle.LimitExceeded)
    assert error.limit == "max_int_bits"


def test_a_number_that_is_too_long_is_stated_where_it_stands_in_whatever_uuid() -> None:
    for count in (1, 2, 3):
        data = pickle.dumps([*map(uuid_of, range(count - 1)), uuid_of(1 << 100)], 4)
        with pytest.raises(plainpickle.LimitExceeded) as caught:
            safe_loads(data, limits=Limits(max_int_bits=64))
        assert (caught.value.offset, caught.value.opcode) == (data.rindex(b"\x8a"), "LONG1")


def uuid_of(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


PAYLOADS = [
    b"Fs3cr3t\n.",
    b"Ls3cr3tL\n.",
    b"gs3cr3t\n.",
    b"Np s3cr3t\n.",
    b"S's3cr3t\n.",
    b"S's3cr3t\\x4'\n.",
    b"Vs3cr3t\\u12\n.",
    b"Ps3cr3t\xff\n.",
    b"X\x08\0\0\0s3cr3t\xc3\x28.",
    DECIMAL + b"X\x06\0\0\0s3cr3t\x85R.",
    b"cipaddress\nIPv4Address\nX\x06\0\0\0s3cr3t\x85R.",
    b"cfractions\nFraction\nX\x06\0\0\0s3cr3t\x85R.",
    b"cdatetime\ndatetime\nC\x0as3cr3ts3cr\x85R.",
    b"c_codecs\nencode\nX\x08\0\0\0s3cr3t\xc4\x80X\x06\0\0\0latin1\x86R.",
    b"carray\narray\nX\x06\0\0\0s3cr3t]\x86R.",
    b"cuuid\nUUID\n)\x81}X\x03\0\0\0intX\x06\0\0\0s3cr3tsb.",
    (
        b"cbuiltins\ngetattr\nczoneinfo\nZoneInfo\nX\x09\0\0\0_unpickle\x86RX\x06\0\0\0s3cr3tK"
        b"\x01\x86R."
    ),
    b"X\x06\0\0\0s3cr3t\x93.",
    b"X\x06\0\0\0s3cr3t)R.",
]


@pytest.mark.parametrize("data", [*PAYLOADS, *(row[0] for row in ERRORS.values())])
def test_no_message_and_no_attribute_of_an_error_holds_payload(data: bytes) -> None:
    error = refusal(data)
    assert "s3cr3t" not in f"{error} {error!r} {error.args} {vars(error)}"
    assert error.__cause__ is error.__context__ is None


def test_a_name_in_an_error_is_escaped_and_cut() -> None:
    error = refusal(b"cevil\x1b[31m\r\nna\xd0\xb0me" + b"x" * 200 + b"\n.")
    assert isinstance(error, plainpickle.ForbiddenGlobal)
    assert error.name.isascii() or error.name.endswith("…")
    assert str(error).isprintable()
    assert str(error).rstrip("…").replace("…", "").isascii()
    assert len(error.name) <= 200


# ---- protocol 0 to 2 names and Python 2 strings


def test_python_2_names_are_read_unless_fix_imports_is_off_or_the_protocol_is_3_or_more() -> None:
    for body, value in (
        (b"c__builtin__\nset\n](K\x01e\x85R.", {1}),
        (b"c__builtin__\nxrange\nK\x00K\x03K\x01\x87R.", range(3)),
    ):
        for head in (b"", b"\x80\x01", b"\x80\x02"):
            assert safe_loads(head + body) == value
            assert isinstance(refusal(head + body, fix_imports=False), plainpickle.ForbiddenGlobal)
        assert isinstance(refusal(b"\x80\x03" + body), plainpickle.ForbiddenGlobal)
    assert safe_loads(b"cbuiltins\nset\n](K\x01e\x85R.", fix_imports=False) == {1}


# Written by Python 2.7.18, by the pickler and at the protocol that the keys name. The texts are
# 'J\xf3zsef' (latin), 'J\xc3\xb3zsef' (name) and u'J\xf3zsef' (text).
PYTHON_2 = {
    "pickle-0": (
        b"(dp0\nS'latin'\np1\nS'J\\xf3zsef'\np2\nsS'name'\np3\nS'J\\xc3\\xb3zsef'\np4\nsVtext\np"
        b"5\nVJ\xf3zsef\np6\nsS'price'\np7\ncdecimal\nDecimal\np8\n(S'9.90'\np9\ntp10\nRp11\nsS'"
        b"when'\np12\ncdatetime\ndatetime\np13\n(S'\\x07\\xe0\\x02\\x1d\\x17;:\\x03\\xd0\\x90'\n"
        b"p14\ntp15\nRp16\nsS'n'\np17\nL100000000000000000000L\nsS'day'\np18\ncdatetime\ndate\np"
        b"19\n(S'\\x07\\xe0\\x02\\x1d'\np20\ntp21\nRp22\ns."
    ),
    "cPickle-1": (
        b"}q\x01(U\x05latinq\x02U\x06J\xf3zsefq\x03U\x04nameq\x04U\x07J\xc3\xb3zsefq\x05X\x04"
        b"\x00\x00\x00textq\x06X\x07\x00\x00\x00J\xc3\xb3zsefq\x07U\x05priceq\x08cdecimal\nDecim"
        b"al\nq\x09(U\x049.90tRq\nU\x04whenq\x0bcdatetime\ndatetime\nq\x0c(U\n\x07\xe0\x02\x1d"
        b"\x17;:\x03\xd0\x90tRq\x0dU\x01nL100000000000000000000L\nU\x03dayq\x0ecdatetime\ndate\n"
        b"q\x0f(U\x04\x07\xe0\x02\x1dtRq\x10u."
    ),
    "pickle-2": (
        b"\x80\x02}q\x00(U\x05latinq\x01U\x06J\xf3zsefq\x02U\x04nameq\x03U\x07J\xc3\xb3zsefq\x04"
        b"X\x04\x00\x00\x00textq\x05X\x07\x00\x00\x00J\xc3\xb3zsefq\x06U\x05priceq\x07cdecimal\n"
        b"Decimal\nq\x08U\x049.90q\x09\x85q\nRq\x0bU\x04whenq\x0ccdatetime\ndatetime\nq\x0dU\n"
        b"\x07\xe0\x02\x1d\x17;:\x03\xd0\x90q\x0e\x85q\x0fRq\x10U\x01nq\x11\x8a\x09\x00\x00\x10c"
        b"-^\xc7k\x05U\x03dayq\x12cdatetime\ndate\nq\x13U\x04\x07\xe0\x02\x1dq\x14\x85q\x15Rq"
        b"\x16u."
    ),
}
RAW_2 = (
    b"\x80\x02}q\x01(U\x03rawq\x02U\x02\xff\xfeq\x03U\x01rc__builtin__\nxrange\nq\x04K\x00"
    b"K\x03K\x01\x87Rq\x05U\x02okq\x06\x88U\x02idq\x07\x8a\t\xd2\n\x1f\xeb\x8c\xa9T\xab"
    b"\x00u."
)
PYTHON_2_VALUE = {
    "latin": b"J\xf3zsef",
    "name": "József",
    "text": "József",
    "price": decimal.Decimal("9.90"),
    "when": datetime.datetime(2016, 2, 29, 23, 59, 58, 250000),
    "n": 10**20,
    "day": datetime.date(2016, 2, 29),
}


@pytest.mark.parametrize("data", PYTHON_2.values(), ids=PYTHON_2)
def test_a_python_2_string_is_bytes_for_a_constructor_else_text_if_it_is_utf8_else_bytes(
    data: bytes,
) -> None:
    with pytest.raises(UnicodeDecodeError):
        pickle.loads(data)
    assert safe_loads(data) == PYTHON_2_VALUE
    latin = safe_loads(data, encoding="latin1")
    assert latin == pickle.loads(data, encoding="latin1")
    assert (latin["latin"], latin["name"]) == ("József", "JÃ³zsef")


@pytest.mark.parametrize(
    ("encoding", "errors"),
    [
        ("latin1", "strict"),
        ("bytes", "strict"),
        ("ASCII", "surrogateescape"),
        ("ASCII", "replace"),
        ("utf-8", "ignore"),
        ("utf-8", "surrogateescape"),
        ("utf-16", "strict"),
        ("cp1252", "strict"),
    ],
)
def test_an_explicit_encoding_acts_as_pickles_own(encoding: str, errors: str) -> None:
    def read(loads: Callable[..., Any]) -> Any:
        try:
            return loads(RAW_2, encoding=encoding, errors=errors)
        except UnicodeDecodeError as error:
            return str(error)

    assert read(safe_loads) == read(pickle.loads)


@pytest.mark.parametrize("encoding", ["ASCII", "ascii", "utf-8", "utf8"])
def test_text_that_an_explicit_encoding_cannot_read_is_pickles_unicode_decode_error(
    encoding: str,
) -> None:
    with pytest.raises(UnicodeDecodeError):
        safe_loads(RAW_2, encoding=encoding)
    with pytest.raises(LookupError):
        safe_loads(RAW_2, encoding="no-such-encoding")


# ---- what the caller hands in


def test_out_of_band_buffers_are_taken_in_order_from_any_iterable() -> None:
    buffers: list[pickle.PickleBuffer] = []
    writable, readonly = bytearray(b"one"), b"two"
    data = pickle.dumps(
        [pickle.PickleBuffer(writable), pickle.PickleBuffer(readonly)],
        5,
        buffer_callback=buffers.append,
    )
    for given in (
        buffers,
        tuple(buffers),
        iter(buffers),
        (buffer for buffer in buffers),
        dict.fromkeys(map(id, buffers)) and collections.deque(buffers),
    ):
        first, second = safe_loads(data, buffers=given)
        assert (bytes(first), memoryview(first).readonly) == (b"one", False)
        assert (bytes(second), memoryview(second).readonly) == (b"two", True)


def test_a_buffer_that_was_read_only_is_not_handed_out_as_writable() -> None:
    given = bytearray(b"abc")
    assert safe_loads(b"\x97.", buffers=[given]) is given
    view = safe_loads(b"\x97\x98.", buffers=[given])
    assert view.readonly
    assert safe_loads(b"\x97\x98.", buffers=[b"abc"]) == b"abc"


def test_buffers_have_to_be_iterable_and_enough() -> None:
    for data in (b"\x97.", b"N."):
        with pytest.raises(TypeError):
            safe_loads(data, buffers=5)  # type: ignore[arg-type]
    cases: list[dict[str, Any]] = [{}, {"buffers": None}, {"buffers": []}]
    for options in cases:
        assert refusal(b"\x97.", **options).kind == "no_buffer"
    assert refusal(b"\x97\x97\x86.", buffers=[b"one"]).offset == 1
    assert safe_loads(b"N.", buffers=[b"not needed"]) is None


def test_a_persistent_id_is_what_the_resolver_gives_for_it() -> None:
    assert safe_loads(b"Pabc\n.", persistent_load=lambda key: [key]) == ["abc"]
    assert safe_loads(b"(Pa\nK\x07QN\x85Ql.", persistent_load=lambda key: (key,)) == [
        ("a",),
        (7,),
        ((None,),),
    ]
    shared = object()
    first, second = safe_loads(b"(Pa\nPa\nl.", persistent_load=lambda _: shared)
    assert first is second is shared


def test_a_persistent_id_of_protocol_0_is_ascii() -> None:
    for data in (b"P\xc3\xb3\n.", b"P\xff\n."):
        assert refusal(data, persistent_load=str).kind == "invalid_value"


def test_the_extension_registry_is_never_used() -> None:
    for data, opcode in (
        (b"\x82\x01.", "EXT1"),
        (b"\x83\x01\x00.", "EXT2"),
        (b"\x84\x01\x00\x00\x00.", "EXT4"),
        (b"\x82\x00.", "EXT1"),
    ):
        for policy in (None, Policy().stub()):
            error = refusal(data, policy=policy)
            assert (type(error), error.opcode) == (plainpickle.UnsupportedOpcode, opcode)


class Halt(BaseException):
    """No `except Exception` catches it."""


@pytest.mark.parametrize(
    "raised",
    [
        KeyboardInterrupt,
        SystemExit,
        Halt,
        MemoryError,
        RecursionError,
        ZeroDivisionError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
    ],
)
def test_an_exception_of_the_apps_own_code_passes_through_unchanged(
    raised: type[BaseException],
) -> None:
    error = raised("mine")

    def fails(*_: Any) -> Any:
        raise error

    def failing() -> Iterator[Any]:
        yield fails()

    own = type("Own", (), {"__setstate__": fails})
    for data, options in (
        (b"Pa\n.", {"persistent_load": fails}),
        (b"\x97.", {"buffers": failing()}),
        (b"\x80\x02cshop\nf\n)R.", {"policy": Policy().register("shop.f", build=fails)}),
        (b"\x80\x02cshop\nC\n)\x81}b.", {"policy": Policy().register("shop.C", build=own)}),
        (
            b"\x80\x02}cshop\nC\n)\x81Ns.",
            {"policy": Policy().register("shop.C", build=type("Key", (), {"__hash__": fails}))},
        ),
        (
            b"\x80\x02cshop\nC\n)\x81Na.",
            {"policy": Policy().register("shop.C", build=type("Held", (), {"append": fails}))},
        ),
        (
            b"\x80\x02cshop\nC\n)\x81NNs.",
            {"policy": Policy().register("shop.C", build=type("Held", (), {"__setitem__": fails}))},
        ),
    ):
        with pytest.raises(raised) as caught:
            safe_loads(data, **options)
        assert caught.value is error


# ---- sharing, cycles, memo


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_was_one_object_is_one_object_again(protocol: int) -> None:
    inner: list[Any] = [1]
    when = datetime.datetime(2020, 1, 1)
    value = safe_loads(pickle.dumps([inner, {"a": inner}, (inner,), when, when], protocol))
    assert value[0] is value[1]["a"] is value[2][0]
    assert value[3] is value[4]
    equal = safe_loads(pickle.dumps([[], []], protocol))
    assert equal[0] is not equal[1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_cycle_comes_back_as_a_cycle(protocol: int) -> None:
    loop: list[Any] = []
    table: dict[str, Any] = {"loop": loop}
    ordered: collections.OrderedDict[str, Any] = collections.OrderedDict(table=table)
    queue = collections.deque([ordered])
    loop += [table, (loop, queue), collections.defaultdict(list, self=loop)]
    value = safe_loads(pickle.dumps(loop, protocol))
    assert value[0]["loop"] is value
    assert value[1][0] is value
    assert value[1][1][0]["table"] is value[0]
    assert value[2]["self"] is value
    assert [type(item) for item in value] == [type(item) for item in loop]


MEMO = {
    b"]q\x05]q\x06h\x05h\x06\x86.": "sparse indices",
    b"]q\x00K\x01a0h\x00.": "an entry outlives its stack slot",
    b"]q\x00}q\x00h\x00.": "a later PUT replaces an entry",
    b"]\x94h\x00.": "MEMOIZE starts at 0",
    b"]q\x03}\x94h\x01.": "MEMOIZE counts entries, not indices",
    b"]q\x00}q\x00)\x94h\x01.": "a replaced entry counts once",
    b"]p3\n0g3\n.": "PUT and GET by text",
    b"]r\x02\0\0\0j\x02\0\0\0\x86.": "four-byte indices",
    b"K\x05q\x01q\x02h\x02.": "one value under two indices",
    b"](h\x00.": "nothing was stored",
    b"]q\x00h\x01.": "another index was stored",
    b"q\x00N.": "nothing to store",
    b"\x94.": "nothing to memoize",
    b"(q\x00N.": "a mark cannot be stored",
    b"]p-1\n.": "a negative index",
    b"]px\n.": "an index that is none",
    b"](0q\x00h\x00.": "a dropped mark is gone",
}


@pytest.mark.parametrize("data", MEMO, ids=MEMO.values())
def test_the_memo_does_what_pickles_does(data: bytes) -> None:
    try:
        expected = pickle.loads(data)
    except Exception:
        assert type(refusal(data)) is plainpickle.MalformedPickle
    else:
        assert repr(safe_loads(data)) == repr(expected)


def test_a_memo_index_beyond_the_input_is_refused_before_memory_is_taken() -> None:
    for data in (b"Nr\x00\x00\x00\x02.", b"Nr\xff\xff\xff\xff.", b"Np999999999\n."):
        error = refusal(data)
        assert isinstance(error, plainpickle.LimitExceeded)
        assert error.limit == "memo_index"


# ---- limits


def nested(levels: int) -> bytes:
    return b"]" * levels + b"a" * (levels - 1) + b"."


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


@pytest.mark.parametrize("levels", [1, 300, 1000])
def test_up_to_1000_levels_are_read(levels: int) -> None:
    value = safe_loads(nested(levels))
    for _ in range(levels - 1):
        (value,) = value
    assert value == []


@pytest.mark.parametrize(
    "data",
    [
        nested(1001),
        b")" + b"\x85" * 1000 + b".",
        b"(" * 1001 + b"t" * 1001 + b".",
        b"}N" * 1001 + b"}" + b"s" * 1001 + b".",
    ],
    ids=["list", "tuple1", "tuple", "dict"],
)
def test_1001_levels_are_not(data: bytes) -> None:
    error = refusal(data)
    assert isinstance(error, plainpickle.LimitExceeded)
    assert error.limit == "max_depth"


COLLIDING = [index * ((1 << 61) - 1) for index in range(1, 601)]
#: Field: a pickle just over the default, and a bound that lets it through.
LIMITS: dict[str, tuple[Callable[[], bytes], int]] = {
    "max_bytes": (lambda: b"N." + bytes(64 << 20), 65 << 20),
    "max_memory": (lambda: b"(" + b"\x8f" * 500_000 + b"l.", 1 << 28),
    "max_work": (lambda: b"(" + b"K\x01" * 10_000 + b"tq\x00(" + b"}h\x00Ns" * 200 + b"l.", 10**8),
    "max_depth": (lambda: nested(1001), 1001),
    "max_key_depth": (lambda: b"})" + b"\x85" * 101 + b"Ns.", 200),
    "max_probes": (lambda: pickle.dumps(dict.fromkeys(COLLIDING)), 10_000),
    "max_int_bits": (lambda: b"\x8b\x01\x20\0\0" + b"\x01" * 8193 + b".", 8193 * 8),
    "max_int_digits": (lambda: b"L" + b"7" * 4301 + b"L\n.", 4301),
    "max_decimal_digits": (lambda: DECIMAL + text("7" * 4301) + b"\x85R.", 4301),
    "max_decimal_exponent": (lambda: DECIMAL + text("1E+100001") + b"\x85R.", 100_001),
    "max_name_bytes": (lambda: b"\x80\x02cshop\n" + b"C" * 253 + b"\n)\x81.", 257),
}
CART = Policy().as_plain("shop." + "C" * 253)


@pytest.mark.parametrize("field", LIMITS)
def test_a_limit_stops_at_its_default_and_lets_more_through_when_raised_or_off(field: str) -> None:
    make, raised = LIMITS[field]
    data = make()
    error = refusal(data, policy=CART)
    assert isinstance(error, plainpickle.LimitExceeded)
    assert error.limit == field
    assert field in str(error)
    for bound in (raised, None):
        safe_loads(data, policy=CART, limits=Limits(**{field: bound}))


def test_each_limit_of_loading_has_its_row_above() -> None:
    assert set(LIMITS) | {"max_output_bytes"} == set(vars(Limits()))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"max_bytes": -1}, ValueError),
        ({"max_work": 1.5}, ValueError),
        ({"max_depth": True}, ValueError),
        ({"max_depht": 5}, TypeError),
    ],
)
def test_limits_that_make_no_sense_are_refused_when_they_are_made(
    wrong: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Limits(**wrong)


def test_limits_are_frozen_and_off_means_no_bound() -> None:
    with pytest.raises(AttributeError):
        Limits().max_bytes = 5  # type: ignore[misc]
    off = Limits(**dict.fromkeys(vars(Limits())))
    assert safe_loads(nested(3000), limits=off)


def test_the_bytes_can_give_no_state_to_what_a_resolver_gave() -> None:
    class Shared:
        pass

    shared = Shared()
    with pytest.raises(plainpickle.MalformedPickle):
        safe_loads(b"Pid\n}X\x01\x00\x00\x00aK\x01sb.", persistent_load=lambda _: shared)
    assert vars(shared) == {}


def test_input_over_the_limit_is_not_even_copied_by_inspect() -> None:
    report = plainpickle.inspect(bytearray(100), limits=Limits(max_bytes=99))
    assert (report.verdict, report.size) == ("refused", 100)
