"""Counts how often a suite asks plainpickle."""

from __future__ import annotations

import functools
from typing import Any

from plainpickle.session import SessionSerializer


class Asked:
    """Every serializer of plainpickle's goes by these two methods."""

    def __init__(self) -> None:
        self.times = 0
        for name in ("loads", "dumps"):
            setattr(SessionSerializer, name, self._counted(getattr(SessionSerializer, name)))

    def _counted(self, method: Any) -> Any:
        @functools.wraps(method)
        def counted(*arguments: Any) -> Any:
            self.times += 1
            return method(*arguments)

        return counted
