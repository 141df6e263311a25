"""The versions of Django that tests start processes of, and which Python runs each."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest

# The first Python that a version runs on.
VERSIONS = {"4.2.30": (3, 8), "5.2.19": (3, 10), "6.1.3": (3, 12)}
*_, NEWEST = VERSIONS
NEWER = Path(f"{sys.prefix}-newer", "bin", "python")


@functools.cache
def python_for(version: str) -> str:
    """A Python with plainpickle that this Django runs on."""
    if sys.version_info < (3, 10) <= VERSIONS[version]:
        pytest.skip(f"Python 3.9 has no setuptools that the source of Django {version} could use")
    if sys.version_info >= VERSIONS[version]:
        return sys.executable
    if not NEWER.exists():
        pytest.skip(f"Django {version} wants a newer Python, and `make test` found none")
    return str(NEWER)
