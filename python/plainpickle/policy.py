"""The policy: which names a pickle may select, and what each becomes."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any

from plainpickle._core import CompiledPolicy, refusal
from plainpickle.exceptions import PolicyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Policy:
    """An immutable set of exact names; ``Policy()`` is profile ``plain``.

    Each method returns a new policy with one more rule. No rule lets the bytes choose code: a name
    only ever selects an entry that was resolved when the policy was made.
    """

    __slots__ = ("_compiled_policy", "_native", "_plain", "_registered", "_stub")

    def __init__(self) -> None:
        self._plain: frozenset[str] = frozenset()
        self._registered: tuple[tuple[str, Any], ...] = ()
        self._native: tuple[tuple[str, Callable[..., Any]], ...] = ()
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
            raise PolicyError(f"{name} is neither a class nor a function written in Python")
        own = f"{target.__module__}.{target.__name__}"
        if target.__name__.isidentifier() and refusal(own) is not None:
            raise PolicyError(f"{own}: {refusal(own)}")
        _check_name(name)
        return self._with(registered=(*self._registered, (name, target)))

    def stub(self) -> Policy:
        """Makes an inert :class:`plainpickle.Stub` of every name that is not known."""
        return self._with(stub=True)

    def _with_native(self, native: Mapping[str, Callable[..., Any]]) -> Policy:
        """Lets builders of a framework make its own types, for names of the table; for profiles."""
        return self._with(native=(*self._native, *native.items()))

    def _with(self, **rules: Any) -> Policy:
        policy = Policy()
        policy._plain = rules.get("plain", self._plain)
        policy._registered = rules.get("registered", self._registered)
        policy._native = rules.get("native", self._native)
        policy._stub = rules.get("stub", self._stub)
        return policy

    @property
    def _compiled(self) -> CompiledPolicy:
        if self._compiled_policy is None:
            self._compiled_policy = CompiledPolicy(
                plain=sorted(self._plain),
                registered=list(self._registered),
                native=list(self._native),
                stub=self._stub,
            )
        return self._compiled_policy

    def __repr__(self) -> str:
        parts = [f".as_plain({', '.join(map(repr, sorted(self._plain)))})"] if self._plain else []
        parts += [f".register({name!r}, build=...)" for name, _ in self._registered]
        parts += [".stub()"] if self._stub else []
        return f"<plainpickle.Policy(){''.join(parts)}>"


def _check_name(name: str) -> None:
    reason = refusal(name)
    if reason is not None:
        raise PolicyError(f"{name!r}: {reason}")
