"""Where a point of one image lies in the next: pyramidal Lucas-Kanade behind one protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.sequence.lucas_kanade import PyramidalLucasKanade
from lrnet.sequence.settings import CalibrationSpec

Array = NDArray[np.float32]
Image = NDArray[np.uint8]


class OpticalFlow(Protocol):
    """A tracker of points between two images of the same size."""

    def track(self, source: Image, target: Image, points: Array, guess: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Follow points from `source` to `target`.

        Args:
            source, target: (H, W) grey or (H, W, 3) images.
            points: (P, 2) float32, pixels of `source`.
            guess: (P, 2) float32, where to start looking in `target`.

        Returns:
            (P, 2) float32 positions in `target`, and (P,) whether each was found.
        """
        ...


@dataclass(frozen=True, slots=True)
class OpenCVFlow:
    """OpenCV's pyramidal Lucas-Kanade (Bouguet 2001). `CalibrationSpec` explains the fields."""

    window: int = 16
    levels: int = 3
    iterations: int = 10
    epsilon: float = 0.03
    min_eigenvalue: float = 1e-6

    def track(self, source: Image, target: Image, points: Array, guess: Array) -> tuple[Array, NDArray[np.bool_]]:
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            source,
            target,
            points.reshape(-1, 1, 2).astype(np.float32),
            guess.reshape(-1, 1, 2).astype(np.float32),  # a copy: OpenCV writes its answer there
            winSize=(self.window, self.window),
            maxLevel=self.levels,
            criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, self.iterations, self.epsilon),
            # The second flag leaves out the measure of how well patches agree, which is not used: 5 % of the time.
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW | cv2.OPTFLOW_LK_GET_MIN_EIGENVALS,
            minEigThreshold=self.min_eigenvalue,
        )
        moved = np.asarray(found, np.float32).reshape(-1, 2)
        return moved, status.ravel().astype(bool) & self._within(moved, target)

    def _within(self, points: Array, image: Image) -> NDArray[np.bool_]:
        """(P,) whether any of a point's patch lies in the image.

        OpenCV looks before each step; after the last one, only where it measures how well patches agree.
        """
        low, high = -self.window + self.window // 2, min(image.shape[:2]) - self.window
        if points.min() >= low and points.max() < high:  # nearly always
            return np.ones(len(points), bool)
        corner = np.floor(points - (self.window - 1) / 2)
        size = (image.shape[1], image.shape[0])
        return np.asarray(((corner >= -self.window) & (corner < size)).all(axis=1), bool)


OPENCV_EIGENVALUE: Final = 1024.0  # squared grey levels in OpenCV's unit of the smaller eigenvalue


def optical_flow(settings: CalibrationSpec) -> OpticalFlow:
    """The optical flow that the settings name, with their window, levels, iterations and limits."""
    common = (settings.window, settings.levels, settings.iterations, settings.epsilon)
    if settings.flow == "algorithm1":
        return PyramidalLucasKanade(*common, OPENCV_EIGENVALUE * settings.min_eigenvalue)
    return OpenCVFlow(*common, settings.min_eigenvalue)
