"""What the second witness costs: `python benchmarks/appearance_cost.py VIDEO [--model M] [--runs N]`.

`lrnet detect` judges the video with and without appearance, in turn, each in a process of its own, N times. Prints the
medians of CPU time and of wall-clock time, start-up included, and the ratio of both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

WAYS = {"both witnesses": [], "motion alone": ["--no-appearance"]}


def cost(video: Path, model: str, options: list[str]) -> tuple[float, float]:
    """CPU seconds and wall-clock seconds of one run."""
    command = [sys.executable, "-m", "lrnet", "detect", str(video), "--model", model, *options]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"lrnet detect ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--model", default="lrnet-2")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(args.runs):
        for way, options in WAYS.items():
            taken[way].append(cost(args.video, args.model, options))
    medians = {way: [statistics.median(column) for column in zip(*rows, strict=True)] for way, rows in taken.items()}
    for way, (cpu, wall) in medians.items():
        print(f"{way}: {cpu:.2f} s of CPU, {wall:.2f} s")
    (cpu, wall), (less_cpu, less_wall) = medians.values()
    print(f"ratio: {cpu / less_cpu:.3f} of CPU, {wall / less_wall:.3f} of wall-clock time")


if __name__ == "__main__":
    main()
