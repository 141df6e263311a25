"""`plainpickle.install`: pickle's place in modules that can't be edited, all of them or none."""

from __future__ import annotations

import _pickle
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import plainpickle

RCE = b"cos\nsystem\n(S'echo vulnerable_to_rce'\ntR."
READER = "import pickle\n\ndef read(data):\n    return pickle.loads(data)\n"
Maker = Callable[..., ModuleType]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Makes modules that can be imported, and imports them."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, code: str = READER) -> ModuleType:
        tmp_path.joinpath(f"{name}.py").write_text(code, "utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
        __import__(name)
        return sys.modules[name]

    return make


def test_what_a_module_calls_pickle_becomes_plainpickle_until_it_is_uninstalled(
    made: Maker,
) -> None:
    shop, cart = made("shop"), made("cart")
    installation = plainpickle.install(shop, "cart")
    assert installation.modules == ("shop", "cart")
    for module in (shop, cart):
        assert module.pickle is plainpickle
        assert module.read(pickle.dumps({1})) == {1}
        with pytest.raises(plainpickle.ForbiddenGlobal):
            module.read(RCE)
    installation.uninstall()
    for module in (shop, cart):
        assert module.pickle is pickle
    installation.uninstall()
    assert shop.pickle is pickle


def test_a_module_that_is_named_is_imported(made: Maker) -> None:
    made("shop")
    del sys.modules["shop"]
    with plainpickle.install("shop"):
        assert sys.modules["shop"].pickle is plainpickle


def test_as_a_context_manager_it_ends_with_the_block_and_with_an_error_too(made: Maker) -> None:
    shop = made("shop")
    with plainpickle.install(shop) as installation:
        assert installation.modules == ("shop",)
        assert shop.pickle is plainpickle
    assert shop.pickle is pickle
    with pytest.raises(KeyError), plainpickle.install(shop):
        raise KeyError
    assert shop.pickle is pickle


def test_the_accelerated_module_and_the_name_of_python_2_are_pickle_too(made: Maker) -> None:
    shop = made("shop", "import _pickle as pickle")
    cart = made("cart", "import sys, types\npickle = types.ModuleType('cPickle')")
    before = cart.pickle
    with plainpickle.install(shop, cart):
        assert (shop.pickle, cart.pickle) == (plainpickle, plainpickle)
    assert (shop.pickle, cart.pickle) == (_pickle, before)


def test_the_same_module_twice_in_one_call_is_restored(made: Maker) -> None:
    shop = made("shop")
    with plainpickle.install(shop, "shop"):
        assert shop.pickle is plainpickle
    assert shop.pickle is pickle


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("", r"cart has no global named pickle$"),
        ("from pickle import load, loads", r"cart has no global named pickle.* load, loads "),
        ("import json as pickle", r"cart has a global named pickle that is not"),
        ("import types; pickle = types.SimpleNamespace(__name__='pickle')", r"that is not"),
    ],
)
def test_a_module_without_such_a_global_is_an_error_that_says_so_and_changes_nothing(
    made: Maker, code: str, says: str
) -> None:
    shop, cart = made("shop"), made("cart", code)
    for modules in ((shop, cart), (cart, shop)):
        with pytest.raises(ValueError, match=says):
            plainpickle.install(*modules)
        assert shop.pickle is pickle


def test_a_module_that_is_not_there_changes_nothing(made: Maker) -> None:
    shop = made("shop")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        plainpickle.install(shop, "no_such_module")
    assert shop.pickle is pickle


def test_no_module_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="install"):
        plainpickle.install()


def test_a_second_installation_is_an_error_and_leaves_the_first_in_place(made: Maker) -> None:
    shop, cart = made("shop"), made("cart")
    with plainpickle.install(shop):
        with pytest.raises(ValueError, match="shop has plainpickle in pickle's place already"):
            plainpickle.install(cart, shop)
        assert (shop.pickle, cart.pickle) == (plainpickle, pickle)
    assert shop.pickle is pickle


@pytest.mark.parametrize("module", [pickle, _pickle], ids=["pickle", "_pickle"])
def test_the_standard_library_s_own_modules_are_never_changed(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "pickle", pickle, raising=False)
    with pytest.raises(ValueError, match=f"^{module.__name__} .* not changed"):
        plainpickle.install(module)
    assert vars(module)["pickle"] is pickle


def test_plainpickle_s_own_modules_are_never_changed() -> None:
    users = [
        module
        for name, module in sys.modules.items()
        if name.startswith("plainpickle") and vars(module).get("pickle") is pickle
    ]
    assert users  # one of them writes by stock pickle
    for module in users:
        with pytest.raises(ValueError, match=module.__name__):
            plainpickle.install(module)


def test_stock_pickle_stays_as_it_is_while_it_is_replaced_elsewhere(made: Maker) -> None:
    before = dict(vars(pickle))
    with plainpickle.install(made("shop")):
        assert vars(pickle) == before
        assert sys.modules["pickle"] is pickle


# ---- modules that hold pickle in more places than the one that is replaced

KEPT_ELSEWHERE = {
    "class Interface:\n    serializer = pickle": r"Interface\.serializer",
    "class Default:\n    loads = pickle.loads": r"Default\.loads",
    "class Default:\n    loads = staticmethod(pickle.loads)": r"Default\.loads",
    "import functools\nloads = functools.partial(pickle.loads)": r"loads",
    "from pickle import loads": r"loads",
    "class Client:\n    def __init__(self, unpickler=pickle.Unpickler): ...": r"Client\.__init__",
    "def read(*, load=pickle.load): ...": r"read",
    "class Unpickler(pickle.Unpickler): ...": r"Unpickler",
    "class Unpickler(pickle._Unpickler): ...": r"Unpickler",
}


@pytest.mark.parametrize(("code", "says"), KEPT_ELSEWHERE.items())
def test_a_module_that_keeps_pickle_elsewhere_too_is_an_error_that_says_where(
    made: Maker, code: str, says: str
) -> None:
    shop, cart = made("shop"), made("cart", f"import pickle\n{code}")
    with pytest.raises(ValueError, match=f"cart keeps .*{says}"):
        plainpickle.install(shop, cart)
    assert (shop.pickle, cart.pickle) == (pickle, pickle)


@pytest.mark.parametrize(
    "code",
    [
        "def write(value, protocol=pickle.HIGHEST_PROTOCOL): ...",
        "class Cache:\n    errors = (pickle.PickleError, pickle.UnpicklingError)",
        "from pickle import PickleError, HIGHEST_PROTOCOL",
    ],
)
def test_what_reads_nothing_may_be_kept_elsewhere(made: Maker, code: str) -> None:
    cart = made("cart", f"import pickle\n{code}")
    with plainpickle.install(cart):
        assert cart.pickle is plainpickle


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("memcache", r"Client\.__init__"),
        ("rq.serializers", r"DefaultSerializer\.loads"),
        ("dogpile.cache.api", r"DefaultSerialization\.deserializer"),
    ],
)
def test_real_libraries_that_do_so_are_refused(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        plainpickle.install(name)
    module: Any = sys.modules[name]
    assert module.pickle is pickle


def test_a_lazy_object_beside_pickle_is_not_woken_up(made: Maker) -> None:
    lazy = "class Lazy:\n    def __getattribute__(self, name):\n        raise RuntimeError(name)\n"
    shop = made("shop", f"import pickle\n\n{lazy}\nsettings = Lazy()\n")
    with plainpickle.install(shop):
        assert shop.pickle is plainpickle


@pytest.mark.parametrize("backend", ["db", "filebased", "locmem", "redis"])
def test_django_s_caches_take_it_before_the_settings_are_configured(backend: str) -> None:
    name = f"django.core.cache.backends.{backend}"
    code = f"import plainpickle; print(plainpickle.install({name!r}).modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.strip() == f"('{name}',)", done.stderr
