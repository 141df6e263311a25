"""Runs every attack case in this process, under the canary; the two demo payloads come first."""

from __future__ import annotations

import faulthandler
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import plainpickle
from tests.attacks.canary import watching
from tests.attacks.case import SECRET, Case
from tests.attacks.check import check, warm_up
from tests.attacks.families import CASES
from tests.attacks.families.demo import ONE_LINE, SYSTEM, Demo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 120


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    warm_up()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder, and an end with a traceback for a case that hangs."""
    monkeypatch.chdir(tmp_path)
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    yield tmp_path
    faulthandler.cancel_dump_traceback_later()


def refuses(payload: bytes, name: str, folder: Path) -> None:
    with watching(folder), pytest.raises(plainpickle.ForbiddenGlobal) as caught:
        plainpickle.safe_loads(payload)
    assert caught.value.name == name
    assert name in str(caught.value)


def echoes(payload: bytes) -> str:
    """What stock pickle prints when it loads this, in a throw-away process."""
    code = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
    return subprocess.run(
        [sys.executable, "-c", code], input=payload, capture_output=True, check=True, timeout=60
    ).stdout.decode()


def test_one_line_demo_payload_is_refused_and_not_executed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refuses(ONE_LINE, "os.system", folder)
    assert capfd.readouterr().out == ""
    assert echoes(ONE_LINE).strip() == "vulnerable_to_rce"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_reduce_demo_payload_is_refused_and_not_executed(
    protocol: int, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    payload = pickle.dumps(Demo(), protocol)
    refuses(payload, SYSTEM, folder)
    assert capfd.readouterr().out == ""
    assert echoes(payload).strip() == "vulnerable_to_rce"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.full_id)
def test_attack_ends_in_a_refusal_or_a_harmless_value(case: Case, folder: Path) -> None:
    check(case, folder)


def test_ids_are_unique() -> None:
    assert len({case.full_id for case in CASES}) == len(CASES)


def test_canary_sees_what_it_is_there_for(folder: Path) -> None:
    """Each of these would be seen if the decoder did it."""
    for act in (
        lambda: eval("1 + 1"),
        lambda: subprocess.run([sys.executable, "--version"], check=True, capture_output=True),
        lambda: (folder / "made").write_text(SECRET, "ascii"),
        lambda: pickle.loads(b"cos\ngetcwd\n)R."),
        lambda: sys.modules.update(attack=sys),
    ):
        with pytest.raises(AssertionError), watching(folder):
            act()
        sys.modules.pop("attack", None)
        (folder / "made").unlink(missing_ok=True)
