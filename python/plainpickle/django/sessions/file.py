"""Sessions in files."""

from __future__ import annotations

from django.contrib.sessions.backends import file

from plainpickle.django.sessions import LegacySessions


class SessionStore(LegacySessions, file.SessionStore):  # type: ignore[misc]
    """Django's, which also reads what Django before 3.1 wrote."""
