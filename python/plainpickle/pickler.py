"""Writing by stock pickle, checked before it leaves: `Pickler`, `dump`, `dumps`."""

from __future__ import annotations

import io
import pickle
from itertools import repeat
from typing import TYPE_CHECKING, Any, Protocol

from plainpickle import _core
from plainpickle.exceptions import UnpicklingError, UnreadableValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainpickle.limits import Limits
    from plainpickle.policy import Policy


_MEMO: Any = vars(pickle.Pickler)["memo"]


class WritableFile(Protocol):
    """What writing needs of a file."""

    def write(self, data: bytes, /) -> Any:
        """Writes all of it."""


def dumps(
    obj: Any,
    protocol: int | None = None,
    *,
    fix_imports: bool = True,
    buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None,
    policy: Policy | None = None,
    limits: Limits | None = None,
) -> bytes:
    """Writes with stock pickle, and checks that the result could be read back.

    Args:
        obj: what is to be written.
        protocol: 0 to 5, or negative for the highest; by default ``DEFAULT_PROTOCOL``.
        fix_imports: whether protocols 0 to 2 are written with Python 2's names.
        buffer_callback: takes out-of-band buffers, at protocol 5.
        policy: under which it will be read; by default the policy of the process.
        limits: under which it will be read; by default ``Limits()``.

    Raises:
        UnreadableValue: a ``PicklingError`` that says where inside of ``obj`` the trouble is, and
            which line of policy would admit it.
        PicklingError: stock pickle can't write it.
    """
    data = pickle.dumps(obj, protocol, fix_imports=fix_imports, buffer_callback=buffer_callback)
    _check(data, policy, limits)
    return data


def dump(
    obj: Any,
    file: WritableFile,
    protocol: int | None = None,
    *,
    fix_imports: bool = True,
    buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None,
    policy: Policy | None = None,
    limits: Limits | None = None,
) -> None:
    """Writes to a binary file, once it is known that all could be read back.

    Raises:
        TypeError: the file has no ``write``.
        UnreadableValue: as :func:`dumps`.
    """
    write = _write_of(file)
    write(
        dumps(
            obj,
            protocol,
            fix_imports=fix_imports,
            buffer_callback=buffer_callback,
            policy=policy,
            limits=limits,
        )
    )


class Pickler(pickle.Pickler):
    """Stock pickle's ``Pickler``, which checks each pickle before it writes it.

    ``persistent_id``, ``reducer_override`` and ``dispatch_table`` work as there. Pickles after the
    first refer to what earlier ones memoized, so each is really read back: registered classes
    are asked to rebuild their instances.

    Raises:
        TypeError: the file has no ``write``.
    """

    _pickled: io.BytesIO | None = None

    def __init__(
        self,
        file: WritableFile,
        protocol: int | None = None,
        fix_imports: bool = True,
        buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._write = _write_of(file)
        self._policy, self._limits = policy, limits
        self._readable = _core.Memo()
        pickled = io.BytesIO()
        super().__init__(
            pickled, protocol, fix_imports=fix_imports, buffer_callback=buffer_callback
        )
        self._pickled = pickled

    def dump(self, obj: Any, /) -> None:
        """Writes one pickle, once it is known that it could be read back.

        Raises:
            UnreadableValue: as :func:`dumps`; nothing was written.
        """
        if self._pickled is None:
            super().dump(obj)  # it says that it was not made
            return
        try:
            data = self._dumped(self._pickled, obj)
            _core.check_next(
                data, self._readable, self._policy, self._limits, repeat(b""), _persistent
            )
        except BaseException as error:  # noqa: BLE001  # it is raised again
            # Writer and reader go on as if this one had never been.
            count, memo = len(self._readable), _MEMO.__get__(self).copy()
            written = {key: entry for key, entry in memo.items() if entry[0] < count}
            try:
                if isinstance(error, UnpicklingError):
                    super().clear_memo()
                    _check(self._dumped(self._pickled, obj), self._policy, self._limits)
                    name = getattr(error, "name", None)
                    raise UnreadableValue(str(error), name=name) from error
                raise
            finally:
                _MEMO.__set__(self, written)
        self._write(data)

    def _dumped(self, pickled: io.BytesIO, obj: Any) -> bytes:
        """What stock pickle writes."""
        pickled.seek(0)
        pickled.truncate()
        super().dump(obj)
        return pickled.getvalue()

    def clear_memo(self) -> None:
        """Forgets what was written so far."""
        super().clear_memo()
        self._readable.clear()

    @property
    def memo(self) -> Any:
        """What was written so far."""
        return _MEMO.__get__(self)

    @memo.setter
    def memo(self, values: Any) -> None:
        _MEMO.__set__(self, values)
        self._readable.set(dict(self.memo.copy().values()))


def _persistent(_pid: Any) -> None:
    """Any persistent id will do: it is the reader's to know what it stands for."""


def _write_of(file: WritableFile) -> Callable[[bytes], Any]:
    write: Callable[[bytes], Any] | None = getattr(file, "write", None)
    if write is None:
        raise TypeError("file must have a 'write' attribute")
    return write


def _check(data: bytes, policy: Policy | None, limits: Limits | None) -> None:
    """Raises ``UnreadableValue`` unless ``data`` can be read."""
    trouble = _core.check(data, policy, limits)
    if trouble is not None:
        raise UnreadableValue.of(trouble)
