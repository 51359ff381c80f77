"""How a face moves, in plain numbers, and how genuine faces do: what an explanation compares with.

Lengths are shares of the face's size (the longer side of the landmarks' bounding box), so that a face counts the same
in any resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import DatasetError
from lrnet.faces.landmarker import NUM_LANDMARKS
from lrnet.network.clips import cut_clips
from lrnet.network.reference import MotionReference, StatisticQuantiles
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, LandmarkSequence
from lrnet.sequence.settings import ClipSpec

Array = NDArray[np.float32]
Rows = NDArray[np.float64]

WHOLE: Final = "face"
"""Name of the group of all landmarks."""

GROUPS: Final = MappingProxyType({WHOLE: slice(0, NUM_LANDMARKS), **FACIAL_GROUPS})

LEVELS: Final = (0.0, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 1.0)
LEAST_VIDEOS: Final = 8  # of a reference


# Statistics of a face


def relative_velocity(sequence: LandmarkSequence) -> Array:
    """(N - 1, 68, 2): each landmark's step from frame to frame, less the mean over the 68; NaN next to gaps.

    Subtracting the mean takes the head's motion across the picture away.
    """
    step = np.diff(sequence.values, axis=0)
    return np.asarray(step - step.mean(axis=1, keepdims=True), np.float32)


def smoothness(sequences: Sequence[LandmarkSequence], unit: float) -> dict[str, float]:
    """Lag-1 autocorrelation of relative velocity for each group, about zero, in [-1, 1].

    Near 1 a landmark goes on as it went; at 0 each step is independent of the last; below 0 it trembles to and fro.
    """
    velocities = [relative_velocity(s).astype(np.float64) for s in sequences]
    found = {}
    for group, part in GROUPS.items():
        before = np.concatenate([v[:-1, part].reshape(max(len(v) - 1, 0), -1) for v in velocities])
        after = np.concatenate([v[1:, part].reshape(max(len(v) - 1, 0), -1) for v in velocities])
        known = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
        size = float(np.sqrt((before[known] ** 2).sum() * (after[known] ** 2).sum()))
        found[group] = float((before[known] * after[known]).sum() / size) if size > 0 else float("nan")
    return found


def jitter(sequences: Sequence[LandmarkSequence], unit: float) -> dict[str, float]:
    """Median length of relative acceleration (the second difference of each landmark, less the mean over the 68)."""
    return _medians([np.linalg.norm(np.diff(relative_velocity(s), axis=0), axis=2) for s in sequences], unit)


def tracking_error(sequences: Sequence[LandmarkSequence], unit: float) -> dict[str, float]:
    """Median forward-backward error: how far a point lands from where it started, tracked one frame on and back."""
    return _medians([s.forward_backward_error for s in sequences], unit)


def surprise(sequences: Sequence[LandmarkSequence], unit: float) -> dict[str, float]:
    """Median innovation: how far the landmark is detected from where optical flow foresaw it."""
    return _medians([np.linalg.norm(s.innovation, axis=2) for s in sequences], unit)


def _medians(parts: Sequence[Array], unit: float) -> dict[str, float]:
    """The median of (N, 68) lengths for each group; NaN where nothing was measured."""
    rows = np.concatenate(parts) if parts else np.zeros((0, NUM_LANDMARKS), np.float32)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if not rows.any():  # landmarks that come from a file bring no measurements
        return dict.fromkeys(GROUPS, float("nan"))
    return {group: float(np.median(rows[:, part])) * unit for group, part in GROUPS.items()}


STATISTICS: Final[MappingProxyType[str, Callable[[Sequence[LandmarkSequence], float], dict[str, float]]]] = (
    MappingProxyType(
        {"smoothness": smoothness, "jitter": jitter, "tracking_error": tracking_error, "surprise": surprise}
    )
)
"""Every statistic by name; takes a face's sequences and what 1.0 of their values is in face sizes."""


def face_statistics(sequences: Sequence[LandmarkSequence], crop_scale: float = 1.2) -> dict[tuple[str, str], float]:
    """Each statistic of one face by (statistic, group); NaN where it cannot be measured.

    Args:
        sequences: of the face.
        crop_scale: side of the crop in face sizes, as in the bundle's preprocessing.
    """
    # 1.0 of a sequence's values is half the crop's side.
    return {
        (name, group): value
        for name, measure in STATISTICS.items()
        for group, value in measure(sequences, crop_scale / 2).items()
    }


def percentile(reference: MotionReference, statistic: str, group: str, value: float) -> float | None:
    """Share of the reference's videos with a lower value, 0 to 1; None if it is not in the reference or not finite."""
    table = next((q for q in reference.quantiles if (q.statistic, q.group) == (statistic, group)), None)
    if table is None or not np.isfinite(value):
        return None
    return float(np.interp(value, table.values, reference.levels))


# The reference


def motion_reference(
    faces: Iterable[Sequence[LandmarkSequence]],
    clips: ClipSpec,
    *,
    description: str,
    crop_scale: float = 1.2,
) -> MotionReference:
    """How the genuine faces of a training set move, for a bundle to carry.

    Args:
        faces: for each video the sequences of its face (`main_face`); real videos only.
        clips: how the network's clips are cut; videos that give one of full length count.
        description: which videos, in words.
        crop_scale: side of the crop in face sizes.

    Raises:
        DatasetError: fewer than `LEAST_VIDEOS` videos give a clip.
    """
    statistics = [
        face_statistics(sequences, crop_scale)
        for sequences in faces
        if any(len(clip) == clips.length for s in sequences for clip in cut_clips(s, clips))
    ]
    if len(statistics) < LEAST_VIDEOS:
        raise DatasetError(
            f"{len(statistics)} real videos give a clip; a reference needs {LEAST_VIDEOS} at least.",
            hint="Add real videos to the store.",
        )
    return MotionReference(
        description=description,
        videos=len(statistics),
        levels=LEVELS,
        quantiles=tuple(_quantiles(statistics)),
        streams=(),
    )


def _quantiles(statistics: Sequence[dict[tuple[str, str], float]]) -> Iterable[StatisticQuantiles]:
    for statistic, group in statistics[0]:
        values = np.array([row[statistic, group] for row in statistics])
        values = values[np.isfinite(values)]
        if len(values):
            found = tuple(_short(v) for v in np.quantile(values, LEVELS))
            yield StatisticQuantiles(statistic=statistic, group=group, values=found)


def _short(value: float) -> float:
    """Five significant digits: more than the statistics are worth, and a fraction of the file."""
    return float(f"{value:.5g}")
