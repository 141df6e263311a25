"""`Inventory`: what payloads hold, counted, with nothing of them executed."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from plainpickle import Limits, Policy, events, safe_loads
from plainpickle.inventory import Inventory
from tests.libraries.canary import Canary
from tests.samples import corpus


class Cart:
    """A class that no policy of these tests knows, unless it is registered."""

    rebuilt = 0

    def __init__(self, total: int = 5) -> None:
        self.total = total

    def __setstate__(self, state: dict[str, Any]) -> None:
        Cart.rebuilt += 1
        vars(self).update(state)


CART = f"{__name__}.Cart"
PLAIN = pickle.dumps({"user": 5, "price": Decimal(3)}, 4)
WITH_CART = pickle.dumps({"user": 5, "cart": Cart()}, 2)


def test_payloads_are_counted_by_format_protocol_and_outcome() -> None:
    inventory = Inventory(policy=Policy())
    for payload in (
        PLAIN,
        PLAIN,
        WITH_CART,
        b'{"a":1}',
        b"{1",
        b"\x80\x02N",
        pickle.dumps(Cart(), 3),
    ):
        inventory.add(payload)
    assert inventory.payloads == 7
    assert inventory.formats == {"pickle": 5, "json": 2}
    assert inventory.protocols == {4: 2, 2: 2, 3: 1}
    assert inventory.outcomes == {"read": 3, "salvaged": 1, "refused": 1, "malformed": 2}
    assert inventory.dropped == {"cart": 1}
    assert inventory.globals["decimal.Decimal"] == 2
    assert inventory.refused == {CART: 2}
    assert inventory.alarms == {}


def test_a_payload_of_another_format_is_counted_by_whether_it_is_whole() -> None:
    inventory = Inventory(policy=Policy())
    inventory.add(PLAIN)
    inventory.add_other(b"\x81\xa1a\x05", format="msgpack", whole=True)
    inventory.add_other(memoryview(b"\x81"), format="msgpack", whole=False)
    assert (inventory.payloads, inventory.size) == (3, len(PLAIN) + 5)
    assert inventory.formats == {"pickle": 1, "msgpack": 2}
    assert inventory.outcomes == {"read": 2, "malformed": 1}


def test_nothing_is_executed_and_an_attack_is_an_alarm_with_its_place(tmp_path: Path) -> None:
    canary = Canary(tmp_path)
    reported: list[Any] = []
    unsubscribe = events.subscribe(reported.append)
    inventory = Inventory(policy=Policy())
    for place in ("row 1", "row \x1b[2J"):
        inventory.add(pickle.dumps({"user": 5, "x": canary}), place=place)
    unsubscribe()
    assert not canary.sang()
    assert reported == []
    (name,) = inventory.alarms
    assert inventory.alarms == {name: ["row 1", "row \x1b[2J"]}
    assert name.endswith(".system")
    text = inventory.to_text()
    assert "ALARM" in text
    assert "row\\u{20}1" in text
    assert text.replace("\n", "").isprintable()
    pickle.loads(pickle.dumps(canary))
    assert canary.sang()


def test_an_instance_of_a_registered_class_is_not_rebuilt() -> None:
    policy = Policy().register(Cart)
    inventory = Inventory(policy=policy)
    inventory.add(WITH_CART)
    assert inventory.outcomes == {"read": 1}
    assert Cart.rebuilt == 0
    assert safe_loads(WITH_CART, policy=policy)["cart"].total == 5
    assert Cart.rebuilt == 1


def test_the_proposed_policy_reads_what_was_refused_and_admits_no_alarm(tmp_path: Path) -> None:
    inventory = Inventory(policy=Policy())
    inventory.add(WITH_CART)
    inventory.add(pickle.dumps(Canary(tmp_path)))
    inventory.add(b"\x80\x02cshop\n*\n)\x81.")
    policy = inventory.proposed_policy()
    assert policy == Policy().as_plain(CART)
    assert safe_loads(WITH_CART, policy=policy) == {"user": 5, "cart": {"total": 5}}


def test_each_sample_of_old_software_has_the_outcome_that_loading_has() -> None:
    for sample in corpus():
        inventory = Inventory(policy=Policy())
        inventory.add(sample.data)
        try:
            safe_loads(sample.data, policy=Policy())
        except ValueError:
            assert "read" not in inventory.outcomes, sample
        else:
            assert inventory.outcomes == {"read": 1}, sample
        if "pickle" in sample.facts:
            assert set(inventory.globals) == set(sample.facts["globals"])


def test_names_and_keys_are_told_apart_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plainpickle.inventory._TOLD_APART", 3)
    inventory = Inventory(policy=Policy())
    for each in range(9):
        inventory.add(b"\x80\x02}X\x01\0\0\0%dcshop\nCart%d\n)\x81s." % (each, each))
    assert sum(inventory.globals.values()) == 9
    assert len(inventory.globals) == len(inventory.dropped) == 4
    assert inventory.globals["(others)"] == 6


def test_what_a_limit_stops_is_refused_for_that_reason() -> None:
    inventory = Inventory(policy=Policy(), limits=Limits(max_bytes=5))
    inventory.add(PLAIN)
    assert inventory.outcomes == {"refused": 1}
    assert inventory.reasons == {"limit": 1}


def test_the_json_form_has_every_count_and_the_text_the_same() -> None:
    inventory = Inventory(policy=Policy())
    inventory.add(PLAIN)
    inventory.add(WITH_CART)
    inventory.add_unreadable("signature")
    found = json.loads(json.dumps(inventory.to_dict()))
    assert found["payloads"] == 2
    assert found["bytes"] == len(PLAIN) + len(WITH_CART)
    assert found["protocols"] == {"2": 1, "4": 1}
    assert found["globals"][CART] == {"payloads": 1, "refused": 1}
    assert found["unreadable"] == {"signature": 1}
    text = inventory.to_text()
    for words in ("payloads: 2", f"{CART}  refused", "decimal.Decimal  allowed", "1  signature"):
        assert words in text
