"""What carries a face's score, as a page shows it: the face drawn, the groups, the telling seconds, genuine faces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.report.explain import Effect, FaceExplanation, most_unusual
from lrnet.report.figures import LINES
from lrnet.report.motion import STATISTICS, WHOLE, relative_velocity
from lrnet.report.wording import clock, two_decimals
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, LandmarkSequence

Points = NDArray[np.float64]

SIDE: Final = 200  # of the drawn face's box, SVG units
NOTABLE: Final = 0.1  # log odds; a smaller effect is drawn as none
TRACES: Final = 3  # groups of which traces are shown
TRACE_HEIGHT: Final = 64  # SVG units
TRACE_WIDTH: Final = 400

STATISTIC_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "smoothness": (
        "Smoothness",
        "How much a landmark goes on as it went one frame before: 1 is smooth, 0 is random, below 0 is to and fro.",
    ),
    "jitter": ("Trembling", "How much a landmark changes its course from frame to frame, in % of the face's size."),
    "tracking_error": (
        "Tracking error",
        "How far a point lands from its start, followed by its pixels one frame on and back, in % of the face's size.",
    ),
    "surprise": (
        "Prediction error",
        "How far a landmark is found from where the motion of the pixels puts it, in % of the face's size.",
    ),
}
assert STATISTIC_WORDS.keys() == STATISTICS.keys()

TRUST: Final = (
    "An explanation tells what the model relied on. It does not tell what was changed in the video, nor prove that "
    "anything was.",
    "Effects of parts do not add up to the score: the network reads the parts together. A part that shows no effect "
    "can still have been manipulated.",
    "The effect of a part depends on what its motion is replaced by. The thin line shows the range over the "
    "replacements; where it crosses zero, even the direction is uncertain.",
)
"""How far an explanation can be relied on."""


@dataclass(frozen=True, slots=True)
class GroupView:
    """One facial group; the bar and its range run in percent of the figure's width, zero in the middle."""

    name: str
    level: str
    effect: Effect
    without: float
    bar: tuple[float, float]
    range: tuple[float, float]


@dataclass(frozen=True, slots=True)
class StrokeView:
    """A line of the drawn face."""

    level: str
    points: str
    closed: bool


@dataclass(frozen=True, slots=True)
class StretchView:
    """A stretch of time under the timeline, percent."""

    x: float
    width: float
    level: str
    title: str


@dataclass(frozen=True, slots=True)
class TraceView:
    """The traces of one group: a line for each landmark, and how much the height of the box stands for."""

    name: str
    level: str
    lines: tuple[str, ...]
    span: str


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """A row of the comparison with genuine faces; `at` is the place on a line from 0 to 100."""

    name: str
    help: str
    group: str
    value: str
    typical: str
    at: float
    words: str
    unusual: bool


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """Everything that a page says of one face's explanation."""

    found: FaceExplanation
    summary: str
    groups: tuple[GroupView, ...]
    strokes: tuple[StrokeView, ...]
    stretches: tuple[StretchView, ...]
    traces: tuple[TraceView, ...]
    differences: tuple[DifferenceView, ...]
    all_differences: tuple[DifferenceView, ...]


def evidence(
    found: FaceExplanation, sequences: Sequence[LandmarkSequence], end: float, crop_scale: float
) -> EvidenceView:
    """The view of one face.

    Args:
        found: what carries its score.
        sequences: of the face.
        end: seconds that the timeline ends with.
        crop_scale: side of the crop in face sizes.
    """
    largest = max(1.0, *(abs(e.value) for e in found.groups.values()))
    reach = max(1.0, *(max(abs(e.low), abs(e.high)) for e in found.groups.values()))
    levels = {name: _level(e.value / largest, e.value) for name, e in found.groups.items()}
    order = sorted(found.groups, key=lambda name: -found.groups[name].value)
    peak = max([1.0, *(abs(s.effect) for s in found.stretches)])
    return EvidenceView(
        found=found,
        summary=_summary(found, order),
        groups=tuple(_group(name, found, levels[name], reach) for name in order),
        strokes=_strokes(sequences, levels),
        stretches=tuple(
            StretchView(
                x=round(100 * s.start / end, 3),
                width=round(max(100 * (s.stop - s.start) / end, 0.1), 3),
                level=_level(s.effect / peak, s.effect),
                title=f"{clock(s.start)} to {clock(s.stop)}: {_direction(s.effect)}",
            )
            for s in found.stretches
        ),
        traces=_traces(found, sequences, order, levels, crop_scale),
        differences=tuple(_differences(found)),
        all_differences=tuple(_difference(d.statistic, d.group, found) for d in found.differences),
    )


def _level(share: float, effect: float) -> str:
    """A class of the style sheet: how strongly a part raises or lowers the score."""
    if abs(effect) < NOTABLE:
        return "level-0"
    return f"{'up' if effect > 0 else 'down'}-{min(4, 1 + int(4 * abs(share) * 0.9999))}"


def _direction(effect: float) -> str:
    if abs(effect) < NOTABLE:
        return "no clear effect on the score"
    return f"{'raises' if effect > 0 else 'lowers'} the score ({effect:+.1f} log odds)"


def _summary(found: FaceExplanation, order: Sequence[str]) -> str:
    """The finding in a sentence or two, for somebody who has not read the paper."""
    first, last = order[0], order[-1]
    change = f"from {two_decimals(found.score)} to {two_decimals(found.score_without[first])}"
    if found.leading is not None:
        text = (
            f"The {found.leading} carries this score most. If its motion is replaced by motion as genuine faces have "
            f"it, the score falls {change}."
        )
    elif found.groups[first].value > 0:
        text = (
            f"No single part clearly carries this score. The {first} comes first (without it the score goes {change}), "
            "but which part does depends on what its motion is replaced by."
        )
    else:
        text = "No part of the face raises this score."
    if found.groups[last].high < 0:
        text += (
            f" The {last} speaks against manipulation: without it the score would be "
            f"{two_decimals(found.score_without[last])}."
        )
    return text


def _group(name: str, found: FaceExplanation, level: str, reach: float) -> GroupView:
    effect = found.groups[name]

    def place(value: float) -> float:
        return round(50 + 49 * value / reach, 2)

    low, high = sorted((place(0), place(effect.value)))
    return GroupView(
        name=name,
        level=level,
        effect=effect,
        without=found.score_without[name],
        bar=(low, round(max(high - low, 0.4), 2)),
        range=(place(effect.low), place(effect.high)),
    )


def _group_of(landmark: int) -> str:
    return next(name for name, part in FACIAL_GROUPS.items() if part.start <= landmark < part.stop)


def _strokes(sequences: Sequence[LandmarkSequence], levels: Mapping[str, str]) -> tuple[StrokeView, ...]:
    """The face's mean shape, upright, in a box of `SIDE`."""
    shape = upright(mean_shape(sequences))
    low, high = shape.min(axis=0), shape.max(axis=0)
    scale = 0.86 * SIDE / float((high - low).max())
    placed = (shape - (low + high) / 2) * scale + SIDE / 2
    return tuple(
        StrokeView(
            levels[_group_of(part.start)], " ".join(f"{x:.1f},{y:.1f}" for x, y in placed[part].tolist()), closed
        )
        for part, closed in LINES
    )


def mean_shape(sequences: Sequence[LandmarkSequence]) -> Points:
    """(68, 2) mean of a face's landmarks over its frames, normalised."""
    total, count = np.zeros((68, 2)), 0
    for s in sequences:
        total += s.values[s.valid].sum(axis=0, dtype=np.float64)
        count += int(s.valid.sum())
    return total / max(count, 1)


def upright(shape: Points) -> Points:
    """A shape (68, 2) turned so that the line from the right to the left eye lies level."""
    eyes = [shape[FACIAL_GROUPS[f"{side} eye"]].mean(axis=0) for side in ("right", "left")]
    x, y = eyes[1] - eyes[0]
    length = math.hypot(x, y)
    if not length:
        return shape
    turn = np.array([[x, -y], [y, x]]) / length
    return np.asarray(shape @ turn)


def _traces(
    found: FaceExplanation,
    sequences: Sequence[LandmarkSequence],
    order: Sequence[str],
    levels: Mapping[str, str],
    crop_scale: float,
) -> tuple[TraceView, ...]:
    """Vertical steps of the landmarks over the telling seconds, of the groups that raise the score most."""
    if found.telling is None:
        return ()
    start, stop = found.telling
    pieces = []
    for s in sequences:
        inside = (s.times[1:] >= start - 1e-6) & (s.times[1:] <= stop + 1e-6)
        if inside.sum() > 1:
            pieces.append((s.times[1:][inside], relative_velocity(s)[inside, :, 1] * np.float32(crop_scale / 2)))
    return tuple(_trace(name, levels[name], pieces, start, stop) for name in order[:TRACES] if pieces)


def _trace(
    name: str,
    level: str,
    pieces: Sequence[tuple[NDArray[np.float64], NDArray[np.float32]]],
    start: float,
    stop: float,
) -> TraceView:
    """`pieces` are times (N,) in seconds and steps (N, 68) in face sizes."""
    part = FACIAL_GROUPS[name]
    reach = max([1e-6, *(float(np.nanmax(np.abs(steps[:, part]))) for _, steps in pieces if np.isfinite(steps).any())])
    lines = []
    for times, steps in pieces:
        x = TRACE_WIDTH * (times - start) / max(stop - start, 1e-6)
        y = TRACE_HEIGHT / 2 + steps[:, part] / reach * (TRACE_HEIGHT / 2 - 3)
        for column in y.T:
            known = np.isfinite(column)
            lines.append(" ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[known], column[known], strict=True)))
    return TraceView(name, level, tuple(lines), f"±{100 * reach:.1f} % of the face's size a frame")


def _differences(found: FaceExplanation) -> list[DifferenceView]:
    """For each statistic the whole face, and the group that is furthest from the middle of genuine faces."""
    views = []
    for statistic in STATISTICS:
        groups = [WHOLE]
        unusual = most_unusual(found, statistic)
        if unusual is not None:
            groups.append(unusual.group)
        known = {d.group for d in found.differences if d.statistic == statistic}
        views += [_difference(statistic, group, found) for group in groups if group in known]
    return views


def _difference(statistic: str, group: str, found: FaceExplanation) -> DifferenceView:
    row = next(d for d in found.differences if (d.statistic, d.group) == (statistic, group))
    name, text = STATISTIC_WORDS[statistic]

    def number(value: float) -> str:
        return f"{value:.2f}" if statistic == "smoothness" else f"{100 * value:.3f} %"

    return DifferenceView(
        name=name,
        help=text,
        group="whole face" if group == WHOLE else group,
        value=number(row.value),
        typical=number(row.typical),
        at=round(100 * row.percentile, 1),
        words=rank_words(row.percentile),
        unusual=not 0.025 <= row.percentile <= 0.975,
    )


def rank_words(percentile: float) -> str:
    """A percentile, 0 to 1, in words."""
    if percentile >= 1:
        return "higher than in any of them"
    if percentile <= 0:
        return "lower than in any of them"
    if percentile >= 0.5:
        return f"higher than in {min(99, math.floor(100 * percentile))} of 100"
    return f"lower than in {min(99, math.floor(100 * (1 - percentile)))} of 100"
