"""Algorithm 2 of the paper: predict, check, merge, frame by frame, for the landmarks of one face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrnet.sequence.crop import StabilisedCrop
from lrnet.sequence.kalman import PointKalmanFilter, lengths, relative_variance
from lrnet.sequence.optical_flow import Image, optical_flow
from lrnet.sequence.settings import SequenceSpec
from lrnet.sequence.surroundings import NUM_SURROUNDINGS, surroundings

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CalibrationStep:
    """The calibration of one frame, in crop pixels unless `in_frame` was called.

    Attributes:
        points: (P, 2) calibrated.
        innovation: (P, 2) detected minus predicted; NaN for the first frame after a reset.
        forward_backward_error: (P,); NaN likewise.
        tracked: (P,) bool, whether the prediction passed its check; False likewise.
        surround_error: (42,) forward-backward error of the surroundings; NaN likewise, where a point could not be
            followed, and where it is not measured.
    """

    points: Array
    innovation: Array
    forward_backward_error: Array
    tracked: NDArray[np.bool_]
    surround_error: Array

    @classmethod
    def unpredicted(cls, points: Array) -> CalibrationStep:
        """A frame that does not follow on another: (P, 2) points as detected, nothing measured."""
        nothing = np.full_like(points, np.nan)
        return cls(points, nothing, nothing[:, 0], np.zeros(len(points), bool), _UNKNOWN)

    def in_frame(self, crop: StabilisedCrop) -> CalibrationStep:
        """The same in frame pixels."""
        unit = np.float32(crop.unit)
        return CalibrationStep(
            crop.to_frame(self.points),
            self.innovation * unit,
            self.forward_backward_error * unit,
            self.tracked,
            self.surround_error * unit,
        )


_UNKNOWN = np.full(NUM_SURROUNDINGS, np.nan, np.float32)


class Calibrator:
    """Calibrates one face, one frame at a time; `reset` before a frame that does not follow the last one."""

    def __init__(self, settings: SequenceSpec | None = None) -> None:
        settings = settings or SequenceSpec()
        self._settings = settings.calibration
        self._rounding = settings.round_to_pixels
        self.flow = optical_flow(settings.calibration)
        self._image: Image | None = None
        self._detected: Array | None = None
        self._points: Array | None = None
        self._filter: PointKalmanFilter | None = None

    def reset(self) -> None:
        """Forget the frame before: at a gap, a shot cut, another face."""
        self._image = self._detected = self._points = self._filter = None

    def rebase(self, image: Image, scale: float, shift: NDArray[np.float64]) -> None:
        """Change the crop from here on: give the last frame's image and points as the new crop has them.

        Args:
            image: the last frame, cut the new way.
            scale, shift: new crop pixels = old crop pixels * scale + shift, shift (2,).
        """
        if self._points is None or self._detected is None:
            return
        self._image = image
        self._points = (self._points * scale + shift).astype(np.float32)
        self._detected = (self._detected * scale + shift).astype(np.float32)

    def step(self, image: Image, detected: Array) -> CalibrationStep:
        """Take the next frame.

        Args:
            image: the crop, (S, S) uint8 grey or (S, S, 3).
            detected: (P, 2) float32, the landmarker's points in crop pixels.
        """
        settings = self._settings
        detected = np.asarray(detected, np.float32)
        if self._rounding:
            detected = np.rint(detected)
        if self._image is None or self._points is None or self._detected is None or self._filter is None:
            self._filter = PointKalmanFilter(len(detected), settings.process_variance)
            self._image, self._detected, self._points = image, detected, detected
            return CalibrationStep.unpredicted(detected)

        start, count = self._points, len(detected)
        follow, guess = start, detected
        if settings.surroundings:
            follow, guess = (np.concatenate([p, surroundings(p)]) for p in (start, detected))
        onward, found_on = self.flow.track(self._image, image, follow, guess)
        back, found_back = self.flow.track(image, self._image, onward, follow)
        found = found_on & found_back
        around = _UNKNOWN
        if settings.surroundings:
            around = np.where(found[count:], lengths(back[count:] - follow[count:]), np.float32(np.nan))
        predicted, returned, found = onward[:count], back[:count], found[:count]
        if self._rounding:
            predicted, returned = np.rint(predicted), np.rint(returned)
        error = lengths(returned - start)
        tracked = found & (error <= settings.max_forward_backward_error)

        points = detected
        if settings.enabled:
            variance = relative_variance(detected - self._detected, predicted - start)
            points = self._filter.merge(predicted, detected, variance, tracked)
            if self._rounding:
                points = np.trunc(points)  # the released code assigns into an array of integers
        self._image, self._detected, self._points = image, detected, points
        return CalibrationStep(points, detected - predicted, error, tracked, around)
