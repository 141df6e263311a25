"""``manage.py plainpickle``: what is set, what is stored, and one session. All of it read-only."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import checks
from django.core.management.base import BaseCommand, CommandError

from plainpickle import _core, inspect
from plainpickle.cli.terminal import escaped_json, escaped_text
from plainpickle.django import stores
from plainpickle.django.configuration import configuration
from plainpickle.exceptions import PolicyError
from plainpickle.inventory import Inventory

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

_NEWEST = 1000


class Command(BaseCommand):  # type: ignore[misc]
    """Looks at sessions without executing anything in them."""

    help = "Looks at the sessions without executing anything in them, and changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The three actions and their options."""
        actions = parser.add_subparsers(dest="action", metavar="status|inventory|show")
        actions.required = True
        status = actions.add_parser("status", help="what is set, and what was written lately")
        inventory = actions.add_parser("inventory", help="what all sessions hold, counted")
        inventory.add_argument("--cache", metavar="ALIAS", help="all of a cache, not the sessions")
        inventory.add_argument(
            "--batch", type=int, default=1000, help="entries read at a time (default: 1000)"
        )
        inventory.add_argument("--limit", type=int, help="stop after so many entries")
        inventory.add_argument(
            "--write-policy", metavar="FILE", help="write a policy that reads what was found"
        )
        show = actions.add_parser("show", help="what one session holds")
        show.add_argument("session_key", help="its key, or the SHA-256 of it as in the events")
        for each in (status, inventory, show):
            each.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, **options: Any) -> None:
        """Runs one action."""
        getattr(self, f"_{options['action']}")(options)

    def _status(self, options: dict[str, Any]) -> None:
        configured = configuration()
        messages = [
            message
            for message in checks.run_checks(tags=[checks.Tags.security])
            if str(message.id).startswith("plainpickle.")
        ]
        found: dict[str, Any] = {
            "schema": 1,
            "engine": settings.SESSION_ENGINE,
            "serializer": settings.SESSION_SERIALIZER,
            "format": configured.format,
            "protocol": configured.protocol,
            "read_pickle": configured.read_pickle,
            "policy": repr(configured.policy),
            "newest": {},
            "checks": [{"id": each.id, "text": each.msg, "hint": each.hint} for each in messages],
        }
        try:
            for store in stores.session_stores():
                newest = store.newest(_NEWEST)
                if newest is not None:
                    found["newest"][store.name] = _forms(newest)
        except stores.Unlisted as error:
            found["newest"] = str(error)
        self._print(options, found, _status_text(found))

    def _inventory(self, options: dict[str, Any]) -> None:
        if options["batch"] < 1:
            raise CommandError("--batch must be at least 1")
        configured = configuration()
        inventory = Inventory(policy=configured.policy, limits=configured.limits)
        try:
            if options["cache"]:
                found = [stores.cache_store(options["cache"])]
            else:
                found = stores.session_stores()
        except stores.Unlisted as error:
            raise CommandError(f"nothing to count: {error}") from None
        for store in found:
            for entry in self._each(store, options):
                if entry.payload is None:
                    inventory.add_unreadable(entry.problem)
                else:
                    inventory.add(entry.payload, place=entry.place)
        if options["write_policy"]:
            try:
                policy = inventory.proposed_policy().to_toml()
            except PolicyError as error:
                raise CommandError(f"--write-policy: {error}") from None
            Path(options["write_policy"]).write_text(policy, encoding="utf-8")
        names = [store.name for store in found]
        text = "\n".join([*map(escaped_text, names), inventory.to_text()])
        self._print(options, {"stores": names, **inventory.to_dict()}, text)

    def _show(self, options: dict[str, Any]) -> None:
        entry = self._entry(options["session_key"])
        if entry.payload is None:
            raise CommandError(f"{entry.place}: {entry.problem}")
        configured = configuration()
        report = inspect(entry.payload, policy=configured.policy, limits=configured.limits)
        is_json = _core.format_of(entry.payload) == "json"
        found: dict[str, Any] = {
            "schema": 1,
            "place": entry.place,
            "format": "json" if is_json else "pickle",
            "size": len(entry.payload),
        }
        if not is_json:
            found["protocol"] = report.protocol
            found["verdict"] = report.verdict
            found["error"] = None if report.error is None else str(report.error)
            found["globals"] = [
                {"name": f"{use.module}.{use.name}", "count": use.count, "allowed": use.allowed}
                for use in report.globals
            ]
        content = _content(entry.payload, is_json=is_json)
        if options["json"]:  # put together as text: a session may be nested deeper than json goes
            shown = f'{json.dumps(found)[:-1]}, "session": {content or "null"}}}'
        else:
            facts = "".join(f"{name}: {json.dumps(value)}\n" for name, value in found.items())
            shown = facts + escaped_json(content or "(not readable)")
        self.stdout.write(shown)

    def _entry(self, key: str) -> stores.Entry:
        """The entry of a session, by its key or the hash of it."""
        is_hash = len(key) == 64 and set(key) <= set("0123456789abcdef")
        try:
            for store in stores.session_stores():
                found = None if is_hash else store.find(key)
                if is_hash:
                    each = self._each(store, {"batch": 1000, "limit": None, "json": False})
                    found = next((entry for entry in each if entry.place.endswith(key)), None)
                if found is not None:
                    return found
        except stores.Unlisted as error:
            raise CommandError(f"there is no session to show: {error}") from None
        raise CommandError("there is no such session")

    def _each(self, store: stores.Store, options: dict[str, Any]) -> Iterator[stores.Entry]:
        """The entries of a store, with a line of progress on a terminal."""
        bar = sys.stderr.isatty()
        total = store.count() if bar else None
        shown = 0.0
        for number, entry in enumerate(store.entries(batch=options["batch"])):
            if options["limit"] is not None and number >= options["limit"]:
                break
            if bar and time.monotonic() - shown > 0.2:
                shown = time.monotonic()
                of = f" of {total} ({100 * number // max(total, 1)} %)" if total else ""
                sys.stderr.write(f"\r\x1b[K{number}{of}")
            yield entry
        if bar:
            sys.stderr.write("\r\x1b[K")

    def _print(self, options: dict[str, Any], found: dict[str, Any], text: str) -> None:
        self.stdout.write(json.dumps(found) if options["json"] else escaped_json(text))


def _content(payload: bytes, *, is_json: bool) -> str | None:
    """A payload as readable JSON; ``None`` if it is damaged."""
    try:
        if is_json:
            json.loads(payload)
            return payload.decode("utf-8", "surrogatepass")
        return _core.to_json(payload)
    except (ValueError, RecursionError):  # an UnpicklingError is a ValueError
        return None


def _forms(entries: Iterator[stores.Entry]) -> dict[str, int]:
    """How many entries are JSON, how many are pickles of which protocol."""
    counts: Counter[str] = Counter()
    for entry in entries:
        if entry.payload is None:
            counts[entry.problem] += 1
        elif _core.format_of(entry.payload) == "json":
            counts["json"] += 1
        else:
            counts[f"pickle protocol {inspect(entry.payload).protocol}"] += 1
    return dict(counts.most_common())


def _status_text(found: dict[str, Any]) -> str:
    lines = [
        f"SESSION_ENGINE      {found['engine']}",
        f"SESSION_SERIALIZER  {found['serializer']}",
        f"writes              {found['format']}"
        + (f", protocol {found['protocol']}" if found["format"] == "pickle" else ""),
        f"reads               {'pickle and JSON' if found['read_pickle'] else 'JSON only'}",
        f"policy              {found['policy']}",
    ]
    if isinstance(found["newest"], str):
        lines.append(f"newest sessions     {found['newest']}")
    else:
        for store, forms in found["newest"].items():
            shown = ", ".join(f"{count} {form}" for form, count in forms.items()) or "none"
            lines.append(f"newest sessions     {shown} ({store})")
        if found["format"] == "json" and any(
            "pickle" in form for forms in found["newest"].values() for form in forms
        ):
            why = "pickles are not saved again yet, or an older process still writes"
            lines.append(f"{' ' * 20}{why}")
    for each in found["checks"]:
        lines += ["", f"{each['id']}: {each['text']}", f"  {each['hint']}"]
    if not found["checks"]:
        lines += ["", "No pickle is left in the way of a session, as far as the settings tell."]
    return "\n".join(lines)
