"""A caller's typed code: mypy --strict checks it against the installed wheel, nothing runs it."""

from __future__ import annotations

import io
import pickle
from typing import Any

import plainpickle
from plainpickle import Limits, Policy, Report, Stub, profiles
from plainpickle.session import SessionSerializer


class Cart:
    """An application's own class."""

    lines: list[str]


def load(data: bytes) -> dict[str, Any]:
    policy: Policy = profiles.django().as_plain("shop.cart.Line").register(Cart)
    policy = policy.register("old.module.Cart", build=Cart).stub()
    limits = Limits(max_bytes=1 << 20, max_memory=None)
    try:
        session = plainpickle.safe_loads(bytearray(data), policy=policy, limits=limits)
    except plainpickle.ForbiddenGlobal as error:
        name: str = error.name
        raise KeyError(name) from error
    except plainpickle.LimitExceeded as error:
        limit: str = error.limit
        raise KeyError(limit) from error
    except plainpickle.UnpicklingError as error:
        base: pickle.UnpicklingError = error
        place: tuple[str, int, str | None] = (error.kind, error.offset, error.opcode)
        raise KeyError(place, base) from error
    assert isinstance(session, dict)
    return session


def names(data: memoryview) -> list[str]:
    report: Report = plainpickle.inspect(data)
    return [f"{used.module}.{used.name}" for used in report.globals if used.allowed]


def verdict(report: Report) -> tuple[str, dict[str, int], plainpickle.UnpicklingError | None]:
    return report.verdict, report.opcodes, report.error


def rewritten(data: bytes) -> bytes:
    return plainpickle.sanitize(data)


def stub_name(stub: Stub) -> str:
    return stub.name


def face(data: bytes, file: io.BytesIO) -> Any:
    unpickler = plainpickle.Unpickler(file, policy=Policy(), limits=Limits())
    unpickler.memo = {0: "x"}
    memo: dict[int, Any] = unpickler.memo.copy()
    stop = plainpickle.events.subscribe(lambda event: print(event["reason"]))
    stop()
    with plainpickle.events.context(store="redis", session_key="k"), plainpickle.install("shop"):
        return plainpickle.load(file), plainpickle.loads(data), unpickler.load(), memo


def session(data: bytes) -> bytes:
    serializer = SessionSerializer(policy=Policy.from_file("policy.toml"), format="pickle")
    try:
        return serializer.encode(serializer.decode(data))
    except plainpickle.UnreadableValue as error:
        where: tuple[str, str | None] = (error.path, error.name)
        raise KeyError(where) from error
