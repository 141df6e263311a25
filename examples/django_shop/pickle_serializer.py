"""Django's own PickleSerializer, kept by the shop when Django 5 removed it, as many sites did."""

import pickle
from typing import Any


class PickleSerializer:
    """Simple wrapper around pickle to be used in signing.dumps and signing.loads."""

    protocol = pickle.HIGHEST_PROTOCOL

    def dumps(self, obj: Any) -> bytes:
        return pickle.dumps(obj, self.protocol)

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)
