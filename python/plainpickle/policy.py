"""The policy: which names a pickle may select, and what each becomes."""

from __future__ import annotations

from types import FunctionType

from plainpickle._core import CompiledPolicy, parse_toml, refusal
from plainpickle.exceptions import PolicyError

TYPE_CHECKING = False  # every first load comes here: what only files need is imported there
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from typing import Any

PROFILES = ("plain", "django", "flask")

# The keys of a policy file: what each must be.
_KINDS: dict[str, tuple[type, str]] = {
    "profile": (str, "a text"),
    "as_plain": (list, "a list"),
    "stub": (bool, "true or false"),
    "register": (dict, "a table"),
}


class Policy:
    """An immutable set of exact names; ``Policy()`` is profile ``plain``.

    Each method returns a new policy with one more rule. No rule lets the bytes choose code: a name
    only ever selects an entry that was resolved when the policy was made. Policies of equal rules
    are equal.
    """

    __slots__ = (
        "_compiled_policy",
        "_native",
        "_plain",
        "_profile",
        "_registered",
        "_stub",
        "_written",
    )

    def __init__(self) -> None:
        self._profile = "plain"
        self._plain: frozenset[str] = frozenset()
        self._registered: tuple[tuple[str, Any], ...] = ()
        self._native: tuple[tuple[str, Callable[..., Any]], ...] = ()
        self._written: Callable[[Any], tuple[Any, ...] | None] | None = None
        self._stub = False
        self._compiled_policy: CompiledPolicy | None = None

    def as_plain(self, *names: str) -> Policy:
        """Admits classes by full name, as plain data; they are never imported.

        An object becomes the dict of its state (slots merged); list, dict, str and int subclasses
        the list, dict, str or int, without their attributes; an Enum member its value; a namedtuple
        a tuple. Where the bytes can't tell: a set subclass is a list, a namedtuple of one field
        that field, an exception with attributes their dict.

        Raises:
            PolicyError: a wildcard, a prefix, or a name whose module hands over code.
        """
        for name in names:
            _check_name(name)
        return self._with(plain=self._plain.union(names))

    def register(self, name: Any, *, build: Callable[..., Any] | None = None) -> Policy:
        """Admits a class that the app hands over, and rebuilds its instances as pickle does.

        ``register(Cart)`` admits the class under its own name; ``register("old.shop.Cart",
        build=Cart)`` under another one, with a class, or with a function that is called with the
        pickled arguments. State is then applied as pickle does it. Their code is trusted.

        Raises:
            PolicyError: an object that runs what it is given, or a name as in :meth:`as_plain`.
        """
        if isinstance(name, str):
            if build is None:
                raise PolicyError(f"register({name!r}) needs build=: a class or function of yours")
            target: Any = build
        else:
            if build is not None:
                raise PolicyError("register(cls) takes no build=: give the old name as text")
            target = name
            name = f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', '')}"
        if not isinstance(target, (type, FunctionType)):
            own = getattr(target, "__qualname__", type(target).__qualname__)
            raise PolicyError(f"{name}: {own} is neither a class nor a function written in Python")
        own = f"{target.__module__}.{target.__name__}"
        if target.__name__.isidentifier() and refusal(own) is not None:
            raise PolicyError(f"{name}: {own}: {refusal(own)}")
        _check_name(name)
        return self._with(registered=(*self._registered, (name, target)))

    def stub(self) -> Policy:
        """Makes an inert :class:`plainpickle.Stub` of every name that is not known."""
        return self._with(stub=True)

    @property
    def registered(self) -> Mapping[str, Any]:
        """What :meth:`register` admitted, by pickled name."""
        return dict(self._registered)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], /) -> Policy:
        """The policy that a TOML file describes.

        Its keys, each optional: ``profile`` (``"plain"``, ``"django"`` or ``"flask"``),
        ``as_plain`` (a list of full names), ``stub`` (true or false), and the table ``register``,
        in which a pickled name has ``"module:object"``: a class or function, imported now.

        Raises:
            PolicyError: the file can't be read, or one of its lines is no rule; it says which.
        """
        import json
        from pathlib import Path

        try:
            content = json.loads(parse_toml(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise PolicyError(f"{path}: {error}") from None
        try:
            return _policy_of(content)
        except PolicyError as error:
            raise PolicyError(f"{path}: {error}") from error.__cause__

    def to_toml(self) -> str:
        """The policy as a file for :meth:`from_file`.

        Raises:
            PolicyError: something registered is not found under a name of its own.
        """
        lines = [f"profile = {_quoted(self._profile)}"]
        if self._plain:
            names = "".join(f"  {_quoted(name)},\n" for name in sorted(self._plain))
            lines.append(f"as_plain = [\n{names}]")
        if self._stub:
            lines.append("stub = true")
        if self._registered:
            lines.append("\n[register]")
        for name, target in sorted(self.registered.items()):
            where = f"{target.__module__}:{target.__qualname__}"
            try:
                found = _imported(where)
            except PolicyError:
                found = None
            if found is not target:
                raise PolicyError(f"register.{name}: a file can't name {where}")
            lines.append(f"{_quoted(name)} = {_quoted(where)}")
        return "\n".join(lines) + "\n"

    def _with_native(
        self,
        native: Mapping[str, Callable[..., Any]],
        *,
        profile: str = "plain",
        written: Callable[[Any], tuple[Any, ...] | None] | None = None,
    ) -> Policy:
        """Lets builders of a framework make its own types, for names of the table; for profiles.

        ``written`` gives a name and arguments for a value of these types, to be written as JSON.
        """
        return self._with(profile=profile, native=tuple(native.items()), written=written)

    def _as_plain_only(self) -> Policy:
        """The same names, with the state of what is registered: it asks no code of the app."""
        return self._with(plain=self._plain.union(self.registered), registered=())

    def _with(self, **rules: Any) -> Policy:
        policy = Policy()
        policy._profile = rules.get("profile", self._profile)
        policy._plain = rules.get("plain", self._plain)
        policy._registered = rules.get("registered", self._registered)
        policy._native = rules.get("native", self._native)
        policy._written = rules.get("written", self._written)
        policy._stub = rules.get("stub", self._stub)
        return policy

    @property
    def _compiled(self) -> CompiledPolicy:
        if self._compiled_policy is None:
            self._compiled_policy = CompiledPolicy(
                plain=sorted(self._plain),
                registered=list(self._registered),
                native=list(self._native),
                written=self._written,
                stub=self._stub,
            )
        return self._compiled_policy

    @property
    def _rules(self) -> tuple[Any, ...]:
        return self._profile, self._plain, self._stub, frozenset(self.registered.items())

    def __eq__(self, other: object) -> bool:
        return self._rules == other._rules if isinstance(other, Policy) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._rules)

    def __repr__(self) -> str:
        start = "Policy" if self._profile == "plain" else f"profiles.{self._profile}"
        parts = [f".as_plain({', '.join(map(repr, sorted(self._plain)))})"] if self._plain else []
        parts += [f".register({name!r}, build=...)" for name, _ in self._registered]
        parts += [".stub()"] if self._stub else []
        return f"<plainpickle.{start}(){''.join(parts)}>"


def _check_name(name: str) -> None:
    reason = refusal(name)
    if reason is not None:
        raise PolicyError(f"{name!r}: {reason}")


def _policy_of(content: dict[str, Any]) -> Policy:
    """The policy that a file's content describes."""
    for key, value in content.items():
        if key not in _KINDS:
            raise PolicyError(f"{key}: no such key; there are {', '.join(_KINDS)}")
        kind, what = _KINDS[key]
        if type(value) is not kind:
            raise PolicyError(f"{key}: must be {what}")
    profile = content.get("profile", "plain")
    if profile not in PROFILES:
        raise PolicyError(f"profile: {profile!r} is none of {', '.join(PROFILES)}")
    from plainpickle import profiles

    policy: Policy = getattr(profiles, profile)()
    names = content.get("as_plain", [])
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise PolicyError(f"as_plain: {wrong[0]!r} is no text")
    try:
        policy = policy.as_plain(*names)
    except PolicyError as error:
        raise PolicyError(f"as_plain: {error}") from None
    for name, where in content.get("register", {}).items():
        if not isinstance(where, str):
            raise PolicyError(f'register.{name}: must be "module:object"; quote a name with dots')
        try:
            policy = policy.register(name, build=_imported(where))
        except PolicyError as error:
            raise PolicyError(f"register.{name} = {where!r}: {error}") from error.__cause__
    return policy.stub() if content.get("stub") else policy


def _imported(where: str) -> Any:
    """What ``"module:object"`` names, in a file that the app's own people wrote."""
    module, _, name = where.partition(":")
    if not module or not name:
        raise PolicyError(f'{where!r} is not "module:object"')
    from importlib import import_module

    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # the module's own code runs, and may raise anything
        raise PolicyError(f"{where!r} can't be imported: {error}") from error
    return found


def _quoted(text: str) -> str:
    """A text in TOML."""
    import json

    return json.dumps(text, ensure_ascii=False)
