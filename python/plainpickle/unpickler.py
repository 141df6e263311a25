"""Reading from files: `Unpickler`, whose instances take attributes of their own."""

from __future__ import annotations

from plainpickle import _core


class Unpickler(_core.Unpickler):
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
