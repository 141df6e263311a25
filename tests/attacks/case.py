"""What an attack case is: its words, its maker, and the outcome that counts as a defence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from collections.abc import Mapping

    import plainpickle

SECRET = "hunter2-Zq8"
"""Text planted in payloads: no error message or report may repeat it."""

Maker = Union[bytes, Callable[[], bytes], Callable[[int], bytes]]
ValueTest = Callable[[Any], bool]


@dataclass(frozen=True)
class Refused:
    """The load must raise one of these `plainpickle` exceptions, by class name."""

    errors: tuple[str, ...]
    name: str | None = None
    limit: str | None = None

    def __str__(self) -> str:
        detail = self.limit and f" ({self.limit})"
        return "refused: " + " or ".join(self.errors) + (detail or "")


@dataclass(frozen=True)
class Gives:
    """The load must return this harmless plain value: equal, and of the same type."""

    value: Any

    def __str__(self) -> str:
        shown = repr(self.value)
        return f"harmless value: `{shown if len(shown) <= 40 else type(self.value).__name__}`"


@dataclass(frozen=True)
class GivesWhere:
    """The load must return a plain value of which a statement is true."""

    statement: str
    test: ValueTest

    def __str__(self) -> str:
        return f"harmless value: {self.statement}"


@dataclass(frozen=True)
class Contained:
    """Either a refusal or a plain value: both are safe, and which one is not pinned here."""

    def __str__(self) -> str:
        return "contained"


Outcome = Union[Refused, Gives, GivesWhere, Contained]

CONTAINED = Contained()
REFUSED = Refused(("UnpicklingError",))
MALFORMED = Refused(("MalformedPickle",))
TRUNCATED = Refused(("TruncatedPickle",))
UNSUPPORTED = Refused(("UnsupportedOpcode",))
FORBIDDEN = Refused(("ForbiddenGlobal",))
TOO_LONG = Refused(("MalformedPickle", "LimitExceeded"))


def forbidden(name: str) -> Refused:
    """A refusal that names the global."""
    return Refused(("ForbiddenGlobal",), name=name)


def over(limit: str | None = None) -> Refused:
    """A refusal by a limit."""
    return Refused(("LimitExceeded",), limit=limit)


@dataclass(frozen=True)
class Case:
    """One hostile pickle and what must come of it.

    `make` takes a size where `large` is set: `small` is used in the test process, `large` in
    confined child processes, where time and memory are measured.
    """

    family: str
    id: str
    attempt: str
    rule: str
    expect: Outcome
    make: Maker
    variant: str = ""
    small: int | None = None
    large: int | None = None
    policy: Callable[[], plainpickle.Policy] | None = None
    reads_zone: bool = False

    @property
    def full_id(self) -> str:
        """The id with its family and variant, unique over all cases."""
        return f"{self.family}/{self.id}" + (f"@{self.variant}" if self.variant else "")

    def payload(self, *, large: bool = False) -> bytes:
        """The hostile bytes."""
        if isinstance(self.make, bytes):
            return self.make
        if self.large is None:
            return self.make()  # type: ignore[call-arg]
        size = self.large if large else self.small
        return self.make(size)  # type: ignore[call-arg, arg-type]

    def outcome(self, *, large: bool = False) -> Outcome:
        """What must come of it. A size attack that is still small may also just load."""
        return self.expect if large or self.large is None else CONTAINED


@dataclass
class Family:
    """Cases that share one idea."""

    name: str
    idea: str
    cases: list[Case] = field(default_factory=list)

    def add(
        self,
        id: str,  # noqa: A002 - the field's own name
        attempt: str,
        rule: str,
        expect: Outcome,
        make: Maker | Mapping[str, Maker],
        sizes: tuple[int, int] | None = None,
        policy: Callable[[], plainpickle.Policy] | None = None,
        *,
        reads_zone: bool = False,
    ) -> None:
        """Adds a case, or one for each variant where `make` is a mapping of variants to makers."""
        small, large = sizes or (None, None)
        makers = make if not (isinstance(make, bytes) or callable(make)) else {"": make}
        for variant, maker in makers.items():
            self.cases.append(
                Case(
                    self.name, id, attempt, rule, expect, maker, variant,
                    small, large, policy, reads_zone,
                )
            )  # fmt: skip
