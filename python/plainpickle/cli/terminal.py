"""What may reach a terminal: text of the input is escaped here, and colour is decided here."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console


def escaped_text(text: str) -> str:
    r"""Return `text` with each character escaped that does not print or that stdout cannot encode.

    Control characters, terminal sequences and direction marks become `\x1b`, `\u202e` and so on.
    """
    return re.sub(r"[^ -~]", lambda match: _printable(match[0]) or _escape(match[0]), text)


def escaped_lines(text: str) -> str:
    """Return `text` escaped line by line."""
    return "\n".join(map(escaped_text, text.splitlines()))


def escaped_json(text: str) -> str:
    """Return the JSON document `text`, of the same value, with those characters as JSON escapes."""
    return re.sub(r"[^ -~\n]", lambda match: _printable(match[0]) or _json_escape(match[0]), text)


def console() -> Console | None:
    """Return a console for tables and colour if stdout is a terminal, else None: plain lines.

    Where `NO_COLOR` is set, it prints tables without colour.
    """
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return None
    from rich.console import Console  # noqa: PLC0415 - 0.1 s that a pipeline need not wait

    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(color_system=colours, markup=False, highlight=False, emoji=False)


def _printable(char: str) -> str:
    if not char.isprintable():
        return ""
    try:
        char.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return ""
    return char


def _escape(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
