"""Reading from files: `Unpickler` and `load`, with pickle's own signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from plainpickle import _core
from plainpickle.default import default_policy
from plainpickle.exceptions import ForbiddenGlobal, UnpicklingError, UnsupportedOpcode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plainpickle.limits import Limits
    from plainpickle.policy import Policy


class ReadableFile(Protocol):
    """What reading needs of a file; ``peek`` and ``readinto`` are used where it has them."""

    def read(self, size: int, /) -> bytes:
        """Reads so many bytes at most."""

    def readline(self) -> bytes:
        """Reads one line."""


class Unpickler:
    """Reads the pickles of a binary file one by one, and never runs anything of them.

    Args:
        file: what has ``read`` and ``readline``.
        policy: which names may be selected; by default the policy of the process.
        limits: bounds on each load; by default ``Limits()``.
        fix_imports: whether Python 2's names are known in pickles of protocols 0 to 2.
        encoding: of Python 2 strings, as in pickle; by default they are read by context.
        errors: how undecodable ones are handled; only with ``encoding``.
        buffers: the out-of-band buffers that the pickles refer to.

    Raises:
        TypeError: the file has no ``read`` or no ``readline``.
    """

    _source: tuple[Any, ...] | None = None

    def __init__(
        self,
        file: ReadableFile,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        fix_imports: bool = True,
        encoding: str | None = None,
        errors: str = "strict",
        buffers: Iterable[Any] | None = None,
    ) -> None:
        read, readline = getattr(file, "read", None), getattr(file, "readline", None)
        if read is None or readline is None:
            raise TypeError("file must have 'read' and 'readline' attributes")
        buffers = None if buffers is None else iter(buffers)
        peek, readinto = getattr(file, "peek", None), getattr(file, "readinto", None)
        self._memo = _core.Memo()
        self._policy = policy
        self._given = (limits, fix_imports, encoding, errors, buffers)
        self._source = (file, read, readline, peek, readinto)

    def load(self) -> Any:
        """Reads the next pickle; what earlier ones memoized is known to it.

        Exactly one pickle is consumed: the file stands right behind its STOP.

        Raises:
            EOFError: the file has no more bytes.
            UnpicklingError: as :func:`plainpickle.safe_loads`.
        """
        return self._load(self._memo if self._source else None)

    def _load(self, memo: _core.Memo | None) -> Any:
        if self._source is None:
            name = type(self).__name__
            raise UnpicklingError(f"Unpickler.__init__() was not called by {name}.__init__()")
        own = self._overridden("find_class")
        resolver = self._overridden("persistent_load")
        return _core.load(self._source, memo, self._policy, *self._given, resolver, own)

    def _overridden(self, name: str) -> Callable[..., Any] | None:
        """The method, unless it is this class's own."""
        method = getattr(self, name)
        mine = getattr(method, "__func__", None) is getattr(Unpickler, name)
        return None if mine else method

    def find_class(self, module: str, name: str, /) -> Any:
        """What the policy registers under a name; a subclass may give something else for it.

        It is asked for registered names only, never for those of the allowlist or for others.

        Raises:
            ForbiddenGlobal: the policy registers no such name.
        """
        policy = self._policy or default_policy()
        found = policy.registered.get(f"{module}.{name}")
        if found is None:
            raise ForbiddenGlobal(
                f"{module}.{name} is not registered",
                kind="forbidden_global",
                name=f"{module}.{name}",
            )
        return found

    def persistent_load(self, pid: Any, /) -> Any:  # noqa: ARG002  # subclasses take it
        """What a persistent id stands for; a subclass may know.

        Raises:
            UnsupportedOpcode: always.
        """
        raise UnsupportedOpcode("unsupported persistent id encountered", kind="persistent_id")

    @property
    def memo(self) -> _core.Memo:
        """What was memoized so far: ``copy()`` gives a dict by index, ``clear()`` forgets it."""
        return self._memo

    @memo.setter
    def memo(self, values: Any) -> None:
        self._memo.set(values)


def load(
    file: ReadableFile,
    *,
    policy: Policy | None = None,
    limits: Limits | None = None,
    fix_imports: bool = True,
    encoding: str | None = None,
    errors: str = "strict",
    buffers: Iterable[Any] | None = None,
    persistent_load: Callable[[Any], Any] | None = None,
) -> Any:
    """Reads one pickle from a binary file, as :class:`Unpickler` does.

    ``persistent_load`` is called with each persistent id; what it gives is used as it is.

    Raises:
        EOFError: the file has no more bytes.
        UnpicklingError: as :func:`plainpickle.safe_loads`.
    """
    unpickler = Unpickler(
        file,
        policy=policy,
        limits=limits,
        fix_imports=fix_imports,
        encoding=encoding,
        errors=errors,
        buffers=buffers,
    )
    if persistent_load is not None:
        unpickler.persistent_load = persistent_load  # type: ignore[method-assign]
    return unpickler._load(None)  # noqa: SLF001  # a single pickle keeps no memo
