"""Writes the README of this folder from the cases. Run as `python -m tests.attacks.table`."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.attacks.families import CASES

README = Path(__file__).with_name("README.md")
INTRODUCTION = """\
# Attacks

What was tried against the decoder, what came of it, and the rule that stops it. Each case is data
in `families/`: a maker of hostile bytes and the outcome that it must have. `test_attacks.py` sends
every case through `safe_loads`, `inspect`, `sanitize` and `to_json` under a canary: no audit event
(import, open, exec, compile, subprocess, socket ...), no change of `sys.modules`, no new file, no
exception but `UnpicklingError`, no payload in a message. `test_confined.py` repeats that in child
processes: at full size with time and memory measured, and on a stack of 192 KiB with 1 GiB of
address space. `test_policy.py` and `test_callbacks.py` attack the configuration and the callbacks.

"Contained" means that either a refusal or a harmless plain value is safe, and the case does not
pin which one. A family's own honest cases show that its refusals are not refusals of everything.

This file is written by `python -m tests.attacks.table`; do not edit it.
"""


def cell(text: str) -> str:
    """Text that does not end a table cell."""
    return text.replace("|", "\\|")


def readme() -> str:
    """The README as it should be."""
    parts = [INTRODUCTION]
    for family, members in itertools.groupby(CASES, key=lambda case: case.family):
        cases = list(members)
        parts.append(f"\n## {family}\n\n| case | attempt | outcome | rule |\n|---|---|---|---|\n")
        for id_, group in itertools.groupby(cases, key=lambda case: case.id):
            variants = list(group)
            case = variants[0]
            count = f" ({len(variants)})" if len(variants) > 1 else ""
            row = (f"`{id_}`{count}", case.attempt, str(case.expect), case.rule)
            parts.append("| " + " | ".join(map(cell, row)) + " |\n")
    return "".join(parts)


if __name__ == "__main__":
    README.write_text(readme(), "utf-8")
