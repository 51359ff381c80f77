"""How a sequence is cut into clips."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.sequence.settings import ClipSpec

MAX_GAP: Final = 0.15  # seconds between two frames, beyond which they do not belong to the same clip


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames `start` to `stop` (exclusive) of a sequence, without a gap."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def runs(sequence: LandmarkSequence) -> list[Clip]:
    """The longest stretches without a gap, in order."""
    if not len(sequence):
        return []
    breaks = ~sequence.valid[1:] | ~sequence.valid[:-1] | (np.diff(sequence.times) > MAX_GAP)
    edges = np.flatnonzero(np.concatenate([[True], breaks, [True]]))
    return [Clip(int(a), int(b)) for a, b in pairwise(edges) if sequence.valid[int(a)]]


def cut_clips(sequence: LandmarkSequence, settings: ClipSpec) -> list[Clip]:
    """Clips that cover every frame of every run of at least `min_length` frames.

    A run that the stride does not fill ends with one more clip, aligned to the run's end.
    """
    clips: list[Clip] = []
    for run in runs(sequence):
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
