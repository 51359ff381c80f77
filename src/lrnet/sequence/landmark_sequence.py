"""`LandmarkSequence`: the landmarks of one face over one stretch of time.

A landmark is a point (x, y), 68 to a face in the order of iBUG 300-W. `normalised` means: coordinates of the
stabilised crop, [-1, 1] from edge to edge, so that 1 is half the crop's side (0.6 of the face's size).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import SequenceError
from lrnet.sequence.surroundings import NUM_SURROUNDINGS

Array = NDArray[np.float32]

NUM_LANDMARKS: Final = 68

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


def finite_frames(points: Array) -> NDArray[np.bool_]:
    """(N,) whether every number of a frame of (N, …) is finite."""
    finite: NDArray[np.bool_] = np.isfinite(points.reshape(len(points), math.prod(points.shape[1:])))
    return np.asarray(np.logical_and.reduce(finite, axis=1), bool)


@dataclass(frozen=True, slots=True)
class LandmarkSequence:
    """One face over one stretch of time, calibrated and normalised: what stores hold and networks read.

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
            where a point could not be followed. None where it was not measured.
        looks: (K, L) float32, what the face looked like at `look_times` (`lrnet.faces.look`). None where it was not
            measured.
        look_times: (K,) float64 seconds, rising, within `times`.
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

    def __post_init__(self) -> None:
        n = len(self.times)
        shapes = {
            "values": (n, NUM_LANDMARKS, 2),
            "detected": (n, NUM_LANDMARKS, 2),
            "valid": (n,),
            "confidence": (n,),
            "forward_backward_error": (max(n - 1, 0), NUM_LANDMARKS),
            "innovation": (max(n - 1, 0), NUM_LANDMARKS, 2),
            "tracked": (max(n - 1, 0), NUM_LANDMARKS),
            "frame_indices": (n,),
            "centres": (n, 2),
        }
        if self.surround_error is not None:
            shapes["surround_error"] = (max(n - 1, 0), NUM_SURROUNDINGS)
        for name, shape in shapes.items():
            found = getattr(self, name).shape
            if found != shape:
                raise SequenceError(
                    f"A sequence of {n} frames needs {name} of shape {shape}, not {found}.",
                    hint="Give every array one row a frame (or one row a pair of frames).",
                )

    def __len__(self) -> int:
        return len(self.times)

    @property
    def face_size(self) -> float:
        """Mean size of the face in frame pixels (longer side of the landmarks' bounding box)."""
        found = self.values[self.valid]
        if not len(found):
            return 0.0
        spans = (found.max(axis=1) - found.min(axis=1)).max(axis=1)
        return float(spans.mean() * self.half_side)

    def image_motion(self) -> float:
        """How far optical flow says that a landmark moves in a frame relative to the others: median, normalised.

        It looks at pixels, not at detections: near zero for a picture of a face, however much its landmarks jitter.
        NaN if there is no pair of frames.
        """
        shift = self.centres[:, None, :] / np.float32(self.half_side)
        step = (self.detected[1:] - self.innovation + shift[1:]) - (self.values + shift)[:-1]
        step = step[finite_frames(step)]
        if not len(step):
            return float("nan")
        step = step - np.median(step, axis=1, keepdims=True)
        return float(np.median(np.linalg.norm(step, axis=2)))

    def deformation(self, lag: int) -> float:
        """How much the face changes its shape over `lag` frames: median, normalised; NaN without a pair of frames.

        Each frame's landmarks are mapped onto those `lag` frames later by the polynomial of second degree that fits
        best. That takes up what a camera does to anything that is rigid: shift, turn, size, and nearly all of a plane's
        perspective and of a slowly turning head. Of the 68 distances that are left, and of all frames, the median.
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
        return (self.values * self.half_side + self.centres[:, None, :]).astype(np.float32)

    def uncalibrated(self) -> LandmarkSequence:
        """The same sequence with the landmarks as they were detected: what calibration adds is the difference."""
        return replace(self, values=self.detected)

    @classmethod
    def from_values(
        cls, values: Array, *, times: NDArray[np.float64] | None = None, rate: float = 25.0
    ) -> LandmarkSequence:
        """A sequence of which only normalised landmarks are known, (N, 68, 2) or (N, 136) with x and y in turn.

        Frames with a value that is not finite become gaps. Tracker measurements are zero.

        Raises:
            SequenceError: the shape is another.
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


def main_face(sequences: Sequence[LandmarkSequence]) -> list[LandmarkSequence]:
    """The sequences of the face that is seen in most frames; the larger one of equals."""
    weight: dict[int, float] = {}
    for s in sequences:
        weight[s.face] = weight.get(s.face, 0.0) + s.valid.sum() * (1 + 1e-6 * s.face_size)
    if not weight:
        return []
    best = max(weight, key=lambda face: weight[face])
    return [s for s in sequences if s.face == best]
