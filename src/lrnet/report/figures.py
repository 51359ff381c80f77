"""What the drawn reports share: which landmarks are joined, how a score is coloured, which clip is current."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from lrnet.verdict import ClipScore, FaceVerdict

if TYPE_CHECKING:
    from lrnet.detector import VideoResult

Rgb = tuple[int, int, int]

LINES: Final[tuple[tuple[slice, bool], ...]] = (
    (slice(0, 17), False),  # jaw
    (slice(17, 22), False),  # right brow
    (slice(22, 27), False),  # left brow
    (slice(27, 31), False),  # bridge of the nose
    (slice(31, 36), False),  # its base
    (slice(36, 42), True),  # right eye
    (slice(42, 48), True),  # left eye
    (slice(48, 60), True),  # outer lips
    (slice(60, 68), True),  # inner lips
)
"""Landmarks that are joined by a line, and whether it closes (iBUG 300-W order)."""

NOT_SCORED: Final[Rgb] = (190, 190, 190)

# Okabe and Ito's sky blue, yellow and a lightened vermilion: told apart by all common kinds of colour blindness.
_SCALE: Final = np.array([(86, 180, 233), (240, 228, 66), (245, 110, 40)], np.float64)

HOLD: Final = 0.1
"""Seconds that a drawing or a score outlasts the examined frame that it belongs to."""


def score_colour(score: float | None) -> Rgb:
    """Blue at 0 over yellow to vermilion at 1; grey for None or NaN."""
    if score is None or not np.isfinite(score):
        return NOT_SCORED
    red, green, blue = (round(float(np.interp(score, (0, 0.5, 1), channel))) for channel in _SCALE.T)
    return red, green, blue


def clip_at(clips: Sequence[ClipScore], time: float) -> ClipScore | None:
    """The clip that `time` (seconds) falls into; of overlapping ones that whose middle is nearest; None in a gap.

    Args:
        clips: in order of their starts.
    """
    after = bisect_right(clips, time, key=lambda clip: clip.start)
    # A stride is at least a sixteenth of a clip in any model worth running: no clip further back can reach so far.
    near = [clip for clip in clips[max(0, after - 16) : after] if time <= clip.stop + HOLD]
    return min(near, key=lambda clip: abs(clip.start + clip.stop - 2 * time), default=None)


def lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """A row for each span (start, stop) in seconds such that no two in a row overlap, as few rows as possible."""
    ends: list[float] = []
    rows = [0] * len(spans)
    for i in sorted(range(len(spans)), key=lambda i: spans[i]):
        start, stop = spans[i]
        row = next((r for r, end in enumerate(ends) if end < start), len(ends))
        ends[row : row + 1] = [stop]
        rows[i] = row
    return rows


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of time, seconds, and the mean score of the clips that hold it."""

    start: float
    stop: float
    score: float


def score_steps(clips: Sequence[ClipScore]) -> list[Step]:
    """The scores of overlapping clips as one line without overlap, in order of time; clips without a number left out.

    What lies between two clips and is shorter than `HOLD` belongs to the earlier one: a clip ends at its last frame.
    """
    scored = sorted((c for c in clips if np.isfinite(c.score)), key=lambda c: c.start)
    if not scored:
        return []
    borders = np.unique([t for c in scored for t in (c.start, c.stop)])
    first = np.searchsorted(borders, [c.start for c in scored])
    last = np.searchsorted(borders, [c.stop for c in scored])
    total, count = np.zeros(len(borders)), np.zeros(len(borders), int)
    for values, amount in ((total, np.array([c.score for c in scored])), (count, np.ones(len(scored), int))):
        np.add.at(values, first, amount)
        np.subtract.at(values, last, amount)
    covered = np.cumsum(count)
    means = np.cumsum(total) / np.maximum(covered, 1)
    steps: list[Step] = []
    for i, (start, stop) in enumerate(pairwise(borders.tolist())):
        short = steps and stop - start < HOLD and steps[-1].stop == start
        if short:
            steps[-1] = replace(steps[-1], stop=stop)
        elif covered[i]:
            steps.append(Step(start, stop, float(np.clip(means[i], 0, 1))))
    return steps


def unscored(
    start: float, stop: float, clips: Sequence[ClipScore], shortest: float = 0.15
) -> list[tuple[float, float]]:
    """Stretches of a face's time, (start, stop) seconds, that no clip covers and that last `shortest` or longer."""
    found, reached = [], start
    for clip in sorted(clips, key=lambda clip: clip.start):
        if clip.start - reached >= shortest:
            found.append((reached, clip.start))
        reached = max(reached, clip.stop)
    if stop - reached >= shortest:
        found.append((reached, stop))
    return found


def by_weight(result: VideoResult) -> list[FaceVerdict]:
    """The faces in the order in which they are told of: the one that decides, then by score, unscored ones last."""

    def weight(face: FaceVerdict) -> tuple[bool, float, int]:
        score = face.score if face.score is not None and np.isfinite(face.score) else -1.0
        return face.face != result.verdict.face, -score, face.face

    return sorted(result.faces, key=weight)
