"""`LandmarkSequence`: the landmarks of one face over one stretch of time.

A landmark is a point (x, y), 68 to a face in the order of iBUG 300-W. *Normalised* coordinates are those of the
stabilised crop, [-1, 1] from edge to edge: 1 is half the crop's side (0.6 of the face's size).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import SequenceError
from lrnet.faces.landmarker import NUM_LANDMARKS
from lrnet.sequence.crop import from_normalised
from lrnet.sequence.surroundings import NUM_SURROUNDINGS

Array = NDArray[np.float32]

FACIAL_GROUPS: Final = MappingProxyType(
    {
        "jaw": slice(0, 17),
        "right brow": slice(17, 22),
        "left brow": slice(22, 27),
        "nose": slice(27, 36),
        "right eye": slice(36, 42),
        "left eye": slice(42, 48),
        "mouth": slice(48, 68),
    }
)
"""The paper's seven facial groups as ranges of the 68 landmarks; right and left are the person's own."""

MIRROR: Final = np.array(
    [
        *range(16, -1, -1),  # jaw
        *range(26, 16, -1),  # brows
        *range(27, 31),  # bridge of the nose
        *range(35, 30, -1),  # nostrils
        *(45, 44, 43, 42, 47, 46),  # right eye
        *(39, 38, 37, 36, 41, 40),  # left eye
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outer lips
        *(64, 63, 62, 61, 60, 67, 66, 65),  # inner lips
    ]
)
"""Which landmark each one becomes in a mirror."""

MIRROR_SURROUNDINGS: Final = np.array([*range(16, -1, -1), *range(26, 16, -1), *range(41, 26, -1)])
"""The same for the `surroundings`."""

_MIRRORS: Final = {NUM_LANDMARKS: MIRROR, NUM_SURROUNDINGS: MIRROR_SURROUNDINGS}


class Column(NamedTuple):
    """One array of a `LandmarkSequence`.

    Attributes:
        name: of the attribute.
        per: "frame": one row for each of the N frames. "pair": one row for each of the N - 1 pairs of neighbours.
        shape: of a row; (…, 2) is x and y.
        dtype: of its numbers.
        missing: what a row holds where nothing was measured; None if every frame has a value.
        normalised: whether it holds lengths or places in normalised coordinates.
        optional: whether a sequence may lack it (None).
    """

    name: str
    per: Literal["frame", "pair"]
    shape: tuple[int, ...]
    dtype: type[np.generic]
    missing: float | bool | None = None
    normalised: bool = False
    optional: bool = False


MOMENTS: Final = (("looks", "look_times", 1), ("crops", "crop_times", 3))
"""Measurements of single moments: the attribute, the attribute with its times, the sides of a row."""

_NAN: Final = float("nan")
COLUMNS: Final = (
    Column("frame_indices", "frame", (), np.int64),
    Column("times", "frame", (), np.float64),
    Column("valid", "frame", (), np.bool_, missing=False),
    Column("confidence", "frame", (), np.float32, missing=0.0),
    Column("centres", "frame", (2,), np.float32),
    Column("values", "frame", (NUM_LANDMARKS, 2), np.float32, missing=_NAN, normalised=True),
    Column("detected", "frame", (NUM_LANDMARKS, 2), np.float32, missing=_NAN, normalised=True),
    Column("innovation", "pair", (NUM_LANDMARKS, 2), np.float32, missing=_NAN, normalised=True),
    Column("forward_backward_error", "pair", (NUM_LANDMARKS,), np.float32, missing=_NAN, normalised=True),
    Column("tracked", "pair", (NUM_LANDMARKS,), np.bool_, missing=False),
    Column("surround_error", "pair", (NUM_SURROUNDINGS,), np.float32, missing=_NAN, normalised=True, optional=True),
)
"""Every array of a sequence with a row for each frame or pair of frames, for slicing, joining, mirroring and stores."""


def finite_frames(points: Array) -> NDArray[np.bool_]:
    """(N,) whether every number of a frame of (N, …) is finite."""
    finite: NDArray[np.bool_] = np.isfinite(points.reshape(len(points), math.prod(points.shape[1:])))
    return np.asarray(np.logical_and.reduce(finite, axis=1), bool)


@dataclass(frozen=True, slots=True)
class LandmarkSequence:
    """One face over one stretch of time, calibrated and normalised.

    Attributes:
        values: (N, 68, 2) float32, normalised; NaN where `valid` is False.
        detected: (N, 68, 2) float32, the landmarks before calibration, normalised alike.
        times: (N,) float64 seconds, rising.
        valid: (N,) bool, False where the face was not found (a gap, not a copy).
        confidence: (N,) float32 in [0, 1], the landmarker's own; 0 at gaps.
        forward_backward_error: (N - 1, 68) float32, normalised: how far a point lands from where it started when
            tracked one frame on and back; NaN where either frame is a gap.
        innovation: (N - 1, 68, 2) float32, normalised: detected minus predicted; NaN likewise.
        tracked: (N - 1, 68) bool, whether the prediction passed the forward-backward check and was used.
        frame_indices: (N,) int64, index of the video's frame.
        centres: (N, 2) float32 frame pixels, centre of the crop.
        half_side: frame pixels that 1.0 stands for.
        face: which face of the video, from 0.
        surround_error: (N - 1, 42) float32, forward-backward error of the `surroundings`, normalised; NaN likewise and
            where a point could not be followed. None if it was not measured.
        looks: (K, L) float32, looks of the face (`lrnet.faces.look`) at `look_times`. None if not measured.
        look_times: (K,) float64 seconds, rising, each the time of a frame; None with `looks`.
        crops: (K, S, S, 3) uint8 RGB, the face at `crop_times` (`lrnet.appearance.crops`). None if none were taken.
        crop_times: (K,) float64 seconds, as `look_times`; None with `crops`.
    """

    values: Array
    detected: Array
    times: NDArray[np.float64]
    valid: NDArray[np.bool_]
    confidence: Array
    forward_backward_error: Array
    innovation: Array
    tracked: NDArray[np.bool_]
    frame_indices: NDArray[np.int64]
    centres: Array
    half_side: float
    face: int = 0
    surround_error: Array | None = None
    looks: Array | None = None
    look_times: NDArray[np.float64] | None = None
    crops: NDArray[np.uint8] | None = None
    crop_times: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        n = len(self.times)
        for column in COLUMNS:
            array = getattr(self, column.name)
            if array is None and column.optional:
                continue
            shape = (n if column.per == "frame" else max(n - 1, 0), *column.shape)
            if array.shape != shape:
                raise SequenceError(
                    f"A sequence of {n} frames needs {column.name} of shape {shape}, not {array.shape}.",
                    hint="Give every array one row for each frame (or one row for each pair of frames).",
                )
        for name, at, sides in MOMENTS:
            array, times = getattr(self, name), getattr(self, at)
            if (array is None) != (times is None) or (
                array is not None and (array.ndim != sides + 1 or times.shape != (len(array),))
            ):
                raise SequenceError(
                    f"Each row of {name} needs its time.", hint=f"Give {name} and {at} of one length, or neither."
                )

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, rows: slice | Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> LandmarkSequence:
        """Some of the frames, as a sequence. What was measured from one frame to the next stays where both are kept
        and nothing between them is left out; elsewhere it is NaN (False for `tracked`).

        Args:
            rows: a slice, rising row numbers, or one bool for each frame.

        Raises:
            SequenceError: the rows do not rise.
            IndexError: there is no such row.
            TypeError: a single row is given.
        """
        kept = np.arange(len(self))[rows]
        if kept.ndim != 1:
            raise TypeError("a sequence is indexed by a slice or by several rows")
        steps = np.diff(kept)
        if (steps <= 0).any():
            raise SequenceError("The rows of a sequence are taken in rising order.", hint="Sort them, each once.")
        pairs, apart = kept[:-1], steps != 1

        def taken(column: Column, array: NDArray[Any]) -> NDArray[Any]:
            if column.per == "frame":
                return array[kept]
            array = array[pairs]
            array[apart] = column.missing
            return array

        return replace(self, **self._each(taken), **self._moments_at(self.times[kept]))

    def between(self, start: float, stop: float) -> LandmarkSequence:
        """The frames with start <= time < stop, seconds."""
        first, last = np.searchsorted(self.times, (start, stop))
        return self[first : max(first, last)]

    @classmethod
    def join(cls, parts: Sequence[LandmarkSequence]) -> LandmarkSequence:
        """One sequence of several that follow one another. Nothing is known of the pairs of frames at the joins.

        The parts may have crops of different size: the joined `half_side` is their mean, weighted by their frames with
        a face, and normalised values are converted to it. What a part lacks, the whole lacks, except looks and crops.

        Raises:
            SequenceError: there are no parts, they are of different faces, or one starts before another ends.
        """
        if len({part.face for part in parts}) != 1:
            raise SequenceError("Only sequences of one face can be joined.", hint="Join each face's by themselves.")
        parts = [part for part in parts if len(part)] or parts[:1]
        if any(a.times[-1] >= b.times[0] for a, b in pairwise(parts)):
            raise SequenceError("Sequences that overlap in time cannot be joined.", hint="Join them in their order.")
        half = _common_half_side(parts)

        def joined(column: Column) -> NDArray[Any]:
            pieces: list[NDArray[Any]] = []
            for number, part in enumerate(parts):
                array: NDArray[Any] = getattr(part, column.name)
                if column.normalised and part.half_side != half:
                    array = array * column.dtype(part.half_side / half)
                if number and column.per == "pair":
                    pieces.append(np.full((1, *column.shape), column.missing, column.dtype))
                pieces.append(array)
            return np.concatenate(pieces)

        moments: dict[str, Any] = {}
        for name in (name for pair in MOMENTS for name in pair[:2]):
            there = [getattr(part, name) for part in parts if getattr(part, name) is not None]
            moments[name] = np.concatenate(there) if there else None
        measured = [c for c in COLUMNS if all(getattr(part, c.name) is not None for part in parts)]
        arrays: dict[str, Any] = {c.name: joined(c) if c in measured else None for c in COLUMNS}
        return replace(parts[0], **arrays, **moments, half_side=half)

    def with_gaps(self, missing: NDArray[np.bool_]) -> LandmarkSequence:
        """The sequence with more gaps: where `missing` (N,) is True, the face counts as not found."""
        between = missing[1:] | missing[:-1]

        def emptied(column: Column, array: NDArray[Any]) -> NDArray[Any]:
            if column.missing is None:
                return array
            array = array.copy()
            array[missing if column.per == "frame" else between] = column.missing
            return array

        return replace(self, **self._each(emptied), **self._moments_at(self.times[~missing]))

    def mirrored(self) -> LandmarkSequence:
        """The mirror image: x negated, left and right landmarks exchanged, without looks and crops."""
        flip = np.array([-1, 1], np.float32)

        def reflected(column: Column, array: NDArray[Any]) -> NDArray[Any]:
            if column.shape and column.shape[0] in _MIRRORS:
                array = array[:, _MIRRORS[column.shape[0]]]
            return array * flip if column.shape[-1:] == (2,) else array

        arrays = self._each(reflected)
        return replace(self, **arrays, looks=None, look_times=None, crops=None, crop_times=None)

    def later(self, seconds: float) -> LandmarkSequence:
        """The sequence as it would be if everything happened `seconds` later."""
        times = {name: getattr(self, name) for name in ("times", *(at for _, at, _ in MOMENTS))}
        moved: dict[str, Any] = {name: array + seconds for name, array in times.items() if array is not None}
        return replace(self, **moved)

    def _each(self, change: Callable[[Column, NDArray[Any]], NDArray[Any]]) -> dict[str, Any]:
        """Every array that the sequence has, changed, by its name."""
        there = ((column, getattr(self, column.name)) for column in COLUMNS)
        return {column.name: change(column, array) for column, array in there if array is not None}

    def _moments_at(self, times: NDArray[np.float64]) -> dict[str, Any]:
        """The looks and crops that were taken at one of these times."""
        found: dict[str, Any] = {}
        for name, at, _ in MOMENTS:
            array, seen = getattr(self, name), getattr(self, at)
            if array is not None:
                inside = np.isin(seen, times)
                found |= {name: array[inside], at: seen[inside]}
        return found

    @property
    def face_size(self) -> float:
        """Mean size of the face in frame pixels (longer side of the landmarks' bounding box)."""
        found = self.values[self.valid]
        if not len(found):
            return 0.0
        spans = (found.max(axis=1) - found.min(axis=1)).max(axis=1)
        return float(spans.mean() * self.half_side)

    def flow_steps(self) -> Array:
        """(N - 1, 68, 2) how far optical flow carries each landmark from a frame to the next, in units of `half_side`.

        The motion of the crop is in it: these are steps in the frame. NaN where either frame is a gap.
        """
        shift = self.centres[:, None, :] / np.float32(max(self.half_side, 1e-6))
        predicted = self.detected[1:] - self.innovation
        return (predicted + shift[1:]) - (self.values + shift)[:-1]

    def image_motion(self) -> float:
        """How far a landmark moves in a frame relative to the others, by optical flow: median, normalised.

        Measured on pixels, not detections: near zero for a picture of a face. NaN without a pair of frames.
        """
        step = self.flow_steps()
        step = step[finite_frames(step)]
        if not len(step):
            return float("nan")
        step = step - np.median(step, axis=1, keepdims=True)
        return float(np.median(np.linalg.norm(step, axis=2)))

    def deformation(self, lag: int) -> float:
        """How much the face changes its shape over `lag` frames: median, normalised; NaN without a pair of frames.

        Each frame's landmarks are mapped onto those `lag` frames later by the best polynomial of second degree, which
        takes up the motion of rigid things: shift, turn, size, and nearly all of a plane's perspective and of a slowly
        turning head. The result is the median of the remaining distances.
        """
        pairs = self.valid[lag:] & self.valid[:-lag]
        start, end = (part[pairs].astype(np.float64) for part in (self.values[:-lag], self.values[lag:]))
        if not len(start):
            return float("nan")
        x, y = np.moveaxis(start - start.mean(axis=1, keepdims=True), 2, 0)
        terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2)
        turned = terms.transpose(0, 2, 1)
        # The ridge is for landmarks that lie on a line, as no face's do.
        fitted = terms @ np.linalg.solve(turned @ terms + 1e-9 * np.eye(terms.shape[2]), turned @ end)
        return float(np.median(np.linalg.norm(end - fitted, axis=2)))

    def frame_landmarks(self) -> Array:
        """The calibrated landmarks in frame pixels, (N, 68, 2), NaN at gaps."""
        return from_normalised(self.values, self.centres, self.half_side)

    def uncalibrated(self) -> LandmarkSequence:
        """The same sequence with the landmarks as detected."""
        return replace(self, values=self.detected)

    @classmethod
    def from_values(
        cls, values: Array, *, times: NDArray[np.float64] | None = None, rate: float = 25.0
    ) -> LandmarkSequence:
        """A sequence of normalised landmarks alone, (N, 68, 2) or (N, 136) with x and y in turn.

        Frames with a value that is not finite become gaps. Tracker measurements are zero.

        Raises:
            SequenceError: the landmarks have another shape.
        """
        points = np.asarray(values, np.float32)
        if points.shape[1:] not in ((NUM_LANDMARKS, 2), (2 * NUM_LANDMARKS,)):
            raise SequenceError(
                f"Landmarks of shape {points.shape} cannot be read.", hint="Give (N, 68, 2) or (N, 136)."
            )
        points = points.reshape(-1, NUM_LANDMARKS, 2)
        n = len(points)
        valid = finite_frames(points)
        points = np.where(valid[:, None, None], points, np.float32(np.nan))
        pairs = max(n - 1, 0)
        return cls(
            values=points,
            detected=points,
            times=np.arange(n) / rate if times is None else np.asarray(times, np.float64),
            valid=valid,
            confidence=valid.astype(np.float32),
            forward_backward_error=np.zeros((pairs, NUM_LANDMARKS), np.float32),
            innovation=np.zeros((pairs, NUM_LANDMARKS, 2), np.float32),
            tracked=np.ones((pairs, NUM_LANDMARKS), bool),
            frame_indices=np.arange(n),
            centres=np.zeros((n, 2), np.float32),
            half_side=1.0,
        )


def _common_half_side(parts: Sequence[LandmarkSequence]) -> float:
    sides = [part.half_side for part in parts]
    seen = [int(part.valid.sum()) for part in parts]
    if len(set(sides)) == 1 or not sum(seen):
        return sides[0]
    return float(np.average(sides, weights=seen))


def main_face(sequences: Sequence[LandmarkSequence]) -> list[LandmarkSequence]:
    """The sequences of the face that is seen in most frames; of faces seen equally often, the larger one."""
    weight: dict[int, float] = {}
    for s in sequences:
        weight[s.face] = weight.get(s.face, 0.0) + s.valid.sum() * (1 + 1e-6 * s.face_size)
    if not weight:
        return []
    best = max(weight, key=lambda face: weight[face])
    return [s for s in sequences if s.face == best]
