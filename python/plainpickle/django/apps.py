"""The app for ``INSTALLED_APPS``: it registers the system checks."""

from __future__ import annotations

from django.apps import AppConfig


class PlainpickleConfig(AppConfig):  # type: ignore[misc]
    """System checks and the command ``plainpickle``."""

    name = "plainpickle.django"
    label = "plainpickle"
    verbose_name = "plainpickle"

    def ready(self) -> None:
        """Registers the checks."""
        from plainpickle.django.checks import register

        register()
