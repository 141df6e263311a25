"""What a profile-guided build of the floor is trained by: values of the kinds that are timed."""

from __future__ import annotations

import importlib
from random import Random

from benches.workloads import WORKLOADS

DISTINCT = 32  # tapes of a kind


def main() -> None:
    floor = importlib.import_module("plainpickle_floor")
    for workload in WORKLOADS:
        rng = Random(f"training {workload.key}")
        values = [workload.make(rng) for _ in range(min(workload.count, DISTINCT))]
        tapes = floor.tapes(values)
        for _ in range({"a": 100, "b": 10}.get(workload.key, 3)):
            for tape in tapes:
                floor.build(tape)


if __name__ == "__main__":
    main()
