"""One face's frames and detections in, one calibrated and normalised sequence out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lrnet.sequence.calibrator import CalibrationSettings, CalibrationStep, Calibrator
from lrnet.sequence.crop import CropSettings, StabilisedCrop
from lrnet.sequence.landmark_sequence import NUM_LANDMARKS, LandmarkSequence, finite_frames
from lrnet.sequence.surroundings import NUM_SURROUNDINGS

Array = NDArray[np.float32]


class SequenceBuilder:
    """Follows one face through the frames and keeps what calibration says of it.

    The crop that optical flow looks at is fixed by the first detection; the unit of the finished sequence is the mean
    face size over all its frames. One pass thus gives what the released code needs the whole video in memory for.
    """

    def __init__(
        self, face: int = 0, crop: CropSettings | None = None, calibration: CalibrationSettings | None = None
    ) -> None:
        self.face = face
        self._settings = crop or CropSettings()
        self._calibrator = Calibrator(calibration)
        self._around = self._calibrator.settings.surroundings
        self._crop: StabilisedCrop | None = None
        self._last_luma: NDArray[np.uint8] | None = None
        self._gap = True
        self._sizes: list[float] = []
        self._rows: list[tuple[int, float, float]] = []
        self._centres: list[NDArray[np.float64]] = []
        self._points: list[Array] = []
        self._detected: list[Array] = []
        self._innovation: list[Array] = []
        self._error: list[Array] = []
        self._surround_error: list[Array] = []
        self._tracked: list[NDArray[np.bool_]] = []
        self._looks: list[Array] = []
        self._look_times: list[float] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, luma: NDArray[np.uint8], landmarks: Array, confidence: float, index: int, time: float) -> Array:
        """The face was found in this frame.

        Args:
            luma: (H, W) uint8, the frame's brightness.
            landmarks: (68, 2) frame pixels.
            confidence: the landmarker's, in [0, 1].
            index, time: the frame's number and its time in seconds.

        Returns:
            The calibrated landmarks, (68, 2) frame pixels.
        """
        crop = self._place_crop(landmarks)
        step = self._calibrator.step(crop.cut(luma), crop.to_crop(landmarks))
        unit = 1 / crop.zoom
        self._sizes.append(crop.face_size)
        self._append(index, time, confidence, crop.centre.copy(), step, unit, crop.middle, landmarks)
        self._last_luma = luma
        self._gap = False
        return crop.to_frame(step.points)

    def add_look(self, look: Array, time: float) -> None:
        """Keep what the face looks like (`lrnet.faces.look`) in the frame that was added last."""
        self._looks.append(look)
        self._look_times.append(time)

    def add_gap(self, index: int, time: float) -> None:
        """The face was not found in this frame."""
        nan = np.full((NUM_LANDMARKS, 2), np.nan, np.float32)
        centre = self._crop.centre.copy() if self._crop is not None else np.zeros(2)
        self._calibrator.reset()
        self._gap = True
        self._append(index, time, 0.0, centre, CalibrationStep.unpredicted(nan), 1.0, 0.0, nan)

    def finish(self) -> LandmarkSequence:
        """The sequence so far. Gaps at its end are left off."""
        n = len(self._rows)
        while n and self._rows[n - 1][2] == 0.0 and np.isnan(self._points[n - 1][0, 0]):
            n -= 1
        size = float(np.mean(self._sizes)) if self._sizes else 1.0
        half = max(self._settings.scale * size / 2, 1e-3)
        centres = np.array(self._centres[:n], np.float64).reshape(n, 2)

        def stacked(rows: list[Array], first: int, *shape: int) -> Array:
            return np.array(rows[first:n], np.float32).reshape(max(n - first, 0), *shape)

        offsets = centres[:, None, :]
        values = (stacked(self._points, 0, NUM_LANDMARKS, 2) - offsets) / half
        detected = (stacked(self._detected, 0, NUM_LANDMARKS, 2) - offsets) / half
        return LandmarkSequence(
            values=values.astype(np.float32),
            detected=detected.astype(np.float32),
            times=np.array([row[1] for row in self._rows[:n]], np.float64),
            valid=finite_frames(values.astype(np.float32)),
            confidence=np.array([row[2] for row in self._rows[:n]], np.float32),
            forward_backward_error=stacked(self._error, 1, NUM_LANDMARKS) / np.float32(half),
            innovation=stacked(self._innovation, 1, NUM_LANDMARKS, 2) / np.float32(half),
            tracked=np.array(self._tracked[1:n], bool).reshape(max(n - 1, 0), NUM_LANDMARKS),
            frame_indices=np.array([row[0] for row in self._rows[:n]], np.int64),
            centres=centres.astype(np.float32),
            half_side=half,
            face=self.face,
            surround_error=stacked(self._surround_error, 1, NUM_SURROUNDINGS) / np.float32(half)
            if self._around
            else None,
            looks=np.array(self._looks, np.float32) if self._looks else None,
            look_times=np.array(self._look_times, np.float64) if self._looks else None,
        )

    def _place_crop(self, landmarks: Array) -> StabilisedCrop:
        if self._crop is None or self._gap:
            self._crop = StabilisedCrop(self._settings, landmarks)
            return self._crop
        zoom, centre = self._crop.zoom, self._crop.centre
        if self._crop.follow(landmarks) and self._last_luma is not None:
            # The last frame is cut again at the new size, around its own centre, so that flow compares like with like.
            before = StabilisedCrop(self._settings, landmarks)
            before.centre, before.side = centre, self._crop.side
            scale = before.zoom / zoom
            shift = np.full(2, before.middle * (1 - scale))
            self._calibrator.rebase(before.cut(self._last_luma), scale, shift)
        return self._crop

    def _append(
        self,
        index: int,
        time: float,
        confidence: float,
        centre: NDArray[np.float64],
        step: CalibrationStep,
        unit: float,
        middle: float,
        detected: Array,
    ) -> None:
        self._rows.append((index, time, confidence))
        self._centres.append(centre)
        points = (step.points - middle) * unit + centre
        self._points.append(points.astype(np.float32))
        self._detected.append(np.asarray(detected, np.float32))
        self._innovation.append(step.innovation * np.float32(unit))
        self._error.append(step.forward_backward_error * np.float32(unit))
        self._tracked.append(step.tracked)
        if self._around:
            around = (
                np.full(NUM_SURROUNDINGS, np.nan, np.float32) if step.surround_error is None else step.surround_error
            )
            self._surround_error.append(around * np.float32(unit))
