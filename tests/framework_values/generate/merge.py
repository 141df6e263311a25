# -*- coding: utf-8 -*-
"""Make ../SAMPLES.json of the outputs of record.py: one sample for each shape of each value.

    python3 merge.py OUTPUT.jsonl ...

Two pickles have one skeleton if they make the same calls with arguments of the same kinds,
whether Python 2 or 3 wrote the text in them.  Each skeleton is kept once over all names, and each
name at least once for each thing that is expected of it.
"""

import json
import re
import sys
from pathlib import Path

KINDS = [  # in a shape: what is written in several ways -> one name for it
    (r"REDUCE _codecs\.encode\('(?:[^'\\]|\\.)*', 'latin1'\)", "text"),
    (r"[sb]?'(?:[^'\\]|\\.)*'", "text"),
    (r"(?<![\w.])-?\d+(\.\d+)?(e[+-]?\d+)?(?![\w.])", "n"),
    (r"\b(None|True|False)\b", "c"),
    (r"__builtin__\.unicode", "builtins.str"),
    (r"__builtin__", "builtins"),
    (r"REDUCE datetime\.(?:datetime|time)\(text(?:, (.*))?\)", r"\1"),  # a moment, by its zone
    (r"copy_reg\._reconstructor", "copyreg._reconstructor"),
    (r"(pendulum\.tz\.zoneinfo\.transition|dateutil\.tz\.tz\._ttinfo).*", r"\1"),
    (r"(\b[\w:. ]+\b), (?:\1, )+", r"\1, "),
]
BIGGEST = 6000  # bytes


def skeleton(shape):
    for pattern, kind in KINDS:
        shape = re.sub(pattern, kind, shape)
    return shape


def main(paths):
    rows = [json.loads(line) for path in paths for line in Path(path).open(encoding="utf-8")]
    rows = [row for row in rows if len(row["pickle_hex"]) <= 2 * BIGGEST]
    kept, skeletons, names = [], set(), set()
    for row in rows:
        name = (row["name"], json.dumps(row["expected"], sort_keys=True))
        if skeleton(row["shape"]) in skeletons and name in names:
            continue
        skeletons.add(skeleton(row["shape"]))
        names.add(name)
        kept.append({key: row[key] for key in ("name", "software", "protocol", "pickle_hex", "expected")})
    kept.sort(key=lambda row: (row["name"], row["software"]["python"], row["protocol"]))
    for row in kept:  # only what takes part in this value
        row["software"] = {k: v for k, v in row["software"].items() if k == "python" or needs(row, k)}
    target = Path(__file__).parent.parent / "SAMPLES.json"
    lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in kept)
    target.write_text("[\n%s\n]\n" % lines, encoding="ascii")
    print(len(kept), "samples of", len(rows), "pickles")


def needs(row, package):
    data = bytes.fromhex(row["pickle_hex"])
    return package.encode() in data or row["name"].split(".")[0] == package


if __name__ == "__main__":
    main(sys.argv[1:])
