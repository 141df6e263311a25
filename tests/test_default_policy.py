"""The default policy of a process: set once, or named by the environment or by pyproject.toml."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from plainpickle import PolicyError, set_default_policy

START = r"""
import io, os, threading
import plainpickle
from plainpickle import Policy, PolicyError, default_policy, profiles, set_default_policy
from plainpickle.session import SessionSerializer

CART = b"cshop\nCart\n)\x81}X\x01\0\0\0aK\x01sb."
SESSION = b"}X\x04\0\0\0cart" + CART[:-1] + b"s."

class Cart:
    pass
Cart.__module__, Cart.__qualname__ = "__main__", "Cart"

def raises(error, call, *args, **options):
    try:
        call(*args, **options)
    except error as caught:
        return str(caught)
    raise AssertionError(f"no {error.__name__}")

def admits_cart():
    try:
        return plainpickle.loads(CART) == {"a": 1}
    except plainpickle.ForbiddenGlobal:
        return False
"""
CART_POLICY = 'as_plain = ["shop.Cart"]\n'


def run(code: str, folder: Path, **environment: str) -> None:
    """Runs `code` in a process of its own, in `folder`; what fails there fails here."""
    clean = {key: value for key, value in os.environ.items() if key != "PLAINPICKLE_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", START + textwrap.dedent(code)],
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()


# ---- set in code


def test_without_a_word_it_is_profile_plain(tmp_path: Path) -> None:
    run(
        "assert default_policy() == Policy() == profiles.plain(); assert not admits_cart()",
        tmp_path,
    )


def test_what_is_set_holds_for_every_call_that_names_no_policy(tmp_path: Path) -> None:
    run(
        r"""
        policy = Policy().as_plain("shop.Cart", "__main__.Cart")
        set_default_policy(policy)
        assert default_policy() == policy
        assert plainpickle.loads(CART) == plainpickle.safe_loads(CART) == {"a": 1}
        assert plainpickle.load(io.BytesIO(CART)) == {"a": 1}
        assert plainpickle.Unpickler(io.BytesIO(CART)).load() == {"a": 1}
        assert plainpickle.loads(plainpickle.dumps(Cart())) == {}
        file = io.BytesIO()
        plainpickle.dump(Cart(), file)
        plainpickle.Pickler(file).dump(Cart())
        assert plainpickle.inspect(CART).verdict == "clean"
        assert SessionSerializer(on_forbidden="raise").loads(SESSION) == {"cart": {"a": 1}}
        assert plainpickle.loads(plainpickle.sanitize(CART)) == {"a": 1}
        """,
        tmp_path,
    )


def test_a_policy_that_a_call_names_comes_before_the_default(tmp_path: Path) -> None:
    run(
        """
        set_default_policy(Policy().as_plain("shop.Cart"))
        forbidden = plainpickle.ForbiddenGlobal
        raises(forbidden, plainpickle.loads, CART, policy=Policy())
        raises(forbidden, plainpickle.load, io.BytesIO(CART), policy=Policy())
        raises(forbidden, plainpickle.Unpickler(io.BytesIO(CART), policy=Policy()).load)
        strict = SessionSerializer(policy=Policy(), on_forbidden="raise")
        raises(forbidden, strict.loads, SESSION)
        raises(plainpickle.UnreadableValue, plainpickle.dumps, Cart(), policy=Policy())
        """,
        tmp_path,
    )


def test_it_is_set_once_and_an_equal_policy_again_is_no_change(tmp_path: Path) -> None:
    run(
        """
        set_default_policy(Policy().as_plain("shop.Cart", "shop.Line"))
        set_default_policy(Policy().as_plain("shop.Line").as_plain("shop.Cart"))
        for other in (Policy(), Policy().stub(), profiles.django()):
            assert "once" in raises(PolicyError, set_default_policy, other)
        assert default_policy() == Policy().as_plain("shop.Cart", "shop.Line")
        assert admits_cart()
        """,
        tmp_path,
    )


@pytest.mark.parametrize(
    "use",
    [
        "default_policy()",
        "plainpickle.loads(b'N.')",
        "plainpickle.load(io.BytesIO(b'N.'))",
        "plainpickle.dumps(1)",
        "SessionSerializer().loads(b'}.')",
    ],
)
def test_once_it_was_used_it_can_no_longer_be_set_to_another(use: str, tmp_path: Path) -> None:
    run(
        f"""
        {use}
        set_default_policy(Policy())
        raises(PolicyError, set_default_policy, Policy().as_plain("shop.Cart"))
        assert not admits_cart()
        """,
        tmp_path,
    )


def test_calls_that_name_their_policy_do_not_settle_the_default(tmp_path: Path) -> None:
    run(
        """
        plainpickle.loads(b"N.", policy=Policy())
        SessionSerializer(policy=Policy()).loads(b"}.")
        SessionSerializer()
        set_default_policy(Policy().as_plain("shop.Cart"))
        assert admits_cart()
        """,
        tmp_path,
    )


def test_a_serializer_that_was_made_before_takes_what_is_set_later(tmp_path: Path) -> None:
    run(
        """
        serializer = SessionSerializer(on_forbidden="raise")
        unpickler = plainpickle.Unpickler(io.BytesIO(CART))
        set_default_policy(Policy().as_plain("shop.Cart"))
        assert serializer.loads(SESSION) == {"cart": {"a": 1}}
        assert unpickler.load() == {"a": 1}
        """,
        tmp_path,
    )


@pytest.mark.parametrize("wrong", [None, "shop.Cart", {}, type])
def test_what_is_no_policy_cannot_be_the_default(wrong: object) -> None:
    with pytest.raises((TypeError, PolicyError)):
        set_default_policy(wrong)  # type: ignore[arg-type]


# ---- named by the environment, or by pyproject.toml


def test_a_file_that_the_environment_names_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "cart.toml").write_text(CART_POLICY, "ascii")
    code = 'assert default_policy() == Policy().as_plain("shop.Cart"); assert admits_cart()'
    run(code, tmp_path, PLAINPICKLE_POLICY=str(tmp_path / "cart.toml"))
    run(code, tmp_path, PLAINPICKLE_POLICY="cart.toml")
    run("assert not admits_cart()", tmp_path, PLAINPICKLE_POLICY="")


def test_a_file_that_pyproject_names_is_the_default_and_found_from_there(tmp_path: Path) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "cart.toml").write_text(CART_POLICY, "ascii")
    project = tmp_path / "pyproject.toml"
    project.write_text('[tool.plainpickle]\npolicy = "settings/cart.toml"\n', "ascii")
    run("assert admits_cart(); assert default_policy() != Policy()", tmp_path)
    run("assert not admits_cart()", tmp_path / "settings")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[project]\nname = 'shop'\n",
        "[project]\nname = 'shop'\ndependencies = ['plainpickle']\n",
        "[project\n",
        'tool = "plainpickle"\n',
        "[tool.other]\nplainpickle = 5\n",
    ],
)
def test_a_pyproject_that_names_no_file_changes_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text, "ascii")
    run("assert default_policy() == Policy(); assert not admits_cart()", tmp_path)


def test_the_order_is_what_was_set_then_the_environment_then_pyproject(tmp_path: Path) -> None:
    for name in ("set", "environment", "project"):
        (tmp_path / f"{name}.toml").write_text(f'as_plain = ["from.{name}.X"]\n', "ascii")
    project = tmp_path / "pyproject.toml"
    project.write_text('[tool.plainpickle]\npolicy = "project.toml"\n', "ascii")
    code = 'assert default_policy() == Policy().as_plain("from.{}.X"), default_policy()'
    run(code.format("project"), tmp_path)
    run(code.format("environment"), tmp_path, PLAINPICKLE_POLICY="environment.toml")
    run(
        'set_default_policy(Policy().as_plain("from.set.X"))\n' + code.format("set"),
        tmp_path,
        PLAINPICKLE_POLICY="environment.toml",
    )


BAD_PROJECTS: dict[str, str | bytes] = {
    "a file that is not there": '[tool.plainpickle]\npolicy = "missing.toml"\n',
    "a folder": '[tool.plainpickle]\npolicy = "folder.toml"\n',
    "another key": '[tool.plainpickle]\nprofile = "django"\n',
    "a misspelt key": '[tool.plainpickle]\npolicy = "cart.toml"\npolicies = "x"\n',
    "no text": "[tool.plainpickle]\npolicy = 5\n",
    "an empty text": '[tool.plainpickle]\npolicy = ""\n',
    "no table": "[tool]\nplainpickle = 5\n",
    "an empty table": "[tool.plainpickle]\n",
    "no TOML": "[tool.plainpickle\n",
    "other bytes": b"[tool.plainpickle]\npolicy = '\xff'\n",
}


@pytest.mark.parametrize("case", BAD_PROJECTS)
def test_a_bad_pyproject_is_a_policy_error_at_every_use(case: str, tmp_path: Path) -> None:
    content = BAD_PROJECTS[case]
    raw = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "cart.toml").write_text(CART_POLICY, "ascii")
    (tmp_path / "pyproject.toml").write_bytes(raw)
    run(
        """
        for _ in range(3):
            assert ".toml" in raises(PolicyError, default_policy)
            raises(PolicyError, plainpickle.loads, b"N.")
        """,
        tmp_path,
    )


@pytest.mark.parametrize(
    "content", ["", 'profile = "rails"', "as_plain = [", 'as_plain = ["os.system"]']
)
def test_a_bad_file_fails_closed_at_every_use_and_not_at_the_import(
    content: str, tmp_path: Path
) -> None:
    if content:
        (tmp_path / "policy.toml").write_text(content, "ascii")
    run(
        """
        for _ in range(3):
            assert "policy.toml" in raises(PolicyError, default_policy)
            for call in (
                lambda: plainpickle.loads(b"N."),
                lambda: plainpickle.load(io.BytesIO(b"N.")),
                lambda: plainpickle.Unpickler(io.BytesIO(b"N.")).load(),
                lambda: plainpickle.dumps(1),
                lambda: plainpickle.Pickler(io.BytesIO()).dump(1),
                lambda: SessionSerializer().loads(b"}."),
                lambda: SessionSerializer().loads(b"{}"),
                lambda: SessionSerializer().dumps({}),
                lambda: plainpickle.inspect(b"N."),
                lambda: plainpickle.sanitize(b"N."),
            ):
                raises(PolicyError, call)
        assert plainpickle.loads(b"N.", policy=Policy()) is None
        """,
        tmp_path,
        PLAINPICKLE_POLICY="policy.toml",
    )


def test_it_is_found_once_whatever_the_folder_or_the_environment_is_later(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "cart.toml").write_text(CART_POLICY, "ascii")
    (other / "pyproject.toml").write_text('[tool.plainpickle]\npolicy = "cart.toml"\n', "ascii")
    run(
        """
        assert default_policy() == Policy()
        os.chdir("other")
        assert default_policy() == Policy() and not admits_cart()
        os.environ["PLAINPICKLE_POLICY"] = "cart.toml"
        assert default_policy() == Policy() and not admits_cart()
        """,
        tmp_path,
    )
    run(
        """
        os.chdir("other")
        assert admits_cart()
        os.chdir("..")
        os.remove("other/cart.toml")
        assert admits_cart() and default_policy() == Policy().as_plain("shop.Cart")
        """,
        tmp_path,
    )


def test_threads_that_use_it_first_at_once_have_the_same_policy(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(CART_POLICY, "ascii")
    run(
        """
        found = []
        barrier = threading.Barrier(8)
        def use():
            barrier.wait()
            found.append((default_policy(), plainpickle.loads(CART)))
        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert found == [(Policy().as_plain("shop.Cart"), {"a": 1})] * 8, found
        """,
        tmp_path,
        PLAINPICKLE_POLICY="policy.toml",
    )


def test_a_module_that_a_policy_file_imports_may_itself_read_a_pickle(tmp_path: Path) -> None:
    """It does so before there is a policy: an error that says so, and no endless loop."""
    (tmp_path / "shop.py").write_text(
        "import plainpickle\nplainpickle.loads(b'N.')\nclass Cart: pass\n", "ascii"
    )
    (tmp_path / "policy.toml").write_text('[register]\n"shop.Cart" = "shop:Cart"\n', "ascii")
    run(
        """
        import sys
        sys.path.insert(0, ".")
        raises(PolicyError, default_policy)
        """,
        tmp_path,
        PLAINPICKLE_POLICY="policy.toml",
    )
