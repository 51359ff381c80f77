"""What isolated decoding costs: `python benchmarks/isolation_speed.py VIDEO...`.

Each video is decoded, and judged, in this process and with the decoder apart, one after the other, several times; the
medians of frames a second are printed, and their ratio. `python benchmarks/speed_videos.py FOLDER` makes such videos.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from time import perf_counter

from lrnet.detector import Detector
from lrnet.video.isolation import open_video
from lrnet.video.limits import Access

ROUNDS = 5
HERE, APART = Access(), Access(isolate=True)


def decode(video: str, access: Access, threads: int) -> int:
    """Read all frames; how many."""
    with open_video(video, access, threads=threads) as reader:
        return sum(1 for _ in reader.decode())


def rates(work: Callable[[Access], int], rounds: int = ROUNDS) -> tuple[float, float]:
    """Median frames a second in this process and apart."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for access in (HERE, APART):  # models, caches, and the process that decodes
        work(access)
    for _ in range(rounds):
        for access in (HERE, APART):
            began = perf_counter()
            frames = work(access)
            found[access.isolate].append(frames / (perf_counter() - began))
    return statistics.median(found[False]), statistics.median(found[True])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
    videos = parser.parse_args().videos
    print("| video | what | frames/s here | frames/s apart | ratio |\n|---|---|---|---|---|")
    one, all_cores = Detector(threads=1), Detector()
    for video in videos:
        for what, work in (
            ("decoding, 1 thread", lambda access: decode(video, access, 1)),  # noqa: B023
            ("decoding, all cores", lambda access: decode(video, access, 0)),  # noqa: B023
            ("detection, 1 thread", lambda access: one.detect(video, access=access).frames_read),  # noqa: B023
            ("detection, all cores", lambda access: all_cores.detect(video, access=access).frames_read),  # noqa: B023
        ):
            here, apart = rates(work)
            name = video.rsplit("/", 1)[-1]
            print(f"| {name} | {what} | {here:.0f} | {apart:.0f} | {apart / here:.2f} |", flush=True)


if __name__ == "__main__":
    main()
