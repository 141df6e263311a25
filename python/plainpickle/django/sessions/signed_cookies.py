"""Sessions in signed cookies."""

from __future__ import annotations

from typing import Any

import django
from django.contrib.sessions.backends import signed_cookies
from django.core import signing

from plainpickle.django.sessions import LegacySessions

_SALT = "django.contrib.sessions.backends.signed_cookies"
_SHA1_CHARACTERS = 27


class _SignedCookies(signed_cookies.SessionStore):  # type: ignore[misc]
    def load(self) -> Any:
        signature = (self.session_key or "").rpartition(":")[2]
        if django.VERSION < (4, 0) or len(signature) != _SHA1_CHARACTERS:
            return super().load()
        try:
            # Django 4.0 has no fallback keys yet; from 4.1 on the signer tries them by itself.
            return signing.TimestampSigner(salt=_SALT, algorithm="sha1").unsign_object(
                self.session_key,
                serializer=self.serializer,
                max_age=self.get_session_cookie_age(),
            )
        except Exception:  # as Django: whatever it is, the session is empty
            self.create()
            return {}


class SessionStore(LegacySessions, _SignedCookies):
    """Django's, which also reads cookies that Django before 3.1 signed, with SHA-1."""
