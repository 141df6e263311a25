"""Makes a failing input smaller while it keeps failing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Callable


def smaller_bytes(data: bytes, fails: Callable[[bytes], bool], tries: int = 1500) -> bytes:
    """`data` with every range removed that the failure does not need, within `tries` attempts."""
    width = max(len(data) // 2, 1)
    while tries > 0:
        at, shrunk = 0, False
        while at < len(data) and tries > 0:
            tries -= 1
            candidate = data[:at] + data[at + width :]
            if fails(candidate):
                data, shrunk = candidate, True
            else:
                at += width
        if width == 1 and not shrunk:
            break
        width = max(width // 2, 1)
    return data


def smaller_graph(graph: Any, fails: Callable[[Any], bool], tries: int = 1500) -> Any:
    """A part of `graph`, or `graph` with items left out, that still fails."""
    found = True
    while found:
        found = False
        for candidate in _parts(graph):
            tries -= 1
            if tries < 0:
                return graph
            if fails(candidate):
                graph, found = candidate, True
                break
    return graph


def _parts(graph: Any) -> Iterator[Any]:
    if isinstance(graph, dict):
        yield from graph.values()
        yield from graph.keys()
        for key in graph if len(graph) > 1 else ():
            less = graph.copy()
            del less[key]
            yield less
    elif isinstance(graph, SimpleNamespace):
        yield from vars(graph).values()
    elif isinstance(graph, (list, tuple, set, frozenset, deque)):
        items = list(graph)
        yield from items
        for at in range(len(items) if len(items) > 1 else 0):
            rest = items[:at] + items[at + 1 :]
            yield deque(rest, graph.maxlen) if isinstance(graph, deque) else type(graph)(rest)
