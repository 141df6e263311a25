"""Stock pickle's `Pickler`, with a check before anything is written."""

from __future__ import annotations

import io
import pickle
from itertools import repeat

from plainpickle import _core
from plainpickle.exceptions import UnpicklingError, UnreadableValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from plainpickle._core import _WritableFile
    from plainpickle.limits import Limits
    from plainpickle.policy import Policy

_MEMO: Any = vars(pickle.Pickler)["memo"]


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
        file: _WritableFile,
        protocol: int | None = None,
        fix_imports: bool = True,
        buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
    ) -> None:
        write: Callable[[bytes], Any] | None = getattr(file, "write", None)
        if write is None:
            raise TypeError("file must have a 'write' attribute")
        self._write = write
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
                    _core.check(self._dumped(self._pickled, obj), self._policy, self._limits)
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
