"""Django: the session serializer; and an app with checks and commands, for ``INSTALLED_APPS``."""

from __future__ import annotations

import django

from plainpickle.django.serializer import RefusedSession, SessionSerializer

__all__ = ["RefusedSession", "SessionSerializer"]

if django.VERSION < (3, 2):  # newer ones find it, and warn of this line
    default_app_config = "plainpickle.django.apps.PlainpickleConfig"
