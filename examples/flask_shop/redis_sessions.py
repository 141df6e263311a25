"""Sessions in Redis, as Flask's snippet 75 had them in 2012, and many sites since; unchanged."""

import pickle
from datetime import timedelta
from typing import Any
from uuid import uuid4

from flask.sessions import SessionInterface, SessionMixin
from werkzeug.datastructures import CallbackDict


class RedisSession(CallbackDict, SessionMixin):  # type: ignore[type-arg]
    def __init__(self, initial: Any = None, sid: Any = None, new: bool = False) -> None:
        def on_update(self: Any) -> None:
            self.modified = True

        CallbackDict.__init__(self, initial, on_update)
        self.sid = sid
        self.new = new
        self.modified = False


class RedisSessionInterface(SessionInterface):
    serializer = pickle
    session_class = RedisSession

    def __init__(self, redis: Any, prefix: str = "session:") -> None:
        self.redis = redis
        self.prefix = prefix

    def generate_sid(self) -> str:
        return str(uuid4())

    def get_redis_expiration_time(self, app: Any, session: Any) -> timedelta:
        if session.permanent:
            return app.permanent_session_lifetime  # type: ignore[no-any-return]
        return timedelta(days=1)

    def open_session(self, app: Any, request: Any) -> Any:
        sid = request.cookies.get(app.config["SESSION_COOKIE_NAME"])
        if not sid:
            sid = self.generate_sid()
            return self.session_class(sid=sid, new=True)
        val = self.redis.get(self.prefix + sid)
        if val is not None:
            data = self.serializer.loads(val)
            return self.session_class(data, sid=sid)
        return self.session_class(sid=sid, new=True)

    def save_session(self, app: Any, session: Any, response: Any) -> None:
        domain = self.get_cookie_domain(app)
        name = app.config["SESSION_COOKIE_NAME"]
        if not session:
            self.redis.delete(self.prefix + session.sid)
            if session.modified:
                response.delete_cookie(name, domain=domain)
            return
        redis_exp = self.get_redis_expiration_time(app, session)
        cookie_exp = self.get_expiration_time(app, session)
        val = self.serializer.dumps(dict(session))
        self.redis.setex(self.prefix + session.sid, int(redis_exp.total_seconds()), val)
        response.set_cookie(name, session.sid, expires=cookie_exp, httponly=True, domain=domain)
