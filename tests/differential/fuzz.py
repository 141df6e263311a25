"""The command: python -m tests.differential.fuzz --graphs N --mutants N --seed S.

Exit 1 on any disagreement outside `divergences.json`, crash, hang or input over its limits.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .child import BOARD_BYTES, Board

ROOT = Path(__file__).parents[2]
PART = 20_000  # inputs a process meets before a fresh one takes over


@dataclass
class Result:
    """What a run of one mode found. `found` maps a signature to its smallest example."""

    inputs: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)

    def add(self, row: dict[str, Any], *, again: bool = False) -> None:
        signature = row["signature"]
        if not again:
            self.times[signature] += 1
        if signature not in self.found or len(row["hex"]) < len(self.found[signature]["hex"]):
            self.found[signature] = row


def run(
    mode: str, seed: str, count: int, subject: str = "plainpickle", *, quiet: bool = True
) -> Result:
    """Puts inputs 0 to `count - 1` of `seed` through the checks, in child processes."""
    result, first, start = Result(count), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        board = Path(folder, "board")
        board.write_bytes(bytes(BOARD_BYTES))
        while first < count:
            part = min(PART, count - first)
            command = [
                sys.executable,
                "-m",
                "tests.differential.child",
                mode,
                str(board),
                "--seed",
                seed,
                "--subject",
                subject,
                "--first",
                str(first),
                "--count",
                str(part),
            ]
            with subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if quiet else None,
                text=True,
            ) as child:
                done = False
                for line in child.stdout or ():
                    message = json.loads(line)
                    if "found" in message or "shrunk" in message:
                        row = message.get("found") or message["shrunk"]
                        result.add({"mode": mode, "seed": seed, **row}, again="shrunk" in message)
                    done |= "done" in message
                    result.counts.update(message.get("done", {}))
                    if not quiet and "at" in message:
                        _progress(mode, message["at"], count, start)
                errors = child.stderr.read() if child.stderr else ""
            if done:
                first += part
                continue
            phase, index, data = Board.read(board)
            if phase == "":
                raise RuntimeError(f"the child did not start: {errors[-2000:]}")
            first = index + 1
            if phase == "reference":
                result.counts["CPython ended"] += 1
                continue
            what = f"{phase} ended the process with status {child.returncode}"
            result.counts["disagreements"] += 1
            result.add(
                {
                    "mode": mode,
                    "seed": seed,
                    "index": index,
                    "side": "crash",
                    "ours": what,
                    "cpython": "",
                    "hex": data.hex(),
                    "signature": what,
                }
            )
    return result


def _progress(mode: str, at: int, count: int, start: float) -> None:
    rate = at / max(time.monotonic() - start, 1e-9)
    print(f"\r{mode} {at:,}/{count:,}  {rate:,.0f}/s ", end="", file=sys.stderr, flush=True)


def _show(result: Result) -> None:
    for signature, row in sorted(result.found.items(), key=lambda item: -result.times[item[0]]):
        print(
            f"\n{row['side']} ({result.times[signature]} times), {row['mode']} seed {row['seed']} "
            f"index {row['index']}\n  ours:    {row['ours']}\n  CPython: {row['cpython']}\n"
            f"  hex:     {row['hex'][:2000]}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential.fuzz", description=__doc__)
    parser.add_argument("--graphs", type=int, default=2000, metavar="N")
    parser.add_argument("--mutants", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", default="0", help="any text; the same seed gives the same inputs")
    parser.add_argument(
        "--subject", default="plainpickle", help="module under test, or module:Subject"
    )
    options = parser.parse_args(arguments)
    start = time.monotonic()
    graphs = run("graphs", options.seed, options.graphs, options.subject, quiet=False)
    mutants = run("mutants", options.seed, options.mutants, options.subject, quiet=False)
    print(file=sys.stderr)
    for result in (graphs, mutants):
        _show(result)
    for name, times in sorted((graphs.counts + mutants.counts).items()):
        print(f"  {name}: {times:,}")
    print(
        f"{graphs.inputs:,} graphs, {graphs.counts['disagreements']:,} disagreements; "
        f"{mutants.inputs:,} mutants, {mutants.counts['disagreements']:,} disagreements "
        "outside the divergence list; "
        f"seed {options.seed}, {time.monotonic() - start:.0f} s"
    )
    return 1 if graphs.found or mutants.found else 0


if __name__ == "__main__":
    sys.exit(main())
