"""What a profile-guided build of the floor is trained by: values of the kinds that are timed, but not those."""

from __future__ import annotations

from random import Random

import plainpickle_floor

from benches.workloads import WORKLOADS

DISTINCT = 32  # tapes of a kind


def main() -> None:
    for workload in WORKLOADS:
        rng = Random(f"training {workload.key}")
        tapes = plainpickle_floor.tapes([workload.make(rng) for _ in range(min(workload.count, DISTINCT))])
        for _ in range({"a": 100, "b": 10}.get(workload.key, 3)):
            for tape in tapes:
                plainpickle_floor.build(tape)


if __name__ == "__main__":
    main()
