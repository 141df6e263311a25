"""The intended differences from CPython: `divergences.json`, a row and a reason each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .checks import Disagreement

LIST = Path(__file__).with_name("divergences.json")


@dataclass(frozen=True)
class Divergence:
    """A row: which disagreements it covers, why that is right, and an input that shows it.

    `ours` and `cpython` are regular expressions, searched in the outcomes of a Disagreement.
    """

    id: str
    side: str
    reason: str
    example: str  # hex; must still diverge, and by this row
    ours: str = ""
    cpython: str = ""
    encoding: str | None = None
    since: tuple[int, int] = (3, 9)  # the first CPython that differs

    def covers(self, found: Disagreement) -> bool:
        return (
            self.side == found.side
            and re.search(self.ours, found.ours) is not None
            and re.search(self.cpython, found.cpython) is not None
        )


def divergences() -> tuple[Divergence, ...]:
    return tuple(Divergence(**row) for row in json.loads(LIST.read_text("utf-8")))


def covering(found: Disagreement, rows: Iterable[Divergence]) -> Divergence | None:
    """The first row that covers `found`, or None: then it is a fault."""
    return next((row for row in rows if row.covers(found)), None)
