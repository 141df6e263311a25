"""The same settings, with one changed line."""

from examples.django_shop.settings import *  # noqa: F403

SESSION_SERIALIZER = "plainpickle.django.SessionSerializer"
