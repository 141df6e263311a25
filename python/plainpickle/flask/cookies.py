"""Signed cookies: Flask's own, those whose payload is a pickle, and Flask's before 0.10."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadData, BadSignature, SignatureExpired

from plainpickle import _core, events
from plainpickle.exceptions import MalformedPickle, UnpicklingError
from plainpickle.flask.opening import noting, report
from plainpickle.flask.serializers import Serializer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plainpickle.limits import Limits
    from plainpickle.policy import Policy

STORE = "cookie"


class SessionInterface(SecureCookieSessionInterface):
    """Flask's own interface, which reads old cookies too: ``app.session_interface = ...``.

    The signature is verified before anything is decoded. A cookie that is forged or refused gives
    an empty session and one event; one that is too old an empty session. The arguments are those of
    :class:`plainpickle.session.SessionSerializer`; the default policy is ``profiles.flask()``.
    What is written is JSON: stock Flask reads what is plain, tuples, bytes, Markup and UUIDs.
    """

    serializer: Any

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        format: str = "json",
        protocol: int = 2,
        on_forbidden: str = "salvage",
    ) -> None:
        super().__init__()
        if policy is None:
            from plainpickle import profiles  # noqa: PLC0415  # it looks for the framework's classes

            policy = profiles.flask()
        self.serializer = Serializer(
            policy=policy,
            limits=limits,
            format=format,
            protocol=protocol,
            on_forbidden=on_forbidden,
            store=STORE,
        )

    def get_signing_serializer(self, app: Any) -> Any:
        """Signs and verifies as the app does; reads bytes, and writes text as a cookie needs it."""
        signing: Any = super().get_signing_serializer(app)
        if signing is not None:
            signing.serializer, signing.is_text_serializer = self.serializer, False
            signed = signing.dumps
            signing.dumps = lambda *args, **options: signed(*args, **options).decode("ascii")
        return signing

    def open_session(self, app: Any, request: Any) -> Any:
        """The session in the cookie; an empty one where there is none that can be read."""
        signing = self.get_signing_serializer(app)
        if signing is None:
            return None
        cookie = request.cookies.get(app.config["SESSION_COOKIE_NAME"])
        if hasattr(self, "get_cookie_name"):  # Flask 2 and later
            cookie = request.cookies.get(self.get_cookie_name(app))
        if not cookie:
            return self.session_class()
        with events.context(store=STORE, session_key=cookie), noting(dicts_only=True):
            found = self._of_werkzeug(app, cookie) if "?" in cookie else _of(signing, app, cookie)
        return self.session_class(found or {})

    def _of_werkzeug(self, app: Any, cookie: str) -> dict[str, Any] | None:
        """Werkzeug's SecureCookie: base64(HMAC) ? key=base64(pickle) & ..."""
        raw = cookie.encode("utf-8", "surrogatepass")
        signature, _, content = raw.partition(b"?")
        items = content.split(b"&") if content else []
        if not any(_is_signed(key, items, signature) for key in _secret_keys(app)):
            report("not signed by us", raw, kind="bad_signature", format="cookie", store=STORE)
            return None
        session: dict[str, Any] = {}
        for item in items:
            quoted, _, value = item.partition(b"=")
            key = unquote_to_bytes(quoted.replace(b"+", b" ")).decode("utf-8", "replace")
            try:
                session[key] = self._value_of(value)
            except UnpicklingError as error:
                whole = self.serializer.on_forbidden == "raise"
                refusal = (None if whole else key, error)
                action = "refused" if whole else "dropped"
                events.report([refusal], value, action=action, store=STORE)
                if whole:
                    return None
        expires = session.pop("_expires", None)
        if isinstance(expires, (int, float)) and time.time() > expires:
            return None
        return session

    def _value_of(self, encoded: bytes) -> Any:
        try:
            stored = base64.b64decode(encoded)
        except binascii.Error:
            raise MalformedPickle("no base64", kind="base64") from None
        read: Any = self.serializer
        return _core.read_session(stored, read.policy, read.limits, False)[0]


def _of(signing: Any, app: Any, cookie: str) -> Any:
    """A cookie of itsdangerous."""
    max_age = int(app.permanent_session_lifetime.total_seconds())
    try:
        return signing.loads(cookie, max_age=max_age)
    except SignatureExpired:
        return None
    except BadData as error:
        reason = getattr(error, "original_error", None)
        if isinstance(reason, MemoryError):
            raise reason from None
        if not isinstance(reason, UnpicklingError):  # which is reported already
            forged = isinstance(error, BadSignature)
            what, kind = ("not signed by us", "bad_signature") if forged else ("damaged", "payload")
            report(what, cookie.encode("utf-8", "surrogatepass"), kind=kind, format="cookie")
        return None


def _secret_keys(app: Any) -> Iterator[bytes]:
    for key in (app.secret_key, *(app.config.get("SECRET_KEY_FALLBACKS") or ())):
        yield key.encode("utf-8", "replace") if isinstance(key, str) else key


def _is_signed(key: bytes, items: list[bytes], signature: bytes) -> bool:
    """Whether Werkzeug signed these items with this key."""
    mac = hmac.new(key, digestmod=hashlib.sha1)
    for item in items:
        mac.update(b"|" + item)
    return hmac.compare_digest(base64.b64encode(mac.digest()), signature)
