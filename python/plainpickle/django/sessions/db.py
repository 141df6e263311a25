"""Sessions in the database."""

from __future__ import annotations

from django.contrib.sessions.backends import db

from plainpickle.django.sessions import LegacySessions


class SessionStore(LegacySessions, db.SessionStore):  # type: ignore[misc]
    """Django's, which also reads what Django before 3.1 wrote."""
