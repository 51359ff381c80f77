"""Which facial group and which stretch of time carry a score, and how the motion differs from that of genuine faces.

By occlusion: a part of what the network reads is replaced by what genuine faces could have given (rows drawn from the
bundle's reference of motion), and the score that is left is compared. An effect is a difference in log odds, averaged
over several drawings: positive where the part speaks for manipulation. It says what the network relied on, not what was
done to the video. Effects of parts do not add up to the score: the network reads them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.detector import VideoResult
from lrnet.errors import ModelError
from lrnet.network.bundle import ModelBundle
from lrnet.network.clips import Clip, cut_clips
from lrnet.network.reference import MotionReference
from lrnet.network.runtime import NetworkRuntime
from lrnet.network.streams import STREAMS, embed_clips
from lrnet.report.motion import WHOLE, face_statistics, landmark_columns, percentile, typical_clips
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, NUM_LANDMARKS, LandmarkSequence
from lrnet.verdict import FaceVerdict, aggregate, logit

Array = NDArray[np.float32]
Rows = NDArray[np.float64]

WINDOW: Final = 0.6  # seconds that are occluded at a time: about a syllable or a blink
TELLING: Final = 2.0  # seconds of the stretch that is shown slowly
CLIPS_EXPLAINED: Final = 64  # of a face: those of a longer video are taken evenly, and the highest one
SURE: Final = 0.75  # share of drawings that must name the same group for it to be called the leading one


@dataclass(frozen=True, slots=True)
class Effect:
    """What a part does to the score, in log odds (natural logarithm); positive speaks for manipulation.

    Attributes:
        value: mean over the drawings that replaced the part.
        low, high: least and greatest of them.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, drawings: Rows) -> Effect:
        return cls(float(drawings.mean()), float(drawings.min()), float(drawings.max()))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time and what it does to the score of the clips around it.

    Attributes:
        start, stop: seconds.
        effect: log odds, mean over drawings and over the clips that hold the stretch.
    """

    start: float
    stop: float
    effect: float


@dataclass(frozen=True, slots=True)
class ClipExplanation:
    """What carries one clip's score.

    Attributes:
        start, stop: seconds of its first and last frame.
        score: as the network gave it.
        groups: effect of each facial group.
        stretches: effect of each stretch of the clip, all groups together.
    """

    start: float
    stop: float
    score: float
    groups: dict[str, Effect]
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One statistic of a face beside genuine faces.

    Attributes:
        statistic, group: which (`lrnet.report.motion.STATISTICS`; a facial group, or "face").
        value: lengths are shares of the face's size.
        typical: median of the genuine faces.
        percentile: share of genuine faces with a lower value, 0 to 1.
    """

    statistic: str
    group: str
    value: float
    typical: float
    percentile: float


@dataclass(frozen=True, slots=True)
class FaceExplanation:
    """What carries a face's score.

    Attributes:
        face: its number.
        score: aggregated over the clips that were explained.
        clips: each clip that was explained, in order of time; `clips_left_out` counts the others.
        groups: effect of each facial group on the face's score.
        score_without: the score that is left with the group replaced.
        leading: the group that raises the score most, if at least `SURE` of the drawings agree; else None.
        agreement: share of the drawings in which the group that raises the score most on average does so too.
        stretches: over the face's time, without overlap.
        telling: start and stop, in seconds, of the `TELLING` seconds that raise the score most; None without a clip.
        differences: from genuine faces; empty if the bundle has no reference.
        compared_with: the reference, in words; None if the bundle has none: a replaced part was then set to zero.
    """

    face: int
    score: float
    clips: tuple[ClipExplanation, ...]
    clips_left_out: int
    groups: dict[str, Effect]
    score_without: dict[str, float]
    leading: str | None
    agreement: float
    stretches: tuple[Stretch, ...]
    telling: tuple[float, float] | None
    differences: tuple[Difference, ...]
    compared_with: str | None


def group_columns(stream: str, group: str) -> NDArray[np.int64]:
    """Which columns of a stream belong to a facial group: its landmarks', and what describes the track of the group."""
    part, width = FACIAL_GROUPS[group], STREAMS[stream].width
    points = landmark_columns(width)
    each = points // NUM_LANDMARKS
    columns = list(range(each * part.start, each * part.stop))
    if width - points == len(FACIAL_GROUPS):  # one a group, in their order
        columns.append(points + list(FACIAL_GROUPS).index(group))
    return np.array(columns)


@dataclass(frozen=True, slots=True)
class _Occluded:
    """A clip's log odds as it is and with parts replaced.

    Attributes:
        groups: (7, D), for each group and drawing.
        windows: (W, D); `edges` are the frames of the clip that each window begins and ends with (exclusive).
    """

    clip: Clip
    score: float
    groups: Rows
    windows: Rows
    edges: tuple[tuple[int, int], ...]

    @property
    def logit(self) -> float:
        return float(logit(self.score))


class Explainer:
    """Explains what one model says.

    Args:
        bundle: the model.

    Example:
        ```python
        detector = Detector()
        result = detector.detect("clip.mp4", keep_sequences=True)
        for face in Explainer(detector.bundle).explain(result):
            print(face.face, face.leading, face.groups)
        ```
    """

    def __init__(self, bundle: ModelBundle) -> None:
        self._spec = bundle.spec
        self._hash = bundle.content_hash
        self._reference = bundle.reference
        self._network = NetworkRuntime(bundle)
        self._names = bundle.spec.network.stream_names
        self._drawn: dict[int, list[dict[str, Array]]] = {}

    def explain(self, result: VideoResult) -> tuple[FaceExplanation, ...]:
        """Every face that was scored, by number; empty if the result holds no landmarks.

        Raises:
            ModelError: the result was made with another model.
        """
        if result.model_hash != self._hash:
            raise ModelError(
                f"The result was made with model {result.model} ({result.model_hash[:12]}), not with {self._spec.name} "
                f"({self._hash[:12]}).",
                hint="Explain it with the model that it was made with.",
            )
        found = []
        for face in result.faces:
            sequences = [s for s in result.sequences if s.face == face.face]
            explained = self.explain_face(sequences, face) if face.clips else None
            if explained is not None:
                found.append(explained)
        return tuple(found)

    def explain_face(
        self, sequences: Sequence[LandmarkSequence], face: FaceVerdict | int = 0
    ) -> FaceExplanation | None:
        """One face from its sequences; None if they give no clip."""
        number = face if isinstance(face, int) else face.face
        cut = [(s, clip) for s in sequences for clip in cut_clips(s, self._spec.preprocessing.clips)]
        if not cut:
            return None
        chosen = _evenly(len(cut), CLIPS_EXPLAINED)
        if len(chosen) < len(cut):
            highest = int(np.argmax([self._score(self._rows(s, clip)) for s, clip in cut]))
            chosen = sorted({*chosen, highest})
        parts = [(cut[i][0], self._occlude(cut[i][0], cut[i][1])) for i in chosen]
        method = self._spec.aggregation.method
        frames = [len(part.clip) for _, part in parts]
        score = aggregate([part.score for _, part in parts], frames, method)
        # (7, D): the face's log odds with the group replaced in all clips by drawing d.
        left = np.array(
            [
                [
                    logit(aggregate([float(_sigmoid(part.groups[g, d])) for _, part in parts], frames, method))
                    for d in range(parts[0][1].groups.shape[1])
                ]
                for g in range(len(FACIAL_GROUPS))
            ]
        )
        effects = float(logit(score)) - left
        names = list(FACIAL_GROUPS)
        first = int(np.argmax(effects.mean(axis=1)))
        agreement = float((effects.argmax(axis=0) == first).mean())
        leads = agreement >= SURE and effects[first].mean() > 0
        stretches = _joined(parts)
        return FaceExplanation(
            face=number,
            score=score,
            clips=tuple(_clip_explanation(s, part) for s, part in parts),
            clips_left_out=len(cut) - len(parts),
            groups={name: Effect.of(row) for name, row in zip(names, effects, strict=True)},
            score_without={name: float(_sigmoid(row.mean())) for name, row in zip(names, left, strict=True)},
            leading=names[first] if leads else None,
            agreement=agreement,
            stretches=stretches,
            telling=_telling(stretches),
            differences=tuple(self._differences(sequences)),
            compared_with=None if self._reference is None else _words(self._reference),
        )

    def _rows(self, sequence: LandmarkSequence, clip: Clip) -> dict[str, Array]:
        return embed_clips(sequence, [clip], self._names)[0].streams

    def _score(self, rows: Mapping[str, Array]) -> float:
        return float(self._network.score(rows).probability[0])

    def _logits(self, variants: Sequence[Mapping[str, Array]]) -> Rows:
        stacked = {name: np.concatenate([v[name] for v in variants]) for name in self._names}
        return logit(self._network.score(stacked).probability)

    def _typical(self, frames: int) -> list[dict[str, Array]]:
        """What replaces a part, for clips of so many frames; zeros (a landmark left out in training) for lack of it."""
        if frames not in self._drawn:
            if self._reference is not None:
                self._drawn[frames] = typical_clips(self._reference, frames)
            else:
                zeros = {n: np.zeros((frames - STREAMS[n].lag, STREAMS[n].width), np.float32) for n in self._names}
                self._drawn[frames] = [zeros]
        return self._drawn[frames]

    def _occlude(self, sequence: LandmarkSequence, clip: Clip) -> _Occluded:
        rows, drawn = self._rows(sequence, clip), self._typical(len(clip))
        edges = _windows(len(clip), self._spec.preprocessing.frame_rate)
        variants = [replace_group(rows, group, other) for group in FACIAL_GROUPS for other in drawn]
        variants += [replace_frames(rows, *edge, other) for edge in edges for other in drawn]
        logits = self._logits(variants).reshape(-1, len(drawn))
        count = len(FACIAL_GROUPS)
        return _Occluded(clip, self._score(rows), logits[:count], logits[count:], edges)

    def _differences(self, sequences: Sequence[LandmarkSequence]) -> list[Difference]:
        reference = self._reference
        if reference is None:
            return []
        medians = {
            (q.statistic, q.group): float(np.interp(0.5, reference.levels, q.values)) for q in reference.quantiles
        }
        found = []
        for (statistic, group), value in face_statistics(sequences, self._spec.preprocessing.crop_scale).items():
            share = percentile(reference, statistic, group, value)
            if share is not None:
                found.append(Difference(statistic, group, value, medians[statistic, group], share))
        return found


def replace_group(rows: Mapping[str, Array], group: str, other: Mapping[str, Array]) -> dict[str, Array]:
    """A clip with one facial group taken from another clip.

    Args:
        rows: for each stream (1, T, width).
        other: for each stream (T, width).
    """
    changed = {}
    for name, values in rows.items():
        columns = group_columns(name, group)
        changed[name] = values.copy()
        changed[name][0][:, columns] = other[name][:, columns]
    return changed


def replace_frames(rows: Mapping[str, Array], start: int, stop: int, other: Mapping[str, Array]) -> dict[str, Array]:
    """A clip with the landmarks of frames `start` to `stop` (exclusive) taken from another clip, as `replace_group`.

    Columns that describe the track stay: they speak of no frame in particular.
    """
    changed = {}
    for name, values in rows.items():
        lag, points = STREAMS[name].lag, landmark_columns(values.shape[2])
        part = slice(max(start - lag, 0), max(stop - lag, 0))
        changed[name] = values.copy()
        changed[name][0, part, :points] = other[name][part, :points]
    return changed


def _sigmoid(x: Rows | float) -> Rows:
    return np.asarray(1 / (1 + np.exp(-np.asarray(x, np.float64))))


def _evenly(count: int, most: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})


def _windows(frames: int, rate: float) -> tuple[tuple[int, int], ...]:
    """Stretches of about `WINDOW` seconds that cover a clip without overlap, as equal as can be."""
    parts = max(1, round(frames / (WINDOW * rate)))
    edges = [round(i) for i in np.linspace(0, frames, parts + 1)]
    return tuple(pairwise(edges))


def _clip_explanation(sequence: LandmarkSequence, part: _Occluded) -> ClipExplanation:
    times = sequence.times[part.clip.start : part.clip.stop]
    return ClipExplanation(
        start=float(times[0]),
        stop=float(times[-1]),
        score=part.score,
        groups={name: Effect.of(part.logit - row) for name, row in zip(FACIAL_GROUPS, part.groups, strict=True)},
        stretches=tuple(
            Stretch(float(times[a]), float(times[b - 1]), float(part.logit - row.mean()))
            for (a, b), row in zip(part.edges, part.windows, strict=True)
        ),
    )


def _joined(parts: Sequence[tuple[LandmarkSequence, _Occluded]]) -> tuple[Stretch, ...]:
    """The stretches of overlapping clips as one line without overlap: each frame has the mean of the clips it is in."""
    found: list[Stretch] = []
    for s in {id(s): s for s, _ in parts}.values():
        own = [part for sequence, part in parts if sequence is s]
        total, count = np.zeros(len(s)), np.zeros(len(s))
        for part in own:
            for (a, b), row in zip(part.edges, part.windows, strict=True):
                total[part.clip.start + a : part.clip.start + b] += part.logit - row.mean()
                count[part.clip.start + a : part.clip.start + b] += 1
        borders = {part.clip.start + frame for part in own for edge in part.edges for frame in edge}
        shortest = min(b - a for part in own for a, b in part.edges) / 2
        for a, b in _merged(sorted(borders), count, shortest):
            # Up to where the next frame begins, so that the line has no holes.
            stop = float(s.times[b] if b < len(s) and count[b] else s.times[b - 1])
            found.append(Stretch(float(s.times[a]), stop, float((total[a:b] / count[a:b]).mean())))
    return tuple(sorted(found, key=lambda stretch: stretch.start))


def _merged(borders: Sequence[int], count: Rows, shortest: float) -> list[tuple[int, int]]:
    """Stretches between borders that are in a clip; one shorter than `shortest` frames joins the one before it."""
    merged: list[tuple[int, int]] = []
    for a, b in pairwise(borders):
        if not count[a]:
            continue
        if merged and merged[-1][1] == a and b - a < shortest:
            merged[-1] = (merged[-1][0], b)
        else:
            merged.append((a, b))
    return merged


def _telling(stretches: Sequence[Stretch]) -> tuple[float, float] | None:
    """The `TELLING` seconds with the greatest sum of effects; they begin or end where a stretch does."""
    if not stretches:
        return None
    first, last = stretches[0].start, max(s.stop for s in stretches)

    def carried(start: float) -> float:
        inside = [
            s.effect * max(0.0, min(s.stop, start + TELLING) - max(s.start, start)) for s in stretches if s.stop > start
        ]
        return sum(inside)

    starts = {s.start for s in stretches} | {s.stop - TELLING for s in stretches}
    begin = max(sorted(min(max(s, first), max(first, last - TELLING)) for s in starts), key=carried)
    return begin, min(begin + TELLING, last)


def _words(reference: MotionReference) -> str:
    return f"{reference.videos} genuine videos: {reference.description}"


def most_unusual(face: FaceExplanation, statistic: str) -> Difference | None:
    """The facial group in which a statistic is furthest from the middle of genuine faces; None if not measured."""
    own = [d for d in face.differences if d.statistic == statistic and d.group != WHOLE]
    return max(own, key=lambda d: abs(d.percentile - 0.5), default=None)
