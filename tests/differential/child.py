"""The process that meets the inputs: a crash or a hang ends it, and the board tells on which.

Prints one JSON object a line: {"found": ...} for a disagreement, {"shrunk": ...} for its smaller
form, {"at": n} as progress and {"done": {...}} at the end.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import mmap
import resource
import signal
import struct
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from .checks import Disagreement, Subject, graph_disagreements, mutant_disagreements, subject
from .divergences import covering, divergences
from .forms import Form, Pickled, pickled, random_form
from .graphs import GraphMaker
from .mutants import mutants
from .shrink import smaller_bytes, smaller_graph

SPARE_MEMORY = (
    448 << 20
)  # over what the process has at the start: the default budget and CPython's part
CPU_SECONDS = 8.0  # for one input in all functions: beyond it the process is ended
SHRINKS = 12  # how many kinds of disagreement are made smaller
BOARD = struct.Struct("<16sqq")
BOARD_BYTES = BOARD.size + (1 << 20)


class Board:
    """A mapped file that outlives the process: phase, index and bytes being looked at."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), BOARD_BYTES)

    def show(self, index: int, data: bytes) -> None:
        BOARD.pack_into(self._map, 0, b"start", index, len(data))
        self._map[BOARD.size : BOARD.size + min(len(data), 1 << 20)] = data[: 1 << 20]

    def phase(self, name: str) -> None:
        self._map[:16] = name.encode().ljust(16, b"\0")

    @staticmethod
    def read(path: Path) -> tuple[str, int, bytes]:
        raw = path.read_bytes()
        phase, index, size = BOARD.unpack_from(raw)
        return phase.rstrip(b"\0").decode(), index, raw[BOARD.size : BOARD.size + size]


def graph_case(seed: str, index: int) -> tuple[Any, Form, Pickled, bool, bool] | None:
    """Graph number `index` of `seed`, or None if no pickler can write it (a cycle in arguments)."""
    rng = Random(f"graph {seed} {index}")
    form = random_form(rng)
    maker = GraphMaker(rng, size=rng.choice((4, 15, 40, 40, 120)), buffers=form.protocol == 5)
    graph = maker.make()
    try:
        return graph, form, pickled(graph, form), maker.cyclic, maker.shares
    except (RecursionError, AssertionError):  # pickle.py asserts what the C pickler recurses into
        return None


def mutant_encoding(seed: str, index: int) -> str | None:
    return Random(f"encoding {seed} {index}").choice((None, None, None, None, "latin1", "bytes"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("graphs", "mutants"))
    parser.add_argument("board", type=Path)
    for name in ("--seed", "--subject"):
        parser.add_argument(name, required=True)
    for name in ("--first", "--count"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(5000)
    board, sub = Board(options.board), subject(options.subject)
    run = _graphs if options.mode == "graphs" else _mutants
    sys.excepthook = lambda *_: (
        None
    )  # CPython prints through it when a BYTEARRAY8 length is too large
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    if pages:
        limit = pages * resource.getpagesize() + SPARE_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    counts: Counter[str] = Counter()
    rows = divergences()
    shrunk: set[str] = set()
    for index, found, same in run(sub, options, board, counts):
        row = covering(found, rows)
        if row is not None:
            counts[f"divergence {row.id}"] += 1
            continue
        counts["disagreements"] += 1
        _say("found", index, found)
        if found.signature not in shrunk and len(shrunk) < SHRINKS:
            shrunk.add(found.signature)
            _say("shrunk", index, same(found))
    print(json.dumps({"done": counts}), flush=True)


Case = tuple[int, Disagreement, Any]


def _graphs(
    sub: Subject, options: argparse.Namespace, board: Board, counts: Counter[str]
) -> Iterator[Case]:
    for index in range(options.first, options.first + options.count):
        board.show(index, b"")
        case = graph_case(options.seed, index)
        _tick(index, options.first)
        if case is None:
            counts["not picklable"] += 1
            continue
        graph, form, made, cyclic, shares = case
        board.show(index, made.data)
        counts["bytes"] += len(made.data)
        for found in graph_disagreements(sub, made, cyclic=cyclic, shares=shares, mark=board.phase):

            def again(candidate: Any, signature: str = found.signature) -> Disagreement | None:
                _arm()
                try:
                    made = pickled(candidate, form)
                except (RecursionError, AssertionError, TypeError):
                    return None
                board.show(index, made.data)
                return next(
                    (
                        f
                        for f in graph_disagreements(
                            sub, made, cyclic=cyclic, shares=shares, mark=board.phase
                        )
                        if f.signature == signature
                    ),
                    None,
                )

            yield (
                index,
                found,
                lambda f: again(smaller_graph(graph, lambda g: again(g) is not None)) or f,
            )


def _mutants(
    sub: Subject, options: argparse.Namespace, board: Board, counts: Counter[str]
) -> Iterator[Case]:
    for index, data in enumerate(
        mutants(options.seed, options.first, options.count), options.first
    ):
        _tick(index, options.first)
        board.show(index, data)
        encoding = mutant_encoding(options.seed, index)
        counts["bytes"] += len(data)
        for found in mutant_disagreements(sub, data, encoding, board.phase):

            def again(candidate: bytes, signature: str = found.signature) -> Disagreement | None:
                _arm()
                board.show(index, candidate)
                return next(
                    (
                        f
                        for f in mutant_disagreements(sub, candidate, encoding, board.phase)
                        if f.signature == signature
                    ),
                    None,
                )

            yield (
                index,
                found,
                lambda f: again(smaller_bytes(f.data, lambda d: again(d) is not None)) or f,
            )


def _arm() -> None:
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)


def _tick(index: int, first: int) -> None:
    _arm()
    if (index - first) % 1000 == 0:
        print(json.dumps({"at": index}), flush=True)


def _say(key: str, index: int, found: Disagreement) -> None:
    row = {
        "index": index,
        "side": found.side,
        "ours": found.ours,
        "cpython": found.cpython,
        "hex": found.data.hex(),
        "signature": found.signature,
    }
    print(json.dumps({key: row}), flush=True)


if __name__ == "__main__":
    try:
        main()
    except Exception:
        traceback.print_exc()
        sys.exit(1)
