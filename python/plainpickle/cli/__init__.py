"""The command `plainpickle`: entry point, and what it says where its extra is not installed."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; `SystemExit` carries 0 clean, 1 refused, 2 error."""
    try:
        import click  # noqa: F401, PLC0415 - the library must import without the extra `cli`
        import rich  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.stderr.write(
            f'plainpickle: the command line needs {error.name}: pip install "plainpickle[cli]"\n'
        )
        sys.exit(2)
    from plainpickle.cli.commands import plainpickle  # noqa: PLC0415

    plainpickle(prog_name="plainpickle")
