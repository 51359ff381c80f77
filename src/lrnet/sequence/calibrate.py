"""Calibration of any 68 landmarks of any video."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import SequenceError, VideoError
from lrnet.faces.landmark_files import LandmarkTable, read_landmarks
from lrnet.faces.landmarker import NUM_LANDMARKS
from lrnet.faces.squares import face_box
from lrnet.faces.tracker import CutDetector, is_another
from lrnet.sequence.alignment import Align, completed, require_fit, row_finder
from lrnet.sequence.builder import SequenceBuilder
from lrnet.sequence.jitter import inter_ocular_distance, jitter
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.sequence.placement import Placement, find_placement
from lrnet.sequence.settings import SequenceSpec
from lrnet.video.frame import Frame
from lrnet.video.limits import WHOLE
from lrnet.video.reader import VideoReader

Array = NDArray[np.float32]
Image = NDArray[np.uint8]
Source = str | os.PathLike[str] | Iterable[Frame | Image]

LARGEST_FACE: Final = 4.0  # of the frame's longer side; landmarks further apart are not of this video
RISEN: Final = 0.005  # % of the inter-ocular distance; jitter that rises by less is shown as equal


@dataclass(frozen=True, slots=True)
class CalibratedLandmarks:
    """A face's landmarks over a whole video, before and after calibration; N frames.

    Attributes:
        points: (N, 68, 2) float32 frame pixels, calibrated; NaN where the landmark was missing.
        detected: (N, 68, 2) float32 frame pixels, as they came in.
        times: (N,) float64 seconds.
        valid: (N,) bool, whether all 68 points of a frame are there.
        confidence: (N,) float32, the landmarker's own; 0 at gaps.
        forward_backward_error: (N - 1, 68) float32 frame pixels: how far a point lands from where it started when
            tracked one frame on and back; NaN where either frame lacks the point and at a shot cut.
        innovation: (N - 1, 68, 2) float32 frame pixels: detected minus predicted; NaN likewise.
        tracked: (N - 1, 68) bool, whether the prediction passed its check and was merged; False likewise.
        shot_starts: numbers of the frames at which a shot starts, 0 the first of them. A shot also starts where the
            face jumps so far that it must be another one.
        sequence: the same landmarks normalised, all N frames; a frame that is not `valid` is a gap as a whole.
        notes: sentences for the user on converted landmarks, missing rows, damage, jumps of the face, or raised jitter.
    """

    points: Array
    detected: Array
    times: NDArray[np.float64]
    valid: NDArray[np.bool_]
    confidence: Array
    forward_backward_error: Array
    innovation: Array
    tracked: NDArray[np.bool_]
    shot_starts: tuple[int, ...]
    sequence: LandmarkSequence
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.times)

    @property
    def shots(self) -> tuple[LandmarkSequence, ...]:
        """`sequence` cut at the shot cuts: what may be cut into clips."""
        edges = (*self.shot_starts, len(self))
        return tuple(self.sequence[start:stop] for start, stop in pairwise(edges))

    @property
    def frames_with_face(self) -> int:
        """Frames in which any point is there."""
        return int(np.isfinite(self.points).any(axis=(1, 2)).sum())

    @property
    def tracked_share(self) -> float:
        """Share of points whose prediction was merged, of all that had one; NaN if none had."""
        predicted = np.isfinite(self.forward_backward_error)
        return float(self.tracked[predicted].mean()) if predicted.any() else float("nan")

    def jitter(self) -> tuple[float, float]:
        """Jitter (see `lrnet.sequence.jitter`) before and after calibration, in % of the inter-ocular distance."""
        before, after = self.detected.astype(np.float64), self.points.astype(np.float64)
        unit = max(inter_ocular_distance(before), 1e-9) / 100
        return jitter(before, self.shot_starts) / unit, jitter(after, self.shot_starts) / unit

    def table(self, *, normalised: bool = False) -> LandmarkTable:
        """The calibrated landmarks as `write_landmarks` takes them; gaps are rows of NaN.

        Args:
            normalised: in units of the stabilised crop, as the network reads them, instead of frame pixels.
        """
        n = len(self)
        return LandmarkTable(
            points=self.sequence.values if normalised else self.points,
            frame_numbers=np.arange(n),
            timestamps=self.times,
            face_id=np.full(n, self.sequence.face),
            confidence=self.confidence,
            units="normalised" if normalised else "frame pixels",
        )


def calibrate(
    video_or_frames: Source,
    landmarks: str | os.PathLike[str] | LandmarkTable | NDArray[np.floating],
    *,
    settings: SequenceSpec | None = None,
    face: int | None = None,
    align: Align = "index",
    frame_rate: float = 25.0,
    check_faces: bool = True,
) -> CalibratedLandmarks:
    """Denoise the landmarks of one face by optical flow and a Kalman filter (Algorithm 2 of the paper).

    The filter starts again at shot cuts, where the face jumps, and after every frame without the face. Where only some
    points of a frame are missing (at least half must be there), the others are calibrated as usual; a missing one comes
    out NaN, and so does what is measured on it.

    Args:
        video_or_frames: path of a video; or its frames in order, each a (H, W) grey or (H, W, 3) colour uint8 array or
            a `lrnet.video.frame.Frame`. Of a path and of a `Frame`, the brightness is used.
        landmarks: path of a landmark file (see `read_landmarks`), a table, or an array (N, 68, 2) or (N, 136) in
            frame pixels, x right and y down, NaN where a point is missing.
        settings: of calibration and of the crop in which it works.
        face: number of the face, where the landmarks are of several.
        align: "index" goes by frame numbers: a frame without a row is a gap. "time" goes by time stamps, for landmarks
            of a copy at another frame rate.
        frame_rate: of frames given as arrays, Hz; only times depend on it.
        check_faces: compare the landmarks of a path's video with the faces found in a few of its frames, and convert
            them where they are in pixels as the file stores them (see `lrnet.sequence.placement`).

    Raises:
        SequenceError: the landmarks cannot be read, are of another number of frames or of several faces, are
            normalised, are not on a face of the video or not in the frame, or cannot be aligned by time; or the frame
            rate is not above 0.
        VideoError: the video cannot be read, a frame is no image, or some frames are grey and others colour.

    Example:
        ```python
        result = lrnet.calibrate("clip.mp4", "openface.csv")
        before, after = result.jitter()
        write_landmarks("calibrated.csv", result.table())
        ```
    """
    if not (isfinite(frame_rate) and frame_rate > 0):
        raise SequenceError(f"The frame rate is {frame_rate:g}.", hint="Give frames a second, a number above 0.")
    table = _as_table(landmarks)
    rows = table.of_face(face)
    number = int(rows.face_id[0])
    row_of = row_finder(rows, align)
    points, present = completed(rows)
    video: str | None = None
    frames: Iterable[Frame | Image] = ()
    if isinstance(video_or_frames, str | os.PathLike):
        video = os.fspath(video_or_frames)
    else:
        frames = video_or_frames
    placement = Placement()
    if video is not None and check_faces:
        placement = find_placement(video, points, row_finder(rows, align), rows.source)
        points = placement.apply(points)
    shots = _Shots(number, settings)
    numbers: list[int] = []
    times: list[float] = []
    jumps: list[int] = []
    last: Array | None = None
    last_shot = 0
    with nullcontext() if video is None else VideoReader(video, WHOLE) as reader:
        pictures = _pictures(frames, frame_rate) if reader is None else _pictures_of(reader)
        for read, (image, time, shot) in enumerate(pictures):
            if shot != last_shot:  # the file's time jumps: recordings were joined
                shots.start(read)
                last, last_shot = None, shot
            row = row_of(read, time)
            times.append(time)
            numbers.append(-1 if row is None else int(rows.frame_numbers[row]))
            if image is None or row is None or np.isnan(points[row, 0, 0]):
                shots.add(image, None, np.zeros(NUM_LANDMARKS, bool), 0.0, read, time)
                continue
            _require_in_frame(rows.source, points[row], image, read)
            if last is not None and is_another(last, points[row]):
                jumps.append(read)
                shots.start(read)
            last = points[row]
            shots.add(image, last, present[row], float(rows.confidence[row]), read, time)
    fit = require_fit(table, video or "the video", align, np.array(times, np.float64), np.array(numbers, np.int64))
    result = shots.finish()
    damage = _damage_note(reader.damaged if reader else 0)
    return replace(result, notes=(*placement.notes, *fit, *damage, *_jump_note(jumps), *_jitter_note(*result.jitter())))


def _damage_note(damaged: int) -> list[str]:
    if not damaged:
        return []
    return [
        f"The video is damaged ({damaged} frames or more): a frame that the decoder had to patch is a gap, and one "
        "that it lost is not counted."
    ]


def _jump_note(jumps: list[int]) -> list[str]:
    if not jumps:
        return []
    shown = ", ".join(map(str, jumps[:5])) + (f" and {len(jumps) - 5} more" if len(jumps) > 5 else "")
    return [
        f"The face jumps by more than half its size at frame {shown} (from 0), or is suddenly larger or smaller: "
        "another face, and a new shot."
    ]


def _jitter_note(before: float, after: float) -> list[str]:
    if not after > before + RISEN:
        return []
    return [
        f"Calibration raised the jitter from {before:.2f} to {after:.2f} % of the inter-ocular distance: the landmarks "
        "were smoothed before (OpenFace follows a face itself), or they do not belong to this video."
    ]


class _Shots:
    """Builds a sequence for each shot and joins them."""

    def __init__(self, face: int, settings: SequenceSpec | None) -> None:
        self._new: Callable[[], SequenceBuilder] = lambda: SequenceBuilder(face, settings)
        self._builder = self._new()
        self._cuts = CutDetector()
        self._done: list[LandmarkSequence] = []
        self._starts = [0]
        self._present: list[NDArray[np.bool_]] = []

    def start(self, index: int) -> None:
        """Start a new shot at frame `index`, the next one to be added."""
        if self._starts[-1] != index:
            self._done.append(self._builder.finish(keep_gaps=True))
            self._builder = self._new()
            self._starts.append(index)

    def add(
        self,
        image: Image | None,
        points: Array | None,
        present: NDArray[np.bool_],
        confidence: float,
        index: int,
        time: float,
    ) -> None:
        # Any one colour channel shows a cut; the second is green in every usual order, and nearest to brightness.
        if image is not None and self._cuts.is_cut(image if image.ndim == 2 else image[:, :, 1]):
            self.start(index)
        self._present.append(present)
        if image is None or points is None:
            self._builder.add_gap(index, time)
        else:
            self._builder.add(image, points, confidence, index, time)

    def finish(self) -> CalibratedLandmarks:
        whole = LandmarkSequence.join([*self._done, self._builder.finish(keep_gaps=True)])
        present = np.array(self._present, bool).reshape(len(whole), NUM_LANDMARKS)
        both = present[1:] & present[:-1]
        complete = np.asarray(np.logical_and.reduce(present, axis=1), bool)
        return CalibratedLandmarks(
            points=_where(present, whole.frame_landmarks()),
            detected=_where(present, whole.uncalibrated().frame_landmarks()),
            times=whole.times,
            valid=complete,
            confidence=whole.confidence,
            forward_backward_error=_where(both, whole.forward_backward_error * np.float32(whole.half_side)),
            innovation=_where(both, whole.innovation * np.float32(whole.half_side)),
            tracked=whole.tracked & both,
            shot_starts=tuple(self._starts),
            sequence=whole.with_gaps(~complete),
        )


def _where(keep: NDArray[np.bool_], values: Array) -> Array:
    """`values` (N, 68) or (N, 68, 2), NaN where `keep` (N, 68) is False."""
    return np.where(keep.reshape(*keep.shape, *[1] * (values.ndim - 2)), values, np.float32(np.nan))


def _as_table(landmarks: str | os.PathLike[str] | LandmarkTable | NDArray[np.floating]) -> LandmarkTable:
    if isinstance(landmarks, str | os.PathLike):
        table = read_landmarks(landmarks)
    elif isinstance(landmarks, LandmarkTable):
        table = landmarks
    else:
        table = LandmarkTable.from_points(landmarks)
    if table.units == "normalised":
        raise SequenceError(
            f"{table.source} holds normalised landmarks: where they are in the frame is unknown.",
            hint="Give landmarks in pixels of the frame.",
        )
    return table


def _require_in_frame(source: str, points: Array, image: Image, index: int) -> None:
    """Raise SequenceError for a face outside the frame: landmarks of another video or resolution."""
    height, width = image.shape[:2]
    low, high = points.min(axis=0), points.max(axis=0)
    if (high < 0).any() or (low > (width, height)).any() or face_box(points)[1] > LARGEST_FACE * max(width, height):
        raise SequenceError(
            f"{source}: the landmarks of frame {index}, x {low[0]:.0f} to {high[0]:.0f} and y {low[1]:.0f} to "
            f"{high[1]:.0f}, are not in the frame of {width} x {height} pixels.",
            hint="Check that they were made from this video, at this size and upright.",
        )


def _pictures(source: Iterable[Frame | Image], frame_rate: float) -> Iterator[tuple[Image | None, float, int]]:
    """Images with their times in seconds and the number of discontinuities of time before them."""
    dimensions = 0
    for index, frame in enumerate(source):
        image, time, shot = _picture(frame, index, frame_rate)
        if dimensions not in (0, image.ndim):
            raise VideoError(
                f"Frame {index} is an array of {image.ndim} dimensions, and those before it of {dimensions}.",
                hint="Give all frames as (H, W) grey or all as (H, W, 3) colour arrays.",
            )
        dimensions = image.ndim
        yield image, time, shot


def _pictures_of(reader: VideoReader) -> Iterator[tuple[Image | None, float, int]]:
    """Likewise of a video. A frame that the reader left out as damaged is None: other programs count it, too."""
    last, time, step, shot = -1, 0.0, 1 / 25, 0
    for frame in reader:
        if frame.index > 0:
            step = frame.time / frame.index if last < 0 else (frame.time - time) / (frame.index - last)
        for before in range(frame.index - last - 1, 0, -1):
            yield None, frame.time - before * step, shot
        last, time, shot = frame.index, frame.time, frame.shot
        yield frame.luma, time, shot
    for after in range(1, reader.frames - last):
        yield None, time + after * step, shot


def _picture(frame: Frame | Image, index: int, frame_rate: float) -> tuple[Image, float, int]:
    if isinstance(frame, Frame):
        return frame.luma, frame.time, frame.shot
    image = np.asarray(frame)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)) or not image.size:
        raise VideoError(
            f"Frame {index} is an array of shape {image.shape} and type {image.dtype}.",
            hint="Give frames as (H, W) grey or (H, W, 3) colour arrays of uint8.",
        )
    return np.ascontiguousarray(image), index / frame_rate, 0
