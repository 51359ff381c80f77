"""Every landmarker on the same frames of a video: time, jitter, distance to the built-in mesh.

    python -m lrnet.experiments.landmarkers VIDEO [--names mesh,dlib,...] [--frames 200]

All of them follow one face, in turns on each frame, so that a busy machine slows all alike: read the ratios. Time is
the median CPU time of this thread, with one thread in every library; decoding is left out.

* jitter: mean length of a landmark's second difference over three frames in a row;
* distance: mean distance of the landmarks from the mesh's in the same frame, for all and for each facial group;

both as % of the inter-ocular distance (outer corners of the eyes, by the mesh). Jitter includes how the face really
moves, which is the same for all of them: compare, and read nothing into it alone.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.evaluation.report import table
from lrnet.experiments.measures import by_group, inter_ocular_distance, mean_of_known
from lrnet.faces import landmarker, landmarker_status
from lrnet.faces.tracker import FaceTracker, TrackSettings
from lrnet.sequence.kalman import lengths
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS
from lrnet.video.reader import VideoReader

MESH = "mesh"
WARM_UP = 3  # frames that are not timed
MISSING = np.full((68, 2), np.nan, np.float32)


@dataclass
class Run:
    """One landmarker's way through the video: a tracker, seconds a frame, landmarks (68, 2) a frame, NaN where lost."""

    name: str
    tracker: FaceTracker
    seconds: list[float] = field(default_factory=list)
    landmarks: list[NDArray[np.float32]] = field(default_factory=list)

    def points(self) -> NDArray[np.float64]:
        """(N, 68, 2)"""
        return np.asarray(self.landmarks, np.float64)


def follow(video: str, names: Sequence[str], frames: int) -> list[Run]:
    """Let each landmarker follow the largest face."""
    runs = [Run(name, FaceTracker(landmarker(name), TrackSettings(max_faces=1))) for name in names]
    with VideoReader(video, threads=1) as reader:
        for frame in islice(reader, frames):
            for run in runs:
                start = time.thread_time()
                seen = run.tracker.update(frame).seen
                run.seconds.append(time.thread_time() - start)
                run.landmarks.append(next((face.landmarks for face in seen.values()), MISSING))
    return runs


def jitter(points: NDArray[np.float64], unit: float) -> float:
    """Mean length of the second difference, % of `unit`."""
    second = points[2:] - 2 * points[1:-1] + points[:-2]
    return 100 * float(np.nanmean(np.linalg.norm(second, axis=-1))) / unit


def report(runs: Sequence[Run]) -> None:
    """Print the table."""
    mesh = runs[0]
    points = mesh.points()
    unit = inter_ocular_distance(points)
    typical = float(np.median(mesh.seconds[WARM_UP:]))
    print(f"{len(points)} frames, inter-ocular distance {unit:.0f} pixels\n")
    rows = []
    for run in runs:
        p = run.points()
        found = float(np.isfinite(p[:, 0, 0]).mean())
        middle = float(np.median(run.seconds[WARM_UP:]))
        cells = [run.name, f"{1e3 * middle:.1f}", f"{middle / typical:.2f}", f"{found:.0%}"]
        if found:
            apart = 100 * lengths(p - points) / unit
            each = (mean_of_known(apart), *by_group(apart).values())
            cells += [f"{jitter(p, unit):.2f}", *(f"{distance:.1f}" for distance in each)]
        rows.append(cells)
    print(table(("landmarker", "ms / frame", "of mesh", "found", "jitter", "distance", *FACIAL_GROUPS), rows), end="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--names", help="with commas; all that are ready here if not given")
    parser.add_argument("--frames", type=int, default=200)
    options = parser.parse_args()
    ready = [s.name for s in landmarker_status() if s.ready and s.name not in ("openface", "arrays")]
    wanted = options.names.split(",") if options.names else ready
    cv2.setNumThreads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it when a landmarker loads it
    report(follow(options.video, [MESH, *(name for name in wanted if name != MESH)], options.frames))


if __name__ == "__main__":
    main()
