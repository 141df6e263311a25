"""The events: one record for each refusal, with its reason, and with nothing of the payload."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import io
import json
import logging
import logging.handlers
import pickle
import queue
import re
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import plainpickle
from plainpickle import Limits, Policy, events
from plainpickle.session import SessionSerializer

RCE = b"cos\nsystem\n(S'echo vulnerable_to_rce'\ntR."
SECRET = b"X\x06\0\0\0s3cr3t"
LOGGER = "plainpickle.security"
FIELDS: dict[str, Any] = {
    "schema": int,
    "event": str,
    "reason": str,
    "global": (str, type(None)),
    "kind": str,
    "limit": (str, type(None)),
    "offset": int,
    "opcode": (str, type(None)),
    "format": str,
    "sha256": str,
    "length": int,
    "action": str,
    "key": (str, type(None)),
    "store": (str, type(None)),
    "session": (str, type(None)),
    "suppressed": int,
}


class Clock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The rate limit starts anew in each test, on a clock that stands still."""
    clock = Clock()
    monkeypatch.setattr(events, "time", types.SimpleNamespace(monotonic=clock.monotonic))
    monkeypatch.setattr(events, "_rate", events._Rate())
    return clock


class Records(logging.Handler):
    """Keeps the records of the logger, and what they say."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.messages.append(record.getMessage())


@pytest.fixture
def log() -> Iterator[Records]:
    handler = Records()
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture
def hooked() -> Iterator[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    unsubscribe = events.subscribe(found.append)
    yield found
    unsubscribe()


def refuse(data: bytes, **options: Any) -> None:
    with pytest.raises(plainpickle.UnpicklingError):
        plainpickle.loads(data, **options)


def named(name: str) -> bytes:
    """A pickle that calls what `name` names."""
    module, _, last = name.rpartition(".")
    return b"\x80\x04" + text(module) + text(last) + b"\x93)R."


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + len(raw).to_bytes(4, "little") + raw


# ---- reasons

#: What is read, the reason, and the fields that go with it.
REASONS: dict[str, tuple[bytes, str, dict[str, Any]]] = {
    "a function that runs code": (
        b"]" + RCE,
        "dangerous_global",
        {"global": "os.system", "kind": "forbidden_global", "offset": 1, "opcode": "GLOBAL"},
    ),
    "another one": (named("builtins.eval"), "dangerous_global", {"global": "builtins.eval"}),
    "a class of nobody's": (
        b"\x80\x04" + text("shop") + text("Cart") + b"\x93)R.",
        "unknown_global",
        {"global": "shop.Cart", "kind": "forbidden_global", "opcode": "STACK_GLOBAL"},
    ),
    "a value type with other arguments": (
        b"cdecimal\nDecimal\n" + SECRET + b"N\x86R.",
        "forbidden_use",
        {"global": "decimal.Decimal", "kind": "forbidden_use", "opcode": "REDUCE"},
    ),
    "a class as a value": (
        b"]cdecimal\nDecimal\na.",
        "global_as_value",
        {"global": "decimal.Decimal", "kind": "global_as_value", "opcode": "APPEND"},
    ),
    "EXT1": (b"\x82\x01.", "extension_code", {"opcode": "EXT1", "offset": 0, "global": None}),
    "EXT2": (b"N0\x83\x01\0.", "extension_code", {"opcode": "EXT2", "offset": 2}),
    "EXT4": (b"\x84\x01\0\0\0.", "extension_code", {"opcode": "EXT4"}),
    "PERSID": (b"Ps3cr3t\n.", "persistent_id", {"opcode": "PERSID"}),
    "BINPERSID": (SECRET + b"Q.", "persistent_id", {"opcode": "BINPERSID", "offset": 11}),
    "NEXT_BUFFER": (b"\x97.", "out_of_band_buffer", {"opcode": "NEXT_BUFFER"}),
    "an integer too big": (
        b"\x8b\x01\x20\0\0" + b"s3cr3t" * 1366 + b".",
        "limit",
        {"limit": "max_int_bits", "kind": "limit", "opcode": "LONG4"},
    ),
    "too deep": (b"]" * 1001 + b"a" * 1000 + b".", "limit", {"limit": "max_depth"}),
    "a memo index too far": (b"Nr\0\0\0\x2e.", "limit", {"limit": "memo_index"}),
    "cut inside an opcode": (b"X\xff\0\0\0s3cr3t", "truncated", {"offset": 0, "global": None}),
    "cut between opcodes": (b"]" + SECRET, "truncated", {"kind": "end_of_input", "opcode": None}),
    "an empty stack": (b"0.", "malformed", {"kind": "stack_underflow", "opcode": "POP"}),
    "no opcode": (b"\xffs3cr3t", "malformed", {"kind": "unknown_opcode", "opcode": None}),
    "a number that is none": (b"Is3cr3t\n.", "malformed", {"kind": "invalid_value"}),
    "a tag of nobody's": (
        b'{"a": {" s3cr3t": 1}}',
        "unknown_tag",
        {"kind": "unknown_tag", "opcode": None, "format": "json"},
    ),
    "JSON that is cut": (b'{"a": "s3cr3t', "truncated", {"opcode": None, "format": "json"}),
    "no JSON": (b'{"a": s3cr3t}', "malformed", {"opcode": None, "format": "json"}),
    "JSON that is too deep": (
        b'{"a": ' + b"[" * 1001 + b"]" * 1001 + b"}",
        "limit",
        {"limit": "max_depth", "format": "json"},
    ),
}


def read(data: bytes) -> None:
    """Whatever the format; JSON has one way in."""
    if data[:1] in b'{["':
        SessionSerializer(on_forbidden="raise").loads(data)
    else:
        plainpickle.loads(data)


@pytest.mark.parametrize("case", REASONS)
def test_a_refusal_is_one_record_with_its_reason(
    case: str, log: Records, hooked: list[dict[str, Any]]
) -> None:
    data, reason, fields = REASONS[case]
    with pytest.raises(plainpickle.UnpicklingError) as caught:
        read(data)
    (record,) = log.records
    (event,) = hooked
    assert record.plainpickle == event
    assert {name: type(value) for name, value in event.items()}.keys() == FIELDS.keys()
    assert all(isinstance(event[name], kind) for name, kind in FIELDS.items())
    assert event["reason"] == reason
    assert {name: event[name] for name in fields} == fields
    assert (event["schema"], event["action"], event["suppressed"]) == (1, "refused", 0)
    assert (event["key"], event["store"], event["session"]) == (None, None, None)
    assert event["format"] == fields.get("format", "pickle")
    assert event["sha256"] == hashlib.sha256(data).hexdigest()
    assert event["length"] == len(data)
    error = caught.value
    assert (event["kind"], event["offset"], event["opcode"]) == (
        error.kind,
        error.offset,
        error.opcode,
    )
    dangerous = reason == "dangerous_global"
    assert record.levelno == (logging.CRITICAL if dangerous else logging.WARNING)
    assert event["event"] == ("malicious_attack_tool" if dangerous else "input_validation_fail")
    assert record.name == LOGGER


def test_the_reasons_are_a_closed_list_and_each_has_its_case_above() -> None:
    reasons = {reason for _, reason, _ in REASONS.values()}
    assert reasons | {"internal"} == {
        "dangerous_global",
        "unknown_global",
        "forbidden_use",
        "global_as_value",
        "extension_code",
        "persistent_id",
        "out_of_band_buffer",
        "limit",
        "truncated",
        "malformed",
        "unknown_tag",
        "internal",
    }


def test_an_error_of_our_own_is_reported_as_internal(log: Records) -> None:
    """No input is known that leads there."""
    events.refused(plainpickle.UnpicklingError("a bug", kind="internal"), b"N.")
    assert log.records[0].plainpickle["reason"] == "internal"


@pytest.mark.parametrize(
    "load",
    [
        plainpickle.loads,
        lambda data: plainpickle.safe_loads(bytearray(data)),
        lambda data: plainpickle.loads(memoryview(b"x" + data)[1:]),
        lambda data: plainpickle.load(io.BytesIO(data + b"the rest")),
        lambda data: plainpickle.Unpickler(io.BytesIO(data + b"the rest")).load(),
        lambda data: plainpickle.Unpickler(io.BufferedReader(io.BytesIO(data), 1)).load(),
        lambda data: SessionSerializer(on_forbidden="raise").loads(data),
        lambda data: SessionSerializer().loads(data),
        lambda data: SessionSerializer().decode(data),
    ],
    ids=[
        "loads",
        "safe_loads",
        "memoryview",
        "load",
        "Unpickler",
        "BufferedReader",
        "session",
        "salvage",
        "decode",
    ],
)
def test_each_way_in_reports_once_and_the_same(
    load: Callable[[bytes], Any], hooked: list[dict[str, Any]]
) -> None:
    with pytest.raises(plainpickle.ForbiddenGlobal):
        load(RCE)
    (event,) = hooked
    assert (event["sha256"], event["length"]) == (hashlib.sha256(RCE).hexdigest(), len(RCE))
    assert (event["reason"], event["offset"]) == ("dangerous_global", 0)


@pytest.mark.parametrize(
    "look",
    [
        plainpickle.inspect,
        plainpickle.sanitize,
        lambda data: plainpickle.loads(pickle.dumps(data)),
        lambda _: plainpickle.dumps(eval),
        lambda _: SessionSerializer().dumps({"f": eval}),
        lambda data: plainpickle.loads(data, policy=Policy().stub()),
        lambda _: plainpickle.loads(b"U\x01\xff.", encoding="ascii"),
        lambda _: plainpickle.loads("text"),  # type: ignore[arg-type]
        lambda _: plainpickle.loads(b"Pa\n.", persistent_load=[].index),
        lambda _: plainpickle.load(io.StringIO("N.")),  # type: ignore[arg-type]
    ],
    ids=[
        "inspect",
        "sanitize",
        "data about it",
        "dumps",
        "session dumps",
        "stub",
        "encoding",
        "no bytes",
        "the app's own error",
        "no binary file",
    ],
)
def test_what_is_no_refusal_is_not_reported(
    look: Callable[[bytes], Any], hooked: list[dict[str, Any]], log: Records
) -> None:
    with contextlib.suppress(Exception):
        look(RCE)
    assert hooked == log.records == []


@pytest.mark.parametrize(
    "load",
    [
        plainpickle.loads,
        lambda data: plainpickle.load(io.BytesIO(data)),
        lambda data: plainpickle.Unpickler(io.BytesIO(data)).load(),
        SessionSerializer().loads,
    ],
    ids=["loads", "load", "Unpickler", "session"],
)
def test_the_end_of_a_stream_is_not_reported(
    load: Callable[[bytes], Any], hooked: list[dict[str, Any]], log: Records
) -> None:
    with pytest.raises(EOFError):
        load(b"")
    assert hooked == log.records == []


def test_a_loop_over_a_file_reports_what_is_refused_in_it_and_not_its_end(
    hooked: list[dict[str, Any]],
) -> None:
    unpickler = plainpickle.Unpickler(io.BytesIO(b"N." + RCE + b"K\x05." + b"0."))
    values: list[Any] = []
    while True:
        try:
            values.append(unpickler.load())
        except EOFError:
            break
        except plainpickle.UnpicklingError as error:
            values.append(error.kind)
    assert values == [None, "forbidden_global", 5, "stack_underflow"]
    assert [(event["reason"], event["length"]) for event in hooked] == [
        ("dangerous_global", len(RCE)),
        ("malformed", 2),
    ]


# ---- what is never in a record


@pytest.mark.parametrize("case", REASONS)
def test_no_payload_and_no_session_key_is_in_a_record_or_its_message(
    case: str, log: Records
) -> None:
    data, _, _ = REASONS[case]
    with (
        events.context(store="redis", session_key="s3cr3t-session-key"),
        pytest.raises(plainpickle.UnpicklingError),
    ):
        read(data)
    (record,) = log.records
    if case != "a tag of nobody's":
        assert "s3cr3t" not in repr(vars(record))
    assert "session-key" not in repr(vars(record))
    assert record.exc_info is None
    assert record.stack_info is None


def test_an_unknown_tag_is_payload_and_is_not_in_a_record(log: Records) -> None:
    with pytest.raises(plainpickle.UnpicklingError) as caught:
        SessionSerializer(on_forbidden="raise").loads(b'{"a": {" s3cr3t": 1}}')
    assert "s3cr3t" not in repr(vars(log.records[0]))
    assert "s3cr3t" not in str(caught.value)


NAMES = [
    "evil\n2026-01-01 CRITICAL all is well.na\r\nme",
    "evil\x1b[31m\x1b]0;title\x07.na\x00me",
    "evil reason=limit.na=me",
    'evil".na"me\\',
    "ev\u202eil.n\u0430me\u2028",
    "evil\ue000.name\U0010ffff",
    "e" * 10_000 + "." + "n" * 10_000,
]
MESSAGE = re.compile(r"(input_validation_fail|malicious_attack_tool)((?: [a-z0-9_]+=[!-~]*)+)")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_escaped_and_cut_in_the_record_and_in_the_message(
    name: str, log: Records, hooked: list[dict[str, Any]]
) -> None:
    refuse(named(name), limits=Limits(max_name_bytes=None))
    (record,) = log.records
    (message,) = log.messages
    for shown in (record.plainpickle["global"], hooked[0]["global"]):
        assert shown.isprintable()
        assert len(shown) <= 300
        assert shown.rstrip("…").isascii()
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 1_000
    assert MESSAGE.fullmatch(message)


def test_a_message_has_the_fields_of_the_record_as_key_and_value(log: Records) -> None:
    with events.context(store="redis", session_key=b"key"):
        refuse(named("shop.Cart"))
    (record,), (message,) = log.records, log.messages
    event, *pairs = message.split(" ")
    shown = dict(pair.split("=", 1) for pair in pairs)
    fields = record.plainpickle
    assert event == fields["event"]
    assert shown == {
        name: str(value)
        for name, value in fields.items()
        if value is not None and name not in {"schema", "event"}
    }
    assert message.startswith("input_validation_fail reason=unknown_global global=shop.Cart ")


def test_a_store_name_is_escaped_in_the_message(log: Records) -> None:
    with events.context(store="my cache\nline"):
        refuse(RCE)
    assert MESSAGE.fullmatch(log.messages[0])


# ---- context


def test_a_context_gives_the_store_and_the_hash_of_the_key(hooked: list[dict[str, Any]]) -> None:
    for key in ("k\u00e9y", "k\u00e9y".encode()):
        with events.context(store="redis", session_key=key):
            refuse(RCE)
    refuse(RCE)
    expected = ("redis", hashlib.sha256("k\u00e9y".encode()).hexdigest())
    assert [(event["store"], event["session"]) for event in hooked] == [
        expected,
        expected,
        (None, None),
    ]


def test_a_context_ends_with_its_block_also_by_an_exception(hooked: list[dict[str, Any]]) -> None:
    with contextlib.suppress(ZeroDivisionError), events.context(store="outer"):
        with events.context(store="inner", session_key="k"):
            refuse(RCE)
        refuse(RCE)
        raise ZeroDivisionError
    refuse(RCE)
    assert [event["store"] for event in hooked] == ["inner", "outer", None]
    assert hooked[1]["session"] is None


def test_contexts_of_threads_and_tasks_do_not_mix(hooked: list[dict[str, Any]]) -> None:
    async def visit(store: str) -> None:
        with events.context(store=store):
            await asyncio.sleep(0.01)
            refuse(named(f"shop.{store}"))

    async def visits() -> None:
        await asyncio.gather(*(visit(f"task{n}") for n in range(5)))

    def run(n: int) -> None:
        with events.context(store=f"thread{n}"):
            barrier.wait(10)
            refuse(named(f"shop.thread{n}"))

    barrier = threading.Barrier(5)
    asyncio.run(visits())
    with events.context(store="the caller's"):
        threads = [threading.Thread(target=run, args=(n,)) for n in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(hooked) == 10
    assert all(event["global"] == f"shop.{event['store']}" for event in hooked)


def test_a_serializer_names_its_store_and_a_context_the_session(
    hooked: list[dict[str, Any]],
) -> None:
    serializer = SessionSerializer(store="django-db")
    with pytest.raises(plainpickle.ForbiddenGlobal), events.context(session_key="k"):
        serializer.loads(RCE)
    assert hooked[0]["store"] == "django-db"
    assert hooked[0]["session"] == hashlib.sha256(b"k").hexdigest()


# ---- hooks


def test_a_hook_is_called_for_each_refusal_until_it_is_unsubscribed() -> None:
    first: list[Any] = []
    second: list[Any] = []
    stop_first, stop_second = events.subscribe(first.append), events.subscribe(second.append)
    refuse(RCE)
    stop_first()
    stop_first()
    refuse(RCE)
    stop_second()
    refuse(RCE)
    assert (len(first), len(second)) == (1, 2)


def test_a_hook_that_is_subscribed_twice_is_called_twice_and_ends_once_at_a_time() -> None:
    found: list[Any] = []
    stops = [events.subscribe(found.append) for _ in range(2)]
    refuse(RCE)
    stops[0]()
    refuse(RCE)
    stops[0]()
    refuse(RCE)
    stops[1]()
    refuse(RCE)
    assert len(found) == 2 + 1 + 1


def test_a_hook_may_keep_and_change_what_it_gets(log: Records) -> None:
    def spoil(event: dict[str, Any]) -> None:
        event.clear()

    stop = events.subscribe(spoil)
    found: list[dict[str, Any]] = []
    stop_second = events.subscribe(found.append)
    refuse(RCE)
    stop()
    stop_second()
    assert found[0]["reason"] == log.records[0].plainpickle["reason"] == "dangerous_global"


def test_a_hook_that_raises_changes_nothing_and_is_logged_elsewhere(
    hooked: list[dict[str, Any]], log: Records, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: dict[str, Any]) -> None:
        raise ZeroDivisionError("mine")

    stop = events.subscribe(fail)
    after: list[Any] = []
    stop_after = events.subscribe(after.append)
    with pytest.raises(plainpickle.ForbiddenGlobal) as caught:
        plainpickle.loads(RCE)
    stop()
    stop_after()
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert len(hooked) == len(after) == len(log.records) == 1
    (failure,) = [record for record in caplog.records if record.name == "plainpickle"]
    assert failure.exc_info is not None
    assert failure.exc_info[0] is ZeroDivisionError


def test_a_hook_may_unsubscribe_while_it_is_called() -> None:
    found: list[Any] = []

    def once(event: dict[str, Any]) -> None:
        found.append(event)
        stop()

    stop = events.subscribe(once)
    refuse(RCE)
    refuse(RCE)
    assert len(found) == 1


# ---- rate limit


def test_repeats_are_logged_five_times_and_then_once_a_minute(
    log: Records, hooked: list[dict[str, Any]], clock: Clock
) -> None:
    for _ in range(20):
        refuse(RCE)
    assert [record.plainpickle["suppressed"] for record in log.records] == [0] * 5
    clock.now += 61
    for _ in range(20):
        refuse(RCE)
    assert [record.plainpickle["suppressed"] for record in log.records[5:]] == [15]
    clock.now += 59
    refuse(RCE)
    assert len(log.records) == 6
    clock.now += 3600
    for _ in range(20):
        refuse(RCE)
    assert len(log.records) == 11
    assert len(hooked) == 61


def test_another_reason_name_or_store_is_no_repeat(log: Records) -> None:
    for _ in range(10):
        refuse(RCE)
        refuse(named("shop.Cart"))
        refuse(b"0.")
        with events.context(store="redis"):
            refuse(RCE)
    assert len(log.records) == 20


def test_all_records_together_have_a_limit_too(log: Records, clock: Clock) -> None:
    for n in range(1_000):
        refuse(named(f"shop.Cart{n}"))
    assert len(log.records) == 200
    clock.now += 1
    for n in range(1_000):
        refuse(named(f"shop.Line{n}"))
    assert len(log.records) == 210
    assert log.records[200].plainpickle["suppressed"] == 800
    clock.now += 3_600
    for n in range(1_000):
        refuse(named(f"shop.Row{n}"))
    assert len(log.records) == 410


def test_names_that_an_attacker_varies_take_no_more_memory(log: Records) -> None:
    for n in range(5_000):
        refuse(named(f"shop.Cart{n}"))
    assert len(events._rate._repeats) <= 1024
    assert len(log.records) == 200


def test_names_that_an_attacker_varies_do_not_hide_another_refusal_for_long(
    log: Records, clock: Clock
) -> None:
    for n in range(5_000):
        refuse(named(f"shop.Cart{n}"))
    clock.now += 1
    refuse(RCE)
    assert log.records[-1].plainpickle["reason"] == "dangerous_global"


def test_every_refusal_of_many_threads_is_counted_once(
    log: Records, hooked: list[dict[str, Any]], clock: Clock
) -> None:
    def run(n: int) -> None:
        for m in range(300):
            refuse(named(f"shop.Cart{(n * m) % 50}"))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now += 3_600
    refuse(RCE)
    assert len(hooked) == 2_401
    assert sum(1 + record.plainpickle["suppressed"] for record in log.records) == 2_401


# ---- logging, as applications configure it


def test_without_any_handler_nothing_fails_and_the_last_resort_prints_one_line() -> None:
    script = f"""
import plainpickle
try:
    plainpickle.loads({RCE!r})
except plainpickle.ForbiddenGlobal:
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, timeout=60
    )
    assert done.stdout == b"refused\n"
    (line,) = done.stderr.decode().splitlines()
    assert MESSAGE.fullmatch(line)


def test_a_json_formatter_writes_the_fields() -> None:
    class Json(logging.Formatter):
        def format(self, record: Any) -> str:
            return json.dumps({"level": record.levelname, **record.plainpickle})

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Json())
    logging.getLogger(LOGGER).addHandler(handler)
    with events.context(store="redis", session_key="k"):
        refuse(RCE)
    logging.getLogger(LOGGER).removeHandler(handler)
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["level"] == "CRITICAL"
    assert set(json.loads(line)) == {*FIELDS, "level"}


def test_a_queue_handler_and_a_socket_handler_can_send_a_record() -> None:
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(waiting)
    logging.getLogger(LOGGER).addHandler(handler)
    refuse(RCE)
    logging.getLogger(LOGGER).removeHandler(handler)
    record = waiting.get_nowait()
    assert record.plainpickle["global"] == "os.system"
    sent = logging.handlers.SocketHandler("localhost", 1).makePickle(copy.copy(record))
    assert plainpickle.loads(sent[4:])["plainpickle"] == record.plainpickle


def test_a_percent_sign_in_a_name_formats_nothing(log: Records) -> None:
    refuse(named("shop.%s%(x)d%"))
    assert "%s%(x)d%" in log.messages[0]


def test_a_disabled_logger_still_feeds_the_hooks(
    hooked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, log: Records
) -> None:
    monkeypatch.setattr(logging.getLogger(LOGGER), "disabled", True)
    refuse(RCE)
    assert len(hooked) == 1
    assert log.records == []


def test_a_handler_or_a_filter_that_raises_does_not_change_the_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(logging.Handler):
        def emit(self, record: Any) -> None:
            raise ZeroDivisionError("mine")

    def fail(_: Any) -> bool:
        raise ZeroDivisionError("mine")

    logger = logging.getLogger(LOGGER)
    monkeypatch.setattr(logger, "handlers", [Broken()])
    refuse(RCE)
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "filters", [fail])
    refuse(named("shop.Cart"))


# ---- over the limit before decoding starts


class Pipe(io.RawIOBase):
    """A file that can only be read forward."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer)


@pytest.mark.parametrize(
    "read",
    [
        lambda data, limits: plainpickle.loads(data, limits=limits),
        lambda data, limits: plainpickle.loads(bytearray(data), limits=limits),
        lambda data, limits: plainpickle.load(io.BytesIO(data), limits=limits),
        lambda data, limits: plainpickle.load(io.BufferedReader(Pipe(data)), limits=limits),
        lambda data, limits: plainpickle.load(Pipe(data), limits=limits),
    ],
    ids=["bytes", "bytearray", "BytesIO", "peek", "read"],
)
def test_what_has_too_many_bytes_to_be_decoded_is_on_record(
    read: Callable[[bytes, plainpickle.Limits], Any], hooked: list[dict[str, Any]]
) -> None:
    with pytest.raises(plainpickle.LimitExceeded):
        read(pickle.dumps(b"x" * 5000), plainpickle.Limits(max_bytes=100))
    assert [(event["reason"], event["limit"]) for event in hooked] == [("limit", "max_bytes")]
    assert hooked[0]["length"] > 0
