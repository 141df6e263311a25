"""The golden files: each a text of version 1, with the value that it stands for."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import importlib
import ipaddress
import json
import os
import pathlib
import struct
import time
import types
import uuid
import zoneinfo
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent


def bits(digits: str) -> float:
    """The float of these 64 bits."""
    return float(struct.unpack(">d", bytes.fromhex(digits))[0])


NAMES = {
    **{name: getattr(collections, name) for name in ("OrderedDict", "Counter", "defaultdict")},
    **{name: getattr(datetime, name) for name in ("date", "time", "datetime", "timedelta")},
    **{name: getattr(ipaddress, name) for name in dir(ipaddress) if name.startswith("IPv")},
    **{name: getattr(pathlib, name) for name in dir(pathlib) if name.endswith("Path")},
    "array": array.array,
    "bits": bits,
    "Decimal": decimal.Decimal,
    "deque": collections.deque,
    "Fraction": fractions.Fraction,
    "SafeUUID": uuid.SafeUUID,
    "SimpleNamespace": types.SimpleNamespace,
    "struct_time": time.struct_time,
    "timezone": datetime.timezone,
    "UUID": uuid.UUID,
    "ZoneInfo": zoneinfo.ZoneInfo,
}


@dataclass(frozen=True)
class Golden:
    """One file: its text, and its value as an expression.

    `read_only`: a writer writes this value otherwise. `profiles`: those under which it reads so;
    `system`: where alone it does (`os.name`).
    """

    file: str
    value: str
    read_only: bool = False
    profiles: tuple[str, ...] = ("plain",)
    system: str = os.name

    def __str__(self) -> str:
        return self.file.removesuffix(".json")

    @property
    def text(self) -> bytes:
        return (FOLDER / "golden" / self.file).read_bytes()

    def make(self) -> Any:
        """The value, made anew."""
        return eval(self.value, {**NAMES, **framework_names(self.profiles)})


def framework_names(profiles: tuple[str, ...]) -> dict[str, Any]:
    """The classes of frameworks that expressions use, where the profile is a framework's."""
    if profiles == ("plain",):
        return {}
    names = {"pytz": pytest.importorskip("pytz")}
    names["Markup"] = pytest.importorskip("markupsafe").Markup
    if "flask" in profiles:
        names["MultiDict"] = pytest.importorskip("werkzeug.datastructures").MultiDict
    if "django" in profiles:
        settings = pytest.importorskip("django.conf").settings
        if not settings.configured:  # QueryDict looks at them when it is made
            settings.configure()
        names["SafeString"] = importlib.import_module("django.utils.safestring").SafeString
        names["QueryDict"] = importlib.import_module("django.http").QueryDict
        structures = importlib.import_module("django.utils.datastructures")
        names["MultiValueDict"] = structures.MultiValueDict
    return names


def golden() -> list[Golden]:
    """Every golden file that this system can read."""
    rows = json.loads((FOLDER / "MANIFEST.json").read_text("utf-8"))["golden"]
    found = [Golden(**{**row, "profiles": tuple(row.get("profiles", ["plain"]))}) for row in rows]
    return [each for each in found if each.system == os.name]
