"""cachelib's UWSGICache, run inside uWSGI by test_cachelib with a folder for the canary."""

from __future__ import annotations

import sys
from pathlib import Path

import cachelib

import plainpickle
from tests.libraries.canary import SESSION, Canary, assert_session

canary = Canary(Path(sys.argv[1]))
cache = cachelib.UWSGICache(cache="cache")
cache.set("session", SESSION)
with plainpickle.install("cachelib.serializers"):
    assert_session(cache.get("session"))
    cache.set("session", SESSION)
assert_session(cache.get("session"))
cache.set("session", canary)
with plainpickle.install("cachelib.serializers"):
    assert cache.get("session") is None
assert not canary.sang()
cache.get("session")
assert canary.sang()
print("as it should be")
