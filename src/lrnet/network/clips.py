"""How a sequence is cut into clips."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lrnet.sequence.landmark_sequence import LandmarkSequence


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames `start` to `stop` (exclusive) of a sequence, none of them a gap."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """How a sequence is cut.

    Attributes:
        length: frames of a clip.
        stride: frames from one clip's start to the next one's.
        min_length: a run of frames shorter than `length` becomes one shorter clip, if it has this many.
        max_gap: seconds between two frames beyond which they do not belong to the same clip.
    """

    length: int = 60
    stride: int = 60
    min_length: int = 30
    max_gap: float = 0.15


def runs(sequence: LandmarkSequence, max_gap: float) -> list[Clip]:
    """The longest stretches without a gap, in order."""
    if not len(sequence):
        return []
    breaks = ~sequence.valid[1:] | ~sequence.valid[:-1] | (np.diff(sequence.times) > max_gap)
    edges = np.flatnonzero(np.concatenate([[True], breaks, [True]]))
    return [Clip(int(a), int(b)) for a, b in pairwise(edges) if sequence.valid[int(a)]]


def cut_clips(sequence: LandmarkSequence, settings: ClipSettings) -> list[Clip]:
    """Clips that cover every frame of every run of at least `min_length` frames.

    A run that the stride does not fill ends with one more clip, aligned to the run's end and overlapping the one
    before: no tail is dropped.
    """
    clips: list[Clip] = []
    for run in runs(sequence, settings.max_gap):
        if len(run) < settings.min_length:
            continue
        if len(run) <= settings.length:
            clips.append(run)
            continue
        starts = list(range(run.start, run.stop - settings.length + 1, settings.stride))
        if starts[-1] + settings.length < run.stop:
            starts.append(run.stop - settings.length)
        clips += [Clip(start, start + settings.length) for start in starts]
    return clips
