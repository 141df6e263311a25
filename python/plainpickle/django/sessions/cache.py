"""Sessions in a cache: use one of `plainpickle.django.caches`."""

from __future__ import annotations

from django.contrib.sessions.backends import cache

from plainpickle.django.sessions import LegacySessions


class SessionStore(LegacySessions, cache.SessionStore):  # type: ignore[misc]
    """Django's, which also reads what Django before 3.1 wrote."""
