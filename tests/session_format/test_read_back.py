"""What is written can be read under the same limits, whether it was read to know that or not."""

from __future__ import annotations

import warnings
from decimal import Decimal
from random import Random

import pytest

from plainpickle import Limits, UnreadableValue
from plainpickle.session import SessionSerializer
from tests.session_format.exact import difference
from tests.session_format.test_round_trip import COUNT, SEED
from tests.session_format.values import generated

BOUNDS = {
    "max_bytes": (10, 100, 1000),
    "max_memory": (0, 100, 1000, 3000, 10_000, 30_000),
    "max_work": (0, 10, 100, 1000),
    "max_depth": (0, 1, 2, 3, 4, 6),
    "max_key_depth": (0, 1, 2),
    "max_int_digits": (1, 5, 20, 100),
    "max_int_bits": (1, 100, 8192),
    "max_decimal_digits": (1, 3, 10),
    "max_decimal_exponent": (0, 5, 100),
}


def test_what_is_written_under_tight_limits_is_read_under_them() -> None:
    random = Random(SEED)
    written = refused = 0
    for index in range(COUNT // 5):
        value = generated(SEED, index)
        names = random.sample(sorted(BOUNDS), random.randint(1, 4))
        limits = Limits(**{name: random.choice(BOUNDS[name]) for name in names})
        sessions = SessionSerializer(format="json", on_forbidden="raise", limits=limits)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # array("u") is deprecated from 3.13 on
            try:
                text = sessions.dumps(value)
            except UnreadableValue:
                refused += 1
                continue
            written += 1
            assert len(text) <= (limits.max_bytes or len(text))
            assert difference(value, sessions.loads(text)) is None, (index, limits)
    assert written > COUNT // 50
    assert refused > COUNT // 50


def test_a_dict_that_turns_out_to_have_another_key_is_written_once() -> None:
    sessions = SessionSerializer(format="json")
    inner = {"a": [1, {"b": 2}], 3: {"c": 4, 5.0: 6}}
    value = {"x": inner, "y": {"k" * 20: inner, (1, 2): None}, "z": {" t": {" t": inner}}}
    assert sessions.dumps(inner) == b'{" dict":["a",[1,{"b":2}],3,{" dict":["c",4,5.0,6]}]}'
    assert difference(value, sessions.loads(sessions.dumps(value))) is None


def test_nested_dicts_with_another_key_at_their_end_take_linear_time() -> None:
    value: object = 1
    for _ in range(300):
        value = {"k": value, 0: 0}
    text = SessionSerializer(format="json").dumps(value)
    assert len(text) == 300 * len('{" dict":["k",,0,0]}') + 1


def test_a_dict_that_changes_while_it_is_written_is_an_error() -> None:
    session: dict[str, object] = {}

    class Grows:
        def __reduce__(self) -> str | tuple[object, ...]:
            session["more"] = 1
            return (Decimal, ("1",))

    session.update(a=Grows(), b=2)
    with pytest.raises(RuntimeError, match="changed size"):
        SessionSerializer(format="json").dumps(session)
