"""The command `plainpickle` as a user runs it: the installed script in a process of its own."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import sysconfig
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import plainpickle

COMMAND = Path(sysconfig.get_path("scripts")) / "plainpickle"
RCE = b"cos\nsystem\n(S'echo vulnerable_to_rce'\ntR."
PLAIN = pickle.dumps({"user": "zoé", "since": datetime(2019, 3, 4, 5, 6, 7)}, protocol=4)


def run(
    *arguments: str | Path, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONUTF8": "1", **environment},
    )


def run_on_terminal(*arguments: str | Path, **environment: str) -> str:
    """Run the command with a terminal as its standard output and return what reached it."""
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        env={**clean, "TERM": "xterm", "COLUMNS": "100", **environment},
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # how Linux reports that the other end was closed
        pass
    finally:
        os.close(ours)
        process.wait(60)
    return shown.decode()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Return one file of each verdict, and one that is not there."""
    contents = {
        "plain": PLAIN,
        "rce": RCE,
        "cut": PLAIN[:-1],
        "rce_cut": RCE[:-1],
        "other": pickle.dumps(2),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in [*contents, "absent"]}


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["plain"], 0),
        (["plain", "other"], 0),
        (["rce"], 1),
        (["plain", "rce"], 1),
        (["rce_cut"], 1),
        (["cut"], 2),
        (["absent"], 2),
        (["plain", "cut"], 2),
        (["cut", "rce", "absent"], 1),
    ],
)
def test_scan_exits_0_if_all_are_clean_1_if_any_is_refused_2_if_any_cannot_be_judged(
    files: dict[str, Path], names: list[str], code: int
) -> None:
    assert run("scan", *(files[name] for name in names)).returncode == code


def test_scan_names_each_global_with_count_offset_and_whether_it_is_allowed(
    files: dict[str, Path],
) -> None:
    done = run("scan", files["plain"], files["rce"])
    lines = done.stdout.decode().splitlines()
    assert lines[0] == f"{files['plain']}: clean, protocol 4, {len(PLAIN)} bytes"
    offset = plainpickle.inspect(PLAIN).globals[0].offsets[0]
    assert lines[1].split() == ["allowed", "datetime.datetime", "1", "time", "at", str(offset)]
    rce = lines.index(f"{files['rce']}: refused, protocol 0, {len(RCE)} bytes")
    assert lines[rce + 1].split() == ["forbidden", "os.system", "1", "time", "at", "0"]
    assert "os.system" in lines[rce + 2]
    assert lines[-1] == "2 files: 1 clean, 1 refused"
    assert b"vulnerable_to_rce" not in done.stdout + done.stderr


def test_scan_lists_the_globals_after_a_refused_one_too(tmp_path: Path) -> None:
    (tmp_path / "two").write_bytes(b"(cos\nsystem\ncposix\npopen\nl.")
    shown = run("scan", tmp_path / "two").stdout.decode()
    assert "os.system" in shown
    assert "posix.popen" in shown


def test_scan_json_is_one_object_a_line_with_a_schema_version(files: dict[str, Path]) -> None:
    done = run("scan", "--json", *files.values())
    found: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["file"] for one in found] == [str(file) for file in files.values()]
    assert {one["schema"] for one in found} == {1}
    verdicts = {Path(one["file"]).name: one["verdict"] for one in found}
    assert verdicts == {
        "plain": "clean",
        "rce": "refused",
        "cut": "malformed",
        "rce_cut": "refused",
        "other": "clean",
        "absent": "unreadable",
    }
    [system] = found[list(files).index("rce")]["globals"]
    assert (system["module"], system["name"]) == ("os", "system")
    assert (system["count"], system["offsets"], system["allowed"]) == (1, [0], False)
    assert done.returncode == 1


def test_scan_reads_standard_input_where_the_file_is_a_dash() -> None:
    assert run("scan", "-", stdin=RCE).returncode == 1
    assert run("scan", "-", stdin=PLAIN).stdout.startswith(b"-: clean")


@pytest.mark.parametrize("profile", ["plain", "django", "flask"])
def test_scan_takes_the_policy_from_the_profile(files: dict[str, Path], profile: str) -> None:
    assert run("scan", "--profile", profile, files["plain"]).returncode == 0
    assert run("scan", "--profile", profile, files["rce"]).returncode == 1


def test_scan_of_a_folder_is_an_error_that_says_so(tmp_path: Path) -> None:
    done = run("scan", tmp_path)
    assert done.returncode == 2
    assert done.stdout.startswith(f"{tmp_path}: unreadable".encode())


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs an endless file")
def test_scan_of_an_endless_file_stops_at_the_size_limit() -> None:
    done = run("scan", "/dev/zero")
    assert done.returncode == 1
    assert b"max_bytes" in done.stdout


HOSTILE_NAME = "o\x1b[31ms\u202e[bold]\x07"


def test_no_terminal_sequence_of_the_input_reaches_the_output(tmp_path: Path) -> None:
    """Module, name, text and file name may each hold control characters and rich's markup."""
    name = HOSTILE_NAME.encode()
    payloads = {
        "name\x1b[2J": b"c" + name + b"\n" + name + b"\n.",
        "text": pickle.dumps([HOSTILE_NAME, "\x9b31m", "\x7f"]),
        "state": b"\x80\x02c" + name + b"\nx\n)\x81}X\x01\x00\x00\x00\x1bK\x01sb.",
    }
    for file, payload in payloads.items():
        (tmp_path / file).write_bytes(payload)
        for command in (["scan"], ["scan", "--json"], ["show"]):
            done = run(*command, tmp_path / file)
            for shown in (done.stdout.decode(), done.stderr.decode()):
                unsafe = [c for c in shown if c != "\n" and not c.isprintable()]
                assert unsafe == [], (command, file)
            assert b"Traceback" not in done.stderr


def test_a_look_alike_letter_in_a_global_is_shown_as_an_escape(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes("cc\u043ellections\ndeque\n.".encode())
    assert b"c\\u{43e}llections.deque" in run("scan", tmp_path / "file").stdout


def test_show_prints_the_content_as_json() -> None:
    done = run("show", "-", stdin=pickle.dumps({"zoé": [1, None, True, "x"]}))
    assert json.loads(done.stdout) == {"zoé": [1, None, True, "x"]}
    assert "zoé" in done.stdout.decode()
    assert done.returncode == 0


def test_show_escapes_without_changing_the_value() -> None:
    text = '\x1b[31m \x7f \u202e \U000e0041 \\ " é 😀'
    done = run("show", "-", stdin=pickle.dumps(text))
    assert json.loads(done.stdout) == text
    assert "é 😀" in done.stdout.decode()


def test_show_escapes_what_the_output_cannot_encode() -> None:
    done = run("show", "-", stdin=pickle.dumps("é 😀"), PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.stdout.strip() == b'"\\u00e9 \\ud83d\\ude00"'


def test_show_reads_the_state_of_an_unknown_object_and_runs_nothing() -> None:
    done = run("show", "-", stdin=RCE)
    assert b"os.system" in done.stdout
    assert not done.stdout.startswith(b"vulnerable_to_rce")
    assert done.returncode == 0


@pytest.mark.parametrize("payload", [b"", b"garbage", PLAIN[:-1]], ids=["empty", "text", "cut"])
def test_show_of_a_damaged_pickle_exits_2_with_the_reason_on_standard_error(payload: bytes) -> None:
    done = run("show", "-", stdin=payload)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"plainpickle: -: ")


def test_show_of_an_absent_file_exits_2(tmp_path: Path) -> None:
    done = run("show", tmp_path / "absent")
    assert done.returncode == 2
    assert b"No such file" in done.stderr


def test_a_terminal_gets_colour_unless_no_color_is_set(files: dict[str, Path]) -> None:
    coloured = run_on_terminal("scan", files["plain"], files["rce"])
    assert "\x1b[1;31mrefused" in coloured
    plain = run_on_terminal("scan", files["plain"], files["rce"], NO_COLOR="1")
    assert "\x1b" not in plain
    assert "os.system" in plain
    assert "\x1b" not in run("scan", files["rce"]).stdout.decode()


def test_a_terminal_shows_the_markup_of_a_name_as_text(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"c[red]os\n\x1b[31msystem[/red]\n.")
    shown = run_on_terminal("scan", tmp_path / "file", NO_COLOR="1")
    assert "[red]os.\\u{1b}[31msystem[/red]" in shown
    assert "\x1b" not in shown


def test_version_is_that_of_the_package() -> None:
    assert run("--version").stdout.decode().split()[-1] == plainpickle.__version__


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_the_command_says_what_to_install(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; import plainpickle.cli as c; c.main()"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert b'pip install "plainpickle[cli]"' in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_library_does_not_load_click_or_rich() -> None:
    code = "import plainpickle, sys; assert not {'click', 'rich'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
