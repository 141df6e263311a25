"""The installed wheel: what is in it, and that it is what the tests run on."""

from __future__ import annotations

import sysconfig
from importlib import metadata
from pathlib import Path

import plainpickle

FILES = metadata.files("plainpickle") or []


def test_the_tests_run_on_the_installed_wheel_and_not_on_the_source_tree() -> None:
    assert Path(plainpickle.__file__).parent == Path(sysconfig.get_path("platlib")) / "plainpickle"


def test_the_wheel_needs_no_other_package() -> None:
    required = metadata.requires("plainpickle") or []
    assert [line for line in required if "extra ==" not in line] == []


def test_the_wheel_holds_the_package_its_types_and_its_licences_and_nothing_else() -> None:
    tops = {file.parts[0].partition("-")[0] for file in FILES}
    assert tops - {".."} == {"plainpickle"}  # "..": the command, in the folder of scripts
    names = {file.name for file in FILES}
    assert {"py.typed", "_core.pyi", "LICENSE-MIT", "LICENSE-APACHE"} <= names
    assert not [file for file in FILES if "tests" in file.parts or "corpus" in file.parts]


def test_the_version_is_stated_once() -> None:
    assert metadata.version("plainpickle") == plainpickle.__version__
