"""`Plainpickle`, the one line of an app; and a new session id at login."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

from flask import current_app, session
from flask.sessions import SecureCookieSessionInterface

from plainpickle.flask.hook import ConfigurationError, Options
from plainpickle.flask.hooks import hooks, is_flask_session, own_copy, take_over
from plainpickle.flask.serializers import Serializer
from plainpickle.policy import Policy

if TYPE_CHECKING:
    from flask import Flask

    from plainpickle.limits import Limits

FORMATS = (None, "json", "pickle")


class Plainpickle:
    """Makes the sessions and caches of an app safe: after its own set-up, ``Plainpickle(app)``.

    It finds the session interface and the caches of Flask-Caching, and puts itself into the places
    that unpickle. What can't be read is an empty session under a new id, or a miss; one event tells
    of each, and no request fails.

    Args:
        app: the app; or later by ``init_app(app)``.
        policy: which names may be read, or the path of a policy file; by default
            ``profiles.flask()``.
        limits: bounds on each session; by default ``Limits()``.
        format: what sessions are written as: ``"json"``, or ``"pickle"`` while older processes
            still read. By default Flask-Session 0.7 and later keeps its own format, and the others
            write JSON.
        protocol: of pickles that are written: one that the oldest reader knows.
        on_forbidden: ``"salvage"`` drops the keys that hold something refused, ``"raise"`` the
            session.
        sessions: false leaves the session interface alone, and takes care of the caches only.

    Raises:
        ConfigurationError: something may unpickle in a way that is not known; it says what to do.
        PolicyError: the policy file can't be read.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        policy: Policy | str | os.PathLike[str] | None = None,
        limits: Limits | None = None,
        format: str | None = None,
        protocol: int = 2,
        on_forbidden: str = "salvage",
        sessions: bool = True,
    ) -> None:
        if format not in FORMATS:
            raise ValueError(f"format must be None, 'json' or 'pickle', not {format!r}")
        if isinstance(policy, (str, os.PathLike)):
            policy = Policy.from_file(policy)
        elif policy is None:
            from plainpickle import profiles  # noqa: PLC0415  # it looks for the framework's classes

            policy = profiles.flask()
        self._options = Options(policy, limits, format, protocol, on_forbidden)
        Serializer(**self._options.of_sessions(""))  # what makes no sense is an error here
        self.policy, self.keeps_sessions = policy, sessions
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Makes one app safe; call it after the app's own set-up, such as ``Session(app)``.

        Raises:
            ConfigurationError: as for the class.
        """
        found = list(hooks(app, sessions=self.keeps_sessions))
        unknown = [hook.advice for hook in found if hook.reads == "unknown"]
        if self.keeps_sessions and _flask_session_comes_later(app):
            unknown.append("SESSION_TYPE is set: call Session(app) first, Plainpickle(app) last")
        if unknown:
            raise ConfigurationError("; ".join(unknown))
        for hook in found:
            if hook.replace is not None:
                hook.replace(self._options)
        app.extensions["plainpickle"] = self
        if self.keeps_sessions:
            ours = {hook.reads for hook in found if hook.of_sessions} & {"pickle", "ours"}
            _keep(app, ours=bool(ours))


def _keep(app: Any, *, ours: bool) -> None:
    """Takes an interface over that reads by us now, and sees to it that it stays the app's."""
    interface = app.session_interface
    if ours and not isinstance(interface, SecureCookieSessionInterface):
        interface = own_copy(app)
        take_over(interface)

    def still_there() -> None:  # without a reference to the app, which refers to it
        if current_app.session_interface is not interface:
            raise ConfigurationError(
                "app.session_interface was replaced after Plainpickle(app): call that last"
            )

    app.before_request(still_there)


def _flask_session_comes_later(app: Any) -> bool:
    kind = app.config.get("SESSION_TYPE") or "null"
    return kind != "null" and not is_flask_session(app.session_interface)


def regenerate(*_: Any, **__: Any) -> None:
    """Gives the current session a new id, and deletes what is stored under the old one.

    Call it at login, so that an id which somebody else knows is worth nothing: in the view, or with
    Flask-Login by ``flask_login.user_logged_in.connect(plainpickle.flask.regenerate)``. A signed
    cookie has no id; nothing happens then.
    """
    app: Any = current_app
    interface: Any = app.session_interface
    current: Any = session._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    if hasattr(interface, "regenerate"):  # Flask-Session 0.7 and later
        interface.regenerate(current)
    elif hasattr(current, "regenerate"):  # Flask-KVSession
        current.regenerate()
    elif hasattr(current, "sid"):
        old = type(current)(sid=current.sid)
        old.modified = True
        interface.save_session(app, old, app.response_class())  # empty and modified: it is deleted
        current.sid = secrets.token_urlsafe(32)
        current.modified = True
