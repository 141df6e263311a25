"""The faces of plainpickle that CPython's tests run against: what writes a pickle, what reads it.

CPython's own `test_pickle` hands a pickler and an unpickler to the abstract tests of `pickletester`
in the same way.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import Any

import plainpickle


class Loads:
    """Stock pickle writes, `plainpickle.loads` reads."""

    pickler: Any = pickle.Pickler
    unpickler = plainpickle.Unpickler

    def dumps(self, value: object, protocol: int | None = None, **options: Any) -> bytes:
        file = io.BytesIO()
        self.pickler(file, protocol, **options).dump(value)
        return file.getvalue()

    def loads(self, data: bytes, **options: Any) -> Any:
        return plainpickle.loads(data, **options)


class Load(Loads):
    def loads(self, data: bytes, **options: Any) -> Any:
        return plainpickle.load(io.BytesIO(data), **options)


class Unpickler(Loads):
    def loads(self, data: bytes, **options: Any) -> Any:
        return self.unpickler(io.BytesIO(data), **options).load()


class OfPython(Unpickler):
    """As `DumpPickle_CLoadPickle`: the pickler that is written in Python chooses other opcodes."""

    pickler = pickle._Pickler


class OfOptimize(Loads):
    """As `OptimizedPickleTests`: without the memo entries that nothing uses, and framed anew."""

    def dumps(self, value: object, protocol: int | None = None, **options: Any) -> bytes:
        return pickletools.optimize(pickle.dumps(value, protocol, **options))


class Dumps(Loads):
    """Ours on both sides: functions."""

    pickler = plainpickle.Pickler

    def dumps(self, value: object, protocol: int | None = None, **options: Any) -> bytes:
        return plainpickle.dumps(value, protocol, **options)


class Pickler(Unpickler):
    """Ours on both sides: objects."""

    pickler = plainpickle.Pickler


class PersistentLoads:
    """A stock pickler with a `persistent_id`, and `persistent_load` given as an argument."""

    persistent_id: Any
    persistent_load: Any

    def dumps(self, value: object, protocol: int | None = None) -> bytes:
        persistent_id = self.persistent_id

        class PersistentPickler(pickle.Pickler):
            def persistent_id(self, obj: object) -> Any:
                return persistent_id(obj)

        file = io.BytesIO()
        PersistentPickler(file, protocol).dump(value)
        return file.getvalue()

    def loads(self, data: bytes, **options: Any) -> Any:
        return plainpickle.loads(data, persistent_load=self.persistent_load, **options)


class PersistentLoad(PersistentLoads):
    def loads(self, data: bytes, **options: Any) -> Any:
        file = io.BytesIO(data)
        return plainpickle.load(file, persistent_load=self.persistent_load, **options)


class Objects:
    """A stock pickler object writes, our unpickler object reads."""

    pickler_class: Any = pickle.Pickler
    unpickler_class = plainpickle.Unpickler


class OwnObjects(Objects):
    pickler_class = plainpickle.Pickler


class Module:
    """All of pickle's functions and classes, as they are found at the top of plainpickle."""

    dump = staticmethod(plainpickle.dump)
    dumps = staticmethod(plainpickle.dumps)
    load = staticmethod(plainpickle.load)
    loads = staticmethod(plainpickle.loads)
    Pickler = plainpickle.Pickler
    Unpickler = plainpickle.Unpickler
