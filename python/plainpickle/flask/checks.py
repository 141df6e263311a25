"""What is wrong in an app as it is configured, and the line that sets it right."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Callable

from flask.sessions import SecureCookieSessionInterface

from plainpickle.flask.extension import regenerate
from plainpickle.flask.hooks import hooks

if TYPE_CHECKING:
    from collections.abc import Iterator

# OWASP and NIST SP 800-63B ask for 64 random bits in a session id; all give twice that by now.
_KEY_BYTES, _ID_BYTES, _ID_BITS = 16, 16, 128
_LONGEST = timedelta(days=14)  # what Django takes for long enough
_TELLTALE = ("secret", "changeme", "change-me", "change_me", "password", "your-", "your_")
_LINE = "plainpickle.flask.Plainpickle(app)  # after Session(app) and Cache(app)"
_NEW_KEY = 'python -c "import secrets; print(secrets.token_hex(32))"'


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: a stable id, what it is, and the line to write."""

    id: str
    message: str
    line: str

    def to_dict(self) -> dict[str, str]:
        """It, ready for JSON."""
        return asdict(self)


def findings(app: Any) -> list[Finding]:
    """Everything that is wrong in the app, the worst first. Nothing is changed, no store asked."""
    return [finding for check in CHECKS for finding in check(app)]


def _readers(app: Any) -> Iterator[Finding]:
    kept = getattr(app.extensions.get("plainpickle"), "keeps_sessions", True)
    for hook in hooks(app, sessions=kept):
        kind = "session" if hook.of_sessions else "cache"
        if hook.reads == "pickle":
            message = f"{hook.where} unpickles: whoever writes there runs code in this server"
            yield Finding(f"{kind}-pickle", message, _LINE)
        elif hook.reads == "unknown":
            yield Finding(f"{kind}-unknown", hook.advice, _LINE)


def _secret_key(app: Any) -> Iterator[Finding]:
    key = app.secret_key
    line = f'app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]  # made by: {_NEW_KEY}'
    if not key:
        if isinstance(app.session_interface, SecureCookieSessionInterface):
            yield Finding("secret-key", "SECRET_KEY is not set: there are no sessions", line)
        return
    raw = key.encode("utf-8", "replace") if isinstance(key, str) else key
    guessable = any(each.encode() in raw.lower() for each in _TELLTALE)
    if len(raw) < _KEY_BYTES or len(set(raw)) < 8 or guessable:
        message = "SECRET_KEY can be guessed: whoever does writes sessions and signs cookies"
        yield Finding("secret-key", message, line)
    if app.config.get("SECRET_KEY_FALLBACKS"):
        message = "SECRET_KEY_FALLBACKS: cookies signed with old keys are still taken"
        line = 'app.config["SECRET_KEY_FALLBACKS"] = None  # one session lifetime after the change'
        yield Finding("secret-key-fallbacks", message, line)


def _cookie(app: Any) -> Iterator[Finding]:
    config = app.config
    if not config["SESSION_COOKIE_SECURE"]:
        message = "the session cookie is sent without TLS, too: who listens is logged in"
        yield Finding("cookie-secure", message, 'app.config["SESSION_COOKIE_SECURE"] = True')
    if not config["SESSION_COOKIE_HTTPONLY"]:
        message = "scripts can read the session cookie: one injected script takes the login"
        yield Finding("cookie-httponly", message, 'app.config["SESSION_COOKIE_HTTPONLY"] = True')
    if config["SESSION_COOKIE_SAMESITE"] not in {"Lax", "Strict"}:
        message = "the session cookie goes along with requests that other sites make"
        yield Finding("cookie-samesite", message, 'app.config["SESSION_COOKIE_SAMESITE"] = "Lax"')


def _lifetime(app: Any) -> Iterator[Finding]:
    lifetime = app.permanent_session_lifetime
    if lifetime > _LONGEST:
        message = f"a session that nobody uses lives for {lifetime.days} days"
        line = 'app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(hours=12)'
        yield Finding("lifetime", message, line)


def _session_id(app: Any) -> Iterator[Finding]:
    length = getattr(app.session_interface, "sid_length", _ID_BYTES)  # Flask-Session 0.6 and later
    if length < _ID_BYTES:
        message = f"a session id has {length} random bytes, and can be guessed"
        yield Finding("session-id", message, 'app.config["SESSION_ID_LENGTH"] = 32')
    bits = app.config.get("SESSION_KEY_BITS", _ID_BITS)  # Flask-KVSession
    if bits < _ID_BITS:
        message = f"a session id has {bits} random bits"
        yield Finding("session-id", message, f'app.config["SESSION_KEY_BITS"] = {_ID_BITS}')


def _login(app: Any) -> Iterator[Finding]:
    if not hasattr(app, "login_manager") or isinstance(
        app.session_interface, SecureCookieSessionInterface
    ):
        return
    import flask_login  # noqa: PLC0415  # where the app has it

    signal: Any = flask_login.user_logged_in
    if regenerate not in list(signal.receivers_for(app)):
        message = (
            "the session id stays the same at login, unless a view changes it: who planted it in a "
            "browser before is logged in, too"
        )
        line = "flask_login.user_logged_in.connect(plainpickle.flask.regenerate, app)"
        yield Finding("login-id", message, line)


def _folder(app: Any) -> Iterator[Finding]:
    folder = getattr(getattr(app.session_interface, "cache", None), "_path", None)
    if folder is None or os.name != "posix":
        return
    try:
        mode = os.stat(folder).st_mode  # noqa: PTH116  # cachelib has it as text
    except OSError:
        return
    if mode & 0o022:
        message = f"{folder}: other users of this machine can write sessions there"
        yield Finding("folder-mode", message, f"chmod 700 {folder}")


CHECKS: tuple[Callable[[Any], Iterator[Finding]], ...] = (
    _readers,
    _secret_key,
    _session_id,
    _login,
    _folder,
    _cookie,
    _lifetime,
)
