"""The site that the tests visit: its settings, and one view that shows and changes the session."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.db.backends.signals import connection_created
from django.http import HttpRequest, JsonResponse
from django.urls import path

FOLDER = Path(tempfile.mkdtemp(prefix="plainpickle-django-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
SESSIONS, CACHE_FILES = FOLDER / "sessions", FOLDER / "cache"


def set_up() -> None:
    """Configures Django for this process; whoever was first keeps nothing that matters here."""
    for folder in (SESSIONS, CACHE_FILES):
        folder.mkdir(exist_ok=True)
    settings.configure(
        SECRET_KEY="a key of the tests, and of nothing else",
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(FOLDER / "db.sqlite3")}
        },
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "plainpickle.django",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        USE_TZ=True,
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # quick
        LOGGING_CONFIG=None,
        SESSION_FILE_PATH=str(SESSIONS),
        SESSION_SERIALIZER="plainpickle.django.SessionSerializer",
        SESSION_ENGINE="plainpickle.django.sessions.db",
    )
    django.setup()
    connection_created.connect(_without_waiting)


def _without_waiting(connection: Any, **_: Any) -> None:
    """Nothing here has to survive a power failure."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous = OFF")


def visit(request: HttpRequest) -> JsonResponse:
    """Says who is there and what the session holds, and counts the visits in it."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    held = {key: str(value) for key, value in request.session.items() if key[0] != "_"}
    return JsonResponse({"user": request.user.get_username(), **held})


def enter(request: HttpRequest) -> JsonResponse:
    """Logs the one user in, and puts something into the cart."""
    login(request, get_user_model().objects.get(username="anna"))
    request.session["cart"] = "three apples"
    return JsonResponse({})


urlpatterns: list[Any] = [path("", visit), path("enter/", enter)]
