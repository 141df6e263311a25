"""The setting ``PLAINPICKLE``: its keys, checked, and what they mean."""

from __future__ import annotations

import difflib
import functools
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from plainpickle import profiles
from plainpickle.exceptions import PolicyError
from plainpickle.limits import Limits
from plainpickle.policy import Policy
from plainpickle.session import FORMATS, ON_FORBIDDEN

SETTING = "PLAINPICKLE"


@dataclass(frozen=True)
class Configuration:
    """What ``PLAINPICKLE`` says; each attribute is a key of it, in capitals.

    Attributes:
        policy: which names may be read; a ``Policy``, the dotted path of one, or the path of a
            policy file. By default profile ``django``.
        limits: bounds on each session and cached value; ``Limits``, or a dict of its fields.
        format: what is written: ``"json"``, or ``"pickle"`` while older processes still read.
        protocol: of the pickles that are written: one that the oldest reader knows.
        on_forbidden: ``"salvage"``, or ``"raise"`` to refuse a session as a whole.
        read_pickle: whether pickles are read at all; false is for when none is left.
        upgrade_auth_hash: whether a login of Django before 3.1 is accepted and renewed.
    """

    policy: Policy
    limits: Limits | None = None
    format: str = "json"
    protocol: int = 2
    on_forbidden: str = "salvage"
    read_pickle: bool = True
    upgrade_auth_hash: bool = False


_KEYS = tuple(field.name.upper() for field in fields(Configuration))


@functools.lru_cache(maxsize=1)
def configuration() -> Configuration:
    """The configuration of the process; read once, and again when a test changes a setting.

    Raises:
        ImproperlyConfigured: an unknown key, or a value that can't be one.
    """
    given = getattr(settings, SETTING, {})
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"{SETTING} must be a dict, not {type(given).__name__}")
    for key in given:
        if key not in _KEYS:
            raise ImproperlyConfigured(f"{SETTING}: {_no_such(str(key), _KEYS)}")
    values: dict[str, Any] = {key.lower(): value for key, value in given.items()}
    values["policy"] = _policy(values.get("policy"))
    values["limits"] = _limits(values.get("limits"))
    _one_of("format", values, FORMATS)
    _one_of("on_forbidden", values, ON_FORBIDDEN)
    protocol = values.setdefault("protocol", 2)
    if type(protocol) is not int or not 0 <= protocol <= pickle.HIGHEST_PROTOCOL:
        raise ImproperlyConfigured(
            f"{SETTING}['PROTOCOL'] must be a number from 0 to {pickle.HIGHEST_PROTOCOL}, "
            f"not {protocol!r}"
        )
    for name in ("read_pickle", "upgrade_auth_hash"):
        if not isinstance(values.get(name, False), bool):
            raise ImproperlyConfigured(
                f"{SETTING}['{name.upper()}'] must be True or False, not {values[name]!r}"
            )
    made = Configuration(**values)
    if made.format == "pickle" and not made.read_pickle:
        raise ImproperlyConfigured(
            f"{SETTING}: with 'FORMAT': 'pickle' and 'READ_PICKLE': False no session that is "
            "written could be read"
        )
    return made


def _changed(*, setting: str, **_: Any) -> None:
    if setting == SETTING:
        configuration.cache_clear()


setting_changed.connect(_changed)


def _policy(given: Any) -> Policy:
    if given is None:
        return profiles.django()
    found = given
    if isinstance(given, (str, os.PathLike)):
        path = os.fspath(given)
        is_file = not isinstance(given, str) or path.endswith(".toml") or os.sep in path
        try:
            found = Policy.from_file(path) if is_file else import_string(path)
        except (ImportError, PolicyError) as error:
            raise ImproperlyConfigured(f"{SETTING}['POLICY']: {error}") from error
    if not isinstance(found, Policy):
        raise ImproperlyConfigured(
            f"{SETTING}['POLICY'] must be a plainpickle.Policy, the dotted path of one, or the "
            f"path of a policy file (.toml), not {given!r}"
        )
    return found


def _limits(given: Any) -> Limits | None:
    if given is None or isinstance(given, Limits):
        return given
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(
            f"{SETTING}['LIMITS'] must be a plainpickle.Limits or a dict of its fields"
        )
    names = tuple(field.name for field in fields(Limits))
    for name in given:
        if name not in names:
            raise ImproperlyConfigured(f"{SETTING}['LIMITS']: {_no_such(str(name), names)}")
    try:
        return Limits(**given)
    except ValueError as error:
        raise ImproperlyConfigured(f"{SETTING}['LIMITS']: {error}") from None


def _one_of(name: str, values: dict[str, Any], allowed: tuple[str, ...]) -> None:
    if name in values and values[name] not in allowed:
        raise ImproperlyConfigured(
            f"{SETTING}['{name.upper()}'] must be one of {', '.join(map(repr, allowed))}, "
            f"not {values[name]!r}"
        )


def _no_such(name: str, names: tuple[str, ...]) -> str:
    by_fold = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), by_fold, n=1)
    hint = f"did you mean {by_fold[close[0]]!r}?" if close else f"there are {', '.join(names)}"
    return f"{name!r} is no key; {hint}"
