"""Settings of Django's own suite: those of the project's example, and what is to be in place."""

from __future__ import annotations

import json
import os

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3"},
    "other": {"ENGINE": "django.db.backends.sqlite3"},
}
SECRET_KEY = "not real"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "tests.upstream.django_runner.Runner"

globals().update(json.loads(os.environ["IN_PLACE"]).get("settings", {}))
