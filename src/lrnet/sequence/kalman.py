"""The per-point Kalman filter of the paper (Eq. 4-7): a running weight between prediction and detection."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Float = TypeVar("Float", np.float32, np.float64)


def relative_variance(detected_step: Array, predicted_step: Array) -> NDArray[np.float64]:
    """The detection's variance relative to the prediction's, Eq. 4.

    How far a point moved according to the landmarker, over how far it moved according to optical flow: a detection that
    jumps where the image does not is noise.

    Args:
        detected_step: (P, 2), detection minus the detection before, pixels.
        predicted_step: (P, 2), prediction minus the calibrated point before, pixels.

    Returns:
        (P,) ratios, >= 0. Where the prediction does not move, the ratio is taken to 1 pixel, as in the released code.
    """
    moved = lengths(predicted_step.astype(np.float64))
    moved[moved == 0] = 1.0
    return lengths(detected_step.astype(np.float64)) / moved


def lengths(vectors: NDArray[Float]) -> NDArray[Float]:
    """(…,) of (…, 2); `np.linalg.norm` takes twice as long for so few."""
    return np.hypot(vectors[..., 0], vectors[..., 1])


class PointKalmanFilter:
    """One scalar variance a point; both coordinates share its gain.

    Args:
        points: how many points.
        process_variance: Q of Eq. 6, in the unit of `relative_variance` (the paper's value).
    """

    def __init__(self, points: int, process_variance: float = 0.3) -> None:
        self.process_variance = process_variance
        self.variance = np.zeros(points)

    def merge(
        self, predicted: Array, detected: Array, detection_variance: NDArray[np.float64], use: NDArray[np.bool_]
    ) -> Array:
        """Merge one frame, Eq. 5-7.

        The prediction's variance grows by Q (Eq. 6); the gain K is its share of both variances (Eq. 5); the result lies
        K of the way from prediction to detection, and its variance shrinks by 1 - K (Eq. 7). Points not in use keep
        their detection and their variance.

        Args:
            predicted, detected: (P, 2) pixels.
            detection_variance: (P,) from `relative_variance`.
            use: (P,) False where the prediction failed its check.

        Returns:
            (P, 2) float32 pixels.
        """
        prior = self.variance + self.process_variance
        gain = prior / (prior + detection_variance)
        merged = predicted + gain[:, None] * (detected - predicted)
        self.variance = np.where(use, (1 - gain) * prior, self.variance)
        return np.where(use[:, None], merged, detected).astype(np.float32)
