"""`inspect` and `sanitize`: looking into a pickle, and taking all but plain data out of it."""

from __future__ import annotations

import array
import collections
import copy
import datetime
import decimal
import fractions
import io
import ipaddress
import json
import math
import pathlib
import pickle
import pickletools
import sys
import threading
import types
import uuid
from pathlib import Path
from typing import Any

import pytest

import plainpickle
from plainpickle import (
    GlobalUse,
    Limits,
    Policy,
    Report,
    _core,
    inspect,
    safe_loads,
    sanitize,
)

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.bin"))
RCE = b"cos\nsystem\n(S'echo vulnerable_to_rce'\ntR."


# ---- inspect


def test_a_clean_pickle_is_reported_with_its_opcodes_its_protocol_and_its_size() -> None:
    data = pickle.dumps({"a": [1, 2]}, 2)
    report = inspect(data + b"more")
    assert (report.verdict, report.error, report.globals) == ("clean", None, ())
    assert (report.size, report.trailing_bytes, report.protocol) == (len(data) + 4, 4, 2)
    assert report.opcodes == {**dict.fromkeys(report.opcodes, 1), "BININT1": 2, "BINPUT": 3}
    assert set(report.opcodes) == {
        "PROTO",
        "EMPTY_DICT",
        "BINPUT",
        "BINUNICODE",
        "EMPTY_LIST",
        "MARK",
        "BININT1",
        "APPENDS",
        "SETITEM",
        "STOP",
    }


@pytest.mark.parametrize(
    ("data", "protocol"),
    [
        (b"(l.", 0),
        (b"].", 1),
        (b"N\x85.", 2),
        (b"C\x00.", 3),
        (b"\x8f.", 4),
        (b"\x80\x05N.", 5),
        (b"\x80\x00].", 0),
    ],
)
def test_without_a_declaration_the_protocol_is_that_of_the_newest_opcode(
    data: bytes, protocol: int
) -> None:
    assert inspect(data).protocol == protocol


def test_a_refused_pickle_is_read_to_its_end_and_all_it_names_is_listed_in_order() -> None:
    data = b"\x80\x02cos\nsystem\n(K\x01tRcos\nsystem\nc__builtin__\nset\n]\x85R\x87.junk"
    report = inspect(data)
    assert report.globals == (
        GlobalUse("os", "system", 2, (2, 18), allowed=False),
        GlobalUse("__builtin__", "set", 1, (29,), allowed=True),
    )
    assert all(
        data[offset : offset + 1] == b"c" for use in report.globals for offset in use.offsets
    )
    assert (report.verdict, report.opcodes["GLOBAL"], report.trailing_bytes) == ("refused", 3, 4)
    assert isinstance(report.error, plainpickle.ForbiddenGlobal)
    assert (report.error.name, report.error.offset) == ("os.system", 2)


def test_the_offsets_of_one_global_are_the_first_16_and_its_count_is_of_all() -> None:
    report = inspect(b"(" + b"cshop\nCart\n)R" * 20 + b"l.")
    assert [(use.count, len(use.offsets)) for use in report.globals] == [(20, 16)]


def test_a_name_on_the_stack_is_listed_like_one_on_a_line_and_is_escaped() -> None:
    report = inspect(b"\x8c\x02os\x8c\x06sys\x1btm\x93.")
    assert [(use.module, use.name) for use in report.globals] == [("os", "sys\\u{1b}tm")]
    assert str(report.error).isprintable()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "end_of_input"),
        (b"N", "end_of_input"),
        (b"hello world", "no_memo"),
        (b"\x80\x09N.", "unsupported_protocol"),
        (b"X\xff\0\0\0ab.", "truncated"),
    ],
)
def test_a_damaged_pickle_is_malformed_and_nothing_is_raised(data: bytes, kind: str) -> None:
    report = inspect(data)
    assert report.verdict == "malformed"
    assert report.error is not None
    assert report.error.kind == kind


def test_what_is_refused_first_is_the_error_even_if_the_rest_is_damaged() -> None:
    for tail in (b"\xff", b"", b"q\x99h\x98", b"\x82\x01"):
        report = inspect(RCE[:-1] + tail)
        assert report.verdict == "refused"
        assert isinstance(report.error, plainpickle.ForbiddenGlobal)
    assert inspect(b"N\xff" + RCE).verdict == "malformed"


@pytest.mark.parametrize(
    "data",
    [b"\x82\x01.", b"Pid\n.", b"\x97.", b"]" * 1001 + b"a" * 1000 + b".", b"cdecimal\nDecimal\n."],
)
def test_a_limit_an_opcode_and_a_misused_name_are_refusals_too(data: bytes) -> None:
    assert inspect(data).verdict == "refused"


def test_the_verdict_is_that_of_the_given_policy_and_limits() -> None:
    data = pickle.dumps(ValueError("no"))
    assert [
        inspect(data, policy=policy).verdict
        for policy in (None, Policy().stub(), Policy().as_plain("shop.Cart"))
    ] == ["refused", "clean", "refused"]
    assert inspect(b"]]a.", limits=Limits(max_depth=1)).verdict == "refused"
    assert inspect(pickle.dumps("x" * 100), limits=Limits(max_bytes=10)).verdict == "refused"


POLICIES = {
    "plain": Policy(),
    "stub": Policy().stub(),
    "named": Policy().as_plain("shop.models.Cart"),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_the_verdict_on_real_sessions_is_what_loading_says(file: Path, policy: str) -> None:
    data = file.read_bytes()
    report = inspect(data, policy=POLICIES[policy])
    raised: plainpickle.UnpicklingError | None = None
    try:
        safe_loads(data, policy=POLICIES[policy])
    except plainpickle.UnpicklingError as error:
        raised = error
    assert type(report.error) is type(raised)
    assert str(report.error) == str(raised)
    if raised is None:
        assert report.verdict == "clean"
    else:
        assert vars(report.error) == vars(raised)
        malformed = isinstance(raised, plainpickle.MalformedPickle)
        assert report.verdict == ("malformed" if malformed else "refused")
    assert (report.verdict == "refused") >= any(not use.allowed for use in report.globals)


def test_a_report_is_plain_data_that_json_takes() -> None:
    for data in (RCE, b"N.", b""):
        report = inspect(data)
        written = json.loads(json.dumps(report.to_dict()))
        assert written == report.to_dict()
        assert set(written) == {
            "verdict",
            "size",
            "protocol",
            "opcodes",
            "globals",
            "trailing_bytes",
            "error",
        }
    assert inspect(RCE).to_dict()["globals"] == [
        {"module": "os", "name": "system", "count": 1, "offsets": [0], "allowed": False}
    ]
    assert inspect(RCE).to_dict()["error"]["kind"] == "forbidden_global"


def test_looking_imports_nothing() -> None:
    before = set(sys.modules)
    for look in (inspect, _core.to_json):
        look(b"cantigravity\nCart\n)R.")
    assert set(sys.modules) == before


def test_only_bytes_like_objects_can_be_looked_into() -> None:
    for look in (inspect, sanitize, _core.to_json):
        wrong: list[Any] = ["N.", None, 5]
        for data in wrong:
            with pytest.raises(TypeError):
                look(data)
        with pytest.raises(BufferError):
            look(memoryview(b"N.N.")[::2])
        look(bytearray(b"N."))
        look(memoryview(b"N."))


# ---- what a report is

MADE = [b"N.", RCE, b"\x80\x04N", b"\x8c\x02os\x8c\x06sys\x1btm\x93.more"]


def made_again(report: Report) -> Report:
    parts = (report.size, report.protocol, report.opcodes, report.globals, report.trailing_bytes)
    return Report(*parts, report.error)


@pytest.mark.parametrize("data", MADE)
def test_reports_of_equal_parts_are_equal_and_have_no_hash(data: bytes) -> None:
    report = inspect(data)
    assert report == report  # noqa: PLR0124
    assert made_again(report) == report
    assert made_again(report).verdict == report.verdict
    assert made_again(report).to_dict() == report.to_dict()
    assert (inspect(data) == report) == (report.error is None), "exceptions are equal to themselves"
    assert report != inspect(data + b"x")
    assert report != 5
    with pytest.raises(TypeError):
        hash(report)


@pytest.mark.parametrize("data", MADE)
def test_a_report_can_be_copied_and_pickled(data: bytes) -> None:
    report = inspect(data)
    assert copy.copy(report) == report
    for again in (copy.deepcopy(report), pickle.loads(pickle.dumps(report))):
        assert type(again) is Report
        assert again.to_dict() == report.to_dict()
        assert repr(again) == repr(report)


def test_a_report_shows_its_parts() -> None:
    report = inspect(b"c__builtin__\nset\n)R.x")
    use = "GlobalUse(module='__builtin__', name='set', count=1, offsets=(0,), allowed=True)"
    assert repr(report) == (
        f"Report(size=21, protocol=1, opcodes={report.opcodes}, globals=({use},), "
        "trailing_bytes=1, error=None)"
    )
    assert Report.__match_args__ == (
        "size",
        "protocol",
        "opcodes",
        "globals",
        "trailing_bytes",
        "error",
    )


def test_a_report_stays_as_it_is_and_gives_the_same_objects_each_time() -> None:
    report = inspect(RCE)
    for name in ("size", "opcodes", "globals", "error", "verdict", "other"):
        with pytest.raises(AttributeError):
            setattr(report, name, 1)
    for name in ("opcodes", "globals", "error"):
        assert getattr(report, name) is getattr(report, name)
    report.to_dict()["opcodes"].clear()
    assert report.opcodes


@pytest.mark.parametrize("protocol", range(6))
def test_each_opcode_is_counted_as_often_as_pickletools_finds_it(protocol: int) -> None:
    values: list[Any] = [value for value, _, _ in FORMS]
    for data in (pickle.dumps(values, protocol), pickle.dumps([values, values], protocol)):
        report = inspect(data)
        assert report.verdict == "clean"
        assert report.opcodes == opcodes_in(data)


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_each_opcode_of_a_real_session_is_counted(file: Path) -> None:
    report = inspect(file.read_bytes(), policy=Policy().stub())
    try:
        expected = opcodes_in(file.read_bytes())
    except UnicodeDecodeError:
        pytest.skip("pickletools reads no Python 2 text beyond ASCII")
    assert report.opcodes == expected or report.verdict != "clean"


def opcodes_in(data: bytes) -> dict[str, int]:
    return dict(collections.Counter(code.name for code, _, _ in pickletools.genops(data)))


@pytest.mark.parametrize("look", [inspect, sanitize, _core.to_json])
def test_other_threads_run_while_a_large_pickle_is_looked_into(look: Any) -> None:
    large = pickle.dumps([{"id": n, "name": f"name {n}"} for n in range(50_000)])
    assert runs_meanwhile(look, large, attempts=20)
    assert not runs_meanwhile(look, b"N.", attempts=1), "getting it back takes longer than the work"


def runs_meanwhile(look: Any, data: bytes, attempts: int) -> bool:
    """Whether a thread gets the interpreter lock that only `look` may give up."""
    ran = []
    gate = threading.Lock()
    gate.acquire()

    def run() -> None:
        with gate:
            ran.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        gate.release()
        for _ in range(attempts):
            look(data)
            if ran:
                break
        return bool(ran)
    finally:
        sys.setswitchinterval(interval)
        thread.join()


# ---- sanitize


class Bare(pickle.Unpickler):
    """Pickle without names: whatever needs one fails."""

    def find_class(self, module: str, name: str) -> Any:
        raise AssertionError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise AssertionError(pid)


def bare(data: bytes) -> Any:
    return Bare(io.BytesIO(data)).load()


def plain(value: Any, **options: Any) -> Any:
    return bare(sanitize(pickle.dumps(value), **options))


WHEN = datetime.datetime(2020, 2, 29, 23, 59, 58, 5)
EST = datetime.timezone(datetime.timedelta(hours=-5), "EST")
#: A value; what is left of it as plain data; how `to_json` writes it.
FORMS: list[tuple[Any, Any, str]] = [
    (None, None, "null"),
    (True, True, "true"),
    (-5, -5, "-5"),
    (2**63 - 1, 2**63 - 1, "9223372036854775807"),
    (-(10**30), -(10**30), "-1000000000000000000000000000000"),
    (1.5, 1.5, "1.5"),
    (-math.inf, -math.inf, '{" f":"-inf"}'),
    ("é\n\U0001f600", "é\n\U0001f600", '"é\\n\U0001f600"'),
    (b"\xff", b"\xff", '{" b":"/w=="}'),
    (bytearray(b"\x01"), b"\x01", '{" bytearray":"AQ=="}'),
    ([1, [2]], [1, [2]], "[1,[2]]"),
    ((1, ()), (1, ()), '{" t":[1,{" t":[]}]}'),
    ({"b": 1, "a": {}}, {"b": 1, "a": {}}, '{"b":1,"a":{}}'),
    ({1: 2, (1, None): 3}, {1: 2, (1, None): 3}, '{" dict":[1,2,{" t":[1,null]},3]}'),
    ({" t": 1}, {" t": 1}, '{" di":{" t__":1}}'),
    ({5}, [5], '{" set":[5]}'),
    (frozenset([5]), (5,), '{" frozenset":[5]}'),
    ({frozenset([5]): 1}, {(5,): 1}, '{" dict":[{" frozenset":[5]},1]}'),
    (1 - 2j, "1-2j", '{" complex":[1.0,-2.0]}'),
    (range(1, 5, 2), (1, 5, 2), '{" range":[1,5,2]}'),
    (WHEN, "2020-02-29T23:59:58.000005", '{" datetime":"2020-02-29T23:59:58.000005"}'),
    (
        WHEN.replace(microsecond=0, tzinfo=datetime.timezone.utc),
        "2020-02-29T23:59:58+00:00",
        '{" datetime":"2020-02-29T23:59:58+00:00"}',
    ),
    (
        WHEN.replace(microsecond=0, tzinfo=EST),
        "2020-02-29T23:59:58-05:00",
        '{" datetime":["2020-02-29T23:59:58",0,{" timezone":["-05:00","EST"]}]}',
    ),
    (WHEN.date(), "2020-02-29", '{" date":"2020-02-29"}'),
    (WHEN.time(), "23:59:58.000005", '{" time":"23:59:58.000005"}'),
    (
        datetime.timedelta(days=-1, seconds=30, microseconds=5),
        -86369.999995,
        '{" timedelta":[-1,30,5]}',
    ),
    (datetime.timezone.utc, "+00:00", '{" timezone":"+00:00"}'),
    (decimal.Decimal("1.50"), "1.50", '{" decimal":"1.50"}'),
    (fractions.Fraction(1, 3), (1, 3), '{" fraction":[1,3]}'),
    (uuid.UUID(int=5), str(uuid.UUID(int=5)), '{" u":"00000000000000000000000000000005"}'),
    (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}, '{" ordereddict":["b",1,"a",2]}'),
    (collections.defaultdict(list, a=[1]), {"a": [1]}, '{" defaultdict":["list","a",[1]]}'),
    (collections.Counter("aab"), {"a": 2, "b": 1}, '{" counter":["a",2,"b",1]}'),
    (collections.deque([1, 2], 5), [1, 2], '{" deque":[5,1,2]}'),
    (types.SimpleNamespace(a=1), {"a": 1}, '{" namespace":["a",1]}'),
    (ipaddress.ip_address("10.0.0.1"), "10.0.0.1", '{" ip":["IPv4Address","10.0.0.1"]}'),
    (ipaddress.ip_network("fe80::/10"), "fe80::/10", '{" ip":["IPv6Network","fe80::/10"]}'),
    (pathlib.PurePosixPath("a"), "a", '{" path":["PurePosixPath","a"]}'),
]


@pytest.mark.parametrize(
    ("value", "expected", "written"),
    FORMS,
    ids=lambda item: None if isinstance(item, (dict, list, tuple)) else repr(item)[:40],
)
@pytest.mark.parametrize("protocol", range(6))
def test_each_type_has_one_plain_form_and_one_form_in_json(
    value: Any, expected: Any, written: str, protocol: int
) -> None:
    data = pickle.dumps(value, protocol)
    left = bare(sanitize(data))
    assert left == expected
    assert type(left) is type(expected)
    assert _core.to_json(data, indent=0) == written
    json.loads(written)


def test_the_fold_of_a_datetime_is_kept_in_json() -> None:
    data = pickle.dumps(WHEN.replace(microsecond=0, fold=1), 4)
    assert _core.to_json(data, indent=0) == '{" datetime":["2020-02-29T23:59:58",1,null]}'


@pytest.mark.parametrize("protocol", range(6))
def test_an_array_is_a_list_of_its_numbers(protocol: int) -> None:
    assert bare(sanitize(pickle.dumps(array.array("i", [1, -2]), protocol))) == [1, -2]


#: What is at the bounds of the word that a value of the tree is, and of what one word can tell.
WIDE: list[Any] = [
    *(
        sign * (1 << bits) + step
        for bits in (45, 46, 62)
        for sign in (1, -1)
        for step in (-1, 0, 1)
    ),
    *(-0.0, 5e-324, 1.7e308, math.inf, -math.inf),
    *(text * size for text in ("x", "é") for size in (1, 7, 8, 9, 16, 17, 64, 65, 65_535, 65_536)),
    *(b"\xff" * size for size in (0, 65_535, 65_536)),
    ["x", ("é", [b"y"]), {}],
    list(range(3000)),
    {f"k{n}": [n, {"n": n}] for n in range(40)},
    dict.fromkeys(range(17), ()),
]


@pytest.mark.parametrize("protocol", range(6))
def test_values_of_any_width_stay_what_they_are(protocol: int) -> None:
    data = pickle.dumps(WIDE, protocol)
    assert repr(bare(sanitize(data))) == repr(WIDE)


def test_a_container_may_grow_again_behind_others() -> None:
    """Two lists and two dicts take turns; each keeps its own items in their order."""
    turns = b"".join(b"0h\x00K%ca0h\x01K%ca" % (n, n + 100) for n in range(50))
    lists = b"(]q\x00]q\x01N" + turns + b"0l."
    assert bare(sanitize(lists)) == [list(range(50)), list(range(100, 150))]
    turns = b"".join(b"0h\x00K%cK%cs0h\x01K%cGAAAAAAAAs" % (n % 9, n, n) for n in range(50))
    first, second = bare(sanitize(b"(}q\x00}q\x01N" + turns + b"0l."))
    assert first == {n % 9: n for n in range(50)}
    assert list(second) == list(range(50))


def test_a_bounded_deque_keeps_its_last_items() -> None:
    long = collections.deque(range(2500), 7)
    assert plain(long) == list(long)
    grown = b"ccollections\ndeque\n(]K\x02tR" + b"".join(b"K%ca" % n for n in range(9)) + b"."
    assert bare(sanitize(grown)) == [7, 8]
    assert inspect(grown).verdict == "clean"


def test_nans_in_a_set_are_told_apart_and_one_that_is_there_twice_is_not() -> None:
    nans = {float("nan"), float("nan"), -float("nan")}
    assert len(plain(nans)) == 3
    twice = b"\x8f(G\x7f\xf8\0\0\0\0\0\0q\x00h\x00G\xff\xf8\0\0\0\0\0\0\x90."
    assert len(bare(sanitize(twice))) == len(safe_loads(twice)) == 2


def test_nan_stays_nan() -> None:
    assert math.isnan(plain(math.nan))
    assert _core.to_json(pickle.dumps(math.nan)) == '{" f":"nan"}'


def test_the_order_of_a_dict_is_kept() -> None:
    keys = [f"k{n * 7919 % 1000}" for n in range(1000)]
    assert list(plain(dict.fromkeys(keys))) == keys
    assert list(json.loads(_core.to_json(pickle.dumps(dict.fromkeys(keys))))) == keys


def test_the_last_value_of_a_key_counts_and_the_first_place() -> None:
    data = b"}(X\x01\0\0\0aK\x01X\x01\0\0\0bK\x02X\x01\0\0\0aK\x03u."
    assert (
        list(bare(sanitize(data)).items()) == list(safe_loads(data).items()) == [("a", 3), ("b", 2)]
    )
    assert _core.to_json(data, indent=0) == '{"a":3,"b":2}'


@pytest.mark.parametrize(
    "data",
    [RCE, pickle.dumps(print), pickle.dumps([WHEN, Path("x"), ValueError()])],
    ids=["rce", "function", "exception"],
)
def test_what_loading_refuses_is_not_sanitized(data: bytes) -> None:
    with pytest.raises(plainpickle.ForbiddenGlobal):
        sanitize(data)


def test_a_stub_is_a_dict_of_what_it_records() -> None:
    assert bare(sanitize(RCE, policy=Policy().stub())) == {
        "name": "os.system",
        "args": ("echo vulnerable_to_rce",),
    }
    cart = b"\x80\x02cshop\nCart\n)\x81}X\x01\0\0\0nK\x05sb."
    assert bare(sanitize(cart, policy=Policy().stub())) == {
        "name": "shop.Cart",
        "args": (),
        "state": {"n": 5},
    }
    assert bare(sanitize(cart, policy=Policy().as_plain("shop.Cart"))) == {"n": 5}
    listed = b"\x80\x02cshop\nCart\n)\x81(K\x01K\x02e."
    assert bare(sanitize(listed, policy=Policy().stub())) == {
        "name": "shop.Cart",
        "args": (),
        "items": [1, 2],
    }


def test_a_cycle_cannot_be_sanitized_and_is_marked_in_json() -> None:
    loop: list[Any] = [1]
    loop.append({"loop": loop})
    with pytest.raises(plainpickle.UnpicklingError) as caught:
        sanitize(pickle.dumps(loop))
    assert caught.value.kind == "cycle"
    assert _core.to_json(pickle.dumps(loop), indent=0) == '[1,{"loop":{" cycle":2}}]'


def test_what_is_shared_is_no_cycle_and_is_written_twice() -> None:
    shared = [1]
    first, second = plain([shared, shared])
    assert first == second == [1]
    assert _core.to_json(pickle.dumps([shared, shared]), indent=0) == "[[1],[1]]"


def test_nesting_is_sanitized_up_to_the_limit_of_loading() -> None:
    """Written without recursion, so that only ``max_depth`` bounds it."""
    assert sanitize(b"]" * 1000 + b"a" * 999 + b".").count(b"]") == 1000
    with pytest.raises(plainpickle.LimitExceeded) as caught:
        sanitize(b"]" * 1001 + b"a" * 1000 + b".")
    assert caught.value.limit == "max_depth"


@pytest.mark.parametrize("write", [sanitize, _core.to_json])
def test_output_is_bounded_by_the_size_of_the_input_and_a_limit(write: Any) -> None:
    data = b"X\xa0\x86\x01\x00" + b"a" * 100_000 + b"q\x000](" + b"h\x00" * 200 + b"e."
    with pytest.raises(plainpickle.LimitExceeded) as caught:
        write(data)
    assert caught.value.limit == "max_output_bytes"
    for bound in (32 << 20, None):
        assert len(write(data, limits=Limits(max_output_bytes=bound))) > 20_000_000


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_a_real_session_is_sanitized_to_what_a_bare_unpickler_reads(file: Path) -> None:
    """Under stubs nothing is refused, so that every sample takes part."""
    data = file.read_bytes()
    try:
        written = sanitize(data, policy=Policy().stub())
    except plainpickle.UnpicklingError as error:
        assert error.kind == "cycle"  # noqa: PT017  # any other error fails
    else:
        value = safe_loads(data, policy=Policy().stub())
        if type(value) is dict:
            assert list(bare(written)) == list(value)
        else:
            bare(written)


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_a_real_session_is_shown_as_json_whatever_it_names(file: Path) -> None:
    for indent in (0, 2):
        json.loads(_core.to_json(file.read_bytes(), indent=indent))


def test_json_shows_what_is_refused_as_an_inert_stub() -> None:
    assert json.loads(_core.to_json(RCE)) == {
        " stub": "os.system",
        "args": {" t": ["echo vulnerable_to_rce"]},
    }
    assert json.loads(_core.to_json(b"cos\nsystem\n.")) == {" stub": "os.system"}
    assert json.loads(_core.to_json(b"\x80\x02cshop\nCart\n)\x81}X\x01\0\0\0nK\x05sb.")) == {
        " stub": "shop.Cart",
        "args": {" t": []},
        "state": {"n": 5},
    }


def test_a_name_that_is_refused_behind_a_newer_protocol_only_is_reported_as_refused() -> None:
    data = b"(c__builtin__\nset\n(]tR\x80\x05c__builtin__\nset\n]\x85Rt."
    report = inspect(data)
    assert (report.verdict, report.globals[0].allowed) == ("refused", False)
    with pytest.raises(plainpickle.ForbiddenGlobal) as raised:
        safe_loads(data)
    assert report.error is not None
    assert report.error.offset == raised.value.offset == data.rindex(b"c__builtin__")
