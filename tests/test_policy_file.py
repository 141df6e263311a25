"""Policy files: what each key does, what is wrong with a bad one; policies compared by value."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path
from typing import Any

import pytest

import plainpickle
from plainpickle import ForbiddenGlobal, Policy, PolicyError, Stub, loads, profiles

HERE = __name__
CONSTANT = 5


class Cart:
    def __init__(self, **state: Any) -> None:
        vars(self).update(state)

    class Line:
        """A nested class."""


def rebuilt(*args: Any) -> list[Any]:
    return list(args)


CART = b"cold.shop\nCart\n)\x81}X\x01\0\0\0aK\x01sb."


def policy_of(folder: Path, text: str) -> Policy:
    path = folder / "policy.toml"
    path.write_text(text, "utf-8")
    return Policy.from_file(path)


# ---- what the keys do


def test_an_empty_file_is_profile_plain(tmp_path: Path) -> None:
    for text in ("", "# nothing\n", 'profile = "plain"\nas_plain = []\nstub = false\n[register]\n'):
        assert policy_of(tmp_path, text) == Policy()


def test_a_path_may_be_text_too(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("stub = true\n", "ascii")
    assert Policy.from_file(str(path)) == Policy.from_file(path) == Policy().stub()


def test_as_plain_admits_each_name(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, 'as_plain = ["old.shop.Cart", "shop.cart.Line"]')
    assert policy == Policy().as_plain("shop.cart.Line").as_plain("old.shop.Cart")
    assert loads(CART, policy=policy) == {"a": 1}


def test_register_imports_what_takes_the_place_of_a_name(tmp_path: Path) -> None:
    text = f"""
    [register]
    "old.shop.Cart" = "{HERE}:Cart"
    "old.shop.Line" = "{HERE}:Cart.Line"
    "old.shop.make" = "{HERE}:rebuilt"
    """
    policy = policy_of(tmp_path, text)
    cart = loads(CART, policy=policy)
    assert (type(cart), vars(cart)) == (Cart, {"a": 1})
    assert type(loads(b"cold.shop\nLine\n)\x81.", policy=policy)) is Cart.Line
    assert loads(b"cold.shop\nmake\nK\x01K\x02\x86R.", policy=policy) == [1, 2]


def test_stub_makes_stubs(tmp_path: Path) -> None:
    assert type(loads(CART, policy=policy_of(tmp_path, "stub = true"))) is Stub


@pytest.mark.parametrize("profile", ["plain", "django", "flask"])
def test_a_profile_is_named(profile: str, tmp_path: Path) -> None:
    pytest.importorskip("django")
    policy = policy_of(tmp_path, f'profile = "{profile}"\nas_plain = ["shop.Cart"]')
    assert policy == getattr(profiles, profile)().as_plain("shop.Cart")


def test_a_profile_gives_the_frameworks_own_classes(tmp_path: Path) -> None:
    markupsafe = pytest.importorskip("markupsafe")
    data = pickle.dumps(markupsafe.Markup("<b>"))
    assert type(loads(data, policy=policy_of(tmp_path, 'profile = "flask"'))) is markupsafe.Markup
    assert type(loads(data, policy=policy_of(tmp_path, ""))) is str


# ---- round trip

ROUND_TRIPS = {
    "plain": Policy(),
    "stub": Policy().stub(),
    "as_plain": Policy().as_plain("shop.Cart", "shop.cart.Line", "boltok.Kosár", "shop.𠀀"),
    "register": Policy().register(Cart).register("old.shop.Cart", build=Cart),
    "nested": Policy().register("old.shop.Line", build=Cart.Line),
    "function": Policy().register("old.shop.make", build=rebuilt),
    "registered twice": Policy().register("a.B", build=Cart).register("a.B", build=rebuilt),
    "all": Policy().as_plain("shop.Cart").register(Cart).stub(),
    "django": profiles.django().as_plain("shop.Cart"),
    "flask": profiles.flask().register("old.shop.Cart", build=Cart).stub(),
}


@pytest.mark.parametrize("case", ROUND_TRIPS)
def test_a_policy_comes_back_from_its_own_file(case: str, tmp_path: Path) -> None:
    policy = ROUND_TRIPS[case]
    again = policy_of(tmp_path, policy.to_toml())
    assert again == policy
    assert again.to_toml() == policy.to_toml()
    assert outcome(again) is outcome(policy)


def outcome(policy: Policy) -> type:
    try:
        return type(loads(CART, policy=policy))
    except ForbiddenGlobal as error:
        return type(error)


def test_a_file_says_the_same_whatever_the_order_of_the_rules() -> None:
    one = Policy().as_plain("a.B", "c.D").register("x.Y", build=Cart).register("x.Z", build=rebuilt)
    other = (
        Policy().register("x.Z", build=rebuilt).register("x.Y", build=Cart).as_plain("c.D", "a.B")
    )
    assert one == other
    assert one.to_toml() == other.to_toml()


def test_what_a_file_cannot_name_is_said(tmp_path: Path) -> None:
    class Local:
        pass

    hidden = type("Cart", (), {"__module__": HERE})
    for target in (Local, lambda: 0, hidden):
        with pytest.raises(PolicyError, match=r"old\.shop\.Cart"):
            Policy().register("old.shop.Cart", build=target).to_toml()


# ---- what is wrong

WRONG: dict[str, tuple[str, list[str]]] = {
    "unknown key": ('as_plan = ["shop.Cart"]', ["as_plan", "as_plain"]),
    "unknown table": ("[limits]\nmax_depth = 5", ["limits"]),
    "profile of another type": ("profile = 5", ["profile"]),
    "unknown profile": ('profile = "rails"', ["profile", "rails", "django"]),
    "profile of another case": ('profile = "Django"', ["profile", "Django"]),
    "one name without a list": ('as_plain = "shop.Cart"', ["as_plain", "list"]),
    "a name that is none": ('as_plain = ["shop.Cart", 5]', ["as_plain"]),
    "a wildcard": ('as_plain = ["shop.*"]', ["as_plain", "shop.*"]),
    "a prefix": ('as_plain = ["shop."]', ["as_plain", "shop."]),
    "a name that hands over code": ('as_plain = ["os.system"]', ["as_plain", "os.system"]),
    "stub as text": ('stub = "yes"', ["stub", "true or false"]),
    "stub as a number": ("stub = 1", ["stub"]),
    "register is no table": ("register = []", ["register"]),
    "register to a number": ('[register]\n"shop.Cart" = 5', ["register", "shop.Cart"]),
    "an unquoted name": ('[register]\nshop.Cart = "x:y"', ["register", "shop", "quote"]),
    "a refused name": (f'[register]\n"builtins.eval" = "{HERE}:Cart"', ["builtins.eval"]),
    "no module": ('[register]\n"shop.Cart" = "no_such_module:Cart"', ["no_such_module"]),
    "no object": (f'[register]\n"shop.Cart" = "{HERE}:NoSuch"', ["shop.Cart", "NoSuch"]),
    "no colon": (f'[register]\n"shop.Cart" = "{HERE}.Cart"', ["shop.Cart", "module:object"]),
    "nothing before the colon": ('[register]\n"shop.Cart" = ":Cart"', ["shop.Cart"]),
    "nothing after the colon": (f'[register]\n"shop.Cart" = "{HERE}:"', ["shop.Cart"]),
    "a relative module": ('[register]\n"shop.Cart" = ".cart:Cart"', ["shop.Cart"]),
    "a constant": (f'[register]\n"shop.Cart" = "{HERE}:CONSTANT"', ["shop.Cart"]),
    "code as a target": ('[register]\n"shop.Cart" = "os:system"', ["shop.Cart", "os:system"]),
    "a builtin as a target": ('[register]\n"shop.Cart" = "builtins:eval"', ["shop.Cart"]),
    "a module that fails": ('[register]\n"shop.Cart" = "fails_on_import:Cart"', ["shop.Cart"]),
    "no TOML": ("profile = plain", ["line 1"]),
    "a line that is open": ('stub = false\nas_plain = ["shop.Cart"\n[register]', ["line 3"]),
    "a key twice": ("stub = true\n\nstub = false", ["line 3"]),
    "a date": ("profile = 1979-05-27", ["profile"]),
    "an infinity": ("stub = inf", ["stub"]),
    "a huge number": ("stub = 123456789012345678901234567890", []),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_bad_file_is_an_error_that_names_the_file_the_key_and_what_is_wrong(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fails_on_import.py").write_text("1 / 0\n", "ascii")
    monkeypatch.syspath_prepend(tmp_path)
    text, fragments = WRONG[case]
    with pytest.raises(PolicyError) as caught:
        policy_of(tmp_path, text)
    message = str(caught.value)
    assert str(tmp_path / "policy.toml") in message
    assert [fragment for fragment in fragments if fragment not in message] == []


def test_the_cause_of_a_failed_import_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "divides_on_import.py").write_text("1 / 0\n", "ascii")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PolicyError) as caught:
        policy_of(tmp_path, '[register]\n"shop.Cart" = "divides_on_import:Cart"')
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "division by zero" in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_an_error_that_names_it(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_bytes(b'profile = "\xff"')
    for path in (tmp_path / "missing.toml", tmp_path, other):
        with pytest.raises(PolicyError) as caught:
            Policy.from_file(path)
        assert str(path) in str(caught.value)


# ---- comparison


def test_policies_of_the_same_rules_are_equal_and_have_one_hash() -> None:
    pairs = [
        (Policy(), profiles.plain()),
        (Policy().as_plain("a.B", "c.D"), Policy().as_plain("c.D").as_plain("a.B")),
        (Policy().as_plain("a.B", "a.B"), Policy().as_plain("a.B")),
        (Policy().register(Cart), Policy().register(f"{HERE}.Cart", build=Cart)),
        (Policy().stub().stub(), Policy().stub()),
        (Policy().stub().as_plain("a.B"), Policy().as_plain("a.B").stub()),
        (profiles.django(), profiles.django()),
    ]
    for one, other in pairs:
        assert one == other
        assert hash(one) == hash(other)
        assert len({one, other}) == 1


def test_policies_of_other_rules_differ() -> None:
    policies: list[Any] = [
        Policy(),
        Policy().stub(),
        Policy().as_plain("a.B"),
        Policy().as_plain("a.B", "a.C"),
        Policy().register("a.B", build=Cart),
        Policy().register("a.B", build=rebuilt),
        Policy().register("a.C", build=Cart),
        profiles.django(),
        profiles.flask(),
        "a.B",
        None,
    ]
    assert len(set(policies)) == len(policies)
    for n, one in enumerate(policies):
        assert [one == other for other in policies].index(True) == n


def test_what_a_policy_registers_can_be_asked_and_not_changed() -> None:
    policy = Policy().register("old.shop.Cart", build=Cart)
    assert dict(policy.registered) == {"old.shop.Cart": Cart}
    with pytest.raises((TypeError, AttributeError)):
        policy.registered = {}  # type: ignore[misc]
    with contextlib.suppress(TypeError):
        policy.registered["x.Y"] = Cart  # type: ignore[index]
    assert dict(policy.registered) == {"old.shop.Cart": Cart}
    with pytest.raises(plainpickle.ForbiddenGlobal):
        loads(b"cx\nY\n)\x81.", policy=policy)
