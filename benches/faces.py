"""Times what is not safe_loads, each against what it stands for: files, writing, inspecting, JSON.

    python -m benches.faces [--rounds 40] [--json FILE]

Then two threads against one, the time of an import, and the peak memory of a load. Prints ratios;
the exit status never depends on time. How to read it: README.md beside this file.
"""

from __future__ import annotations

import argparse
import functools
import gc
import io
import json
import pickle
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import plainpickle
from benches.loads import SUBJECTS, optional
from benches.timing import (
    Seconds,
    build_facts,
    header,
    interleaved,
    load_and_free,
    microseconds,
    quantile,
    ratios,
    repeats_for,
    second_core,
    spread,
)
from benches.workloads import WORKLOADS, Workload, plain
from plainpickle import _core
from plainpickle.session import SessionSerializer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Call = tuple[Callable[[Any], Any], "Sequence[Any]"]  # and what it is called with, in turn

BY_KEY = {workload.key: workload for workload in WORKLOADS}
PROTOCOL = 4


@dataclass(frozen=True)
class Row:
    """One thing that ours does, and how long others take for it."""

    group: str
    title: str
    units: int  # pickles in one call
    seconds: Seconds

    def __str__(self) -> str:
        ours = microseconds(self.seconds["ours"]) / self.units
        others = "   ".join(f"{name} {spread(ratio)}" for name, ratio in self.ratios().items())
        return f"{self.group:9}{self.title:40}{ours:11.2f}{1e6 / ours:12,.0f}  {others}"

    def ratios(self) -> dict[str, list[float]]:
        ours = self.seconds["ours"]
        return {n: ratios(each, ours) for n, each in self.seconds.items() if n != "ours"}

    def facts(self) -> dict[str, Any]:
        ours = microseconds(self.seconds["ours"]) / self.units
        return {"group": self.group, "title": self.title, "ours_us": ours, "ratios": self.ratios()}


def faces() -> Iterator[tuple[str, str, int, dict[str, Call]]]:
    yield from files()
    yield from writing()
    yield from inspecting()
    yield from sessions()


def pickled(workload: Workload, protocol: int = PROTOCOL) -> list[bytes]:
    return [pickle.dumps(value, protocol) for value in workload.values()]


def files() -> Iterator[tuple[str, str, int, dict[str, Call]]]:
    for key in "abcdk":
        workload = BY_KEY[key]
        payloads = pickled(workload)
        yield (
            "load",
            f"BytesIO, {workload.title}",
            1,
            {
                "ours": (lambda data: plainpickle.load(io.BytesIO(data)), payloads),
                "pickle.load": (lambda data: pickle.load(io.BytesIO(data)), payloads),
            },
        )
    for key, protocol in (("a", 4), ("a", 2), ("c", 4), ("c", 2), ("k", 4)):
        workload = BY_KEY[key]
        payloads = pickled(workload, protocol)
        count = len(payloads)
        file = tempfile.TemporaryFile()  # noqa: SIM115
        file.write(b"".join(payloads))
        yield (
            "load",
            f"{count} in a file, {workload.title}, p{protocol}",
            count,
            {
                "ours": (through(plainpickle.load, count), [file]),
                "pickle.load": (through(pickle.load, count), [file]),
            },
        )


def through(load: Callable[[Any], Any], count: int) -> Callable[[Any], None]:
    def read(stream: Any) -> None:
        stream.seek(0)
        for _ in range(count):
            load(stream)

    return read


def writing() -> Iterator[tuple[str, str, int, dict[str, Call]]]:
    for key in "abci":
        values = BY_KEY[key].values()
        for protocol in (2, 4):
            ours = functools.partial(plainpickle.dumps, protocol=protocol)
            theirs = functools.partial(pickle.dumps, protocol=protocol)
            calls: dict[str, Call] = {"ours": (ours, values), "pickle.dumps": (theirs, values)}
            yield "dumps", f"{BY_KEY[key].title}, p{protocol}", 1, calls
    values = BY_KEY["b"].values()
    yield (
        "dump",
        f"BytesIO, {BY_KEY['b'].title}",
        1,
        {
            "ours": (lambda value: plainpickle.dump(value, io.BytesIO()), values),
            "pickle.dump": (lambda value: pickle.dump(value, io.BytesIO()), values),
        },
    )


def to_text(data: bytes) -> str:
    return _core.to_json(data, None, None, 0)


def inspecting() -> Iterator[tuple[str, str, int, dict[str, Call]]]:
    for key in "abci":
        workload = BY_KEY[key]
        payloads = pickled(workload)
        loads = {"pickle.loads": (pickle.loads, payloads)}
        yield "inspect", workload.title, 1, {"ours": (plainpickle.inspect, payloads), **loads}
        yield (
            "to_json",
            workload.title,
            1,
            {
                "ours": (to_text, payloads),
                "pickle.loads + json.dumps": (
                    lambda data: json.dumps(pickle.loads(data), default=str),
                    payloads,
                ),
            },
        )


def sessions() -> Iterator[tuple[str, str, int, dict[str, Call]]]:
    """Tagged JSON, against JSON that holds text in place of Decimals and dates."""
    orjson = optional("orjson")
    serializer = SessionSerializer()
    for key in "ab":
        values = BY_KEY[key].values()
        plains = [plain(value, text_only=True) for value in values]
        texts = [json.dumps(value).encode() for value in plains]
        reading: dict[str, Call] = {
            "ours": (serializer.loads, [serializer.dumps(value) for value in values]),
            "json": (json.loads, texts),
        }
        writing: dict[str, Call] = {
            "ours": (serializer.dumps, values),
            "json": (json.dumps, plains),
        }
        if orjson:
            reading["orjson"] = orjson.loads, texts
            writing["orjson"] = orjson.dumps, plains
        yield "session", f"from JSON, {BY_KEY[key].title}", 1, reading
        yield "session", f"to JSON, {BY_KEY[key].title}", 1, writing


def measure(calls: Mapping[str, Call], rounds: int) -> Seconds:
    repeats = repeats_for(*calls["ours"])
    subjects = {name: load_and_free(call, data, repeats) for name, (call, data) in calls.items()}
    return interleaved(subjects, rounds)


def threads(call: Callable[[Any], Any], payloads: Sequence[Any], rounds: int) -> list[float]:
    """What two threads get done together, against one: 2 if neither waits for the other."""
    repeats = 5 * repeats_for(call, payloads)
    gains = []
    for _ in range(rounds):
        seconds = []
        for count in (1, 2):
            ready = threading.Barrier(count + 1)

            def work(ready: threading.Barrier = ready) -> None:
                ready.wait()
                for _ in range(repeats):
                    for data in payloads:
                        call(data)

            workers = [threading.Thread(target=work) for _ in range(count)]
            for worker in workers:
                worker.start()
            ready.wait()
            start = time.perf_counter()
            for worker in workers:
                worker.join()
            seconds.append(time.perf_counter() - start)
        gains.append(2 * seconds[0] / seconds[1])
    return [quantile(gains, share) for share in (0.1, 0.5, 0.9)]


STARTS = {
    "import plainpickle": "import plainpickle",
    "and a first load": "import plainpickle; plainpickle.loads(b'N.')",
}


def start_time(code: str, rounds: int) -> list[float]:
    """Milliseconds of processor time that some code adds to a bare Python."""

    def spent(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-I", "-c", code], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    pairs = [(spent("pass"), spent(code)) for _ in range(rounds + 1)][1:]
    added = [(ours - bare) * 1e3 for bare, ours in pairs]
    return [quantile(added, share) for share in (0.1, 0.5, 0.9)]


def peak(how: str, file: str) -> None:
    """Prints the bytes by which one load raises the peak of a fresh process."""
    loads = SUBJECTS[how]
    data = Path(file).read_bytes()
    loads(pickle.dumps([1.5, "text", {}]))
    gc.collect()
    before = high_water()
    made = loads(data)
    print(high_water() - before)
    del made  # not earlier


def high_water() -> int:
    # Not ru_maxrss, which a process takes over from the one that started it.
    (line,) = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    return int(line) * 1024


def memory() -> Iterator[tuple[str, float, float]]:
    """For each workload the peak of ours in that of pickle, and pickle's in MB; on Linux alone."""
    if sys.platform != "linux":
        return
    for key in "cdeijk":
        made = [BY_KEY[key].values(1)[0] for _ in range(30)]
        # Copies, so that the result is large and nothing of it shared.
        made = [pickle.loads(pickle.dumps(value)) for value in made]
        with tempfile.NamedTemporaryFile() as file:
            file.write(pickle.dumps(made, PROTOCOL))
            file.flush()

            def bytes_of(how: str, name: str = file.name) -> float:
                command = [sys.executable, "-m", "benches.faces", "--peak", how, name]
                return float(subprocess.check_output(command))

            pairs = [(bytes_of("pickle"), bytes_of("ours")) for _ in range(3)]
        ratio = quantile([ours / theirs for theirs, ours in pairs], 0.5)
        yield BY_KEY[key].title, ratio, quantile([theirs for theirs, _ in pairs], 0.5) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        return peak(*options.peak)
    facts: dict[str, Any] = {"build": build_facts(), "rows": [], "threads": [], "memory": []}
    print(header(facts["build"]))
    print(f"{'':49}{'ours us':>11}{'per s':>12}  time of the other, in ours")
    for group, title, units, calls in faces():
        row = Row(group, title, units, measure(calls, options.rounds))
        facts["rows"].append(row.facts())
        print(row, flush=True)

    control = [second_core()]
    print("\nTwo threads against one")
    for name, call in (("inspect", plainpickle.inspect), ("to_json", to_text)):
        for key in "abci":
            gain = threads(call, pickled(BY_KEY[key]), max(options.rounds // 4, 3))
            facts["threads"].append({"title": f"{name}, {BY_KEY[key].title}", "gain": gain})
            print(f"{name:9}{BY_KEY[key].title:40}{spread(gain)}", flush=True)
    facts["control"] = [*control, second_core()]
    print("control, two processes: {:.2f} before, {:.2f} after".format(*facts["control"]))

    print("\nMilliseconds over a bare Python")
    facts["start_ms"] = {}
    for title, code in STARTS.items():
        facts["start_ms"][title] = added = start_time(code, options.rounds)
        print(f"{'':9}{title:40}{spread(added)}", flush=True)
    print("\nPeak memory of a load, in that of pickle.loads")
    for title, ratio, megabytes in memory():
        facts["memory"].append({"title": title, "ratio": ratio, "pickle_mb": megabytes})
        print(f"{'':9}{title:40}{ratio:.2f} of {megabytes:.1f} MB", flush=True)
    if options.json:
        options.json.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    return None


if __name__ == "__main__":
    main()
