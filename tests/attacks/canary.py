"""The canary: shows that a call executed, imported, opened and created nothing."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Python's own classes and checks raise these too, and they have no effect.
HARMLESS = ("array.__new__", "builtins.id", "object.__getattr__", "sys._getframe")
# Looking for a zone that a policy allows reads files below these folders.
ZONE_FOLDERS = ("zoneinfo", "tzdata")

_watching: list[list[str]] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watching and event not in HARMLESS and not event.startswith(("gc.", "cpython.")):
        _watching[-1].append(f"{event} {args[:1]!r:.200}")


sys.addaudithook(_hook)


def _is_zone_read(event: str) -> bool:
    return event.startswith(("open ", "import ", "os.listdir ")) and any(
        folder in event for folder in ZONE_FOLDERS
    )


@contextmanager
def watching(folder: Path, *, reads_zone: bool = False) -> Iterator[None]:
    """Fails if the block raises an audit event, changes sys.modules or leaves a file in `folder`.

    `reads_zone` admits the reading of time zone files, and nothing else.
    """
    modules = dict(sys.modules)
    events: list[str] = []
    _watching.append(events)
    try:
        yield
    finally:
        _watching.remove(events)
    if reads_zone:
        events = [event for event in events if not _is_zone_read(event)]
        modules.update((k, v) for k, v in sys.modules.items() if k.startswith("tzdata"))
    assert not events, f"audit events: {events}"
    assert dict(sys.modules) == modules, f"sys.modules: {set(sys.modules) ^ set(modules)}"
    assert Path.cwd() != folder or not os.listdir(folder), "a file was created"  # noqa: PTH208
