"""The default policy of the process, for hooks that have no place for an argument."""

from __future__ import annotations

import os

from plainpickle import _core
from plainpickle.exceptions import PolicyError
from plainpickle.policy import Policy

TYPE_CHECKING = False  # every first load comes here: without typing, json and pathlib
if TYPE_CHECKING:
    from typing import Any

ENVIRONMENT = "PLAINPICKLE_POLICY"
PROJECT = "pyproject.toml"

_chosen: Policy | None = None


def set_default_policy(policy: Policy, /) -> None:
    """Sets the policy of every call that names none, once for the process.

    Setting an equal policy again changes nothing.

    Raises:
        PolicyError: another one was set, or was found at first use, before.
    """
    global _chosen  # noqa: PLW0603  # one for the process is what it is for
    if not isinstance(policy, Policy):
        raise TypeError(f"policy must be a plainpickle.Policy, not {type(policy).__name__}")
    if _chosen is not None and _chosen != policy:
        raise PolicyError(f"the default policy is {_chosen!r} already: it is set once, before use")
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
        set_default_policy(Policy() if path is None else Policy.from_file(path))
    return _chosen or Policy()


def _named_file() -> str | None:
    named = os.environ.get(ENVIRONMENT)
    if named:
        return named
    project = PROJECT
    if not os.path.isfile(project):
        return None
    with open(project, "rb") as file:
        raw = file.read()
    if b"plainpickle" not in raw:
        return None  # whatever it is, it is not ours
    import json

    try:
        content: dict[str, Any] = json.loads(_core.parse_toml(raw.decode("utf-8")))
    except ValueError as error:
        raise PolicyError(f"{project}: {error}") from None
    tool = content.get("tool")
    if not isinstance(tool, dict) or "plainpickle" not in tool:
        return None
    section = tool["plainpickle"]
    named = section.get("policy") if isinstance(section, dict) and len(section) == 1 else None
    if not isinstance(named, str) or not named:
        raise PolicyError(f'{project}: [tool.plainpickle] has one key: policy = "FILE"')
    return named
