"""What GET fetches of what was never made: keys, short text, and the arguments of a call.

Stock pickle is the oracle. Lists and dicts must be shared as it shares them; text, bytes and
tuples may be equal objects where it has one.
"""

from __future__ import annotations

import io
import itertools
import pickle
import pickletools
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

import plainpickle
from plainpickle import inspect, safe_loads
from tests.attacks.ops import binary, get, glob, integer, put, text

Step = bytes
"""Opcodes that leave one value more on the stack, or another in its place: a PUT may follow."""

MOMENT = b"\x07\xe4\x02\x1d\x17;:\x00\x00\x07"
WIDE = integer(0x9182_7364_5566_7788_1122_3344_5566_7788)
UTC = [
    glob("datetime.timezone"), glob("datetime.timedelta"), b"(K\0K\0K\0t", b"R", b"\x85", b"R",
]  # fmt: skip
FORMS: dict[str, list[Step]] = {
    "text": [text("some text")],
    "long text": [text("x" * 255)],
    "four-byte text": [b"X\x05\0\0\0abcde"],
    "unicode line": [b"Vline\\u20ac\n", b"Vline\n"],
    "bytes": [binary(b"bytes")],
    "one character": [text("c"), binary(b"c"), text(""), binary(b"")],
    "surrogate": [text("\ud800 here")],
    "wide text": [text("é"), text("€uro"), text("😀")],
    "key": [b"}", text("a key"), b"K\1s"],
    "keys": [b"}", b"(" + text("one"), b"N" + text("two"), b"](K\1eu"],
    "key of one character": [b"}", text("k"), b"Ns"],
    "key of a key": [b"}", text("outer"), b"}", text("inner"), b"Ns", b"s"],
    "datetime": [glob("datetime.datetime"), binary(MOMENT), b"\x85", b"R"],
    "date": [glob("datetime.date"), binary(MOMENT[:4]), b"\x85", b"R"],
    "time": [glob("datetime.time"), binary(MOMENT[4:]), b"\x85", b"R"],
    "Decimal": [glob("decimal.Decimal"), text("-12.50"), b"\x85", b"R"],
    "Decimal of a line": [glob("decimal.Decimal"), b"V12E+3\n", b"\x85", b"R"],
    "Decimal that is no number": [glob("decimal.Decimal"), text("NaN"), b"\x85", b"R"],
    "UUID": [glob("uuid.UUID"), b")", b"\x81", b"}", text("int"), WIDE + b"s" + b"b"],
    "small UUID": [glob("uuid.UUID"), b")", b"\x81", b"}", b"X\x03\0\0\0int", b"\x8a\x01\x05sb"],
    "UUID with more": [
        glob("uuid.UUID"), b")", b"\x81", b"}", b"(" + text("int"), WIDE + text("is_safe"), b"Nub",
    ],
}  # fmt: skip
PUTS: dict[str, Callable[[int], bytes]] = {
    "BINPUT": lambda index: b"q" + bytes([index]),
    "LONG_BINPUT": put,
    "PUT": lambda index: b"p%d\n" % index,
    "MEMOIZE": lambda index: b"\x94",
}
GETS: list[Callable[[int], bytes]] = [
    lambda index: b"h" + bytes([index]),
    get,
    lambda index: b"g%d\n" % index,
]


PADDING = text("-" * 99) + b"0"
"""No index may be higher than the size of the input."""


class Writer:
    """Writes opcodes, and keeps count of the memo as stock pickle does."""

    def __init__(self) -> None:
        self.data = b""
        self.memo: dict[int, bool] = {}

    def put(self, style: str, index: int, *, value: bool) -> None:
        at = len(self.memo) if style == "MEMOIZE" else index
        self.data += PUTS[style](at)
        self.memo[at] = value

    def step(self, step: Step, style: str | None, index: int | None = None) -> None:
        self.data += step
        if style:
            at = len(self.memo) if index is None else index
            self.put(style, at, value=step.lstrip(b"(")[:1] not in b"c")

    def values(self) -> list[int]:
        """The indices of what may stand as a value."""
        return [index for index, value in self.memo.items() if value]


def same(ours: Any, theirs: Any, pairs: dict[int, int]) -> None:
    """Equal, of the same types, in the same order, with lists and dicts shared in the same way."""
    assert type(ours) is type(theirs)
    if isinstance(ours, (list, dict)):
        assert pairs.setdefault(id(theirs), id(ours)) == id(ours)
        assert pairs.setdefault(-id(ours), id(theirs)) == id(theirs)
    if isinstance(ours, dict):
        ours, theirs = list(ours.items()), list(theirs.items())
    if isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs):
            same(one, other, pairs)
    else:
        assert ours == theirs or repr(ours) == repr(theirs) == "Decimal('NaN')"
        assert repr(ours) == repr(theirs)


def agree(data: bytes) -> None:
    """Loads give what stock pickle gives, and `inspect` counts each opcode."""
    try:
        same(safe_loads(data), pickle.loads(data), {})
        report = inspect(data)
        assert report.verdict == "clean"
        assert report.opcodes == Counter(opcode.name for opcode, _, _ in pickletools.genops(data))
    except Exception as error:
        raise AssertionError(f"{data!r}") from error


def before(writer: Writer, kind: str) -> None:
    """What the memo holds before the value comes."""
    if kind == "hole":
        writer.step(b"N", "BINPUT", 30)
        writer.data += b"0"
    elif kind == "filled":
        for index in range(12):
            writer.step(text(f"old {index}"), "BINPUT", index)
            writer.data += b"0"


def written(form: str, styles: tuple[str | None, ...], kind: str, start: int | None) -> bytes:
    """A form, with a PUT of this style behind each step, and everything fetched at the end."""
    writer = Writer()
    writer.data = b"\x80\x04" + PADDING + b"("
    before(writer, kind)
    for number, (step, style) in enumerate(zip(FORMS[form], styles)):
        writer.step(step, style, None if start is None else start + number)
    for order in (writer.values(), writer.values()[::-1]):
        for number, index in enumerate(order):
            writer.data += GETS[number % len(GETS)](index)
    return writer.data + b"t."


@pytest.mark.parametrize("kind", ["empty", "hole", "filled"])
@pytest.mark.parametrize("form", FORMS)
def test_what_is_fetched_is_what_pickle_fetches(form: str, kind: str) -> None:
    steps = len(FORMS[form])
    for style in PUTS:
        for chosen in itertools.product((None, style), repeat=steps):
            for start in (None, 0, 3, 25):
                agree(written(form, chosen, kind, start))


@pytest.mark.parametrize("form", FORMS)
def test_puts_of_several_kinds_agree_on_their_indices(form: str) -> None:
    rng = Random(form)
    for _ in range(150):
        styles = tuple(rng.choice([None, *PUTS]) for _ in FORMS[form])
        agree(
            written(form, styles, rng.choice(["empty", "hole", "filled"]), rng.choice([None, 0, 2]))
        )


def test_a_zone_in_the_memo_makes_datetimes_whose_arguments_can_be_fetched() -> None:
    call = [glob("datetime.datetime"), binary(MOMENT), b"", b"\x86", b"R"]
    for style, kind in itertools.product(PUTS, ["empty", "hole", "filled"]):
        for chosen in itertools.product((None, style), repeat=len(call)):
            writer = Writer()
            writer.data = b"\x80\x04("
            before(writer, kind)
            for step in UTC:
                writer.step(step, style)
            zone = max(writer.memo) if kind != "hole" else writer.values()[-1]
            for number, (step, put_style) in enumerate(zip(call, chosen)):
                writer.step(b"h" + bytes([zone]) if number == 2 else step, put_style)
            for index in [*writer.values(), *writer.values()]:
                writer.data += get(index)
            agree(writer.data + b"t.")


RUN: dict[str, bytes] = {"datetime": MOMENT, "date": MOMENT[:4], "time": MOMENT[4:]}


def run(rng: Random, first: int) -> bytes:
    """Moments behind each other, mostly as protocol 4 writes them, of classes memoized there."""
    data = b"\x80\x04" + PADDING * 4
    for index, name in enumerate(RUN, first):
        data += glob(f"datetime.{name}") + put(index) + b"0"
    data += b"("
    for _ in range(rng.randrange(2, 9)):
        index, raw = rng.choice([*enumerate(RUN.values(), first), (first, MOMENT), (first, MOMENT)])
        gets = GETS if index < 256 else GETS[1:]
        data += rng.choice([gets[0], gets[0], *gets])(index) + binary(raw)
        data += rng.choice([b"\x94\x85\x94R\x94", b"\x94\x85\x94R\x94", b"\x85R", b"\x94\x85R\x94"])
        data += rng.choice([b"", b"", b"", b"K\1", get(index) + b"0"])
    return data + b"t."


def test_moments_in_a_run_are_those_that_pickle_makes_one_by_one() -> None:
    rng = Random("runs")
    for _ in range(300):
        agree(run(rng, rng.choice([0, 250, 254, 300])))


def test_what_is_wrong_in_a_run_of_moments_is_told_where_it_stands() -> None:
    rng = Random("cuts")
    for _ in range(30):
        data = run(rng, rng.choice([0, 254]))
        starts = [at for _, _, at in pickletools.genops(data) if at is not None]
        for end in range(data.index(b"("), len(data)):
            with pytest.raises(plainpickle.UnpicklingError) as cut:
                safe_loads(data[:end])
            assert cut.value.offset == max(at for at in starts if at <= end)
            error = inspect(data[:end]).error
            assert error is not None
            assert error.offset == cut.value.offset
        bad = data.replace(MOMENT, b"\0" * 10)
        if bad != data:
            with pytest.raises(plainpickle.UnpicklingError) as wrong:
                safe_loads(bad)
            assert bad[wrong.value.offset :][:1] == b"R"


MADE_OF_BYTES: dict[str, tuple[Step, bytes]] = {
    "bytes": (b"", bytes(range(256))),
    "ASCII bytes": (b"", b"no more than ASCII, and so long that it is looked at by words"),
    "datetime": (glob("datetime.datetime"), MOMENT),
    "datetime of a zone": (glob("datetime.datetime"), MOMENT),
    "date": (glob("datetime.date"), MOMENT[:4]),
    "time": (glob("datetime.time"), MOMENT[4:]),
}


@pytest.mark.parametrize("kind", ["empty", "hole", "filled"])
@pytest.mark.parametrize("marked", [False, True], ids=["counted", "marked"])
@pytest.mark.parametrize("made", MADE_OF_BYTES)
def test_arguments_of_old_protocols_can_be_fetched(made: str, marked: bool, kind: str) -> None:
    """Bytes are a call there; before protocol 2 all arguments stand above a mark."""
    rng = Random(made + kind)
    callee, raw = MADE_OF_BYTES[made]
    line = pickle.dumps(raw.decode("latin1"), 0).partition(b"\np")[0] + b"\n"
    mark, one, two = (b"(", b"t", b"t") if marked else (b"", b"\x85", b"\x86")
    for style, encoded in itertools.product(PUTS, [text(raw.decode("latin1")), line] * 25):
        writer = Writer()
        writer.data = b"\x80\x02" + PADDING + b"("
        before(writer, kind)
        for step in UTC:
            writer.step(step, style)
        zone = list(writer.memo)[-1]
        writer.step(text("latin1"), style)
        name = list(writer.memo)[-1]
        steps = [glob("_codecs.encode"), mark + encoded, rng.choice(GETS)(name), two, b"R"]
        if made == "datetime of a zone":
            steps = [callee, mark + steps[0], *steps[1:], rng.choice(GETS)(zone), two, b"R"]
        elif callee:
            steps = [callee, mark + steps[0], *steps[1:], one, b"R"]
        for step in steps:
            writer.step(step, rng.choice([style, style, style, None]))
        for index in [*writer.values(), *writer.values()]:
            writer.data += rng.choice(GETS)(index)
        agree(writer.data + b"t.")


@pytest.mark.parametrize("form", FORMS)
def test_an_entry_that_was_replaced_is_the_new_value(form: str) -> None:
    for style in ("BINPUT", "MEMOIZE"):
        for fetched_first in (False, True):
            writer = Writer()
            writer.data = b"\x80\x04("
            for step in FORMS[form]:
                writer.step(step, style)
            indices = writer.values()
            for index, other in itertools.product(indices, indices):
                if fetched_first:
                    writer.data += get(index)
                writer.data += get(other) + put(index) + get(index) + b"0" + get(other)
            writer.data += b"](K\1e" + put(indices[0]) + b"K\2a" + get(indices[0]) + b"K\3a"
            agree(writer.data + b"t.")


def test_a_uuids_state_can_grow_once_it_was_fetched() -> None:
    """As in pickle, the UUID has what the state held when it was given."""
    head = b"(" + glob("uuid.UUID") + b")\x81}\x94" + text("int") + b"\x94" + WIDE + b"sb"
    grow = b"h\0" + text("more") + b"](h\0ess" + b"h\0" + text("int") + b"Ns"
    for data in (head + b"h\0t.", head + grow[:2] + b"h\1h\0t.", head + b"h\0h\1Nst."):
        agree(b"\x80\x04" + data)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("style", PUTS)
def test_later_pickles_of_a_stream_fetch_what_earlier_ones_left(form: str, style: str) -> None:
    for chosen in itertools.product((None, style), repeat=len(FORMS[form])):
        writer = Writer()
        for number in range(3):
            writer.data += b"\x80\x04("
            for index in writer.values() if number else []:
                writer.data += get(index)
            for step, put_style in zip(FORMS[form], chosen):
                writer.step(step, put_style)
            for index in writer.values():
                writer.data += get(index)
            if number == 1 and writer.values():
                writer.data += b"]" + put(writer.values()[0]) + b"K\1a"
            writer.data += b"t."
        ours, theirs = (
            kind(io.BytesIO(writer.data)) for kind in (plainpickle.Unpickler, pickle.Unpickler)
        )
        loaded = [(ours.load(), theirs.load()) for _ in range(3)]
        same([one for one, _ in loaded], [other for _, other in loaded], {})
        assert sorted(ours.memo.copy()) == sorted(writer.values())


def repeated() -> Iterator[Any]:
    """Values in which picklers refer to what they wrote before."""
    import datetime as dt
    import decimal
    import uuid

    name, raw, key = "a name that comes again", b"bytes that come again", uuid.UUID(int=1 << 100)
    moment = dt.datetime(2020, 2, 29, 5, tzinfo=dt.timezone.utc)
    price = decimal.Decimal("1.50")
    rows = [{name: name, "raw": raw, "id": key, "at": moment, "price": price} for _ in range(4)]
    yield [name, name, {name: [name]}, rows, raw]
    yield [uuid.UUID(int=i) for i in range(300)]
    yield [[moment.replace(day=1 + i % 28), price, str(price), MOMENT] for i in range(300)]
    yield {"int": "int", "id": key, "more": {"int": [uuid.UUID(int=5)]}}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dumps", [pickle.dumps, pickle._dumps], ids=["C", "Python"])  # type: ignore[attr-defined]
def test_pickles_that_refer_back_are_read_as_pickle_reads_them(
    dumps: Callable[..., bytes], protocol: int
) -> None:
    for value in repeated():
        for _ in range(3):
            agree(dumps(value, protocol))
