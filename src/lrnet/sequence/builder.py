"""One face's frames and detections in, one calibrated and normalised sequence out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrnet.faces.landmarker import NUM_LANDMARKS
from lrnet.sequence.calibrator import CalibrationStep, Calibrator
from lrnet.sequence.crop import StabilisedCrop, to_normalised
from lrnet.sequence.landmark_sequence import LandmarkSequence, finite_frames
from lrnet.sequence.settings import SequenceSpec
from lrnet.sequence.surroundings import NUM_SURROUNDINGS

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Row:
    """One frame; everything in frame pixels. A gap has landmarks of NaN."""

    index: int
    time: float
    confidence: float
    centre: NDArray[np.float64]
    detected: Array
    step: CalibrationStep


class SequenceBuilder:
    """Follows one face through the frames and collects its calibrated landmarks.

    The first detection sets the size of the crop for optical flow; the unit of the finished sequence is the mean face
    size over its frames. So one pass is enough, where the released code needs the whole video in memory.

    Args:
        face: number of the face.
        settings: of crop and calibration.
        side: side of the crop, frame pixels, if it is known beforehand and must not change.
    """

    def __init__(self, face: int = 0, settings: SequenceSpec | None = None, *, side: float | None = None) -> None:
        self.face = face
        self._settings = settings or SequenceSpec()
        self._side = side
        self._calibrator = Calibrator(self._settings)
        self._crop: StabilisedCrop | None = None
        self._last_luma: NDArray[np.uint8] | None = None
        self._gap = True
        self._sizes: list[float] = []
        self._rows: list[_Row] = []
        self._looks: list[Array] = []
        self._look_times: list[float] = []
        self._crops: list[NDArray[np.uint8]] = []
        self._crop_times: list[float] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, luma: NDArray[np.uint8], landmarks: Array, confidence: float, index: int, time: float) -> Array:
        """Add a frame in which the face was found.

        Args:
            luma: (H, W) uint8, the frame's brightness.
            landmarks: (68, 2) frame pixels.
            confidence: the landmarker's, in [0, 1].
            index, time: the frame's number and its time in seconds.

        Returns:
            The calibrated landmarks, (68, 2) frame pixels.
        """
        crop = self._place_crop(landmarks)
        step = self._calibrator.step(crop.cut(luma), crop.to_crop(landmarks)).in_frame(crop)
        self._sizes.append(crop.face_size)
        detected = np.asarray(landmarks, np.float32)
        self._rows.append(_Row(index, time, confidence, crop.centre.copy(), detected, step))
        self._last_luma = luma
        self._gap = False
        return step.points

    def add_look(self, look: Array, time: float) -> None:
        """Add the look of the face (`lrnet.faces.look`) in the last added frame."""
        self._looks.append(look)
        self._look_times.append(time)

    def add_crop(self, crop: NDArray[np.uint8], time: float) -> None:
        """Keep the crop (`lrnet.appearance.crops`) of the frame that was added last."""
        self._crops.append(crop)
        self._crop_times.append(time)

    def add_gap(self, index: int, time: float) -> None:
        """Add a frame in which the face was not found."""
        nan = np.full((NUM_LANDMARKS, 2), np.nan, np.float32)
        centre = self._crop.centre.copy() if self._crop is not None else np.zeros(2)
        self._calibrator.reset()
        self._gap = True
        self._rows.append(_Row(index, time, 0.0, centre, nan, CalibrationStep.unpredicted(nan)))

    def finish(self, *, keep_gaps: bool = False) -> LandmarkSequence:
        """The sequence so far.

        Args:
            keep_gaps: whether gaps at its end are kept.
        """
        n = len(self._rows)
        while n and not keep_gaps and np.isnan(self._rows[n - 1].detected[0, 0]):
            n -= 1
        rows, pairs = self._rows[:n], [row.step for row in self._rows[1:n]]
        size = float(np.mean(self._sizes)) if self._sizes else 1.0
        half = max(self._settings.crop_scale * size / 2, 1e-3)
        unit = np.float32(half)
        centres = np.array([row.centre for row in rows], np.float64).reshape(n, 2)
        values = to_normalised(_stacked((row.step.points for row in rows), NUM_LANDMARKS, 2), centres, half)
        return LandmarkSequence(
            values=values,
            detected=to_normalised(_stacked((row.detected for row in rows), NUM_LANDMARKS, 2), centres, half),
            times=np.array([row.time for row in rows], np.float64),
            valid=finite_frames(values),
            confidence=np.array([row.confidence for row in rows], np.float32),
            forward_backward_error=_stacked((p.forward_backward_error for p in pairs), NUM_LANDMARKS) / unit,
            innovation=_stacked((p.innovation for p in pairs), NUM_LANDMARKS, 2) / unit,
            tracked=np.array([p.tracked for p in pairs], bool).reshape(len(pairs), NUM_LANDMARKS),
            frame_indices=np.array([row.index for row in rows], np.int64),
            centres=centres.astype(np.float32),
            half_side=half,
            face=self.face,
            surround_error=_stacked((p.surround_error for p in pairs), NUM_SURROUNDINGS) / unit
            if self._settings.calibration.surroundings
            else None,
            looks=np.array(self._looks, np.float32) if self._looks else None,
            look_times=np.array(self._look_times, np.float64) if self._looks else None,
            crops=np.array(self._crops) if self._crops else None,
            crop_times=np.array(self._crop_times, np.float64) if self._crops else None,
        )

    def _place_crop(self, landmarks: Array) -> StabilisedCrop:
        if self._crop is None or self._gap:
            self._crop = StabilisedCrop(landmarks, self._settings, side=self._side)
            return self._crop
        zoom, centre = self._crop.zoom, self._crop.centre
        if self._crop.follow(landmarks) and self._last_luma is not None:
            # The last frame is cut again at the new size, around its own centre, so that flow compares like with like.
            before = StabilisedCrop(landmarks, self._settings, side=self._crop.side)
            before.centre = centre
            scale = before.zoom / zoom
            shift = np.full(2, before.middle * (1 - scale))
            self._calibrator.rebase(before.cut(self._last_luma), scale, shift)
        return self._crop


def _stacked(rows: Iterable[Array], *shape: int) -> Array:
    """(N, …) of N rows of `shape`; N may be 0."""
    return np.array(list(rows), np.float32).reshape(-1, *shape)
