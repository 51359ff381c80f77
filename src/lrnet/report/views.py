"""The contents of the page, ready to be drawn: places in percent of a figure's width, and words."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.detector import VideoResult
from lrnet.network.spec import BundleSpec
from lrnet.report.explain import Difference, FaceExplanation, most_unusual
from lrnet.report.figures import LINES, Step, score_steps, suspicious, unscored
from lrnet.report.footage import Footage, Taken
from lrnet.report.keyframes import KeyFrame
from lrnet.report.motion import STATISTICS, WHOLE, relative_velocity
from lrnet.report.witnesses import witnesses
from lrnet.report.wording import clock, finite, moments, person, two_decimals
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, LandmarkSequence
from lrnet.verdict import (
    INFLATING,
    REASON_TEXT,
    ClipScore,
    FaceVerdict,
    InputQuality,
    Reason,
    State,
    aggregate,
)
from lrnet.verdict.quality import (
    DEFORMATION_LAG,
    MAX_INNOVATION,
    MAX_QUANTISER,
    MIN_DEFORMATION,
    MIN_FACE_SIZE,
    MIN_FRAME_RATE,
    MIN_MOTION,
    MIN_PRESENT,
    MIN_TRACKED,
)

BARS: Final = 120  # in a timeline; more stretches than that share bars
ROWS: Final = 150  # in a table of clips
TRACES: Final = 3  # parts of the face of which traces are shown
TRACE_HEIGHT: Final = 64  # SVG units
TRACE_WIDTH: Final = 400

STATISTIC_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "smoothness": (
        "Smoothness",
        "How much a point goes on as it went one frame before: 1 is smooth, 0 is random, below 0 is to and fro.",
    ),
    "jitter": ("Jitter", "How much a point changes its course from frame to frame, in % of the face's size."),
    "tracking_error": (
        "Forward-backward error",
        "How far a point lands from its start, followed by its pixels one frame on and back, in % of the face's size.",
    ),
    "surprise": (
        "Innovation",
        "How far a point is found from where the motion of the pixels puts it, in % of the face's size.",
    ),
}
assert STATISTIC_WORDS.keys() == STATISTICS.keys()


def data_address(kind: str, content: bytes) -> str:
    """A `data:` address of a media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


# The scale of the verdict


@dataclass(frozen=True, slots=True)
class Scale:
    """The line from 0 to 1 with the value on it.

    Attributes:
        bands: (state, start, stop) in percent; none if the model has no thresholds.
        value: the calibrated probability.
    """

    bands: tuple[tuple[str, float, float], ...]
    value: float

    @classmethod
    def of(cls, result: VideoResult, spec: BundleSpec) -> Scale | None:
        """The scale of a verdict that decides; None for any other: a number beside "inconclusive" would be quoted."""
        verdict, limits = result.verdict, spec.limits
        value = finite(verdict.probability)
        if value is None or limits is None or verdict.state not in (State.LIKELY_FAKE, State.NO_EVIDENCE):
            return None
        low, high = 100 * limits.no_evidence, 100 * limits.likely_fake
        edges = ((State.NO_EVIDENCE, 0.0, low), (State.INCONCLUSIVE, low, high), (State.LIKELY_FAKE, high, 100.0))
        return cls(tuple(band for band in edges if band[2] > band[1]), value)


# Time


@dataclass(frozen=True, slots=True)
class Axis:
    """Time from 0 to `end` seconds over the width of a figure; positions are percent."""

    end: float
    ticks: tuple[tuple[float, str], ...]

    @classmethod
    def of(cls, result: VideoResult) -> Axis:
        end = max([result.seconds_examined, 0.04, *(face.stop for face in result.faces)])
        steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
        step = next((s for s in steps if end / s <= 5), end / 5)
        times = [i * step for i in range(int(end / step + 1e-9) + 1)]
        return cls(end, tuple((100 * t / end, _tick(t, step)) for t in times))

    def span(self, start: float, stop: float, least: float = 0.0) -> tuple[float, float]:
        """Where a stretch of time begins and how wide it is, at least `least`."""
        left, right = (round(100 * min(max(time / self.end, 0.0), 1.0), 3) for time in (start, stop))
        return left, round(max(right - left, least), 3)


def _tick(time: float, step: float) -> str:
    text = clock(time)
    return text if step < 1 else text.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of the timeline.

    Attributes:
        x, width: where, percent.
        height: mean score, percent. `low`, `high`: the range within the stretch, percent.
        time: seconds that it begins at.
        title: the same in words.
    """

    x: float
    width: float
    height: float
    low: float
    high: float
    time: float
    title: str


def bars(clips: Sequence[ClipScore], method: str, axis: Axis) -> tuple[Bar, ...]:
    """The timeline of a face: the mean score at each moment, joined as the verdict joins clips, and its range.

    Args:
        method: by which the model aggregates scores (`lrnet.verdict.aggregate`).
    """
    steps = score_steps(clips)
    share = max(1, -(-len(steps) // BARS))
    return tuple(_bar(steps[i : i + share], method, axis) for i in range(0, len(steps), share))


def _bar(steps: Sequence[Step], method: str, axis: Axis) -> Bar:
    scores = [step.score for step in steps]
    mean = aggregate(scores, [step.stop - step.start for step in steps], method)
    if len(steps) == 1:
        mean = scores[0]  # not held within the bounds of a logit
    start, stop = steps[0].start, steps[-1].stop
    title = f"{clock(start)} to {clock(stop)}, score {two_decimals(mean)}"
    if len(steps) > 1:
        title += f" (from {two_decimals(min(scores))} to {two_decimals(max(scores))})"
    height, low, high = (round(100 * value, 2) for value in (mean, min(scores), max(scores)))
    return Bar(*axis.span(start, stop, 0.2), height, low, high, round(start, 3), title)


# People


@dataclass(frozen=True, slots=True)
class PersonView:
    """One person as the page shows them.

    Attributes:
        verdict: on the person.
        decides: whether the verdict on the video is this one.
        seen, holes: (left, width) in percent of the timeline: in view; in view or briefly lost, not scored.
        suspicious: the same for suspicious stretches, the longest `BARS`, with their start in seconds and words;
            `suspicious_left_out` counts the others.
        when: the suspicious stretches in words.
        rows: clips for the table; `rows_left_out` counts the others.
        witnesses: what motion and appearance say, each alone; () if motion alone was asked.
        pixels: address of the picture that shows where the pixels look manipulated; "" if it is not shown.
        explanation: what carries the score; None for a person who is not accused.
    """

    verdict: FaceVerdict
    name: str
    decides: bool
    reasons: tuple[str, ...]
    seen: tuple[float, float]
    holes: tuple[tuple[float, float], ...]
    suspicious: tuple[tuple[float, float, float, str], ...]
    suspicious_left_out: int
    when: str
    bars: tuple[Bar, ...]
    summary: str
    rows: tuple[ClipScore, ...]
    rows_left_out: int
    measures: tuple[Measure, ...]
    pictures: tuple[Picture, ...]
    close: ClipView | None
    witnesses: tuple[tuple[str, str], ...]
    pixels: str
    explanation: FaceExplanation | None
    traces: tuple[Trace, ...]
    differences: tuple[DifferenceRow, ...]
    all_differences: tuple[DifferenceRow, ...]

    @property
    def ranges(self) -> bool:
        """Whether a bar of the timeline stands for several scores."""
        return any(bar.high > bar.low for bar in self.bars)


def person_view(
    face: FaceVerdict, result: VideoResult, spec: BundleSpec, axis: Axis, taken: Taken, found: FaceExplanation | None
) -> PersonView:
    """The view of one person; `found` explains the score."""
    spans = suspicious(face, spec)
    marked = sorted(sorted(spans, key=lambda s: s[0] - s[1])[:BARS])
    holes = unscored(face.start, face.stop, face.clips, shortest=max(0.15, axis.end / 400))
    sequences = [s for s in result.sequences if s.face == face.face]
    return PersonView(
        verdict=face,
        name=person(face.face),
        decides=face.face == result.verdict.face,
        reasons=tuple(REASON_TEXT[reason] for reason in face.reasons),
        seen=axis.span(face.start, face.stop, 0.3),
        holes=tuple(axis.span(*hole) for hole in holes[:BARS]),
        suspicious=tuple((*axis.span(*s, 0.4), round(s[0], 3), f"{clock(s[0])} to {clock(s[1])}") for s in marked),
        suspicious_left_out=len(spans) - len(marked),
        when=moments(spans),
        bars=bars(face.clips, spec.aggregation.method, axis),
        summary=_summary(face, len(holes)),
        rows=face.clips[:ROWS],
        rows_left_out=max(0, len(face.clips) - ROWS),
        measures=tuple(measures(face.quality)),
        pictures=tuple(_picture(p) for p in taken.pictures if p.moment.face == face.face),
        close=ClipView.of(taken.close.get(face.face)),
        witnesses=witnesses(face),
        pixels=data_address("image/jpeg", found.pixels.drawn()) if found and found.pixels else "",
        explanation=found,
        traces=traces(found, sequences, spec.preprocessing.crop_scale) if found else (),
        differences=tuple(DifferenceRow.of(d) for d in _telling_differences(found)) if found else (),
        all_differences=tuple(DifferenceRow.of(d) for d in found.differences) if found else (),
    )


def _summary(face: FaceVerdict, holes: int) -> str:
    """The figure in words, for those who do not see it."""
    scores = [clip.score for clip in face.clips if np.isfinite(clip.score)]
    span = f"{person(face.face)} is in view from {clock(face.start)} to {clock(face.stop)}."
    if not scores:
        return f"{span} Nothing was scored."
    many = f"{len(scores)} clips score" if len(scores) > 1 else "One clip scores"
    extent = " to ".join(dict.fromkeys((two_decimals(min(scores)), two_decimals(max(scores)))))
    return f"{span} {many} {extent}; stretches that were not scored: {holes or 'none'}."


# Material


@dataclass(frozen=True, slots=True)
class Measure:
    """A row of the table of the material's quality; `held` if it keeps the verdict from being given."""

    name: str
    value: str
    needed: str
    effect: str
    held: bool


# Name, number of decimals, unit, what the value is multiplied by, what is needed, the reason if it is not there.
_ROWS: Final[Mapping[str, tuple[str, int, str, float, str, Reason | None]]] = {
    "seconds": ("Time in view", 1, " s", 1, "one clip", None),
    "face_size": ("Face size", 0, " px", 1, f"{MIN_FACE_SIZE:.0f} px", Reason.SMALL_FACE),
    "frame_rate": ("Frame rate", 1, " Hz", 1, f"{MIN_FRAME_RATE:.0f} Hz", Reason.LOW_FRAME_RATE),
    "present": ("Face found", 0, " %", 100, f"{100 * MIN_PRESENT:.0f} %", Reason.MANY_GAPS),
    "tracked": ("Motion confirmed by flow", 0, " %", 100, f"{100 * MIN_TRACKED:.0f} %", Reason.POOR_TRACKING),
    "motion": ("Motion a frame, of half the crop", 3, " %", 100, f"{MIN_MOTION * 100:.2g} %", Reason.NO_MOTION),
    "deformation": (
        f"Change of shape in {DEFORMATION_LAG} seconds, of half the crop",
        *(2, " %", 100, f"{MIN_DEFORMATION * 100:.2g} %", Reason.RIGID),
    ),
    "innovation": (
        "Detected beside predicted, of half the crop",
        *(2, " %", 100, f"at most {MAX_INNOVATION * 100:.3g} %", Reason.DISAGREEMENT),
    ),
    "quantiser": ("Coarseness of the encoding, 0 to 51", 0, "", 1, f"at most {MAX_QUANTISER:.0f}", Reason.COARSE),
}


def measures(quality: InputQuality) -> list[Measure]:
    """The quality of the material beside what is needed for a verdict."""
    held = set(quality.reasons())
    rows = []
    for quantity, (name, digits, unit, factor, needed, reason) in _ROWS.items():
        number = factor * getattr(quality, quantity)
        value = f"{number:.{digits}f}{unit}" if math.isfinite(number) else "unknown"
        if quantity == "deformation" and math.isfinite(quality.least_deformation):
            needed = f"{factor * quality.least_deformation:.{digits}f}{unit}"  # it depends on the landmarks' noise
        effect = "sufficient" if reason else "more time steadies the score"
        if reason in held:
            holds = "keeps it from being called likely fake" if reason in INFLATING else "holds the verdict back"
            effect = f"{holds}: {REASON_TEXT[reason]}"
        rows.append(Measure(name, value, needed, effect, reason in held))
    return rows


# Pictures and clips


@dataclass(frozen=True, slots=True)
class ClipView:
    """A clip as the page embeds it; `pieces` as in `Footage`, for the script."""

    source: str
    poster: str
    pieces: str
    start: float
    stop: float
    parts: int
    width: int
    height: int
    sound: bool

    @classmethod
    def of(cls, footage: Footage | None) -> ClipView | None:
        if footage is None:
            return None
        return cls(
            source=data_address("video/mp4", footage.mp4),
            poster=data_address("image/jpeg", footage.poster),
            pieces=";".join(",".join(f"{t:.3f}" for t in piece) for piece in footage.pieces),
            start=footage.start,
            stop=footage.stop,
            parts=len(footage.pieces),
            width=footage.width,
            height=footage.height,
            sound=footage.sound,
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """A key frame as the page shows it."""

    source: str
    width: int
    height: int
    lines: tuple[str, ...]
    time: float
    caption: str
    alternative: str


def _picture(frame: KeyFrame) -> Picture:
    moment = frame.moment
    score = f", score {two_decimals(moment.clip.score)}" if moment.clip is not None else ""
    caption = f"{clock(moment.time)}, {moment.role}{score}"
    name = person(moment.face)
    return Picture(
        source=data_address("image/jpeg", frame.jpeg),
        width=frame.width,
        height=frame.height,
        lines=() if frame.points is None else tuple(_polyline(frame.points[part], closed) for part, closed in LINES),
        time=round(moment.time, 3),
        caption=caption,
        alternative=f"{name if frame.points is not None else f'The whole frame with {name}'} at {caption}",
    )


def _polyline(points: NDArray[np.float32], closed: bool) -> str:
    rows = [*points.tolist(), *([points[0].tolist()] if closed else [])]
    return " ".join(f"{x + 0.5:.1f},{y + 0.5:.1f}" for x, y in rows)


# Motion beside that of genuine faces


@dataclass(frozen=True, slots=True)
class Trace:
    """The traces of one part of the face: a line for each point, and how much the height of the box stands for."""

    name: str
    lines: tuple[str, ...]
    span: str


def traces(found: FaceExplanation, sequences: Sequence[LandmarkSequence], crop_scale: float) -> tuple[Trace, ...]:
    """Vertical steps of the points over the telling seconds, of the parts that tremble most unlike genuine faces."""
    if found.telling is None:
        return ()
    start, stop = found.telling
    unusual = {d.group: abs(d.percentile - 0.5) for d in found.differences if d.statistic == "jitter"}
    order = sorted(FACIAL_GROUPS, key=lambda group: -unusual.get(group, 0.0))
    pieces = []
    for s in sequences:
        inside = (s.times[1:] >= start - 1e-6) & (s.times[1:] <= stop + 1e-6)
        if inside.sum() > 1:
            pieces.append((s.times[1:][inside], relative_velocity(s)[inside, :, 1] * np.float32(crop_scale / 2)))
    return tuple(_trace(name, pieces, start, stop) for name in order[:TRACES] if pieces)


def _trace(
    name: str, pieces: Sequence[tuple[NDArray[np.float64], NDArray[np.float32]]], start: float, stop: float
) -> Trace:
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
    return Trace(name, tuple(lines), f"±{100 * reach:.1f} % of the face's size a frame")


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """A row of the comparison with genuine faces; `at` is the place on a line from 0 to 100."""

    name: str
    help: str
    group: str
    value: str
    typical: str
    at: float
    words: str
    unusual: bool

    @classmethod
    def of(cls, row: Difference) -> DifferenceRow:
        name, text = STATISTIC_WORDS[row.statistic]

        def number(value: float) -> str:
            return f"{value:.2f}" if row.statistic == "smoothness" else f"{100 * value:.3f} %"

        return cls(
            name=name,
            help=text,
            group="whole face" if row.group == WHOLE else row.group,
            value=number(row.value),
            typical=number(row.typical),
            at=round(100 * row.percentile, 1),
            words=rank_words(row.percentile),
            unusual=not 0.025 <= row.percentile <= 0.975,
        )


def _telling_differences(found: FaceExplanation) -> list[Difference]:
    """For each statistic the whole face, and the part that is furthest from the middle of genuine faces."""
    rows = []
    for statistic in STATISTICS:
        rows += [d for d in found.differences if (d.statistic, d.group) == (statistic, WHOLE)]
        unusual = most_unusual(found, statistic)
        rows += [unusual] if unusual is not None else []
    return rows


def rank_words(percentile: float) -> str:
    """A percentile, 0 to 1, in words."""
    if percentile >= 1:
        return "higher than in any of them"
    if percentile <= 0:
        return "lower than in any of them"
    if percentile >= 0.5:
        return f"higher than in {min(99, math.floor(100 * percentile))} of 100"
    return f"lower than in {min(99, math.floor(100 * (1 - percentile)))} of 100"
