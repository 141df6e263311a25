"""Exact equality of two values: types, bits and order, by the rules of the differential run.

Identity does not count: the format turns sharing into copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.differential.isomorphism import RULES, Rule, UnpairedError


def difference(expected: Any, actual: Any, rules: Mapping[type[Any], Rule] = RULES) -> str | None:
    """The first difference of `actual` from `expected` as "path: what", or None."""
    todo = [("value", expected, actual)]
    while todo:
        path, a, b = todo.pop()
        kind = type(a)
        if kind is not type(b):
            return f"{path}: {a!a:.200} came out as {b!a:.200}"
        rule = rules.get(kind)
        if rule is None:
            return f"{path}: no rule for {kind.__qualname__}"
        one, other = rule.facts(a), rule.facts(b)
        if one != other:
            return f"{path}: {kind.__qualname__} {one!a:.200} came out as {other!a:.200}"
        try:
            todo.extend((path + step, x, y) for step, x, y in rule.children(a, b))
        except UnpairedError as error:
            return f"{path}: {error}"
    return None
