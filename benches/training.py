"""What a profile-guided build is trained by: each face, on old sessions and values of each kind.

    python -m benches.training

Run by `maturin build --pgo` against a build that counts its own branches, in an environment that
holds nothing else. The values are of the same kinds as what is timed, but none of them is timed.
"""

from __future__ import annotations

import io
import logging
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import plainpickle
from benches.workloads import WORKLOADS
from plainpickle import _core
from plainpickle.session import SessionSerializer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CORPUS = Path(__file__).parents[1] / "tests" / "corpus"
BYTES = 200_000  # that each face reads of a kind, so that large ones don't drown the small
SESSIONS = 20_000_000  # and of sessions, which are what most loads are about


def train(call: Callable[[Any], Any], arguments: Sequence[Any], rounds: int) -> None:
    for _ in range(max(1, rounds)):
        for argument in arguments:
            call(argument)


def read(payloads: Sequence[bytes], total: int) -> None:
    rounds = total // sum(map(len, payloads))
    train(plainpickle.safe_loads, payloads, rounds)
    train(lambda data: plainpickle.load(io.BytesIO(data)), payloads, rounds // 8)
    train(plainpickle.inspect, payloads, rounds // 8)
    train(lambda data: _core.to_json(data, None, None, 0), payloads, rounds // 8)


def write(values: Sequence[Any], rounds: int) -> None:
    serializer = SessionSerializer()
    train(plainpickle.dumps, values, rounds)
    train(serializer.dumps, values, rounds)
    train(serializer.loads, [serializer.dumps(value) for value in values], rounds)


def old_sessions() -> Iterable[bytes]:
    for file in sorted(CORPUS.glob("*.bin")):
        data = file.read_bytes()
        try:
            plainpickle.safe_loads(data)
        except plainpickle.UnpicklingError:
            continue  # wants a policy of its own
        yield data


def main() -> None:
    sys.setrecursionlimit(10_000)  # pickle's own
    logging.disable()  # refusals, which are left out
    read(list(old_sessions()), SESSIONS)
    for workload in WORKLOADS:
        values = workload.values(seed="training ")
        total = SESSIONS if workload.title.endswith("session") else BYTES
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            payloads = [pickle.dumps(value, protocol) for value in values]
            read(payloads, total)
        write(values, total // 4 // sum(map(len, payloads)))


if __name__ == "__main__":
    main()
