"""Measures everything and draws it: one folder of JSON and SVG for each build of CPython.

    python -m benches.plots [--rounds 40] [--redraw FOLDER]

The folder is results/ beside this file, and in it one with the name of the build.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benches.timing import build_facts, build_name
from benches.workloads import MEAN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RESULTS = Path(__file__).parent / "results"
TICKS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50)
SLOWER, FASTER = "#fbe9e7", "#f1f8f2"
# A sequence for protocols, which have an order, and distinct colours for formats, which have none.
PROTOCOLS = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#e0a800")
FORMATS = {
    "tape": ("black", "|"),
    "marshal": ("#8c564b", "s"),
    "msgspec": ("#1f77b4", "D"),
    "orjson": ("#ff7f0e", "o"),
    "json": ("#2ca02c", "^"),
    "serde-pickle": ("#9467bd", "v"),
}


def measure(folder: Path, rounds: str) -> None:
    common = [sys.executable, "-m"]
    loads = ["benches.loads", "--protocols", "0,1,2,3,4,5", "--rounds", rounds, "--control"]
    subprocess.run([*common, *loads, "--json", str(folder / "loads.json")], check=True)
    faces = ["benches.faces", "--rounds", rounds]
    subprocess.run([*common, *faces, "--json", str(folder / "faces.json")], check=True)


def read(file: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return facts


def subtitle(build: dict[str, Any]) -> str:
    pgo = "with PGO" if build["pgo"] else "without PGO"
    return (
        f"CPython {build['python']} {pgo}, {build['machine']}; plainpickle {build['plainpickle']}"
    )


def ratio_axis(axes: Any, ratios: Iterable[float], rows: Sequence[str], label: str) -> None:
    """A log axis around 1.0, a row for each label, what is slower on a ground of its own."""
    found = [*ratios, 1.0]
    low, high = min(found) / 1.12, max(found) * 1.12
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    # So many that their texts do not run into each other.
    ticks = [tick for tick in TICKS if low <= tick <= high]
    while len(ticks) > 9:
        ticks = [tick for n, tick in enumerate(ticks) if tick == 1 or n % 2 == ticks.index(1) % 2]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvspan(low, 1, color=SLOWER, zorder=0)
    axes.axvspan(1, high, color=FASTER, zorder=0)
    axes.axvline(1, color="#555555", linewidth=1, zorder=1)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="x", color="white", linewidth=1)
    for row in range(1, len(rows)):
        axes.axhline(row - 0.5, color="white", linewidth=1, zorder=1)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(label)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def point(axes: Any, ratio: Sequence[float], row: float, **style: Any) -> None:
    axes.plot([ratio[0], ratio[2]], [row, row], color=style["color"], linewidth=1, alpha=0.6)
    axes.plot([ratio[1]], [row], linestyle="", **style)


def titles(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {row["key"]: f"{row['workload']}  {row['key']}" for row in rows}


def draw_loads(facts: dict[str, Any]) -> Any:
    rows = facts["rows"]
    named = titles(rows)
    keys = list(named)
    protocols = sorted({row["protocol"] for row in rows})
    figure, panels = plt.subplots(1, 2, figsize=(11, 0.42 * len(keys) + 2.2), sharey=True)
    for axes, other, label in zip(
        panels,
        ("pickle", "recipe"),
        ("times as fast as pickle.loads", "times as fast as the RestrictedUnpickler recipe"),
    ):
        every = [row["ratios"][other] for row in rows]
        ratio_axis(axes, [end for ratio in every for end in ratio], list(named.values()), label)
        for row in rows:
            nth = protocols.index(row["protocol"])
            at = keys.index(row["key"]) + (nth - (len(protocols) - 1) / 2) * 0.13
            color = PROTOCOLS[row["protocol"]]
            point(axes, row["ratios"][other], at, color=color, marker="o", ms=4)
    labels = []
    for protocol in protocols:
        among = [r for r in rows if r["protocol"] == protocol and r["key"] in MEAN]
        mean = math.exp(sum(math.log(r["ratios"]["pickle"][1]) for r in among) / len(among))
        labels.append(f"protocol {protocol}\nmean {mean:.2f}")
    handles = [
        Line2D([], [], linestyle="", marker="o", ms=6, color=PROTOCOLS[each]) for each in protocols
    ]
    title = "safe_loads: load and free, limits on"
    figure.suptitle(f"{title}\n{subtitle(facts['build'])}", fontsize=11)
    # The means are those of the left panel.
    legend(figure, handles, labels, f"geometric means over {MEAN[0]} to {MEAN[-1]}, left")
    return figure


def draw_neighbours(facts: dict[str, Any]) -> Any:
    rows = [row for row in facts["rows"] if "marshal" in row["ratios"]]
    named = titles(rows)
    figure, axes = plt.subplots(figsize=(9, 0.36 * len(rows) + 2.2))
    every = [row["ratios"][name][1] for row in rows for name in FORMATS if name in row["ratios"]]
    label = "time of the other, in ours: right of 1 they are slower"
    ratio_axis(axes, every, list(named.values()), label)
    for nth, row in enumerate(rows):
        for name, (color, marker) in FORMATS.items():
            if name in row["ratios"]:
                size = 12 if marker == "|" else 5
                axes.plot(
                    [row["ratios"][name][1]], [nth], color=color, marker=marker, ms=size, mew=1.5
                )
    handles = [
        Line2D([], [], linestyle="", marker=marker, ms=7, color=color)
        for color, marker in FORMATS.values()
    ]
    title = "safe_loads against formats that hold dates, Decimals and UUIDs as text only"
    figure.suptitle(f"{title}\n{subtitle(facts['build'])}", fontsize=11)
    legend(figure, handles, list(FORMATS), "tape: the same objects without any reading")
    return figure


def draw_faces(facts: dict[str, Any]) -> Any:
    rows = facts["rows"]
    named = [f"{row['group']}  {row['title']}" for row in rows]
    others = sorted({name for row in rows for name in row["ratios"]}, key=str.lower)
    colors = dict(zip(others, map(mpl.colormaps["tab10"], range(10))))
    figure, panels = plt.subplots(
        2,
        1,
        figsize=(10, 0.27 * (len(rows) + len(facts["threads"])) + 3),
        height_ratios=[len(rows), len(facts["threads"]) + 1],
    )
    axes, below = panels
    every = [end for row in rows for ratio in row["ratios"].values() for end in ratio]
    label = "time of the other, in ours: right of 1 they are slower"
    ratio_axis(axes, every, named, label)
    for nth, row in enumerate(rows):
        for name, ratio in row["ratios"].items():
            point(axes, ratio, nth, color=colors[name], marker="o", ms=5)
    gains = facts["threads"]
    before, after = facts["control"]
    below.barh(range(len(gains)), [row["gain"][1] for row in gains], color="#2a788e", height=0.6)
    below.set_yticks(range(len(gains)), [row["title"] for row in gains])
    below.invert_yaxis()
    below.axvline(1, color="#555555", linewidth=1)
    below.axvspan(min(before, after), max(before, after), color="#e0a800", alpha=0.4)
    below.set_xlim(0, 2.1)
    below.set_xlabel("work of two threads, in that of one; yellow: of two processes, the control")
    for side in ("top", "right"):
        below.spines[side].set_visible(False)
    handles = [
        Line2D([], [], linestyle="", marker="o", ms=6, color=colors[name]) for name in others
    ]
    figure.suptitle(f"Files, writing, inspecting, JSON\n{subtitle(facts['build'])}", fontsize=11)
    legend(figure, handles, others, "the other")
    return figure


def legend(figure: Any, handles: Sequence[Any], labels: Sequence[str], title: str) -> None:
    figure.legend(
        handles,
        labels,
        title=title,
        loc="outside lower center",
        ncols=len(labels) if len(labels) < 7 else 4,
        frameon=False,
        fontsize=9,
        title_fontsize=9,
    )


def draw(folder: Path) -> None:
    mpl.use("agg")
    # Text as text, and the same bytes for the same figures.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "plainpickle", "font.size": 9})
    mpl.rcParams["figure.constrained_layout.use"] = True
    loads, faces = read(folder / "loads.json"), read(folder / "faces.json")
    for name, figure in (
        ("loads", draw_loads(loads)),
        ("neighbours", draw_neighbours(loads)),
        ("faces", draw_faces(faces)),
    ):
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        plt.close(figure)
        print(folder / f"{name}.svg")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", default="40")
    parser.add_argument("--redraw", type=Path, help="measure nothing, draw what a folder has")
    options = parser.parse_args()
    folder = options.redraw or RESULTS / build_name(build_facts())
    if not options.redraw:
        folder.mkdir(parents=True, exist_ok=True)
        measure(folder, options.rounds)
    draw(folder)


if __name__ == "__main__":
    main()
