"""How fast a dataset becomes a store: one process beside as many as there are cores, in turn.

usage: extraction_speed.py SOURCE [--videos 8] [--rounds 2] [--engines local ray]

Takes the first videos of SOURCE (any dataset that `lrnet extract` reads). Prints frames a second of

- one worker process kept on one core,
- one worker process with the whole machine to itself,
- one worker process a core,

the ratio of the last to the cores times the first (1 is perfect) and to the cores times the second, and what that means
for 1 M frames, about one version of FaceForensics++: an extrapolation, beside the 8 hours that the paper tells of on
its own hardware. The time for starting workers is in it. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from lrnet.data import VideoRecord, open_dataset
from lrnet.data.engines import Engine, engine_by_name
from lrnet.data.extraction import extract, store_preprocessing
from lrnet.machine import cores

DATASET_FRAMES = 1_000_000
PAPER_HOURS = 8.0


def rate(records: list[VideoRecord], engine: Engine) -> float:
    """Frames a second of one extraction into a new store."""
    with tempfile.TemporaryDirectory() as folder:
        began = perf_counter()
        outcomes = extract(records, Path(folder) / "store", store_preprocessing(), engine=engine)
        seconds = perf_counter() - began
    failed = [o for o in outcomes if o.result is None]
    if failed:
        raise SystemExit(f"{failed[0].item.key}: {failed[0].error}")
    return sum(o.result.frames for o in outcomes if o.result is not None) / seconds


def on_one_core(records: list[VideoRecord]) -> float:
    """The same with everything on one core: worker processes inherit the restriction."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        return rate(records, engine_by_name("local", 1))
    finally:
        os.sched_setaffinity(0, before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--engines", nargs="+", default=["local"], choices=["local", "ray"])
    args = parser.parse_args()
    records = list(open_dataset(args.source).records[: args.videos])
    found: dict[str, list[float]] = {}
    for _ in range(args.rounds):
        found.setdefault("one process, one core", []).append(on_one_core(records))
        found.setdefault("one process, whole machine", []).append(rate(records, engine_by_name("local", 1)))
        for name in args.engines:
            engine = engine_by_name(name, cores())
            found.setdefault(f"{cores()} processes ({name})", []).append(rate(records, engine))
            if name == "ray":
                engine.close()  # type: ignore[attr-defined]
    typical = {name: median(values) for name, values in found.items()}
    one, free = typical["one process, one core"], typical["one process, whole machine"]
    print(
        f"| {len(records)} videos, median of {args.rounds} | frames/s "
        f"| of {cores()} x one core | of {cores()} x one process | "
        "1 M frames, extrapolated | paper |"
    )
    print("|---|---|---|---|---|---|")
    for name, value in typical.items():
        shares = f"{value / (cores() * one):.2f} | {value / (cores() * free):.2f}"
        print(f"| {name} | {value:.0f} | {shares} | {DATASET_FRAMES / value / 3600:.1f} h | {PAPER_HOURS:.0f} h |")


if __name__ == "__main__":
    main()
