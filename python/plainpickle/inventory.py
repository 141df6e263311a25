"""The inventory: what many payloads hold, counted. Nothing of them is executed or imported."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from plainpickle import _core
from plainpickle.default import default_policy
from plainpickle.events import escaped
from plainpickle.exceptions import ForbiddenGlobal, MalformedPickle, PolicyError, UnpicklingError
from plainpickle.report import inspect

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainpickle.limits import Limits
    from plainpickle.policy import Policy

SCHEMA = 1
"""Version of the JSON form; it grows when a key changes its meaning or goes away."""

# Whoever writes the store chooses the names and keys: so many different ones are told apart.
_TOLD_APART = 10_000
_PLACES = 20
_OTHERS = "(others)"


class Inventory:
    """Counts what the payloads of a store hold, and what a policy would say to each.

    Args:
        policy: the one to judge by; by default that of the process. Classes that it registers are
            not asked to rebuild anything: their instances are read as plain state.
        limits: bounds on each payload; by default ``Limits()``.

    Attributes:
        payloads: how many were added.
        size: their bytes together.
        formats: payloads of each format: ``"pickle"``, ``"json"``, or one of :meth:`add_other`.
        protocols: pickles of each protocol.
        outcomes: payloads that would be ``"read"``; ``"salvaged"``, that is, read without some
            keys; ``"refused"`` as a whole; or are ``"malformed"``.
        unreadable: entries that held no payload, by reason, such as a wrong signature.
        globals: for each name the payloads that hold it.
        refused: for each name the payloads in which the policy does not allow it.
        dropped: for each top-level key the payloads that would lose it.
        reasons: refusals that are about no name, by the ``kind`` of the exception.
        alarms: for each refused name that runs code for whoever calls it, the payloads' places.
    """

    def __init__(self, *, policy: Policy | None = None, limits: Limits | None = None) -> None:
        self.policy = default_policy() if policy is None else policy
        self.limits = limits
        self.payloads = 0
        self.size = 0
        self.formats: Counter[str] = Counter()
        self.protocols: Counter[int] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.unreadable: Counter[str] = Counter()
        self.globals: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.alarms: dict[str, list[str]] = {}
        self._inert = self.policy._as_plain_only()  # noqa: SLF001  # it runs nothing of the app

    def add(self, payload: Any, /, *, place: str = "") -> None:
        """Counts one payload: any bytes-like object, pickle or JSON.

        Args:
            payload: the stored bytes, with signature, encoding and compression taken off.
            place: where it is stored, for an alarm: a path, a row; never a session key itself.
        """
        payload = bytes(payload)
        stored = _core.format_of(payload)
        self._enter(payload, stored)
        if stored == "pickle":
            self._names(payload, place)
        self._judge(payload)

    def add_other(self, payload: Any, /, *, format: str, whole: bool) -> None:
        """Counts one payload of a format that holds plain data only, which no policy judges.

        Args:
            payload: as for :meth:`add`.
            format: its name, such as ``"msgpack"``.
            whole: whether it could be read to its end: if not, it is ``"malformed"``.
        """
        self._enter(bytes(payload), format)
        self.outcomes["read" if whole else "malformed"] += 1

    def add_unreadable(self, reason: str) -> None:
        """Counts an entry that holds no payload: its signature is wrong, it can't be decoded."""
        self.unreadable[reason] += 1

    def _enter(self, payload: bytes, stored: str) -> None:
        self.payloads += 1
        self.size += len(payload)
        self.formats[stored] += 1

    def _names(self, payload: bytes, place: str) -> None:
        report = inspect(payload, policy=self.policy, limits=self.limits)
        self.protocols[report.protocol] += 1
        for use in report.globals:
            name = f"{use.module}.{use.name}"
            _count(self.globals, name)
            if use.allowed:
                continue
            _count(self.refused, name)
            if _core.hands_over_code(name) and (name in self.alarms or len(self.alarms) < 1000):
                places = self.alarms.setdefault(name, [])
                if place and len(places) < _PLACES:
                    places.append(place)

    def _judge(self, payload: bytes) -> None:
        try:
            _, refusals = _core.read_session(payload, self._inert, self.limits, True)
        except UnpicklingError as error:
            self.outcomes["malformed" if isinstance(error, MalformedPickle) else "refused"] += 1
            if not isinstance(error, ForbiddenGlobal):
                self.reasons[error.kind] += 1
            return
        self.outcomes["salvaged" if refusals else "read"] += 1
        for key, refusal in refusals or ():
            if key is not None:
                _count(self.dropped, escaped(key))
            if not isinstance(refusal, ForbiddenGlobal):
                self.reasons[refusal.kind] += 1

    def proposed_policy(self) -> Policy:
        """The policy with ``as_plain`` for each refused name that a policy may admit.

        Names that hand over code stay out, and so does what is refused for another reason. It is
        a draft: look at each name, and strike out those that are not your own.
        """
        policy = self.policy
        for name in sorted(self.refused):
            if name in self.alarms:
                continue
            try:
                policy = policy.as_plain(name)
            except PolicyError:
                continue
        return policy

    def to_dict(self) -> dict[str, Any]:
        """All counts, ready for JSON."""
        return {
            "schema": SCHEMA,
            "policy": repr(self.policy),
            "payloads": self.payloads,
            "bytes": self.size,
            "formats": _ordered(self.formats),
            "protocols": {str(each): self.protocols[each] for each in sorted(self.protocols)},
            "outcomes": _ordered(self.outcomes),
            "unreadable": _ordered(self.unreadable),
            "globals": {
                name: {"payloads": count, "refused": self.refused[name]}
                for name, count in _ordered(self.globals).items()
            },
            "dropped": _ordered(self.dropped),
            "reasons": _ordered(self.reasons),
            "alarms": {
                name: {"payloads": self.refused[name], "places": places}
                for name, places in sorted(self.alarms.items())
            },
        }

    def to_text(self) -> str:
        """The same as lines to read, in ASCII."""
        lines = [f"payloads: {self.payloads} ({self.size} bytes)"]
        lines += _section("formats", _ordered(self.formats))
        lines += _section("pickle protocols", dict(sorted(self.protocols.items())))
        lines += _section("under this policy", _ordered(self.outcomes))
        lines += _section("not readable at all", _ordered(self.unreadable))
        lines += _section("names", _ordered(self.globals), self._status)
        lines += _section("keys that would be dropped", _ordered(self.dropped))
        lines += _section("refused for another reason than a name", _ordered(self.reasons))
        if self.alarms:
            lines.append("ALARM: these names run code for whoever calls them")
        for name, places in sorted(self.alarms.items()):
            lines.append(f"  {self.refused[name]:>8}  {name}")
            lines += [f"            at {escaped(place)}" for place in places]
        return "\n".join(lines)

    def _status(self, name: str) -> str:
        if name in self.alarms:
            return "ALARM"
        if not self.refused[name]:
            return "allowed"
        return "refused" if self.refused[name] == self.globals[name] else "refused in part"


def _count(counter: Counter[str], name: str) -> None:
    counter[name if name in counter or len(counter) < _TOLD_APART else _OTHERS] += 1


def _ordered(counter: Counter[str]) -> dict[str, int]:
    """The most frequent first; equal ones by name."""
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _section(
    title: str, counts: dict[Any, int], status: Callable[[str], str] | None = None
) -> list[str]:
    lines = [f"{title}:"] if counts else []
    for name, count in counts.items():
        lines.append(f"  {count:>8}  {name}" + (f"  {status(name)}" if status else ""))
    return lines
