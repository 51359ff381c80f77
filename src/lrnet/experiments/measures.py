"""Measures of landmarks before and after calibration. Arrays in, numbers out; a frame without a face is NaN.

Lengths come in the landmarks' own unit. `shots` are the numbers of the frames at which a shot starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.sequence.jitter import Points, mean_of_known, steps
from lrnet.sequence.kalman import lengths
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS

FASTEST: Final = 0.1  # share of the frames that count as fast motion
LEAST_FAST: Final = 5  # such frames that a lag needs
MAX_LAG: Final = 3  # frames, either way
FLAT: Final = 1e-6  # second difference of a correlation that has no peak
RESAMPLES: Final = 2000


def by_group(values: NDArray[np.float64]) -> dict[str, float]:
    """Mean of (N, 68) by the seven facial groups."""
    return {name: mean_of_known(values[:, where]) for name, where in FACIAL_GROUPS.items()}


def plain_distance(a: Points, b: Points, shots: Sequence[int]) -> dict[str, float]:
    """Mean distance of two landmarkers' landmarks in the same frame, by facial group: the paper's Figure 6."""
    return by_group(lengths(a - b))


def distance_without_offset(a: Points, b: Points, shots: Sequence[int]) -> dict[str, float]:
    """The same once the mean offset between the two landmarkers, one for each landmark, has been taken off.

    Landmarkers learn from other annotators where the jaw or a brow is; no calibration can know of that.
    """
    apart = a - b
    known = np.isfinite(apart)
    offset = np.where(known, apart, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return by_group(lengths(apart - offset))


def distance_of_steps(a: Points, b: Points, shots: Sequence[int]) -> dict[str, float]:
    """Mean distance of the two landmarkers' steps from the frame before: what is noise in the network's embedding B."""
    return by_group(lengths(steps(a, shots) - steps(b, shots)))


Distance = Callable[[Points, Points, Sequence[int]], dict[str, float]]
DISTANCES: Final[dict[str, Distance]] = {
    "plain": plain_distance,
    "offset removed": distance_without_offset,
    "steps": distance_of_steps,
}


def group_means(points: Points) -> Points:
    """(N, 7, 2) mean of each facial group: it moves as the face does, with less of each landmark's noise."""
    return np.stack([points[:, where].mean(axis=1) for where in FACIAL_GROUPS.values()], axis=1)


def lag(detected: Points, calibrated: Points, shots: Sequence[int] = ()) -> tuple[float, float]:
    """How far calibrated landmarks come behind the detections on fast motion.

    Returns:
        Frames by which they lag: where the normalised cross-correlation of both velocities (of the facial groups'
        means, from the frame before to the frame after), over the fastest tenth of the frames and three frames around
        each, has its peak, between frames by a parabola; negative if they run ahead. And the mean signed distance along
        the motion on the fastest tenth, calibrated minus detected, negative behind; a frame's own noise has no part in
        its motion. NaN where fewer than five frames serve, and for the lag where no peak is within three frames.
    """
    before, after = group_means(detected), group_means(calibrated)
    motion, ours = _velocity(before, shots), _velocity(after, shots)
    frames = np.arange(MAX_LAG, len(motion) - MAX_LAG)
    if not len(frames):
        return float("nan"), float("nan")
    windows = np.stack([ours[frames + k] for k in range(-MAX_LAG, MAX_LAG + 1)])
    usable = np.isfinite(windows).all(axis=(0, 2, 3)) & np.isfinite(motion[frames]).all(axis=(1, 2))
    frames, windows = frames[usable], windows[:, usable]
    fast = np.argsort(-lengths(motion[frames]).mean(axis=1), kind="stable")[: int(np.ceil(FASTEST * len(frames)))]
    if len(fast) < LEAST_FAST:
        return float("nan"), float("nan")
    fastest = frames[fast]
    speed = lengths(motion[fastest])
    along = ((after - before)[fastest] * motion[fastest]).sum(axis=2) / np.where(speed > 0, speed, np.nan)
    # With the frames around them, in which the face speeds up and slows down: an even motion shows no lag.
    around = np.isin(frames, fastest[:, None] + np.arange(-MAX_LAG, MAX_LAG + 1))
    windows, motion = windows[:, around], motion[frames[around]]
    norms = np.sqrt((windows**2).sum(axis=(1, 2, 3)) * (motion**2).sum())
    correlation = (windows * motion).sum(axis=(1, 2, 3)) / np.where(norms > 0, norms, np.nan)
    return _peak(correlation) - MAX_LAG, mean_of_known(along)


def _velocity(points: Points, shots: Sequence[int]) -> Points:
    """Half the way from the frame before to the frame after: at the frame itself, so that none is late by half a step.

    NaN at both ends and where a shot cut lies between.
    """
    result = np.full_like(points, np.nan)
    result[1:-1] = (points[2:] - points[:-2]) / 2
    for start in shots:
        if start:
            result[start - 1 : start + 1] = np.nan
    return result


def _peak(values: NDArray[np.float64]) -> float:
    """Where the largest value lies, between samples by a parabola; NaN if that is an end, or nothing stands out."""
    top = int(np.argmax(values))
    if not np.isfinite(values).all() or not 0 < top < len(values) - 1:
        return float("nan")
    left, middle, right = (float(value) for value in values[top - 1 : top + 2])
    bend = left - 2 * middle + right
    return top + 0.5 * (left - right) / bend if bend < -FLAT else float("nan")


def change_interval(before: NDArray[np.float64], after: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the change of the mean, %, under resampling of the videos; (V,) figures each."""
    known = np.isfinite(before) & np.isfinite(after)
    before, after = before[known], after[known]
    rows = np.random.default_rng(seed).integers(len(before), size=(RESAMPLES, len(before)))
    changes = 100 * (after[rows].mean(axis=1) / before[rows].mean(axis=1) - 1)
    low, high = np.percentile(changes, [2.5, 97.5])
    return float(low), float(high)
