"""What an app puts in the place of `memcache.Client`, for libraries that make their own client."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import memcache

import plainpickle


class PlainClient(memcache.Client):  # type: ignore[misc]
    policy: ClassVar[plainpickle.Policy | None] = None

    def __init__(self, *args: Any, **options: Any) -> None:
        options["pickler"] = partial(plainpickle.Pickler, policy=self.policy)
        options["unpickler"] = partial(plainpickle.Unpickler, policy=self.policy)
        super().__init__(*args, **options)
