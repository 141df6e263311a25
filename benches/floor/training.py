"""What a profile-guided build of the floor is trained by: values of the kinds that are timed."""

from __future__ import annotations

import importlib

from benches.workloads import WORKLOADS

DISTINCT = 32  # tapes of a kind


def main() -> None:
    floor = importlib.import_module("plainpickle_floor")
    for workload in WORKLOADS:
        tapes = floor.tapes(workload.values(DISTINCT, seed="training "))
        for _ in range({"a": 100, "b": 10}.get(workload.key, 3)):
            for tape in tapes:
                floor.build(tape)


if __name__ == "__main__":
    main()
