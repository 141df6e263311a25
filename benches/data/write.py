"""Writes the pickles and the JSON beside this file, which benches/core.rs reads.

python -m benches.data.write
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from benches.workloads import WORKLOADS
from plainpickle.session import SessionSerializer

HERE = Path(__file__).parent
# Each workload's first value, and how many items of a list: small files do.
NAMES = {
    "small_session": ("a", None),
    "shop_session": ("b", None),
    "products": ("c", 50),
    "strings": ("d", 200),
    "ints": ("e", 500),
    "values": ("i", 100),
}


def main() -> None:
    by_key = {workload.key: workload for workload in WORKLOADS}
    for name, (key, count) in NAMES.items():
        value = by_key[key].values(1)[0]
        value = value if count is None else value[:count]
        for protocol in (0, 2, 4):
            file = HERE / f"{name}.{protocol}.pickle"
            file.write_bytes(pickle.dumps(value, protocol))
        (HERE / f"{name}.json").write_bytes(SessionSerializer().dumps(value))
    print(sum(file.stat().st_size for file in HERE.iterdir()), "bytes in", HERE, file=sys.stderr)


if __name__ == "__main__":
    main()
