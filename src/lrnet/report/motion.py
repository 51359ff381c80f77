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
from lrnet.network.clips import cut_clips
from lrnet.network.reference import MotionReference, StatisticQuantiles, StreamMotion
from lrnet.network.streams import STREAMS, embed_clips
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, NUM_LANDMARKS, LandmarkSequence
from lrnet.sequence.settings import ClipSpec

Array = NDArray[np.float32]
Rows = NDArray[np.float64]

WHOLE: Final = "face"
"""Name of the group of all landmarks."""

GROUPS: Final = MappingProxyType({WHOLE: slice(0, NUM_LANDMARKS), **FACIAL_GROUPS})

LEVELS: Final = (0.0, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 1.0)
COMPONENTS: Final = 32  # principal components of a stream: 90 % of the variance of differences, 75 % of acceleration's
TYPICAL_CLIPS: Final = 8  # typical levels, and so drawings: with 16 effects change by less than their own spread
RUN_IN: Final = 50  # frames that a process is run before its rows are used, so that its start is forgotten


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
    streams: Sequence[str],
    clips: ClipSpec,
    *,
    description: str,
    crop_scale: float = 1.2,
    seed: int = 0,
) -> MotionReference:
    """How the genuine faces of a training set move, for a bundle to carry.

    Args:
        faces: for each video the sequences of its face (`main_face`); real videos only.
        streams: that the network reads.
        clips: how the network's clips are cut; clips of full length count.
        description: which videos, in words.
        crop_scale: side of the crop in face sizes.
        seed: which of a video's clips is taken.

    Raises:
        DatasetError: fewer than 8 videos give a clip.
        SequenceError: a stream's name is unknown.
    """
    generator = np.random.default_rng(seed)
    statistics: list[dict[tuple[str, str], float]] = []
    typical: dict[str, list[Array]] = {name: [] for name in streams}
    for sequences in faces:
        whole = [(s, [c for c in cut_clips(s, clips) if len(c) == clips.length]) for s in sequences]
        choices = [(s, clip) for s, found in whole for clip in found]
        if not choices:
            continue
        statistics.append(face_statistics(sequences, crop_scale))
        # One clip of each video: a long one should not weigh more than a short one.
        sequence, clip = choices[int(generator.integers(len(choices)))]
        for name, rows in embed_clips(sequence, [clip], tuple(streams))[0].streams.items():
            typical[name].append(rows[0])
    if len(statistics) < TYPICAL_CLIPS:
        raise DatasetError(
            f"{len(statistics)} real videos give a clip; a reference needs {TYPICAL_CLIPS} at least.",
            hint="Add real videos to the store.",
        )
    chosen = _spread_over_levels(next(iter(typical.values())))
    return MotionReference(
        description=description,
        videos=len(statistics),
        levels=LEVELS,
        quantiles=tuple(_quantiles(statistics)),
        streams=tuple(
            _stream_motion(name, np.stack(rows).astype(np.float64), chosen) for name, rows in typical.items()
        ),
    )


def _quantiles(statistics: Sequence[dict[tuple[str, str], float]]) -> Iterable[StatisticQuantiles]:
    for statistic, group in statistics[0]:
        values = np.array([row[statistic, group] for row in statistics])
        values = values[np.isfinite(values)]
        if len(values):
            found = tuple(_short(v) for v in np.quantile(values, LEVELS))
            yield StatisticQuantiles(statistic=statistic, group=group, values=found)


def _spread_over_levels(clips: Sequence[Array]) -> NDArray[np.int64]:
    """Which clips are typical: at the middles of equal parts of the distribution of their size."""
    order = np.argsort([float(np.square(rows, dtype=np.float64).mean()) for rows in clips])
    return order[((np.arange(TYPICAL_CLIPS) + 0.5) * len(order) / TYPICAL_CLIPS).astype(np.int64)]


def landmark_columns(width: int) -> int:
    """How many columns of a stream belong to landmarks: two each, or one; the rest describe the track."""
    return 2 * NUM_LANDMARKS if width >= 2 * NUM_LANDMARKS else min(width, NUM_LANDMARKS)


def _stream_motion(name: str, clips: Rows, chosen: NDArray[np.int64]) -> StreamMotion:
    """Fit the linear model to (C, T, width) rows; each clip weighs the same, whatever its level."""
    points = landmark_columns(STREAMS[name].width)
    mean = clips[:, :, :points].mean(axis=(0, 1))
    centred = clips[:, :, :points] - mean
    levels = np.maximum(np.sqrt(np.square(centred).mean(axis=(1, 2))), 1e-9)
    scaled = centred / levels[:, None, None]
    flat = scaled.reshape(-1, points)
    _, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
    components = vectors[:, ::-1][:, :COMPONENTS].T
    process = scaled @ components.T
    residual = np.sqrt(np.square(scaled - process @ components).mean(axis=(0, 1)))
    regression, step = _yule_walker(process)
    return StreamMotion(
        stream=name,
        mean=_row(mean),
        components=tuple(_row(row) for row in components),
        regression=tuple((_short(a), _short(b)) for a, b in regression),
        step=_row(step),
        residual=_row(residual),
        levels=_row(levels[chosen]),
        track=tuple(_row(clips[i, :, points:].mean(axis=0)) for i in chosen),
    )


def _yule_walker(process: Rows) -> tuple[Rows, Rows]:
    """AR(2) weights (K, 2) and step sizes (K,) of (C, T, K) processes, by the Yule-Walker equations.

    Autocovariances are biased (divided by T), which makes the process stationary.
    """
    frames = process.shape[1]
    lags = [(process[:, k:] * process[:, : frames - k]).sum(axis=1).mean(axis=0) / frames for k in range(3)]
    zero, one, two = (np.maximum(lags[0], 1e-12), lags[1], lags[2])
    a, b = one / zero, two / zero
    first, second = a * (1 - b) / (1 - a**2), (b - a**2) / (1 - a**2)
    variance = zero * np.maximum(1 - first * a - second * b, 0)
    return np.stack([first, second], axis=1), np.sqrt(variance)


def _row(values: NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(_short(v) for v in values)


def _short(value: float) -> float:
    """Five significant digits: more than the statistics are worth, and a fraction of the file."""
    return float(f"{value:.5g}")


def typical_clips(reference: MotionReference, frames: int, seed: int = 0) -> list[dict[str, Array]]:
    """Clips as genuine faces could have moved, drawn from the reference: for each, (frames - lag, width) by stream.

    Streams are drawn apart: what holds between them does not. The same reference, length and seed give the same clips.
    """
    count = len(reference.streams[0].levels) if reference.streams else 0
    drawn: list[dict[str, Array]] = [{} for _ in range(count)]
    for number, motion in enumerate(reference.streams):
        generator = np.random.default_rng((seed, number))
        lag = STREAMS[motion.stream].lag
        for i in range(count):
            drawn[i][motion.stream] = _draw(motion, i, frames, generator)[lag:]
    return drawn


def _draw(motion: StreamMotion, which: int, frames: int, generator: np.random.Generator) -> Array:
    components, (first, second) = np.array(motion.components), np.array(motion.regression).T
    new = generator.standard_normal((frames + RUN_IN, len(components))) * np.array(motion.step)
    noise = generator.standard_normal((frames, len(motion.mean))) * np.array(motion.residual)
    process = np.zeros_like(new)
    for t in range(2, len(new)):
        process[t] = first * process[t - 1] + second * process[t - 2] + new[t]
    points = np.array(motion.mean) + motion.levels[which] * (process[RUN_IN:] @ components + noise)
    track = np.broadcast_to(np.array(motion.track[which]), (frames, len(motion.track[which])))
    return np.concatenate([points, track], axis=1).astype(np.float32)
