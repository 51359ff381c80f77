"""Shared by all drawn reports: lines between landmarks, colours of scores, the clip at a moment."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from lrnet.network.spec import BundleSpec
from lrnet.verdict import ClipScore, FaceVerdict, Rules, State
from lrnet.verdict.evidence import joint_ratio, log_ratio, probability_of

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

# Okabe and Ito's sky blue, yellow and a lightened vermilion: distinguishable with all common kinds of colour blindness.
_SCALE: Final = np.array([(86, 180, 233), (240, 228, 66), (245, 110, 40)], np.float64)

TELLING: Final = 2.0  # seconds of the stretch that is shown slowly

HOLD: Final = 0.1
"""Seconds that a drawing or a score outlasts the examined frame that it belongs to."""


def score_colour(score: float | None) -> Rgb:
    """Blue at 0 over yellow to vermilion at 1; grey for None or NaN."""
    if score is None or not np.isfinite(score):
        return NOT_SCORED
    red, green, blue = (round(float(np.interp(score, (0, 0.5, 1), channel))) for channel in _SCALE.T)
    return red, green, blue


def longest(clips: Sequence[ClipScore]) -> float:
    """Seconds that the longest clip lasts; 0 without one."""
    return max((clip.stop - clip.start for clip in clips), default=0.0)


def clip_at(clips: Sequence[ClipScore], time: float, reach: float | None = None) -> ClipScore | None:
    """The clip that `time` (seconds) falls into; of overlapping ones that whose middle is nearest; None in a gap.

    Args:
        clips: in order of their starts.
        reach: `longest` of them, for callers that ask many times.
    """
    reach = longest(clips) if reach is None else reach
    first = bisect_left(clips, time - reach - HOLD, key=lambda clip: clip.start)
    after = bisect_right(clips, time, key=lambda clip: clip.start)
    near = [clip for clip in clips[first:after] if time <= clip.stop + HOLD]
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
    means = np.clip(np.cumsum(total) / np.maximum(covered, 1), 0, 1)
    steps: list[tuple[float, float, float]] = []
    for (start, stop), mean, held in zip(pairwise(borders.tolist()), means.tolist(), covered.tolist(), strict=False):
        if steps and stop - start < HOLD and steps[-1][1] == start:
            steps[-1] = (steps[-1][0], stop, steps[-1][2])
        elif held:
            steps.append((start, stop, mean))
    return [Step(*step) for step in steps]


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


def suspicious(face: FaceVerdict, spec: BundleSpec) -> list[tuple[float, float]]:
    """Stretches, (start, stop) seconds, in which the clips of an accused face score as a likely fake does.

    That is where the whole person would be called a likely fake if its score were that of the moment. Empty for a face
    that is not called `likely_fake`: what accuses nobody points at nothing.
    """
    if face.state is not State.LIKELY_FAKE or spec.limits is None:
        return []
    rules, seconds = Rules.of(spec), face.seconds_judged or face.quality.seconds
    found: list[tuple[float, float]] = []
    for step in score_steps(face.clips):
        motion = log_ratio(step.score, seconds, face.quality, rules)
        probability = probability_of(joint_ratio(motion, face.appearance_ratio, rules), rules)
        if probability is None or probability < spec.limits.likely_fake:
            continue
        if found and step.start - found[-1][1] < HOLD:
            found[-1] = (found[-1][0], step.stop)
        else:
            found.append((step.start, step.stop))
    return found


def pointed_at(result: VideoResult, spec: BundleSpec) -> tuple[float, float] | None:
    """The seconds (start, stop) that a verdict points at: the longest suspicious part of the stretch that is the most
    suspicious, or all of that stretch."""
    verdict = result.verdict
    face = next((face for face in result.faces if face.face == verdict.face), None)
    if face is None or verdict.moment is None:
        return verdict.moment
    start, stop = verdict.moment
    inside = [part for part in suspicious(face, spec) if part[0] < stop and part[1] > start]
    return max(inside, key=lambda part: part[1] - part[0], default=verdict.moment)


def telling(clips: Sequence[ClipScore], seconds: float = TELLING) -> tuple[float, float] | None:
    """Start and stop of the `seconds` with the highest mean score; None without a scored clip.

    Time that was not scored counts as a score of 0. A face that was scored for less gives all of its scored time.
    """
    steps = score_steps(clips)
    if not steps:
        return None
    first, last = steps[0].start, steps[-1].stop
    edges = np.array([t for step in steps for t in (step.start, step.stop)])
    # The integral of the score up to each edge; between edges it is linear.
    gains = np.array([g for step in steps for g in (0.0, step.score * (step.stop - step.start))])
    total = np.cumsum(gains)
    begins = np.clip(np.concatenate([edges, edges - seconds]), first, max(first, last - seconds))
    carried = np.interp(begins + seconds, edges, total) - np.interp(begins, edges, total)
    begin = float(np.sort(begins[carried >= carried.max() - 1e-9])[0])
    return begin, min(begin + seconds, last)


def by_weight(result: VideoResult) -> list[FaceVerdict]:
    """The faces in the order in which reports list them: the one that decides, then by score, unscored ones last."""

    def weight(face: FaceVerdict) -> tuple[bool, float, int]:
        score = face.score if face.score is not None and np.isfinite(face.score) else -1.0
        return face.face != result.verdict.face, -score, face.face

    return sorted(result.faces, key=weight)
