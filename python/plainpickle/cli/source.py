"""The bytes behind a FILE argument."""

from __future__ import annotations

import sys
from pathlib import Path

from plainpickle import Limits


def read(file: str) -> bytes:
    """Return the content of `file` ("-" is standard input), one byte over the size limit at most.

    That byte is what makes the decoder refuse the rest: a larger file, or an endless one such as
    a device, is not read into memory.

    Raises:
        OSError: the file cannot be read.
    """
    limit = Limits().max_bytes
    size = -1 if limit is None else limit + 1
    if file == "-":
        return sys.stdin.buffer.read(size)
    with Path(file).open("rb") as stream:
        return stream.read(size)
