"""`make docs`: every relative link in the Markdown files resolves, every `make` command exists."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = {".git", ".venv", "target", "node_modules"}
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^\$? ?|`)make ([a-z]+)", re.MULTILINE)
TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)


def main() -> int:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text("utf-8")))
    pages = [p for p in ROOT.rglob("*.md") if not SKIPPED & set(p.relative_to(ROOT).parts)]
    problems = [problem for page in sorted(pages) for problem in problems_of(page, targets)]
    print("\n".join(problems) or f"{len(pages)} pages: all links and commands resolve")
    return 1 if problems else 0


def problems_of(page: Path, targets: set[str]) -> list[str]:
    text = page.read_text("utf-8")
    where = page.relative_to(ROOT)
    found = [
        f"{where}: no such target: make {command}"
        for command in COMMAND.findall(text)
        if command not in targets
    ]
    for link in LINK.findall(without_code(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            found.append(f"{where}: no such file: {link}")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            found.append(f"{where}: no such heading: {link}")
    return found


def without_code(text: str) -> str:
    return re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", text)


def anchors(page: Path) -> set[str]:
    """Return the anchors that the page's headings get, and those that it sets itself."""
    text = page.read_text("utf-8")
    headings = re.findall(r"^#+ +(.+?)\s*$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


if __name__ == "__main__":
    sys.exit(main())
