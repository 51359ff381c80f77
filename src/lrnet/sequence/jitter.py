"""Jitter: how much landmarks change their course from frame to frame.

Arrays in, numbers out, in the landmarks' own unit; a frame without a face is NaN. `shots` are the numbers of the frames
at which a shot starts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lrnet.faces.landmarker import OUTER_EYE_CORNERS
from lrnet.sequence.kalman import lengths

Points = NDArray[np.float64]


def mean_of_known(values: NDArray[np.float64]) -> float:
    """Mean of what is finite; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def median_of_known(values: NDArray[np.float64]) -> float:
    """Median of what is finite; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def inter_ocular_distance(points: Points) -> float:
    """Distance of the outer corners of the eyes, mean over the frames of (N, 68, 2)."""
    right, left = OUTER_EYE_CORNERS
    return mean_of_known(lengths(points[:, right] - points[:, left]))


def steps(points: Points, shots: Sequence[int] = (), order: int = 1) -> Points:
    """(N - order, 68, 2) differences from frame to frame, once or twice; NaN across gaps and shot cuts."""
    result = np.diff(points, n=order, axis=0)
    for start in shots:
        if start:
            result[max(start - order, 0) : start] = np.nan
    return np.asarray(result)


def jitter(points: Points, shots: Sequence[int] = ()) -> float:
    """Median length of the landmarks' second difference, over frames and landmarks.

    For independent Gaussian noise of standard deviation s in x and in y on a face that stands still it is
    s * sqrt(6) * sqrt(2 ln 2) = 2.884 s: the three terms' variances add up to 6 s^2, and the length of two such
    coordinates has the median of a Rayleigh distribution.
    """
    return median_of_known(lengths(steps(points, shots, 2)))
