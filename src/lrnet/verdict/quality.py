"""How good the material is that a verdict rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict.reasons import Reason
from lrnet.verdict.scores import weighted_median

# Below these the error rates of a bundle do not hold, and the verdict is held back.
MIN_FACE_SIZE: Final = 48.0  # pixels, longer side of the landmarks' box
MIN_FRAME_RATE: Final = 14.0  # Hz
MIN_PRESENT: Final = 0.5  # share of the track's frames in which the face is found
MIN_TRACKED: Final = 0.5  # share of landmarks whose prediction passes the forward-backward check
MIN_MOTION: Final = 1.8e-4  # normalised crop units a frame; a cartoon in the background had 1.1e-4, still heads 2.1e-4

# A face that only trembles. `python -m lrnet.experiments.doubt` measures what these catch and what they cost.
DEFORMATION_LAG: Final = 0.4  # seconds
MIN_DEFORMATION: Final = 0.0075  # normalised crop units over the lag; pictures 0.003 to 0.0075, ordinary faces 0.01
WELL_TRACKED: Final = 0.96  # share of landmarks: pictures and statues mostly have it, fakes of faces hardly ever
NOISY_FACE_SIZE: Final = 56.0  # pixels; smaller than any trained on (58): noise alone passes for deformation
RIGID_RATIO: Final = 2.6  # deformation over the lag by that from frame to frame; pictures 1.3 to 2, faces 3 to 4
TREMOR_RATIO: Final = 1.7  # below this there is nothing but noise, however much of it

MAX_INNOVATION: Final = 0.0125  # normalised crop units; the genuine fakes at hand have at most 0.011
MAX_QUANTISER: Final = 40.0  # of H.264; real faces come to look manipulated above it (decision 22)


@dataclass(frozen=True, slots=True)
class InputQuality:
    """How good the material was.

    Attributes:
        seconds: from the first to the last frame with the face.
        frames: frames with the face.
        face_size: mean, frame pixels.
        frame_rate: median, Hz, of the frames examined.
        present: share of the track's frames in which the face was found.
        tracked: share of landmarks whose prediction passed the forward-backward check.
        confidence: mean of the landmarker's.
        motion: how far landmarks move against each other in a frame by optical flow: median, normalised crop units.
        noise: median length of the calibrated landmarks' second difference in time, less the mean over the 68;
            normalised crop units.
        forward_backward_error: median, normalised crop units.
        innovation: median length, normalised crop units.
        deformation: change of the face's shape in `DEFORMATION_LAG` seconds (`LandmarkSequence.deformation`).
        tremor: the same from one frame to the next.
        quantiser: of the whole video (`lrnet.video.reader.Reader`), 0 (fine) to 51 (coarse); NaN if unknown.
    """

    seconds: float
    frames: int
    face_size: float
    frame_rate: float
    present: float
    tracked: float
    confidence: float
    motion: float
    noise: float = math.nan
    forward_backward_error: float = math.nan
    innovation: float = math.nan
    deformation: float = math.nan
    tremor: float = math.nan
    quantiser: float = math.nan

    @classmethod
    def pooled(cls, parts: Sequence[InputQuality]) -> InputQuality:
        """The quality of several stretches together: sums and shares by their frames, medians weighted by them."""
        if len(parts) == 1:
            return parts[0]
        frames = np.array([max(part.frames, 1) for part in parts], np.float64)

        def mean(name: str) -> float:
            return float(np.average([getattr(part, name) for part in parts], weights=frames))

        def median(name: str) -> float:
            values = np.array([getattr(part, name) for part in parts], np.float64)
            known = np.isfinite(values)
            return weighted_median(values[known], frames[known]) if known.any() else math.nan

        return cls(
            seconds=sum(part.seconds for part in parts),
            frames=sum(part.frames for part in parts),
            **{name: mean(name) for name in ("face_size", "present", "tracked", "confidence")},
            **{name: median(name) for name in ("frame_rate", "motion", *_MEASURED, "quantiser")},
        )

    def reasons(self) -> list[Reason]:
        """The conditions under which the model's error rates do not hold."""
        found = {
            Reason.SMALL_FACE: self.face_size < MIN_FACE_SIZE,
            Reason.LOW_FRAME_RATE: self.frame_rate < MIN_FRAME_RATE,
            Reason.MANY_GAPS: self.present < MIN_PRESENT,
            Reason.POOR_TRACKING: self.tracked < MIN_TRACKED,
            Reason.NO_MOTION: self.motion < MIN_MOTION,
            Reason.RIGID: self.motion >= MIN_MOTION and self.rigid,
            Reason.DISAGREEMENT: self.innovation > MAX_INNOVATION,
            Reason.COARSE: self.quantiser > MAX_QUANTISER,
        }
        return [reason for reason, holds in found.items() if holds]

    @property
    def rigid(self) -> bool:
        """Whether the face, however it moves, keeps its shape but for the landmarks' noise; False if not measured."""
        return self.deformation < self.least_deformation

    @property
    def least_deformation(self) -> float:
        """The deformation that a face needs so as not to count as rigid; NaN if tremor was not measured."""
        least = RIGID_RATIO * self.tremor
        if self.tracked > WELL_TRACKED or self.face_size < NOISY_FACE_SIZE:
            return least
        return min(least, max(TREMOR_RATIO * self.tremor, MIN_DEFORMATION))


_MEASURED: Final = ("noise", "forward_backward_error", "innovation", "deformation", "tremor")


class QualityMeter:
    """Measures the quality of a stretch over its sequences."""

    def __init__(self) -> None:
        self._parts: list[InputQuality] = []
        self._lengths: list[int] = []
        self.start = math.inf
        self.stop = -math.inf

    def add(self, sequence: LandmarkSequence) -> None:
        """Take one sequence, with its gaps."""
        found = int(sequence.valid.sum())
        if not found:
            return
        self.start = min(self.start, float(sequence.times[0]))
        self.stop = max(self.stop, float(sequence.times[-1]))
        self._lengths.append(len(sequence))
        self._parts.append(_quality_of(sequence, found))

    def quality(self, quantiser: float | None = None) -> InputQuality:
        """The quality of everything added.

        Args:
            quantiser: of the video that it comes from; None if unknown.
        """
        if not self._parts:
            return InputQuality(0.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        whole = InputQuality.pooled(self._parts)
        return replace(
            whole,
            seconds=self.stop - self.start,
            present=whole.frames / sum(self._lengths),
            quantiser=math.nan if quantiser is None else quantiser,
        )


def _quality_of(sequence: LandmarkSequence, found: int) -> InputQuality:
    pairs = sequence.valid[1:] & sequence.valid[:-1]
    interval = float(np.median(np.diff(sequence.times))) if len(sequence) > 1 else math.inf
    measured = {}
    if pairs.any():
        measured = {
            "noise": landmark_noise(sequence),
            "forward_backward_error": _median(sequence.forward_backward_error),
            "innovation": _median(np.linalg.norm(sequence.innovation, axis=2)),
            "deformation": sequence.deformation(max(1, round(DEFORMATION_LAG / interval))),
            "tremor": sequence.deformation(1),
        }
    return InputQuality(
        seconds=float(sequence.times[-1] - sequence.times[0]),
        frames=found,
        face_size=sequence.face_size,
        frame_rate=1 / interval,
        present=found / len(sequence),
        tracked=float(sequence.tracked[pairs].mean()) if pairs.any() else 0.0,
        confidence=float(sequence.confidence[sequence.valid].mean()),
        motion=sequence.image_motion() if pairs.any() else 0.0,
        **measured,
    )


def landmark_noise(sequence: LandmarkSequence) -> float:
    """Median length of the landmarks' second difference, less its mean over the face; normalised, NaN if unknown.

    The quantity by which the stream "acceleration" divides.
    """
    second = np.diff(sequence.values, n=2, axis=0)
    return _median(np.linalg.norm(second - second.mean(axis=1, keepdims=True), axis=2))


def _median(rows: NDArray[np.floating]) -> float:
    known = rows[np.isfinite(rows)]
    return float(np.median(known)) if known.size else math.nan
