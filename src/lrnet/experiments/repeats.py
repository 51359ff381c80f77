"""How many frames of videos repeat the one before: `python -m lrnet.experiments.repeats VIDEO_OR_FOLDER...`."""

from __future__ import annotations

from itertools import islice

from lrnet.experiments import environment
from lrnet.video.folder import find_videos
from lrnet.video.limits import WHOLE
from lrnet.video.reader import VideoReader
from lrnet.video.spacing import spaced

FRAMES = 250  # of each video


def repeated(video: str) -> tuple[int, int]:
    """Frames of a video that repeat the one before, and frames looked at."""
    with VideoReader(video, WHOLE, threads=1) as reader:
        frames = spaced(islice(reader.decode(), FRAMES), rate=1000)
        kept = sum(1 for _ in frames)
    return frames.repeated, kept + frames.repeated


def main() -> None:
    parser = environment.parser(__doc__)
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="a video, or a folder of videos")
    videos = find_videos(parser.parse_args().videos)
    found = [repeated(video) for video in videos]
    for video, (repeats, count) in zip(videos, found, strict=True):
        if repeats:
            print(f"{repeats:5d} of {count}  {video}")
    few = [(repeats, count) for repeats, count in found if repeats < 0.05 * count]
    print(f"{sum(r for r, _ in found)} of {sum(c for _, c in found)} frames in {len(found)} videos")
    print(f"{sum(r for r, _ in few)} of {sum(c for _, c in few)} in the {len(few)} videos with fewer than one in 20")


if __name__ == "__main__":
    environment.run(main)
