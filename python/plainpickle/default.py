"""The default policy of the process, for hooks that have no place for an argument."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from plainpickle import _core
from plainpickle.exceptions import PolicyError
from plainpickle.policy import Policy

ENVIRONMENT = "PLAINPICKLE_POLICY"
PROJECT = "pyproject.toml"

_chosen: Policy | None = None


def set_default_policy(policy: Policy, /) -> None:
    """Sets the policy of every call that names none, once for the process.

    Setting an equal policy again changes nothing.

    Raises:
        PolicyError: another one was set, or read from a file, before.
    """
    global _chosen  # noqa: PLW0603  # one for the process is what it is for
    if _chosen is not None and _chosen != policy:
        raise PolicyError(f"the default policy is {_chosen!r} already; it is set once")
    vars(_core)["_default"] = policy._compiled  # noqa: SLF001  # where calls without a policy look
    _chosen = policy


def default_policy() -> Policy:
    """The policy of every call that names none.

    It is what was set; else that of the file that the environment variable ``PLAINPICKLE_POLICY``
    names; else of the one that ``policy`` of ``[tool.plainpickle]`` names, in the current folder's
    ``pyproject.toml``; else profile plain. It is found once, at first use.

    Raises:
        PolicyError: a file that is named can't be read, or says something else than a policy.
    """
    if _chosen is None:
        path = _named_file()
        if path is None:
            return Policy()
        set_default_policy(Policy.from_file(path))
    return _chosen or Policy()


def _named_file() -> Path | None:
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    project = Path(PROJECT)
    if not project.is_file():
        return None
    text = project.read_text(encoding="utf-8")
    if "plainpickle" not in text:
        return None
    try:
        content: dict[str, Any] = json.loads(_core.parse_toml(text))
    except ValueError as error:
        raise PolicyError(f"{project}: {error}") from None
    section = content.get("tool", {}).get("plainpickle", {})
    unknown = set(section) - {"policy"}
    if unknown or not isinstance(section.get("policy", ""), str):
        raise PolicyError(f'{project}: [tool.plainpickle] has one key: policy = "FILE"')
    return project.parent / section["policy"] if section.get("policy") else None
