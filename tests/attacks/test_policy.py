"""Attacks on the configuration: policies that would hand over code can't be made."""

from __future__ import annotations

import builtins
import functools
import importlib
import marshal
import operator
import os
import pickle
import subprocess
import sys
import types
from typing import Any

import pytest

import plainpickle
from tests.attacks.ops import Raw, glob, new, pickled, push, reduced

WILDCARDS = (
    "shop.*", "shop.", "shop", "*", "*.*", "", ".", ".Cart", "shop..Cart", "shop.cart.",
    "shop.cart.*Cart", "shop.?art", "shop.[abc]", "shop.Cart*",
    "shop/cart.Cart", "shop.Ca rt", " shop.Cart", "shop.Cart\n", "shop.Cart\0", "shop.cart:Cart*",
    "^shop\\..*$", "shop.%",
)  # fmt: skip
CODE = (
    "builtins.eval", "builtins.exec", "builtins.compile", "builtins.getattr", "builtins.setattr",
    "builtins.__import__", "builtins.open", "builtins.type", "builtins.map",
    "__builtin__.eval", "__builtin__.apply", "__builtin__.getattr", "os.system", "posix.system",
    "nt.system", "os.popen", "subprocess.Popen", "subprocess.call", "pickle.loads", "_pickle.loads",
    "cPickle.loads",
    "marshal.loads", "functools.partial", "functools.reduce", "_functools.partial",
    "operator.attrgetter", "operator.methodcaller", "_operator.methodcaller",
    "importlib.import_module", "pkgutil.resolve_name",
    "types.FunctionType", "types.CodeType", "types.MethodType", "ctypes.CDLL",
    "copyreg.add_extension", "weakref.finalize", "runpy.run_path", "pty.spawn", "timeit.timeit",
    "code.interact", "dill.loads", "cloudpickle.loads",
)  # fmt: skip
CODE_OBJECTS: tuple[Any, ...] = (
    eval, exec, compile, getattr, setattr, __import__, open, type, map, os.system, subprocess.Popen,
    subprocess.call, pickle.loads, pickle.load, pickle.Unpickler, marshal.loads,
    functools.partial, functools.reduce, operator.attrgetter, operator.methodcaller,
    importlib.import_module, types.FunctionType, types.CodeType, types.MethodType, builtins.vars,
    functools.partial(int), lambda *args: args, sys, os, 5, None, "", operator.attrgetter("real"),
    [].append, object(),
)  # fmt: skip


@pytest.mark.parametrize("name", WILDCARDS)
def test_a_policy_has_no_wildcards_prefixes_or_broken_names(name: str) -> None:
    for make in (
        plainpickle.Policy().as_plain,
        lambda n: plainpickle.Policy().register(n, build=dict),
    ):
        with pytest.raises(plainpickle.PolicyError):
            make(name)


@pytest.mark.parametrize("name", CODE)
def test_a_name_that_hands_over_code_is_refused_with_a_reason(name: str) -> None:
    for make in (
        plainpickle.Policy().as_plain,
        lambda n: plainpickle.Policy().register(n, build=dict),
    ):
        with pytest.raises(plainpickle.PolicyError, match=r".{20,}"):
            make(name)


@pytest.mark.parametrize(
    "value", CODE_OBJECTS, ids=lambda value: repr(value)[:40].split(" at 0x")[0]
)
def test_an_object_that_hands_over_code_cannot_be_registered(value: Any) -> None:
    with pytest.raises((plainpickle.PolicyError, TypeError)):
        plainpickle.Policy().register(value)


@pytest.mark.parametrize(
    "build",
    [
        eval,
        exec,
        os.system,
        getattr,
        pickle.loads,
        functools.partial,
        subprocess.Popen,
        5,
        "shop.cart",
    ],
    ids=repr,
)
def test_a_build_that_hands_over_code_cannot_be_registered(build: Any) -> None:
    with pytest.raises((plainpickle.PolicyError, TypeError)):
        plainpickle.Policy().register("shop.cart.Cart", build=build)


@pytest.mark.parametrize(
    "name",
    ["datetime.datetime", "uuid.UUID", "builtins.dict", "_codecs.encode", "copyreg._reconstructor"],
)
def test_a_known_name_keeps_its_validation_when_it_is_named_again(name: str) -> None:
    """A policy that names it again is refused, or changes nothing for the worse."""
    try:
        policy = plainpickle.Policy().as_plain(name)
    except plainpickle.PolicyError:
        return
    payload = pickled(reduced(name, Raw(glob("os.system") + push(("true",)) + b"R")))
    with pytest.raises(plainpickle.ForbiddenGlobal):
        plainpickle.safe_loads(payload, policy=policy)


def test_a_policy_is_immutable_and_making_another_leaves_it_as_it_was() -> None:
    policy = plainpickle.Policy()
    policy.as_plain("shop.Cart")
    policy.stub()
    with pytest.raises(plainpickle.ForbiddenGlobal):
        plainpickle.safe_loads(pickled(new("shop.Cart")), policy=policy)
    for attempt in (
        lambda: setattr(policy, "unknown", "stub"),
        lambda: policy.__dict__.update(a=1),
    ):
        with pytest.raises((AttributeError, TypeError)):
            attempt()  # type: ignore[no-untyped-call]


def test_a_name_given_to_a_policy_admits_that_name_only() -> None:
    policy = plainpickle.Policy().as_plain("shop.Cart")
    assert plainpickle.safe_loads(
        pickled(Raw(new("shop.Cart") + push({"a": 1}) + b"b")), policy=policy
    ) == {"a": 1}
    for name in (
        "shop.cart",
        "shop.Cart2",
        "shop.Car",
        "shop.Cart.x",
        "shop:Cart.__init__",
        "shopx.Cart",
        "shop:Cart\0",
        "x.shop.Cart",
        "os.system",
    ):
        with pytest.raises(plainpickle.ForbiddenGlobal):
            plainpickle.safe_loads(pickled(new(name)), policy=policy)


def test_as_plain_and_stub_never_import_what_they_admit() -> None:
    before = set(sys.modules)
    for policy in (plainpickle.Policy().as_plain("antigravity.Cart"), plainpickle.Policy().stub()):
        plainpickle.safe_loads(pickled(new("antigravity.Cart")), policy=policy)
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    "wrong",
    [{"max_bytes": -1}, {"max_depth": "5"}, {"max_memory": 1.5}, {"no_such_limit": 1}],
    ids=repr,
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        plainpickle.safe_loads(b"N.", limits=plainpickle.Limits(**wrong))


@pytest.mark.parametrize(
    "policy", [5, "plain", {"shop.Cart": 1}, [], object()], ids=lambda value: type(value).__name__
)
def test_a_policy_of_another_type_is_a_type_error_and_nothing_is_loaded(policy: Any) -> None:
    with pytest.raises(TypeError):
        plainpickle.safe_loads(b"N.", policy=policy)
