"""Sequences as other cameras and encoders would have given them: fewer frames, lost frames, compression-like noise.

Everything here takes a sequence and a generator and returns another sequence, which is embedded like any other: no
embedding needs to know of it. `lrnet.training.fit` does what is done to clips (reversal, landmark dropout).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, NUM_LANDMARKS, LandmarkSequence
from lrnet.training.config import Augmentation

SHORTEST_GOP: Final = 12  # frames between key frames: half a second at 25 Hz is common in streaming
LONGEST_GOP: Final = 60
SHARED: Final = 0.5  # of the noise's variance is that of the whole facial group: blocks are larger than landmarks


def thinned(sequence: LandmarkSequence, kept: NDArray[np.int64]) -> LandmarkSequence:
    """The sequence with some of its frames only, as if the camera had taken no others.

    Calibrated landmarks stay as they are. The tracker's step over left-out frames is the sum of its steps: so the
    innovation is the detection less where those steps lead, and squared forward-backward errors add up. Gaps stay: a
    tracker cannot step over one.

    Args:
        kept: indices of frames, rising.
    """
    kept = np.union1d(kept, np.flatnonzero(~sequence.valid))
    if len(kept) < 2:
        return sequence[kept]
    where = sequence.centres[:, None, :] / np.float32(max(sequence.half_side, 1e-6))  # of the crop, in its own unit
    first, last = kept[:-1], kept[1:]
    step = _sums(sequence.flow_steps(), first, last)
    innovation = (sequence.detected + where)[last] - ((sequence.values + where)[first] + step)
    single = last - first == 1  # nothing to add up: what was measured, to the last bit
    innovation[single] = sequence.innovation[first[single]]
    error = _joined(sequence.forward_backward_error, first, last)
    tracked = _sums(sequence.tracked.astype(np.float32), first, last) >= (last - first)[:, None]
    return replace(
        sequence[kept],
        innovation=innovation.astype(np.float32),
        forward_backward_error=error,
        tracked=tracked,
        surround_error=None if sequence.surround_error is None else _joined(sequence.surround_error, first, last),
    )


def slower(sequence: LandmarkSequence, share: float) -> LandmarkSequence:
    """The sequence at a share of its frame rate, frames evenly chosen."""
    count = max(2, round(len(sequence) * share))
    return thinned(sequence, np.unique(np.linspace(0, len(sequence) - 1, count).astype(np.int64)))


def with_drops(sequence: LandmarkSequence, share: float, generator: np.random.Generator) -> LandmarkSequence:
    """The sequence without a share of its frames, chosen at random; the first and the last stay."""
    stays = generator.random(len(sequence)) >= share
    stays[[0, -1]] = True
    return thinned(sequence, np.flatnonzero(stays))


def with_noise(
    sequence: LandmarkSequence, level: float, step: float, generator: np.random.Generator
) -> LandmarkSequence:
    """The sequence with landmarks that err as they do on compressed video.

    The error lasts from frame to frame (AR(1), lag-1 correlation drawn from [0.3, 0.95]), half of its variance is
    shared by a facial group, it starts anew at key frames every 12 to 60 frames, and landmarks move in steps of
    `step`. Calibrated and detected landmarks err alike, and the tracker does not foresee the change of the error.

    Args:
        level: standard deviation of the error, normalised crop units.
        step: landmarks are rounded to multiples of this; 0 for none.
    """
    error = level * _correlated(len(sequence), generator)
    offset = generator.random((1, NUM_LANDMARKS, 2)) * step

    def stepped(points: NDArray[np.float32]) -> NDArray[np.float64]:
        moved = points + error
        return np.round((moved + offset) / step) * step - offset if step > 0 else moved

    values, detected = stepped(sequence.values), stepped(sequence.detected)
    change = (detected - sequence.detected)[1:] - (values - sequence.values)[:-1]
    return replace(
        sequence,
        values=values.astype(np.float32),
        detected=detected.astype(np.float32),
        innovation=(sequence.innovation + change).astype(np.float32),
    )


def augmented(sequence: LandmarkSequence, settings: Augmentation, generator: np.random.Generator) -> LandmarkSequence:
    """One draw of frame rate, noise and lost frames."""
    draw = generator.random(6)  # always as many, so that turning one kind off leaves the others' draws
    if len(sequence) < 4:
        return sequence
    if draw[0] < settings.frame_rate:
        sequence = slower(sequence, settings.lowest_rate + (1 - settings.lowest_rate) * draw[1])
    if draw[2] < settings.noise:
        sequence = with_noise(sequence, settings.noise_level * draw[3], settings.noise_step * draw[5], generator)
    if draw[4] < settings.dropped_frames:
        sequence = with_drops(sequence, settings.drop_rate * generator.random(), generator)
    return sequence


def _correlated(frames: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """(frames, 68, 2) of variance 1, correlated in time and within facial groups."""
    lasting = generator.uniform(0.3, 0.95)
    fresh = np.sqrt(1 - SHARED) * generator.normal(size=(frames, NUM_LANDMARKS, 2))
    for where in FACIAL_GROUPS.values():
        fresh[:, where] += np.sqrt(SHARED) * generator.normal(size=(frames, 1, 2))
    key_frames = set(np.cumsum(generator.integers(SHORTEST_GOP, LONGEST_GOP, size=1 + frames // SHORTEST_GOP)).tolist())
    for t in range(1, frames):
        if t not in key_frames:
            fresh[t] = lasting * fresh[t - 1] + np.sqrt(1 - lasting**2) * fresh[t]
    return np.asarray(fresh, np.float64)


def _joined(error: NDArray[np.float32], first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.float32]:
    """Errors over several frames: the root of the sum of squares; over one frame what was measured, to the last bit."""
    joined = np.sqrt(_sums(np.square(error), first, last))
    single = last - first == 1
    joined[single] = error[first[single]]
    return joined.astype(np.float32)


def _sums(rows: NDArray[np.float32], first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums of rows first[i] to last[i] (exclusive), where one ends as the next starts; NaN where a row is NaN."""
    return np.add.reduceat(rows[: last[-1]].astype(np.float64), first, axis=0)
