"""Attacks through what the caller hands in: buffers, resolvers, registries, changing input."""

from __future__ import annotations

import contextlib
import copyreg
import pickle
import sys
import threading
from typing import Any

import pytest

import plainpickle
from tests.attacks.families.demo import ONE_LINE
from tests.attacks.ops import Raw, glob, new, pickled, push

CART = Raw(new("shop.Cart") + push({"a": 1}) + b"b")


def test_a_registered_and_cached_extension_code_is_still_refused() -> None:
    """CPython's cache of extension codes skips every find_class."""
    copyreg.add_extension("plainpickle", "Policy", 200)
    try:
        pickle.loads(b"\x80\x02\x82\xc8.")  # fills the cache
        with pytest.raises(plainpickle.UnsupportedOpcode):
            plainpickle.safe_loads(b"\x80\x02\x82\xc8.")
    finally:
        copyreg.remove_extension("plainpickle", "Policy", 200)


def test_an_error_in_a_build_travels_untouched_and_leaves_the_decoder_usable() -> None:
    class BrokenError(Exception):
        pass

    def build(*args: Any) -> Any:
        raise BrokenError

    policy = plainpickle.Policy().register("shop.Cart", build=build)
    for _ in range(3):
        with pytest.raises(BrokenError):
            plainpickle.safe_loads(pickled([CART]), policy=policy)
    assert plainpickle.safe_loads(pickled([1]), policy=policy) == [1]


def test_hash_and_equality_of_registered_values_cannot_corrupt_the_decoder() -> None:
    class Key:
        def __init__(self, state: Any) -> None:
            plainpickle.safe_loads(pickled({1: 2}))

        def __hash__(self) -> int:
            plainpickle.safe_loads(pickled([1, 2]))
            return 1

        def __eq__(self, other: object) -> bool:
            plainpickle.safe_loads(pickled({"a": {}}))
            return False

    policy = plainpickle.Policy().register("shop.Cart", build=lambda *args: Key(args))
    value = plainpickle.safe_loads(pickled(Raw(b"}(" + (CART + b"N") * 20 + b"u")), policy=policy)
    assert len(value) == 20


def test_a_hash_that_raises_does_so_to_the_caller() -> None:
    class Key:
        def __hash__(self) -> int:
            raise RuntimeError("no hash")

    policy = plainpickle.Policy().register("shop.Cart", build=lambda *args: Key())
    with pytest.raises((RuntimeError, plainpickle.UnpicklingError)):
        plainpickle.safe_loads(pickled({CART: 1}), policy=policy)


def test_a_resolver_may_decode_and_fail() -> None:
    def resolve(identifier: Any) -> Any:
        with pytest.raises(plainpickle.ForbiddenGlobal):
            plainpickle.safe_loads(ONE_LINE)
        return plainpickle.safe_loads(pickled([identifier]))

    data = pickled(Raw(b"](" + b"K\x07Q" * 3 + b"e"))
    assert plainpickle.safe_loads(data, persistent_load=resolve) == [[7]] * 3
    with pytest.raises(ZeroDivisionError):
        plainpickle.safe_loads(data, persistent_load=lambda _: 1 // 0)


def test_a_resolver_cannot_resize_the_input_under_the_decoder() -> None:
    data = bytearray(pickled(Raw(b"](K\x07Q" + push("x" * 1000) + b"e")))

    def shrink(identifier: Any) -> Any:
        try:
            data.clear()
        except BufferError:
            data[20:] = b"\xff" * (len(data) - 20)
        return identifier

    with contextlib.suppress(plainpickle.UnpicklingError):
        plainpickle.safe_loads(data, persistent_load=shrink)


def test_a_resolver_cannot_see_or_change_what_is_half_built() -> None:
    """A container in the memo may be changed by the app, but not break the decoder."""
    seen: list[Any] = []

    def resolve(identifier: Any) -> Any:
        seen.append(identifier)
        if isinstance(identifier, list):
            identifier.clear()
        return identifier

    data = pickled(Raw(b"]q\x00(K\x01K\x02eh\x00Q(K\x03h\x00Qe"))
    plainpickle.safe_loads(data, persistent_load=resolve)
    assert len(seen) == 2


@pytest.mark.parametrize("buffers", [5, [5], [None], ["text"], [[1]]], ids=repr)
def test_buffers_that_are_none_are_an_error_that_names_no_payload(buffers: Any) -> None:
    with pytest.raises((TypeError, plainpickle.UnpicklingError)):
        plainpickle.safe_loads(pickled(Raw(b"\x97\x98")), buffers=buffers)


def test_buffers_that_run_out_or_raise() -> None:
    with pytest.raises(plainpickle.UnpicklingError):
        plainpickle.safe_loads(pickled(Raw(b"](\x97\x97e")), buffers=[b"one"])

    def failing() -> Any:
        yield b"one"
        plainpickle.safe_loads(pickled([1]))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        plainpickle.safe_loads(pickled(Raw(b"](\x97\x97e")), buffers=failing())


@pytest.mark.parametrize(
    "data",
    [None, 5, "text", [1], memoryview(b"N.N.")[::2], object()],
    ids=lambda data: type(data).__name__,
)
def test_input_that_is_no_contiguous_bytes_is_refused(data: Any) -> None:
    with pytest.raises((TypeError, BufferError, ValueError)):
        plainpickle.safe_loads(data)


@pytest.mark.parametrize("encoding", ["idna", "os", "", "\0", "x" * 5000, "rot13", "undefined"])
def test_an_odd_encoding_is_the_callers_error_or_unused(encoding: str) -> None:
    """The encoding comes from the caller; a bad one fails in Python's own ways and no others."""
    with contextlib.suppress(LookupError, ValueError, TypeError):
        plainpickle.safe_loads(b"U\x03a\xffb.", encoding=encoding)


def test_threads_that_decode_attacks_do_not_disturb_each_other() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(300):
                with pytest.raises(plainpickle.ForbiddenGlobal):
                    plainpickle.safe_loads(ONE_LINE)
                assert plainpickle.safe_loads(pickled({"a": [1, (2,)]})) == {"a": [1, (2,)]}
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_refusals_leak_no_references() -> None:
    payload = pickled({"a": [1.5] * 100, "b": Raw(glob("os.system"))})
    counts = []
    for _ in range(3):
        for _ in range(200):
            with pytest.raises(plainpickle.ForbiddenGlobal):
                plainpickle.safe_loads(payload)
        counts.append(sys.getallocatedblocks())
    assert counts[2] - counts[1] < 200
