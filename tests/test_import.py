"""What `import plainpickle` brings with it: itself and its core; the rest at the first use."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import plainpickle

FOLDER = str(Path(plainpickle.__file__).parents[1])


def run(code: str) -> list[str]:
    """What `code` prints in an interpreter that has imported nothing yet."""
    start = f"import sys; before = set(sys.modules); sys.path.append({FOLDER!r})\n"
    command = [sys.executable, "-I", "-S", "-c", start + code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_the_import_brings_the_package_and_its_core_and_nothing_else() -> None:
    brought = run("import plainpickle; print(*sorted(set(sys.modules) - before))")
    assert brought == ["plainpickle", "plainpickle._core"]


def test_each_public_name_is_there_when_it_is_asked_for() -> None:
    names = run(
        """
import plainpickle
assert set(plainpickle.__all__) <= set(dir(plainpickle))
for name in plainpickle.__all__:
    value = getattr(plainpickle, name)
    assert vars(plainpickle)[name] is value
    print(name)
"""
    )
    assert names == plainpickle.__all__


def test_the_types_and_the_module_have_the_same_names() -> None:
    stub = ast.parse(Path(plainpickle.__file__).with_suffix(".pyi").read_text("utf-8"))
    (names,) = (
        ast.literal_eval(node.value)
        for node in stub.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    assert sorted(names) == sorted(plainpickle.__all__)


def test_a_function_is_not_hidden_by_a_module_that_is_imported_later() -> None:
    for path in Path(plainpickle.__file__).parent.glob("[a-z]*.py"):
        __import__(f"plainpickle.{path.stem}")
    for name in ("install", "inspect", "load", "dumps", "default_policy"):
        assert callable(getattr(plainpickle, name))


def test_a_name_that_is_not_public_is_an_attribute_error_as_of_any_module() -> None:
    module: Any = plainpickle
    with pytest.raises(AttributeError, match="module 'plainpickle' has no attribute 'safe_load'"):
        _ = module.safe_load
