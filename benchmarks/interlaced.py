"""Judge interlaced copies of videos: as they are, and deinterlaced by each of FFmpeg's filters.

    python benchmarks/interlaced.py examples/real.mp4 examples/fake.mp4
    python benchmarks/interlaced.py --combed FOLDER

The bottom field of a copy's frame shows the moment half-way to the next frame, interpolated by optical flow. Copy and
progressive original are encoded with the same settings.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.detector import Detector
from lrnet.video import interlaced
from lrnet.video.frame import planes_of
from lrnet.video.reader import VideoReader

Planes = tuple[NDArray[np.uint8], ...]
DEINTERLACE = interlaced.OPTIONS
INTERLACED = {"flags": "+ildct+ilme", "x264-params": "tff=1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("videos", nargs="*", type=Path, default=[], metavar="VIDEO")
    help_ = "say which of its videos are combed without a flag, and how long the search took"
    what.add_argument("--combed", type=Path, metavar="FOLDER", help=help_)
    options = parser.parse_args()
    if options.combed:
        name_combed(sorted(options.combed.iterdir()))
        return
    detector = Detector()
    print("| video | progressive | as it is | " + " | ".join(f"`{name}`" for name in ("yadif", "bwdif")) + " |")
    for source in options.videos:
        with TemporaryDirectory() as folder, VideoReader(source) as reader:
            frames = [tuple(plane.copy() for plane in frame.stored.planes) for frame in reader.decode()]
            rate = Fraction(reader.info.frame_rate or 25).limit_denominator(1001)
            whole = write(Path(folder) / "whole.mp4", frames[:-1], rate, {})
            woven = write(Path(folder) / "woven.mp4", interlace(frames), rate, INTERLACED)
            found = [detector.detect(whole).verdict.probability]
            for name in ("null", "yadif", "bwdif"):
                interlaced.FILTER, interlaced.OPTIONS = name, "" if name == "null" else DEINTERLACE  # type: ignore[misc]
                found.append(detector.detect(woven).verdict.probability)
        print(f"| {source.name} | " + " | ".join("-" if p is None else f"{p:.2f}" for p in found) + " |", flush=True)


def name_combed(paths: Sequence[Path]) -> None:
    seconds = []
    for path in paths:
        combs, took = interlaced.Combs(), 0.0
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                if combs.over:
                    break
                began = perf_counter()
                combs.look(frame)
                took += perf_counter() - began
        seconds.append(took)
        if combs.parity:
            print(f"{path.name}: combed ({combs.parity})")
    print(
        f"{len(paths)} videos; the search took {1000 * median(seconds):.0f} ms (median), {max(seconds):.2f} s at most"
    )


def interlace(frames: list[Planes]) -> Iterator[Planes]:
    """Even rows of each frame, odd rows of the moment half-way to the next."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    for one, other in pairwise(frames):
        moved = flow.calc(one[0], other[0], np.zeros((*one[0].shape, 2), np.float32))
        woven = []
        for first, second in zip(one, other, strict=True):
            height, width = first.shape
            half = cv2.resize(moved, (width, height), interpolation=cv2.INTER_AREA) * (width / one[0].shape[1] / 2)
            grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
            back, ahead = (
                cv2.remap(plane, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
                for plane, at in ((first, grid - half), (second, grid + half))
            )
            field = first.copy()
            field[1::2] = ((back.astype(np.uint16) + ahead) // 2)[1::2]
            woven.append(field)
        yield tuple(woven)


def write(path: Path, frames: Iterable[Planes], rate: Fraction, options: dict[str, str]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate, {"crf": "18", "preset": "veryfast", "threads": "1", **options})
        stream.pix_fmt = "yuv420p"
        for planes in frames:
            height, width = planes[0].shape
            if not stream.codec_context.is_open:
                stream.height, stream.width = height, width
            picture = av.VideoFrame(width, height, "yuv420p")
            for plane, values in zip(planes_of(picture), planes, strict=True):
                plane[:] = values
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    main()
