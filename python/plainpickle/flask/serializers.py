"""What takes pickle's place: for sessions, for Flask-Session's formats, in caches, in modules."""

from __future__ import annotations

import logging
import pickle
from typing import Any

from plainpickle import inspect
from plainpickle.exceptions import UnpicklingError, UnreadableValue
from plainpickle.flask.opening import opening, report
from plainpickle.session import SessionSerializer

logger = logging.getLogger("plainpickle.flask")

# msgpack's maps; as opcodes they need a stack or an extension code, so that no session begins so.
_MSGPACK_MAPS = frozenset(bytes([first]) for first in (*range(0x81, 0x90), 0xDE, 0xDF))
_EMPTY_MSGPACK = b"\x80"
_LONG_AGO = -1  # a time in front of a value; 0 means that it never ends


def is_msgpack(stored: bytes) -> bool:
    """Whether a session of Flask-Session is msgpack: its first byte decides."""
    return stored[:1] in _MSGPACK_MAPS or stored == _EMPTY_MSGPACK


class Serializer(SessionSerializer):
    """The serializer of sessions. While one is opened, anything but a dict is refused."""

    __slots__ = ()

    def loads(self, data: Any, /) -> Any:
        """Reads a session, as :meth:`SessionSerializer.loads`."""
        noted = opening()
        try:
            stored = self._stored(data)
            value = self._read(stored)
            if noted is not None:
                noted.read, noted.odd = True, not isinstance(value, dict)
                if noted.odd and noted.dicts_only:
                    raise report("no session", stored, kind="no_session", store=self.store)
        except UnpicklingError:
            if noted is not None:
                noted.refused = True
            raise
        return value

    read = loads

    def _stored(self, data: Any) -> bytes:
        if isinstance(data, str):  # a client of memcached or Redis that gives text
            return data.encode("utf-8", "surrogatepass")
        if isinstance(data, (bytes, bytearray, memoryview)):
            return bytes(data)
        # A flag in memcached made its client give something else than what was stored.
        raise report("no bytes", b"", kind="stored_value", store=self.store)

    def _read(self, stored: bytes) -> Any:
        return super().loads(stored)


class FallbackSerializer(Serializer):
    """In place of Flask-Session's MsgSpecSerializer: its msgpack and JSON, and pickles as data.

    Args:
        own: Flask-Session's serializer; its encoder goes on writing where ``keep_format`` is true,
            and tagged JSON where it can't.
    """

    __slots__ = ("_decoder", "_own")

    def __init__(self, own: Any, *, keep_format: bool, **options: Any) -> None:
        super().__init__(**options)
        from msgspec.msgpack import Decoder  # noqa: PLC0415  # comes with Flask-Session 0.7

        self._own = own if keep_format else None
        self._decoder = Decoder()

    def _read(self, stored: bytes) -> Any:
        if not is_msgpack(stored):
            return super()._read(stored)
        try:
            return self._decoder.decode(stored)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  # DecodeError, RecursionError, the errors of its types
            kind = "msgpack"
            raise report("bad msgpack", stored, kind=kind, format=kind, store=self.store) from None

    def decode(self, data: Any, /) -> Any:
        """Reads a session; ``None``, which is no session, where it is refused while one is opened.

        Flask-Session tries a SQL query three times if something is raised here, and sleeps.
        """
        try:
            return self.loads(data)
        except UnpicklingError:
            if opening() is None:
                raise
            return None

    def encode(self, session: Any, /) -> bytes:
        """Writes a session: as Flask-Session does, where it can."""
        if self._own is not None:
            try:
                written: bytes = self._own.encoder.encode(dict(session))
            except Exception:  # noqa: BLE001  # it has no one error for what it can't write
                logger.debug("Flask-Session's format can't hold this session: it becomes JSON")
            else:
                return written
        return super().encode(session)


class CachedValues(SessionSerializer):
    """The serializer of a cache: what is refused, or could not be read back, is a miss."""

    __slots__ = ()

    def loads(self, data: Any, /) -> Any:
        """Reads a value; ``None`` where it is refused."""
        try:
            return self.read(data)
        except UnpicklingError:
            return None

    def read(self, data: Any, /) -> Any:
        """Reads a value, and raises where it is refused."""
        return super().loads(data)

    def dumps(self, session: Any, protocol: int | None = None, /) -> bytes:
        """Writes a value; ``None``, which is a miss, where it could not be read back."""
        try:
            return super().dumps(session, protocol)
        except UnreadableValue as error:
            logger.warning("not cached: %s", error)
            return super().dumps(None)


class CacheSerializer:
    """In the place of a cachelib serializer.

    Args:
        values: what reads and writes.
        mark: what stands before each value; ``b"!"`` in Redis, where integers are bare.
        several: whether a file holds two values, the time first: cachelib 0.5 and 0.6.
    """

    def __init__(
        self, values: Serializer | CachedValues, *, mark: bytes = b"", several: bool = False
    ) -> None:
        self._values = values
        self._mark = mark
        self._several = several

    def loads(self, data: Any) -> Any:
        """Reads a value; ``None`` where it is refused."""
        if data is None:
            return None
        if self._mark:
            if not data.startswith(self._mark):
                return self._bare(data)
            data = data[len(self._mark) :]
        try:
            return self._values.loads(data)
        except UnpicklingError:
            return None

    def _bare(self, data: bytes) -> Any:
        try:
            number = int(data)
        except ValueError:
            return self.loads(self._mark + data) if opening() else data
        return self.loads(self._mark + data) if opening() else number

    def dumps(self, value: Any, protocol: int | None = None) -> bytes:  # noqa: ARG002
        """Writes a value."""
        if self._mark and type(value) is int:
            return b"%d" % value
        return self._mark + self._values.dumps(value)

    def load(self, file: Any) -> Any:
        """Reads a value from a file; the time in front of it as one that is over, where refused."""
        if not self._several:
            return self.loads(file.read())
        in_front = file.tell() == 0
        try:
            return next_of(file, self._values)
        except UnpicklingError:
            return _LONG_AGO if in_front else None

    def dump(self, value: Any, file: Any, protocol: int | None = None) -> None:  # noqa: ARG002
        """Writes a value into a file."""
        file.write(self.dumps(value))


def next_of(file: Any, values: Serializer | CachedValues) -> Any:
    """Reads the next pickle in a file, which is left behind it. The first is a time."""
    start = file.tell()
    data: bytes = file.read()
    if not data:
        raise EOFError
    length = len(data) - inspect(data).trailing_bytes
    file.seek(start + length)
    if start:
        return values.read(data[:length])
    time = SessionSerializer.loads(values, data[:length])
    if not isinstance(time, (int, float)):
        raise report("no time", data[:length], kind="no_time", store=values.store)
    return time


class PickleFace:
    """In the place of a module's global ``pickle``, where that is what a library reads with."""

    __name__ = "plainpickle"
    PickleError = pickle.PickleError
    PicklingError = pickle.PicklingError
    UnpicklingError = pickle.UnpicklingError
    HIGHEST_PROTOCOL = pickle.HIGHEST_PROTOCOL
    DEFAULT_PROTOCOL = pickle.DEFAULT_PROTOCOL

    def __init__(self, values: Serializer | CachedValues) -> None:
        self.values = values

    def loads(self, data: Any, **_: Any) -> Any:
        """Reads a value."""
        return self.values.loads(data)

    def load(self, file: Any, **_: Any) -> Any:
        """Reads a value from a file; raises where it is refused, which callers take for a miss."""
        return next_of(file, self.values)

    def dumps(self, value: Any, protocol: int | None = None, **_: Any) -> bytes:
        """Writes a value."""
        return self.values.dumps(value, protocol)

    def dump(self, value: Any, file: Any, protocol: int | None = None, **_: Any) -> None:
        """Writes a value into a file."""
        file.write(self.dumps(value, protocol))

    def Unpickler(self, file: Any, **_: Any) -> _Unpickler:  # noqa: N802  # pickle's name
        """An object with ``load``."""
        return _Unpickler(self, file)

    def Pickler(self, file: Any, protocol: int | None = None, **_: Any) -> _Pickler:  # noqa: N802
        """An object with ``dump``."""
        return _Pickler(self, file, protocol)


class _Unpickler:
    """Of a client of memcached, which gives it one value."""

    def __init__(self, face: PickleFace, file: Any) -> None:
        self._face, self._file = face, file

    def load(self) -> Any:
        return self._face.values.read(self._file.read())


class _Pickler:
    def __init__(self, face: PickleFace, file: Any, protocol: int | None) -> None:
        self._face, self._file, self._protocol = face, file, protocol

    def dump(self, value: Any) -> None:
        self._face.dump(value, self._file, self._protocol)
