"""Session engines for ``SESSION_ENGINE``: Django's own, which also read what old Django wrote."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from typing import Any

from django.conf import settings
from django.contrib import auth
from django.core.exceptions import ValidationError
from django.utils.crypto import constant_time_compare
from django.utils.encoding import force_bytes

from plainpickle.django.configuration import configuration
from plainpickle.django.serializer import reading

_logger = logging.getLogger("django.security.SuspiciousSession")

_AUTH_SALT = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
_SHA1_DIGITS = 40


class LegacySessions:
    """A mixin, in front of a session store, that reads what Django before 3.1 wrote.

    Rows and files of that form are read once their signature is verified, with ``SECRET_KEY`` or
    one of ``SECRET_KEY_FALLBACKS``; the next save writes them in today's form. With
    ``UPGRADE_AUTH_HASH`` the login in them is renewed too, which Django 4.0 and later take for
    another password's otherwise. Events and caches are told which session is being read.

    The signature depends on the name of the class, as in Django: a store that is named
    ``SessionStore`` reads what Django's own wrote.
    """

    session_key: str | None
    modified: bool
    serializer: Any

    def load(self) -> dict[str, Any]:
        """Loads the session, its login renewed where that is due and wanted."""
        with reading(self._store(), self.session_key):
            session: dict[str, Any] = super().load()  # type: ignore[misc]
        if configuration().upgrade_auth_hash and _has_old_login(session):
            self.modified = _renew_login(session) or self.modified
        return session

    async def aload(self) -> dict[str, Any]:
        """As :meth:`load`."""
        from asgiref.sync import sync_to_async  # Django 2.2 comes without it

        session: dict[str, Any] = await sync_to_async(self.load)()
        return session

    def save(self, must_create: bool = False) -> Any:
        """Saves the session."""
        with reading(self._store(), self.session_key, by="save"):
            return super().save(must_create=must_create)  # type: ignore[misc]

    async def asave(self, must_create: bool = False) -> Any:
        """As :meth:`save`."""
        with reading(self._store(), self.session_key, by="save"):
            return await super().asave(must_create=must_create)  # type: ignore[misc]

    def decode(self, session_data: str) -> dict[str, Any]:
        """Reads a row or file of either form; one without a valid signature is an empty session."""
        try:
            # The signing form always has a colon, base64 never. Django before 3.1, which knows
            # base64 only, raises for the other, where a session should be empty.
            if ":" in session_data:
                session: dict[str, Any] = super().decode(session_data)  # type: ignore[misc]
            else:
                session = self.serializer().loads(verified(session_data, type(self)))
        except Exception:  # as Django: whatever it is, the session is empty
            _logger.warning("Session data corrupted")
            return {}
        return session

    def _store(self) -> str:
        return f"django.{type(self).__module__.rpartition('.')[2]}"


def verified(session_data: str, store: type) -> bytes:
    """The payload of a row of the old form: base64 of its HMAC in hexadecimal, ``:``, and it.

    Raises:
        ValueError: it is no base64, holds no ``:``, or its signature is wrong.
    """
    given, colon, payload = base64.b64decode(session_data.encode("ascii")).partition(b":")
    salt = f"django.contrib.sessions{store.__name__}"
    if not colon or not any(
        constant_time_compare(given, _sha1_hmac(salt, payload, key)) for key in _secret_keys()
    ):
        raise ValueError("no valid signature")
    return payload


def _secret_keys() -> list[Any]:
    return [settings.SECRET_KEY, *getattr(settings, "SECRET_KEY_FALLBACKS", ())]


def _sha1_hmac(salt: str, value: Any, secret: Any) -> str:
    """The signature that Django before 3.1 made, in hexadecimal."""
    key = hashlib.sha1(salt.encode() + force_bytes(secret)).digest()  # noqa: S324  # as it was made
    return hmac.new(key, force_bytes(value), hashlib.sha1).hexdigest()


def _has_old_login(session: Any) -> bool:
    found = session.get(auth.HASH_SESSION_KEY) if isinstance(session, dict) else None
    return isinstance(found, str) and len(found) == _SHA1_DIGITS


def _renew_login(session: dict[str, Any]) -> bool:
    """Gives a session today's hash of its user's password, if it has the right one of old Django.

    It is what Django 3.1 and 3.2 accept, and no more: the user exists, the backend is in use, and
    the hash is that of the password that the user has now. A user model that makes a hash of its
    own is left alone: what it puts into it is not known.
    """
    from django.contrib.auth.base_user import AbstractBaseUser  # wants loaded apps

    backend = session.get(auth.BACKEND_SESSION_KEY)
    if backend not in settings.AUTHENTICATION_BACKENDS:
        return False
    try:
        pk = auth.get_user_model()._meta.pk.to_python(session.get(auth.SESSION_KEY))  # noqa: SLF001  # as Django does
    except ValidationError:
        return False
    user = auth.load_backend(backend).get_user(pk)
    if getattr(type(user), "get_session_auth_hash", None) is not (
        AbstractBaseUser.get_session_auth_hash
    ):
        return False
    today = user.get_session_auth_hash()
    given = session[auth.HASH_SESSION_KEY]
    if len(today) == _SHA1_DIGITS or not any(
        constant_time_compare(given, _sha1_hmac(_AUTH_SALT, user.password, key))
        for key in _secret_keys()
    ):
        return False
    session[auth.HASH_SESSION_KEY] = today
    return True
