"""What RQ's workers import: the jobs of an app, and what it gives to RQ in pickle's place."""

from __future__ import annotations

from functools import partial
from typing import Any

import plainpickle
from tests.libraries.canary import assert_session


class Basket:
    """A class of the app, whose method is a job."""

    def __init__(self, prices: list[int]) -> None:
        self.prices = prices

    def total(self, discount: int) -> int:
        return sum(self.prices) - discount


class WithBaskets:
    """plainpickle, for RQ, under a policy that lets that class in."""

    POLICY = plainpickle.Policy().register(Basket)
    loads = staticmethod(partial(plainpickle.loads, policy=POLICY))
    dumps = staticmethod(partial(plainpickle.dumps, policy=POLICY))


def checked_out(session: dict[str, Any], *, note: str) -> dict[str, Any]:
    assert_session(session)
    return {"session": session, "note": note}


def a_class() -> type[Basket]:
    return Basket
