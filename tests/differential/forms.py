"""The ways in which a graph is pickled: protocol, pickler, optimize, buffers."""

from __future__ import annotations

import io
import pickle
import pickletools
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True)
class Form:
    """How one graph becomes bytes."""

    protocol: int
    python_pickler: bool = False
    optimized: bool = False
    fix_imports: bool = True
    out_of_band: bool = False


@dataclass(frozen=True)
class Pickled:
    """A pickle and the out-of-band buffers that its loader is to be given."""

    data: bytes
    buffers: tuple[Any, ...] = ()


def random_form(rng: Random) -> Form:
    protocol = rng.randrange(6)
    return Form(
        protocol,
        rng.random() < 0.2,
        rng.random() < 0.12,
        rng.random() < 0.9,
        protocol == 5 and rng.random() < 0.5,
    )


def pickled(graph: Any, form: Form) -> Pickled:
    """`graph` as `form` says; RecursionError for a cycle through constructor arguments."""
    file, buffers = io.BytesIO(), []  # type: ignore[var-annotated]
    pickler = pickle._Pickler if form.python_pickler else pickle.Pickler
    pickler(
        file,
        form.protocol,
        fix_imports=form.fix_imports,
        buffer_callback=buffers.append if form.out_of_band else None,
    ).dump(graph)
    data = file.getvalue()
    # Buffers come back as the object itself or as a view of it, read-only or not.
    views = [memoryview(b).obj if i % 2 else memoryview(b) for i, b in enumerate(buffers)]
    return Pickled(pickletools.optimize(data) if form.optimized else data, tuple(views))
