"""How fast detection is, beside decoding alone: `python benchmarks/speed.py VIDEO [VIDEO ...] [--model M] [--runs N]`.

Prints for each video, in turn and several times: frames a second of decoding alone (the same reader, frames thrown
away) and of the whole chain, their ratio pair by pair (median), times real time, and CPU-ms a frame. Last, how long
the command takes from its start to the first frame, and the memory it peaked at.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter, process_time

from lrnet.detector import Detector
from lrnet.network.registry import DEFAULT_MODEL
from lrnet.video import VideoReader

FIRST_FRAME = """
import sys, time
from lrnet.cli.app import app
from lrnet.detector import Detector
from lrnet.video import VideoReader
detector = Detector(sys.argv[2])
with VideoReader(sys.argv[1]) as reader:
    next(iter(reader))
    print("first frame", flush=True)
"""


def decode(path: Path) -> tuple[int, float]:
    """Frames and seconds of decoding alone."""
    began = perf_counter()
    with VideoReader(path) as reader:
        frames = sum(1 for _ in reader)
    return frames, perf_counter() - began


def detect(detector: Detector, path: Path) -> tuple[int, float, float, int]:
    """Frames, wall-clock seconds, CPU seconds and faces of the whole chain."""
    began, cpu = perf_counter(), process_time()
    result = detector.detect(path)
    return result.frames_read, perf_counter() - began, process_time() - cpu, len(result.faces)


def seconds_to_first_frame(path: Path, model: str) -> float:
    """From the start of the process until a model is loaded and a frame decoded."""
    began = perf_counter()
    with subprocess.Popen([sys.executable, "-c", FIRST_FRAME, str(path), model], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    detector = Detector(args.model)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    header = ("video", "frames", "faces", "decode/s", "detect/s", "ratio", "x real", "CPU-ms")
    print("{:24} {:>6} {:>5} {:>9} {:>9} {:>6} {:>7} {:>7}".format(*header))
    for path in args.videos:
        decode(path)
        pairs = [(decode(path), detect(detector, path)) for _ in range(args.runs)]
        frames, faces = pairs[0][1][0], pairs[0][1][3]
        alone = statistics.median(n / t for (n, t), _ in pairs)
        whole = statistics.median(n / t for _, (n, t, _, _) in pairs)
        ratio = statistics.median(d[1] / w[1] for d, w in pairs)
        cpu = statistics.median(1000 * c / n for _, (n, _, c, _) in pairs)
        with VideoReader(path) as reader:
            rate = reader.info.frame_rate or 25.0
        print(
            f"{path.name[:24]:24} {frames:6} {faces:5} {alone:9.0f} {whole:9.0f} {ratio:6.2f}"
            f" {whole / rate:7.1f} {cpu:7.2f}"
        )
    first = statistics.median(seconds_to_first_frame(args.videos[0], args.model) for _ in range(args.runs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"from the command to the first frame: {first:.2f} s; peak memory: {peak:.0f} MB")


if __name__ == "__main__":
    main()
