"""The profiles: named policies to start from.

``plain`` needs nothing but the standard library. ``django`` and ``flask`` give the framework's own
classes where plain gives equivalents, so that templates and views behave as before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from plainpickle.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable

    # A class, and what JSON has for its values: a name of the table and arguments.
    _Form = tuple[Any, Callable[[Any], tuple[Any, ...]]]


def plain() -> Policy:
    """Builtin and standard library values; framework values as plain equivalents."""
    return Policy()


def django() -> Policy:
    """Profile plain, with Django's SafeString, MultiValueDict, QueryDict, and pytz's zones."""
    native: dict[str, Callable[..., Any]] = {}
    safe = _found("django.utils.safestring", "SafeString")
    if safe is not None:
        safe_text = _text_only(safe)
        for name in ("SafeString", "SafeText", "SafeUnicode"):
            native[f"django.utils.safestring.{name}"] = safe_text
    multi = _found("django.utils.datastructures", "MultiValueDict")
    if multi is not None:
        native["django.utils.datastructures.MultiValueDict"] = multi
        native["django.utils.datastructures.MergeDict"] = _merged(multi)
    query = _found("django.http", "QueryDict")
    if query is not None:
        for module in ("django.http", "django.http.request"):
            native[f"{module}.QueryDict"] = _query_dict(query)
    forms: list[_Form] = [(safe, _text_of("django.utils.safestring.SafeString"))]
    forms += [(query, _lists_of("django.http.request.QueryDict"))]
    forms += [(multi, _lists_of("django.utils.datastructures.MultiValueDict"))]
    return Policy()._with_native(
        {**native, **_markup(), **_pytz()}, profile="django", written=_written(forms)
    )


def flask() -> Policy:
    """Profile plain, with Markup, Werkzeug's MultiDict family, and pytz's zones."""
    native: dict[str, Callable[..., Any]] = {}
    modules = ("werkzeug", "werkzeug.datastructures", "werkzeug.datastructures.structures")
    for name in (
        "MultiDict",
        "OrderedMultiDict",
        "ImmutableMultiDict",
        "ImmutableOrderedMultiDict",
    ):
        # Werkzeug 3.1 made the ordered ones private: dicts are ordered, and it warns of their use.
        ordered = _found(modules[2], f"_{name}")
        cls = _found(modules[1], name.replace("Ordered", "") if ordered else name)
        if cls is not None:
            native.update({f"{module}.{name}": cls for module in modules})
    combined = _found(modules[1], "CombinedMultiDict")
    if combined is not None:
        native.update({f"{module}.CombinedMultiDict": combined for module in modules})
    structures = "werkzeug.datastructures"
    # JSON has one of these: an immutable one, such as a form, comes back as one that is mutable.
    forms: list[_Form] = [
        (_found(structures, name), _lists_of(f"{structures}.MultiDict"))
        for name in ("MultiDict", "ImmutableMultiDict", "CombinedMultiDict")
    ]
    return Policy()._with_native(
        {**native, **_markup(), **_pytz()}, profile="flask", written=_written(forms)
    )


def _found(module: str, name: str) -> Any | None:
    """The framework's class, where it is installed."""
    try:
        return getattr(import_module(module), name, None)
    except ImportError:
        return None


def _text_only(cls: Callable[[str], Any]) -> Callable[[Any], Any]:
    """``cls`` for text; what was bytes in Python 2, and is no UTF-8, stays bytes."""

    def build(value: Any) -> Any:
        return cls(value) if isinstance(value, str) else value

    return build


def _merged(cls: Callable[[], Any]) -> Callable[[Any], Any]:
    """A MergeDict, which Django has no more: the first dict that has a key wins."""

    def build(dicts: Any) -> Any:
        merged = cls()
        for each in reversed(dicts):
            for key in each:
                merged.setlist(key, each.getlist(key) if hasattr(each, "getlist") else [each[key]])
        return merged

    return build


def _query_dict(cls: Callable[..., Any]) -> Callable[[dict[str, list[str]]], Any]:
    def build(lists: dict[str, list[str]]) -> Any:
        query = cls(mutable=True, encoding="utf-8")
        for key, values in lists.items():
            query.setlist(key, values)
        query._mutable = False
        return query

    return build


def _markup() -> dict[str, Callable[..., Any]]:
    cls = _found("markupsafe", "Markup")
    if cls is None:
        return {}
    modules = ("markupsafe", "markupsafe._native", "jinja2", "jinja2.utils", "flask")
    return {f"{module}.Markup": _text_only(cls) for module in modules}


def _pytz() -> dict[str, Callable[..., Any]]:
    zone = _found("pytz", "_p")
    if zone is None:
        return {}
    utc, fixed = _found("pytz", "utc"), _found("pytz", "FixedOffset")
    return {
        "pytz._p": zone,
        "pytz._UTC": lambda _name: utc,
        "pytz.FixedOffset": fixed,
        "pytz._FixedOffset": fixed,
    }


def _written(forms: list[_Form]) -> Callable[[Any], tuple[Any, ...] | None]:
    """What JSON has for a framework's own value: by its exact class, or for a zone of pytz."""
    known = {cls: form for cls, form in forms if cls is not None}
    markup = _found("markupsafe", "Markup")
    if markup is not None:
        known[markup] = _text_of(" m")
    zone, utc = _found("pytz.tzinfo", "BaseTzInfo"), _found("pytz", "utc")
    fixed = _found("pytz", "_FixedOffset")

    def written(value: Any) -> tuple[Any, ...] | None:
        form = known.get(type(value))
        if form is not None:
            return form(value)
        if utc is not None and value is utc:
            return ("pytz._UTC",)
        if fixed is not None and type(value) is fixed:
            return ("pytz._FixedOffset", *value.__reduce__()[1])
        if zone is not None and isinstance(value, zone):
            return ("pytz._p", *value.__reduce__()[1])
        if type(value).__module__.rpartition(".")[2] == "speaklater":  # Flask-Babel's lazy text
            return ("django.utils.safestring.SafeString", str(value))
        return None

    return written


def _text_of(name: str) -> Callable[[Any], tuple[Any, ...]]:
    return lambda value: (name, str.__str__(value))


def _lists_of(name: str) -> Callable[[Any], tuple[Any, ...]]:
    return lambda value: (name, dict(value.lists()))
