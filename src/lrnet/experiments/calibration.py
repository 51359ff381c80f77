"""Figures of calibration on any videos: jitter, distance between landmarkers, lag and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from pathlib import Path
from typing import Final

import numpy as np

from lrnet.detector import file_sha256
from lrnet.errors import SequenceError
from lrnet.experiments.measures import DISTANCES, change_interval, lag
from lrnet.faces.from_table import TableLandmarker
from lrnet.faces.landmark_files import LandmarkTable, read_landmarks
from lrnet.faces.landmarker import FaceObservation, Landmarker, overlap
from lrnet.faces.tracker import FaceTracker, TrackSettings
from lrnet.sequence.builder import SequenceBuilder
from lrnet.sequence.jitter import Points, inter_ocular_distance, jitter, mean_of_known, median_of_known
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS
from lrnet.video.frame import Frame
from lrnet.video.reader import VideoReader

OPENFACE: Final = "openface"
SAME_FACE: Final = 0.3  # overlap with the first landmarker's box, below which another one follows another face
WARM_UP: Final = 3  # frames that are not timed
LEAST_VIDEOS: Final = 5  # for an interval
MISSING: Final = np.full((68, 2), np.nan, np.float32)

BeforeAndAfter = tuple[float, float]


@dataclass(frozen=True, slots=True)
class LandmarkerFigures:
    """One landmarker on one video, or its mean over videos (median of lag and times); lengths in % of the inter-ocular
    distance.

    Attributes:
        found: share of the frames in which it has the face.
        jitter_before, jitter_after: of calibration.
        lag_frames: frames that calibrated landmarks come behind, on fast motion.
        along: their mean signed distance along that motion, negative behind.
        milliseconds_per_frame: CPU time of calibration (crop, optical flow, filter), median.
        milliseconds_of_landmarks: CPU time a frame of placing landmarks, median; decoding is left out.
    """

    version: str
    found: float
    jitter_before: float
    jitter_after: float
    lag_frames: float
    along: float
    milliseconds_per_frame: float
    milliseconds_of_landmarks: float


@dataclass(frozen=True, slots=True)
class VideoFigures:
    """One video.

    Attributes:
        inter_ocular: frame pixels, mean over frames and landmarkers.
        landmarkers: by name.
        distances: by pair of names, measure of `DISTANCES` and facial group: before and after calibration, % of the
            inter-ocular distance.
    """

    name: str
    sha256: str
    frames: int
    width: int
    height: int
    inter_ocular: float
    landmarkers: dict[str, LandmarkerFigures]
    distances: dict[tuple[str, str], dict[str, dict[str, BeforeAndAfter]]]


@dataclass(frozen=True, slots=True)
class DistanceRow:
    """A distance between two landmarkers in one facial group, mean over videos, % of the inter-ocular distance.

    Attributes:
        change_percent: of the mean; negative: they came closer.
        interval_95: of `change_percent`, over videos; None for fewer than five.
    """

    pair: tuple[str, str]
    measure: str
    group: str
    before: float
    after: float
    change_percent: float
    interval_95: tuple[float, float] | None
    videos: int


@dataclass(frozen=True, slots=True)
class CalibrationBenchmark:
    """The figures of every video, and their means."""

    videos: tuple[VideoFigures, ...]

    def landmarker_rows(self) -> dict[str, tuple[int, LandmarkerFigures]]:
        """For each landmarker the number of its videos, and its figures over them."""
        rows = {}
        for name in dict.fromkeys(name for video in self.videos for name in video.landmarkers):
            seen = [v.landmarkers[name] for v in self.videos if name in v.landmarkers]
            joined = {
                f: (median_of_known if f.startswith(("lag", "milli")) else mean_of_known)(
                    np.array([getattr(figures, f) for figures in seen], np.float64)
                )
                for f in LandmarkerFigures.__slots__
                if f != "version"
            }
            rows[name] = len(seen), LandmarkerFigures(seen[0].version, **joined)
        return rows

    def distance_rows(self) -> list[DistanceRow]:
        pairs = dict.fromkeys(pair for video in self.videos for pair in video.distances)
        return [
            row for p in pairs for row in distance_rows(p, [v.distances[p] for v in self.videos if p in v.distances])
        ]


def distance_rows(pair: tuple[str, str], videos: Sequence[dict[str, dict[str, BeforeAndAfter]]]) -> list[DistanceRow]:
    """The distances of two landmarkers, joined over videos, by measure and facial group."""
    rows = []
    for measure in DISTANCES:
        for group in FACIAL_GROUPS:
            figures = np.array([video[measure][group] for video in videos], np.float64).reshape(-1, 2)
            figures = figures[np.isfinite(figures).all(axis=1)]
            before, after = mean_of_known(figures[:, 0]), mean_of_known(figures[:, 1])
            change = 100 * (after / before - 1) if before > 0 else float("nan")
            enough = len(figures) >= LEAST_VIDEOS and before > 0
            interval = change_interval(figures[:, 0], figures[:, 1]) if enough else None
            rows.append(DistanceRow(pair, measure, group, before, after, change, interval, len(figures)))
    return rows


def benchmark_calibration(
    videos: Sequence[Path],
    landmarkers: Mapping[str, Landmarker],
    *,
    openface: Mapping[Path, Path] | None = None,
    frames: int | None = None,
    before_each: Callable[[Path], None] = lambda video: None,
) -> CalibrationBenchmark:
    """Measure calibration on the largest face of each video, for each landmarker.

    Args:
        landmarkers: by the name to give each.
        openface: CSV of OpenFace for some of the videos.
        frames: of each video, from its start; all if None.
        before_each: called with each video before it is read.

    Raises:
        VideoError: a video cannot be read.
        SequenceError: a CSV does not fit its video, or no landmarker finds a face.
    """
    figures = []
    for video in videos:
        before_each(video)
        table = None if openface is None or video not in openface else read_landmarks(openface[video])
        figures.append(measure_video(video, landmarkers, openface=table, frames=frames))
    return CalibrationBenchmark(tuple(figures))


def measure_video(
    video: Path,
    landmarkers: Mapping[str, Landmarker],
    *,
    openface: LandmarkTable | None = None,
    frames: int | None = None,
) -> VideoFigures:
    """One video of `benchmark_calibration`; memory does not grow with the size of its frames.

    All landmarkers take turns on each frame, so that a busy machine slows all alike.
    """
    everyone = dict(landmarkers)
    if openface is not None:
        numbers, sure = openface.frame_numbers, openface.confidence
        everyone[OPENFACE] = TableLandmarker(
            openface.points, openface.face_id, frames=numbers, confidence=sure, name=OPENFACE
        )
    followers = {name: _Follower(one) for name, one in everyone.items()}
    shots: list[int] = []
    read = 0
    with VideoReader(video, threads=1) as reader:
        for frame in islice(reader, frames):
            read += 1
            first = None
            for follower in followers.values():
                seen = follower.update(frame, first)
                first = first or seen
            if next(iter(followers.values())).cut:
                shots.append(frame.index)
        info = reader.info
    if openface is not None:
        _require_same_length(openface, video, read, whole=frames is None or read < frames)
    return _figures(video, followers, shots, (info.width, info.height), read)


@dataclass(slots=True)
class _Follower:
    """A landmarker's way through a video: landmarks (68, 2) before and after calibration, NaN where it has no face, and
    CPU seconds of placing and of calibrating them."""

    landmarker: Landmarker
    tracker: FaceTracker = field(init=False)
    builder: SequenceBuilder = field(default_factory=SequenceBuilder)
    detected: list[Points] = field(default_factory=list)
    calibrated: list[Points] = field(default_factory=list)
    finding: list[float] = field(default_factory=list)
    calibrating: list[float] = field(default_factory=list)
    cut: bool = False

    def __post_init__(self) -> None:
        self.tracker = FaceTracker(self.landmarker, TrackSettings(max_faces=1))

    def update(self, frame: Frame, first: FaceObservation | None) -> FaceObservation | None:
        """Take the next frame; `first` is the face as the first landmarker to find it saw it."""
        began = time.thread_time()
        step = self.tracker.update(frame)
        found = time.thread_time()
        self.finding.append(found - began)
        self.cut = step.cut
        if step.cut:
            self.builder = SequenceBuilder()
        face = next(iter(step.seen.values()), None)
        if face is None or (first is not None and overlap(face.box, first.box) < SAME_FACE):
            self.builder.add_gap(frame.index, frame.time)
            self._keep(MISSING, MISSING)
            return None
        calibrated = self.builder.add(frame.luma, face.landmarks, face.confidence, frame.index, frame.time)
        self.calibrating.append(time.thread_time() - found)
        self._keep(face.landmarks, calibrated)
        return face

    def _keep(self, detected: np.ndarray, calibrated: np.ndarray) -> None:
        self.detected.append(detected.astype(np.float64))
        self.calibrated.append(calibrated.astype(np.float64))

    def points(self) -> tuple[Points, Points]:
        """(N, 68, 2) before and after."""
        return np.array(self.detected), np.array(self.calibrated)


def _figures(
    video: Path, followers: Mapping[str, _Follower], shots: list[int], size: tuple[int, int], frames: int
) -> VideoFigures:
    unit = mean_of_known(np.array([inter_ocular_distance(f.points()[0]) for f in followers.values()]))
    if not unit > 0:
        raise SequenceError(f"No landmarker finds a face in {video}.", hint="Give a video that shows one.")
    scaled = {name: tuple(100 * p / unit for p in f.points()) for name, f in followers.items()}
    figures = {}
    for name, (before, after) in scaled.items():
        follower = followers[name]
        times = (1000 * median_of_known(np.array(t[WARM_UP:])) for t in (follower.calibrating, follower.finding))
        found = float(np.isfinite(before[:, 0, 0]).mean())
        figures[name] = LandmarkerFigures(
            follower.landmarker.version, found, jitter(before, shots), jitter(after, shots),
            *lag(before, after, shots), *times,
        )  # fmt: skip
    distances = {
        (a, b): {measure: _before_and_after(scaled[a], scaled[b], measure, shots) for measure in DISTANCES}
        for a, b in combinations(scaled, 2)
    }
    return VideoFigures(video.name, file_sha256(video), frames, *size, unit, figures, distances)


def _before_and_after(
    a: tuple[Points, ...], b: tuple[Points, ...], measure: str, shots: list[int]
) -> dict[str, BeforeAndAfter]:
    before, after = (DISTANCES[measure](p, q, shots) for p, q in zip(a, b, strict=True))
    return {group: (before[group], after[group]) for group in FACIAL_GROUPS}


def _require_same_length(table: LandmarkTable, video: Path, read: int, *, whole: bool) -> None:
    if table.frame_count < read or (whole and table.frame_count != read):
        raise SequenceError(
            f"{table.source} holds landmarks of {table.frame_count} frames, and {video} has {read}"
            f"{'' if whole else ' or more'}.",
            hint="Check that they belong together.",
        )
