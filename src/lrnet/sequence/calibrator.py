"""Algorithm 2 of the paper: predict, check, merge, frame by frame, for the landmarks of one face."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lrnet.sequence.kalman import PROCESS_VARIANCE, PointKalmanFilter, lengths, relative_variance
from lrnet.sequence.optical_flow import Image, OpenCVFlow, OpticalFlow
from lrnet.sequence.surroundings import surroundings

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """Everything that calibration can be told. Pixels are those of the normalised crop.

    Attributes:
        enabled: False passes detections on as they are, and still measures innovation and forward-backward error.
        flow: the tracker of points.
        max_forward_backward_error: a prediction that comes back further than this from where it started is dropped,
            pixels (the released code's value).
        process_variance: Q of Eq. 6 (the paper's value).
        still: a prediction that moves no further than this counts as not moving (see `relative_variance`), pixels.
        round_to_pixels: whole-pixel arithmetic, exactly as the released code does it: detections, predictions and
            results are rounded. Only for models whose training data were.
        surroundings: measure the forward-backward error of what surrounds the face as well; the crop needs a margin.
    """

    enabled: bool = True
    flow: OpticalFlow = field(default_factory=OpenCVFlow)
    max_forward_backward_error: float = 2.0
    process_variance: float = PROCESS_VARIANCE
    still: float = 0.0
    round_to_pixels: bool = False
    surroundings: bool = False


@dataclass(frozen=True, slots=True)
class CalibrationStep:
    """What calibration says of one frame, in crop pixels.

    Attributes:
        points: (P, 2) calibrated.
        innovation: (P, 2) detected minus predicted; NaN for the first frame after a reset.
        forward_backward_error: (P,); NaN likewise.
        tracked: (P,) bool, whether the prediction passed its check; False likewise.
        surround_error: (42,) forward-backward error of the surroundings, NaN likewise and where a point could not be
            followed; None if it is not measured.
    """

    points: Array
    innovation: Array
    forward_backward_error: Array
    tracked: NDArray[np.bool_]
    surround_error: Array | None = None

    @classmethod
    def unpredicted(cls, points: Array) -> CalibrationStep:
        """A frame that follows on no other: (P, 2) points as detected, nothing measured."""
        nothing = np.full_like(points, np.nan)
        return cls(points, nothing, nothing[:, 0], np.zeros(len(points), bool))


class Calibrator:
    """Calibrates one face, one frame at a time; `reset` before a frame that does not follow the last one."""

    def __init__(self, settings: CalibrationSettings | None = None) -> None:
        self.settings = settings or CalibrationSettings()
        self._image: Image | None = None
        self._detected: Array | None = None
        self._points: Array | None = None
        self._filter: PointKalmanFilter | None = None

    def reset(self) -> None:
        """Forget the frame before: at a gap, a shot cut, another face."""
        self._image = self._detected = self._points = self._filter = None

    def rebase(self, image: Image, scale: float, shift: NDArray[np.float64]) -> None:
        """The crop is to be cut another way from here on: give the last frame's image and points in the new way.

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
        settings = self.settings
        detected = np.asarray(detected, np.float32)
        if settings.round_to_pixels:
            detected = np.rint(detected)
        if self._image is None or self._points is None or self._detected is None or self._filter is None:
            self._filter = PointKalmanFilter(len(detected), settings.process_variance)
            self._image, self._detected, self._points = image, detected, detected
            return CalibrationStep.unpredicted(detected)

        start, count = self._points, len(detected)
        follow, guess = start, detected
        if settings.surroundings:
            follow, guess = (np.concatenate([p, surroundings(p)]) for p in (start, detected))
        onward, found_on = settings.flow.track(self._image, image, follow, guess)
        back, found_back = settings.flow.track(image, self._image, onward, follow)
        found = found_on & found_back
        around = None
        if settings.surroundings:
            around = np.where(found[count:], lengths(back[count:] - follow[count:]), np.float32(np.nan))
        predicted, returned, found = onward[:count], back[:count], found[:count]
        if settings.round_to_pixels:
            predicted, returned = np.rint(predicted), np.rint(returned)
        error = lengths(returned - start)
        tracked = found & (error <= settings.max_forward_backward_error)

        points = detected
        if settings.enabled:
            variance = relative_variance(detected - self._detected, predicted - start, settings.still)
            points = self._filter.merge(predicted, detected, variance, tracked)
            if settings.round_to_pixels:
                points = np.trunc(points)  # the released code assigns into an array of integers
        self._image, self._detected, self._points = image, detected, points
        return CalibrationStep(points, detected - predicted, error, tracked, around)
