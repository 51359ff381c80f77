"""What may be said while a video still runs: of the last seconds of each person, and when that is an alarm.

A verdict that is read every second has many chances to be wrong. So the running verdict is `likely_fake` only where the
sequential rule holds: at every look for some seconds, the evidence was beyond a threshold. `python -m
lrnet.experiments.sequential` measures how often that accuses (decision 31).
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.appearance.network import AppearanceNetwork
from lrnet.network.bundle import ModelBundle
from lrnet.network.runtime import NetworkRuntime
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict.evidence import Rules, joint_ratio, log_ratio, probability_of
from lrnet.verdict.judge import FaceVerdict, Judge, VideoVerdict
from lrnet.verdict.reasons import State
from lrnet.verdict.scores import ClipScore, aggregate

WINDOW: Final = 30.0
"""Seconds that a running verdict looks back: a longer memory would let an honest beginning hide a fake."""

CONFIDENCE: Final = 0.9  # of the range of a running probability
CROPS_KEPT: Final = 2048  # logits of crops that were seen already


@dataclass(frozen=True, slots=True)
class SequentialRule:
    """When a running verdict becomes an alarm.

    Attributes:
        log_ratio: that a person's evidence must reach at every look.
        hold: seconds for which it must.
    """

    log_ratio: float
    hold: float


Box = tuple[float, float, float, float]

RULE: Final = SequentialRule(log_ratio=math.log(9), hold=5.0)
"""The rule where motion alone is asked, measured by `lrnet.experiments.sequential` (decision 31)."""

RULE_OF_BOTH: Final = SequentialRule(log_ratio=math.log(6), hold=5.0)
"""The rule for both witnesses, whose ratios go less far (`AppearanceSpec.largest`)."""


def rule_of(bundle: ModelBundle) -> SequentialRule:
    """The rule for the witnesses of a model."""
    return RULE if bundle.spec.appearance is None else RULE_OF_BOTH


class Sequential:
    """The rule, applied to one person's evidence at one look after the other."""

    def __init__(self, rule: SequentialRule) -> None:
        self._rule = rule
        self._since: float | None = None

    def look(self, time: float, log_ratio: float | None) -> bool:
        """Whether the rule holds at this look.

        Args:
            time: seconds; rising.
            log_ratio: the person's evidence; None if nothing may be said, which starts the rule again.
        """
        if log_ratio is None or log_ratio < self._rule.log_ratio:
            self._since = None
            return False
        if self._since is None:
            self._since = time
        return time - self._since >= self._rule.hold - 1e-6


@dataclass(frozen=True, slots=True)
class RunningFace:
    """What may be said of one person so far.

    Attributes:
        face: number of the person, from 1; it stays the same while the person is in view within the window.
        state: `likely_fake` only where the sequential rule holds.
        probability: calibrated probability of fake for the last seconds; None if nothing was scored.
        low, high: where the probability would lie, 90 % of the time, if the person's clips were drawn again at random:
            what the few clips so far leave open. What is uncertain about the model itself is not in it.
        seconds: that it rests on.
        verdict: of the window, as of a video that shows nothing else; its number is that within the window.
        box: left, top, right and bottom of the landmarks in the newest frame, in its pixels; None if not seen there.
    """

    face: int
    state: State
    probability: float | None
    low: float | None
    high: float | None
    seconds: float
    verdict: FaceVerdict
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class RunningVerdict:
    """What may be said at one look: `faces` in order of their numbers, and `video` of all of them in the window."""

    time: float
    faces: tuple[RunningFace, ...]
    video: VideoVerdict


class RunningJudge:
    """Judges the last seconds again at every look, exactly as detection judges a video of them.

    Until the stream is as long as the window, a running verdict on it is the verdict on the file cut off there. Its
    memory does not grow: it holds the sequences of the window.

    Args:
        window: seconds that a verdict looks back.
        rule: when a verdict may be `likely_fake`; None for `rule_of` the model.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        runtime: NetworkRuntime | None = None,
        appearance: AppearanceNetwork | None = None,
        *,
        window: float = WINDOW,
        rule: SequentialRule | None = None,
    ) -> None:
        self._bundle = bundle
        self._rules = Rules.of(bundle.spec)
        self._runtime = runtime or NetworkRuntime(bundle)
        found = appearance or AppearanceNetwork.of(bundle)
        self._appearance = None if found is None else _Remembering(found)
        self._window, self._rule = window, rule or rule_of(bundle)
        self._ended: list[LandmarkSequence] = []
        self._sequential: dict[int, Sequential] = {}
        self._numbers: dict[int, dict[int, float]] = {}  # of each track: its people and when they were last seen
        self._next = 1

    def add(self, sequences: Iterable[LandmarkSequence]) -> None:
        """Take sequences that have ended."""
        self._ended += [s for s in sequences if s.valid.any()]

    def look(self, time: float, going_on: Iterable[LandmarkSequence], quantiser: float | None = None) -> RunningVerdict:
        """The running verdict.

        Args:
            time: of the look, seconds.
            going_on: the sequences so far of the tracks in view.
            quantiser: of the stream so far (`lrnet.video.reader.Reader`).
        """
        start = time - self._window
        self._ended = [s for s in self._ended if s.times[-1] > start]
        judge = Judge(self._bundle, self._runtime, self._appearance)
        in_view = [s for s in going_on if s.valid.any()]
        for sequence in (*self._ended, *in_view):
            rows = self._rows_before(sequence, start)
            if rows < len(sequence):
                judge.add(sequence[rows:] if rows else sequence)
        people, video = judge.verdict(quantiser)
        numbers = self._numbered(people, judge.tracks())
        self._sequential = {n: self._sequential.get(n) or Sequential(self._rule) for n in numbers}
        by_time = sorted(zip(people, judge.tracks(), numbers, strict=True), key=lambda found: found[0].stop)
        last = {
            track: number for _, tracks, number in by_time for track in tracks
        }  # a track can pass to another person
        boxes = {last[s.face]: _box(s) for s in in_view if s.valid[-1] and s.face in last}
        faces = [self._running(n, person, time, boxes.get(n)) for n, person in zip(numbers, people, strict=True)]
        return RunningVerdict(time, tuple(sorted(faces, key=lambda face: face.face)), video)

    def _rows_before(self, sequence: LandmarkSequence, start: float) -> int:
        """How many rows to leave out as older than `start`: to where a clip begins, so that clips stay the same from
        look to look."""
        stride = self._bundle.spec.preprocessing.clip_stride
        return -(-int(np.searchsorted(sequence.times, start)) // stride) * stride

    def _running(self, number: int, person: FaceVerdict, time: float, box: Box | None) -> RunningFace:
        may_accuse = person.state is State.LIKELY_FAKE
        holds = self._sequential[number].look(time, person.log_ratio if may_accuse else None)
        state = State.INCONCLUSIVE if may_accuse and not holds else person.state
        low, high = self._range(person)
        return RunningFace(number, state, person.probability, low, high, person.seconds_judged, person, box)

    def _range(self, person: FaceVerdict) -> tuple[float | None, float | None]:
        if person.log_ratio is None or person.probability is None or person.score is None or not person.clips:
            return person.probability, person.probability
        cutting = self._bundle.spec.preprocessing.clips
        apart = max(1, round(len(person.clips) * cutting.stride / cutting.length))  # clips overlap
        scores = _redrawn(person.clips, apart, self._rules.aggregation)
        now, *ends = (
            joint_ratio(
                log_ratio(float(score), person.seconds_judged, person.quality, self._rules),
                person.appearance_ratio,
                self._rules,
            )
            for score in (person.score, *np.quantile(scores, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))
        )
        low, high = (probability_of(person.log_ratio + end - now, self._rules) for end in ends)
        return low, high

    def _numbered(self, people: Sequence[FaceVerdict], tracks: Sequence[frozenset[int]]) -> list[int]:
        """A number for each person: that of the last look, of those who share a track the one seen at about the same
        time."""
        numbers: list[int] = []
        seen: dict[int, dict[int, float]] = {}
        for person, of in zip(people, tracks, strict=True):
            known = {n: stop for t in of for n, stop in self._numbers.get(t, {}).items() if n not in numbers}
            number = min(known, key=lambda n: abs(known[n] - person.stop), default=self._next)
            self._next = max(self._next, number + 1)
            numbers.append(number)
            for track in of:
                seen.setdefault(track, {})[number] = person.stop
        self._numbers = seen
        return numbers


def _box(sequence: LandmarkSequence) -> Box:
    """The box of the last frame's landmarks, frame pixels."""
    (points,) = sequence[-1:].frame_landmarks()
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _redrawn(clips: Sequence[ClipScore], count: int, aggregation: str, draws: int = 200) -> NDArray[np.float64]:
    """Aggregated scores of `count` clips, drawn with replacement; the same for the same clips."""
    scores, frames = np.array([c.score for c in clips]), np.array([c.frames for c in clips], np.float64)
    chosen = np.random.default_rng(0).integers(len(clips), size=(draws, count))
    return np.array([aggregate(scores[rows].tolist(), frames[rows].tolist(), aggregation) for rows in chosen])


class _Remembering(AppearanceNetwork):
    """An appearance network that looks at each crop once."""

    def __init__(self, network: AppearanceNetwork) -> None:
        self._network = network
        self._known: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    def cells(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        key = hashlib.blake2b(crop.tobytes(), digest_size=16).digest()
        found = self._known.pop(key, None)
        self._known[key] = found = self._network.cells(crop) if found is None else found
        if len(self._known) > CROPS_KEPT:
            self._known.popitem(last=False)
        return found
