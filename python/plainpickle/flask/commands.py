"""`flask plainpickle check` and `flask plainpickle inventory`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup

from plainpickle import PolicyError, profiles
from plainpickle.flask.checks import findings
from plainpickle.flask.stores import NotListable, count, payloads
from plainpickle.inventory import Inventory

CLEAN, FOUND, ERROR = 0, 1, 2
_PROGRESS = 1000

commands = AppGroup("plainpickle", help="Look for pickles in this app, and for weak sessions.")


@commands.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print a list of JSON objects.")
def check(as_json: bool) -> None:
    """Say what is wrong in this app as it is configured, and the line to write.

    Exit code: 0 nothing found, 1 something found.
    """
    found = findings(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001
    if as_json:
        click.echo(json.dumps([each.to_dict() for each in found], indent=1))
    else:
        for each in found:
            click.echo(f"{each.id}: {each.message}\n    {each.line}")
        click.echo(f"{len(found)} found" if found else "nothing found")
    raise SystemExit(FOUND if found else CLEAN)


@commands.command("inventory")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--write-policy",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write a draft of a policy that admits every harmless name which was found.",
)
def inventory(as_json: bool, write_policy: str | None) -> None:
    """Count what the sessions in this app's store hold; nothing is executed or changed.

    Exit code: 0 done, 1 a name was found that runs code, 2 the store can't be listed.
    """
    app: Any = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    extension = app.extensions.get("plainpickle")
    counted = Inventory(policy=extension.policy if extension else profiles.flask())
    try:
        for place, payload in payloads(app):
            count(counted, place, payload)
            if counted.payloads % _PROGRESS == 0 and sys.stderr.isatty():
                click.echo(f"\r{counted.payloads} sessions", nl=False, err=True)
    except NotListable as error:
        click.echo(f"plainpickle: {error}", err=True)
        raise SystemExit(ERROR) from None
    if sys.stderr.isatty():
        click.echo("\r", nl=False, err=True)
    click.echo(json.dumps(counted.to_dict(), indent=1) if as_json else counted.to_text())
    if write_policy is not None:
        try:
            Path(write_policy).write_text(counted.proposed_policy().to_toml(), "utf-8")
        except (OSError, PolicyError) as error:
            click.echo(f"plainpickle: {error}", err=True)
            raise SystemExit(ERROR) from None
    raise SystemExit(FOUND if counted.alarms else CLEAN)
