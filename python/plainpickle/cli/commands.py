"""The commands of `plainpickle` and their options: the only place in the package that prints."""

from __future__ import annotations

import json
from typing import NoReturn

import click

import plainpickle as library
from plainpickle import _core, profiles
from plainpickle.cli import scan as scanning
from plainpickle.cli.source import read
from plainpickle.cli.terminal import console, escaped_json, escaped_lines, escaped_text

_PROFILES = {"plain": profiles.plain, "django": profiles.django, "flask": profiles.flask}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(library.__version__, prog_name="plainpickle")
def plainpickle() -> None:
    """Look into pickles without executing anything in them."""


@plainpickle.command(short_help="Print a pickle as readable JSON.")
@click.argument("file", metavar="FILE")
def show(file: str) -> None:
    """Print the content of the pickle FILE ("-" is standard input) as readable JSON.

    Objects of unknown classes show as their name and state. Exit code: 0 shown, 1 refused,
    2 malformed or unreadable.
    """
    try:
        text = escaped_json(_core.to_json(read(file)))
    except library.UnpicklingError as error:
        _fail(file, str(error), 2 if isinstance(error, library.MalformedPickle) else 1)
    except OSError as error:
        _fail(file, error.strerror or type(error).__name__, 2)
    terminal = console()
    if terminal is None:
        click.echo(text)
        return
    from rich.highlighter import JSONHighlighter  # noqa: PLC0415 - loaded only for a terminal

    terminal.print(JSONHighlighter()(text), soft_wrap=True)


@plainpickle.command(short_help="Say which files are clean, and what the others name.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--profile",
    type=click.Choice(list(_PROFILES)),
    default="plain",
    show_default=True,
    help="Which policy judges the globals.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each file.")
@click.pass_context
def scan(context: click.Context, files: tuple[str, ...], profile: str, as_json: bool) -> None:
    """Say of each pickle FILE ("-" is standard input) what it names and whether it would load.

    Exit code: 0 all clean, 1 any refused, 2 any malformed or unreadable and none refused.
    """
    policy = _PROFILES[profile]()
    terminal = None if as_json else console()
    findings = []
    for file in files:
        finding = scanning.scan(file, policy)
        findings.append(finding)
        if as_json:
            click.echo(json.dumps(finding.to_dict()))
        elif terminal is None:
            click.echo("\n".join(scanning.plain_lines(finding)))
        else:
            scanning.print_rich(finding, terminal)
    if len(findings) > 1 and not as_json:
        click.echo(scanning.closing_line(findings))
    context.exit(scanning.exit_code(findings))


def _fail(file: str, reason: str, code: int) -> NoReturn:
    click.echo(f"plainpickle: {escaped_text(file)}: {escaped_lines(reason)}", err=True)
    raise SystemExit(code)
