"""Make the videos of docs/speed.md out of an example: `python benchmarks/speed_videos.py FOLDER`.

The example is scaled to three sizes, and put four times into one picture, each copy a little later than the last.
H.264, 4:2:0, at bitrates that are usual on the web; about 20 seconds each.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "real.mp4"
RATE = 24
LOOPS = 2
LATER = 37  # frames between one copy of the face and the next

# name: width, height, copies along each side, kilobits a second
VIDEOS = {
    "480p": (854, 480, 1, 1000),
    "720p": (1280, 720, 1, 2500),
    "1080p": (1920, 1080, 1, 4500),
    "720p-four-faces": (1280, 720, 2, 2500),
}


def make(path: Path, width: int, height: int, copies: int, kilobits: int) -> None:
    with av.open(str(EXAMPLE)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "medium"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 1000 * kilobits
        for number in range(LOOPS * len(frames)):
            tiles = [frames[(number + LATER * i) % len(frames)] for i in range(copies**2)]
            size = (width // copies, height // copies)
            small = [cv2.resize(tile, size, interpolation=cv2.INTER_CUBIC) for tile in tiles]
            rows = [np.hstack(small[i : i + copies]) for i in range(0, len(small), copies)]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.vstack(rows)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, how in VIDEOS.items():
        make(folder / f"{name}.mp4", *how)
        print(folder / f"{name}.mp4")


if __name__ == "__main__":
    main()
