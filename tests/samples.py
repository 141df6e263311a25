"""The recorded samples: what `corpus` and `framework_values` hold, ready to be read."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
FRAMEWORK_VALUES = HERE / "framework_values" / "SAMPLES.json"


@dataclass(frozen=True)
class Sample:
    """One pickle, and what the software that wrote it had put in.

    ``expected`` is in the tagged JSON that corpus/README.md describes; ``facts`` is the rest of
    what its manifest says.
    """

    name: str
    data: bytes
    expected: Any
    category: str
    facts: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Stored:
    """What a store holds, and the pickles found in it: the expiry first where one is in front."""

    name: str
    raw: bytes
    facts: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return self.name

    def pickles(self) -> dict[str, bytes]:
        """The pickles by key; ``<value>`` is the session, ``<expiry>`` what stands before it."""
        if self.facts["storage"] == "werkzeug-securecookie":
            return dict(_securecookie(self.raw))
        if "expiry_pickle_len" in self.facts:  # a file of a Django cache
            end = self.facts["expiry_pickle_len"]
            return {"<expiry>": self.raw[:end], "<value>": zlib.decompress(self.raw[end:])}
        end = self.facts["value_offset"]  # a file of a Werkzeug or cachelib cache
        expiry = {} if "struct" in self.facts["layout"] else {"<expiry>": self.raw}
        return {**expiry, "<value>": self.raw[end:]}


def _securecookie(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """One pickle for each key: base64(HMAC) ? key=base64(pickle) & ..."""
    for item in raw.partition(b"?")[2].split(b"&"):
        key, _, value = item.partition(b"=")
        yield unquote_to_bytes(key).decode(), base64.b64decode(value)


def manifest() -> list[dict[str, Any]]:
    samples: list[dict[str, Any]] = json.loads((CORPUS / "MANIFEST.json").read_bytes())["samples"]
    return samples


def corpus() -> list[Sample]:
    """Every pickle of the corpus: the bare ones, and each one inside a container of several."""
    return [sample for facts in manifest() for sample in _of(facts)]


def _of(facts: dict[str, Any]) -> Iterator[Sample]:
    name, category = facts["name"], facts["category"]
    if "pickle" in facts:
        data = (CORPUS / facts["pickle"]).read_bytes()
        yield Sample(name, data, facts["expected"], category, facts)
    elif category != "not-pickle":
        pickles = Stored(name, (CORPUS / facts["raw"]).read_bytes(), facts).pickles()
        for key, expected in facts["expected"].items():
            yield Sample(f"{name}[{key}]", pickles[key], expected, category, facts)


def containers() -> list[Stored]:
    """What stores hold in more than one pickle, or behind an expiry."""
    keys = {"expiry_pickle_len", "value_offset"}
    return [
        Stored(facts["name"], (CORPUS / facts["raw"]).read_bytes(), facts)
        for facts in manifest()
        if keys & facts.keys() or facts["storage"] == "werkzeug-securecookie"
    ]


def not_pickles() -> list[Stored]:
    return [
        Stored(facts["name"], (CORPUS / facts["raw"]).read_bytes(), facts)
        for facts in manifest()
        if facts["category"] == "not-pickle"
    ]


def framework_values() -> list[Sample]:
    """The exact shapes in which old and new software pickles each value type."""
    rows: list[dict[str, Any]] = json.loads(FRAMEWORK_VALUES.read_bytes())
    return [
        Sample(
            f"{row['name']}-py{row['software']['python']}-protocol{row['protocol']}",
            bytes.fromhex(row["pickle_hex"]),
            row["expected"],
            "framework-value",
            row,
        )
        for row in rows
    ]
