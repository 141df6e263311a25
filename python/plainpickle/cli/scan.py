"""`plainpickle scan`: one finding a file, its text and JSON form, and the exit code of them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plainpickle import inspect
from plainpickle.cli.source import read
from plainpickle.cli.terminal import escaped_lines, escaped_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from plainpickle import Policy, Report

SCHEMA = 1
"""Version of the JSON form; it grows when a key changes its meaning or goes away."""

CLEAN, REFUSED, ERROR = 0, 1, 2

_STYLES = {
    "clean": "green",
    "refused": "bold red",
    "malformed": "yellow",
    "unreadable": "yellow",
    "allowed": "green",
    "forbidden": "bold red",
}
_OFFSETS_SHOWN = 4


@dataclass(frozen=True)
class Finding:
    """What a scan says about one file: a report, or why the file could not be read."""

    file: str
    report: Report | None = None
    unreadable: str = ""

    @property
    def verdict(self) -> str:
        """Clean, refused, malformed or unreadable."""
        return self.report.verdict if self.report else "unreadable"

    @property
    def reason(self) -> str:
        """Why the verdict is not "clean", else empty text."""
        if self.report is None:
            return self.unreadable
        return str(self.report.error or "")

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-ready data, the report's own keys included."""
        found: dict[str, Any] = {"schema": SCHEMA, "file": self.file, "verdict": self.verdict}
        if self.report is None:
            return {**found, "error": {"kind": "unreadable", "message": self.unreadable}}
        return {**found, **self.report.to_dict()}

    def summary(self) -> str:
        """Return the facts that follow the verdict on its line."""
        if self.report is None:
            return ""
        facts = [f"protocol {self.report.protocol}", counted(self.report.size, "byte")]
        if self.report.trailing_bytes:
            facts.append(f"{self.report.trailing_bytes} after the end of the pickle")
        return ", ".join(facts)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return a row for each global: allowed or forbidden, name, count, offsets."""
        found = []
        for used in self.report.globals if self.report else ():
            offsets = [str(offset) for offset in used.offsets[:_OFFSETS_SHOWN]]
            if len(used.offsets) > _OFFSETS_SHOWN:
                offsets.append("...")
            status = "allowed" if used.allowed else "forbidden"
            name = escaped_text(f"{used.module}.{used.name}")
            found.append((status, name, counted(used.count, "time"), "at " + ", ".join(offsets)))
        return found


def scan(file: str, policy: Policy) -> Finding:
    """Inspect `file` under `policy`; nothing in it is executed."""
    try:
        data = read(file)
    except OSError as error:
        return Finding(file, unreadable=error.strerror or type(error).__name__)
    return Finding(file, inspect(data, policy=policy))


def plain_lines(finding: Finding) -> Iterable[str]:
    """Yield the finding as lines of text, escaped, without colour."""
    headline = f"{escaped_text(finding.file)}: {finding.verdict}"
    yield ", ".join(filter(None, [headline, finding.summary()]))
    for row in finding.rows():
        yield "  " + "  ".join(row)
    for line in escaped_lines(finding.reason).splitlines():
        yield f"  {line}"


def print_rich(finding: Finding, console: Console) -> None:
    """Print the finding on a terminal, its globals as a table."""
    from rich.padding import Padding  # noqa: PLC0415 - loaded only where there is a terminal
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    headline = Text(escaped_text(finding.file) + ": ")
    headline.append(finding.verdict, _STYLES[finding.verdict])
    headline.append(f"  {finding.summary()}", "dim")
    console.print(headline)
    table = Table.grid(padding=(0, 2))
    for status, *cells in finding.rows():
        table.add_row(Text(status, _STYLES[status]), *map(Text, cells))
    if table.row_count:
        console.print(Padding(table, (0, 2), expand=False))
    if finding.reason:
        console.print(Padding(Text(escaped_lines(finding.reason)), (0, 2), expand=False))


def closing_line(findings: list[Finding]) -> str:
    """Return how many files were scanned, and how many there are of each verdict."""
    verdicts = [finding.verdict for finding in findings]
    counts = [f"{verdicts.count(v)} {v}" for v in dict.fromkeys(verdicts)]
    return f"{counted(len(findings), 'file')}: {', '.join(counts)}"


def exit_code(findings: list[Finding]) -> int:
    """Return 1 if anything was refused, else 2 if anything could not be judged, else 0."""
    verdicts = {finding.verdict for finding in findings}
    if "refused" in verdicts:
        return REFUSED
    return CLEAN if verdicts <= {"clean"} else ERROR


def counted(count: int, noun: str) -> str:
    """Return `count` with `noun`, in the plural where it takes one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
